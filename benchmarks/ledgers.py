"""Results folders of accounts that have sent millions: result files as the program writes them, made up.

The rows are what the program leaves for leads that were accepted, through its own schema and file format, the
fingerprints being random bytes. Made by a process of its own: `python -m benchmarks.ledgers LEADS LEADS_PER_FILE`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.places import CACHE, ROOT, python_of

FILES_PER_RUN: Final = 50
VERSION: Final = 1
_FIRST_RUN: Final = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
_PROFILES, _EMAILS = 0.80, 0.95  # shares of leads, as in `people`


def made_ledger(lead_count: int, leads_per_file: int) -> Path:
    """A results folder with so many accepted leads, made now unless it is there. It is to be copied, not run on."""
    folder = CACHE / "ledgers" / f"{lead_count}-by-{leads_per_file}-v{VERSION}"
    if not folder.exists():
        command = [str(python_of()), "-m", "benchmarks.ledgers", str(lead_count), str(leads_per_file), str(folder)]
        subprocess.run(command, cwd=ROOT, check=True)
    return folder


def copy_ledger(folder: Path, to: Path) -> None:
    """Copy by linking files: the program replaces and removes files, but never writes into one that is there."""
    shutil.copytree(folder, to, copy_function=os.link)


# --- Making -----------------------------------------------------------------------------------------------------------


def _make(lead_count: int, leads_per_file: int, folder: Path) -> None:
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True, mode=0o700)
    (new / "key").write_bytes(bytes(range(32)))
    for file_no, first in enumerate(range(0, lead_count, leads_per_file)):
        run_no, number = divmod(file_no, FILES_PER_RUN)
        run_id = f"{_FIRST_RUN + timedelta(hours=run_no):%Y%m%dT%H%M%S%f}Z-{run_no:06x}"
        path = new / "results" / run_id / f"{number + 1:06d}.arrow"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(_content(run_id, number, first, min(leads_per_file, lead_count - first)))
    new.rename(folder)


def _content(run_id: str, number: int, first: int, count: int) -> bytes:
    import pyarrow as pa

    from target_amplemarket.results.schema import conform
    from target_amplemarket.storage.arrow import arrow_file

    def same(value: object) -> Any:
        return pa.repeat(pa.scalar(value), count)

    recorded_at = pa.scalar(_FIRST_RUN, pa.timestamp("us", tz="UTC"))
    columns = {
        "run_id": same(run_id),
        "stream": same("contacts"),
        "record_no": pa.array(range(number * count + 1, (number + 1) * count + 1), pa.int64()),
        "record_key": pa.array([json.dumps({"Id": f"003{at:015d}"}) for at in range(first, first + count)]),
        "status": same("accepted"),
        "http_status": same(202),
        "list_type": same("linkedin"),
        "list_name": same(f"contacts 2026-01-05 part {number + 1} [{first:012d}]"),
        "list_id": same(f"0193f0a0-0000-7000-9000-{first:012x}"),
        "list_position": pa.array(range(count), pa.int32()),
        "attempt": same(1),
        "linkedin_fingerprint": _fingerprints(count, 0, round(count * _PROFILES)),
        "email_fingerprint": _fingerprints(count, 0, round(count * _EMAILS)),
        "title_company_fingerprint": _fingerprints(count, round(count * _EMAILS), count),
        "version_fingerprint": _fingerprints(count, 0, count),
        "recorded_at": pa.repeat(recorded_at, count),
    }
    return arrow_file(conform(columns, count))


def _fingerprints(count: int, begin: int, end: int) -> Any:
    """Random ones from `begin` to `end`, null elsewhere."""
    import pyarrow as pa

    kind = pa.binary(16)
    random = pa.FixedSizeBinaryArray.from_buffers(
        kind, end - begin, [None, pa.py_buffer(os.urandom(16 * (end - begin)))]
    )
    return pa.concat_arrays([pa.nulls(begin, kind), random, pa.nulls(count - end, kind)])


if __name__ == "__main__":
    _make(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
