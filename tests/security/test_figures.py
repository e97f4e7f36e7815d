"""What stands against a hostile server or input, in figures that hold for the whole process."""

from __future__ import annotations

import json
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.sandbox import RunningSandbox
from tests.harness import as_bytes, contacts, record, schema, state

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
_BOMB = """
import socket, sys, threading
from pathlib import Path
from target_amplemarket.services.credentials import fixed
from target_amplemarket.services.http import HttpCaller
bomb = sys.stdin.buffer.read()
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    for number in range(2):
        connection, address = listener.accept()
        connection.recv(65536)
        body = bomb if number else b"{}"
        coding = b"Content-Encoding: gzip\\r\\n" if number else b""
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n" + coding)
        connection.sendall(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
        connection.close()
threading.Thread(target=serve).start()
port = listener.getsockname()[1]
caller = HttpCaller(credentials=fixed("key"), base_url=f"http://127.0.0.1:{port}", request_timeout_s=20)
peak = lambda: 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
first, before = caller.call("GET", "/users"), peak()
second = caller.call("GET", "/users")
print(first.fault, second.fault, peak() - before)
"""


def python(code: str, given: bytes, *, timeout_s: float = 60) -> str:
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, timeout=timeout_s, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_bomb_of_half_a_megabyte_raises_peak_memory_by_less_than_16_mib() -> None:
    """0.5 MB that unpack to 512 MiB; `VmHWM` of a process of its own: `ru_maxrss` starts at what the parent has."""
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(512)) + packer.flush()
    assert 400_000 < len(bomb) < 600_000
    *faults, grown_bytes = python(_BOMB, bomb).split()
    assert faults == ["None", "unreadable_answer"]
    assert int(grown_bytes) < 16 * MIB


_HEADERS = """
import socket, threading
from pathlib import Path
from target_amplemarket.services.credentials import fixed
from target_amplemarket.services.http import HttpCaller
listener = socket.create_server(("127.0.0.1", 0))
sent = 0
def serve():
    global sent
    for number in range(2):
        connection, address = listener.accept()
        while b"{}" not in connection.recv(65536):
            pass
        if not number:
            connection.sendall(b"HTTP/1.1 202 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
        else:
            try:
                connection.sendall(b"HTTP/1.1 202 OK\\r\\n" + %(first)r)
                for _ in range(64 * 16):
                    connection.sendall(%(then)r * (65536 // len(%(then)r)))
                    sent += 65536
                connection.sendall(b"\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
            except OSError:
                pass
        connection.close()
thread = threading.Thread(target=serve)
thread.start()
port = listener.getsockname()[1]
caller = HttpCaller(credentials=fixed("key"), base_url=f"http://127.0.0.1:{port}", request_timeout_s=20)
peak = lambda: 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
first, before = caller.call("POST", "/lead-lists", body=b"{}"), peak()
second = caller.call("POST", "/lead-lists", body=b"{}")
thread.join()
print(type(first).__name__, type(second).__name__, second.reason, peak() - before, sent)
"""


@pytest.mark.parametrize(("first", "then"), [(b"", b"X-A: b\r\n"), (b"X-A: ", b"x")], ids=["many", "one"])
def test_a_bomb_of_headers_is_an_unknown_outcome_and_raises_peak_memory_by_less_than_8_mib(
    first: bytes, then: bytes
) -> None:
    """64 MiB of headers, of which the client takes at most what it and the sockets buffer."""
    code = _HEADERS % {"first": first, "then": then}
    *words, grown_bytes, sent_bytes = python(code, b"").split()
    assert words == ["Answer", "Unknown", "connection_lost"]
    assert int(grown_bytes) < 8 * MIB
    assert int(sent_bytes) < 16 * MIB


