"""An explanation in words and as a document; no value of a record unless it is asked for."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from target_amplemarket.leads.tables import Reason
from target_amplemarket.results.explain import Cause, Example, Explanation, Group, Repair, merged_mapping
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.messages import printable

_WIDTH: Final = 80
_CODE: Final = " " * 5
_PERSONAL: Final = re.compile(r"@|linkedin|%40", re.IGNORECASE)
_MOST_CHARS: Final = 2_000

NOT_KEPT: Final = "their original records were not kept, so nothing can be looked at (`results_record` was `none`)"
_WORDS: Final[Mapping[str, str]] = {
    Reason.NO_IDENTITY: (
        "no member of these records holds what makes a lead under a name that says so: give them one in the source, or "
        "name the member in `field_mapping`"
    ),
    Reason.LINKEDIN_URL_INVALID: (
        "this is not a person's public profile, and no other member holds one, or what makes a lead without it: "
        "correct it in the source (docs/reference/canonical-forms.md explains the code)"
    ),
    Reason.EMAIL_INVALID: (
        "nothing can be sent to this, and no other member holds an e-mail, or what makes a lead without it: correct it "
        "in the source (docs/reference/canonical-forms.md explains the code)"
    ),
    Reason.PERSON_ID_INVALID: (
        "this is no id of a person in the API, and no other member holds what makes a lead without it: map the member "
        "that holds the API's own ids, or none (docs/reference/canonical-forms.md explains the code)"
    ),
    Reason.COMPANY_ID_INVALID: (
        "this is no id of a company in the API: map the member that holds the API's own ids, or none "
        "(docs/reference/canonical-forms.md explains the code)"
    ),
    Reason.REFUSED_BY_API: (
        "the API refused these leads: correct them in the source, or send them as they are with `replay "
        "--include-permanent` once the account takes them"
    ),
    Reason.NOT_SENT: "the list was held and never arrived: `replay --status held` sends these records",
    RecordFault.SCHEMA_VIOLATION: (
        "the records do not fit what the tap declares: correct the tap's catalog, or switch `validate_records` off; "
        "then run the tap again, or `replay --include-permanent`"
    ),
    RecordFault.STREAM_MAP_FAILED: (
        "an expression in `stream_maps` cannot work on these records: correct it, then run the tap again"
    ),
    RecordFault.INVALID_NUMBER: "the tap wrote what JSON does not have: correct source or tap, then run it again",
    RecordFault.INVALID_UNICODE: "the tap wrote what is no text: correct source or tap, then run it again",
    RecordFault.NESTED_TOO_DEEP: "no lead is nested that deep: flatten the records in the source",
    RecordFault.NOT_AN_OBJECT: "a record has to be an object: correct the tap",
}


def explanation_lines(found: Explanation, mapping: Mapping[str, Any], *, show_values: bool) -> Iterator[str]:
    """For people: a paragraph a cause, and at the end one change for all.

    Args:
        found: What was found.
        mapping: `field_mapping` of the settings, into which changes are put.
        show_values: Print the original records of examples.
    """
    if not found.groups:
        yield "no rejected record is open"
        return
    yield f"{_counted(found.count, 'rejected record')} open, of {_counted(len(found.groups), 'cause')}"
    for number, group in enumerate(found.groups, 1):
        yield ""
        yield f"{number}. {_title(group.cause)}: {_counted(group.count, 'record')}"
        if group.cause.detail:
            yield from _wrapped(f"why: {printable(group.cause.detail, most=200)}")
        for example in group.examples:
            yield from _example_lines(example, show_values=show_values)
        yield from _repair_lines(group, mapping)
    if any(each.sources for each in found.repairs) and (len(found.repairs) > 1 or _is_more(found)):
        count, people = sum(r.count for r in found.repairs), sum(r.people for r in found.repairs)
        yield ""
        yield from _wrapped(f"all changes together repair {_counted(count, 'record')}, {_people(people)}:", indent="")
        yield from _pasted(mapping, found.repairs)
    if any(each.sources for each in found.repairs):
        yield ""
        advice = (
            "look at a change before you use it: put it into the settings, then `target-amplemarket replay --config "
            "...` sends these records again without the tap"
        )
        yield from _wrapped(advice, indent="")


def explanation_json(found: Explanation, mapping: Mapping[str, Any], *, show_values: bool) -> str:
    """The same as one JSON document."""
    document = {
        "run": found.run,
        "records": found.count,
        "causes": [_group_object(group, mapping, show_values=show_values) for group in found.groups],
        "together": {
            "repaired": sum(r.count for r in found.repairs),
            "people": sum(r.people for r in found.repairs),
            "settings": {"field_mapping": merged_mapping(mapping, found.repairs)},
        }
        if found.repairs
        else None,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _group_object(group: Group, mapping: Mapping[str, Any], *, show_values: bool) -> dict[str, Any]:
    # Any: a JSON object.
    found = group.repair
    return {
        **group.cause._asdict(),
        "records": group.count,
        "records_kept": group.kept,
        "examples": [_example_object(example, show_values=show_values) for example in group.examples],
        "repair": None
        if found is None
        else {
            "repaired": found.count,
            "repaired_of_this_cause": found.repaired.get(group.cause, 0),
            "people": found.people,
            "settings": {"field_mapping": merged_mapping(mapping, [found])},
        },
        "advice": None if found else _advice(group),
    }


def _example_object(example: Example, *, show_values: bool) -> dict[str, Any]:
    record_key = example.record_key
    if record_key and _is_hidden(record_key, show_values=show_values):
        record_key = None
    shown = {
        "run_id": example.run_id,
        "record_no": example.record_no,
        "record_key": record_key,
        "attempt": example.attempt,
    }
    return shown | ({"record": example.record} if show_values else {})


def _example_lines(example: Example, *, show_values: bool) -> Iterator[str]:
    key = ""
    if example.record_key:
        is_hidden = _is_hidden(example.record_key, show_values=show_values)
        key = ", a key with personal data" if is_hidden else f", key {printable(example.record_key, most=200)}"
    tried = f", tried {example.attempt} times" if example.attempt > 1 else ""
    yield f"   record {example.record_no:,} of run {example.run_id}{key}{tried}"
    if show_values and example.record:
        yield f"     {printable(example.record, most=_MOST_CHARS)}"


def _is_hidden(record_key: str, *, show_values: bool) -> bool:
    """Whether key properties may be somebody's address."""
    return not show_values and bool(_PERSONAL.search(record_key))


