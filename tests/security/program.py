"""The program with planted values in its settings and its input, and a server that repeats whatever it is told."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.harness import as_bytes, record, schema, state
from tests.security.planted import KEY, leaks, planted

OWNER = "dana@northwind.example"
DEBUG = {
    "LOGLEVEL": "DEBUG",
    "TARGET_AMPLEMARKET_LOGLEVEL": "DEBUG",
    "HTTPX_LOG_LEVEL": "trace",
    "PYTHONTRACEMALLOC": "1",
}


def people() -> list[dict[str, Any]]:
    """Records with a planted value in every member, in names of members too; accepted, duplicate and rejected ones."""
    names = ("email", "linkedin_url", "title", "company", "website", "owner_mail", "note", "nested", planted("member"))
    whole = {
        "email": f"{planted('email')}@acme.example",
        "linkedin_url": f"https://www.linkedin.com/in/{planted('slug')}",
        "title": planted("title"),
        "company": planted("company"),
        "website": f"https://{planted('site')}.example/about",
        "owner_mail": f"{planted('owner')}@northwind.example",
        "note": planted("note"),
        "nested": {planted("inner"): [planted("deep")]},
        planted("member"): planted("value"),
    }
    bad = {"email": planted("at"), "linkedin_url": f"https://linkedin.com/school/{planted('school')}", "title": None}
    odd = whole | {"email": f"{planted('odd')}@acme.example", "linkedin_url": None, "note": 5e-324}
    return [
        schema("people", *names),
        record("people", id=planted("key-1"), **whole),
        record("people", id=planted("key-2"), **whole),
        record("people", id=planted("key-3"), **(whole | bad)),
        record("people", id=planted("key-4"), **odd),
        record("people", id={planted("key"): 5}, **(odd | {"email": [planted("list")], "title": {"a": planted("t")}})),
    ]


def lines() -> bytes:
    """The records, then a record that only a lenient reader takes, then a STATE."""
    broken = '{"type":"RECORD","stream":"people","record":{"id":"%s","email":"%s","x":NaN}}\n'
    return as_bytes(people()) + (broken % (planted("nan-key"), planted("nan"))).encode() + as_bytes([state({"at": 7})])


@dataclass(frozen=True, slots=True)
class Told:
    """What a run said and left behind."""

    exit_code: int
    out: str
    err: str
    folder: Path

    def leaks(self) -> list[str]:
        """Planted values in output, STATE, summaries and names of files: everywhere but in result rows and outbox."""
        texts = [self.out, self.err, *(str(path) for path in self.folder.rglob("*"))]
        summaries = self.folder.glob("runs/*.json")
        texts += [path.read_text(encoding="utf-8") for path in [*summaries, *self.folder.glob("account.json")]]
        return [leak for text in texts for leak in leaks(text)]


@dataclass
class Program:
    """Runs it in forks of a worker."""

    folder: Path
    base_url: str
    worker: subprocess.Popen[bytes]
    runs: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = {
            "api_key": KEY, "owner": OWNER, "base_url": self.base_url, "results_path": str(self.folder / "results"),
            "requests_per_minute": 100_000, "settle_seconds": 0, "request_timeout_seconds": 2, "results_record": "all",
            "owner_field": "owner_mail", "extra_fields": ["*"],
        }  # fmt: skip

    def __call__(
        self,
        *arguments: str,
        given: bytes | None = None,
        breaks: str = "",
        signal_number: int | None = None,
        environment: dict[str, str] | None = None,
        **changed: Any,
    ) -> Told:
        self.runs += 1
        place = self.folder / f"run-{self.runs}"
        place.mkdir()
        config = place / "settings.json"
        config.write_text(json.dumps(self.settings | changed), encoding="utf-8")
        (place / "in").write_bytes(lines() if given is None else given)
        if signal_number is not None:  # input that does not end
            (place / "in").unlink()
            os.mkfifo(place / "in")
        self._request(place, [*arguments, "--config", str(config)], environment or {}, breaks)
        process_id = int(self._answer())
        try:
            if signal_number is not None:
                self._stop(place, process_id, signal_number)
            code = int(self._answer())
        except AssertionError:  # the worker takes no further request while this one runs
            os.kill(process_id, signal.SIGKILL)
            self._answer()
            raise
        told = {name: (place / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err")}
        return Told(code, told["out"], told["err"], Path(self.settings["results_path"]))

    def _request(self, place: Path, arguments: list[str], environment: dict[str, str], breaks: str) -> None:
        assert self.worker.stdin is not None
        request = {
            "arguments": arguments, "environment": DEBUG | environment, "break": breaks,
            "stdin": str(place / "in"), "stdout": str(place / "out"), "stderr": str(place / "err"),
        }  # fmt: skip
        self.worker.stdin.write(json.dumps(request).encode() + b"\n")
        self.worker.stdin.flush()

    def _answer(self) -> bytes:
        assert self.worker.stdout is not None
        ready, _, _ = select.select([self.worker.stdout], [], [], 60)
        assert ready, "the run does not end"
        return self.worker.stdout.readline()

    def _stop(self, place: Path, process_id: int, signal_number: int) -> None:
        with (place / "in").open("r+b", buffering=0) as pipe:
            pipe.write(lines())
            until(lambda: list(self.folder.glob("results/runs/*.json")))
            os.kill(process_id, signal_number)


def until(holds: Any, wait_s: float = 20) -> None:
    """Wait for another process."""
    end_s = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < end_s
        threading.Event().wait(0.02)


@contextmanager
def started_worker() -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "tests.security.worker"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as worker:
        try:
            yield worker
        finally:
            assert worker.stdin is not None
            worker.stdin.close()
            worker.wait(timeout=20)


class Echo(BaseHTTPRequestHandler):
    """Answers a create call by repeating request, key and planted values wherever an answer has room for them."""

    status = 400
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        rows = {"users": [{"id": "1", "email": OWNER}], "id": "acc-1", "name": "Northwind"}
        listing = {"lead_lists": [{"id": planted("id!"), "name": planted("name"), "url": planted("url")}]}
        self._say(200, rows | listing | {"excluded_emails": [], "excluded_domains": []})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        error = {
            "code": planted("code"), "title": sent, "detail": f"{self.headers['Authorization']} {sent}", "status": sent,
            "source": {"pointer": f"/leads/0/{planted('pointer')}", "parameter": planted("parameter")},
        }  # fmt: skip
        self._say(self.status, {"_errors": [error, sent], planted("member"): sent, "message": sent})

    def _say(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status, planted("reason"))
        for name in ("X-Echo", "WWW-Authenticate", "Location", "Set-Cookie", "Retry-After", "Content-Type"):
            self.send_header(name, planted(name))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def echo(status: int) -> Iterator[str]:
    """A server that answers create calls with this status."""
    handler = type("Echo", (Echo,), {"status": status})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def worker() -> Iterator[subprocess.Popen[bytes]]:
    with started_worker() as running:
        yield running


SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
