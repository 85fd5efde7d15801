"""Standing opt-outs (CCPA §§ 1798.120, 121, 135): set at once, without proof of identity; ended by the person alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import auditing, shopper_changes
from accounts.models import Customer, Store
from accounts.selectors.identity import visitors_of
from accounts.selectors.persons import records_of
from consent.models import ConsentChoice, ConsentMechanism, OptOut
from consent.policy import GPC_WITHHELD, LIMIT_WITHHELD, customer_subject, visitor_subject
from consent.purposes import ALL, NONE, Purpose
from consent.services.decisions import Decision, decision_record, states_of

Kind, Source = OptOut.Kind, OptOut.Source

WITHHELD: Final[Mapping[str, Purpose]] = {
    Kind.SALE_SHARING: Purpose(GPC_WITHHELD),
    Kind.SENSITIVE: Purpose(LIMIT_WITHHELD),
}
# For so long nobody who opted out is asked to permit it again (CCPA § 1798.135(c)(4)).
NOT_ASKED_FOR: Final = timedelta(days=365)


def withheld_by(kinds: Iterable[str]) -> Purpose:
    """What opt-outs of these kinds take away together."""
    withheld = NONE
    for kind in kinds:
        withheld |= WITHHELD[kind]
    return withheld


def opt_outs_of(
    store: Store, *, customer: Customer | None = None, anonymous_id: str | None = None
) -> QuerySet[OptOut]:
    """All opt-outs, ended ones too, of the customer in any record of theirs, and of the browser."""
    of_person = Q(pk__in=[])
    if customer is not None:
        of_person |= Q(customer__in=[record.pk for record in records_of(customer)])
    if anonymous_id:
        of_person |= Q(subject=visitor_subject(anonymous_id))
    return OptOut.objects.for_store(store).filter(of_person)


def standing(
    store: Store, *, customer: Customer | None = None, anonymous_id: str | None = None
) -> dict[str, datetime]:
    """{kind: since when}, of what holds now; the earlier moment where both have opted out."""
    rows = opt_outs_of(store, customer=customer, anonymous_id=anonymous_id).filter(ended_at=None)
    return {row.kind: row.since for row in rows.order_by("-since")}


@transaction.atomic
def opt_out_set(
    *,
    store: Store,
    kind: str,
    customer: Customer | None = None,
    anonymous_id: str | None = None,
    source: str = Source.REQUEST,
) -> bool:
    """From now on; what was permitted is withdrawn in the ledger as well. False where they had opted out before.

    Of a customer it reaches all browsers that are, or come to be, linked to them.
    """
    assert (customer is None) != (anonymous_id is None), "An opt-out is a customer's or a browser's."
    withheld = WITHHELD[kind]
    subject = customer_subject(customer.external_id) if customer else visitor_subject(anonymous_id or "")
    if OptOut.objects.for_store(store).filter(subject=subject, kind=kind, ended_at=None).exists():
        return False
    row = OptOut(
        store=store,
        subject=subject,
        customer=customer,
        kind=kind,
        withheld=int(withheld),
        source=source,
        since=timezone.now(),
    )
    # Two presses at once are one opt-out.
    OptOut.all_stores.bulk_create([row], ignore_conflicts=True)
    if customer is not None:
        auditing.record(
            store=store,
            actor="requester",
            action=f"customer.{kind}",
            target=f"customer:{customer.public_id}",
            details={"source": str(source)},
        )
    _withdraw(store, withheld, subject, customer, anonymous_id)
    _tell(store, customer, anonymous_id)
    return True


def _withdraw(
    store: Store, withheld: Purpose, subject: str, customer: Customer | None, anonymous_id: str | None
) -> None:
    """The ledger says it too, with all that follows from a withdrawal, where something had been permitted."""
    user_id = customer.external_id if customer else None
    state = states_of(store, anonymous_id=anonymous_id, user_id=user_id).get(subject)
    if state is None or not state.granted & withheld:
        return
    decision = Decision(
        Purpose(state.granted) & ALL & ~withheld,
        ConsentChoice.WITHDRAW,
        anonymous_id=anonymous_id,
        customer=customer,
        mechanism=ConsentMechanism.OPT_OUT,
    )
    decision_record(store=store, decision=decision)


@transaction.atomic
def opt_out_end(
    *,
    store: Store,
    kind: str,
    customer: Customer | None = None,
    anonymous_id: str | None = None,
    sources: Iterable[str] = Source.values,
) -> bool:
    """Taken back by the person: of all their records and browsers. Permits nothing by itself: they choose anew. False where
    there was none."""
    now = timezone.now()
    of_person = opt_outs_of(store, customer=customer, anonymous_id=anonymous_id)
    if customer is not None:
        browsers = [visitor_subject(visitor.anonymous_id) for visitor in visitors_of(customer, now)]
        of_person |= OptOut.objects.for_store(store).filter(subject__in=browsers)
    ended = of_person.filter(kind=kind, ended_at=None, source__in=list(sources)).update(ended_at=now)
    if ended and customer is not None:
        auditing.record(
            store=store,
            actor="requester",
            action=f"customer.{kind}_ended",
            target=f"customer:{customer.public_id}",
        )
    if ended:
        _tell(store, customer, anonymous_id)
    return bool(ended)


def _tell(store: Store, customer: Customer | None, anonymous_id: str | None) -> None:
    linked = [visitor.anonymous_id for visitor in visitors_of(customer)] if customer else []
    shopper_changes.changed(
        store.pk,
        anonymous_ids=[*linked, *([anonymous_id] if anonymous_id else [])],
        customer_ids=[customer.external_id] if customer else [],
    )


@transaction.atomic
def opt_outs_carry(
    *,
    store: Store,
    customer: Customer,
    anonymous_id: str | None,
    remembered: Mapping[str, datetime],
    signals: bool,
) -> dict[str, datetime]:
    """Somebody logs in on a browser that opted out: from now on it is the customer's, on every browser of theirs.

    `remembered` is what the browser's cookie says; `signals`: it sends Global Privacy Control where the law makes an opt-out of
    it. What the customer has taken back since is not brought up again. Gives what stands for the customer now.
    """
    before = opt_outs_of(store, customer=customer)
    of_browser = {
        row.kind: (row.since, row.source)
        for row in opt_outs_of(store, anonymous_id=anonymous_id).filter(ended_at=None)
    }
    found = {kind: (since, Source.BROWSER) for kind, since in remembered.items()} | of_browser
    ended = {row.kind: row.ended_at for row in before.order_by("ended_at") if row.ended_at is not None}
    for kind, (since, source) in found.items():
        if kind not in ended or ended[kind] < since:
            is_signal = source == Source.SIGNAL
            opt_out_set(
                store=store,
                kind=kind,
                customer=customer,
                source=Source.SIGNAL if is_signal else Source.BROWSER,
            )
    if signals:
        opt_out_by_signal(store=store, customer=customer, anonymous_id=anonymous_id)
    return standing(store, customer=customer)


def opt_out_by_signal(*, store: Store, customer: Customer | None, anonymous_id: str | None) -> bool:
    """What Global Privacy Control says, as the opt-out that it is in law: of the browser, and of whoever is known to sit at it.

    A customer who has taken this very opt-out back, naming what they permit, is not overruled by their browser.
    """
    changed = False
    kind = Kind.SALE_SHARING
    people: list[dict[str, Customer | str]] = [{"customer": customer}] if customer else []
    people += [{"anonymous_id": anonymous_id}] if anonymous_id else []
    for person in people:
        rows = opt_outs_of(store, **person)  # type: ignore[arg-type]
        if not rows.filter(kind=kind).filter(Q(ended_at=None) | Q(source=Source.SIGNAL)).exists():
            changed |= opt_out_set(store=store, kind=kind, source=Source.SIGNAL, **person)  # type: ignore[arg-type]
    return changed
