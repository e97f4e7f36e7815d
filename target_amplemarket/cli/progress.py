"""How far a run is, on a terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from target_amplemarket.results.books import Books


@contextlib.contextmanager
def push_progress(total: int | None) -> Iterator[Callable[[Books], None] | None]:
    """A bar on a terminal, which counts what the books count; elsewhere the log says how far the run is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeElapsedColumn

    counts = "{task.completed:,.0f} read, {task.fields[accepted]:,} accepted, {task.fields[rate]:,.0f} a second"
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield None
        return

    class Bar(Progress):
        books: Books | None = None

        def get_renderables(self) -> Iterator[RenderableType]:
            if (books := self.books) is not None:
                for task in self.tasks:
                    with contextlib.suppress(RuntimeError):  # the run counts on in its own thread
                        read, accepted = books.record_count, books.by_status().get("accepted", 0)
                        self.update(task.id, completed=read, accepted=accepted, rate=read / max(task.elapsed or 0, 0.1))
            yield from super().get_renderables()

    with (
        Bar(BarColumn(), counts, TimeElapsedColumn(), console=console, transient=True, redirect_stdout=False) as bar,
        _log_above(),
    ):
        bar.add_task("push", total=total, accepted=0, rate=0.0)
        yield lambda books: setattr(bar, "books", books)


@contextlib.contextmanager
def _log_above() -> Iterator[None]:
    """While a bar is shown it stands in for standard error, and writes the log above itself."""
    handlers = [h for h in logging.getLogger().handlers if isinstance(h, logging.StreamHandler)]
    handlers = [h for h in handlers if h.stream is sys.__stderr__]
    streams = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream or sys.__stderr__)
