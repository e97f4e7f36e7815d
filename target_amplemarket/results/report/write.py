"""A run's report, as text and as a file of the results folder."""

from __future__ import annotations

from pathlib import Path

from target_amplemarket.config import Settings
from target_amplemarket.errors import SettingsError
from target_amplemarket.results.report.facts import find_run, timeline
from target_amplemarket.results.report.repairs import find_repairs
from target_amplemarket.storage.durable import Folder


def render_report(folder: Path, run: str, settings: Settings | None = None) -> tuple[str, str]:
    """The report of a run, read from the results folder without its lock.

    Args:
        folder: The results folder.
        run: A run id, or `last`.
        settings: Those whose mapping `explain` looks at for repairs; none are shown without.

    Returns:
        The run's id and its page.

    Raises:
        StorageError: There is no such run, or a file of it is damaged.
        SettingsError: The `report` extra is not installed.
    """
    try:
        from target_amplemarket.results.report.page import report_page
    except ImportError:
        raise SettingsError("reports need a part of their own: pip install 'target-amplemarket[report]'") from None
    found = find_run(folder, run)
    repairs = find_repairs(Folder(folder), found.run_id, settings) if settings and "rejected" in found.statuses else {}
    return found.run_id, report_page(found, timeline(folder, found), repairs)


def write_report(folder: Folder, run: str, settings: Settings | None = None) -> Path:
    """Write `reports/<run_id>.html` and return where it is.

    Raises:
        StorageError: There is no such run, a file of it is damaged, or the report cannot be written.
        SettingsError: The `report` extra is not installed.
    """
    run_id, page = render_report(folder.path, run, settings)
    name = f"reports/{run_id}.html"
    folder.write(name, page.encode())
    return folder.path / name
