"""Who may ask Lance, for how long, and how often."""

from __future__ import annotations

import json

import pytest

from target_amplemarket.sandbox import Switches, running_sandbox

from .lance import BALANCE, ENTITIES, LISTS, LanceClient, error_of, prospects


def issued(client: LanceClient) -> str:
    reply = client.call("POST", "/_sandbox/tokens/lance", key=None)
    assert reply.status == 200
    return str(reply.json["token"])


def asked(client: LanceClient, token: str | None, count: int = 1) -> list[int]:
    return [client.call("GET", BALANCE, key=token).status for _ in range(count)]


def test_balance_tells_credits_and_organisation_and_spends_nothing() -> None:
    client = LanceClient({"lance_credits": 7, "lance_organization": "org_9"})
    client.put(client.made(), prospects(3))
    for _ in range(2):
        assert client.get(BALANCE).json == {"balance": 7, "organizationId": "org_9"}
    assert LanceClient().get(BALANCE).json == {"balance": 420, "organizationId": "org_2acme"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", BALANCE), ("GET", LISTS), ("POST", LISTS), ("GET", f"{LISTS}/x"), ("POST", f"{LISTS}/x/add-prospects"),
        ("POST", f"{ENTITIES}/prospects/person"), ("GET", "/api/v1/no/such/path"),
    ],
)  # fmt: skip
def test_without_a_token_nobody_is_signed_in(method: str, path: str) -> None:
    client = LanceClient()
    assert error_of(client.call(method, path, key=None)) == (401, "UNAUTHORIZED")
    assert error_of(client.call(method, path, key=None, authorization="Basic eDp5")) == (401, "UNAUTHORIZED")


def test_any_token_is_good_for_ever_by_default() -> None:
    client = LanceClient({"api_key": "amp_only_this"})
    assert asked(client, "whatever", 50) == [200] * 50
    client.clock.now_s += 1e7
    assert asked(client, "whatever") == [200]


def test_lance_token_requests() -> None:
    client = LanceClient({"lance_token_requests": 3})
    assert asked(client, "whatever") == [401]
    token = issued(client)
    assert asked(client, token, 4) == [200, 200, 200, 401]
    assert asked(client, issued(client)) == [200]
    assert asked(client, token) == [401]


def test_lance_token_seconds() -> None:
    client = LanceClient({"lance_token_seconds": 60})
    token = issued(client)
    client.clock.now_s += 59.9
    assert asked(client, token) == [200]
    client.clock.now_s += 0.1
    assert error_of(client.call("GET", BALANCE, key=token)) == (401, "UNAUTHORIZED")
    assert asked(client, issued(client)) == [200]


def test_a_token_ends_in_the_middle_of_a_run_and_nothing_of_that_call_is_committed() -> None:
    client = LanceClient()
    list_id = client.made()
    client.world.set({"lance_token_requests": 1})
    token = issued(client)
    path, body = f"{LISTS}/{list_id}/add-prospects", {"prospects": prospects(1)}
    assert [client.call("POST", path, body, key=token).status for _ in range(2)] == [200, 401]
    assert len(client.commits()) == 2


def test_tokens_differ_and_a_reset_ends_them() -> None:
    client = LanceClient({"lance_token_seconds": 60})
    tokens = [issued(client) for _ in range(3)]
    assert len(set(tokens)) == 3
    client.call("POST", "/_sandbox/reset")
    assert asked(client, tokens[2]) == [401]


def test_only_an_api_with_sessions_issues_tokens() -> None:
    for name in ("amplemarket", "nobody"):
        assert LanceClient().call("POST", f"/_sandbox/tokens/{name}").status == 404


def test_running_sandbox_issues_tokens() -> None:
    with running_sandbox(Switches(lance_token_requests=1)) as sandbox:
        assert sandbox.token("lance") != sandbox.token("lance")
        for name in ("amplemarket", "nobody"):
            with pytest.raises(KeyError):
                sandbox.token(name)


def test_tokens_stay_out_of_the_request_log() -> None:
    client = LanceClient()
    token = issued(client)
    asked(client, token)
    assert token not in json.dumps(client.get("/_sandbox/requests").json)
    assert token not in client.call("GET", "/_sandbox/requests/1", key=None).body.decode()


@pytest.mark.parametrize("status", ["400", "401"])
def test_lance_no_organization_status(status: str) -> None:
    client = LanceClient({"lance_organization": "", "lance_no_organization_status": status})
    assert error_of(client.get(BALANCE)) == (int(status), "VALIDATION_ERROR")
    people, companies = client.made(), client.made(type="company")
    assert error_of(client.put(people, prospects(1))) == (401, "UNAUTHORIZED")
    assert error_of(client.put_companies(companies, client.company_ids(1))) == (401, "UNAUTHORIZED")


def test_lance_requests_per_minute() -> None:
    client = LanceClient({"requests_per_minute": 1})
    assert asked(client, "one", 600) == [200] * 600, "the other API's limit is not Lance's, which has none"
    client = LanceClient({"lance_requests_per_minute": 2, "requests_per_minute": 1})
    assert client.get("/users").status == 200
    assert asked(client, "one", 3) == [200, 200, 429]


@pytest.mark.parametrize(
    ("form", "expected"), [("seconds", "60"), ("date", "Thu, 28 May 2026 20:27:40 GMT"), ("none", None)]
)
def test_lances_429(form: str, expected: str | None) -> None:
    client = LanceClient(
        {"lance_requests_per_minute": 1, "rate_limit_retry_after": form, "lance_rate_limit_code": "SLOW"}
    )
    client.get(BALANCE)
    reply = client.get(BALANCE)
    assert error_of(reply) == (429, "SLOW")
    assert reply.headers.get("retry-after") == expected


def test_paths_and_methods_that_are_not_there() -> None:
    client = LanceClient()
    assert error_of(client.get("/api/v1/no/such/path")) == (404, "NOT_FOUND")
    reply = client.call("PUT", LISTS, {})
    assert error_of(reply) == (405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"] == "GET, POST"
    assert client.get("/no/such/path").errors[0]["code"] == "not_found"


def test_body_limit() -> None:
    client = LanceClient({"body_limit_bytes": 300})
    assert error_of(client.put(client.made(), prospects(9))) == (413, "PAYLOAD_TOO_LARGE")
