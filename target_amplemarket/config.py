"""Settings, declared once: type, unit, default, bound, one sentence.

The JSON schema behind `--about`, the validation and the tables in the documentation are all made from the fields of
`Settings`.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jsonschema import Draft202012Validator

from target_amplemarket.errors import SettingsError

LEAD_FIELDS: Final = (
    "linkedin_url", "email", "title", "company_name", "company_domain", "first_name", "last_name", "person_id",
    "company_id", "phones", "city", "country", "seniority", "departments",
)  # fmt: skip
"""Every field that some service takes; which of them is the service's to say."""
LIST_TYPES: Final = ("linkedin", "email", "titles_and_company")
KEY_SETTINGS: Final = ("api_key", "api_key_file", "api_key_command")
ENVIRONMENT_PREFIX: Final = "TARGET_AMPLEMARKET_"
_FLAG_WORDS: Final = frozenset({"true", "1", "yes", "on", "false", "0", "no", "off", ""})
LIST_NAME_FIELDS: Final = ("stream", "date", "owner", "list_type")

CREDIT_PRICES: Final = {
    "lead": 0,
    "person_found": 0.5,
    "email_revealed": 1,
    "email_validated": 1,
    "phone_revealed": 1,
}
"""Credits; whose words these are, and what is assumed, stands in `lists.credits`."""
CREDIT_PRICES_AS_OF: Final = "2026-06"

