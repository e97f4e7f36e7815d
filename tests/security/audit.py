"""`python -m tests.security.audit`: asks `pip-audit` about every pinned dependency, and says aloud what was not asked.

Bare `pip-audit` prints "no known vulnerabilities" and ends with 0 where it finds no source of advisories. Here that is
told apart: 1 where something is vulnerable; 0 with "NOT AUDITED" where nobody could say
(1 if `AUDIT=required` is set).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

PINNED: Final = Path(__file__).parents[2] / "constraints.txt"


def verdict(report: dict[str, Any] | None, *, is_required: bool) -> tuple[int, str]:
    """Exit code and what to print for a report of `pip-audit --format json`; None where it made none."""
    dependencies = [] if report is None else report["dependencies"]
    vulnerable = [
        f"{d['name']} {d['version']}: {', '.join(v['id'] for v in d['vulns'])}" for d in dependencies if d.get("vulns")
    ]
    unasked = sum("skip_reason" in d for d in dependencies)
    if vulnerable:
        return 1, "vulnerable: " + "; ".join(vulnerable)
    if not dependencies or unasked:
        said = f"{unasked} of {len(dependencies)} dependencies" if dependencies else "any dependency"
        return int(is_required), f"NOT AUDITED: no source of advisories could be asked about {said}"
    return 0, f"audited: {len(dependencies)} dependencies, none with a known vulnerability"


def main() -> int:
    """Run the audit and print one line."""
    words = ["-m", "pip_audit", "--requirement", str(PINNED), "--no-deps", "--disable-pip", "--format", "json"]
    try:
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=300, check=False)
        report = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired):
        report = None
    code, words_of_it = verdict(report, is_required=os.environ.get("AUDIT") == "required")
    sys.stdout.write(words_of_it + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
