"""The form that says what is changed in many quarantined events."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from tracking.quality.mending import MAX_PATH_LENGTH, Mend, NotMendable, Operation

CHOICES = [
    (Operation.OBVIOUS, "Apply the obvious mend of each one's reason"),
    (Operation.SET, "Set a field to a value"),
    (Operation.RENAME, "Rename a field"),
    (Operation.REMOVE, "Remove a field"),
]


class MendForm(forms.Form):
    operation = forms.ChoiceField(label="What to do", choices=CHOICES, widget=UnfoldAdminSelectWidget)
    path = forms.CharField(
        label="Field",
        required=False,
        max_length=MAX_PATH_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text="Like properties.product_id; with [] for each element of a list: properties.products[].price.",
    )
    value = forms.CharField(
        label="Value, or new name",
        required=False,
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text='JSON where it is JSON (19.99, true, "text"), else taken as text. For a rename: the new name of the field.',
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "operation" in cleaned:
            try:
                self._mend = _mend_of(cleaned)
            except NotMendable as error:
                self.add_error(
                    "path" if "path" in str(error) or "ends" in str(error) else "value", str(error)
                )
        return cleaned

    def mend(self) -> Mend:
        """Of a valid form."""
        return self._mend


def _mend_of(cleaned: dict[str, Any]) -> Mend:
    operation = Operation(cleaned["operation"])
    path, value = cleaned.get("path", "").strip(), cleaned.get("value", "").strip()
    match operation:
        case Operation.SET:
            return Mend(operation, path, _value(value))
        case Operation.RENAME:
            return Mend(operation, path, value)
        case Operation.REMOVE:
            return Mend(operation, path)
    return Mend(operation)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
