"""Singer target that brings leads into Amplemarket and Lance lead lists: nothing sent twice, nothing lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_amplemarket.frames import push
    from target_amplemarket.results.reader import read_results

__all__ = ["push", "read_results"]


def __getattr__(name: str) -> object:
    """Import the public functions when they are first asked for, so that the command starts quickly."""
    if name == "push":
        from target_amplemarket.frames import push

        return push
    if name == "read_results":
        from target_amplemarket.results.reader import read_results

        return read_results
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
