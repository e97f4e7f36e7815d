"""What the pages say is what the program does."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from docs.generate import PAGES, generated
from target_amplemarket.config import declared_settings, read_settings
from target_amplemarket.leads.tables import Reason, Status
from target_amplemarket.services import intake_of
from target_amplemarket.singer.json_faults import RecordFault

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", PAGES)
def test_generated_parts_agree_with_the_code(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "generated: " in text
    assert generated(text) == text, "run `make docs`"


def test_every_status_and_reason_is_explained() -> None:
    page = (ROOT / "docs/reference/results.md").read_text(encoding="utf-8")
    for code in [*Status, *Reason, *RecordFault]:
        assert f"`{code.value}`" in page, code


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT) for p in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]), ids=str
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_readme_is_short_and_its_examples_hold() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    [mapping] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    read_settings({"api_key": "k", "owner": "o@northwind.example", **json.loads(mapping)})
    [project] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    loader = yaml.safe_load(project)["plugins"]["loaders"][0]
    assert {setting["name"] for setting in loader["settings"]} <= {declared.name for declared in declared_settings()}
    assert len(project.splitlines()) <= 10, "a ten-line pipeline"
    for command in ("make demo", "make test"):
        assert command in text


def test_the_settings_for_lance_are_settings_that_it_takes() -> None:
    text = (ROOT / "docs/explanation/services.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    settings = read_settings(json.loads(example))
    assert {route.list_type for route in intake_of(settings).routes} == {"people", "person_ids"}


def test_the_tests_cite_each_step_of_a_delivery_and_no_step_that_there_is_not() -> None:
    page = (ROOT / "docs/explanation/delivery.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b[A-Z]\d\b", page))
    cited = {step for file in (ROOT / "tests").rglob("test_*.py") for step in steps_cited_in(file)}
    assert {"D1", "R1"} <= named
    assert cited == named


def steps_cited_in(file: Path) -> set[str]:
    """The arguments of `pytest.mark.step`."""
    calls = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call)]
    citations = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "step"]
    return {ast.literal_eval(name) for citation in citations for name in citation.args}
