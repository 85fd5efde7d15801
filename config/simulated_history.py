"""Three months of simulated shopping, taken in as real shopping is: consent first, then events, then what follows from them.

Everything goes through the services of its owners; nothing is written past the gate. Customers, visitors and requests
made here are simulated and say so: their ids begin with `sim`, their addresses end in `.example`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from accounts import auditing
from accounts.models import ApiKey, Customer, Scope, Store, User
from accounts.selectors.identity import subject_of
from accounts.services import SeenVisitor, customers_get_or_create, visitors_get_or_create
from accounts.services.api_keys import api_key_create
from catalog.models import Product
from consent.models import AuditPayload, ConsentChoice, ConsentState, DataSubjectRequest
from consent.policy import visitor_subject
from consent.purposes import NONE, OPTIONAL, Purpose
from consent.services.decisions import Decision, decisions_record
from consent.services.notices import notice_for
from consent.services.request_processing import process_now
from consent.services.requests import request_approve, request_deny, request_open
from recommendations.stages.control import in_control_group
from storefront.demo.people import SHOPPERS
from storefront.models import ShopAccount, ShopOrder, ShopOrderLine
from storefront.simulation.messages import PlacedOrder
from storefront.simulation.shoppers import Answer, Persona, Shopper
from storefront.simulation.simulation import Choice, Simulation
from storefront.simulation.world import WorldProduct
from tracking.folding import fold_new_events, folds
from tracking.ingestion.importing import IngestResult, ingest_messages
from tracking.planning import refresh_statistics

KEY_NAME: Final = "Simulator"
COMPLETED: Final = "simulation.completed"

_GRANTED: Final = {
    Answer.ACCEPT: (OPTIONAL, ConsentChoice.ACCEPT),
    Answer.ANALYTICS_ONLY: (Purpose.ANALYTICS, ConsentChoice.SAVE),
    Answer.PERSONAL_ONLY: (Purpose.PERSONALISATION, ConsentChoice.SAVE),
    Answer.REJECT: (NONE, ConsentChoice.REJECT),
    Answer.GPC: (NONE, ConsentChoice.GPC),
}


def seeds_done(store: Store) -> set[int]:
    """Seeds of the simulations of this store that have run to their end."""
    entries = AuditPayload.objects.for_store(store).filter(entry__action=COMPLETED)
    return {details["seed"] for details in entries.values_list("details", flat=True)}


def mark_done(store: Store, details: dict[str, Any]) -> None:
    auditing.record(
        store=store, actor=auditing.SYSTEM, action=COMPLETED, target=f"store:{store.slug}", details=details
    )


def products_of(store: Store) -> list[WorldProduct]:
    """The store's products as the simulator sees them, in the order of their ids, so that a seed means something."""
    rows = (
        Product.objects.for_store(store)
        .filter(is_active=True)
        .exclude(category=None)
        .select_related("category", "brand")
    )
    return [
        WorldProduct(
            product_id=row.external_id,
            name=row.name,
            category_path=row.category.path if row.category else "",
            brand=row.brand.name if row.brand else "",
            price=row.price_minor_units / 100,
            season=str(row.attributes.get("season", "")),
            family=row.variant_group,
            published_on=row.published_at.date() if row.published_at else None,
            is_available=row.stock is None or row.stock > 0,
        )
        for row in rows.order_by("external_id")
    ]


def personas_of(store: Store) -> list[Persona]:
    """The demo's shopper logins that have a history."""
    accounts = ShopAccount.objects.for_store(store).select_related("user", "customer")
    by_email = {account.user.email: account.customer for account in accounts}
    return [
        Persona(
            customer_id=by_email[shopper.email].external_id,
            email=shopper.email,
            tastes=shopper.tastes,
            visits=shopper.sessions,
            birth_year=shopper.birth_year,
            gender=shopper.gender,
            country=by_email[shopper.email].country,
            city=shopper.city,
        )
        for shopper in SHOPPERS
        if shopper.has_history and shopper.email in by_email
    ]