FieldMapping = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Stream name or `*` → lead field → source fields, tried in order."""


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """An API that takes lists.

    Attributes:
        path: `module:class` of its client; loaded where it is needed.
        requires: Settings that it cannot do without.
        dashboard: Domain of the pages where people look at its lists; links elsewhere are not shown as links.
    """

    path: str
    requires: tuple[str, ...] = ()
    dashboard: str | None = None


SERVICES: Final = {
    "amplemarket": ServiceEntry(
        "target_amplemarket.services.amplemarket:Amplemarket", requires=("owner",), dashboard="amplemarket.com"
    ),
    "lance": ServiceEntry("target_amplemarket.services.lance:Lance", requires=("base_url",)),
}
"""Every API by the name that the setting `service` gives it: one line each."""


def _setting(default: object, schema: dict[str, Any], description: str, *, secret: bool = False) -> Any:
    # Any: a dataclass field stands where its value will be.
    metadata = {"schema": schema, "description": description, "secret": secret}
    if isinstance(default, (dict, list)):
        frozen = tuple(default) if isinstance(default, list) else default
        return field(default_factory=lambda: frozen, metadata=metadata | {"default": default})
    return field(default=default, repr=not secret, metadata=metadata | {"default": default})


_TEXT: Final = {"type": "string", "minLength": 1}
_TEXT_OR_EMPTY: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_FLAG: Final = {"type": "boolean"}


def _integer(minimum: int, maximum: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def _ceiling(minimum: int) -> dict[str, Any]:
    return {"type": ["integer", "null"], "minimum": minimum}


def _choice(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


_SOURCE: Final = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"type": "null"}]}
_STREAM_MAPPING: Final = {
    "type": "object",
    "propertyNames": {"enum": list(LEAD_FIELDS)},
    "additionalProperties": _SOURCE,
}
_MAPPING: Final = {"type": "object", "additionalProperties": _STREAM_MAPPING}
_PRICES: Final = {name: {"type": "number", "minimum": 0, "maximum": 1_000_000} for name in CREDIT_PRICES}
_PRICE_TABLE: Final = {
    "type": "object",
    "properties": {
        "as_of": _TEXT,
        **_PRICES,
        **{name: {"type": "object", "properties": _PRICES, "additionalProperties": False} for name in LIST_TYPES},
    },
    "additionalProperties": False,
}
_DATE: Final = {
    "type": "string",
    "pattern": r"^(today|\+[0-9]{1,4}d|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?)?)$",
}
_TEMPLATE: Final = {
    "type": "string",
    "minLength": 1,
    "pattern": r"^([^{}]|\{\{|\}\}|\{(" + "|".join(LIST_NAME_FIELDS) + r")\})*$",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All settings of the target, checked. Build it with `read_settings`."""

    service: str = _setting("amplemarket", _choice(*SERVICES), "Which API takes the lists.")
    api_key: str = _setting(
        "",
        _TEXT_OR_EMPTY,
        "Bearer key of the API; required, unless `api_key_file` or `api_key_command` gives it.",
        secret=True,
    )
    api_key_file: str | None = _setting(
        None, _TEXT_OR_NULL, "File that holds the bearer key; read again when the API no longer accepts the key."
    )
    api_key_command: str | None = _setting(
        None,
        _TEXT_OR_NULL,
        "Command that prints the bearer key (no shell); run again when the API no longer accepts the key.",
        secret=True,
    )
    owner: str = _setting(
        "",
        _TEXT_OR_EMPTY,
        "E-mail of the user who owns the lists, checked against the account's users; required where lists have owners.",
    )
    base_url: str | None = _setting(
        None,
        _TEXT_OR_NULL,
        "Address of the API: https, or http on loopback only (default: Amplemarket's own; required for Lance).",
    )
    proxy: str | None = _setting(
        None,
        _TEXT_OR_NULL,
        "Address of an HTTP proxy, which may hold a password; proxies named in the environment are not used.",
        secret=True,
    )
    owner_field: str | None = _setting(
        None,
        _TEXT_OR_NULL,
        "Record field (dotted path) whose e-mail overrides `owner` per record; one unknown to the account falls back.",
    )
    list_type: str = _setting(
        "auto",
        _choice("auto", *LIST_TYPES),
        "`auto` routes each record: LinkedIn, e-mail, title and company, the first it has.",
    )
    company_needs: str = _setting(
        "either", _choice("domain", "name", "either"), "What a title-and-company lead must carry of its company."
    )
    list_name: str = _setting(
        "{stream} {date}",
        _TEMPLATE,
        "Template of a list's name: `{stream}`, `{date}` (UTC), `{owner}`, `{list_type}`; ` part N [MARKER]` follows.",
    )
    shared: bool = _setting(True, _FLAG, "Lists are shared across the account.")
    visible: bool = _setting(True, _FLAG, "Lists are shown in the dashboard.")
    enrich: bool = _setting(False, _FLAG, "Enrich the leads; spends credits.")
    validate_email: bool = _setting(False, _FLAG, "Validate the leads' e-mails; spends credits.")
    reveal_phone_numbers: bool = _setting(False, _FLAG, "Reveal phone numbers; spends credits.")
    field_mapping: FieldMapping = _setting(
        {},
        _MAPPING,
        "Per stream (or `*`): lead field → source field, dotted path, or a list tried in order; null maps nothing.",
    )
    extra_fields: tuple[str, ...] = _setting(
        [],
        {"type": "array", "items": {"type": "string"}},
        'Further source fields to keep on the lead (dotted paths), or `["*"]` for all.',
    )
    results_path: str = _setting("amplemarket-results", _TEXT, "Folder for results, STATE log and the ledger.")
    results_record: str = _setting(
        "rejected", _choice("none", "rejected", "all"), "Which result rows keep the original record."
    )
    lock_wait_seconds: int = _setting(0, _integer(0, 86_400), "How long to wait for another run that holds the folder.")
    load_method: str = _setting(
        "upsert",
        _choice("upsert", "append-only"),
        "`upsert`: a person already sent is not sent again; `append-only`: each distinct version of a record goes "
        "once; `overwrite` is refused, since lists cannot be replaced.",
    )
    batch_size_rows: int = _setting(10_000, _integer(1, 10_000), "Leads per list.")
    batch_wait_limit_seconds: int = _setting(
        300, _integer(1, 86_400), "Age at which a list that is not full is closed."
    )
    max_in_flight: int = _setting(4, _integer(1, 32), "Lists being sent at once.")
    requests_per_minute: int = _setting(450, _integer(1, 100_000), "One budget for all calls.")
    request_timeout_seconds: int = _setting(120, _integer(1, 3_600), "Total deadline of one call.")
    settle_seconds: int = _setting(
        180, _integer(0, 86_400), "How long to wait before asking whether a list without an answer arrived."
    )
    on_unknown: str = _setting(
        "hold",
        _choice("hold", "resend", "assume_sent"),
        "When the API cannot say whether a list arrived: keep it open, send it again, or count it as sent.",
    )
    batch_paths: tuple[str, ...] = _setting(
        [],
        {"type": "array", "items": _TEXT},
        "Folders below which the files of BATCH messages may lie; none by default, and then BATCH is refused.",
    )
    validate_records: bool = _setting(
        False,
        _FLAG,
        "Check records against the stream's JSON Schema; a violation is a rejected row.",
    )
    dry_run: bool = _setting(
        False, _FLAG, "Plan only: nothing is sent, rows are `planned`, no STATE leaves; the account is still asked."
    )
    max_records_per_run: int | None = _setting(
        None, _ceiling(1), "Records read; what comes after is left to a later run, STATE stays before it."
    )
    max_leads_per_run: int | None = _setting(
        None, _ceiling(1), "New leads let into lists; what comes after is left, STATE stays before it."
    )
    max_email_credits_per_run: int | None = _setting(
        None, _ceiling(0), "E-mail credits that the leads let into lists can cost at worst."
    )
    max_phone_credits_per_run: int | None = _setting(
        None, _ceiling(0), "Phone credits that the leads let into lists can cost at worst."
    )
    max_rejected_percent: int = _setting(
        100,
        _integer(0, 100),
        "Rejected records, of those read, past which nothing is sent; decided from 1,000 records or the input's end.",
    )
    max_rejected_records: int | None = _setting(None, _ceiling(0), "Rejected records past which nothing is sent.")
    max_swing_percent: int | None = _setting(
        None,
        _ceiling(0),
        "How far a stream's records may be off the median of the last runs before nothing is sent; from 3 runs on.",
    )
    credit_prices: Mapping[str, Any] = _setting(
        {"as_of": CREDIT_PRICES_AS_OF, **CREDIT_PRICES},
        _PRICE_TABLE,
        "Credits of a lead at worst: of other endpoints, assumed for lists; also per list type; replaced one by one.",
    )

    exclusions: str = _setting(
        "require",
        _choice("require", "try", "off"),
        "The account's exclusion lists: `require` sends nothing unless they can be read, `try` goes on without them.",
    )
    exclude_company_domains: bool = _setting(
        True, _FLAG, "An excluded domain also excludes leads by their company's domain, not by their e-mail's alone."
    )
    suppression_file: str | None = _setting(
        None, _TEXT_OR_NULL, "CSV, Parquet or Arrow file of e-mails, domains and LinkedIn URLs that are never sent."
    )

    lance_list_type: str = _setting(
        "person", _choice("person", "company"), "Lance only: lists of people, or of companies (by `company_id`)."
    )
    lance_icp_id: str | None = _setting(
        None, _TEXT_OR_NULL, "Lance only: id of the Ideal Customer Profile that lists belong to."
    )
    lance_start_date: str = _setting(
        "today", _DATE, "Lance only: first day of the campaign: `today`, days from today as `+7d`, or ISO 8601."
    )
    lance_end_date: str = _setting(
        "+90d", _DATE, "Lance only: last day of the campaign: days from its first day as `+90d`, or ISO 8601."
    )
    lance_people_without_id: str = _setting(
        "send",
        _choice("send", "refuse"),
        "Lance only: people without `person_id`; whether Lance adds, refuses or skips them is not documented.",
    )
    lance_find_people: str = _setting(
        "off",
        _choice("off", "linkedin_url"),
        "Lance only: look for people without `person_id` by LinkedIn URL first; whether that costs is not documented.",
    )
    lance_people_per_call: int = _setting(
        1_000, _integer(1, 10_000), "Lance only: people or companies in one call; the most is not documented."
    )
    lance_create_status: str = _setting(
        "any",
        _choice("any", "200", "201"),
        "Lance only: status that says a list was made; which is not documented, any 2xx by default.",
    )

    report: bool = _setting(
        False, _FLAG, "Write an HTML page about the run at its end, `reports/<run_id>.html`; needs the `report` extra."
    )

    def mapping_of(self, stream: str) -> Mapping[str, tuple[str, ...]]:
        """Lead field → source fields as the settings override them for one stream; its own entry before `*`."""
        return {**self.field_mapping.get("*", {}), **self.field_mapping.get(stream, {})}


