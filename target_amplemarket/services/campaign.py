"""First and last day of a campaign, from the settings and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from target_amplemarket.errors import SettingsError

_START_OF_DAY = time(0, 0, 0, tzinfo=UTC)
_END_OF_DAY = time(23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Campaign:
    """Two moments, UTC, as `2026-04-06T00:00:00.000Z` (https://docs.lance.so/api-reference/entities/leadlists-create)."""

    start: str
    end: str


def campaign_of(start: str, end: str, now: datetime) -> Campaign:
    """Read the two settings.

    Args:
        start: `today`, days from today as `+7d`, or ISO 8601; a day begins at midnight UTC.
        end: `today`, days from the first day as `+90d`, or ISO 8601; a day ends a second before midnight.
        now: From which relative days count.

    Raises:
        SettingsError: One is no date, or the end comes before the start.
    """
    today = now.astimezone(UTC).date()
    first = _moment(start, today, today, _START_OF_DAY, "lance_start_date")
    last = _moment(end, today, first.date(), _END_OF_DAY, "lance_end_date")
    if last < first:
        raise SettingsError("`lance_end_date` comes before `lance_start_date`: set a later one")
    return Campaign(_written(first), _written(last))


def _moment(text: str, today: date, counted_from: date, time_of_day: time, setting: str) -> datetime:
    try:
        if text == "today":
            return datetime.combine(today, time_of_day)
        if text.startswith("+"):
            return datetime.combine(counted_from + timedelta(days=int(text[1:-1])), time_of_day)
        if "T" not in text:
            return datetime.combine(date.fromisoformat(text), time_of_day)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingsError(f"`{setting}` is no day of the calendar: write it as `2026-01-31`") from None


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
