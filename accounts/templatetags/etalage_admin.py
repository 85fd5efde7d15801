"""Pieces of the admin's pages: `{% load etalage_admin %}`."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.display import columns
from accounts.display.charts import PLOT_HEIGHT, PLOT_WIDTH, BarChart, LineChart
from accounts.display.money import money as money_text

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
def number(value: int | None) -> str:
    """12345 as `12,345`; None as a dash."""
    return columns.DASH if value is None else f"{value:,}"


register.filter("ago", columns.ago)
register.filter("when", columns.when)
register.filter("duration", columns.duration)


@register.filter
def percent(value: float | None) -> str:
    """0.1234 as `12.3 %`; None as a dash."""
    return columns.DASH if value is None else f"{100 * value:.1f} %"


@register.filter
def code_marks(text: str) -> SafeString:
    """`` `name` `` as code; everything else escaped."""
    pieces = str(text).split("`")
    return format_html_join(
        "",
        "{}",
        (
            (format_html("<code>{}</code>", piece) if place % 2 else piece,)
            for place, piece in enumerate(pieces)
        ),
    )
