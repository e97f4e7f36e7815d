"""Writes the parts of the documentation that are made from code; `--check` only compares.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->` (in YAML: `# generated: NAME`, `# end`).
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from target_amplemarket.config import declared_settings
from target_amplemarket.errors import EXIT_CODES
from target_amplemarket.leads.aliases import ALIASES
from target_amplemarket.results.enriched import ENRICHED, ENRICHED_DESCRIPTIONS
from target_amplemarket.results.schema import DESCRIPTIONS, RESULTS
from target_amplemarket.sandbox.faults import KINDS
from target_amplemarket.sandbox.switches import Switches

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "docs/reference/settings.md",
    "docs/reference/results.md",
    "docs/reference/sandbox.md",
    "docs/reference/field-mapping.md",
    "docs/explanation/services.md",
    "meltano.yml",
)
_PART = re.compile(
    r"(?P<open>(?:<!--|#) generated: (?P<name>[a-z-]+)(?: -->)?\n).*?(?P<close>[ ]*(?:<!-- end -->|# end)\n)", re.DOTALL
)
_KINDS = {"string": "string", "integer": "integer", "boolean": "boolean", "array": "array", "object": "object"}


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def settings_table() -> str:
    """Every setting that is not one service's own: name, default, meaning."""
    return _settings_table(lambda name: not name.startswith("lance_"))


def lance_table() -> str:
    """The settings that only Lance has."""
    return _settings_table(lambda name: name.startswith("lance_"))


def _settings_table(is_chosen: Callable[[str], bool]) -> str:
    rows = []
    for declared in declared_settings():
        if not is_chosen(declared.name):
            continue
        default = f"`{_shown(declared.metadata['default'])}`" if declared.metadata["default"] != "" else ""
        secret = " (secret)" if declared.metadata["secret"] else ""
        rows.append((f"`{declared.name}`{secret}", default, declared.metadata["description"] + _bounds(declared)))
    return _table(("setting", "default", "meaning"), rows)


def _bounds(declared: dataclasses.Field[object]) -> str:
    schema = declared.metadata["schema"]
    if "minimum" in schema:
        return f" {schema['minimum']:,} to {schema['maximum']:,}." if "maximum" in schema else ""
    return " One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "." if "enum" in schema else ""


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def exit_table() -> str:
    """Every exit code and what it means."""
    return _table(("exit", "meaning"), [(str(code), meaning) for code, meaning in EXIT_CODES.items()])


def results_table() -> str:
    """Every column of a result row."""
    rows = [(f"`{field.name}`", f"`{_arrow_type(field)}`", DESCRIPTIONS[field.name]) for field in RESULTS]
    return _table(("column", "type", "meaning"), rows)


def enriched_table() -> str:
    """Every column of an entry that was read back."""
    rows = [(f"`{field.name}`", f"`{_arrow_type(field)}`", ENRICHED_DESCRIPTIONS[field.name]) for field in ENRICHED]
    return _table(("column", "type", "meaning"), rows)


def _arrow_type(field: object) -> str:
    text = str(field.type).replace("values=", "").replace(", indices=int32, ordered=0", "")  # type: ignore[attr-defined]
    return text + ("" if field.nullable else ", not null")  # type: ignore[attr-defined]


def switches_table() -> str:
    """Every switch of the sandbox."""
    rows = []
    for switch in dataclasses.fields(Switches):
        default = ",".join(map(str, switch.default)) if isinstance(switch.default, tuple) else str(switch.default)
        rows.append(
            (f"`--{switch.name.replace('_', '-')}`", f"`{default}`" if default else "", switch.metadata["help"])
        )
    return _table(("switch", "default", "what it does"), rows)


def faults_table() -> str:
    """Every kind of fault."""
    return _table(("fault", "what happens"), [(f"`{name}`", kind.says) for name, kind in KINDS.items()])


def aliases_table() -> str:
    """Every alias, in the order in which it is tried."""
    rows = [(f"`{field}`", ", ".join(f"`{name}`" for name in names)) for field, names in ALIASES.items()]
    return _table(("lead field", "source fields, in the order in which they are tried"), rows)


def meltano_settings() -> str:
    """The loader's settings as Meltano declares them."""
    lines = []
    for declared in declared_settings():
        kind = declared.metadata["schema"].get("type", "string")
        kind = _KINDS[kind if isinstance(kind, str) else kind[0]]
        sensitive = ", sensitive: true" if declared.metadata["secret"] else ""
        description = json.dumps(declared.metadata["description"])
        lines.append(f"    - {{name: {declared.name}, kind: {kind}{sensitive}, description: {description}}}\n")
    return "".join(lines)


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "lance-settings": lance_table,
    "exit-codes": exit_table,
    "results": results_table,
    "enriched": enriched_table,
    "switches": switches_table,
    "faults": faults_table,
    "aliases": aliases_table,
    "meltano-settings": meltano_settings,
}


def generated(text: str) -> str:
    """A page with its generated parts made anew."""
    return _PART.sub(lambda found: found["open"] + PARTS[found["name"]]() + found["close"], text)


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` say which differ; returns the exit code."""
    stale = 0
    for name in PAGES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        wanted = generated(text)
        if text == wanted:
            continue
        stale += 1
        if "--check" in arguments:
            sys.stdout.writelines(
                difflib.unified_diff(text.splitlines(True), wanted.splitlines(True), name, "generated")
            )
        else:
            path.write_text(wanted, encoding="utf-8")
    if stale and "--check" in arguments:
        sys.stdout.write(f"{stale} pages differ from the code: run `make docs`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
