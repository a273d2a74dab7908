"""Moments and durations as texts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]{1,9}(?=m?s))?)(ms|[dhms])")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")


def rfc3339(moment: datetime, timespec: str = "seconds") -> str:
    """A time in UTC, as in 2026-09-01T10:00:00Z. ``timespec``: how exact, as for `datetime.isoformat`."""
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def day(moment: datetime) -> str:
    """A date in UTC, as in 2026-09-01."""
    return moment.astimezone(UTC).date().isoformat()


def in_utc(moment: datetime) -> datetime:
    """A time that names no zone is in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def moment(text: object) -> datetime | None:
    """A time as the API server writes them; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        return in_utc(datetime.fromisoformat(text))
    except ValueError:
        return None


def duration(text: str) -> timedelta:
    """Read 500ms, 30s, 1.5s, 15m, 2h, 7d or 1h30m; a hundred years at most. Raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text}: this is no duration")
    longest = timedelta(days=36500)
    try:
        parts = (timedelta(**{_UNITS[unit]: float(number)}) for number, unit in _PART.findall(text))
        return min(sum(parts, timedelta()), longest)
    except OverflowError:
        return longest


def age(now: datetime, then: datetime | None) -> str:
    """As kubectl writes ages (k8s.io/apimachinery, duration.HumanDuration), in at most two units; ``?`` if unknown."""
    if then is None or then.timestamp() <= 0:
        return "?"
    seconds = max(0, int((now - then).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{days}d"
