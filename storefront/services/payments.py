"""Demonstration payments. Nothing is charged, nothing of a card or an account is stored but its last digits.

What is typed is checked as a shop would check it before it asks the bank, so that errors can be tried out: card numbers
by Luhn's sum, IBANs by ISO 13616's remainder, vouchers by a check character. A card ending in 0002 is declined.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.utils.translation import gettext as _

from storefront.models import ShopOrder

DECLINED_ENDING: Final = "0002"
EXAMPLE_CARD: Final = "4242 4242 4242 4242"
EXAMPLE_IBAN: Final = "DE89 3704 0044 0532 0130 00"
EXAMPLE_VOUCHER: Final = "GIFT-FELL-WREN-X"
_VOUCHER_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class PaymentRefused(Exception):
    """The means of payment is not accepted. `field` is the form's field at fault; the message is for the shopper."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Payment:
    """How an order is paid: what is kept of it. `reference` never holds a whole number."""

    method: ShopOrder.Payment
    reference: str
    status: ShopOrder.Status


def pay_by_card(number: str, expiry: str, code: str, *, today: date) -> Payment:
    """`expiry` as MM/YY. Raises PaymentRefused."""
    digits = re.sub(r"[\s-]", "", number)
    if not re.fullmatch(r"\d{13,19}", digits, re.ASCII) or not passes_luhn(digits):
        raise PaymentRefused(
            "card_number",
            _("This is not a card number. For a trial use %(example)s.") % {"example": EXAMPLE_CARD},
        )
    match = re.fullmatch(r"(0[1-9]|1[0-2])\s*/\s*(?:20)?(\d{2})", expiry.strip(), re.ASCII)
    if not match:
        raise PaymentRefused("card_expiry", _("Write the month and the year, such as 09/29."))
    if (2000 + int(match[2]), int(match[1])) < (today.year, today.month):
        raise PaymentRefused("card_expiry", _("This card has expired."))
    if not re.fullmatch(r"\d{3,4}", code.strip(), re.ASCII):
        raise PaymentRefused("card_code", _("The code has three or four digits."))
    if digits.endswith(DECLINED_ENDING):
        raise PaymentRefused(
            "card_number", _("The bank declined this card. Nothing was charged; try another one.")
        )
    return Payment(
        ShopOrder.Payment.CARD,
        _("Card ending in %(ending)s") % {"ending": digits[-4:]},
        ShopOrder.Status.PAID,
    )


def pay_by_debit(iban: str) -> Payment:
    """Raises PaymentRefused."""
    compact = re.sub(r"\s", "", iban).upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", compact, re.ASCII) or not passes_iban_check(compact):
        raise PaymentRefused(
            "iban", _("This is not an IBAN. For a trial use %(example)s.") % {"example": EXAMPLE_IBAN}
        )
    return Payment(
        ShopOrder.Payment.DEBIT,
        _("Account ending in %(ending)s") % {"ending": compact[-4:]},
        ShopOrder.Status.PAID,
    )


def pay_by_voucher(code: str) -> Payment:
    """Raises PaymentRefused."""
    compact = re.sub(r"[\s-]", "", code).upper().removeprefix("GIFT")
    if len(compact) != 9 or any(character not in _VOUCHER_ALPHABET for character in compact):
        raise PaymentRefused(
            "voucher_code", _("A voucher looks like %(example)s.") % {"example": EXAMPLE_VOUCHER}
        )
    if voucher_check_character(compact[:-1]) != compact[-1]:
        raise PaymentRefused("voucher_code", _("No voucher has this code: one character may be wrong."))
    return Payment(
        ShopOrder.Payment.VOUCHER,
        _("Voucher ending in %(ending)s") % {"ending": compact[-3:]},
        ShopOrder.Status.PAID,
    )


def pay_by_transfer() -> Payment:
    return Payment(ShopOrder.Payment.BANK_TRANSFER, "", ShopOrder.Status.AWAITING_PAYMENT)


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812: from the right every second digit doubled, its digits summed; the total a multiple of ten."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def passes_iban_check(iban: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as 10 to 35; the number leaves 1 modulo 97."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def voucher_check_character(body: str) -> str:
    """Position-weighted sum, so that most slips of typing show."""
    return _VOUCHER_ALPHABET[
        sum((index + 2) * ord(character) for index, character in enumerate(body)) % len(_VOUCHER_ALPHABET)
    ]
