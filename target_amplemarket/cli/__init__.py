"""The command line: bare, it is the Singer target; with a word, a command of its own.

`program` says which module has which command. `options` has what commands ask alike; `tables` and `progress` have what
they show on a terminal.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import os
import resource
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Final, NoReturn

import click

_NAME: Final = "target-amplemarket"
_M_ARENA_MAX: Final = -8  # of malloc.h


def main() -> None:
    """Entry point of the console script."""
    if sys.platform == "linux":
        _give_memory_back()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: else its threads spin, without work
    if importlib.util.find_spec("dateutil") is None:  # Arrow asks for it at every conversion, and looks far and wide
        sys.modules["dateutil"] = None  # type: ignore[assignment]  # says at once that it is not there
    with start_up():
        from target_amplemarket.cli.program import make_cli
    sys.excepthook = _say_where
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the key and people's data
    try:
        make_cli()(prog_name=_NAME)
    except SystemExit as end:
        if any(thread.name.startswith("delivery") for thread in threading.enumerate()):
            _leave_at_once(end.code)
        raise
    finally:
        gc.freeze()  # the process ends, and gives back all it has: no garbage is looked for on the way


@contextlib.contextmanager
def start_up() -> Iterator[None]:
    """Imports, whose objects stay: looking for garbage among them takes a tenth of their time, and as much later on."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _give_memory_back() -> None:
    """Before Arrow is imported and before there are threads: what each of them keeps was a third of a run's memory."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "dirty_decay_ms:200,muzzy_decay_ms:0")  # else seconds
    with contextlib.suppress(AttributeError):  # only glibc has it, and gives each thread memory of its own
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _say_where(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    """A fault of the program: where, and of which kind; what a library says of it may hold a value of a record."""
    places = [
        f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in traceback.extract_tb(trace)
    ]
    causes = [type(cause).__name__ for cause in (fault.__cause__, fault.__context__) if cause is not None]
    of = f" (from {causes[0]})" if causes else ""
    click.echo("\n".join([f"{_NAME}: a fault of the program:", *places, f"{kind.__name__}{of}"]), err=True)


def _leave_at_once(code: str | int | None) -> NoReturn:
    """After a signal, a call that never ends must not keep the process: what it sent is in the outbox."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 1)
