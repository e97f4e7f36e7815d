"""What is fuzzed: each target says where its inputs come from and what must hold for every one of them."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyarrow as pa
from hypothesis import strategies as st

from target_amplemarket.config import SERVICES
from target_amplemarket.errors import ApiUnreachable, InputError, RefusedByApi, TargetError, UnreadableFile
from target_amplemarket.leads.canonical import CanonicalColumn
from target_amplemarket.leads.company import company_names, titles, website_domains, with_mail_domains
from target_amplemarket.leads.email import canonical_email, canonical_emails
from target_amplemarket.leads.linkedin import canonical_profile_url, canonical_profile_urls
from target_amplemarket.leads.map_block import Rules, map_block
from target_amplemarket.leads.mapping import choose_mapping
from target_amplemarket.leads.text import text_column
from target_amplemarket.services import intake_of
from target_amplemarket.services.addresses import next_query, parse_retry_after
from target_amplemarket.services.amplemarket import Amplemarket
from target_amplemarket.services.answers import outcome_of
from target_amplemarket.services.protocol import Accepted, Refused
from target_amplemarket.services.replies import Answer
from target_amplemarket.singer.arrow_files import open_arrow_file
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.line_records import open_block
from target_amplemarket.singer.lines import Line, Lines, read_lines
from target_amplemarket.singer.manifest import open_named
from target_amplemarket.singer.messages import (
    RecordRun,
    Schema,
    _at_once,
    _line_by_line,
    _opened_at_once,
    read_messages,
)
from target_amplemarket.singer.records import ArrowRecords, JsonRecords
from target_amplemarket.singer.streams import Streams
from target_amplemarket.singer.validation import compile_validator
from tests.fuzz import inputs
from tests.harness import VirtualClock
from tests.services.opened import settings_of, surroundings
from tests.singer.reading import NeverStop, Pieces, singly, taken_apart

NOW = datetime(2026, 1, 5, tzinfo=UTC)
REQUEST = json.dumps({"leads": [{"email": "a@b.example"}, {"email": "c@d.example"}]}).encode()
ALL_RULES = [Rules(intake_of(settings_of(name)), True, bytes(32)) for name in SERVICES]


ASKED_FOR = (("Email",), ("id",), ("Account", "Name"))


@dataclass(frozen=True, slots=True)
class Target:
    """One promise and the inputs that it is held against."""

    name: str
    given: st.SearchStrategy[Any]
    check: Callable[[Any], None]


# --- The reader -------------------------------------------------------------------------------------------------------


def outcome(made: Iterator[Any]) -> list[Any]:
    """Messages one by one, in the order of the lines, and the fault that ended them."""
    came: list[Any] = []
    try:
        for message in singly(made):
            if isinstance(message, RecordRun):
                for index, (raw, line) in enumerate(zip(message.records, message.lines, strict=True)):
                    came.append((message.stream, bytes(raw), line, message.faults.get(index)))
            else:
                came.append(message)
    except InputError as fault:
        came.append((type(fault), str(fault)))
    return came


def both_ways_agree(content: bytes) -> None:
    """A block that is decoded at once says the same as line by line: whole, each line, and the sound lines alone."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return  # `read_lines` hands out UTF-8 only
    _agree(content)
    sound = [line for line in content.split(b"\n") if _agree(line)]
    _agree(b"\n".join(sound))
    _agree(b"\n".join([*sound, *reversed(sound), b""]))


def _agree(content: bytes) -> bool:
    """Whether the block was decoded at once; if it was, line by line has to say the same."""
    block, fast, slow = Lines(content, 7, 1_000), Counter[str](), Counter[str]()
    envelopes = _opened_at_once(block) if content else None
    if envelopes is None:
        assert not content or open_block(block, {"": ASKED_FOR, "s": ASKED_FOR}) is None
        return False
    at_once, line_by_line = outcome(_at_once(envelopes, block, fast)), outcome(_line_by_line(block, slow))
    assert at_once == line_by_line
    if not (at_once and isinstance(at_once[-1], tuple) and isinstance(at_once[-1][0], type)):
        assert fast == slow
        _agrees_at_once(block, line_by_line)
    return True


def _agrees_at_once(block: Lines, line_by_line: list[Any]) -> None:
    """A block whose records are read together with their lines says the same, too."""
    runs: dict[str, list[msgspec.Raw]] = {}
    for message in line_by_line:
        if isinstance(message, tuple):
            runs.setdefault(message[0], []).append(msgspec.Raw(message[1]))
    for paths in (ASKED_FOR, (*ASKED_FOR, ('na"me',))):  # the last one is the name of no Struct's field
        opened = open_block(block, dict.fromkeys(runs, paths))
        if opened is None:
            continue
        assert taken_apart(opened) == line_by_line
        for stream, records in opened.records.items():
            one_by_one = JsonRecords(runs[stream]).columns(paths)
            assert not one_by_one.faults
            for column, expected in zip(records.columns(paths).values, one_by_one.values, strict=True):
                assert list(map(str, column)) == list(map(str, expected))


