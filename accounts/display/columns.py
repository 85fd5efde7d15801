"""Cells of lists: times, ages and thumbnails, the same everywhere."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil

DASH = "–"


def age(moment: datetime) -> str:
    """`3 hours ago`, `in 2 days`, `now` within a minute: one unit, since two suggest a precision that nobody reads."""
    if abs(moment - timezone.now()) < timedelta(minutes=1):
        return "now"
    if moment > timezone.now():
        return f"in {timeuntil(moment, depth=1)}"
    return f"{timesince(moment, depth=1)} ago"


def moment_text(moment: datetime | None) -> str:
    """`23 Nov 2026, 12:58` in the viewer's zone, for sentences; a dash for None."""
    return DASH if moment is None else date_format(timezone.localtime(moment), "j M Y, H:i")


def when(moment: datetime | None) -> SafeString | str:
    """The minute in the viewer's zone, with the age on hover; a dash for None."""
    if moment is None:
        return DASH
    local = timezone.localtime(moment)
    return format_html(
        '<time class="nowrap" datetime="{}" title="{}">{}</time>',
        local.isoformat(),
        age(moment),
        date_format(local, "j M Y, H:i"),
    )


def ago(moment: datetime | None) -> SafeString | str:
    """The age, with the exact moment on hover; `never` for None."""
    if moment is None:
        return "never"
    local = timezone.localtime(moment)
    return format_html(
        '<time class="nowrap" datetime="{}" title="{}">{}</time>',
        local.isoformat(),
        date_format(local, "j M Y, H:i T"),
        age(moment),
    )


def pretty(document: object) -> str:
    """JSON for people: indented, every letter as it is."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)


def thumbnail(url: str) -> SafeString | str:
    return (
        format_html('<img class="thumbnail" src="{}" alt="" width="40" height="40" loading="lazy">', url)
        if url
        else DASH
    )


def duration(seconds: float | None) -> str:
    """`1 h 2 min`, `3 min 20 s` or `4.5 s`: the two largest units."""
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
