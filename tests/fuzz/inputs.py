"""Inputs: what is nearly right, and then a little damage."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

STREAMS = ["contacts", "leads", "", "é", "../x", "a\0b"]
FIELDS = [
    "id",
    "Email",
    "email",
    "linkedin_url",
    "title",
    "company",
    "website",
    "owner",
    "Größe",
    'q"uote',
    "",
    "_sdc_x",
]
EMAILS = ["dana@northwind.example", " Dana <dana@x.io>;", "mailto:a@b.co?x", "a@b@c.de", "ä@ö.de", "info@", "n/a"]
URLS = [
    "https://www.linkedin.com/in/dana-farrow",
    "linkedin.com/in/d%C3%A9/",
    "//x.linkedin.com/pub/a/1/2/3",
    "%",
    "/in/",
]
NUMBERS = ["NaN", "-Infinity", "1e999", "-0", "1E400", "0.1", "18446744073709551616", "01", "+1", "1."]
LITERALS = [
    "null",
    "true",
    "{}",
    "[]",
    '""',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u0000"',
    '"\t"',
    "'a'",
    "[" * 70 + "]" * 70,
]
PIECES = [
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\n",
        b"\r",
        b"\t",
        b" ",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc3",
    ),
    *(b"}\n{", b"}{", b"\\u", b"\\ud800", b"null", b"NaN", b"1e999", b'"type"', b'"RECORD"', b'"STATE"', b'"record"'),
    *(b'"stream":null', b'"value"', b"\xe2\x80\xa8", b"\xc2\x85", b"[[[[[[[[", b"[" * 64),
]
PEOPLE_PARTS = [
    *(
        ".",
        "..",
        "@",
        "/",
        "\\",
        "%",
        "%2F",
        "%00",
        "//",
        "://",
        "http",
        "https://",
        "www.",
        "linkedin.com",
        "/in/",
        "/pub/",
    ),
    *(
        "mailto:",
        "<",
        ">",
        ",",
        ";",
        "'",
        '"',
        "\u200b",
        "\u202e",
        "\ufeff",
        "\u00ad",
        "\u0130",
        "\u212a",
        "ß",
        "ﬁ",
        "İ",
    ),
    *(
        "e\u0301",
        "\u1e9e",
        "\ud7ff",
        "\U0001f469\u200d\U0001f4bb",
        "xn--",
        "xn--a",
        "-",
        "_",
        "?",
        "#",
        ":443",
        "[::1]",
    ),
    *(
        "github.io",
        "co.uk",
        "gmail.com",
        "example",
        "dana",
        "DANA",
        "a" * 64,
        "\t",
        "\n",
        "\x1f",
        "\x00",
        " ",
        "(",
        "1",
    ),
]

members = st.sampled_from(FIELDS) | st.text(max_size=6)
scalars = (
    st.sampled_from([*map(json.dumps, [*EMAILS, *URLS]), *NUMBERS, *LITERALS])
    | st.integers(4_299, 4_400).map("9".__mul__)
    | st.text(max_size=12).map(json.dumps)
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(json.dumps)
)


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"


values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
        | st.lists(st.tuples(members, inner), max_size=3).map(_object)
    ),
    max_leaves=5,
)
records = st.lists(st.tuples(members, values), max_size=5).map(_object)
_SCHEMA: dict[str, Any] = {"properties": {name: {} for name in FIELDS}}


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One line, well formed or nearly so: members in any order, some twice, some missing."""
    kind = draw(st.sampled_from(["RECORD"] * 5 + ["STATE", "SCHEMA", "ACTIVATE_VERSION", "BATCH", "record", ""]))
    pairs = [("type", json.dumps(kind)), ("stream", json.dumps(draw(st.sampled_from(STREAMS))))]
    match kind:
        case "RECORD" | "record":
            pairs.append(("record", draw(st.one_of(*[records] * 9, values))))
        case "STATE":
            pairs.append(("value", draw(values)))
        case "SCHEMA":
            pairs += [("schema", draw(st.just(json.dumps(_SCHEMA)) | records)), ("key_properties", '["id"]')]
        case "BATCH":
            pairs += [("encoding", '{"format":"jsonl"}'), ("manifest", '["/etc/passwd"]')]
        case _:
            pass
    if draw(st.integers(0, 9)) == 0:
        extra = draw(st.sampled_from(["type", "stream", "record", "value", "schema", "version", "time_extracted"]))
        pairs.append((extra, draw(values)))
    if draw(st.integers(0, 9)) == 0:
        pairs.pop(draw(st.integers(0, len(pairs) - 1)))
    if draw(st.booleans()):
        pairs = draw(st.permutations(pairs))
    return _object(list(pairs)).encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Whole half of the time; else with bytes put in, taken out, overwritten or said twice."""
    content = bytearray(draw(whole))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 4]))):
        place = draw(st.integers(0, len(content)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=4))
        match draw(st.integers(0, 3)):
            case 0:
                content[place:place] = piece
            case 1:
                del content[place : place + draw(st.integers(1, 40))]
            case 2:
                content[place : place + len(piece)] = piece
            case _:
                content[place:place] = content[place : place + draw(st.integers(1, 200))]
    return bytes(content)


@st.composite
def sound_messages(draw: st.DrawFn) -> bytes:
    """One line that a strict reader takes, with whatever such a reader may see differently."""
    stream = draw(st.sampled_from(STREAMS[:2]))
    kind = draw(st.sampled_from(["RECORD"] * 6 + ["STATE"] * 2 + ["SCHEMA", "ACTIVATE_VERSION", "OTHER"]))
    body = _object(draw(st.lists(st.tuples(members, sound_values), max_size=3)))
    named = {"RECORD": "record", "STATE": "value", "SCHEMA": "schema"}.get(kind, "version")
    pairs = [("type", f'"{kind}"'), ("stream", json.dumps(stream)), (named, body)]
    if kind == "STATE" and draw(st.booleans()):
        pairs[2] = ("value", draw(sound_values))
    if kind == "SCHEMA":
        pairs[2] = ("schema", '{"properties":{"id":{}}}')
    pairs += draw(st.lists(st.tuples(st.sampled_from([*NAMES, "version"]), sound_values), max_size=1))
    if draw(st.integers(0, 5)) == 0:
        pairs = draw(st.permutations(pairs))[: draw(st.integers(1, 4))]
    return _object(list(pairs)).encode()


sound_values = st.sampled_from(
    [
        "1",
        "null",
        '"a"',
        "{}",
        "[]",
        "-0.5",
        '"é"',
        "true",
        '{"a":{"b":[1,{}]}}',
        '"{"',
        '"}"',
        "1e999",
        "[" * 62 + "]" * 62,
    ]
)
NAMES = ["type", "stream", "record", "value", "schema", "key_properties", "encoding", "manifest"]
sound_inputs = st.tuples(
    st.lists(sound_messages(), min_size=1, max_size=6).map(b"\n".join), st.sampled_from([b"\n", b""]), st.booleans()
).flatmap(lambda made: damaged(st.just(made[0] + made[1])) if made[2] else st.just(made[0] + made[1]))
ends = st.sampled_from([b"\n", b"\n", b"\n", b"\n", b"\r\n", b" \n", b"\n\n", b""])
inputs = damaged(st.lists(st.tuples(messages(), ends), max_size=8).map(lambda lines: b"".join(m + e for m, e in lines)))
cuts = st.lists(st.integers(0, 400), max_size=4)
json_values = values.map(str.encode)
people = st.lists(st.sampled_from([*EMAILS, *URLS, *PEOPLE_PARTS]) | st.text(max_size=6), max_size=8).map("".join)
columns = st.lists(st.none() | people, max_size=8)


def _table() -> pa.Table:
    return pa.table(
        {
            "id": pa.array([1, None, 3]),
            "Email": pa.array(["dana@northwind.example", "é", None]),
            "tags": pa.array([["a"], [], None]),
            "seen": pa.array([1, 2, None], pa.timestamp("us", "UTC")),
            "nested": pa.array([{"a": "x"}, None, {"a": None}]),
            "kind": pa.array(["lead", "lead", "buyer"]).dictionary_encode(),
        }
    )


def _arrow_seeds() -> list[bytes]:
    table, made = _table(), []
    for compression in ("none", "zstd", "snappy"):
        sink = io.BytesIO()
        pq.write_table(table, sink, compression=compression, write_page_checksum=compression == "none")
        made.append(sink.getvalue())
    for new in (pa.ipc.new_file, pa.ipc.new_stream):
        sink = io.BytesIO()
        with new(sink, table.schema) as writer:
            writer.write_table(table)
        made.append(sink.getvalue())
    return made


arrow_files = damaged(st.sampled_from(_arrow_seeds()))
manifest_names = st.tuples(
    st.sampled_from(["file://", "file://localhost", "FILE://", "", "s3:", "//", "file:"]),
    st.lists(
        st.sampled_from(
            ["IN", "OUT", "..", ".", "", "%2e%2e", "%2F", "link", "a.jsonl", "fifo", "secret", "proc", "%00", "~"]
        )
        | st.text(max_size=5),
        max_size=9,
    ).map("/".join),
).map("".join)

_codes = st.sampled_from(["invalid_email", "X Y", "é", "a" * 65, "null"]) | st.text(max_size=8)
_pointers = (
    st.sampled_from(["/owner", "/leads/0/email", "/leads/00", "/leads/999999/x", "/leads/1/a b", "/leads/²"]) | people
)
_errors = st.lists(
    st.fixed_dictionaries({"code": _codes, "detail": people, "source": st.fixed_dictionaries({"pointer": _pointers})}),
    max_size=4,
).map(lambda entries: {"_errors": entries})
_lists = st.fixed_dictionaries(
    {"id": st.sampled_from(["0f1e", "a/b", "", "x" * 65]) | people, "url": people | st.sampled_from(["https://a.b/c"])},
    optional={"name": people | st.sampled_from(["x [K7Q2M9XA4T1B]"]), "email": people, "status": people},
)
_links = st.fixed_dictionaries(
    {"href": st.sampled_from(["/lead-lists?page[after]=1", "//evil/x", "/users?a"]) | people}
)
_pages = st.fixed_dictionaries(
    {"lead_lists": st.lists(_lists, max_size=3), "users": st.lists(_lists, max_size=3)},
    optional={"_links": st.fixed_dictionaries({"next": _links}) | st.none()},
)
_documents = st.one_of(_errors, _lists, _pages, _lists.map(lambda one: {"lead_list": one}))
bodies = damaged(_documents.map(lambda document: json.dumps(document).encode()))
statuses = st.sampled_from(
    [200, 201, 202, 204, 301, 307, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 451, 500, 503]
)
header_texts = st.one_of(
    st.sampled_from(
        ["3", "Wed, 21 Oct 2026 07:28:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "-1", "1e9", "²", "9" * 400]
    ),
    st.text(max_size=20),
    people,
)

_keywords = st.sampled_from(
    [
        *("type", "pattern", "patternProperties", "properties", "required", "items", "allOf", "anyOf", "oneOf", "not"),
        *(
            "if",
            "then",
            "else",
            "$ref",
            "$id",
            "$defs",
            "format",
            "enum",
            "const",
            "minimum",
            "maxLength",
            "multipleOf",
        ),
        *("additionalProperties", "propertyNames", "dependencies", "$recursiveRef", "$dynamicRef", "contentEncoding"),
    ]
)
_parts: Any = st.recursive(
    st.sampled_from(["string", "object", "(a+)+$", "#", "http://127.0.0.1:9/x", "file:///etc/passwd", "#/properties/x"])
    | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keywords, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
schemas = st.dictionaries(_keywords, _parts, max_size=4)
