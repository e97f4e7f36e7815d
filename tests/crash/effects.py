"""Every effect of a run, counted: the process dies, the power goes, or the disk fails at one of them.

`Effects` stands where `os` stands for the results folder. It also knows what of the folder would survive a power cut: a
file's bytes after fsync of the file, a name after fsync of its folder. Everything else is undone when the power goes.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pyarrow as pa

from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.results.schema import RESULTS
from target_amplemarket.services.protocol import ListRequest, Outcome, Service
from target_amplemarket.services.replies import Reply
from target_amplemarket.storage.arrow import arrow_table
from target_amplemarket.storage.durable import Folder

KILLED = 137
VIOLATED = 99
STORAGE = ("open", "write", "fsync", "replace", "unlink", "mkdir")


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens at which effect.

    Attributes:
        at: Number of the effect, from 1; 0 for never. For the errors only calls of the storage are counted.
        how: `before`, `after` and `torn` kill the process (`torn`: half of a write is done); `power` kills it and
            undoes what is not durable; `error` makes the call fail; `short` makes a write take half of its bytes.
        error: Name of the error number.
        is_lasting: Every later call fails too.
        only: Count only effects of this label; the order of effects in different threads is not the same in every run.
    """

    at: int = 0
    how: str = "before"
    error: str = "EIO"
    is_lasting: bool = False
    only: str = ""


