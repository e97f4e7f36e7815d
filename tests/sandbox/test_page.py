"""The pages for people."""

from __future__ import annotations

import json

import pytest

from target_amplemarket.sandbox.journal import CONTENTS_KEPT
from target_amplemarket.sandbox.page import CALLS_SHOWN
from target_amplemarket.sandbox.pretty import pretty
from target_amplemarket.sandbox.transport import BODY_HEAD_BYTES

from .client import LINKEDIN, Client, create_body, people
from .lance import LISTS, LanceClient, prospects


def shown(client: Client, path: str) -> str:
    reply = client.call("GET", path, key=None)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return reply.body.decode()


def test_lists_are_shown_newest_first_with_their_facts() -> None:
    client = Client()
    first = client.create(people(2), name="Older list").json["id"]
    client.clock.now_s += 60
    client.create(people(1234), name="Newer list")
    text = shown(client, "/")
    assert text.index("Newer list") < text.index("Older list")
    for fact in ("1,234", "dana@northwind.example", "linkedin", "completed", "queued", f"/_sandbox/lists/{first}"):
        assert fact in text
    assert "2026-05-28 20:27:40" in text, "when it arrived"
    assert "<b>1,000,000</b><span>e-mail credits left" in text


def test_empty_page_says_so() -> None:
    assert "Nothing has arrived yet." in shown(Client(), "/")


def test_search_finds_names_owners_types_and_states_in_any_case() -> None:
    client = Client()
    client.create(people(1), name="Webinar May", owner="lee@northwind.example")
    client.create([{"email": "a@b.example"}], name="Fair", type="email")
    for word, found, other in (
        ("webINAR", "Webinar May", "Fair<"), ("lee@", "Webinar May", "Fair<"), ("email", "Fair", "Webinar"),
        ("queued", "Fair", "nothing else"),
    ):  # fmt: skip
        lists = shown(client, f"/?search={word}").partition('id="lists"')[2].partition("</section>")[0]
        assert found in lists
        assert other not in lists
    assert "No list holds “nobody”." in shown(client, "/?search=nobody")


def test_lists_are_paged_and_a_page_that_is_not_there_is_the_nearest() -> None:
    client = Client()
    for number in range(205):
        client.create(people(1), name=f"List {number:03}")
    assert "List 204" in shown(client, "/")
    assert "List 104" not in shown(client, "/")
    assert "Page 3 of 3" in shown(client, "/?page=3")
    assert "List 000" in shown(client, "/?page=99")
    for odd in ("x", "-1", "0", "²", "9" * 30):
        assert "Page 1 of 3" in shown(client, f"/?page={odd}")
    assert 'href="?page=2&amp;search=List%20"' not in shown(client, "/?search=List")
    assert 'href="?page=2&amp;search=List"' in shown(client, "/?search=List")


def test_page_of_a_list_shows_its_leads_page_by_page() -> None:
    client = Client()
    list_id = client.create(people(150), name="Webinar").json["id"]
    first = shown(client, f"/_sandbox/lists/{list_id}")
    assert "<h1>Webinar</h1>" in first
    assert "1 to 100 of 150 leads" in first
    assert f"{LINKEDIN}person-99</td>" in first
    assert "person-100<" not in first
    assert '<th scope="col">crm_id</th>' in first
    second = shown(client, f"/_sandbox/lists/{list_id}?page=2")
    assert "101 to 150 of 150 leads" in second
    assert f"{LINKEDIN}person-149</td>" in second


def test_credits_of_a_list_are_those_of_its_commits() -> None:
    client = Client()
    list_id = client.create(people(4), free=False, options={"validate_email": True, "enrich": True}).json["id"]
    spent = sum(commit.email_credits for commit in client.commits())
    assert spent > 0
    assert f"<b>{spent:g}</b><span>e-mail credits spent" in shown(client, f"/_sandbox/lists/{list_id}")


def test_requests_are_shown_as_they_came_and_without_the_key() -> None:
    client = Client()
    body = json.dumps(create_body(people(1), name="Webinar"), separators=(",", ":")).encode()
    call = {
        "key": "amp_very_secret",
        "user-agent": "probe/1",
        "x-api-key": "amp_very_secret",
        "cookie": "amp_very_secret",
    }
    list_id = client.call("POST", "/lead-lists", body, **call).json["id"]
    client.call("POST", "/lead-lists", b'{"owner": "nobody"', **call)
    for path, line in (
        (f"/_sandbox/lists/{list_id}", "  &#34;owner&#34;: "),
        ("/_sandbox/requests/2", "&#34;nobody&#34;"),
    ):
        text = shown(client, path)
        assert line in text
        assert "probe/1" in text
        assert "amp_very_secret" not in text
        assert "authorization" not in text.lower()
    assert "answered 400" in shown(client, "/_sandbox/requests/2")
    assert "amp_very_secret" not in shown(client, "/")


def test_a_long_body_is_cut_and_says_by_how_much() -> None:
    client = Client()
    body = json.dumps(create_body(people(5000))).encode()
    list_id = client.call("POST", "/lead-lists", body).json["id"]
    text = shown(client, f"/_sandbox/lists/{list_id}")
    assert f"{len(body):,} bytes, the first {BODY_HEAD_BYTES:,} of them" in text
    assert f"and {len(body) - BODY_HEAD_BYTES:,} bytes more" in text


