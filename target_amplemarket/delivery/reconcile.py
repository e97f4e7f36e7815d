"""Asking whether a list arrived: late enough that it is in sight if it ever will be, and twice before believing not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from target_amplemarket.clock import Clock
from target_amplemarket.services.protocol import Absent, CannotAsk, Confirmation, Found


def reconcile(
    markers: Iterable[str], look: Callable[[str], Confirmation], clock: Clock, stop: threading.Event, *, settle_s: float
) -> dict[str, Confirmation]:
    """Find out whether lists whose answers were lost are in the account.

    Waits `settle_s` (a server may commit after the client gave up, and a listing may lag), asks for each marker; asks
    for those that are absent, or lack leads, once more half a settle later. A stop ends the waiting.

    Args:
        markers: Of the lists; nothing of them may have been sent since the call.
        look: Asks for one of them.
        clock: For waiting.
        stop: Once set, what is not known by then is `CannotAsk`.
        settle_s: Longer than commit lag and listing lag of the server together.
    """
    answers: dict[str, Confirmation] = {marker: Absent() for marker in markers}
    for pause_s in (settle_s, settle_s / 2):
        open_markers = [marker for marker, answer in answers.items() if _lacks_something(answer)]
        if open_markers:
            clock.sleep(pause_s, stop)
        for marker in open_markers:
            answers[marker] = CannotAsk("stopped") if stop.is_set() else look(marker)
    return answers


def _lacks_something(answer: Confirmation) -> bool:
    return isinstance(answer, Absent) or (isinstance(answer, Found) and not answer.is_whole)