def cuts_do_not_matter(given: tuple[bytes, list[int]]) -> None:
    """However the bytes arrive, the same messages come, and no exception but the reader's own."""
    content, cuts = given
    bounds = [0, *itertools.accumulate(cuts), len(content)]
    pieces = [content[first:last] for first, last in itertools.pairwise(bounds)]
    whole, cut = (
        outcome(read_messages(read_lines(Pieces(some), NeverStop(), idle_s=1), Counter()))  # type: ignore[arg-type]
        for some in ([content], pieces)
    )
    assert whole == cut


_as_written = json.JSONDecoder(parse_int=str, parse_float=str, strict=True).decode
"""Numbers as they stand there: Python takes no integer of more than 4,300 digits."""


def python_reads_the_same(content: bytes) -> None:
    """What comes as a sound RECORD is what the standard library reads in that line."""
    for came in outcome(read_messages(read_lines(Pieces([content]), NeverStop(), idle_s=1), Counter())):  # type: ignore[arg-type]
        if isinstance(came, tuple) and len(came) == 4 and came[3] is None:
            stream, raw, line, _ = came
            document = _as_written(line.content.decode())
            assert (document["type"], document["stream"]) == ("RECORD", stream)
            assert _as_written(raw.decode()) == document["record"]


def every_record_gets_one_place(content: bytes) -> None:
    """From bytes to leads and rejections: nothing but our own errors, and each record in exactly one table."""
    streams, last_read = Streams(validate=True), 0
    try:
        for message in singly(read_messages(read_lines(Pieces([content]), NeverStop(), idle_s=1), Counter())):  # type: ignore[arg-type]
            if isinstance(message, Schema):
                streams.register(message)
            if not isinstance(message, RecordRun):
                continue
            for block in streams.blocks(message, last_read + 1):
                last_read += len(block.records)
                for rules in ALL_RULES:
                    chosen = choose_mapping(
                        block.stream.schema, block.stream.key_properties, block.records,
                        intake=rules.intake, overrides={}, extra_fields=["*"], owner_field="owner",
                    )  # fmt: skip
                    mapped = map_block(block, chosen, rules)
                    numbers = [n for table in (mapped.leads, mapped.rejections) for n in table["record_no"].to_pylist()]
                    assert sorted(numbers) == list(range(block.first_record_no, last_read + 1))
    except TargetError:
        pass


# --- Canonical forms --------------------------------------------------------------------------------------------------


def _columns_agree(texts: list[str | None], column: CanonicalColumn, scalar: Callable[[str], Any]) -> None:
    for text, value, reason in zip(texts, column.value.to_pylist(), column.reason.to_pylist(), strict=True):
        judged = None if text is None else scalar(text)
        if value is None:
            assert judged == reason
            continue
        assert (judged, reason) == (value, None)
        assert scalar(value) == value, "a canonical form is its own canonical form"


def canonical_forms_hold(texts: list[str | None]) -> None:
    """Column and scalar agree, and a form that was accepted is accepted as it is."""
    given = pa.array(texts, pa.string())
    _columns_agree(texts, canonical_emails(given), canonical_email)
    _columns_agree(texts, canonical_profile_urls(given), canonical_profile_url)
    for form in (company_names, titles, website_domains):
        once = form(given)
        assert form(once).equals(once), form.__name__
        alone = [form(pa.array([text], pa.string()))[0].as_py() for text in texts]
        assert alone == once.to_pylist(), form.__name__
    with_mail_domains(website_domains(given), canonical_emails(given).value)


# --- Files ------------------------------------------------------------------------------------------------------------


def damaged_files_are_refused(content: bytes) -> None:
    """Whatever is in a Parquet or Arrow file: rows, or one error of ours."""
    try:
        for piece in open_arrow_file(io.BytesIO(content)).pieces():
            records = ArrowRecords(piece)
            assert len(records.kept()) == len(records)
            for column in records.columns([(name,) for name in piece.schema.names]).values:
                assert len(column) == len(records)
                text_column(column)
    except UnreadableFile:
        pass


@cache
def _machine() -> Path:
    """An allowed folder `IN`, another one `OUT`, and links from one to the other."""
    root = Path(tempfile.mkdtemp(prefix="fuzz-manifest-")).resolve()
    (root / "IN/a").mkdir(parents=True)
    (root / "OUT").mkdir()
    for place in ("IN/a.jsonl", "IN/a/a.jsonl", "IN/%2e%2e", "IN/a/~"):
        (root / place).write_bytes(b"allowed")
    for place in ("OUT/a.jsonl", "OUT/secret", "secret"):
        (root / place).write_bytes(b"forbidden")
    (root / "IN/link").symlink_to(root / "OUT")
    (root / "IN/a/link").symlink_to(root / "OUT/secret")
    os.mkfifo(root / "IN/fifo")
    return root


