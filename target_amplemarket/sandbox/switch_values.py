"""Switches out of text and JSON: names and values are checked, and a near miss is named."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from target_amplemarket.sandbox import faults
from target_amplemarket.sandbox.faults import Fault, did_you_mean
from target_amplemarket.sandbox.switches import Switches

FIELDS = {member.name: member for member in dataclasses.fields(Switches)}
TYPES: dict[str, Any] = typing.get_type_hints(Switches, localns=vars(faults))
_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}


def switches_from(mapping: Mapping[str, Any], base: Switches | None = None) -> Switches:
    """Build switches from names and values, as a command line, the environment or JSON gives them.

    Args:
        mapping: Values may be of the switch's own type or text; lists may be text with commas (faults: semicolons).
        base: Where the switches not named come from; the defaults when left out.

    Raises:
        ValueError: A name is unknown, or a value does not fit; the message names both and the nearest known name.
    """
    changes: dict[str, Any] = {}
    for given, value in mapping.items():
        name = given.replace("-", "_")
        if name not in FIELDS:
            raise ValueError(f"switch {given!r} is unknown{did_you_mean(name, FIELDS)}")
        changes[name] = _converted(name, TYPES[name], value)
        _check(name, changes[name])
    return dataclasses.replace(base or Switches(), **changes)


def switch_values(current: Switches) -> dict[str, Any]:
    """Every switch as JSON can carry it; `switches_from` reads it back."""
    return dataclasses.asdict(current)


def _converted(name: str, wanted: Any, value: Any) -> Any:
    try:
        return _read(wanted, value)
    except (TypeError, ValueError) as reason:
        detail = str(reason) if isinstance(reason, ValueError) and str(reason) else f"cannot be {value!r}"
        raise ValueError(f"switch {name!r}: {detail}") from None


def _read(wanted: Any, value: Any) -> Any:
    origin = typing.get_origin(wanted)
    if origin is Literal:
        return _choice(typing.get_args(wanted), value)
    if origin is types.UnionType:
        return None if value is None or value == "" else _read(typing.get_args(wanted)[0], value)
    if origin is tuple:
        return _sequence(typing.get_args(wanted)[0], value)
    if wanted is Fault:
        return _fault(value)
    return _SCALARS[wanted](value)


def _choice(choices: tuple[str, ...], value: Any) -> str:
    text = str(value)
    if text not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, not {value!r}{did_you_mean(text, choices)}")
    return text


def _sequence(item: Any, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(";" if item is Fault else ",") if part.strip()]
    if not isinstance(value, Sequence):
        raise TypeError
    return tuple(_read(item, part) for part in value)


def _fault(value: Any) -> Fault:
    if isinstance(value, Fault):
        return value
    if isinstance(value, str):
        return Fault.parse(value)
    if isinstance(value, Mapping):
        return Fault.from_members(value)
    raise TypeError


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"must be text, not {value!r}")


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise ValueError(f"must be true or false, not {value!r}")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"must be a whole number, not {value!r}")
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"must be a whole number, not {value!r}") from None


def _number(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isfinite(number):
        return number
    raise ValueError(f"must be a finite number, not {value!r}")


_SCALARS: dict[Any, Any] = {str: _text, bool: _boolean, int: _whole, float: _number}


def _check(name: str, value: Any) -> None:
    if value is None:
        return
    declared = FIELDS[name].metadata
    low, high, check = declared["at_least"], declared["at_most"], declared["check"]
    if low is not None and value < low:
        raise ValueError(f"switch {name!r} must be at least {low}, not {value!r}")
    if high is not None and value > high:
        raise ValueError(f"switch {name!r} must be at most {high}, not {value!r}")
    if check and (trouble := check(value)):
        raise ValueError(f"switch {name!r}: {trouble}")
