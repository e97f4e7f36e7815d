"""The APIs that the sandbox speaks, and the switches of all of them: the one place that names an API.

A further one stands among `APIS`, and its switches, if it has any, among the bases of `Switches`.
"""

from __future__ import annotations

from dataclasses import dataclass

from target_amplemarket.sandbox.amplemarket import Amplemarket
from target_amplemarket.sandbox.amplemarket_switches import AmplemarketSwitches
from target_amplemarket.sandbox.api import ApiMaker
from target_amplemarket.sandbox.common import CommonSwitches
from target_amplemarket.sandbox.lance import Lance, LanceSwitches

APIS: tuple[ApiMaker, ...] = (Amplemarket, Lance)


@dataclass(frozen=True)
class Switches(LanceSwitches, AmplemarketSwitches, CommonSwitches):
    """How the sandbox answers. Made by `switches_from` where values come from outside, which also checks them."""
