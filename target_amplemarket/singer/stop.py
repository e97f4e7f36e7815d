"""Signals only set a flag; whoever reads or waits looks at it between steps."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _PipeEvent(threading.Event):
    """An event that a signal handler can set.

    `threading.Event` takes a lock to be set, and the thread that the signal interrupts may be holding it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False
        self._read_end, self._write_end = os.pipe()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        if not self._is_set:
            self._is_set = True
            os.write(self._write_end, b"!")  # never read, so the pipe stays readable for all who wait

    def clear(self) -> None:
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            select.select([self._read_end], [], [], timeout)
        return self._is_set

    def fileno(self) -> int:
        return self._read_end

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self._write_end)


class StopRequest:
    """A wish to stop: an event for whoever waits, a descriptor for whoever selects."""

    def __init__(self) -> None:
        self.event = _PipeEvent()
        self.signal_number: int | None = None

    def request(self, signal_number: int) -> None:
        """Ask the run to stop; the first wish counts. Takes no lock, so that a signal handler may call it."""
        if self.signal_number is None:
            self.signal_number = signal_number
        self.event.set()

    def fileno(self) -> int:
        """Readable once a stop is wished for."""
        return self.event.fileno()

    def close(self) -> None:
        self.event.close()

    @contextmanager
    def on_signals(self) -> Iterator[StopRequest]:
        """SIGTERM and SIGINT set the flag while this lasts; in a thread other than the main one nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._take) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python

    def _take(self, signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the signal API's signature
        if self.signal_number is None:
            self.request(signal_number)
        else:  # a second signal: nothing may hold the process back, and what is in the folder is enough to go on from
            os._exit(128 + signal_number)
