"""Where the key comes from, and what happens once it is no longer accepted; with real commands and real sockets."""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from target_amplemarket.errors import ApiUnreachable, RefusedByApi, SettingsError
from target_amplemarket.services import credentials
from target_amplemarket.services.calls import Calls
from target_amplemarket.services.credentials import Credentials, credentials_of, fixed
from target_amplemarket.services.http import HttpCaller
from target_amplemarket.services.protocol import CannotAsk, NotSent, Unknown
from target_amplemarket.services.replies import Answer
from tests.services.opened import opened, settings_of, surroundings

Serve = Callable[..., Any]
Open = Callable[..., HttpCaller]
OLD, NEW = "old_canary_0123456789", "new_canary_9876543210"


def python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


def printing(path: Path) -> str:
    """A command that prints what is in a file."""
    return python(f"print(open({str(path)!r}).read())")


def from_command(code: str) -> Credentials:
    return credentials_of(settings_of("amplemarket", api_key_command=python(code)))


@pytest.fixture(params=["api_key_file", "api_key_command"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, str], Path]:
    """Settings that take the key from a file, one way or the other, and the file."""
    path = tmp_path / "key"
    path.write_text(f"\n {OLD}\t\r\n")
    return {request.param: str(path) if request.param == "api_key_file" else printing(path)}, path


@pytest.fixture
def caller() -> Iterator[Open]:
    made: list[HttpCaller] = []

    def make(base_url: str, key: Credentials) -> HttpCaller:
        made.append(HttpCaller(credentials=key, base_url=base_url, request_timeout_s=5))
        return made[-1]

    yield make
    for one in made:
        one.close()


def accepting(*keys: str, status: int = 200) -> Callable[[Any], None]:
    """Answers every request that has one of the keys, and refuses the others."""

    def script(connection: Any) -> None:
        while head := connection.read_request():
            key = re.search(rb"Bearer (\S+)", head)
            connection.answer(status if key is not None and key[1].decode() in keys else 401)

    return script


# --- Where it comes from ----------------------------------------------------------------------------------------------


def test_the_key_is_read_and_stripped(kept: tuple[dict[str, str], Path]) -> None:
    assert credentials_of(settings_of("amplemarket", **kept[0])).key == OLD


def test_a_command_gets_the_environment_and_no_input_and_no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANCE_SESSION", "of-the-environment")
    assert from_command("import os; print(os.environ['LANCE_SESSION'])").key == "of-the-environment"
    words = settings_of("amplemarket", api_key_command=f"{python('import sys; print(sys.argv[1])')} $HOME;echo")
    assert credentials_of(words).key == "$HOME;echo"


def test_a_command_does_not_read_what_the_tap_sends() -> None:
    tap, own = os.pipe(), os.dup(0)
    try:
        os.dup2(tap[0], 0)
        os.write(tap[1], b"record")
        os.close(tap[1])
        assert from_command("import sys; print(repr(sys.stdin.read()))").key == "''"
        assert os.read(0, 10) == b"record"
    finally:
        os.dup2(own, 0)
        os.close(own)
        os.close(tap[0])


def test_a_session_token_of_four_thousand_characters_is_a_key() -> None:
    assert len(from_command("print('x' * 4096)").key) == 4096


def test_what_a_command_writes_to_stderr_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError) as raised:
        from_command("import sys; sys.stderr.write('canary'); sys.exit(3)")
    assert str(raised.value) == "`api_key_command` ended with exit code 3: run it by hand to see why"
    assert "canary" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pass", "is empty"),
        ("print(' ')", "is empty"),
        ("print('canary one'); print('canary two')", "spaces or other characters"),
        ("print('canary' * 1000)", "spaces or other characters"),
        ("print('k\\u00e9y')", "spaces or other characters"),
        ("print('x' * 100_000_000)", "too long"),
        ("print('canary'); raise SystemExit(1)", "exit code 1"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "exit code -15"),
    ],
)
def test_a_command_that_gives_no_key_is_said_without_what_it_printed(code: str, words: str) -> None:
    with pytest.raises(SettingsError, match=f"`api_key_command`.*{words}") as raised:
        from_command(code)
    assert "canary" not in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__


@pytest.mark.parametrize("command", ["/nowhere/canary", "canary-that-is-no-command --x", "'canary", " ", "''", "a\0b"])
def test_a_command_that_cannot_be_run_is_said_without_repeating_it(command: str) -> None:
    with pytest.raises(SettingsError, match="`api_key_command`") as raised:
        credentials_of(settings_of("amplemarket", api_key_command=command))
    assert "canary" not in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__


def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(credentials, "COMMAND_TIMEOUT_S", 0.5)
    pid = tmp_path / "pid"
    child = "import time; time.sleep(60)"
    code = (
        f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {child!r}]); "
        f"open({str(pid)!r}, 'w').write(str(child.pid)); print('canary'); child.wait()"
    )
    started_s = time.monotonic()
    with pytest.raises(SettingsError, match=r"did not end within 0\.5 s"):
        from_command(code)
    assert time.monotonic() - started_s < 10
    if pid.exists():  # else it had not come that far
        assert not is_running(int(pid.read_text()))


