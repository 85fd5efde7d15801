from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from storefront.models import CartLine, ShopOrder
from storefront.services import payments
from storefront.services.checkout import Delivery
from storefront.services.payments import Payment, PaymentRefused

COUNTRIES = [
    ("DE", _("Germany")),
    ("AT", _("Austria")),
    ("BE", _("Belgium")),
    ("CH", _("Switzerland")),
    ("DK", _("Denmark")),
    ("FR", _("France")),
    ("GB", _("United Kingdom")),
    ("IE", _("Ireland")),
    ("IT", _("Italy")),
    ("NL", _("Netherlands")),
    ("SE", _("Sweden")),
]


def _attributes(**attributes: Any) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in attributes.items()}


class SecretInput(forms.TextInput):
    """What is typed here is never sent back to the page, not even with a form that was refused."""

    def format_value(self, value: Any) -> None:
        return None


class AddToCartForm(forms.Form):
    product_id = forms.CharField(max_length=120)
    quantity = forms.IntegerField(min_value=1, max_value=CartLine.MAX_QUANTITY, required=False)
    next = forms.CharField(max_length=500, required=False)

    def clean_quantity(self) -> int:
        return self.cleaned_data["quantity"] or 1


class CartLineForm(forms.Form):
    product_id = forms.CharField(max_length=120)
    quantity = forms.IntegerField(min_value=0, max_value=CartLine.MAX_QUANTITY)


class CheckoutForm(forms.Form):
    """Delivery and payment on one page. Fields of a means of payment are checked only where it is the one chosen."""

    email = forms.EmailField(
        label=_("E-mail"), max_length=254, widget=forms.EmailInput(_attributes(autocomplete="email"))
    )
    name = forms.CharField(
        label=_("Full name"), max_length=120, widget=forms.TextInput(_attributes(autocomplete="name"))
    )
    street = forms.CharField(
        label=_("Street and number"),
        max_length=160,
        widget=forms.TextInput(_attributes(autocomplete="street-address")),
    )
    postal_code = forms.RegexField(
        r"^[A-Za-z0-9][A-Za-z0-9 \-]{1,9}$",
        label=_("Postcode"),
        error_messages={"invalid": _("This does not look like a postcode.")},
        widget=forms.TextInput(_attributes(autocomplete="postal-code")),
    )
    city = forms.CharField(
        label=_("Town"), max_length=80, widget=forms.TextInput(_attributes(autocomplete="address-level2"))
    )
    country = forms.ChoiceField(
        label=_("Country"), choices=COUNTRIES, widget=forms.Select(_attributes(autocomplete="country"))
    )
    payment_method = forms.ChoiceField(
        label=_("Payment"),
        choices=ShopOrder.Payment.choices,
        initial=ShopOrder.Payment.CARD,
        widget=forms.RadioSelect,
    )
    card_number = forms.CharField(
        label=_("Card number"),
        max_length=30,
        required=False,
        widget=SecretInput(_attributes(inputmode="numeric", autocomplete="off")),
    )
    card_expiry = forms.CharField(
        label=_("Expires (MM/YY)"),
        max_length=9,
        required=False,
        widget=forms.TextInput(_attributes(placeholder="MM/YY", autocomplete="off")),
    )
    card_code = forms.CharField(
        label=_("Security code"),
        max_length=4,
        required=False,
        widget=SecretInput(_attributes(inputmode="numeric", autocomplete="off")),
    )
    iban = forms.CharField(
        label=_("IBAN"),
        max_length=42,
        required=False,
        widget=SecretInput(_attributes(autocomplete="off")),
    )
    voucher_code = forms.CharField(
        label=_("Voucher code"),
        max_length=30,
        required=False,
        widget=forms.TextInput(_attributes(autocomplete="off")),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        try:
            cleaned["payment"] = self._payment(cleaned)
        except PaymentRefused as refusal:
            self.add_error(refusal.field, str(refusal))
        return cleaned

    def _payment(self, cleaned: dict[str, Any]) -> Payment | None:
        method = cleaned.get("payment_method")
        if method == ShopOrder.Payment.CARD:
            today = timezone.localdate()
            return payments.pay_by_card(
                cleaned.get("card_number", ""),
                cleaned.get("card_expiry", ""),
                cleaned.get("card_code", ""),
                today=today,
            )
        if method == ShopOrder.Payment.DEBIT:
            return payments.pay_by_debit(cleaned.get("iban", ""))
        if method == ShopOrder.Payment.VOUCHER:
            return payments.pay_by_voucher(cleaned.get("voucher_code", ""))
        return payments.pay_by_transfer() if method == ShopOrder.Payment.BANK_TRANSFER else None

    @property
    def delivery(self) -> Delivery:
        return Delivery(
            **{
                name: self.cleaned_data[name]
                for name in ("email", "name", "street", "postal_code", "city", "country")
            }
        )


class LogInForm(AuthenticationForm):
    username = forms.EmailField(
        label=_("E-mail"),
        max_length=254,
        widget=forms.EmailInput(_attributes(autocomplete="email", autofocus=True)),
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(_attributes(autocomplete="current-password")),
    )
    error_messages = {
        "invalid_login": _("E-mail address and password do not match an account. Mind capital letters."),
        "inactive": _("This account is closed."),
    }


class SignUpForm(forms.Form):
    name = forms.CharField(
        label=_("Your name"), max_length=120, widget=forms.TextInput(_attributes(autocomplete="name"))
    )
    email = forms.EmailField(
        label=_("E-mail"), max_length=254, widget=forms.EmailInput(_attributes(autocomplete="email"))
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=200,
        help_text=_("Eight characters or more."),
        widget=forms.PasswordInput(_attributes(autocomplete="new-password")),
    )

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].strip().lower()
        if User.objects.filter(email__iexact=email).exists():
            raise ValidationError(_("There is an account with this e-mail address: log in instead."))
        return email

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, User(email=self.data.get("email", "")))
        return password
