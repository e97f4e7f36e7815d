"""Several lists under way at once, in threads; what came of them is taken back in the caller's thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Final

from target_amplemarket.delivery.deliver import Delivery, Sender, deliver
from target_amplemarket.lists.lead_list import LeadList

MAX_SETTLING: Final = 16
"""How many lists may wait for their question to be asked, beside those being sent; bounds memory."""


class InFlight:
    """At most `most` lists being sent at once; lists that wait for an answer by asking give their place up.

    Args:
        sender: Shared by all of them.
        most: `max_in_flight`.
    """

    def __init__(self, sender: Sender, most: int) -> None:
        self._sender = sender
        self._most = most
        self._threads = ThreadPoolExecutor(most + MAX_SETTLING, thread_name_prefix="delivery")
        self._under_way: set[Future[Delivery]] = set()
        self._slots = threading.Semaphore(most)
        self._settling_count = 0
        self._counting = threading.Lock()
        self._changed = threading.Event()

    def submit(self, lead_list: LeadList) -> Iterator[Delivery]:
        """Start sending a list; when all places are taken, wait for one and yield what finished meanwhile.

        The list goes out once the iterator has been read to its end, so that what is yielded can still forbid it.
        """
        while not self._has_place():
            self._changed.wait()
            self._changed.clear()
            yield from self.finished()
        future = self._threads.submit(self._deliver, lead_list)
        self._under_way.add(future)
        future.add_done_callback(lambda _: self._changed.set())

    def _has_place(self) -> bool:
        with self._counting:
            sending = len(self._under_way) - self._settling_count
        return sending < self._most and len(self._under_way) < self._most + MAX_SETTLING

    def _deliver(self, lead_list: LeadList) -> Delivery:
        with self._slots:
            return deliver(lead_list, self._sender, self._settling)

    @contextmanager
    def _settling(self) -> Iterator[None]:
        self._count_settling(1)
        self._slots.release()
        try:
            yield
        finally:
            self._slots.acquire()
            self._count_settling(-1)

    def _count_settling(self, change: int) -> None:
        with self._counting:
            self._settling_count += change
        self._changed.set()

    @property
    def is_busy(self) -> bool:
        """Whether a list is under way or was not handed out yet."""
        return bool(self._under_way)

    def finished(self) -> Iterator[Delivery]:
        """What has finished by now."""
        yield from self._take({future for future in self._under_way if future.done()})

    def drain(self, *, most_s: float | None = None) -> Iterator[Delivery]:
        """Wait for everything that is under way, `most_s` seconds at most for each that finishes."""
        while self._under_way:
            done = wait(self._under_way, most_s, return_when=FIRST_COMPLETED).done
            if not done:
                return
            yield from self._take(done)

    def close(self) -> None:
        """Give the threads back; what is still under way is left to itself, with its outbox file as its witness."""
        self._threads.shutdown(wait=not self._under_way, cancel_futures=True)

    def _take(self, done: set[Future[Delivery]]) -> Iterator[Delivery]:
        for future in done:
            self._under_way.discard(future)
            yield future.result()