def is_running(pid: int) -> bool:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        if state == "Z":
            return False
        threading.Event().wait(0.01)
    return True


@pytest.mark.parametrize("content", [b"", b" \n", b"canary one", b"x" * 70_000, b"\xff\xfe"])
def test_a_file_without_a_key_is_said(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "canary"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="`api_key_file`") as raised:
        credentials_of(settings_of("amplemarket", api_key_file=str(path)))
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "no path"])
def test_what_is_no_file_is_said_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "canary"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(SettingsError, match="`api_key_file`") as raised:
        credentials_of(settings_of("amplemarket", api_key_file="a\0b" if kind == "no path" else str(path)))
    assert "canary" not in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__


@pytest.mark.parametrize("service", ["amplemarket", "lance"])
def test_a_service_without_a_key_is_not_opened(service: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="`api_key_file` cannot be read"):
        opened(service, surroundings(), api_key_file=str(tmp_path / "missing"))


# --- Once it is no longer accepted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_key_that_is_refused_is_renewed_and_the_call_made_again(
    method: Any, kept: tuple[dict[str, str], Path], serve: Serve, caller: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = serve(accepting(NEW, status=201))
    http = caller(server.base_url, credentials_of(settings_of("amplemarket", **kept[0])))
    kept[1].write_text(NEW)
    for _ in range(2):
        assert http.call(method, "/users", body=b'{"a":1}' if method == "POST" else None) == Answer(201, b"{}")
    keys = re.findall(rb"Bearer (\S+)\r\n", b"".join(server.received))
    assert [key.decode() for key in keys] == [OLD, NEW, NEW]
    bodies = [text for text in server.received if text.endswith(b'{"a":1}')]
    assert len(bodies) == (3 if method == "POST" else 0)
    said = [record.message for record in caplog.records if "key" in record.message]
    assert said == [f"the key is no longer accepted: renewed from `{next(iter(kept[0]))}`"]


def test_a_second_401_is_an_answer(kept: tuple[dict[str, str], Path], serve: Serve, caller: Open) -> None:
    server = serve(accepting())
    http = caller(server.base_url, credentials_of(settings_of("amplemarket", **kept[0])))
    kept[1].write_text(NEW)
    assert http.call("GET", "/users") == Answer(401, b"{}")
    assert b"".join(server.received).count(b"GET /users") == 2


