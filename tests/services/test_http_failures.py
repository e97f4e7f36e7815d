"""What a call that went wrong is taken for, with real sockets: nothing here may claim "not sent" of bytes that left."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import httpcore
import httpx
import pytest

from target_amplemarket.services.credentials import fixed
from target_amplemarket.services.http import HttpCaller
from target_amplemarket.services.protocol import NotSent, Unknown
from target_amplemarket.services.replies import ANSWER_LIMIT_BYTES, Answer, Reply

BODY = b"x" * 3_000_000
DEADLINE_S = 0.5
Serve = Callable[..., Any]
Caller = Callable[..., HttpCaller]


def post(http: HttpCaller, body: bytes = BODY) -> tuple[Reply, float]:
    started_s = time.monotonic()
    reply = http.call("POST", "/lead-lists", body=body)
    return reply, time.monotonic() - started_s


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_refused_connection_sent_nothing(caller: Caller) -> None:
    reply, _ = post(caller(f"http://127.0.0.1:{closed_port()}"))
    assert reply == NotSent("connect_failed")


def test_a_connection_that_is_never_made_ends_at_the_deadline_and_sent_nothing(caller: Caller) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:  # fill the queue of a server that never accepts
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
            reply, took_s = post(caller(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        finally:
            for sock in waiting:
                sock.close()
    assert reply == NotSent("connect_timed_out")
    assert took_s < DEADLINE_S + 0.3


def read_all_then(step: Callable[[Any], None]) -> Callable[[Any], None]:
    def script(connection: Any) -> None:
        connection.read_request()
        step(connection)

    return script


def reset_after(count: int) -> Callable[[Any], None]:
    def script(connection: Any) -> None:
        connection.read_bytes(count)
        connection.reset()

    return script


LOST = {
    "closed on accept": lambda connection: None,
    "reset after one byte": reset_after(1),
    "reset in mid-body": reset_after(len(BODY) // 2),
    "reset after the whole body": read_all_then(lambda connection: connection.reset()),
    "closed after the whole body": read_all_then(lambda connection: None),
    "head of the answer cut": read_all_then(lambda connection: connection.write(b"HTTP/1.1 202 Acc")),
    "garbage for a status line": read_all_then(lambda connection: connection.write(b"\x00\xff nonsense\r\n\r\n")),
    "another protocol": read_all_then(
        lambda connection: connection.write(connection.head(101, "Upgrade: websocket", "Connection: Upgrade"))
    ),
    "head without end": read_all_then(
        lambda connection: connection.write(b"HTTP/1.1 202 Accepted\r\n" + b"X-Pad: 0123456789\r\n" * 20_000)
    ),
}


@pytest.mark.step("D4")
@pytest.mark.parametrize("script", LOST.values(), ids=LOST)
def test_a_connection_that_is_lost_leaves_the_outcome_unknown(
    script: Callable[[Any], None], serve: Serve, caller: Caller
) -> None:
    reply, _ = post(caller(serve(script).base_url))
    assert reply == Unknown("connection_lost")


def test_a_connection_that_is_reset_as_it_is_made_is_lost_or_was_never_made(serve: Serve, caller: Caller) -> None:
    reply, _ = post(caller(serve(reset_after(0)).base_url))
    assert reply in (Unknown("connection_lost"), NotSent("connect_failed"))  # whether connecting ended first is a race


def read_slowly(connection: Any) -> None:
    while connection.read(1024):
        connection.closing.wait(0.01)


def inform_for_ever(connection: Any) -> None:
    connection.read_request()
    while not connection.closing.wait(0.02):
        connection.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")


LATE = {
    "silent from the start": lambda connection: connection.hold(),
    "never reads the body": lambda connection: (connection.read(1000), connection.hold()),
    "reads the body ever so slowly": read_slowly,
    "silent after the whole body": read_all_then(lambda connection: connection.hold()),
    "drips the head": read_all_then(lambda connection: connection.drip(connection.head(202, "X: y" * 200))),
    "drips one informational answer after another": inform_for_ever,
}


@pytest.mark.step("D3")
@pytest.mark.parametrize("script", LATE.values(), ids=LATE)
def test_no_server_can_stretch_the_deadline(script: Callable[[Any], None], serve: Serve, caller: Caller) -> None:
    reply, took_s = post(caller(serve(script).base_url))
    assert reply == Unknown("timed_out")
    assert DEADLINE_S - 0.1 < took_s < DEADLINE_S + 0.3


@pytest.mark.step("D3")
def test_a_body_that_is_taken_in_sips_ends_at_the_deadline(serve: Serve, caller: Caller) -> None:
    def script(connection: Any) -> None:  # fast enough that no single write waits long, too slow for all of them
        while connection.read(65536):
            connection.closing.wait(0.005)

    reply, took_s = post(caller(serve(script).base_url), b"x" * 40_000_000)
    assert reply == Unknown("timed_out")
    assert took_s < DEADLINE_S + 0.3


@pytest.mark.step("D3")
def test_an_answer_dripped_byte_by_byte_ends_at_the_deadline(serve: Serve, caller: Caller) -> None:
    def script(connection: Any) -> None:
        connection.read_request()
        connection.write(connection.head(202, "Content-Length: 1000"))
        connection.drip(b'{"id": "abc"}' + b" " * 1000)

    reply, took_s = post(caller(serve(script).base_url))
    assert reply == Answer(202, None, "timed_out")
    assert DEADLINE_S - 0.1 < took_s < DEADLINE_S + 0.3


def test_the_status_of_an_answer_that_is_cut_is_kept_and_its_body_is_not(serve: Serve, caller: Caller) -> None:
    def script(connection: Any) -> None:
        connection.read_request()
        connection.write(connection.head(202, "Content-Length: 1000") + b'{"id": "abc"}')

    assert post(caller(serve(script).base_url))[0] == Answer(202, None, "connection_lost")


def test_an_early_answer_is_read_though_the_body_is_not_taken(serve: Serve, caller: Caller) -> None:
    def script(connection: Any) -> None:
        connection.read(1000)
        connection.answer(413, b"")
        connection.sock.shutdown(socket.SHUT_WR)
        connection.closing.wait(0.2)  # leaves the rest of the body unread, so closing resets

    reply, _ = post(caller(serve(script).base_url))
    assert isinstance(reply, Answer)
    assert reply.http_status == 413


def test_an_answer_that_is_no_json_is_an_answer(serve: Serve, caller: Caller) -> None:
    server = serve(read_all_then(lambda connection: connection.answer(202, b"<html>")))
    assert post(caller(server.base_url))[0] == Answer(202, b"<html>")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
def test_an_encoded_answer_is_refused(coding: str, serve: Serve, caller: Caller) -> None:
    script = read_all_then(lambda connection: connection.answer(202, b"bytes", f"Content-Encoding: {coding}"))
    assert post(caller(serve(script).base_url))[0] == Answer(202, None, "unreadable_answer")


def test_an_answer_without_end_is_read_up_to_the_cap(serve: Serve, caller: Caller) -> None:
    def script(connection: Any) -> None:
        connection.read_request()
        connection.write(connection.head(202, "Transfer-Encoding: chunked"))
        while True:
            connection.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")

    reply, _ = post(caller(serve(script).base_url, request_timeout_s=10))
    assert reply == Answer(202, None, "unreadable_answer")


@pytest.mark.parametrize(("over", "is_read"), [(0, True), (1, False)])
def test_the_cap_is_the_last_size_that_is_read(over: int, is_read: bool, serve: Serve, caller: Caller) -> None:
    body = b" " * (ANSWER_LIMIT_BYTES + over)
    server = serve(read_all_then(lambda connection: connection.answer(200, body)))
    reply, _ = post(caller(server.base_url, request_timeout_s=10))
    assert isinstance(reply, Answer)
    assert (reply.body == body) is is_read


CERTAIN = [
    httpx.ConnectError("leak"), httpx.ConnectTimeout("leak"), httpx.PoolTimeout("leak"),
    httpx.UnsupportedProtocol("leak"), httpx.LocalProtocolError("leak"), httpcore.ProxyError("leak"),
]  # fmt: skip
UNCERTAIN = [
    httpx.ReadError("leak"), httpx.ReadTimeout("leak"), httpx.WriteError("leak"), httpx.WriteTimeout("leak"),
    httpx.RemoteProtocolError("leak"), httpx.CloseError("leak"), httpx.ProxyError("leak"), httpx.InvalidURL("leak"),
    httpcore.ReadError("leak"), httpcore.ReadTimeout("leak"), httpcore.WriteTimeout("leak"),
    httpcore.RemoteProtocolError("leak"), OSError("leak"), RuntimeError("leak"), RecursionError("leak"), MemoryError(),
]  # fmt: skip


@pytest.mark.step("D4")
@pytest.mark.parametrize("error", [*CERTAIN, *UNCERTAIN], ids=lambda error: f"{type(error).__module__}.{type(error)!r}")
def test_only_what_comes_before_the_first_byte_is_not_sent(error: Exception) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    http = HttpCaller(
        credentials=fixed("k"),
        base_url="https://api.example",
        request_timeout_s=1,
        transport=lambda: httpx.MockTransport(fail),
    )
    reply, _ = post(http, b"{}")
    http.close()
    assert isinstance(reply, NotSent if error in CERTAIN else Unknown)
    assert "leak" not in repr(reply)


@pytest.mark.step("D4")
@pytest.mark.parametrize("error", CERTAIN)
def test_once_the_head_has_left_no_exception_is_believed(error: Exception) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        inner = httpcore.Request("POST", "https://api.example/lead-lists")
        request.extensions["trace"]("http11.send_request_body.started", {"request": inner})
        raise error

    http = HttpCaller(
        credentials=fixed("k"),
        base_url="https://api.example",
        request_timeout_s=1,
        transport=lambda: httpx.MockTransport(fail),
    )
    reply, _ = post(http, b"{}")
    http.close()
    assert isinstance(reply, Unknown)