def assign_groups(store: Store, simulation: Simulation) -> None:
    """Put each shopper into the group that serving will put them into, which goes by the customer's or visitor's row.

    Rows of visitors are made only for browsers that let themselves be recognised.
    """
    tracked = [shopper for shopper in simulation.shoppers if shopper.is_tracked]
    first_seen = {
        choice.anonymous_id: choice.at for choice in simulation.choices() if not choice.is_withdrawal
    }
    seen = [
        SeenVisitor(anonymous_id, first_seen[anonymous_id], first_seen[anonymous_id], country=shopper.country)
        for shopper in tracked
        for anonymous_id in shopper.anonymous_ids
        if anonymous_id in first_seen
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        visitors = visitors_get_or_create(cursor, store.pk, seen)
        customers = customers_get_or_create(
            cursor, store.pk, [s.customer_id for s in tracked if s.customer_id]
        )

    def is_control(shopper: Shopper) -> bool:
        if shopper.customer_id in customers:
            return in_control_group(store.pk, f"c:{customers[shopper.customer_id]}", store.holdout_share)
        visitor = visitors.get(shopper.anonymous_ids[0])
        return visitor is not None and in_control_group(store.pk, f"v:{visitor}", store.holdout_share)

    simulation.assign_groups(is_control)


def take_in(
    store: Store,
    simulation: Simulation,
    *,
    observe: Callable[[dict[str, Any]], None],
    progress: Callable[[int], Any],
) -> IngestResult:
    """Day by day: first what was decided, then what was done. `observe` sees each message, `progress` each day's count."""
    key = _key(store)
    choices = _choices_by_day(store, simulation)
    total = IngestResult()
    for day in range(simulation.days):
        decisions_record(store=store, decisions=choices.pop(day, []))
        messages = simulation.messages_of_day(day)
        for message in messages:
            observe(message)
        total.add(ingest_messages(store, key, messages))
        progress(len(messages))
    return total


def fold(store: Store, progress: Callable[[str], Any]) -> None:
    """Sessions, orders, profiles, impressions: whatever follows the log."""
    refresh_statistics()
    for each in folds():
        progress(each.name)
        fold_new_events(store, only=[each.name])
    refresh_statistics()


def _key(store: Store) -> ApiKey:
    """The simulator's own key: like the shop's server it is believed, and what it may store stands in the consent ledger."""
    known = (
        ApiKey.objects.for_store(store).filter(name=KEY_NAME, revoked_at=None).select_related("store").first()
    )
    if known is not None:
        return known
    key, _ = api_key_create(
        store=store, name=KEY_NAME, scopes=[Scope.WRITE_SECRET], legal_basis=ApiKey.LegalBasis.CONSENT
    )
    return key


def _choices_by_day(store: Store, simulation: Simulation) -> dict[int, list[Decision]]:
    """Decisions that are not recorded yet: a simulation that was broken off goes on where it was."""
    choices = simulation.choices()
    subjects = [visitor_subject(choice.anonymous_id) for choice in choices]
    states = ConsentState.objects.for_store(store).filter(subject__in=subjects)
    known = set(states.values_list("subject", "valid_from"))
    notice = notice_for(store, store.language)
    by_day: dict[int, list[Decision]] = defaultdict(list)
    start = datetime.combine(simulation.world.start, datetime.min.time(), tzinfo=UTC)
    for choice in choices:
        if (visitor_subject(choice.anonymous_id), choice.at) not in known:
            by_day[max((choice.at - start).days, 0)].append(_decision(choice, notice))
    return by_day


def _decision(choice: Choice, notice: Any) -> Decision:
    granted, method = _GRANTED[choice.answer]
    if choice.is_withdrawal:
        granted, method = NONE, ConsentChoice.WITHDRAW
    is_recognised = choice.answer in (Answer.ACCEPT, Answer.ANALYTICS_ONLY, Answer.PERSONAL_ONLY)
    return Decision(
        granted=granted,
        method=method,
        # Who refuses gets no tracking id: the proof hangs on the receipt alone.
        anonymous_id=choice.anonymous_id if is_recognised else None,
        notice=notice,
        gpc=choice.answer is Answer.GPC,
        region=choice.shopper.country if choice.shopper else "",
        user_agent="simulated",
        at=choice.at,
    )


@transaction.atomic
def write_books(store: Store, orders: Iterable[PlacedOrder]) -> int:
    """The shop's own orders of those shoppers whom people can log in as. Gives the number written."""
    accounts = {
        account.customer.external_id: account
        for account in ShopAccount.objects.for_store(store).select_related("customer")
    }
    known = set(ShopOrder.objects.for_store(store).values_list("number", flat=True))
    products = {product.external_id: product for product in Product.objects.for_store(store)}
    names = {
        "card": "Card ending in 4242",
        "debit": "Account ending in 3000",
        "voucher": "Voucher ending in ENX",
    }
    count = 0
    for order in orders:
        account = accounts.get(order.shopper.customer_id or "")
        if account is None or order.order_id in known:
            continue
        row = ShopOrder.objects.create(
            store=store,
            number=order.order_id,
            customer=account.customer,
            account=account,
            status=ShopOrder.Status.REFUNDED if order.is_refunded else ShopOrder.Status.SENT,
            placed_at=order.placed_at,
            currency=store.currency,
            subtotal_minor_units=round(order.subtotal * 100),
            shipping_minor_units=round(order.shipping * 100),
            discount_minor_units=round(order.discount * 100),
            total_minor_units=round(order.total * 100),
            payment_method=order.payment_method,
            payment_reference=names.get(order.payment_method, ""),
        )
        ShopOrderLine.all_stores.bulk_create(
            ShopOrderLine(
                store=store,
                order=row,
                product=products[line["product_id"]],
                name=line["name"],
                quantity=line["quantity"],
                unit_price_minor_units=round(line["price"] * 100),
            )
            for line in order.lines
        )
        count += 1
    return count


def make_requests(store: Store, now: datetime) -> int:
    """A few people ask what is known, or to be forgotten: some carried out, some waiting for the privacy officer."""
    kinds = DataSubjectRequest.Kind
    officer = User.objects.filter(memberships__store=store, memberships__role="privacy_officer").first()
    if officer is None or DataSubjectRequest.objects.for_store(store).exists():
        return 0
    plan = [
        (kinds.ERASURE, 21, "carry out"),
        (kinds.ACCESS, 18, "carry out"),
        (kinds.ERASURE, 12, "carry out"),
        (kinds.OBJECTION, 9, "carry out"),
        (kinds.ERASURE, 15, "deny"),
        (kinds.ERASURE, 27, "wait"),
        (kinds.RECTIFICATION, 6, "wait"),
        (kinds.ERASURE, 2, "wait"),
        (kinds.ACCESS, 1, "wait"),
    ]
    customers = (
        Customer.objects.for_store(store).filter(external_id__startswith="sim").order_by("external_id")
    )
    for customer, (kind, age_days, outcome) in zip(customers[: len(plan)], plan, strict=False):
        # Without their addresses nobody writes letters to people who do not exist.
        subject = replace(subject_of(customer), emails=())
        request = request_open(
            subject=subject,
            kind=kind,
            source=DataSubjectRequest.Source.STAFF,
            message="A request of a simulated shopper.",
            corrections={"city": "Bremen"} if kind == kinds.RECTIFICATION else None,
            received_at=now - timedelta(days=age_days),
            actor=officer,
        )
        if outcome == "carry out":
            process_now(
                request_approve(request=request, actor=officer, reason="Identity shown at the counter.")
            )
        elif outcome == "deny":
            request_deny(
                request=request, actor=officer, reason="The person could not show that the account is theirs."
            )
    return len(plan)