def test_a_key_of_the_settings_is_not_renewed(serve: Serve, caller: Open, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(accepting())
    assert caller(server.base_url, fixed(OLD)).call("GET", "/users") == Answer(401, b"{}")
    assert b"".join(server.received).count(b"GET /users") == 1
    assert "key" not in caplog.text


@pytest.mark.parametrize(
    ("content", "words"), [(OLD, "gives the same key again"), ("", "cannot be renewed"), (None, "cannot be renewed")]
)
def test_without_another_key_the_401_stays_the_answer(
    content: str | None,
    words: str,
    kept: tuple[dict[str, str], Path],
    serve: Serve,
    caller: Open,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serve(accepting())
    http = caller(server.base_url, credentials_of(settings_of("amplemarket", **kept[0])))
    kept[1].unlink()
    if content is not None:
        kept[1].write_text(content)
    assert http.call("POST", "/lead-lists", body=b"{}") == Answer(401, b"{}")
    assert b"".join(server.received).count(b"POST /lead-lists") == 1
    assert words in caplog.text


@pytest.mark.parametrize("status", [400, 402, 403, 407, 500])
def test_no_other_status_renews(status: int, kept: tuple[dict[str, str], Path], serve: Serve, caller: Open) -> None:
    server = serve(accepting(OLD, status=status))
    http = caller(server.base_url, credentials_of(settings_of("amplemarket", **kept[0])))
    kept[1].write_text(NEW)
    assert http.call("POST", "/lead-lists", body=b"{}") == Answer(status, b"{}")
    assert b"".join(server.received).count(b"POST") == 1


def test_the_second_call_may_be_lost_like_any_other(
    kept: tuple[dict[str, str], Path], serve: Serve, caller: Open
) -> None:
    def script(connection: Any) -> None:
        if OLD.encode() in connection.read_request():
            connection.answer(401)

    http = caller(serve(script).base_url, credentials_of(settings_of("amplemarket", **kept[0])))
    kept[1].write_text(NEW)
    assert http.call("POST", "/lead-lists", body=b"{}") == Unknown("connection_lost")


def test_calls_at_once_renew_once(serve: Serve, caller: Open) -> None:
    """Eight calls leave with the old key before one of them is answered."""
    gate = threading.Barrier(8)
    reads: list[str] = []

    def read() -> str:
        reads.append(NEW if reads else OLD)
        return reads[-1]

    def script(connection: Any) -> None:
        while head := connection.read_request():
            is_old = OLD.encode() in head
            if is_old:
                gate.wait(5)
            connection.answer(401 if is_old else 200)

    server = serve(script)
    http = caller(server.base_url, Credentials("api_key_file", read, is_renewable=True))
    replies: list[Any] = []
    threads = [
        threading.Thread(target=lambda: replies.append(http.call("POST", "/lead-lists", body=b"{}"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [Answer(200, b"{}")] * 8
    assert reads == [OLD, NEW]
    assert b"".join(server.received).count(NEW.encode()) == 8


def test_who_took_an_older_key_gets_the_newer_one_without_renewing() -> None:
    keys = iter(["first", "second", "third"])
    one = Credentials("api_key_file", lambda: next(keys), is_renewable=True)
    assert one.renewed("first") == "second"
    assert one.renewed("first") == "second"
    assert one.renewed("second") == "third"


class CountingLock:
    """A lock that says how many have come for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.came = threading.Semaphore(0)

    def __enter__(self) -> None:
        self.came.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_renewal_that_fails_is_tried_once_for_all_who_wait_for_it() -> None:
    """As a command that takes 30 s would be, one time for each call under way."""
    lock, reads = CountingLock(), [OLD]

    def read() -> str:
        if len(reads) == 2:
            for _ in range(8):
                assert lock.came.acquire(timeout=5)
        return reads[-1]

    one = Credentials("api_key_command", read, is_renewable=True)
    vars(one)["_renewing"] = lock
    reads.append("no key")
    given: list[str | None] = []
    threads = [threading.Thread(target=lambda: given.append(one.renewed(OLD))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [None] * 8
    reads.append(NEW)
    assert one.renewed(OLD) == NEW, "a later call tries again"


# --- Among the other rules --------------------------------------------------------------------------------------------


def expired_then(*statuses: int) -> Callable[[Any], Any]:
    left = list(statuses)
    return lambda request: httpx.Response(left.pop(0), json={})


def test_the_second_call_takes_its_place_in_the_budget_and_is_counted(kept: tuple[dict[str, str], Path]) -> None:
    paced: list[int] = []
    given = surroundings(expired_then(401, 200), pace=lambda: paced.append(1))
    calls = Calls(settings_of("amplemarket", **kept[0]), "https://api.example", given)
    kept[1].write_text(NEW)
    assert calls.write("/lead-lists", b"{}") == Answer(200, b"{}")
    assert (len(paced), dict(calls.made)) == (2, {"POST /lead-lists": 2})
    calls.close()


def test_after_a_stop_there_is_no_second_call(kept: tuple[dict[str, str], Path]) -> None:
    stop = threading.Event()
    asked: list[int] = []

    def pace() -> None:
        asked.append(1)
        if len(asked) == 2:
            stop.set()

    given = surroundings(expired_then(401), pace=pace, stop=stop)
    calls = Calls(settings_of("amplemarket", **kept[0]), "https://api.example", given)
    kept[1].write_text(NEW)
    assert calls.write("/lead-lists", b"{}") == Answer(401, b"{}")
    assert calls.write("/lead-lists", b"{}") == NotSent("stopped")
    calls.close()


@pytest.mark.parametrize("service", ["amplemarket", "lance"])
def test_a_run_of_calls_survives_a_session_that_ends(
    service: str, kept: tuple[dict[str, str], Path], serve: Serve
) -> None:
    server = serve(accepting(OLD, NEW))
    one = opened(service, surroundings(), base_url=server.base_url, **kept[0])
    assert one.account().account_id == ""
    server.script = accepting(NEW)
    kept[1].write_text(NEW)
    gc.collect()
    assert one.account().account_id == ""
    one.close()


@pytest.mark.parametrize("service", ["amplemarket", "lance"])
def test_no_key_is_said_whatever_happens_to_it(
    service: str, kept: tuple[dict[str, str], Path], serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def script(connection: Any) -> None:
        while head := connection.read_request():
            connection.answer(401, json.dumps({"error": {"code": head.decode()}}).encode(), f"X-Echo: {OLD} {NEW}")

    one = opened(service, surroundings(), base_url=serve(script).base_url, **kept[0])
    kept[1].write_text(NEW)
    with pytest.raises((RefusedByApi, ApiUnreachable), match=next(iter(kept[0]))) as raised:
        one.account()
    calls: Any = vars(one)["_calls"]
    said = [repr(raised.value), repr(one), repr(vars(one)), repr(vars(calls)), repr(vars(calls._http))]
    said += [repr(calls._credentials), repr(vars(calls._credentials)), repr(one.confirm("K7Q2M9XA4T1B"))]
    everything = caplog.text + "".join(said)
    assert OLD not in everything
    assert NEW not in everything
    assert "renewed" in caplog.text
    assert isinstance(one.confirm("K7Q2M9XA4T1B"), CannotAsk)
    one.close()