def test_old_requests_are_forgotten_and_say_so() -> None:
    client = Client()
    list_id = client.create(people(1)).json["id"]
    for _ in range(CONTENTS_KEPT):
        client.get("/users")
    assert len(client.world.journal.contents) == CONTENTS_KEPT
    assert "no longer kept" in shown(client, f"/_sandbox/lists/{list_id}")


def test_faults_and_changed_switches_are_shown() -> None:
    client = Client({"faults": "server_error:status=503,times=2,endpoint=GET /users", "found_percent": 12})
    client.get("/users")
    text = shown(client, "/")
    assert "<code>server_error</code>" in text
    assert "GET /users, 2 times, status 503" in text
    assert '<td class="number">1</td>' in text, "how often it struck"
    assert "<code>found_percent</code>" in text
    assert 'data-default="90.0"' in text


def test_the_accepted_key_is_not_shown() -> None:
    assert "amp_only_this" not in shown(Client({"api_key": "amp_only_this"}), "/")


@pytest.mark.parametrize("path", ["/_sandbox/lists/x", "/_sandbox/requests/7"])
def test_what_is_not_there_is_a_404(path: str) -> None:
    assert Client().call("GET", path, key=None).status == 404


def test_values_are_escaped_and_only_the_own_script_may_run() -> None:
    client = Client()
    nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    lead = {"linkedin_url": f"{LINKEDIN}x", nasty: {"deep": nasty}}
    list_id = client.create([lead], name=nasty).json["id"]
    client.call("GET", f"/{nasty}", **{"user-agent": nasty})
    for path in (
        "/",
        f"/?search={nasty}",
        f"/_sandbox/lists/{list_id}",
        "/_sandbox/requests/1",
        "/_sandbox/requests/2",
    ):
        reply = client.call("GET", path, key=None)
        assert reply.body.count(b"<script") == reply.body.count(b'<script src="/_sandbox/page.js" defer>') == 1
        assert b"<img" not in reply.body
        assert b"&lt;script&gt;" in reply.body
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "script-src 'self';" in policy


@pytest.mark.parametrize(
    ("body", "laid_out"),
    [
        (b'{"a":1,"b":[true,null],"c":{}}', '{\n  "a": 1,\n  "b": [\n    true,\n    null\n  ],\n  "c": {}\n}'),
        (b'{"a":"x:{,\\"}', '{\n  "a": "x:{,\\"}'),
        (b'[{"a":', '[\n  {\n    "a": '),
        (b"]]}{", "]]}{"),
        (b"plain: text", "plain: text"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_bodies_are_laid_out_also_when_they_are_cut(body: bytes, laid_out: str) -> None:
    assert pretty(body) == laid_out


def test_lists_of_every_api_are_shown_together_newest_first() -> None:
    client = LanceClient()
    client.create(people(1), name="First")
    client.clock.now_s += 1
    client.made(name="Second")
    client.clock.now_s += 1
    client.create(people(1), name="Third")
    text = shown(client, "/")
    assert text.index("Third") < text.index("Second") < text.index("First")
    assert "Lance, person, user_2dana" in text
    assert "Amplemarket, linkedin, dana@northwind.example" in text
    lists = shown(client, "/?search=lance").partition('id="lists"')[2].partition("</section>")[0]
    assert "Second" in lists
    assert "Third" not in lists


def test_page_of_a_list_shows_who_came_with_which_call_also_a_second_time() -> None:
    client = LanceClient({"lance_known_percent": 100})
    list_id = client.made(name="Webinar")
    person = client.found()
    client.put(list_id, [person, *prospects(130)])
    client.put(list_id, [person])
    text = shown(client, f"/_sandbox/lists/{list_id}")
    assert "<b>131</b><span>leads" in text
    assert "<b>1</b><span>sent although held" in text
    assert "1 to 100 of 132 leads" in text
    assert "from 2026-04-06T00:00:00.000Z to 2026-06-30T23:59:59.000Z" in text
    assert text.count("An addition as it came") == 2
    assert f"POST {LISTS}/{list_id}/add-prospects" in text
    second = shown(client, f"/_sandbox/lists/{list_id}?page=2")
    assert "101 to 132 of 132 leads" in second
    assert second.count(person["id"]) >= 2
    client.call("DELETE", f"{LISTS}/{list_id}")
    assert "A further change (delete) as it came" in shown(client, f"/_sandbox/lists/{list_id}")
    assert 'data-state="deleted"' in shown(client, "/")


def test_long_values_are_cut_in_the_table() -> None:
    client = Client()
    lead = {"linkedin_url": f"{LINKEDIN}x", "note": "n" * 999, "deep": ["d" * 99]}
    text = shown(client, f"/_sandbox/lists/{client.create([lead]).json['id']}")
    assert f"<td>{'n' * 300}…</td>" in text
    assert f"<td>[&#34;{'d' * 38}…</td>" in text


def test_of_many_calls_the_first_are_shown_and_the_rest_are_counted() -> None:
    client = LanceClient()
    list_id = client.made()
    for number in range(30):
        client.put(list_id, prospects(1, start=number))
    text = shown(client, f"/_sandbox/lists/{list_id}")
    assert text.count("An addition as it came") == CALLS_SHOWN - 1
    assert "And 11 further calls" in text
