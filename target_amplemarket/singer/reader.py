"""The singer-sdk face of the reader: blocks of bytes in place of one dict a line."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any

from singer_sdk.singerlib.encoding.base import GenericSingerReader

if TYPE_CHECKING:
    from target_amplemarket.singer.messages import Expected, Message
    from target_amplemarket.singer.stop import StopRequest

IDLE_S = 1.0
"""How long to wait for input before waiting work gets its turn."""


class BlockReader(GenericSingerReader[bytes]):
    """Reads Singer messages in blocks and hands them to `consume`, which the target sets."""

    consume: Callable[[Callable[[StopRequest, Expected], Iterator[Message]]], None]

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input as it is at the time of reading."""
        return sys.stdin.buffer

    def process_lines(
        self,
        file_input: IO[Any] | None,
        callbacks: dict[str, Callable[[dict[str, Any]], None]],  # noqa: ARG002  # messages do not come one by one
    ) -> Counter[str]:
        """Read to the end of the input; returns the number of messages by type."""
        from target_amplemarket.singer.lines import read_lines  # what only a run needs does not slow `--about` down
        from target_amplemarket.singer.messages import read_messages

        counts: Counter[str] = Counter()
        source = file_input or self.default_input
        self.consume(lambda stop, expected: read_messages(read_lines(source, stop, idle_s=IDLE_S), counts, expected))
        return counts

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Not used: lines are decoded in blocks."""
        raise NotImplementedError
