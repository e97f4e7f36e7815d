from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from target_amplemarket.singer.messages import Expected, Message, State
from target_amplemarket.singer.reader import BlockReader
from target_amplemarket.singer.stop import StopRequest

TEXT = '{"type":"STATE","value":{"a":"é"}}\n{"type": "ACTIVATE_VERSION", "stream": "s", "version": 1}\n'


def read_with(source: object) -> tuple[list[Message], Counter[str]]:
    reader, taken = BlockReader(), []

    def consume(messages: Callable[[StopRequest, Expected], Iterator[Message]]) -> None:
        stop = StopRequest()
        taken.extend(messages(stop, dict))
        stop.close()

    reader.consume = consume
    return taken, reader.process_lines(source, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["text", "bytes", "text in memory", "bytes in memory"])
def test_every_form_of_input_that_the_sdk_hands_over_is_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "input.jsonl"
    path.write_text(TEXT, encoding="utf-8")
    with path.open(encoding="latin-1") as text, path.open("rb") as content:
        sources = {
            "text": text,  # whatever encoding it was opened with: Singer is UTF-8
            "bytes": content,
            "text in memory": io.StringIO(TEXT),
            "bytes in memory": io.BytesIO(TEXT.encode()),
        }
        taken, counts = read_with(sources[form])
    assert taken[0] == State('{"a":"é"}'.encode())
    assert counts == {"STATE": 1, "ACTIVATE_VERSION": 1}


def test_standard_input_is_the_one_at_the_time_of_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = BlockReader()
    path = tmp_path / "input.jsonl"
    path.write_text(TEXT, encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert reader.default_input is file.buffer
        _, counts = read_with(None)
    assert counts.total() == 2


@pytest.mark.parametrize("by_name", [True, False])
def test_the_input_option_takes_a_file_or_a_dash(tmp_path: Path, by_name: bool) -> None:
    @click.command()
    @click.option("--input", "file_input", type=click.File("r"))
    def command(file_input: object) -> None:
        click.echo(read_with(file_input)[1].total())

    path = tmp_path / "input.jsonl"
    path.write_text(TEXT, encoding="utf-8")
    chosen = str(path) if by_name else "-"
    result = CliRunner().invoke(command, ["--input", chosen], input=None if by_name else TEXT)
    assert (result.output, result.exception) == ("2\n", None)
