from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from target_amplemarket.config import (
    LEAD_FIELDS,
    LIST_NAME_FIELDS,
    Settings,
    declared_settings,
    json_schema,
    read_settings,
)
from target_amplemarket.errors import SettingsError

REQUIRED = {"api_key": "k-1", "owner": "dana@northwind.example"}
SECRET = "sk-canary-0451"


def fault_of(config: dict[str, Any], **known: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings(config, **known)
    assert caught.value.exit_code == 2
    assert caught.value.__context__ is None
    return str(caught.value)


def test_the_required_settings_are_enough_and_the_rest_are_the_declared_defaults() -> None:
    settings = read_settings(REQUIRED)
    for declared in declared_settings():
        if declared.name not in REQUIRED:
            default = declared.metadata["default"]
            assert getattr(settings, declared.name) == (tuple(default) if isinstance(default, list) else default)


def test_defaults_of_the_design() -> None:
    settings = read_settings(REQUIRED)
    assert (settings.service, settings.list_type, settings.company_needs) == ("amplemarket", "auto", "either")
    assert (settings.list_name, settings.load_method) == ("{stream} {date}", "upsert")
    assert (settings.results_record, settings.results_path) == ("rejected", "amplemarket-results")
    assert (settings.batch_size_rows, settings.batch_wait_limit_seconds) == (10_000, 300)
    assert (settings.max_in_flight, settings.requests_per_minute, settings.request_timeout_seconds) == (4, 450, 120)
    assert (settings.shared, settings.visible) == (True, True)


def test_what_spends_credits_is_off() -> None:
    settings = read_settings(REQUIRED)
    assert (settings.enrich, settings.validate_email, settings.reveal_phone_numbers) == (False, False, False)


def test_every_default_fits_its_own_schema() -> None:
    for declared in declared_settings():
        assert Draft202012Validator(declared.metadata["schema"]).is_valid(declared.metadata["default"])


def test_the_json_schema_is_one_and_marks_secrets() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert "required" not in schema, "what is required is the service's to say"
    secrets = {name for name, entry in schema["properties"].items() if entry.get("secret")}
    assert secrets == {"api_key", "api_key_command", "proxy"}
    for entry in schema["properties"].values():
        assert entry["description"].endswith(".")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("api_kee", "api_key"), ("batch_size", "batch_size_rows"), ("enrch", "enrich"), ("prox", "proxy")],
)
def test_a_misspelt_setting_is_named_with_the_one_meant(written: str, meant: str) -> None:
    assert f"`{written}` is not a setting of this version, did you mean `{meant}`?" in fault_of(REQUIRED | {written: 1})


def test_a_setting_like_no_other_is_named_without_a_guess() -> None:
    assert fault_of(REQUIRED | {"zzzz": 1}) == "settings: `zzzz` is not a setting of this version"


def test_settings_that_other_code_reads_are_known_and_checked() -> None:
    also_known = {"stream_maps": {"type": "object"}}
    assert read_settings(REQUIRED | {"stream_maps": {}}, also_known=also_known).owner == REQUIRED["owner"]
    assert "`stream_maps` takes an object" in fault_of(REQUIRED | {"stream_maps": 1}, also_known=also_known)
    assert "did you mean `stream_maps`?" in fault_of(REQUIRED | {"stream_map": {}}, also_known=also_known)


def test_all_faults_are_told_at_once_in_a_fixed_order() -> None:
    message = fault_of(
        {
            "ownr": "x",
            "service": "other",
            "list_name": "{strem}",
            "field_mapping": {"contacts": {"mail": "E", "emial": "E"}},
            "shared": "yes",
            "load_method": "overwrite",
            "batch_size_rows": 10_001,
        }
    )
    in_order = [
        "`ownr` is not a setting",
        "did you mean `owner`?",
        "`api_key` is required",
        "`owner` is required",
        "`service` takes one of `amplemarket`",
        "`list_name` takes text with `{stream}`",
        "`shared` takes true or false",
        "names `emial`, did you mean `email`?",
        "names `mail`, did you mean `email`?",
        "`load_method: overwrite` cannot be honoured",
        "`batch_size_rows` takes a whole number from 1 to 10,000",
    ]
    places = [message.index(part) for part in in_order]
    assert places == sorted(places)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([d.name for d in declared_settings()]), VALUES, max_size=6))
def test_no_value_is_repeated_in_a_message(config: dict[str, Any]) -> None:
    config = {name: [SECRET, value] for name, value in config.items()} | {"list_type": SECRET}
    assert SECRET not in fault_of(config)


def test_secrets_are_not_shown_by_the_settings_themselves() -> None:
    settings = read_settings({"api_key": SECRET, "owner": "o", "proxy": f"http://u:{SECRET}@proxy.example"})
    assert settings.api_key == SECRET
    assert SECRET not in repr(settings)
    assert "owner='o'" in repr(settings)


