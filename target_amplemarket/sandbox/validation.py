"""What a request body must be, member by member; every departure is a problem with a pointer to its place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from target_amplemarket.sandbox.lead_rules import TYPES, lead_problems, repeated_leads
from target_amplemarket.sandbox.problems import Problem, missing, unsupported

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches

DEFAULT_NAME = "Lead List created via API"
PROBLEMS_TOLD = 100
CREATE_MEMBERS = {
    "name": str,
    "shared": bool,
    "visible": bool,
    "owner": str,
    "type": str,
    "options": dict,
    "leads": list,
}
ADD_MEMBERS = {"type": str, "leads": list}
_REQUIRED = {"create": ("type", "owner", "leads", "shared"), "add": ("leads",)}


class Options(msgspec.Struct, frozen=True):
    """The three paid options of a list."""

    reveal_phone_numbers: bool
    validate_email: bool
    enrich: bool


@dataclass(frozen=True)
class Leads:
    """The leads of one call: as objects for looking at, and as the bytes that came."""

    objects: list[dict[str, Any]]
    raw: list[msgspec.Raw]

    def keep(self, positions: list[int]) -> Leads:
        """Only the leads at these positions."""
        return Leads([self.objects[at] for at in positions], [self.raw[at] for at in positions])


@dataclass(frozen=True)
class CreateRequest:
    """A create call that passed every check; `owner` is still as sent."""

    name: str
    shared: bool
    visible: bool
    owner: str
    type: str
    options: Options
    leads: Leads


@dataclass(frozen=True)
class AddRequest:
    """A call that adds leads to a list and passed every check."""

    type: str
    leads: Leads


class _RawLeads(msgspec.Struct):
    leads: list[msgspec.Raw]


def read_object(body: bytes) -> dict[str, Any] | Problem:
    """The JSON object in a body, or why there is none."""
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return Problem("invalid_json", "The request body is not valid JSON.")
    if not isinstance(document, dict):
        return unsupported("", "The request body is not a JSON object.")
    return document


def read_create(body: bytes, switches: Switches, is_owner: Any) -> CreateRequest | list[Problem]:
    """Check a create call. `is_owner` says whether an e-mail is one of a user who may own a list."""
    document = read_object(body)
    if isinstance(document, Problem):
        return [document]
    problems = _told(_create_problems(document, switches, is_owner), switches)
    if problems:
        return problems
    options = document.get("options", {})
    return CreateRequest(
        name=document["name"] if document.get("name", "").strip() else DEFAULT_NAME,
        shared=document["shared"],
        visible=document.get("visible", switches.visible_default),
        owner=document["owner"],
        type=document["type"],
        options=Options(
            **{name: options.get(name, getattr(switches, f"{name}_default")) for name in Options.__struct_fields__}
        ),
        leads=Leads(document["leads"], msgspec.json.decode(body, type=_RawLeads).leads),
    )


def read_add(body: bytes, switches: Switches, list_type: str) -> AddRequest | list[Problem]:
    """Check a call that adds to a list of `list_type`."""
    document = read_object(body)
    if isinstance(document, Problem):
        return [document]
    problems = _told(_add_problems(document, switches, list_type), switches)
    if problems:
        return problems
    leads = Leads(document["leads"], msgspec.json.decode(body, type=_RawLeads).leads)
    return AddRequest(document.get("type", list_type), leads)


def _told(problems: Iterator[Problem], switches: Switches) -> list[Problem]:
    return list(itertools.islice(problems, 1 if switches.errors_told == "first" else PROBLEMS_TOLD))


def _create_problems(document: dict[str, Any], switches: Switches, is_owner: Any) -> Iterator[Problem]:
    yield from _member_problems(document, CREATE_MEMBERS, _REQUIRED["create"], switches)
    yield from _type_problems(document.get("type"))
    owner = document.get("owner")
    if isinstance(owner, str) and not is_owner(owner):
        yield unsupported("/owner", f"'{owner}' is not a valid owner")
    name = document.get("name")
    if isinstance(name, str) and switches.name_limit is not None and len(name) > switches.name_limit:
        yield unsupported("/name", f"Name exceeds {switches.name_limit} characters limit.")
    if isinstance(document.get("options"), dict):
        yield from _option_problems(document["options"], switches)
    if document.get("type") in TYPES and isinstance(document.get("leads"), list):
        yield from _leads_problems(document["leads"], document["type"], switches)


def _add_problems(document: dict[str, Any], switches: Switches, list_type: str) -> Iterator[Problem]:
    yield from _member_problems(document, ADD_MEMBERS, _REQUIRED["add"], switches)
    lead_type = document.get("type", list_type)
    yield from _type_problems(lead_type)
    if lead_type in TYPES and lead_type != list_type and switches.add_other_type == "reject":
        yield unsupported("/type", f"'{lead_type}' is not the type of this list.")
    if lead_type in TYPES and isinstance(document.get("leads"), list):
        yield from _leads_problems(document["leads"], lead_type, switches)


def _member_problems(
    document: dict[str, Any], declared: Mapping[str, type], required: tuple[str, ...], switches: Switches
) -> Iterator[Problem]:
    yield from (missing(name) for name in required if name not in document)
    if switches.unknown_members == "reject":
        yield from (_undeclared("", name) for name in document if name not in declared)
    for name, kind in declared.items():
        if name in document and not isinstance(document[name], kind):
            yield unsupported(f"/{name}", f"Unsupported value provided for field: {name}")


def _option_problems(options: dict[str, Any], switches: Switches) -> Iterator[Problem]:
    for name, value in options.items():
        if name not in Options.__struct_fields__:
            if switches.unknown_members == "reject":
                yield _undeclared("/options", name)
        elif not isinstance(value, bool):
            yield unsupported(f"/options/{name}", f"Unsupported value provided for field: options.{name}")


def _undeclared(parent: str, name: str) -> Problem:
    escaped = name.replace("~", "~0").replace("/", "~1")
    return unsupported(f"{parent}/{escaped}", f"Unsupported field in request: {name}")


def _type_problems(lead_type: Any) -> Iterator[Problem]:
    if isinstance(lead_type, str) and lead_type not in TYPES:
        yield unsupported("/type", f"'{lead_type}' is not a supported type.")


def _leads_problems(leads: list[Any], lead_type: str, switches: Switches) -> Iterator[Problem]:
    if len(leads) > switches.leads_per_call:
        yield unsupported("/leads", f"Number of leads exceeds {switches.leads_per_call:,} limit.")
    elif not leads and not switches.empty_leads_ok:
        yield unsupported("/leads", "At least one lead is needed.")
    else:
        yield from lead_problems(leads, lead_type, switches)
        if switches.duplicates == "reject":
            yield from repeated_leads(leads, lead_type)
