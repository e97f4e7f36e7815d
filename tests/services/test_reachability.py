"""Each step of a call before its first byte, and what it says when it fails."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.services.reachability import why_unreachable

Serve = Callable[..., Any]


def hold(connection: Any) -> None:
    connection.hold()


def test_an_address_that_can_be_reached_has_nothing_to_say(serve: Serve) -> None:
    assert why_unreachable(serve(hold).base_url, None) is None


def test_a_name_that_nobody_knows_is_a_matter_of_dns() -> None:
    assert "DNS does not know the host of the API" in str(why_unreachable("https://api.invalid", None))
    assert "DNS does not know the host of the proxy" in str(
        why_unreachable("https://x.example", "http://p.invalid:3128")
    )


def test_a_port_where_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert f"nothing listens on port {port}" in str(why_unreachable(f"http://127.0.0.1:{port}", None))


def test_an_unknown_authority_and_another_name_are_told_apart(
    serve: Serve, tls_server: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(hold, tls_server)
    unknown = str(why_unreachable(server.base_url, None))
    assert "is not to be trusted (self-signed certificate)" in unknown
    assert "SSL_CERT_FILE" in unknown
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert why_unreachable(server.base_url, None) is None
    assert "it is for another host" in str(why_unreachable(f"https://127.0.0.1:{server.port}", None))


def test_a_server_without_tls(serve: Serve) -> None:
    server = serve(lambda connection: connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert "does not speak TLS" in str(why_unreachable(f"https://127.0.0.1:{server.port}", None))


def test_a_server_that_does_not_answer(serve: Serve) -> None:
    server = serve(hold)
    assert "does not answer" in str(why_unreachable(f"https://127.0.0.1:{server.port}", None, timeout_s=0.2))


def test_no_password_of_a_proxy_is_repeated() -> None:
    assert "secret" not in str(why_unreachable("https://x.example", "http://user:secret@p.invalid:3128"))