TEMPLATES = st.lists(
    st.sampled_from(["{", "}", "{{", "}}", "Leads ", *(f"{{{name}}}" for name in LIST_NAME_FIELDS), "{x}", "{date!r}"])
).map("".join)
MAPPINGS = st.dictionaries(
    st.sampled_from(["*", "contacts"]),
    st.dictionaries(
        st.sampled_from([*LEAD_FIELDS, "phone"]),
        st.none() | st.just("Email") | st.lists(st.just("A.b"), max_size=2) | st.integers(),
        max_size=2,
    )
    | st.none(),
)
NEAR = {
    "list_name": TEMPLATES,
    "field_mapping": MAPPINGS,
    "load_method": st.sampled_from(["upsert", "append-only", "overwrite", "Upsert"]),
    "batch_size_rows": st.sampled_from([0, 1, 10_000, 10_001, 5.0, 5.5, True, "5", None]),
    "max_in_flight": st.integers(-1, 40),
    "api_key": st.sampled_from(["", "k", None, 1]),
    "owner": st.sampled_from(["", "o"]),
    "service": st.sampled_from(["amplemarket", "lance", "other", None]),
    "base_url": st.sampled_from(["https://api.example", "", None]),
    "api_key_file": st.sampled_from(["key", "", None]),
    "api_key_command": st.sampled_from(["pass show key", None]),
    "lance_end_date": st.sampled_from(["+90d", "90d", "2026-01-31", "2026-01-31T09:00:00Z", "today", 1]),
    "proxy": st.sampled_from(["http://p.example", None, 1]),
    "extra_fields": st.sampled_from([[], ["*"], "*", [1], {}]),
    "shared": st.sampled_from([True, False, "true", 0]),
    "unknown": st.just(1),
}


@given(st.fixed_dictionaries({}, optional=NEAR), st.booleans())
def test_the_json_schema_takes_what_is_taken_and_nothing_else(config: dict[str, Any], has_required: bool) -> None:
    config = (REQUIRED if has_required else {}) | config
    if Draft202012Validator(json_schema()).is_valid(config):
        assert isinstance(read_settings(config), Settings)
    else:
        fault_of(config)


@given(TEMPLATES.filter(bool))
def test_a_list_name_that_is_taken_can_be_filled_in(template: str) -> None:
    try:
        taken = read_settings(REQUIRED | {"list_name": template}).list_name
    except SettingsError:
        return
    assert taken.format(**dict.fromkeys(LIST_NAME_FIELDS, "x"))
    fields = {field for _, field, _, _ in string.Formatter().parse(taken) if field is not None}
    assert fields <= set(LIST_NAME_FIELDS)


@pytest.mark.parametrize("name", LIST_NAME_FIELDS)
def test_every_field_may_stand_in_a_list_name(name: str) -> None:
    assert read_settings(REQUIRED | {"list_name": f"A {{{name}}} {{{{x}}}}"}).list_name


@pytest.mark.parametrize("name", ["{stream!r}", "{stream:>999999999}", "{stream.upper}", "{}", "{0}", "{", "}", ""])
def test_nothing_else_of_the_format_language_is_taken_in_a_list_name(name: str) -> None:
    assert "`list_name` takes text" in fault_of(REQUIRED | {"list_name": name})


def test_sources_become_tuples_and_a_stream_s_own_come_before_the_star() -> None:
    mapping = {"*": {"email": "Email", "title": None}, "contacts": {"email": ["Work", "Home.mail"]}}
    settings = read_settings(REQUIRED | {"field_mapping": mapping, "extra_fields": ["Phone"]})
    assert settings.mapping_of("contacts") == {"email": ("Work", "Home.mail"), "title": ()}
    assert settings.mapping_of("leads") == {"email": ("Email",), "title": ()}
    assert settings.extra_fields == ("Phone",)


def test_a_lead_field_like_no_other_is_answered_with_all_of_them() -> None:
    message = fault_of(REQUIRED | {"field_mapping": {"*": {"zzz": "E"}}})
    assert "stream `*` names `zzz`, lead fields are " + ", ".join(LEAD_FIELDS) in message


def test_a_field_mapping_of_another_form_is_described() -> None:
    for wrong in ({"contacts": "Email"}, {"contacts": {"email": 1}}, []):
        assert "`field_mapping` takes an object of streams" in fault_of(REQUIRED | {"field_mapping": wrong})


def test_whole_numbers_written_with_a_point_are_whole() -> None:
    size = read_settings(REQUIRED | {"batch_size_rows": 500.0}).batch_size_rows
    assert (size, type(size)) == (500, int)
