"""The sandbox as a Starlette application: the APIs, the control endpoints, and the page for people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.routing import Mount, Route, Router

from target_amplemarket.sandbox.api import ApiMaker
from target_amplemarket.sandbox.control import Control, LoopbackOnly
from target_amplemarket.sandbox.gate import Gate
from target_amplemarket.sandbox.page import Pages
from target_amplemarket.sandbox.switches import APIS, Switches
from target_amplemarket.sandbox.world import Clock, World


@dataclass(frozen=True)
class Sandbox:
    """What stands behind the application: its state, and the sign that makes hanging answers end."""

    world: World
    stopping: asyncio.Event


def create_app(
    switches: Switches | None = None, *, clock: Clock = time.time, apis: Sequence[ApiMaker] = APIS
) -> Starlette:
    """Build the application with a world of its own, under `app.state.sandbox`.

    Args:
        switches: How it answers; the defaults when left out.
        clock: Seconds since 1970. Lists, limits and late commits go by it; latency and hanging by real time.
        apis: Which APIs it speaks, each as its class; all that are shipped when left out.

    Raises:
        ValueError: A fault names an endpoint that no API has.
    """
    sandbox = Sandbox(World(switches or Switches(), clock, apis), asyncio.Event())
    pages = Pages(sandbox.world).routes()
    control = Control(sandbox.world).routes()
    app = Starlette(
        routes=[
            *(Route(page.path, LoopbackOnly(page.app)) for page in pages),
            Mount("/_sandbox", app=LoopbackOnly(Router(control))),
            Route("/{path:path}", Gate(sandbox.world, sandbox.stopping)),
        ]
    )
    app.state.sandbox = sandbox
    return app
