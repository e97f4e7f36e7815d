"""Serving: in a thread, in a process of its own, and without the extra."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import target_amplemarket.sandbox as package
from target_amplemarket.sandbox import RunningSandbox, Switches, running_sandbox, switches_from

from .client import PAID, create_body, people
from .test_transport import HEADERS, post

ROOT = Path(__file__).parents[2]


def test_public_face() -> None:
    assert package.__all__ == [
        "Fault", "RunningSandbox", "Switches", "create_app", "running_sandbox", "serve", "switches_from",
    ]  # fmt: skip
    assert all(hasattr(package, name) for name in package.__all__)


def test_running_sandbox_shows_and_sets_everything() -> None:
    with running_sandbox(Switches(found_percent=100.0)) as sandbox:
        assert isinstance(sandbox, RunningSandbox)
        assert sandbox.url.startswith("http://127.0.0.1:")
        _, answer = post(sandbox, people(3))
        (arrived,) = sandbox.log()
        assert (arrived.id, arrived.name, arrived.created.owner, arrived.type, arrived.lead_count) == (
            answer["id"], answer["name"], answer["owner"], "linkedin", 3,
        )  # fmt: skip
        assert arrived.created.options.enrich is False
        assert abs(arrived.committed_s - time.time()) < 60
        assert [seen.status for seen in sandbox.requests()] == [202]
        sandbox.set(api_key="amp_other")
        assert post(sandbox)[0] == 401
        with pytest.raises(ValueError, match="did you mean 'api_key'"):
            sandbox.set(api_kee="x")
        sandbox.reset()
        assert (sandbox.log(), sandbox.requests()) == ([], [])
        assert post(sandbox)[0] == 401
        sandbox.reset(Switches())
        assert post(sandbox)[0] == 202
        assert sandbox.state()["lists"] == 1


def test_additions_belong_to_their_list() -> None:
    with running_sandbox() as sandbox:
        _, answer = post(sandbox, people(2))
        body = json.dumps({"leads": people(2, start=2)}).encode()
        url = f"{sandbox.url}/lead-lists/{answer['id']}/leads"
        with urllib.request.urlopen(urllib.request.Request(url, body, HEADERS)) as response:
            assert response.status == 202
        (arrived,) = sandbox.log()
        assert arrived.leads == people(4)
        assert [len(commit.leads) for commit in arrived.additions] == [2]


def test_log_can_still_be_read_after_the_end() -> None:
    with running_sandbox() as sandbox:
        post(sandbox, people(2))
    assert sandbox.log()[0].leads == people(2)


def test_port_can_be_chosen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running_sandbox(port=port) as sandbox:
        assert sandbox.url == f"http://127.0.0.1:{port}"


def test_taken_port_is_an_oserror() -> None:
    with (
        running_sandbox() as sandbox,
        pytest.raises(OSError, match="in use"),
        running_sandbox(port=int(sandbox.url.rpartition(":")[2])),
    ):
        pass


def test_clock_is_passed_in() -> None:
    with running_sandbox(clock=lambda: 1_780_000_000.0) as sandbox:
        assert post(sandbox)[1]["created_at"] == "2026-05-28T20:26:40Z"


def test_sandboxes_side_by_side_do_not_share() -> None:
    with running_sandbox() as one, running_sandbox() as other:
        post(one)
        assert (len(one.log()), len(other.log())) == (1, 0)


def test_stop_does_not_wait_for_hanging_calls() -> None:
    failures: list[type[BaseException]] = []

    def call(sandbox: RunningSandbox) -> None:
        try:
            post(sandbox, timeout_s=30)
        except OSError as failure:
            failures.append(type(failure))

    with running_sandbox(switches_from({"faults": "hang; late_commit:then=hang"})) as sandbox:
        callers = [threading.Thread(target=call, args=(sandbox,)) for _ in range(3)]
        for caller in callers:
            caller.start()
        deadline_s = time.monotonic() + 5
        while len(sandbox.requests()) < 3:
            assert time.monotonic() < deadline_s
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 3
    for caller in callers:
        caller.join()
    assert len(failures) == 3


def test_ten_thousand_leads_are_taken_in_well_under_half_a_second() -> None:
    leads = [
        {
            "linkedin_url": f"https://www.linkedin.com/in/person-{number}",
            "title": "Plant Manager " * 5,
            "note": "x" * 150,
        }
        for number in range(10_000)
    ]
    body = json.dumps(create_body(leads, options=PAID)).encode()
    assert len(body) > 3_000_000
    with running_sandbox() as sandbox:
        connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"))
        took_s = []
        for _ in range(5):
            begun_s = time.perf_counter()
            connection.request("POST", "/lead-lists", body, HEADERS)
            with connection.getresponse() as response:
                assert response.status == 202
                response.read()
            took_s.append(time.perf_counter() - begun_s)
        connection.close()
    assert min(took_s) < 0.5


SERVE = """
import sys
from target_amplemarket.sandbox import serve, Switches
serve(Switches(account_name="Served"), on_ready=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_when_it_is_ready_and_ends_on_a_signal(number: signal.Signals) -> None:
    command = [sys.executable, "-X", "dev", "-c", SERVE]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        request = urllib.request.Request(f"{url}/account-info", headers=HEADERS)
        with urllib.request.urlopen(request) as response:
            assert json.load(response)["name"] == "Served"
        server.send_signal(number)
        out, err = server.communicate(timeout=20)
    assert err == ""
    assert (number == signal.SIGTERM) or "ended" in out


WITHOUT_EXTRA = """
import sys
sys.modules["uvicorn"] = None
try:
    import target_amplemarket.sandbox
except ImportError as missing:
    print(missing)
"""


def test_without_the_extra_the_import_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert "pip install 'target-amplemarket[sandbox]'" in done.stdout
    assert "uvicorn" in done.stdout


def test_nothing_else_of_the_package_is_imported() -> None:
    code = (
        "import sys, target_amplemarket.sandbox; print(*(n for n in sys.modules if n.startswith('target_amplemarket')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    loaded = set(done.stdout.split()) - {"target_amplemarket"}
    assert loaded
    assert all(name.startswith("target_amplemarket.sandbox") for name in loaded)
