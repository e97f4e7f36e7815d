"""A server of bare sockets: what it reads and writes, and when it hangs up, is said byte by byte by the test."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from target_amplemarket.services.credentials import fixed
from target_amplemarket.services.http import HttpCaller

KEY = "amp_canary_0123456789"


class Connection:
    """One accepted connection; everything read from it is kept in `received`."""

    def __init__(self, sock: socket.socket, closing: threading.Event) -> None:
        self.sock = sock
        self.closing = closing
        self.received = bytearray()

    def read(self, count: int) -> bytes:
        chunk = self.sock.recv(min(count, 65536))
        self.received += chunk
        return chunk

    def read_bytes(self, count: int) -> None:
        while len(self.received) < count and self.read(count - len(self.received)):
            pass

    def read_request(self) -> bytes:
        """Read one request with all of its body; b"" at the end of the connection."""
        start = len(self.received)
        while b"\r\n\r\n" not in self.received[start:]:
            if not self.read(65536):
                return b""
        head, _, body = bytes(self.received[start:]).partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        missing = (int(lengths[0].split(b":")[1]) if lengths else 0) - len(body)
        while missing > 0:
            missing -= len(self.read(missing))
        return bytes(self.received[start:])

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, status: int, body: bytes = b"{}", *headers: str) -> None:
        self.write(self.head(status, *headers, f"Content-Length: {len(body)}") + body)

    def head(self, status: int, *headers: str) -> bytes:
        return "\r\n".join([f"HTTP/1.1 {status} Word", *headers, "", ""]).encode()

    def drip(self, data: bytes, pause_s: float = 0.05) -> None:
        for byte in data:
            self.write(bytes([byte]))
            self.closing.wait(pause_s)

    def hold(self) -> None:
        self.closing.wait(10)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Script = Callable[[Connection], None]


@dataclass
class RawServer:
    """Plays `script` on every connection; `connections` keeps them in order of arrival."""

    script: Script
    context: ssl.SSLContext | None = None
    connections: list[Connection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.closing = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}" if self.context is None else f"https://localhost:{self.port}"

    @property
    def received(self) -> list[bytes]:
        return [bytes(connection.received) for connection in self.connections]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self.closing.is_set():
                connection = Connection(self.listener.accept()[0], self.closing)
                self.connections.append(connection)
                thread = threading.Thread(target=self._play, args=(connection,))
                self.threads.append(thread)
                thread.start()

    def _play(self, connection: Connection) -> None:
        try:
            if self.context is not None:
                connection.sock = self.context.wrap_socket(connection.sock, server_side=True)
            self.script(connection)
        except (OSError, ValueError):  # the client hung up, or the test is over
            pass
        finally:
            connection.sock.close()

    def close(self) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(timeout=5)
            assert not thread.is_alive()


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    """Starts a server that plays a script on every connection."""
    servers: list[RawServer] = []

    def start(script: Script, context: ssl.SSLContext | None = None) -> RawServer:
        servers.append(RawServer(script, context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def caller() -> Iterator[Callable[..., HttpCaller]]:
    """Makes a caller with a canary for a key and a deadline of half a second."""
    callers: list[HttpCaller] = []

    def make(base_url: str, *, request_timeout_s: float = 0.5, proxy: str | None = None) -> HttpCaller:
        callers.append(
            HttpCaller(credentials=fixed(KEY), base_url=base_url, request_timeout_s=request_timeout_s, proxy=proxy)
        )
        return callers[-1]

    yield make
    for one in callers:
        one.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for `localhost`, with its key."""
    return _certificate(tmp_path_factory.mktemp("tls") / "localhost.pem", "req", "-x509", "-days", "2")


@pytest.fixture(scope="session")
def expired_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, from a day of 2020 to the next."""
    folder = tmp_path_factory.mktemp("tls-expired")
    (folder / "index").touch()
    config = folder / "ca.conf"
    config.write_text(
        "[ca]\ndefault_ca = own\n[own]\npolicy = any\ndefault_md = sha256\nx509_extensions = v3\n"
        f"database = {folder}/index\nnew_certs_dir = {folder}\nrand_serial = yes\n[any]\ncommonName = supplied\n"
        "[v3]\nsubjectAltName = DNS:localhost\nbasicConstraints = CA:true\n"
    )
    path = _certificate(folder / "localhost.pem", "req", "-new")
    key, request, signed = folder / "key", path.with_suffix(".crt"), folder / "signed"
    key.write_text(path.read_text().partition("-----BEGIN CERTIFICATE REQUEST")[0])
    dates = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
    _openssl(
        *("ca", "-batch", "-selfsign", "-notext", "-config", str(config), "-keyfile", str(key), *dates),
        *("-in", str(request), "-out", str(signed)),
    )
    path.write_text(key.read_text() + signed.read_text())
    return path


def _certificate(path: Path, *words: str) -> Path:
    """What `openssl req` makes, behind its key."""
    _openssl(
        *(*words, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


def _openssl(*words: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    subprocess.run([openssl, *words], check=True, capture_output=True)


@pytest.fixture
def tls_server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
