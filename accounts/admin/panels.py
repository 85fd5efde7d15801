"""Panels of a shopper's page that know more than accounts may: each app that stands higher hangs its own in here.

Tracking brings the timeline, segments the memberships, consent the permissions. The order of `rank` is the order on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from accounts.current_store import may
from accounts.models import Customer, Visitor
from accounts.permissions import Ability


@dataclass(frozen=True)
class Panel:
    """`context` gives the template's variables for a customer or a visitor, or None where there is nothing to show."""

    name: str
    rank: int
    ability: Ability
    template: str
    context: Callable[[HttpRequest, Customer | Visitor], dict[str, Any] | None]


_panels: dict[str, Panel] = {}


def register(panel: Panel) -> None:
    _panels[panel.name] = panel


def rendered(
    request: HttpRequest, subject: Customer | Visitor, only: Collection[str] | None = None
) -> list[SafeString]:
    """The panels that the viewer may see, in order; of those named in `only`, where it is given."""
    pieces = []
    for panel in sorted(_panels.values(), key=lambda panel: panel.rank):
        if (only is None or panel.name in only) and may(request, panel.ability):
            context = panel.context(request, subject)
            if context is not None:
                pieces.append(render_to_string(panel.template, context, request=request))
    return pieces