class Effects:
    """The operating system, the service and standard output of one run, as far as they change anything."""

    def __init__(self, root: Path, plan: Plan, report: Path, states: Path) -> None:
        self.root = root
        self.plan = plan
        self.labels: list[str] = []
        self.violations: list[str] = []
        self._report = report
        self._states = os.open(states, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._storage_count = 0
        self._lock = threading.RLock()
        self._paths: dict[int, Path] = {}
        self._unsynced: set[Path] = set()  # files whose bytes are not durable
        self._undo: list[tuple[Path, Path, Callable[[], None]]] = []  # folder, name, how to undo what is not durable

    # --- Counting and dying -------------------------------------------------------------------------------------------

    @contextmanager
    def _effect(self, label: str, torn: Callable[[], object] | None = None) -> Iterator[None]:
        with self._lock:
            self.labels.append(label)
            number = len(self.labels) if not self.plan.only else self.labels.count(label) * (label == self.plan.only)
            is_it = number == self.plan.at > 0 and self.plan.how not in {"error", "short"}
            if is_it:
                self._die_early(torn)
        yield
        if is_it:
            self.die()

    def _die_early(self, torn: Callable[[], object] | None) -> None:
        if self.plan.how == "before":
            self.die()
        if self.plan.how == "power":
            self._cut_power()
            self.die()
        if self.plan.how == "torn" and torn is not None:
            torn()
            self.die()

    def die(self, code: int = KILLED) -> NoReturn:
        """End as kill -9 does: no handler, no clean-up, no other thread gets any further."""
        with self._lock:
            self.report(None)
            os._exit(code)

    def report(self, error: str | None) -> None:
        """Leave word for the test."""
        said = {"labels": self.labels, "violations": self.violations, "error": error}
        self._report.write_text(json.dumps(said), encoding="utf-8")

    def _violate(self, what: str) -> None:
        self.violations.append(what)

    # --- Storage ------------------------------------------------------------------------------------------------------

    def open(self, path: Path, flags: int, mode: int = 0o777, /) -> int:
        self._maybe_fail()
        with self._lock, self._effect(f"open {self._place(path)}"):
            descriptor = os.open(path, flags, mode)
            self._paths[descriptor] = path
            if flags & os.O_CREAT:
                self._unsynced.add(path)
                self._undo.append((path.parent, path, lambda: path.unlink(missing_ok=True)))
            return descriptor

    def write(self, descriptor: int, content: memoryview, /) -> int:
        is_short = self._maybe_fail()
        half = content[: max(1, len(content) // 2)]
        with (
            self._lock,
            self._effect(f"write {self._place(self._paths[descriptor])}", lambda: os.write(descriptor, half)),
        ):
            return os.write(descriptor, half if is_short else content)

    def fsync(self, descriptor: int, /) -> None:
        self._maybe_fail()
        path = self._paths[descriptor]
        with self._lock, self._effect(f"fsync {self._place(path)}"):
            if path.is_dir():
                self._undo = [entry for entry in self._undo if entry[0] != path]
            else:
                self._unsynced.discard(path)

    def close(self, descriptor: int, /) -> None:
        self._paths.pop(descriptor, None)
        os.close(descriptor)

    def replace(self, source: Path, target: Path, /) -> None:
        self._maybe_fail()
        with self._lock, self._effect(f"replace {self._place(target)}"):
            before = target.read_bytes() if target.exists() else None
            source.replace(target)
            if source in self._unsynced:
                self._unsynced.discard(source)
                self._unsynced.add(target)

            def undo() -> None:
                if target.exists():
                    target.replace(source)
                if before is not None:
                    target.write_bytes(before)

            self._undo.append((target.parent, target, undo))

    def unlink(self, path: Path, /) -> None:
        self._maybe_fail()
        with self._lock, self._effect(f"unlink {self._place(path)}"):
            before = path.read_bytes()
            path.unlink()
            self._undo.append((path.parent, path, lambda: _write(path, before)))

    def mkdir(self, path: Path, mode: int = 0o777, /) -> None:
        self._maybe_fail()
        with self._lock, self._effect(f"mkdir {self._place(path)}"):
            path.mkdir(mode)
            self._undo.append((path.parent, path, lambda: shutil.rmtree(path, ignore_errors=True)))

    def _maybe_fail(self) -> bool:
        """Count a storage call and let it fail if it is its turn; returns whether a write is to be short."""
        with self._lock:
            self._storage_count += 1
            is_turn = self._storage_count == self.plan.at
            is_turn |= self.plan.is_lasting and self._storage_count > self.plan.at > 0
        if is_turn and self.plan.how == "error":
            number = getattr(errno, self.plan.error)
            raise OSError(number, os.strerror(number))
        return is_turn and self.plan.how == "short"

    def _cut_power(self) -> None:
        for path in self._unsynced:
            if path.exists():
                os.truncate(path, path.stat().st_size // 2)
        for _, _, undo in reversed(self._undo):
            undo()

    def _place(self, path: Path) -> str:
        inside = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else ".."
        kind = "temporary " if path.suffix == ".tmp" else ""
        return kind + re.sub(r"/.*", "/*", inside.split(".")[0] or inside)

    def is_durable(self, path: Path) -> bool:
        """Whether the file would be there, whole, after a power cut now."""
        with self._lock:
            touched = {name for _, name, _ in self._undo} | self._unsynced
            return path.exists() and touched.isdisjoint({path, *path.parents})

    # --- The service --------------------------------------------------------------------------------------------------

    def send(self, inner: Callable[[bytes], Outcome], body: bytes, *, adds_to_lists: bool) -> Outcome:
        """Send leads; what that would leave behind has to be durable in the outbox."""
        self._check_outbox(msgspec.json.decode(body), None if adds_to_lists else hashlib.sha256(body).hexdigest())
        return inner(body)

    def write_call(self, inner: Callable[..., Reply], *given: Any, **named: Any) -> Reply:
        """Make one call that changes something at the API."""
        with self._effect("send"):
            return inner(*given, **named)

    def _check_outbox(self, document: dict[str, Any], body_sha256: str | None) -> None:
        """The file is that of the body; where several calls fill the list, it holds every lead of this one."""
        name = document["name"]
        marker = re.findall(r"\[(\w+)\]$", name)[0]
        files = list((self.root / "outbox").glob(f"*-{marker}.arrow"))
        if not files or not self.is_durable(files[0]):
            self._violate("sent without a durable outbox file")
            return
        # Just this file: those of lists that are recorded meanwhile go away.
        entry = Outbox(Folder(self.root), "")._read(f"outbox/{files[0].name}")
        if body_sha256 is not None and entry.intent.body_sha256 != body_sha256:
            self._violate("the outbox file is of another body")
        if body_sha256 is None and not _people_of(document) <= set(entry.leads.column("email").to_pylist()):
            self._violate("the outbox file lacks leads of the body")

    # --- Standard output ----------------------------------------------------------------------------------------------

    def emit(self, value: bytes) -> None:
        """Let a STATE leave; every record that it covers has to have a durable row."""
        position = msgspec.json.decode(value)["position"]
        missing = set(range(1, position + 1)) - self._durable_ids()
        if missing:
            self._violate(f"STATE {position} ahead of the rows of {sorted(missing)}")
        with self._effect("emit"):
            os.write(self._states, value + b"\n")

    def _durable_ids(self) -> set[int]:
        ids: set[int] = set()
        for file in (self.root / "results").glob("*/*.arrow"):
            if self.is_durable(file):
                rows = arrow_table(file.read_bytes(), RESULTS)
                ids |= recorded_ids(rows)
        return ids


def recorded_ids(rows: pa.Table) -> set[int]:
    """Ids of the records whose end is known."""
    pairs = zip(rows.column("record_key").to_pylist(), rows.column("status").to_pylist(), strict=True)
    return {int(json.loads(key)["id"]) for key, status in pairs if status != "held"}


def _people_of(document: dict[str, Any]) -> set[str]:
    return {person["emails"][0] for person in document["prospects"]}


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


class CountedService:
    """A service whose every call that changes something is an effect."""

    def __init__(self, inner: Service, effects: Effects) -> None:
        self._inner = inner
        self._effects = effects
        calls: Any = inner._calls  # type: ignore[attr-defined]  # every service that is shipped has them
        calls.write = functools.partial(effects.write_call, calls.write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def encode(self, request: ListRequest, leads: pa.Table) -> bytes:
        return self._inner.encode(request, leads)

    def send(self, body: bytes) -> Outcome:
        return self._effects.send(self._inner.send, body, adds_to_lists=self._inner.adds_to_lists)
