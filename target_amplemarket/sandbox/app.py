"""The sandbox as a Starlette application: the API, the control endpoints, and the page for people."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.routing import Mount, Route, Router

from target_amplemarket.sandbox.account import Account, Clock
from target_amplemarket.sandbox.control import Control, LoopbackOnly
from target_amplemarket.sandbox.gate import Gate
from target_amplemarket.sandbox.page import Pages
from target_amplemarket.sandbox.switches import Switches


@dataclass(frozen=True)
class Sandbox:
    """What stands behind the application: its state, and the sign that makes hanging answers end."""

    account: Account
    stopping: asyncio.Event


def create_app(switches: Switches | None = None, *, clock: Clock = time.time) -> Starlette:
    """Build the application with an account of its own, under `app.state.sandbox`.

    Args:
        switches: How it answers; the defaults when left out.
        clock: Seconds since 1970. Lists, limits and late commits go by it; latency and hanging by real time.
    """
    sandbox = Sandbox(Account(switches or Switches(), clock), asyncio.Event())
    pages = Pages(sandbox.account).routes()
    control = Control(sandbox.account).routes()
    app = Starlette(
        routes=[
            *(Route(page.path, LoopbackOnly(page.app)) for page in pages),
            Mount("/_sandbox", app=LoopbackOnly(Router(control))),
            Route("/{path:path}", Gate(sandbox.account, sandbox.stopping)),
        ]
    )
    app.state.sandbox = sandbox
    return app
