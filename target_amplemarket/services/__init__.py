"""One client per outreach API behind one small protocol; `config.SERVICES` lists them."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import cast

from target_amplemarket.config import SERVICES, Settings
from target_amplemarket.leads.intake import Intake
from target_amplemarket.services.calls import Surroundings
from target_amplemarket.services.protocol import Service


def open_service(settings: Settings, given: Surroundings) -> Service:
    """The client of the API that the settings name.

    Raises:
        SettingsError: No call could be made with them.
    """
    return _client(settings).open(settings, given)


def intake_of(settings: Settings) -> Intake:
    """What that API takes of records; asks nothing.

    Raises:
        SettingsError: The settings ask for what it does not have.
    """
    return _client(settings).intake(settings)


def _client(settings: Settings) -> type[Service]:
    return cast("type[Service]", resolve_name(SERVICES[settings.service].path))
