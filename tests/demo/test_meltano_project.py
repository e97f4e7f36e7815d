"""meltano.yml holds the same pipeline as the demo."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from target_amplemarket.config import Settings
from target_amplemarket.demo.export import STREAMS
from target_amplemarket.demo.tap import TAP_REQUIREMENT, tap_settings

REPOSITORY = Path(__file__).parents[2]
EXTRACTORS = ("tap-jsonl-salesforce", "tap-jsonl-hubspot", "tap-jsonl-warehouse")


@pytest.fixture(scope="module")
def project() -> dict:
    return yaml.safe_load((REPOSITORY / "meltano.yml").read_text(encoding="utf-8"))


def test_extractors_read_the_streams_with_the_demos_own_settings(project):
    parent, *extractors = project["plugins"]["extractors"]
    assert parent["pip_url"] == TAP_REQUIREMENT
    assert tuple(each["name"] for each in extractors) == EXTRACTORS
    for stream, extractor in zip(STREAMS, extractors, strict=True):
        expected = tap_settings(stream, Path("/root/demo/export"))
        settings = parent["config"] | extractor["config"]
        assert settings | {"path": settings["path"].replace("${MELTANO_PROJECT_ROOT}", "/root")} == expected


def test_loader_declares_every_setting_and_hides_secrets(project):
    (loader,) = project["plugins"]["loaders"]
    declared = {setting["name"]: setting for setting in loader["settings"]}
    assert {each.name for each in fields(Settings)} - declared.keys() == set()
    assert loader["config"].keys() <= declared.keys()
    secrets = [name for name, setting in declared.items() if setting.get("sensitive")]
    assert secrets == ["api_key", "api_key_command", "proxy"]
    kinds = {setting["kind"] for setting in declared.values()}
    assert kinds <= {"string", "integer", "boolean", "array", "object", "options"}


def test_custom_plugins_have_a_namespace_so_that_no_hub_is_asked(project):
    plugins = [plugin for kind in project["plugins"].values() for plugin in kind]
    assert [each["name"] for each in plugins if "namespace" not in each and "inherit_from" not in each] == []


def test_job_runs_the_three_sources_in_the_exports_order(project):
    (job,) = project["jobs"]
    assert job == {"name": "demo", "tasks": [f"{extractor} target-amplemarket" for extractor in EXTRACTORS]}


def test_no_usage_is_reported(project):
    assert project["send_anonymous_usage_stats"] is False
