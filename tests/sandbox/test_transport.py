"""Faults of the connection, seen from a real socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from target_amplemarket.sandbox import RunningSandbox, running_sandbox, switches_from

from .client import create_body, people

HEADERS = {"Authorization": "Bearer amp_test", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def sandbox(server: RunningSandbox) -> RunningSandbox:
    server.reset(switches_from({}))
    return server


@contextlib.contextmanager
def connected(sandbox: RunningSandbox, timeout_s: float = 5.0) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=timeout_s)
    with contextlib.closing(connection):
        yield connection


def post(sandbox: RunningSandbox, leads: list[Any] | None = None, timeout_s: float = 5.0) -> tuple[int, Any]:
    with connected(sandbox, timeout_s) as connection:
        connection.request("POST", "/lead-lists", json.dumps(create_body(leads or people(2))), HEADERS)
        with connection.getresponse() as response:
            return response.status, json.load(response)


def fault(sandbox: RunningSandbox, text: str) -> None:
    sandbox.set(faults=[text])


def test_plain_call_over_a_socket(sandbox: RunningSandbox) -> None:
    status, answer = post(sandbox, people(3))
    (arrived,) = sandbox.log()
    assert (status, answer["id"], arrived.leads) == (202, arrived.id, people(3))


def test_one_connection_serves_many_calls(sandbox: RunningSandbox) -> None:
    with connected(sandbox) as connection:
        for _ in range(3):
            connection.request("POST", "/lead-lists", json.dumps(create_body()), HEADERS)
            with connection.getresponse() as response:
                assert len(response.read()) == int(response.headers["content-length"])
    assert len(sandbox.log()) == 3


@pytest.mark.parametrize(
    ("text", "is_committed"),
    [("reset_before_reading", False), ("reset_mid_body:bytes=100", False), ("reset_after_commit", True)],
)
def test_reset(sandbox: RunningSandbox, text: str, is_committed: bool) -> None:
    fault(sandbox, f"{text},times=1" if ":" in text else f"{text}:times=1")
    with pytest.raises(ConnectionResetError):
        post(sandbox)
    assert len(sandbox.log()) == is_committed
    assert post(sandbox)[0] == 202


def test_reset_mid_body_reads_a_part_only(sandbox: RunningSandbox) -> None:
    fault(sandbox, "reset_mid_body:bytes=200000")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        post(sandbox, people(10_000) * 8)
    (seen,) = sandbox.requests()
    assert 200_000 < seen.body_bytes < 1_000_000
    assert sandbox.log() == []


def test_reset_before_reading_reads_nothing(sandbox: RunningSandbox) -> None:
    fault(sandbox, "reset_before_reading")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        post(sandbox, people(10_000))
    assert sandbox.requests()[0].body_bytes == 0


def test_close_after_commit_ends_without_a_byte(sandbox: RunningSandbox) -> None:
    fault(sandbox, "close_after_commit")
    with pytest.raises(http.client.RemoteDisconnected):
        post(sandbox)
    assert len(sandbox.log()) == 1


@pytest.mark.parametrize(("kind", "is_committed"), [("hang", False), ("hang_after_commit", True)])
def test_hang_until_the_caller_gives_up(sandbox: RunningSandbox, kind: str, is_committed: bool) -> None:
    fault(sandbox, f"{kind}:times=1")
    with pytest.raises(TimeoutError):
        post(sandbox, timeout_s=1)
    assert len(sandbox.log()) == is_committed
    assert sandbox.requests()[0].status is None
    assert post(sandbox)[0] == 202


def test_hang_ends_with_a_reset_after_its_seconds(sandbox: RunningSandbox) -> None:
    fault(sandbox, "hang_after_commit:seconds=0.1")
    begun_s = time.monotonic()
    with pytest.raises(ConnectionResetError):
        post(sandbox)
    assert 0.1 <= time.monotonic() - begun_s < 10


@pytest.mark.parametrize(
    ("then", "error"),
    [("reset", ConnectionResetError), ("close", http.client.RemoteDisconnected), ("hang", TimeoutError)],
)
def test_late_commit(sandbox: RunningSandbox, then: str, error: type[Exception]) -> None:
    fault(sandbox, f"late_commit:seconds=1000,then={then}")
    with pytest.raises(error):
        post(sandbox, timeout_s=1)
    assert sandbox.log() == []
    assert sandbox.state()["pending_commits"] == 1
    sandbox.advance(1000)
    assert sandbox.log()[0].leads == people(2)
    assert sandbox.requests()[0].is_committed


def test_truncated_answer_announces_more_than_it_sends(sandbox: RunningSandbox) -> None:
    fault(sandbox, "truncated_answer:bytes=10")
    with connected(sandbox) as connection:
        connection.request("POST", "/lead-lists", json.dumps(create_body()), HEADERS)
        with connection.getresponse() as response:
            assert response.status == 202
            with pytest.raises(http.client.IncompleteRead) as cut:
                response.read()
    assert len(cut.value.partial) == 10
    assert len(sandbox.log()) == 1


def test_drip_sends_the_whole_answer_slowly(sandbox: RunningSandbox) -> None:
    fault(sandbox, "drip:bytes=100,seconds=0.02")
    begun_s = time.monotonic()
    status, answer = post(sandbox)
    assert (status, answer["object"]) == (202, "lead_list")
    assert time.monotonic() - begun_s >= 0.1


def test_drip_to_a_caller_who_leaves(sandbox: RunningSandbox) -> None:
    fault(sandbox, "drip:bytes=1,seconds=0.05,times=1")
    with connected(sandbox, 1) as connection:
        connection.request("POST", "/lead-lists", json.dumps(create_body()), HEADERS)
        with connection.getresponse() as response:
            assert response.read(1) == b"{"
    assert post(sandbox)[0] == 202


def test_caller_who_leaves_in_mid_body_commits_nothing(sandbox: RunningSandbox) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(
            b"POST /lead-lists HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer amp_x\r\nContent-Length: 500\r\n\r\n{"
        )
    deadline_s = time.monotonic() + 5
    while not (seen := sandbox.requests()) or seen[0].fault is None:
        assert time.monotonic() < deadline_s
    assert (seen[0].fault, seen[0].body_bytes, seen[0].status) == ("client_left", 1, None)
    assert sandbox.log() == []


def test_latency_ms(sandbox: RunningSandbox) -> None:
    sandbox.set(latency_ms=150)
    begun_s = time.monotonic()
    post(sandbox)
    assert time.monotonic() - begun_s >= 0.15


def test_latency_jitter_ms(sandbox: RunningSandbox) -> None:
    sandbox.set(latency_jitter_ms=300, seed=3)
    took_s = []
    for _ in range(5):
        begun_s = time.monotonic()
        post(sandbox)
        took_s.append(time.monotonic() - begun_s)
    assert max(took_s) - min(took_s) > 0.05
    assert max(took_s) < 10


def test_no_content_has_no_length_and_the_connection_goes_on(sandbox: RunningSandbox) -> None:
    sandbox.set(add_status="204")
    _, answer = post(sandbox)
    with connected(sandbox) as connection:
        for _ in range(2):
            path = f"/lead-lists/{answer['id']}/leads"
            connection.request("POST", path, json.dumps({"leads": people(1)}), HEADERS)
            with connection.getresponse() as response:
                assert (response.status, response.headers["content-length"]) == (204, None)