_LINE = """
import sys
from collections import Counter
from pathlib import Path
from target_amplemarket.errors import MalformedLine
from target_amplemarket.singer.lines import read_lines
from target_amplemarket.singer.messages import read_messages
from target_amplemarket.singer.stop import StopRequest
peak = lambda: 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak()
try:
    list(read_messages(read_lines(sys.stdin.buffer, StopRequest(), idle_s=1), Counter()))
except MalformedLine as fault:
    print(peak() - before, fault)
"""


def test_a_line_of_a_gibibyte_raises_peak_memory_by_less_than_40_mib() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _LINE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        try:
            for _ in range(1024):
                reader.stdin.write(b"x" * MIB)
            reader.stdin.close()
        except BrokenPipeError:
            pass  # it has read enough
        grown_bytes, words = reader.stdout.read().decode().split(" ", 1)
    assert "longer than 16 MiB" in words
    assert int(grown_bytes) < 40 * MIB


_EVIL = "(x+x+)+y"
_VALIDATE = """
import sys, msgspec
from target_amplemarket.singer.lines import Line
from target_amplemarket.singer.validation import compile_validator
schema, value = msgspec.json.decode(sys.stdin.buffer.read())
validator = compile_validator(schema, Line(b"", 1, 0))
print(validator.is_valid(value) and not validator.faults([msgspec.Raw(msgspec.json.encode(value))]))
"""


@pytest.mark.parametrize("keyword", ["pattern", "patternProperties", "propertyNames", "deep"])
def test_a_schema_s_pattern_is_not_run(keyword: str) -> None:
    """The process would not end within the time if it were: 30 characters take `re` longer than a day."""
    evil: dict[str, Any] = {"pattern": _EVIL, "type": ["string", "object"]}
    match keyword:
        case "patternProperties":
            evil = {"patternProperties": {_EVIL: {}}, "additionalProperties": False}
        case "propertyNames":
            evil = {"propertyNames": {"pattern": _EVIL}}
        case "deep":
            evil = {"allOf": [{"anyOf": [evil]}], "not": {"pattern": _EVIL}}
        case _:
            pass
    value = {"x" * 30: 1} if keyword.endswith(("Properties", "Names")) else "x" * 30
    given = json.dumps([{"properties": {"a": evil}}, {"a": value}]).encode()
    assert python(_VALIDATE, given, timeout_s=10) == "True\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.mark.parametrize("place", ["$ref", "$schema", "$id", "nested", "$recursiveRef", "file"])
def test_what_a_schema_refers_to_is_not_fetched(
    place: str, listener: socket.socket, settings: dict[str, Any], tmp_path: Path
) -> None:
    """The program itself, with `validate_records`: nobody knocks, and no file is read."""
    (tmp_path / "no.json").write_text("false", encoding="utf-8")
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
    told = {"nested": {"allOf": [{"$ref": address}]}, "file": {"$ref": (tmp_path / "no.json").as_uri()}}
    message = schema("people", "email")
    message["schema"]["properties"]["email"] = told.get(place, {place: address})
    message["schema"] |= {"$schema": address} if place == "$schema" else {}
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(settings | {"validate_records": True}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "target_amplemarket", "--config", str(config)], capture_output=True, timeout=60,
        input=as_bytes([message, record("people", id=1, email="dana@acme.example"), state({"at": 1})]), cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b'{"at": 1}\n'
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()


NAMES = [
    *("../../x", "/etc/x", "a\0b", "CON", "x" * 10_000, ".", "..", "", "~", "a/b", "a\\b", "results", "lock", "key"),
    *("\u202egnp.exe", "a\nb", "\x1b[31m", "%2e%2e", "$(touch x)", "`id`", "; rm", "é", "\U0001f469", " ", "-rf", "*"),
    *("|", "nul", "a" * 300, "outbox/../../x"),
]


