"""The page between a dangerous button and its deed: what will happen, to how many, and whether it can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django import forms
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextareaWidget


@dataclass(frozen=True)
class Confirmation:
    """`undo` says how the deed can be taken back; empty means that it cannot, and the page says so."""

    title: str
    consequences: Sequence[str]
    undo: str
    button: str
    back_url: str
    is_dangerous: bool = False


class ReasonForm(forms.Form):
    """Why, in the words of whoever does it; written to the audit log."""

    reason = forms.CharField(
        label="Reason",
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept in the audit log. Write no names or addresses here.",
    )


class OptionalReasonForm(ReasonForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["reason"].required = False
        self.fields["reason"].label = "Reason (optional)"


def confirm_page(
    request: HttpRequest,
    model_admin: ModelAdmin,
    confirmation: Confirmation,
    form: forms.Form | None = None,
    *,
    hidden: Sequence[tuple[str, str]] = (),
) -> TemplateResponse:
    """A form that posts to its own address, with `hidden` fields; the view does the deed on POST."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": confirmation.title,
        "opts": model_admin.opts,
        "confirmation": confirmation,
        "form": form,
        "hidden": hidden,
    }
    return TemplateResponse(request, "admin/etalage/confirm.html", context)
