"""An independent tool checks the sandbox against its own contract, and against the vendor's text if it is at hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema
import pytest
import schemathesis
import yaml
from schemathesis.checks import CHECKS, load_all_checks

from target_amplemarket.sandbox import RunningSandbox, Switches, running_sandbox, switches_from
from target_amplemarket.sandbox.amplemarket import Amplemarket
from target_amplemarket.sandbox.ids import is_uuid

from .client import OWNER, PAID, Client, emails, people
from .test_transport import post

CONTRACT = Amplemarket.contract
VENDOR = Path(__file__).parents[2].parent / "shared" / "api" / "amplemarket.openapi.yaml"
needs_vendor = pytest.mark.skipif(not VENDOR.exists(), reason="the vendor's OpenAPI text is not at hand")

load_all_checks()
# A body that keeps to the schema may still name an owner who is no user, or lack what its type needs.
NOT_TOLD_BY_SCHEMA = [CHECKS.get_one("positive_data_acceptance")]
# The vendor's text at hand tells POST alone of a path that has GET as well.
GET_NOT_TOLD = [CHECKS.get_one("allow_header_conformance"), CHECKS.get_one("unsupported_method")]
BOUNDED = hypothesis.settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)
HEADERS = {"Authorization": "Bearer amp_test"}


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def without_keys(path: Path) -> dict[str, Any]:
    """A contract without its security: every case carries the key here, and other tests leave it out."""
    document = read(path)
    document.pop("security")
    document["components"].pop("securitySchemes")
    return document


def settled_in(case: schemathesis.Case, list_id: str) -> schemathesis.Case:
    """The case with its made-up owner and list replaced by real ones, so that more than refusals is seen."""
    if isinstance(case.body, dict) and re.fullmatch(r"\S+@\S+\.\S+", str(case.body.get("owner"))):
        case.body["owner"] = OWNER
    if is_uuid(str(case.path_parameters.get("id"))):
        case.path_parameters["id"] = list_id
    return case


own = schemathesis.openapi.from_dict(without_keys(CONTRACT))
vendor = schemathesis.openapi.from_dict(without_keys(VENDOR if VENDOR.exists() else CONTRACT))


@pytest.fixture(scope="module")
def server() -> Iterator[RunningSandbox]:
    with running_sandbox(Switches(requests_per_minute=0, unknown_parameters="reject")) as running:
        post(running, people(250))
        yield running


@own.parametrize()
@BOUNDED
def test_sandbox_keeps_its_own_contract(case: schemathesis.Case, server: RunningSandbox) -> None:
    settled_in(case, server.log()[0].id).call_and_validate(
        base_url=server.url, headers=HEADERS, excluded_checks=NOT_TOLD_BY_SCHEMA
    )


@needs_vendor
@vendor.parametrize()
@BOUNDED
def test_sandbox_keeps_the_vendors_contract(case: schemathesis.Case, server: RunningSandbox) -> None:
    settled_in(case, server.log()[0].id).call_and_validate(
        base_url=server.url, headers=HEADERS, excluded_checks=[*NOT_TOLD_BY_SCHEMA, *GET_NOT_TOLD]
    )


def resolved(document: dict[str, Any], part: Any) -> Any:
    """A schema with every reference replaced by what it names, and words for people left out."""
    if isinstance(part, list):
        return [resolved(document, item) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return resolved(document, found)
    return {name: resolved(document, item) for name, item in part.items() if name not in ("description", "examples")}


def answer_schema(path: Path, where: str, method: str, status: str) -> dict[str, Any]:
    document = read(path)
    answer = resolved(document, document["paths"][where][method]["responses"][status])
    return answer["content"]["application/json"]["schema"]


def request_schema(path: Path) -> dict[str, Any]:
    document = read(path)
    body = document["paths"]["/lead-lists"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return resolved(document, body)


def test_contract_covers_every_endpoint() -> None:
    paths = read(CONTRACT)["paths"]
    covered = {path: {name.upper() for name in members if name != "parameters"} for path, members in paths.items()}
    told = {(path, method) for path, methods in covered.items() for method in methods}
    assert told == {(endpoint.path, endpoint.method) for endpoint in Amplemarket.endpoints}


@needs_vendor
def test_own_create_answer_agrees_with_the_vendors() -> None:
    mine, theirs = (answer_schema(path, "/lead-lists", "post", "202") for path in (CONTRACT, VENDOR))
    assert set(theirs["required"]) <= set(mine["required"])
    assert set(mine["properties"]) <= set(theirs["properties"])
    for name in ("shared", "visible", "name", "url"):
        assert mine["properties"][name]["type"] == theirs["properties"][name]["type"]
    assert set(mine["properties"]["type"]["enum"]) <= set(theirs["properties"]["type"]["enum"])
    assert set(theirs["properties"]["status"]["enum"]) <= set(mine["properties"]["status"]["enum"])
    assert set(mine["properties"]["options"]["required"]) == set(theirs["properties"]["options"]["required"])
    my_entry, their_entry = (one["properties"]["leads"]["items"] for one in (mine, theirs))
    assert set(my_entry["required"]) == set(their_entry["required"])
    assert set(my_entry["properties"]) == set(their_entry["properties"])


@needs_vendor
def test_own_create_request_agrees_with_the_vendors() -> None:
    mine, theirs = request_schema(CONTRACT), request_schema(VENDOR)
    assert set(mine["required"]) == set(theirs["required"])
    assert mine["properties"]["leads"]["maxItems"] == theirs["properties"]["leads"]["maxItems"]
    assert set(mine["properties"]) == set(theirs["properties"])
    assert mine["properties"]["options"]["properties"] == theirs["properties"]["options"]["properties"]
    lead, their_lead = (one["properties"]["leads"]["items"]["properties"] for one in (mine, theirs))
    assert lead == their_lead


@needs_vendor
@pytest.mark.parametrize("leads", [people(2), []])
@pytest.mark.parametrize("switches", [{}, {"visible_default": True}])
def test_create_answers_validate_against_the_vendors_text(switches: dict[str, Any], leads: list[Any]) -> None:
    schema = answer_schema(VENDOR, "/lead-lists", "post", "202")
    jsonschema.validate(Client(switches).create(leads).json, schema)
    jsonschema.validate(Client(switches).create(leads, options=PAID, name=" ").json, schema)


@needs_vendor
def test_every_documented_refusal_is_given_word_for_word() -> None:
    examples = {
        name: example["value"]["_errors"][0]
        for status in ("400", "402", "500")
        for name, example in read(VENDOR)["paths"]["/lead-lists"]["post"]["responses"][status]["content"][
            "application/json"
        ]["examples"].items()
    }
    absent = {name: {k: v for k, v in base().items() if k != name} for name in ("type", "owner", "leads")}
    given = {
        "Unsupported value (type)": base(type="foo"),
        "Missing value (type)": absent["type"],
        "Missing field (owner)": absent["owner"],
        "Unsupported value (owner)": base(owner="null@example.com"),
        "Missing field (leads)": absent["leads"],
        "Unsupported value (leads over limit)": base(leads=people(10_001)),
        "Unsupported value (lead with no LinkedIn URL)": base(leads=[{}]),
        "Unsupported value (lead with invalid LinkedIn URL)": base(leads=[{"linkedin_url": "nowhere"}]),
    }
    answered = {name: Client().call("POST", "/lead-lists", body).errors[0] for name, body in given.items()}
    answered["Insufficient credits"] = Client({"email_credits": 0}).create(options=PAID).errors[0]
    answered["Internal server error"] = Client({"faults": "server_error"}).create().errors[0]
    assert answered == examples


def base(**members: Any) -> dict[str, Any]:
    return {"shared": True, "owner": OWNER, "type": "linkedin", "leads": people(1), **members}


def test_enriched_entries_keep_the_own_contract() -> None:
    schema = answer_schema(CONTRACT, "/lead-lists/{id}", "get", "200")
    for switches in ({}, {"found_percent": 100, "phone_percent": 100}, {"canceled_percent": 100}):
        client = Client(switches)
        for lead_type, leads in (("linkedin", people(30)), ("email", emails(30))):
            path = client.create(leads, type=lead_type, options=PAID).json["_links"]["self"]["href"]
            for _ in range(2):
                jsonschema.validate(client.get(path).json, schema)
                client.clock.now_s += 60


def test_the_contract_can_be_broken() -> None:
    schema = answer_schema(CONTRACT, "/lead-lists", "post", "202")
    with pytest.raises(jsonschema.ValidationError, match="'id' is a required property"):
        jsonschema.validate(Client({"faults": "without_id"}).create().json, schema)


def test_no_schema_of_the_contract_is_left_unused() -> None:
    text = CONTRACT.read_text()
    names = read(CONTRACT)["components"]["schemas"]
    unused = [name for name in names if not re.search(rf"schemas/{name}\b", text)]
    assert unused == []
    assert switches_from({}) == Switches()
