"""The sandbox's page as Chromium shows it, while lists arrive and faults are switched."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from target_amplemarket.sandbox import RunningSandbox
from tests.browser.chromium import Chromium, Page

OPTIONS = {"enrich": False, "validate_email": False, "reveal_phone_numbers": False}


def arrive(sandbox: RunningSandbox, name: str, *, count: int = 3) -> None:
    leads = [{"email": f"person{number}@acme.example", "title": "Buyer"} for number in range(count)]
    body = {"name": name, "owner": "dana@northwind.example", "type": "email", "leads": leads, "options": OPTIONS}
    call = urllib.request.Request(f"{sandbox.url}/lead-lists", json.dumps(body | {"shared": True}).encode())
    call.add_header("Authorization", "Bearer amp_key")
    with urllib.request.urlopen(call, timeout=10) as answer:
        assert answer.status == 202


def ask(sandbox: RunningSandbox, path: str, body: Any) -> Any:
    """Ask the other API for something."""
    call = urllib.request.Request(f"{sandbox.url}/api/v1/entities/{path}", json.dumps(body).encode())
    call.add_header("Authorization", "Bearer sess_key")
    with urllib.request.urlopen(call, timeout=10) as answer:
        return json.load(answer)


def arrive_in_calls(sandbox: RunningSandbox, name: str, *counts: int) -> str:
    """A list whose people come in further calls, always the same ones from the first on; returns its id."""
    dates = {"startDate": "2026-04-06T00:00:00.000Z", "endDate": "2026-06-30T23:59:59.000Z"}
    list_id = ask(sandbox, "leadlists", {"name": name, "icpId": None, "personIds": [], **dates})["id"]
    url = "https://www.linkedin.com/in/sam-okafor-"
    for count in counts:
        urls = {"socialMediaLink": {"any": {"include": [f"{url}{number}" for number in range(count)]}}}
        found = ask(sandbox, "prospects/person", {"contact": urls, "size": 100})["content"]
        ask(sandbox, f"leadlists/{list_id}/add-prospects", {"prospects": found})
    return str(list_id)


def switches(sandbox: RunningSandbox) -> Any:
    with urllib.request.urlopen(f"{sandbox.url}/_sandbox/switches", timeout=10) as answer:
        return json.load(answer)


def click(page: Page, selector: str) -> None:
    page.ask(f"document.querySelector({json.dumps(selector)}).click()")


def fill(page: Page, selector: str, value: str) -> None:
    page.ask(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(value)}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_fit_are_readable_and_ask_nobody_else(
    chromium: Chromium, sandbox: RunningSandbox, width: int, *, dark: bool
) -> None:
    arrive(sandbox, "A list with a name long enough that no phone shows it on one line [AAAAAAAAAAAA]", count=120)
    list_id, other_id = sandbox.log()[0].id, arrive_in_calls(sandbox, "Webinar in calls [BBBBBBBBBBBB]", 40, 60)
    sandbox.set(faults=["server_error:status=503,times=2", "stale_listing"])
    lists = (f"/_sandbox/lists/{list_id}", f"/_sandbox/lists/{other_id}")
    for path in ("/", *lists, "/_sandbox/requests/1", "/_sandbox/lists/none"):
        with chromium.page(sandbox.url + path, width=width, dark=dark) as page:
            assert page.overflow_px() == 0, path
            assert page.faint_texts() == [], path
            assert [text for text in page.complaints() if "404" not in text] == []
            assert all(url.startswith((f"{sandbox.url}/", "data:")) for url in page.requested())
            unnamed = "[...document.querySelectorAll('input, select, button')].filter((one) => "
            assert page.ask(f"{unnamed} !one.labels?.length && !one.ariaLabel && !one.textContent.trim()).length") == 0


def test_the_arrival_stands_on_one_line(chromium: Chromium, sandbox: RunningSandbox) -> None:
    arrive(sandbox, "A list whose name is long, " * 6)
    with chromium.page(sandbox.url, width=700) as page:
        cell = "document.querySelector('#lists td.once')"
        line = f"parseFloat(getComputedStyle({cell}).lineHeight)"
        assert page.ask(f"(() => {{ const r = document.createRange(); r.selectNodeContents({cell}); "
                        f"return r.getBoundingClientRect().height < 1.5 * {line}; }})()")  # fmt: skip


def test_a_list_that_arrives_appears_and_its_leads_can_be_read(chromium: Chromium, sandbox: RunningSandbox) -> None:
    with chromium.page(sandbox.url) as page:
        assert "Nothing has arrived yet." in page.ask("document.body.innerText")
        arrive(sandbox, "Webinar May", count=150)
        page.has_come("document.querySelector('#lists a')?.textContent === 'Webinar May'")
        page.ask("document.querySelector('#lists a').focus()")
        arrive(sandbox, "Fair June")
        page.has_come("document.querySelectorAll('#lists tbody tr').length === 2")
        assert page.ask("document.querySelector('#lists a').textContent") == "Fair June", "newest first"
        assert page.ask("document.activeElement.textContent") == "Webinar May", "the focus stays where it was"
        page.press("Enter")
        page.has_come(
            "document.querySelector('h1').textContent === 'Webinar May' && !!document.querySelector('#leads')"
        )
        click(page, "#leads a[rel=next]")
        page.has_come("document.querySelector('#leads caption')?.textContent.startsWith('101 to 150 of 150')")
        assert "amp_key" not in page.ask("document.body.innerText")
        assert page.complaints() == []


def test_search_narrows_the_lists_and_stays_while_others_arrive(chromium: Chromium, sandbox: RunningSandbox) -> None:
    for name in ("Webinar May", "Fair June"):
        arrive(sandbox, name)
    with chromium.page(sandbox.url) as page:
        fill(page, "#search", "webinar")
        page.ask("document.querySelector('#search').focus()")
        page.press("Enter")
        page.has_come("location.search === '?search=webinar' && document.querySelectorAll('#lists a').length === 1")
        arrive(sandbox, "Fair July")
        arrive(sandbox, "Webinar August")
        page.has_come("document.querySelectorAll('#lists tbody tr').length === 2")
        assert "Fair" not in page.ask("document.querySelector('#lists').innerText")


def test_a_list_grows_on_its_page_while_calls_add_to_it(chromium: Chromium, sandbox: RunningSandbox) -> None:
    sandbox.set(lance_known_percent=100)
    list_id = arrive_in_calls(sandbox, "Webinar May", 2)
    with chromium.page(sandbox.url) as page:
        row = page.ask("document.querySelector('#lists tbody tr').innerText")
        assert "Lance, person, user_2dana" in row
        click(page, "#lists a")
        page.has_come("document.querySelector('#leads caption')?.textContent.startsWith('1 to 2 of 2')")
        person = sandbox.log()[0].leads[0]
        ask(sandbox, f"leadlists/{list_id}/add-prospects", {"prospects": [person]})
        page.has_come("document.querySelector('#leads caption')?.textContent.startsWith('1 to 3 of 3')")
        page.has_come("document.querySelector('#figures').innerText.includes('sent although held')")
        assert page.ask("document.querySelector('#figures li:nth-child(2) b').textContent") == "2", "it holds two"
        assert "sess_key" not in page.ask("document.body.innerText")
        assert page.complaints() == []


def test_faults_are_switched_on_and_off(chromium: Chromium, sandbox: RunningSandbox) -> None:
    with chromium.page(sandbox.url) as page:
        fill(page, "#add-fault [name=kind]", "server_error")
        fill(page, "#add-fault [name=endpoint]", "GET /users")
        fill(page, "#add-fault [name=times]", "2")
        fill(page, "#add-fault [name=further]", "status=503")
        click(page, "#add-fault button")
        page.has_come("document.querySelector('#faults code')?.textContent === 'server_error'")
        [fault] = switches(sandbox)["faults"]
        assert [fault[name] for name in ("kind", "endpoint", "times", "status")] == [
            "server_error", "GET /users", 2, 503,
        ]  # fmt: skip
        fill(page, "#add-fault [name=kind]", "drip")
        fill(page, "#add-fault [name=further]", "status=503")
        click(page, "#add-fault button")
        page.has_come("document.querySelector('#said').textContent.includes(\"'drip' has no parameter 'status'\")")
        assert len(switches(sandbox)["faults"]) == 1, "what is refused changes nothing"
        click(page, "#faults [data-fault-off]")
        page.has_come("document.querySelector('#faults').innerText.includes('None is switched on')")
        assert switches(sandbox)["faults"] == []


def test_switches_are_set_and_put_back(chromium: Chromium, sandbox: RunningSandbox) -> None:
    with chromium.page(sandbox.url) as page:
        fill(page, "#set-switch [name=name]", "found_percent")
        fill(page, "#set-switch [name=value]", "25")
        click(page, "#set-switch button")
        page.has_come("!!document.querySelector('[data-switch=found_percent]')")
        assert switches(sandbox)["found_percent"] == 25
        click(page, "[data-switch=found_percent]")
        page.has_come("!document.querySelector('[data-switch=found_percent]')")
        assert switches(sandbox)["found_percent"] == 90
