"""Which tap-jsonl is used, and what a real one makes of the export."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from target_amplemarket.demo.export import STREAMS, write_export
from target_amplemarket.demo.tap import TAP_REQUIREMENT, ensure_tap, tap_commands
from target_amplemarket.errors import SettingsError

REPOSITORY = Path(__file__).parents[2]


class Programs:
    """Stands in for venv, pip and the taps that a machine may have."""

    def __init__(self, *, versions: dict[str, str] | None = None, pip_exit_code: int = 0, pip_leaves: bool = True):
        self.versions = versions or {}
        self.pip_exit_code = pip_exit_code
        self.pip_leaves = pip_leaves
        self.ran: list[str] = []

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        name = command[2] if command[1] == "-m" else command[1]
        self.ran.append(name)
        match name:
            case "--version" if command[0] not in self.versions:
                raise FileNotFoundError(command[0])
            case "--version":
                return subprocess.CompletedProcess(command, 0, self.versions[command[0]])
            case "venv":
                self._make(Path(command[3]) / "bin" / "python")
                return subprocess.CompletedProcess(command, 0, "")
            case _:
                if self.pip_leaves:
                    self._make(Path(command[0]).with_name("tap-jsonl"))
                return subprocess.CompletedProcess(command, self.pip_exit_code, "what pip says")

    def _make(self, program: Path) -> None:
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch()


@pytest.fixture
def said() -> list[str]:
    return []


def put_on_path(folder: Path) -> dict[str, str]:
    folder.mkdir()
    program = folder / "tap-jsonl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def test_argument_comes_before_variable_and_path(tmp_path, said):
    programs = Programs(versions={"/a/tap": "tap-jsonl v0.3.1, Meltano SDK v0.53.7", "/b/tap": "tap-jsonl v0.3.0"})
    environ = put_on_path(tmp_path / "bin") | {"TAP_JSONL": "/b/tap"}
    assert ensure_tap(tmp_path, say=said.append, tap=Path("/a/tap"), environ=environ, run=programs) == Path("/a/tap")
    assert ensure_tap(tmp_path, say=said.append, environ=environ, run=programs) == Path("/b/tap")
    assert said == []


@pytest.mark.parametrize("answer", ["tap-jsonl v0.2.9", "tap-csv v0.3.1", "tap-jsonl v10.3.1", ""])
def test_named_tap_of_another_kind_is_refused(tmp_path, said, answer):
    with pytest.raises(SettingsError, match="TAP_JSONL"):
        ensure_tap(tmp_path, say=said.append, tap=Path("/a/tap"), environ={}, run=Programs(versions={"/a/tap": answer}))


def test_named_tap_that_is_not_there_is_refused(tmp_path, said):
    with pytest.raises(SettingsError, match="/a/tap does not answer"):
        ensure_tap(tmp_path, say=said.append, environ={"TAP_JSONL": "/a/tap"}, run=Programs())


def test_tap_on_path_is_used_when_its_version_fits(tmp_path, said):
    environ = put_on_path(tmp_path / "bin")
    on_path = tmp_path / "bin" / "tap-jsonl"
    programs = Programs(versions={str(on_path): "tap-jsonl v0.3.7, Meltano SDK v0.53.7"})
    assert ensure_tap(tmp_path, say=said.append, environ=environ, run=programs) == on_path
    assert programs.ran == ["--version"]


def test_tap_on_path_of_another_version_is_passed_over(tmp_path, said):
    environ = put_on_path(tmp_path / "bin")
    programs = Programs(versions={str(tmp_path / "bin" / "tap-jsonl"): "tap-jsonl v1.0.0"})
    own = ensure_tap(tmp_path / "taps", say=said.append, environ=environ, run=programs)
    assert own == tmp_path / "taps" / "tap-jsonl" / "bin" / "tap-jsonl"
    assert "passing over" in said[0]


def test_second_call_runs_nothing(tmp_path, said):
    ensure_tap(tmp_path, say=said.append, environ={"PATH": ""}, run=(first := Programs()))
    ensure_tap(tmp_path, say=said.append, environ={"PATH": ""}, run=(second := Programs()))
    assert (first.ran, second.ran) == (["venv", "pip"], [])
    assert len(said) == 1
    assert TAP_REQUIREMENT in said[0]


@pytest.mark.parametrize("lost", ["bin/python", "bin/tap-jsonl", "ready"])
def test_half_made_environment_is_made_again(tmp_path, said, lost):
    tap = ensure_tap(tmp_path, say=said.append, environ={"PATH": ""}, run=Programs())
    (tmp_path / "tap-jsonl" / lost).unlink()
    (tmp_path / "tap-jsonl" / "leftover").touch()
    assert ensure_tap(tmp_path, say=said.append, environ={"PATH": ""}, run=(again := Programs())) == tap
    assert again.ran == ["venv", "pip"]
    assert not (tmp_path / "tap-jsonl" / "leftover").exists()


def test_environment_that_was_moved_is_made_again(tmp_path, said):
    ensure_tap(tmp_path / "a", say=said.append, environ={"PATH": ""}, run=Programs())
    (tmp_path / "a").rename(tmp_path / "b")
    ensure_tap(tmp_path / "b", say=said.append, environ={"PATH": ""}, run=(again := Programs()))
    assert again.ran == ["venv", "pip"]


def test_interrupted_installation_is_made_again(tmp_path, said):
    def interrupted(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        answer = Programs()(command)
        if command[2] == "pip":
            raise KeyboardInterrupt
        return answer

    with pytest.raises(KeyboardInterrupt):
        ensure_tap(tmp_path, say=said.append, environ={"PATH": ""}, run=interrupted)
    ensure_tap(tmp_path, say=said.append, environ={"PATH": ""}, run=(again := Programs()))
    assert again.ran == ["venv", "pip"]


@pytest.mark.parametrize("programs", [Programs(pip_exit_code=1), Programs(pip_leaves=False)])
def test_failed_installation_says_what_to_do_and_is_not_taken_for_done(tmp_path, said, programs):
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"PIP_INDEX_URL.*TAP_JSONL") as stopped:
            ensure_tap(tmp_path, say=said.append, environ={"PATH": ""}, run=programs)
        assert "what pip says" not in str(stopped.value)
    assert (tmp_path / "tap-jsonl.log").read_text() == "what pip says"


def test_each_stream_has_a_command_and_a_settings_file(tmp_path):
    commands = tap_commands(Path("/bin/tap-jsonl"), tmp_path / "export", tmp_path / "work")
    assert list(commands) == ["salesforce_contact", "hubspot_contacts", "warehouse_people"]
    for name, (tap, option, settings_file) in commands.items():
        settings = json.loads(Path(settings_file).read_text())
        assert (tap, option) == ("/bin/tap-jsonl", "--config")
        assert settings["path"] == str(tmp_path / "export" / f"{name}.jsonl")
        assert settings["stream_name"] == name


@pytest.mark.e2e
def test_real_tap_brings_every_row_with_its_owner(tmp_path, said):
    tap = ensure_tap(Path(os.environ.get("TAP_FOLDER", REPOSITORY / ".venv" / "taps")), say=said.append)
    export = write_export(tmp_path / "export", record_count=600)
    commands = tap_commands(tap, export.folder, tmp_path / "work")
    for stream, written in zip(STREAMS, export.streams, strict=True):
        ran = subprocess.run(commands[stream.name], capture_output=True, text=True, check=True)
        schema, *messages = [json.loads(line) for line in ran.stdout.splitlines()]
        records = [message for message in messages if message["type"] == "RECORD"]
        assert (schema["type"], schema["stream"]) == ("SCHEMA", stream.name)
        assert schema["key_properties"] == list(stream.key_properties)
        assert {message["stream"] for message in records} == {stream.name}
        assert [own_members(message["record"]) for message in records] == rows_of(written.path)
        assert {message["record"]["owner_email"] for message in records} >= {"dana@northwind.example", None}
        assert messages[-1]["type"] == "STATE"
        assert stream.name in messages[-1]["value"]["bookmarks"]


def own_members(record: dict) -> dict:
    """The record without what the tap added."""
    return {name: value for name, value in record.items() if not name.startswith("_sdc_") and name != "owner_email"}


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
