from __future__ import annotations

from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from accounts.models import ProfileSource, Store, User
from accounts.services.customers import customer_upsert
from accounts.services.statements import identifiers_put
from storefront.models import ShopAccount
from storefront.services.events import identified


@transaction.atomic
def account_open(
    *, store: Store, email: str, password: str | None, name: str = "", anonymous_id: str | None = None
) -> ShopAccount:
    """A login and its customer. Raises django.db.IntegrityError where the e-mail address has an account already."""
    user = User.objects.create_user(email, password)
    now = timezone.now()
    customer = customer_upsert(
        store=store,
        external_id=f"shopper-{user.public_id.hex[:16]}",
        profile={"account_created_at": now},
        source=ProfileSource.CRM,
        origin="sign-up in the shop",
    )
    identifiers_put(
        store=store,
        values={customer.pk: {"email": user.email, "name": name}},
        source=ProfileSource.DECLARED,
        at=now,
        origin="sign-up in the shop",
    )
    account = ShopAccount.objects.create(store=store, user=user, customer=customer)
    identified(
        store=store,
        customer=customer,
        anonymous_id=anonymous_id,
        message_id=f"signed-up-{customer.public_id}",
    )
    return account


def account_logged_in(*, account: ShopAccount, anonymous_id: str | None) -> None:
    """Tell Etalage who sits at this browser, where the browser may be recognised at all."""
    if anonymous_id is not None:
        identified(
            store=account.store,
            customer=account.customer,
            anonymous_id=anonymous_id,
            message_id=f"logged-in-{uuid4()}",
        )


@transaction.atomic
def interests_set(*, account: ShopAccount, categories: list[str], brands: list[str]) -> None:
    """What the customer says they like, replacing what they said before. Category paths and brand slugs."""
    interests = [{"kind": "category", "value": path} for path in categories] + [
        {"kind": "brand", "value": slug} for slug in brands
    ]
    account.customer = customer_upsert(
        store=account.store,
        external_id=account.customer.external_id,
        profile={"interests": interests},
        source=ProfileSource.DECLARED,
        origin="interests in the account",
    )
