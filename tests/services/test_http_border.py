"""What leaves and what stays: the key, other people's proxies, redirects, connections, log lines."""

from __future__ import annotations

import gc
import gzip
import logging
import re
import socket
import ssl
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from target_amplemarket.errors import SettingsError
from target_amplemarket.services.credentials import fixed
from target_amplemarket.services.http import HttpCaller, tls_context
from target_amplemarket.services.protocol import NotSent
from target_amplemarket.services.replies import Answer

KEY = "amp_canary_0123456789"
Serve = Callable[..., Any]
Caller = Callable[..., HttpCaller]


def ok(connection: Any) -> None:
    while connection.read_request():
        connection.answer(200, b"{}")


def test_a_request_has_just_these_headers(serve: Serve, caller: Caller) -> None:
    server = serve(ok)
    caller(server.base_url).call("POST", "/lead-lists", body=b'{"a":1}')
    head, _, body = server.received[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == "POST /lead-lists HTTP/1.1"
    assert body == b'{"a":1}'
    sent = dict(header.split(": ", 1) for header in headers)
    assert re.fullmatch(r"target-amplemarket/[0-9][0-9a-z.+]*", sent.pop("User-Agent"))
    assert {name.lower(): value for name, value in sent.items()} == {
        "host": f"127.0.0.1:{server.port}",
        "authorization": f"Bearer {KEY}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "7",
        "connection": "close",
    }


def test_raw_brackets_of_a_link_arrive_as_one_query(serve: Serve, caller: Caller) -> None:
    server = serve(ok)
    caller(server.base_url).call("GET", "/lead-lists", query="page[size]=100&page[after]=a%2Fb")
    target = server.received[0].split(b" ")[1].decode()
    assert target.replace("%5B", "[").replace("%5D", "]") == "/lead-lists?page[size]=100&page[after]=a%2Fb"


def test_a_path_of_the_base_url_stays_before_every_path(serve: Serve, caller: Caller) -> None:
    server = serve(ok)
    caller(server.base_url + "/gateway/").call("GET", "/users")
    assert server.received[0].startswith(b"GET /gateway/users HTTP/1.1\r\n")


def test_a_body_is_let_go_with_its_answer_and_not_by_some_later_search_for_garbage(
    serve: Serve, caller: Caller
) -> None:
    http, body = caller(serve(ok).base_url), b"[%d]" % time.time_ns()
    gc.disable()
    try:
        held = sys.getrefcount(body)
        assert isinstance(http.call("POST", "/lead-lists", body=body), Answer)
        assert sys.getrefcount(body) == held
    finally:
        gc.enable()


@pytest.mark.step("D3")
def test_reads_share_a_connection_and_each_post_has_its_own(serve: Serve, caller: Caller) -> None:
    server = serve(ok)
    http = caller(server.base_url)
    for method in ("GET", "GET", "POST", "POST", "GET"):
        assert isinstance(http.call(method, "/lead-lists", body=b"{}" if method == "POST" else None), Answer)
    methods = [[line.split()[0] for line in re.findall(rb"[A-Z]+ /lead-lists", text)] for text in server.received]
    assert methods == [[b"GET", b"GET", b"GET"], [b"POST"], [b"POST"]]


def test_it_is_noted_when_the_head_of_a_request_leaves(serve: Serve, caller: Caller) -> None:
    http = caller(serve(ok).base_url)
    request = http._request("POST", "/lead-lists", "", b"{}", time.monotonic() + 1)
    assert not request.extensions["trace"].is_begun
    http._exchange(request, 1000)
    assert request.extensions["trace"].is_begun


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
@pytest.mark.parametrize(
    "location", ["/elsewhere", "http://127.0.0.1:{other}/elsewhere", "http://127.0.0.1:port/x", None]
)
def test_no_redirect_is_followed(status: int, location: str | None, serve: Serve, caller: Caller) -> None:
    other = serve(ok)
    headers = [] if location is None else [f"Location: {location.replace('{other}', str(other.port))}"]

    def script(connection: Any) -> None:
        connection.read_request()
        connection.answer(status, b"", *headers)

    server = serve(script)
    for method in ("POST", "GET"):
        reply = caller(server.base_url).call(method, "/lead-lists", body=b"{}" if method == "POST" else None)
        assert reply == Answer(status, b"")
    assert len(server.connections) == 2
    assert other.connections == []


def test_no_cookie_is_kept(serve: Serve, caller: Caller) -> None:
    def script(connection: Any) -> None:
        while connection.read_request():
            connection.answer(200, b"{}", "Set-Cookie: session=crumb; Path=/")

    server = serve(script)
    http = caller(server.base_url)
    http.call("GET", "/users")
    http.call("GET", "/users")
    assert b"crumb" not in b"".join(server.received)


def test_proxies_and_netrc_of_the_environment_are_ignored(
    serve: Serve, caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trap, server = serve(ok), serve(ok)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, trap.base_url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert isinstance(caller(server.base_url).call("GET", "/users"), Answer)
    assert f"authorization: bearer {KEY}".encode() in server.received[0].lower()
    assert trap.connections == []


def test_a_gzip_bomb_is_not_unpacked(serve: Serve, caller: Caller) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024), compresslevel=1)

    def script(connection: Any) -> None:
        connection.read_request()
        connection.answer(200, bomb, "Content-Encoding: gzip")

    http = caller(serve(script).base_url, request_timeout_s=5)
    tracemalloc.start()
    try:
        reply = http.call("GET", "/users")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reply == Answer(200, None, "unreadable_answer")
    assert peak_bytes < 16 * 1024 * 1024


