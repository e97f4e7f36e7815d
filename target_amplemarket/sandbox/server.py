"""Running the sandbox: until stopped, or beside a program in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import uvicorn

from target_amplemarket.sandbox.api import ApiMaker
from target_amplemarket.sandbox.app import Sandbox, create_app
from target_amplemarket.sandbox.arrivals import CommittedList, committed_lists
from target_amplemarket.sandbox.journal import RequestSeen
from target_amplemarket.sandbox.switches import APIS, Switches
from target_amplemarket.sandbox.transport import SandboxProtocol
from target_amplemarket.sandbox.world import Clock

T = TypeVar("T")
START_S = 10.0


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it listens and ends hanging answers when it stops."""

    def __init__(self, config: uvicorn.Config, sandbox: Sandbox, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.sandbox = sandbox
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.sandbox.stopping.set()
        await super().shutdown(sockets)

    def run_on_loop(self, action: Callable[[], T]) -> T:
        """Let the server's thread, which alone may touch the state, do this; wait for what comes of it."""
        if self._loop is None or self._loop.is_closed():
            return action()
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(_fulfil, outcome, action)
        return outcome.result()


def _fulfil(outcome: concurrent.futures.Future[T], action: Callable[[], T]) -> None:
    try:
        outcome.set_result(action())
    except Exception as error:
        outcome.set_exception(error)


def serve(
    switches: Switches | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], None] | None = None,
    apis: Sequence[ApiMaker] = APIS,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        switches: How the sandbox answers; the defaults when left out.
        host: Address to listen on. Control endpoints answer only under a loopback name, whatever the address.
        port: 0 for any free one.
        on_ready: Called with the base URL once connections are taken.
        apis: Which APIs it speaks; all that are shipped when left out.

    Raises:
        ValueError: A fault names an endpoint that no API has.
        OSError: The address cannot be used.
    """
    listener = _listen(host, port)
    say_ready = on_ready or (lambda _: None)
    server = _build(switches, time.time, apis, lambda: say_ready(_url(listener)))
    with contextlib.closing(listener), contextlib.suppress(KeyboardInterrupt):
        server.run([listener])


class RunningSandbox:
    """A sandbox served by a thread of this program. Its methods may be called from any other thread."""

    def __init__(self, url: str, sandbox: Sandbox, run: Callable[[Callable[[], Any]], Any]) -> None:
        self.url = url
        self._world = sandbox.world
        self._run = run

    def log(self) -> list[CommittedList]:
        """Every list that was committed, oldest first, with its leads as they were sent."""
        world = self._world
        return self._on_loop(
            lambda: committed_lists(world.journal.commits, lambda calls: world.api(calls[0].api).held(calls))
        )

    def requests(self) -> list[RequestSeen]:
        """The last requests, oldest first, as they stand now."""
        return self._on_loop(lambda: [msgspec.structs.replace(seen) for seen in self._world.journal.requests])

    def state(self) -> dict[str, Any]:
        """Counts, and what each API counts."""
        return self._on_loop(lambda: self._world.state())

    def set(self, **switches: Any) -> None:
        """Change switches, as `PATCH /_sandbox/switches` does.

        Raises:
            ValueError: A name is unknown or a value does not fit.
        """
        self._on_loop(lambda: self._world.set(switches))

    def token(self, api: str) -> str:
        """A fresh token for an API, whose lifetime begins now.

        Raises:
            KeyError: No API of this name issues tokens.
        """
        token: str | None = self._on_loop(lambda: self._world.api(api).issue_token())
        if token is None:
            raise KeyError(api)
        return token

    def advance(self, duration_s: float) -> None:
        """Put the sandbox's time forward: lists complete, late commits happen, the limit's minute passes."""
        self._on_loop(lambda: self._world.advance(duration_s))

    def reset(self, switches: Switches | None = None) -> None:
        """Forget everything that happened; keep the switches unless others are given."""
        self._on_loop(lambda: self._world.reset(switches))

    def _on_loop(self, action: Callable[[], T]) -> T:
        def settled() -> T:
            self._world.settle()
            return action()

        outcome: T = self._run(settled)
        return outcome


@contextlib.contextmanager
def running_sandbox(
    switches: Switches | None = None,
    *,
    port: int = 0,
    clock: Clock = time.time,
    apis: Sequence[ApiMaker] = APIS,
) -> Iterator[RunningSandbox]:
    """Serve on 127.0.0.1 in a thread for as long as the `with` block lasts.

    Args:
        switches: How the sandbox answers; the defaults when left out.
        port: 0 for any free one.
        clock: Seconds since 1970, asked from the server's thread.
        apis: Which APIs it speaks; all that are shipped when left out.
    """
    listener = _listen("127.0.0.1", port)
    ready = threading.Event()
    server = _build(switches, clock, apis, ready.set)
    thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
    thread.start()
    try:
        if not ready.wait(START_S):
            raise RuntimeError(f"the sandbox did not start within {START_S:g} seconds")
        yield RunningSandbox(_url(listener), server.sandbox, server.run_on_loop)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _build(switches: Switches | None, clock: Clock, apis: Sequence[ApiMaker], on_ready: Callable[[], None]) -> _Server:
    app = create_app(switches, clock=clock, apis=apis)
    config = uvicorn.Config(
        app, http=SandboxProtocol, ws="none", loop="asyncio", lifespan="off", log_config=None, log_level="critical",
        access_log=False, server_header=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    return _Server(config, app.state.sandbox, on_ready)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=512)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