def declared_settings() -> Iterator[dataclasses.Field[Any]]:
    """The declarations; `metadata` holds `schema`, `description`, `secret` and `default`."""
    yield from dataclasses.fields(Settings)


def json_schema() -> dict[str, Any]:
    """JSON Schema of the settings as `--about` prints it and Meltano Hub reads it."""
    properties: dict[str, Any] = {}
    for declared in declared_settings():
        entry = dict(declared.metadata["schema"]) | {"description": declared.metadata["description"]}
        entry["title"] = declared.name.replace("_", " ").capitalize()
        if declared.metadata["secret"]:
            entry |= {"secret": True, "writeOnly": True}
        if declared.metadata["default"] not in (None, ""):
            entry["default"] = declared.metadata["default"]
        properties[declared.name] = entry
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "oneOf": [_given(name) for name in KEY_SETTINGS],
        "allOf": [_of_service(name, entry) for name, entry in SERVICES.items()],
    }


def _of_service(name: str, entry: ServiceEntry) -> dict[str, Any]:
    """What one service requires, as JSON Schema; the default service counts where none is named."""
    chosen: dict[str, Any] = {"properties": {"service": {"const": name}}}
    if name != Settings.__dataclass_fields__["service"].default:
        chosen["required"] = ["service"]
    return {"if": chosen, "then": {"allOf": [_given(name) for name in entry.requires]}}


