"""singer-sdk's own suite, the test it leaves out, and the surface that runners rely on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.runners import TargetTestRunner
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.target_tests import (
    TargetMultipleStateMessages,
    TargetRecordMissingRequiredProperty,
)

from target_amplemarket.config import Settings, declared_settings
from target_amplemarket.errors import SettingsError
from target_amplemarket.sandbox import RunningSandbox
from target_amplemarket.target import TargetAmplemarket

SUITE_SETTINGS: dict[str, Any] = {
    "api_key": "sandbox-key",
    "owner": "dana@northwind.example",
    "batch_size_rows": 3,
    "max_in_flight": 1,
    "requests_per_minute": 100_000,
}


@pytest.fixture(autouse=True)
def _fresh_folder(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[None]:
    SUITE_SETTINGS.update(base_url=sandbox.url, results_path=str(tmp_path / "results"))
    yield
    SUITE_SETTINGS.pop("base_url")


class LinesRunner(TargetTestRunner):
    """Keeps STATE lines as text, which is what the suite's multiple-STATE test compares with."""

    @staticmethod
    def _clean_sync_output(raw_records: str) -> list[Any]:
        return raw_records.strip().splitlines()


class TestSdkSuite(
    get_target_test_class(  # type: ignore[misc]
        TargetAmplemarket,
        config=SUITE_SETTINGS,
        custom_suites=[SingerTestSuite(kind="target", tests=[TargetRecordMissingRequiredProperty])],
        parse_env_config=False,
    )
):
    """singer-sdk's built-in tests of targets."""


def test_multiple_state_messages_of_the_sdk_which_its_suite_leaves_out() -> None:
    """Expects just those STATE lines that a target with lists of three may emit.

    Its streams hold numbers and no people; stream maps make people of them.
    """
    streams = ("test_multiple_state_messages_a", "test_multiple_state_messages_b")
    maps = {name: {"email": f"'{name[-1]}' + str(metric) + '@acme.example'"} for name in streams}
    runner = LinesRunner(TargetAmplemarket, config=SUITE_SETTINGS | {"stream_maps": maps}, parse_env_config=False)
    test = TargetMultipleStateMessages()
    test.run(config=None, resource=None, runner=runner)
    runner.target_input.close()


def test_about_names_every_setting_and_marks_the_key_secret(capsys: pytest.CaptureFixture[str]) -> None:
    TargetAmplemarket.print_about("json")
    about = json.loads(capsys.readouterr().out)
    properties = about["settings"]["properties"]
    assert {declared.name for declared in declared_settings()} <= properties.keys()
    assert {"stream_maps", "flattening_enabled"} <= properties.keys()
    assert "add_record_metadata" not in properties, "there is nothing to add metadata to"
    assert properties["api_key"]["secret"] is True
    assert "default" not in properties["api_key"]
    for name in ("api_key", "owner", "base_url"):
        assert "required" in properties[name]["description"]


def test_stream_maps_and_flattening_change_records_before_they_are_mapped(sandbox: RunningSandbox) -> None:
    target = TargetAmplemarket(
        config=SUITE_SETTINGS
        | {
            "stream_maps": {"people": {"title": "'VP ' + role", "__filter__": "wanted", "__alias__": "leads"}},
            "flattening_enabled": True,
            "flattening_max_depth": 2,
        }
    )
    nested = {"type": "object", "properties": {"email": {"type": "string"}}}
    properties = {
        "id": {"type": "integer"},
        "wanted": {"type": "boolean"},
        "role": {"type": "string"},
        "contact": nested,
    }
    lines = [{"type": "SCHEMA", "stream": "people", "schema": {"properties": properties}, "key_properties": ["id"]}]
    for number, wanted in enumerate([True, False, True]):
        members = {"id": number, "wanted": wanted, "role": "Sales", "contact": {"email": f"p{number}@acme.example"}}
        lines.append({"type": "RECORD", "stream": "people", "record": members})
    target.listen(io.StringIO("\n".join(map(json.dumps, lines))))
    [entry] = sandbox.log()
    leads = entry.created.leads.all()
    assert [lead["email"] for lead in leads] == ["p0@acme.example", "p2@acme.example"]
    assert {lead["title"] for lead in leads} == {"VP Sales"}
    assert entry.created.name.startswith("leads ")


def test_a_setting_that_is_wrong_is_named_without_its_value() -> None:
    with pytest.raises(SettingsError) as caught:
        TargetAmplemarket(config={"api_key": ["secret-CANARY"], "ownr": "x", "batch_size_rows": 0})
    message = str(caught.value)
    assert "CANARY" not in message
    for words in ("`api_key` takes text", "did you mean `owner`?", "`owner` is required", "from 1 to 10,000"):
        assert words in message


def test_overwrite_is_refused_at_start() -> None:
    with pytest.raises(SettingsError, match="lead lists have no replace"):
        TargetAmplemarket(config=SUITE_SETTINGS | {"load_method": "overwrite"})


def test_settings_are_frozen() -> None:
    settings = TargetAmplemarket(config=SUITE_SETTINGS).settings
    assert isinstance(settings, Settings)
    with pytest.raises(AttributeError):
        settings.owner = "else"  # type: ignore[misc]
