"""The page for people."""

from __future__ import annotations

from .client import LINKEDIN, Client, people


def test_lists_are_shown_newest_first_with_their_facts() -> None:
    client = Client()
    first = client.create(people(2), name="Older list").json["id"]
    client.clock.now_s += 60
    client.create(people(1234), name="Newer list")
    reply = client.call("GET", "/", key=None)
    text = reply.body.decode()
    assert reply.headers["content-type"].startswith("text/html")
    assert text.index("Newer list") < text.index("Older list")
    for fact in ("1,234", "dana@northwind.example", "linkedin", "completed", "queued", f"/_sandbox/lists/{first}"):
        assert fact in text


def test_empty_page_says_so() -> None:
    assert b"Nothing has arrived yet." in Client().call("GET", "/", key=None).body


def test_page_of_a_list_shows_its_first_leads() -> None:
    client = Client()
    list_id = client.create(people(150), name="Webinar").json["id"]
    text = client.call("GET", f"/_sandbox/lists/{list_id}", key=None).body.decode()
    assert "<h1>Webinar</h1>" in text
    assert "100 of 150 leads" in text
    assert f"{LINKEDIN}person-99</td>" in text
    assert "person-100<" not in text
    assert '<th scope="col">crm_id</th>' in text


def test_unknown_list_is_a_404() -> None:
    assert Client().call("GET", "/_sandbox/lists/x", key=None).status == 404


def test_values_are_escaped_and_nothing_is_loaded_or_run() -> None:
    client = Client()
    nasty = "<script>alert(1)</script>"
    list_id = client.create([{"linkedin_url": f"{LINKEDIN}x", nasty: {"deep": nasty}}], name=nasty).json["id"]
    for path in ("/", f"/_sandbox/lists/{list_id}"):
        reply = client.call("GET", path, key=None)
        assert b"<script" not in reply.body
        assert b"&lt;script&gt;" in reply.body
        assert b"src=" not in reply.body
        assert b"prefers-color-scheme: dark" in reply.body
        assert reply.headers["content-security-policy"].startswith("default-src 'none'")
