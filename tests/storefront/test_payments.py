from __future__ import annotations

from datetime import date

import pytest

from storefront.models import ShopOrder
from storefront.services import payments
from storefront.services.payments import (
    PaymentRefused,
    passes_iban_check,
    passes_luhn,
    pay_by_card,
    pay_by_debit,
    pay_by_voucher,
)

TODAY = date(2026, 11, 23)


def test_luhn_worked_by_hand() -> None:
    # 79927398713, from the right, every second doubled: 3+2(1·2)+7+7(8·2=16→7)+9+6(3·2)+7+4(2·2)+9+9(9·2=18→9)+7 = 70.
    assert passes_luhn("79927398713")
    assert not passes_luhn("79927398710")


def test_iban_worked_by_hand() -> None:
    # GB82 WEST 1234 5698 7654 32 is the standard's example: 3214282912345698765432161182 mod 97 = 1.
    assert 3214282912345698765432161182 % 97 == 1
    assert passes_iban_check("GB82WEST12345698765432")
    assert not passes_iban_check("GB82WEST12345698765423")


def test_a_card_is_kept_by_its_last_digits_only() -> None:
    payment = pay_by_card("4242-4242 4242 4242", "11/26", "123", today=TODAY)
    assert payment.method == ShopOrder.Payment.CARD
    assert payment.reference == "Card ending in 4242"


@pytest.mark.parametrize(
    "number, expiry, code, field",
    [
        ("4242 4242 4242 4243", "12/29", "123", "card_number"),
        ("", "12/29", "123", "card_number"),
        ("４２４２４２４２４２４２４２４２", "12/29", "123", "card_number"),
        ("4242 4242 4242 4242", "10/26", "123", "card_expiry"),
        ("4242 4242 4242 4242", "13/29", "123", "card_expiry"),
        ("4242 4242 4242 4242", "12/29", "12", "card_code"),
        ("4000 0000 0000 0002", "12/29", "123", "card_number"),
    ],
)
def test_a_faulty_card_names_the_field(number: str, expiry: str, code: str, field: str) -> None:
    with pytest.raises(PaymentRefused) as refusal:
        pay_by_card(number, expiry, code, today=TODAY)
    assert refusal.value.field == field


def test_the_examples_on_the_page_work() -> None:
    assert pay_by_debit(payments.EXAMPLE_IBAN).reference == "Account ending in 3000"
    assert pay_by_voucher(payments.EXAMPLE_VOUCHER.lower()).method == ShopOrder.Payment.VOUCHER
    assert pay_by_card(payments.EXAMPLE_CARD, "01/27", "1234", today=TODAY).status == ShopOrder.Status.PAID
    assert payments.pay_by_transfer().status == ShopOrder.Status.AWAITING_PAYMENT


@pytest.mark.parametrize("code", ["", "GIFT-FELL-WREN-Y", "GIFT-FELL-WRENX-X", "GIFT-FELL-WR1N-X"])
def test_a_faulty_voucher_is_refused(code: str) -> None:
    with pytest.raises(PaymentRefused) as refusal:
        pay_by_voucher(code)
    assert refusal.value.field == "voucher_code"


def test_a_faulty_iban_is_refused() -> None:
    with pytest.raises(PaymentRefused):
        pay_by_debit("DE89 3704 0044 0532 0130 01")
