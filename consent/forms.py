from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from consent.models import OPT_OUT_KINDS, DataSubjectRequest
from consent.request_texts import FIELD_LABELS, KIND_TEXTS

Kind = DataSubjectRequest.Kind
MAX_MESSAGE = 2000


class AskForm(forms.Form):
    """A request of the given kind; `needs_email` for somebody who is not known otherwise. `offers_account`: an opt-out of somebody
    who is not logged in may be about an account too."""

    def __init__(
        self, *args: Any, kind: str, needs_email: bool, offers_account: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        if needs_email:
            self.fields["email"] = forms.EmailField(
                label=_("Your e-mail address"),
                max_length=254,
                help_text=_("We mail a code to it, to be sure that it is you."),
                widget=forms.EmailInput(attrs={"autocomplete": "email"}),
            )
        if offers_account:
            self.fields["email"] = forms.EmailField(
                label=_("Your e-mail address, if you have an account here"),
                max_length=254,
                required=False,
                help_text=_("It then holds for the account as well. You may leave it empty."),
                widget=forms.EmailInput(attrs={"autocomplete": "email"}),
            )
        if kind == Kind.RECTIFICATION:
            for name, label in FIELD_LABELS.items():
                self.fields[f"right_{name}"] = forms.CharField(label=label, max_length=300, required=False)
        if kind in OPT_OUT_KINDS:  # one press is all that the law lets us ask for
            return
        self.fields["message"] = forms.CharField(
            label=_("Anything that we should know"),
            required=False,
            max_length=MAX_MESSAGE,
            widget=forms.Textarea(attrs={"rows": 4}),
        )
        if kind == Kind.OBJECTION:
            self.fields["review"] = forms.BooleanField(
                label=_("I want a person to look at what was decided about me, and to answer me."),
                required=False,
            )
        if KIND_TEXTS[kind].is_final:
            self.fields["confirm"] = forms.BooleanField(
                label=_("I understand that this cannot be undone."),
                error_messages={"required": _("Tick this to go on: what is erased cannot be brought back.")},
            )

    @property
    def corrections(self) -> dict[str, str]:
        return {
            name.removeprefix("right_"): value
            for name, value in self.cleaned_data.items()
            if name.startswith("right_") and value.strip()
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.kind == Kind.RECTIFICATION and not self.errors:
            year = cleaned.get("right_birth_year", "")
            if year and not (year.isdigit() and len(year) == 4):
                self.add_error("right_birth_year", _("A year has four digits."))
            for name in ("right_country", "right_language"):
                if cleaned.get(name) and len(cleaned[name]) != 2:
                    self.add_error(name, _("Two letters."))
            if not self.corrections and not cleaned.get("message"):
                raise forms.ValidationError(_("Fill in what is wrong today, or write it below."))
        return cleaned


class CodeForm(forms.Form):
    code = forms.RegexField(
        r"^\s*\d{6}\s*$",
        label=_("Code from our letter"),
        error_messages={"invalid": _("The code has six digits.")},
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "maxlength": "8"}
        ),
    )


class AnswerForm(forms.Form):
    answer = forms.CharField(
        label=_("Your answer"), max_length=MAX_MESSAGE, widget=forms.Textarea(attrs={"rows": 4})
    )


class FileForm(forms.Form):
    file = forms.FileField(
        label=_("A file that belongs to your request"),
        help_text=_("PDF, PNG, JPEG or text, up to 5 MB. Only those who decide on your request open it."),
        widget=forms.ClearableFileInput(attrs={"accept": ".pdf,.png,.jpg,.jpeg,.txt"}),
    )


class AgentCodeForm(CodeForm):
    """The person confirms an agent, who may get the copy of the data only where they say so."""

    may_fetch = forms.BooleanField(
        label=_("Whoever asked for me may fetch the copy of my data too."), required=False
    )


class AgentForm(forms.Form):
    """Somebody asks in another person's name."""

    name = forms.CharField(
        label=_("Your name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    organisation = forms.CharField(
        label=_("Organisation, if you act for one"),
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    email = forms.EmailField(
        label=_("Your e-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    person_email = forms.EmailField(
        label=_("E-mail address of the person for whom you ask"),
        max_length=254,
        help_text=_("Under which the shop knows them. We write to it, so that they can confirm you."),
    )
    kind = forms.ChoiceField(label=_("What you ask for"), widget=forms.Select)
    message = forms.CharField(
        label=_("What should be corrected, or what else we should know"),
        required=False,
        max_length=MAX_MESSAGE,
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    permission = forms.FileField(
        label=_("The written permission, signed by the person"),
        required=False,
        help_text=_(
            "PDF, PNG, JPEG or text, up to 5 MB. Without it your request waits: you can send it later."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".pdf,.png,.jpg,.jpeg,.txt"}),
    )

    def __init__(self, *args: Any, kinds: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.fields["kind"]
        assert isinstance(chosen, forms.ChoiceField)
        chosen.choices = [(kind, KIND_TEXTS[kind].title) for kind in kinds]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        same = cleaned.get("email", "").casefold() == cleaned.get("person_email", "").casefold()
        if cleaned.get("email") and same:
            self.add_error("person_email", _("That is your own address. For yourself, ask without an agent."))
        if cleaned.get("kind") == Kind.RECTIFICATION and not cleaned.get("message"):
            self.add_error("message", _("Write what is wrong, and what is right."))
        return cleaned
