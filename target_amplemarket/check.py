"""What a run would meet, found out without spending anything: settings, results folder, API."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from target_amplemarket.clock import Clock, SystemClock
from target_amplemarket.config import KEY_SETTINGS, Settings
from target_amplemarket.delivery.limiter import Limiter
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import (
    ApiUnreachable,
    RefusedByApi,
    SettingsError,
    StorageError,
    TargetError,
)
from target_amplemarket.leads.exclusions import ExcludedPeople
from target_amplemarket.leads.suppression import take_suppression_file
from target_amplemarket.lists.credits import prices_of
from target_amplemarket.results.account import check_account, is_remembered
from target_amplemarket.results.ledger import folder_key
from target_amplemarket.results.reader import run_ids
from target_amplemarket.services import calls, intake_of, open_service
from target_amplemarket.services.protocol import Account, Service
from target_amplemarket.services.reachability import why_unreachable
from target_amplemarket.storage.durable import Folder
from target_amplemarket.storage.lock import locked

REQUESTS_PER_MINUTE: Final = {"amplemarket": 500}
"""Documented, for all endpoints together (docs.amplemarket.com/api-reference/introduction, June 2026); Lance's pages
name no limit."""

LEAST_FREE_BYTES: Final = 64 * 1024**2
LITTLE_FREE_BYTES: Final = 1024**3
_MIB: Final = 1024**2
_SHORT_SETTLE_S: Final = 60
_CEILINGS: Final = (
    "max_records_per_run",
    "max_leads_per_run",
    "max_email_credits_per_run",
    "max_phone_credits_per_run",
    "max_rejected_records",
)
_PROBE: Final = "check"


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # a run goes on
    FAILED = "failed"  # a run ends


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check.

    Attributes:
        subject: What was looked at.
        level: How bad it is.
        text: What was found, and what to do.
        exit_code: What a run would end with; 0 unless it failed.
    """

    subject: str
    level: Level
    text: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The effects that a check needs."""

    clock: Clock
    service: Service | None = None  # the one that the settings name
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free


def examine(settings: Settings, surroundings: Surroundings | None = None) -> Iterator[Finding]:
    """Look at everything that a run needs; spends nothing and sends nothing.

    Yields:
        Findings as they are made, settings first, then the folder, then the API.
    """
    given = surroundings or Surroundings(SystemClock())
    of_settings = list(_of_settings(settings))
    yield from of_settings
    yield from _of_folder(settings, given)
    if of_settings[0].level is not Level.FAILED:  # else no service can be opened, for the same reason
        yield from _of_api(settings, given)


def failed(error: TargetError, subject: str) -> Finding:
    """What would stop a run."""
    return Finding(subject, Level.FAILED, str(error), error.exit_code)


def exit_code_of(findings: list[Finding]) -> int:
    """That of the first thing that failed."""
    return next((finding.exit_code for finding in findings if finding.level is Level.FAILED), 0)


def findings_json(findings: list[Finding]) -> str:
    """One JSON document."""
    document = {"exit_code": exit_code_of(findings), "checks": findings}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


# --- Settings ---------------------------------------------------------------------------------------------------------


def _of_settings(settings: Settings) -> Iterator[Finding]:
    try:
        intake_of(settings)
        yield Finding("settings", Level.OK, "complete and within their bounds")
    except SettingsError as error:
        yield failed(error, "settings")
    most_requests = REQUESTS_PER_MINUTE.get(settings.service, settings.requests_per_minute)
    warnings = [
        (settings.dry_run, "dry_run", "is on: runs plan and send nothing; take it out to send"),
        (
            settings.requests_per_minute > most_requests,
            "requests_per_minute",
            f"is {settings.requests_per_minute:,}, and the API documents {most_requests} for all calls together: "
            "more are refused with 429 and slow the run down; 450 leaves room",
        ),
        (
            settings.settle_seconds < _SHORT_SETTLE_S,
            "settle_seconds",
            f"is {settings.settle_seconds}: a server that commits later than that can make a list twice; 180 is the "
            "default",
        ),
        (
            settings.on_unknown == "resend",
            "on_unknown",
            "is `resend`: a list whose answer was lost may be sent twice; `hold` never does",
        ),
        (
            settings.service == "lance" and settings.lance_find_people != "off",
            "lance_find_people",
            f"is `{settings.lance_find_people}`: whether Lance charges for such searches is not documented; send a few "
            "records first (`max_records_per_run`) and look at the account's balance",
        ),
    ]
    yield from (Finding(name, Level.WARNING, f"`{name}` {text}") for is_so, name, text in warnings if is_so)
    for path in settings.batch_paths:
        if not Path(path).is_dir():
            yield Finding("batch_paths", Level.WARNING, f"there is no folder {path}: BATCH files below it are refused")
    if settings.suppression_file is not None:
        yield _of_suppression(settings, Path(settings.suppression_file))
    yield _of_credits(settings)
    yield _of_ceilings(settings)


def _of_suppression(settings: Settings, path: Path) -> Finding:
    people = ExcludedPeople(secrets.token_bytes(32), by_company_domain=settings.exclude_company_domains)
    try:
        taken = take_suppression_file(path, people)
    except SettingsError as error:
        return failed(error, "suppression_file")
    text = f"{taken.emails:,} e-mails, {taken.domains:,} domains and {taken.profiles:,} profiles are left out"
    if taken.unreadable:
        text += f"; {taken.unreadable:,} cells are none of these and exclude nobody: look into {path}"
    return Finding("suppression_file", Level.WARNING if taken.unreadable else Level.OK, text)


def _of_credits(settings: Settings) -> Finding:
    prices = prices_of(settings)
    costs = prices.per_lead.values()
    bare = [
        name
        for name, is_spent in [
            ("max_email_credits_per_run", any(one.email_thousandths for one in costs)),
            ("max_phone_credits_per_run", any(one.phone_thousandths for one in costs)),
        ]
        if is_spent and getattr(settings, name) is None
    ]
    if not bare or settings.max_leads_per_run is not None:
        return Finding("credits", Level.OK, prices.quote())
    names = " and ".join(f"`{name}`" for name in bare)
    return Finding("credits", Level.WARNING, f"{prices.quote()}; nothing limits a run: set {names}")


def _of_ceilings(settings: Settings) -> Finding:
    named = [f"`{name}` {value:,}" for name in _CEILINGS if (value := getattr(settings, name)) is not None]
    named += [f"`max_rejected_percent` {settings.max_rejected_percent}"] if settings.max_rejected_percent < 100 else []
    return Finding("guards", Level.OK, ", ".join(named) or "no ceiling and no breaker is set")


# --- The results folder -----------------------------------------------------------------------------------------------


def _of_folder(settings: Settings, given: Surroundings) -> Iterator[Finding]:
    path = Path(settings.results_path)
    if not path.exists() and not path.is_symlink():
        yield from _of_missing_folder(path, given)
        return
    try:
        folder = Folder(path)
        with locked(folder, given.clock):
            folder.write(_PROBE, b"")
            folder.remove(_PROBE)
            if folder.read("key") is not None or run_ids(path):
                folder_key(folder)
        yield Finding("results folder", Level.OK, f"{path.absolute()} can be locked and written")
    except TargetError as error:
        yield failed(error, "results folder")
        return
    if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        yield Finding(
            "results folder",
            Level.WARNING,
            f"others on this machine may look into it (mode {mode:04o}): `chmod 700 {path}`",
        )
    yield _of_space(path, given)
    yield from _of_held_lists(folder)


def _of_missing_folder(path: Path, given: Surroundings) -> Iterator[Finding]:
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        message = f"{path.absolute()} is not there and cannot be made in {above}; choose another `results_path`"
        yield failed(StorageError(message), "results folder")
        return
    yield Finding(
        "results folder",
        Level.WARNING,
        f"{path.absolute()} is not there; the first run makes it. If there was a run before, `results_path` is wrong, "
        "and nobody would be known as sent",
    )
    yield _of_space(above, given)


def _of_space(path: Path, given: Surroundings) -> Finding:
    free = given.free_bytes(path)
    text = f"{free / _MIB:,.0f} MiB are free"
    if free < LEAST_FREE_BYTES:
        return failed(StorageError(f"{text}, too few for a run: free the disk"), "space")
    if free < LITTLE_FREE_BYTES:
        return Finding("space", Level.WARNING, f"{text}; 10 million results take about 1 GiB")
    return Finding("space", Level.OK, text)


def _of_held_lists(folder: Folder) -> Iterator[Finding]:
    try:
        entries = Outbox(folder, run_id="").entries()
    except StorageError as error:
        yield failed(error, "held lists")
        return
    if not entries:
        yield Finding("held lists", Level.OK, "none")
        return
    markers = ", ".join(entry.intent.marker for entry in entries)
    yield Finding(
        "held lists",
        Level.WARNING,
        f"{len(entries):,} without a recorded outcome ({markers}): the next run asks for them first; `reconcile` asks "
        "now, `resolve` settles one by hand",
    )


# --- The API ----------------------------------------------------------------------------------------------------------


def _of_api(settings: Settings, given: Surroundings) -> Iterator[Finding]:
    stop = threading.Event()
    limiter = Limiter(settings.requests_per_minute, given.clock, stop)
    try:
        service = given.service or open_service(
            settings, calls.Surroundings(given.clock, limiter.acquire, limiter.slow_down, stop)
        )
    except SettingsError as error:
        yield failed(error, "API")
        return
    with contextlib.closing(service):
        try:
            account = service.account()
        except ApiUnreachable as error:
            why = why_unreachable(service.base_url, settings.proxy)
            yield Finding("API", Level.FAILED, f"{why} ({error})" if why else str(error), error.exit_code)
            return
        except RefusedByApi as error:
            yield Finding("API", Level.OK, f"{service.base_url} answers")
            yield failed(error, "key")
            return
        yield Finding("API", Level.OK, f"{service.base_url} answers")
        whose = account.name or account.account_id or "without a name"
        yield Finding("key", Level.OK, f"{_source_of_key(settings)} is accepted, for the account {whose}")
        yield _of_account(settings, account)
        yield _of_owner(settings, service)
        yield _of_exclusions(settings, service)


def _source_of_key(settings: Settings) -> str:
    return next((f"that of `{name}`" for name in KEY_SETTINGS[1:] if getattr(settings, name)), "`api_key`")


def _of_account(settings: Settings, account: Account) -> Finding:
    path = Path(settings.results_path)
    try:
        if path.is_dir() and is_remembered(path):
            check_account(Folder(path), settings.service, account)
            return Finding("account", Level.OK, "is the one that the results folder belongs to")
    except TargetError as error:
        return failed(error, "account")
    return Finding("account", Level.OK, "the results folder belongs to none yet; the first run that asks settles it")


def _of_owner(settings: Settings, service: Service) -> Finding:
    if not service.has_owners:
        text = "lists belong to the user of the key, who makes them; `owner` is not used"
        return Finding("owner", Level.OK, text)
    try:
        owners = service.owners()
    except TargetError as error:
        return failed(error, "owner")
    if settings.owner.lower() in owners:
        return Finding("owner", Level.OK, f"`owner` is one of {len(owners):,} users who can own lists")
    text = f"`owner` is none of the {len(owners):,} users of the account who can own lists: set it to one of them"
    return failed(RefusedByApi(text), "owner")


def _of_exclusions(settings: Settings, service: Service) -> Finding:
    if not service.has_exclusions:
        text = "the API has no lists of people who are not to be contacted; name yours in `suppression_file`"
        return Finding("exclusions", Level.OK, text)
    if settings.exclusions == "off":
        text = "`exclusions` is `off`: people on the account's exclusion lists are sent all the same"
        return Finding("exclusions", Level.WARNING, text)
    try:
        found = service.exclusions()
    except (RefusedByApi, ApiUnreachable) as error:
        if settings.exclusions == "require":
            return failed(error, "exclusions")
        return Finding("exclusions", Level.WARNING, f"{error}; runs go on without them, as `exclusions: try` says")
    text = f"{len(found.emails):,} e-mails and {len(found.domains):,} domains of the account are left out"
    return Finding("exclusions", Level.OK, text)
