"""Runs of the target in processes that may die: reads requests, one JSON object a line, and forks for each.

Forking a process that has everything imported makes a run cost a tenth of a second, so that every effect of a run can
be tried. The process holds no thread when it forks.
"""

from __future__ import annotations

import functools
import io
import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from target_amplemarket import runner
from target_amplemarket.config import read_settings
from target_amplemarket.errors import TargetError
from target_amplemarket.leads.company import _suffixes
from target_amplemarket.services import open_service
from target_amplemarket.singer.lines import read_lines
from target_amplemarket.singer.messages import Expected, Message, read_messages
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.storage.durable import Folder
from tests.crash.effects import VIOLATED, CountedService, Effects, Plan
from tests.crash.planted import ADDING, PLANTED


def main() -> None:
    """Serve requests until there are no more."""
    _suffixes()  # read once here rather than in every run
    for line in sys.stdin.buffer:
        process_id = os.fork()
        if process_id == 0:
            _run(json.loads(line))
        _, status = os.waitpid(process_id, 0)
        sys.stdout.write(json.dumps({"exit": os.waitstatus_to_exitcode(status)}) + "\n")
        sys.stdout.flush()


def _run(request: dict[str, Any]) -> NoReturn:
    code = 1
    try:
        settings = request["settings"]
        effects = Effects(
            Path(settings["results_path"]), Plan(**request["plan"]), Path(request["report"]), Path(request["states"])
        )
        code = _execute(settings, request["messages"].encode(), effects, request["planted"])
    except BaseException:  # the parent has no other way to hear of it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _execute(settings: dict[str, Any], messages: bytes, effects: Effects, planted: str | None) -> int:
    runner.Folder = functools.partial(Folder, system=effects)  # type: ignore[misc,assignment]  # `execute` takes none
    runner.open_service = lambda *given: CountedService(open_service(*given), effects)  # type: ignore[assignment]
    if planted is not None:
        (PLANTED | ADDING)[planted](effects)

    def read(stop: StopRequest, expected: Expected) -> Iterator[Message]:
        return read_messages(read_lines(io.BytesIO(messages), stop, idle_s=0.01), Counter(), expected)

    error, code = None, 0
    try:
        runner.execute(read_settings(settings), runner.Input(read, effects.emit), report=lambda _: None)
    except TargetError as stopped:
        error, code = str(stopped), stopped.exit_code
    except Exception:
        error, code = traceback.format_exc(), 1
    effects.report(error)
    return VIOLATED if effects.violations else code


if __name__ == "__main__":
    main()