def names_stay_inside(name: str) -> None:
    """A manifest's name opens a file below the allowed folder, or nothing."""
    root = _machine()
    placed = name.replace("IN", f"{root}/IN".lstrip("/")).replace("OUT", f"{root}/OUT".lstrip("/"))
    try:
        with open_named(placed, [str(root / "IN")]) as file:
            assert file.read() == b"allowed"
    except UnreadableFile:
        pass


# --- Answers ----------------------------------------------------------------------------------------------------------

_SAFE = {
    "list_id": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "code": re.compile(r"[a-z0-9_]{1,64}"),
    "pointer": re.compile(r"(?=.{1,128}\Z)(/[A-Za-z0-9_.~-]{1,64})+"),
}


def _is_safe(part: object) -> bool:
    named = ((name, getattr(part, name, None)) for name in _SAFE)
    return all(value is None or _SAFE[name].fullmatch(value) for name, value in named)


def answers_become_outcomes(given: tuple[int, bytes]) -> None:
    """No body makes it raise, and what is kept of one is of the safe form."""
    status, body = given
    came = outcome_of(Answer(status, body), REQUEST)
    assert _is_safe(came)
    if isinstance(came, Accepted):
        assert 200 <= status < 300
    if isinstance(came, Refused):
        assert all(_is_safe(lead) and 0 <= lead.position < 2 for lead in came.leads)


def headers_become_bounds(text: str) -> None:
    """`Retry-After` and links: a bounded number or none, a query of the safe form or none."""
    wait_s = parse_retry_after(text, NOW)
    assert wait_s is None or 1 <= wait_s <= 300
    query = next_query(f"/users?{text}", "/users")
    assert query is None or re.fullmatch(r"[A-Za-z0-9\[\]=&%._~+:,/-]{0,2048}", query)
    assert next_query(text, "/users") is None or text.partition("?")[0] == "/users"


def any_server_is_survived(given: list[tuple[int, bytes, str]]) -> None:
    """A server that answers anything: our own errors only, and every call goes to the base URL."""
    answers = itertools.cycle(given)

    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.url.host, request.url.scheme) == ("api.example", "https")
        status, body, header = next(answers)
        headers = {"Retry-After": header} if header.isascii() and header.isprintable() else {}
        return httpx.Response(status, content=body, headers=headers)

    service = Amplemarket.open(settings_of("amplemarket"), surroundings(answer, VirtualClock()))
    service.confirm("K7Q2M9XA4T1B")
    for ask in (service.account, service.owners):
        with contextlib.suppress(ApiUnreachable, RefusedByApi):
            ask()
    service.send(REQUEST)
    service.close()


# --- SCHEMA -----------------------------------------------------------------------------------------------------------


def schemas_compile_or_are_refused(given: tuple[dict[str, Any], bytes]) -> None:
    """Any SCHEMA is compiled or refused, and what was compiled judges any value."""
    schema, text = given
    try:
        validator = compile_validator(schema, Line(b"", 1, 0))
    except InputError:
        return
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    valid = validator.is_valid(value)
    assert validator.faults([msgspec.Raw(text)]) == ({} if valid else {0: RecordFault.SCHEMA_VIOLATION})


TARGETS = {
    target.name: target
    for target in (
        Target("reader_both_ways", st.one_of(inputs.sound_inputs, inputs.sound_inputs, inputs.inputs), both_ways_agree),
        Target("reader_cuts", st.tuples(inputs.inputs, inputs.cuts), cuts_do_not_matter),
        Target("reader_oracle", inputs.inputs, python_reads_the_same),
        Target("records", inputs.inputs | inputs.sound_inputs, every_record_gets_one_place),
        Target("canonical_forms", inputs.columns, canonical_forms_hold),
        Target("arrow_files", inputs.arrow_files, damaged_files_are_refused),
        Target("manifest", inputs.manifest_names, names_stay_inside),
        Target("answers", st.tuples(inputs.statuses, inputs.bodies), answers_become_outcomes),
        Target("headers", inputs.header_texts, headers_become_bounds),
        Target(
            "service",
            st.lists(st.tuples(inputs.statuses, inputs.bodies, inputs.header_texts), min_size=1, max_size=4),
            any_server_is_survived,
        ),
        Target("schemas", st.tuples(inputs.schemas, inputs.json_values), schemas_compile_or_are_refused),
    )
}
