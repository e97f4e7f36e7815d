"""Switches out of text and JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.sandbox import Fault, Switches, switches_from
from target_amplemarket.sandbox.switch_values import FIELDS, TYPES, switch_values


@pytest.mark.parametrize("name", FIELDS)
def test_every_switch_has_a_type_a_default_and_one_sentence(name: str) -> None:
    declared = FIELDS[name]
    assert TYPES[name] is not None
    assert declared.default is not dataclasses.MISSING
    sentence = declared.metadata["help"]
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize("name", FIELDS)
def test_every_switch_is_named_by_a_test(name: str) -> None:
    texts = (path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name)
    assert any(name in text for text in texts)


def test_defaults_are_what_switches_from_nothing_gives() -> None:
    assert switches_from({}) == Switches()


def test_what_is_shown_can_be_read_back() -> None:
    changed = switches_from({"users": ["a@b.example:active:admin"], "faults": ["hang:seconds=2"], "name_limit": 9})
    assert switches_from(json.loads(json.dumps(switch_values(changed)))) == changed


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("seed", "7", 7),
        ("seed", 7.0, 7),
        ("queued_seconds", "0.5", 0.5),
        ("email_credits", 10, 10.0),
        ("inactive_owner_ok", "yes", True),
        ("inactive_owner_ok", "OFF", False),
        ("inactive_owner_ok", True, True),
        ("api_key", "amp_x", "amp_x"),
        ("api_key", None, None),
        ("api_key", "", None),
        ("name_limit", "12", 12),
        ("rate_window", "fixed", "fixed"),
        ("rate-window", "fixed", "fixed"),
        ("add_status", 204, "204"),
        ("users", "a@b.example, c@d.example:inactive", ("a@b.example", "c@d.example:inactive")),
        ("faults", "hang; drip:bytes=2,seconds=1", (Fault("hang"), Fault("drip", bytes=2, seconds=1.0))),
        ("faults", [{"kind": "hang", "times": 2}], (Fault("hang", times=2),)),
        ("faults", [], ()),
    ],
)
def test_values_are_read(name: str, value: Any, expected: Any) -> None:
    read = getattr(switches_from({name: value}), name.replace("-", "_"))
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate_windw", "fixed", "switch 'rate_windw' is unknown; did you mean 'rate_window'"),
        ("zzz", 1, "switch 'zzz' is unknown$"),
        ("rate_window", "slidin", "must be one of sliding, fixed.*did you mean 'sliding'"),
        ("seed", "x", "'seed': must be a whole number, not 'x'"),
        ("seed", 1.5, "whole number"),
        ("seed", True, "whole number"),
        ("seed", None, "whole number"),
        ("email_credits", "nan", "finite number"),
        ("email_credits", "inf", "finite number"),
        ("email_credits", True, "finite number"),
        ("email_credits", -1, "'email_credits' must be at least 0"),
        ("found_percent", 101, "'found_percent' must be at most 100"),
        ("inactive_owner_ok", "perhaps", "true or false"),
        ("account_name", 5, "must be text"),
        ("name_limit", 0, "at least 1"),
        ("users", 5, "cannot be 5"),
        ("users", ["nobody"], "is not email"),
        ("users", ["a@b:c:d:e"], "is not email"),
        ("faults", "hang:second=1", "did you mean 'seconds'"),
        ("faults", [5], "faults"),
    ],
)
def test_bad_values_are_refused_by_name(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        switches_from({name: value})


def test_base_gives_the_switches_not_named() -> None:
    base = switches_from({"seed": 5, "name_limit": 7})
    assert switches_from({"seed": 6}, base) == switches_from({"seed": 6, "name_limit": 7})


def test_switches_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Switches().seed = 2  # type: ignore[misc] # that it cannot be is the point