def _given(name: str) -> dict[str, Any]:
    """That a setting of text is there and not empty."""
    return {"required": [name], "properties": {name: _TEXT}}


def read_settings(config: Mapping[str, Any], *, also_known: Mapping[str, Any] | None = None) -> Settings:
    """Check a configuration and freeze it.

    Args:
        config: What the settings file or the environment says.
        also_known: JSON Schemas of settings that other code reads (stream maps, flattening), by name.

    Raises:
        SettingsError: All faults at once, each with the setting's name and what it takes; no value is repeated.
    """
    schemas = {**{d.name: d.metadata["schema"] for d in declared_settings()}, **(also_known or {})}
    faults = [*_unknown(config, schemas), *_missing(config), *_ill_formed(config, schemas)]
    if faults:
        raise SettingsError("settings: " + "; ".join(faults))
    known = {d.name: config[d.name] for d in declared_settings() if d.name in config}
    return Settings(**{name: _frozen(name, value) for name, value in known.items()})


def check_environment(environ: Mapping[str, str], properties: Mapping[str, Any]) -> None:
    """See to it that every setting in the environment can be read as what it is.

    The SDK takes every flag that it does not know for false: a `dry_run` misspelt would send.

    Args:
        environ: Of the process.
        properties: JSON Schemas of all settings, by name.

    Raises:
        SettingsError: All faults at once, each with the setting's name and what it takes; no value is repeated.
    """
    given = {name: environ.get(ENVIRONMENT_PREFIX + name.upper()) for name in properties}
    unread = {n: text for n, text in given.items() if text is not None and not _is_readable(text, properties[n])}
    if unread:
        raise SettingsError("settings in the environment: " + "; ".join(_ill_formed(unread, properties)))


