"""Several lists under way at once, in threads; what came of them is taken back in the caller's thread."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from target_amplemarket.delivery.deliver import Delivery, Sender, deliver
from target_amplemarket.lists.lead_list import LeadList


class InFlight:
    """At most `most` lists at once.

    Args:
        sender: Shared by all of them.
        most: `max_in_flight`.
    """

    def __init__(self, sender: Sender, most: int) -> None:
        self._sender = sender
        self._most = most
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="delivery")
        self._under_way: set[Future[Delivery]] = set()

    def submit(self, lead_list: LeadList) -> Iterator[Delivery]:
        """Start sending a list; when all places are taken, wait for one and yield what finished meanwhile.

        The list goes out once the iterator has been read to its end, so that what is yielded can still forbid it.
        """
        while len(self._under_way) >= self._most:
            yield from self._take(wait(self._under_way, return_when=FIRST_COMPLETED).done)
        self._under_way.add(self._threads.submit(deliver, lead_list, self._sender))

    @property
    def is_busy(self) -> bool:
        """Whether a list is under way or was not handed out yet."""
        return bool(self._under_way)

    def finished(self) -> Iterator[Delivery]:
        """What has finished by now."""
        yield from self._take({future for future in self._under_way if future.done()})

    def drain(self) -> Iterator[Delivery]:
        """Wait for everything that is under way."""
        while self._under_way:
            yield from self._take(wait(self._under_way, return_when=FIRST_COMPLETED).done)

    def close(self) -> None:
        """Give the threads back; call `drain` before."""
        self._threads.shutdown()

    def _take(self, done: set[Future[Delivery]]) -> Iterator[Delivery]:
        for future in done:
            self._under_way.discard(future)
            yield future.result()
