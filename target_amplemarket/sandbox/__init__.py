"""A local server that answers like the real Amplemarket API, and can fail on purpose.

Its commit log is ground truth: what stands there arrived, what does not stand there never did. It is written from
the API's description alone and imports nothing else of this package.
"""

from __future__ import annotations

try:
    import jinja2  # noqa: F401 - the same
    import starlette  # noqa: F401 - only to say early, and clearly, what is missing
    import uvicorn  # noqa: F401 - the same
except ModuleNotFoundError as missing:
    if missing.name not in ("jinja2", "starlette", "uvicorn"):
        raise
    raise ImportError(
        f"The sandbox needs {missing.name}, which is not installed. Run: pip install 'target-amplemarket[sandbox]'"
    ) from None

from target_amplemarket.sandbox.app import create_app
from target_amplemarket.sandbox.faults import Fault
from target_amplemarket.sandbox.server import RunningSandbox, running_sandbox, serve
from target_amplemarket.sandbox.switch_values import switches_from
from target_amplemarket.sandbox.switches import Switches

__all__ = ["Fault", "RunningSandbox", "Switches", "create_app", "running_sandbox", "serve", "switches_from"]