def test_no_stream_s_name_becomes_a_path_or_more_than_a_line(run: Any, tmp_path: Path, caplog: Any) -> None:
    """30 names: nothing outside the results folder, and no line of the log is broken or coloured by one."""
    assert len(NAMES) == 30
    messages = []
    for number, name in enumerate(NAMES):
        messages += [schema(name, "email"), record(name, id=number, email=f"p{number}@acme.example")]
    ran = run(messages)
    assert ran.error is None
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert {path.name for path in ran.results_path.iterdir()} <= {
        *("account.json", "key", "lock", "outbox", "results", "runs", "state", "suppression")
    }
    for text in caplog.messages:
        assert text.isprintable(), repr(text)


def modes(folder: Path) -> dict[str, tuple[str, int]]:
    """Of everything below a folder, and the folder."""
    return {
        str(path.relative_to(folder)): ("folder" if path.is_dir() else "file", stat.S_IMODE(path.lstat().st_mode))
        for path in (folder, *folder.rglob("*"))
    }


def test_every_file_of_a_run_is_private_under_any_umask(
    settings: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """All kinds that a run writes: after one that holds a list, and after one that heals."""
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    folder, kinds = Path(settings["results_path"]), set()
    command = [sys.executable, "-m", "target_amplemarket", "--config", str(config)]
    faults = ["server_error_after_commit:status=502,times=1", "listing_error:status=403"]
    for given_faults in (faults, []):
        sandbox.set(faults=given_faults)
        done = subprocess.run(
            command, input=as_bytes([*contacts(3), state({"at": 3})]), capture_output=True, timeout=60, cwd=ROOT,
            umask=0, check=False,
        )  # fmt: skip
        assert done.returncode == (7 if given_faults else 0), done.stderr.decode()
        for name, (kind, mode) in modes(folder).items():
            assert mode == (0o700 if kind == "folder" else 0o600), name
            kinds.add(Path(name).parts[:1])
    assert {(name,) for name in ("results", "outbox", "runs", "state", "key", "lock", "account.json")} <= kinds


def test_every_file_of_the_commands_is_private_under_any_umask(settings: dict[str, Any], tmp_path: Path) -> None:
    """What compaction, `replay`, `collect`, `report`, `forget`, `purge` and `--out` write."""
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(settings | {"batch_size_rows": 1}), encoding="utf-8")
    folder, outside = Path(settings["results_path"]), tmp_path / "out"
    outside.mkdir()
    kinds: set[str] = set()

    def run(*words: str, given: bytes = b"") -> None:
        done = subprocess.run(
            [sys.executable, "-m", "target_amplemarket", *words, "--config", str(config)], input=given,
            capture_output=True, timeout=60, cwd=ROOT, umask=0, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        for name, (kind, mode) in modes(folder).items():
            assert mode == (0o700 if kind == "folder" else 0o600), (words, name)
            kinds.add(re.sub("[0-9]+", "0", name))
        for file in outside.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, (words, file.name)

    rejected = record("contacts", id=99, email="no address")
    run(given=as_bytes([*contacts(20), rejected, state({"at": 1})]))
    run(given=as_bytes([*contacts(20), state({"at": 2})]))  # compacts what the first wrote
    run("replay", "--include-permanent")
    run("collect", "--wait", "20")
    run("report", "--run", "last")
    run("report", "--out", str(outside / "page.html"))
    for form in ("json", "csv", "parquet", "arrow"):
        run("results", "--run", "all", "--rows", "--format", form, "--out", str(outside / f"rows.{form}"))
        run("results", "--run", "all", "--rows", "--format", form, "--out", str(outside / f"rows.{form}"))  # over it
    tops = {name.partition("/")[0] for name in kinds}
    run("forget", "--email", "person1@acme.example")
    run("purge", "--older-than", "0d")
    assert len(list(outside.iterdir())) == 5
    assert tops >= {"results", "runs", "state", "replays", "enriched", "reports", "key", "lock", "account.json"}
    assert "forgotten.arrow" in kinds
    assert any(re.fullmatch(r"results/[^/]+/0-0\.arrow", name) for name in kinds), sorted(kinds)
