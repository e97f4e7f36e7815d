"""The border to Jinja: facts into a page in which everything from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from target_amplemarket.config import SERVICES
from target_amplemarket.results.report.charts import timeline_svg
from target_amplemarket.results.report.facts import ReportedList, ReportedRun, Timeline, in_order
from target_amplemarket.results.report.flow import flow_of, flow_svg

Repairs = Mapping[tuple[str, str], str]
"""Status and reason → the change that repairs it, for people; never a value of a record."""

MOST_LISTS: Final = 1_000
_HERE: Final = Path(__file__).parent
_LOOK: Final = _HERE.parents[1]
"""Where `look.css` is, which the sandbox's page shares."""
_WIDE, _NARROW = 960, 330  # natural widths of the charts: in a browser window, on a phone


@dataclass(frozen=True, slots=True)
class Reason:
    """Why records are not accepted, and what to do about it."""

    status: str
    name: str
    count: int
    repair: str | None


def report_page(run: ReportedRun, times: Timeline, repairs: Repairs) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader([_HERE, _LOOK]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "moment": _moment, "duration": _duration}
    flow = flow_of(run)
    has_course = len(times.moments_s) > 1 and bool(run.rows)
    return environment.get_template("page.html.jinja").render(
        run=run,
        times=times,
        flows=[_svg(name, flow_svg(flow, width=width, chart_id=f"flow-{name}")) for name, width in _WIDTHS.items()]
        if run.records
        else [],
        courses=[_svg(name, timeline_svg(times, width=w, chart_id=f"times-{name}")) for name, w in _WIDTHS.items()]
        if has_course
        else [],
        statuses=in_order(run.statuses),
        ranked=_ranked(run, repairs),
        lists=[(entry, safe_link(entry, run.service)) for entry in run.lists[:MOST_LISTS]],
    )


_WIDTHS: Final = {"broad": _WIDE, "narrow": _NARROW}


def _svg(name: str, text: str) -> tuple[str, Markup]:
    return name, Markup(text)  # noqa: S704  # made by ElementTree, which escapes


def _ranked(run: ReportedRun, repairs: Repairs) -> list[Reason]:
    reasons = [
        Reason(status, name, count, repairs.get((status, name)))
        for status, counts in run.reasons.items()
        for name, count in counts.items()
    ]
    return sorted(reasons, key=lambda reason: -reason.count)


def safe_link(entry: ReportedList, service: str) -> str | None:
    """The list's address, if it is https and the service's own; None else, and then the name stands alone."""
    try:
        parts = urlsplit(entry.url or "")
        port = parts.port
    except ValueError:
        return None
    entry_of_service = SERVICES.get(service)
    host, own = parts.hostname or "", entry_of_service.dashboard if entry_of_service else None
    is_own = own is not None and (host == own or host.endswith(f".{own}"))
    is_plain = parts.scheme == "https" and parts.username is None and port in {None, 443}
    return entry.url if is_own and is_plain else None


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def _moment(value: datetime) -> str:
    at = value.astimezone(UTC)
    return f"{at.day} {at:%B %Y, %H:%M:%S} UTC"


def _duration(value_s: float) -> str:
    if value_s < 120:
        return f"{value_s:,.1f} s"
    minutes, seconds = divmod(round(value_s), 60)
    return f"{minutes} min {seconds} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
