"""When there is a client, and what is found out before there is one."""

from __future__ import annotations

import threading

import httpx
import pytest

from target_amplemarket.errors import SettingsError
from target_amplemarket.services.calls import Calls
from target_amplemarket.services.replies import Answer
from tests.services.opened import settings_of, surroundings


def test_threads_that_call_first_at_once_share_one_client() -> None:
    made: list[httpx.BaseTransport] = []
    replies: list[object] = []
    several = threading.Event()

    def transport() -> httpx.BaseTransport:
        made.append(httpx.MockTransport(lambda request: httpx.Response(200, json={})))
        if len(made) > 1:
            several.set()
        several.wait(0.2)  # what a second thread would need to come here as well
        return made[-1]

    calls = Calls(settings_of("amplemarket"), "https://api.example", surroundings(transport=transport))
    threads = [threading.Thread(target=lambda: replies.append(calls.write("/lists", b"{}"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls.close()
    assert replies == [Answer(200, b"{}")] * 4
    assert len(made) == 1


@pytest.mark.parametrize(
    ("base_url", "proxy", "words"),
    [
        ("http://api.example", None, "base_url must begin with https"),
        ("https://api.example", "socks5://127.0.0.1:2", "the proxy is not an address"),
        ("http://127.0.0.1:1", "http://127.0.0.1:2", "a proxy is for https only"),
    ],
)
def test_addresses_are_judged_before_the_first_call(base_url: str, proxy: str | None, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Calls(settings_of("amplemarket", proxy=proxy), base_url, surroundings())


def test_calls_that_were_never_made_can_be_closed() -> None:
    calls = Calls(settings_of("amplemarket"), "https://api.example", surroundings())
    calls.close()
    assert repr(calls) == "Calls(base_url='https://api.example')"
