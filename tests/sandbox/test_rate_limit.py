"""The limit of requests a minute, and the form of a 429."""

from __future__ import annotations

import pytest

from .client import START_S, Client


def statuses(client: Client, count: int, key: str = "amp_one") -> list[int]:
    return [client.call("GET", "/account-info", key=key).status for _ in range(count)]


def test_requests_per_minute() -> None:
    assert statuses(Client(), 502) == [200] * 500 + [429] * 2
    assert statuses(Client({"requests_per_minute": 3}), 4) == [200] * 3 + [429]
    assert statuses(Client({"requests_per_minute": 0}), 600) == [200] * 600


def test_all_endpoints_share_the_limit_and_refused_calls_commit_nothing() -> None:
    client = Client({"requests_per_minute": 2})
    client.get("/users")
    client.get("/no-such-path")
    assert client.create().status == 429
    assert client.commits() == []


def test_rate_window() -> None:
    sliding, fixed = (Client({"requests_per_minute": 2, "rate_window": window}) for window in ("sliding", "fixed"))
    for client in (sliding, fixed):
        client.clock.now_s = START_S // 60 * 60 + 50  # ten seconds before a minute begins
        assert statuses(client, 3) == [200, 200, 429]
        client.clock.now_s += 20
    assert statuses(sliding, 1) == [429]
    assert statuses(fixed, 3) == [200, 200, 429]
    sliding.clock.now_s += 40
    assert statuses(sliding, 3) == [200, 200, 429]


def test_rate_counts() -> None:
    by_key = Client({"requests_per_minute": 1})
    assert [*statuses(by_key, 2, "amp_one"), *statuses(by_key, 1, "amp_two")] == [200, 429, 200]
    by_account = Client({"requests_per_minute": 1, "rate_counts": "account"})
    assert [*statuses(by_account, 2, "amp_one"), *statuses(by_account, 1, "amp_two")] == [200, 429, 429]


@pytest.mark.parametrize(
    ("form", "expected"), [("seconds", "51"), ("date", "Thu, 28 May 2026 20:27:40 GMT"), ("none", None)]
)
def test_rate_limit_retry_after(form: str, expected: str | None) -> None:
    client = Client({"requests_per_minute": 1, "rate_limit_retry_after": form})
    client.get("/users")
    client.clock.now_s += 9.5
    reply = client.get("/users")
    assert reply.status == 429
    assert reply.headers.get("retry-after") == expected


def test_whoever_obeys_retry_after_is_let_in() -> None:
    for window in ("sliding", "fixed"):
        client = Client({"requests_per_minute": 1, "rate_window": window})
        client.get("/users")
        client.clock.now_s += 7.3
        client.clock.now_s += int(client.get("/users").headers["retry-after"])
        assert client.get("/users").status == 200


def test_rate_limit_body_and_code() -> None:
    bodies = {}
    for form in ("envelope", "text", "empty"):
        client = Client({"requests_per_minute": 1, "rate_limit_body": form, "rate_limit_code": "slow_down"})
        client.get("/users")
        bodies[form] = client.get("/users")
    assert bodies["envelope"].errors[0]["code"] == "slow_down"
    assert bodies["text"].body == b"Too many requests."
    assert bodies["empty"].body == b""


def test_rate_limit_headers() -> None:
    client = Client({"requests_per_minute": 2, "rate_limit_headers": True})
    first, _, refused = (client.get("/users") for _ in range(3))
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("2", "1")
    assert (refused.headers["x-ratelimit-remaining"], refused.headers["x-ratelimit-reset"]) == ("0", "60")
    assert "x-ratelimit-limit" not in Client().get("/users").headers
