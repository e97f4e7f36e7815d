"""A PostgreSQL of its own for a test: Debian's programs, a folder of its own, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ACCOUNT = "postgres"  # the server refuses to be run by root


@dataclass(frozen=True)
class Postgres:
    """A server that trusts whoever comes from this machine."""

    programs: Path
    port: int

    def query(self, sql: str) -> list[list[str]]:
        """Rows as text."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", _ACCOUNT]
        words = [self.programs / "psql", *where, "-AtF", "\t", "-c", sql]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]


def programs() -> Path | None:
    """Where `initdb` and `postgres` are, on Debian or on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


@contextlib.contextmanager
def running_postgres(where: Path) -> Iterator[Postgres]:
    """Serve on 127.0.0.1 for as long as the `with` block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    account: dict[str, Any] = {"user": _ACCOUNT, "group": _ACCOUNT, "extra_groups": []} if os.geteuid() == 0 else {}
    if account:
        shutil.chown(folder, _ACCOUNT)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cluster = folder / "cluster"
    try:
        words: list[str | Path] = [where / "initdb", "-D", cluster, "-A", "trust", "-U", _ACCOUNT, "--no-sync"]
        subprocess.run(words, check=True, capture_output=True, cwd=folder, **account)
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = [where / "pg_ctl", "-D", cluster, "-w", "-l", folder / "log"]
        starts = [*control, "-o", options, "start"]
        subprocess.run(starts, check=True, stdout=subprocess.DEVNULL, cwd=folder, **account)
        try:
            yield Postgres(where, port)
        finally:
            ends = [*control, "-m", "immediate", "stop"]
            subprocess.run(ends, check=True, capture_output=True, cwd=folder, **account)
    finally:
        shutil.rmtree(folder)