def test_one_line_a_call_without_key_query_or_body_is_logged(
    serve: Serve, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def script(connection: Any) -> None:
        connection.read_request()
        connection.answer(202, b'{"id":"canary-answer"}', "X-Canary: canary-header")

    server = serve(script)
    http = caller(server.base_url)
    http.call("GET", "/lead-lists", query="page[after]=canary-query")
    http.call("POST", "/lead-lists", body=b"canary-body")
    port = str(server.port)
    server.close()
    http.call("POST", "/lead-lists", body=b"canary-body")
    lines = [re.sub(r"\d+ ms", "N ms", record.getMessage()) for record in caplog.records]
    assert lines == ["GET /lead-lists 202 N ms", "POST /lead-lists 202 N ms", "POST /lead-lists connect_failed N ms"]
    assert "canary" not in caplog.text
    assert port not in caplog.text


def test_the_key_is_in_no_representation(caller: Caller) -> None:
    http = caller("https://api.example")
    assert KEY not in f"{http!r} {http} {vars(http)}"
    assert "secret" not in repr(Answer(200, b"secret"))


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nX-Evil: 1", "k\u00e9y", "a\x00", "a\n", "x" * 5_000])
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(SettingsError, match="api_key") as raised:
        HttpCaller(credentials=fixed(key), base_url="https://api.example", request_timeout_s=1)
    assert len(key) < 2 or key not in str(raised.value)


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_a_certificate_of_nobody_known_is_refused_before_the_key_leaves(
    serve: Serve, caller: Caller, tls_server: ssl.SSLContext
) -> None:
    server = serve(ok, tls_server)
    assert caller(server.base_url, request_timeout_s=5).call("POST", "/lead-lists", body=b"{}") == NotSent(
        "connect_failed"
    )
    assert server.received == [b""]


def test_a_certificate_for_another_name_is_refused(
    serve: Serve, caller: Caller, tls_server: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = serve(ok, tls_server)
    http = caller(f"https://127.0.0.1:{server.port}", request_timeout_s=5)
    assert http.call("POST", "/lead-lists", body=b"{}") == NotSent("connect_failed")
    assert server.received == [b""]


def test_an_expired_certificate_is_refused_before_the_key_leaves(
    serve: Serve, caller: Caller, expired_certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signer is trusted and its name is right: only its dates are wrong."""
    monkeypatch.setenv("SSL_CERT_FILE", str(expired_certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(expired_certificate)
    server = serve(ok, context)
    reply = caller(server.base_url, request_timeout_s=5).call("POST", "/lead-lists", body=b"{}")
    assert reply == NotSent("connect_failed")
    assert server.received == [b""]
    with (
        socket.create_connection(("127.0.0.1", server.port)) as connection,
        pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"),
    ):
        tls_context().wrap_socket(connection, server_hostname="localhost")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_a_server_that_speaks_old_tls_only_is_refused_before_the_key_leaves(
    version: ssl.TLSVersion, serve: Serve, caller: Caller, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")  # else it could not speak them either
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(certificate)
    server = serve(ok, context)
    reply = caller(server.base_url, request_timeout_s=5).call("POST", "/lead-lists", body=b"{}")
    is_old = version is not ssl.TLSVersion.TLSv1_2
    assert reply == (NotSent("connect_failed") if is_old else Answer(200, b"{}"))
    assert (server.received == [b""]) is is_old
    if is_old:  # a client that takes old versions gets through: it is not the server that fails
        with (
            socket.create_connection(("127.0.0.1", server.port)) as connection,
            lenient().wrap_socket(connection) as spoken,
        ):
            assert spoken.version() == version.name.replace("_", ".")


def lenient() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def test_a_company_s_own_authority_is_named_by_the_standard_variable(
    serve: Serve, caller: Caller, tls_server: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = serve(ok, tls_server)
    reply = caller(server.base_url, request_timeout_s=5).call("POST", "/lead-lists", body=b"{}" * 500_000)
    assert reply == Answer(200, b"{}")


@pytest.mark.step("D3")
def test_the_deadline_holds_inside_tls(
    serve: Serve, caller: Caller, tls_server: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(connection: Any) -> None:
        connection.read_request()
        connection.drip(connection.head(202, "X: y" * 200))

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    http = caller(serve(script, tls_server).base_url, request_timeout_s=0.7)
    started_s = time.monotonic()
    assert http.call("POST", "/lead-lists", body=b"{}").reason == "timed_out"  # type: ignore[union-attr]
    assert time.monotonic() - started_s < 1.0


def test_a_server_that_does_not_speak_tls_gets_nothing(serve: Serve, caller: Caller) -> None:
    def script(connection: Any) -> None:
        connection.read(65536)
        connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = serve(script)
    http = caller(f"https://127.0.0.1:{server.port}")
    assert http.call("POST", "/lead-lists", body=b"{}") == NotSent("connect_failed")
    assert KEY.encode() not in server.received[0]


def test_a_handshake_that_never_ends_ends_at_the_deadline(serve: Serve, caller: Caller) -> None:
    server = serve(lambda connection: connection.hold())
    started_s = time.monotonic()
    http = caller(f"https://127.0.0.1:{server.port}")
    assert http.call("POST", "/lead-lists", body=b"{}") == NotSent("connect_timed_out")
    assert time.monotonic() - started_s < 0.8


def test_old_versions_of_tls_are_not_offered() -> None:
    context = tls_context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


# --- A proxy that the settings name -----------------------------------------------------------------------------------


def tunnel(connection: Any) -> None:
    """Answer CONNECT, then carry bytes both ways."""
    head = bytes(connection.sock.recv(65536))
    connection.received += head
    host, port = head.split(b" ")[1].split(b":")
    with socket.create_connection((host.decode(), int(port))) as onward:
        connection.write(connection.head(200))
        back = threading.Thread(target=carry, args=(onward, connection.sock))
        back.start()
        carry(connection.sock, onward)
        back.join()


def carry(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_proxy_carries_the_call_and_never_sees_the_key(
    serve: Serve, caller: Caller, tls_server: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server, proxy = serve(ok, tls_server), serve(tunnel)
    http = caller(server.base_url, request_timeout_s=5, proxy=f"http://user:word@127.0.0.1:{proxy.port}")
    assert http.call("POST", "/lead-lists", body=b"{}") == Answer(200, b"{}")
    assert proxy.received[0].startswith(f"CONNECT localhost:{server.port} ".encode())
    assert b"Proxy-Authorization: Basic" in proxy.received[0]
    assert KEY.encode() not in proxy.received[0]
    http.close()


def test_a_proxy_that_refuses_sent_nothing(serve: Serve, caller: Caller) -> None:
    def script(connection: Any) -> None:
        connection.read_request()
        connection.answer(407, b"")

    proxy = serve(script)
    http = caller("https://api.example", proxy=proxy.base_url)
    assert http.call("POST", "/lead-lists", body=b"{}") == NotSent("connect_failed")
    assert KEY.encode() not in proxy.received[0]


@pytest.mark.parametrize(
    ("base_url", "proxy"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:2"),
        ("https://api.example", "socks5://127.0.0.1:2"),
        ("https://api.example", "127.0.0.1:2"),
        ("https://api.example", "http://hunter2@127.0.0.1:2/path"),
        ("https://api.example", "http://127.0.0.1:2?x"),
        ("https://api.example", "http://127.0.0.1:port"),
    ],
)
def test_a_proxy_of_another_form_is_refused(base_url: str, proxy: str) -> None:
    with pytest.raises(SettingsError, match="proxy") as raised:
        HttpCaller(credentials=fixed("k"), base_url=base_url, request_timeout_s=1, proxy=proxy)
    assert "hunter2" not in str(raised.value)


def test_calls_of_several_threads_do_not_mix(serve: Serve, caller: Caller) -> None:
    def script(connection: Any) -> None:
        while request := connection.read_request():
            connection.answer(200, request.partition(b"\r\n\r\n")[2])

    http = caller(serve(script).base_url, request_timeout_s=5)
    bodies = [str(number).encode() for number in range(40)]
    seen: dict[bytes, Any] = {}

    def work(mine: list[bytes]) -> None:
        for body in mine:
            seen[body] = http.call("POST", "/lead-lists", body=body)

    threads = [threading.Thread(target=work, args=(bodies[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {body: Answer(200, body) for body in bodies}


def test_an_injected_transport_needs_no_socket() -> None:
    http = HttpCaller(
        credentials=fixed(KEY),
        base_url="https://api.example/base",
        request_timeout_s=1,
        transport=lambda: httpx.MockTransport(lambda request: httpx.Response(200, text=str(request.url))),
    )
    assert http.call("GET", "/users", query="a=b") == Answer(200, b"https://api.example/base/users?a=b")
    http.close()