def _is_readable(text: str, schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type", ())
    if "boolean" in kinds:
        return text.lower() in _FLAG_WORDS
    try:  # the SDK's own ways; a list may also be words with commas between them
        if "integer" in kinds:
            int(text)
        elif "object" in kinds:
            json.loads(text)
    except ValueError:
        return False
    return True


def _unknown(config: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(set(config) - set(schemas)):
        close = difflib.get_close_matches(name, schemas, n=1)
        yield f"`{name}` is not a setting of this version" + (f", did you mean `{close[0]}`?" if close else "")


def _missing(config: Mapping[str, Any]) -> Iterator[str]:
    entry = SERVICES.get(str(config.get("service")), SERVICES["amplemarket"])
    described = {declared.name: declared.metadata["description"] for declared in declared_settings()}
    given = [name for name in KEY_SETTINGS if config.get(name)]
    if not given:
        yield f"`api_key` is required ({described['api_key']})"
    elif len(given) > 1:
        yield f"the key is given by {' and '.join(f'`{name}`' for name in given)}: keep one of them"
    for name in entry.requires:
        if not config.get(name):
            yield f"`{name}` is required ({described[name]})"


def _ill_formed(config: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        if name in config and not Draft202012Validator(schema).is_valid(config[name]):
            yield from _explained(name, config[name], schema)


def _explained(name: str, value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    # Any: what the settings file says.
    if name == "load_method" and value == "overwrite":
        yield (
            "`load_method: overwrite` cannot be honoured: lead lists have no replace, and an absent record must never "
            "mean a delete; use `upsert` or `append-only`"
        )
    elif name == "field_mapping" and (misnamed := list(_misnamed_fields(value))):
        yield from misnamed
    else:
        yield f"`{name}` takes {_words(schema)}"


def _misnamed_fields(value: Any) -> Iterator[str]:
    # Any: what the settings file says.
    for stream, mapping in value.items() if isinstance(value, dict) else ():
        for name in sorted(set(mapping) - set(LEAD_FIELDS)) if isinstance(mapping, dict) else ():
            close = difflib.get_close_matches(name, LEAD_FIELDS, n=1)
            hint = f"did you mean `{close[0]}`?" if close else "lead fields are " + ", ".join(LEAD_FIELDS)
            yield f"`field_mapping` of stream `{stream}` names `{name}`, {hint}"


def _words(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if schema is _DATE:
        return "`today`, days as `+90d`, or a date as `2026-01-31` or `2026-01-31T09:00:00Z`"
    if schema is _TEMPLATE:
        return "text with " + ", ".join(f"`{{{name}}}`" for name in LIST_NAME_FIELDS) + " between braces and no other"
    if schema is _PRICE_TABLE:
        names = ", ".join(f"`{name}`" for name in CREDIT_PRICES)
        return f"an object of {names} (credits from 0), `as_of` (text), and list types with such prices of their own"
    if schema is _MAPPING:
        return "an object of streams, each an object of lead fields with a source field, a list of them, or null"
    if "minimum" in schema:
        most = f" to {schema['maximum']:,}" if "maximum" in schema else " on, or null"
        return f"a whole number from {schema['minimum']:,}{most}"
    kinds = schema.get("type", "an object")
    words = {"string": "text", "boolean": "true or false", "array": "a list", "object": "an object", "null": "null"}
    return " or ".join(words.get(kind, str(kind)) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _frozen(name: str, value: Any) -> Any:
    # Any: settings come as JSON and leave as the declared types.
    if name == "field_mapping":
        return {stream: {f: _sources(s) for f, s in mapping.items()} for stream, mapping in value.items()}
    if isinstance(value, float):
        return int(value)  # JSON has one kind of number: 10.0 is a whole one
    return tuple(value) if isinstance(value, list) else value


def _sources(value: str | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