def _repair_lines(group: Group, mapping: Mapping[str, Any]) -> Iterator[str]:
    if group.repair is None:
        yield from _wrapped(f"no change of the mapping repairs it: {_advice(group)}")
        return
    here, all_in_all = group.repair.repaired.get(group.cause, 0), group.repair.count
    others = f" and {all_in_all - here:,} of other causes" if all_in_all > here else ""
    if not group.repair.sources:
        text = f"the settings as they are now repair {here:,} of {group.count:,}{others}, "
        yield from _wrapped(f"{text}{_people(group.repair.people)}: `replay` sends them")
        return
    yield from _wrapped(f"repairs {here:,} of {group.count:,}{others}, {_people(group.repair.people)}:")
    yield from _pasted(mapping, [group.repair])


def _pasted(mapping: Mapping[str, Any], repairs: list[Repair]) -> Iterator[str]:
    """The setting as JSON to paste: in one line, or a line a lead field."""
    merged = merged_mapping(mapping, repairs)
    text = json.dumps({"field_mapping": merged}, ensure_ascii=False)
    if len(text) + len(_CODE) <= _WIDTH:
        yield _CODE + text
        return
    yield f'{_CODE}{{"field_mapping": {{'
    for stream_number, (stream, fields) in enumerate(merged.items(), 1):
        yield f"{_CODE}  {_json(stream)}: {{"
        for field_number, (name, members) in enumerate(fields.items(), 1):
            yield f"{_CODE}    {_json(name)}: {_json(members)}{',' if field_number < len(fields) else ''}"
        yield f"{_CODE}  }}{',' if stream_number < len(merged) else ''}"
    yield f"{_CODE}}}}}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _advice(group: Group) -> str:
    if group.is_mappable and not group.kept:
        return NOT_KEPT
    return _WORDS.get(group.cause.reason, "correct the records in the source")


def _title(cause: Cause) -> str:
    where = f" ({cause.field})" if cause.field else ""
    code = f", code {printable(cause.error_code)}" if cause.error_code else ""
    return f"stream {printable(cause.stream)}: {cause.reason}{where}{code}"


def _is_more(found: Explanation) -> bool:
    """Whether the changes do more together than each alone."""
    [together] = found.repairs
    return all(group.repair is None or group.repair.sources != together.sources for group in found.groups)


def _people(count: int) -> str:
    if count == 1:
        return "of whom 1 is a person not sent yet"
    return f"of whom {count:,} are people not sent yet"


def _wrapped(text: str, indent: str = "   ") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
