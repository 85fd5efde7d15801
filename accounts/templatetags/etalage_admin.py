"""Pieces of the admin's pages: `{% load etalage_admin %}`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.timesince import timesince, timeuntil

from accounts.admin.charts import PLOT_HEIGHT, PLOT_WIDTH, BarChart, LineChart
from accounts.admin.money import money as money_text

register = template.Library()


@register.inclusion_tag("admin/etalage/line_chart.html")
def line_chart(chart: LineChart) -> dict[str, Any]:
    return {"chart": chart, "width": PLOT_WIDTH, "height": PLOT_HEIGHT}


@register.inclusion_tag("admin/etalage/bar_chart.html")
def bar_chart(chart: BarChart) -> dict[str, Any]:
    return {"chart": chart}


@register.filter
def money(minor_units: int | None, currency: str) -> str:
    return money_text(minor_units, currency)


@register.filter
def ago(moment: datetime | None) -> str:
    """`3 hours ago`, `in 2 days`, or `never`: one unit, since two suggest a precision that nobody reads."""
    if moment is None:
        return "never"
    if moment > timezone.now():
        return f"in {timeuntil(moment, depth=1)}"
    return f"{timesince(moment, depth=1)} ago"
