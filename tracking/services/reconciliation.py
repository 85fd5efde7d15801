"""Orders against what a payment provider settled: every line is kept once, every order that it concerns is judged, and
what differs goes to the review list."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from django.db import transaction

from accounts import auditing
from accounts.display.money import money
from accounts.models import Store, User
from tracking.models import Finding, FindingKind, Order, SettledPayment
from tracking.payments.judging import DEFAULT_TOLERANCE, Judgement, Kind, Outcome, judge, sums_of
from tracking.payments.settlement import Settlement, SettlementLine, SettlementNotes
from tracking.services.findings import FindingCounts, FindingDraft, findings_clear, findings_report

CHUNK: Final = 1_000
T = TypeVar("T")

KINDS: Final = {
    Outcome.MISSING: FindingKind.PAYMENT_MISSING,
    Outcome.AMOUNT_DIFFERS: FindingKind.PAYMENT_AMOUNT_DIFFERS,
    Outcome.DUPLICATE: FindingKind.PAYMENT_DUPLICATE,
    Outcome.CURRENCY_DIFFERS: FindingKind.PAYMENT_CURRENCY_DIFFERS,
    Outcome.REFUND_DIFFERS: FindingKind.PAYMENT_REFUND_DIFFERS,
    Outcome.WITHOUT_ORDER: FindingKind.PAYMENT_WITHOUT_ORDER,
}


@dataclass(frozen=True)
class Expectations:
    """`tolerance`: minor units that may differ. `grace_days`: a payment may come so long after its order. `methods`: only
    orders paid this way must stand in the file, where the provider is not the only one; empty: all."""

    tolerance: int = DEFAULT_TOLERANCE
    grace_days: int = 3
    methods: frozenset[str] = frozenset()


@dataclass
class ReconciliationReport:
    """`payments` are lines of the file that are payments or refunds: `new`, or `known` from an earlier run, of which
    `changed` now say something else and are left as they were. `outcomes` count orders, and for `payment_without_order`
    order ids (or lines without one). `other` are payouts, fees and the like."""

    store: str
    provider: str
    payments: int = 0
    new: int = 0
    known: int = 0
    changed: int = 0
    other: dict[str, int] = field(default_factory=dict)
    bad_rows: list[dict[str, Any]] = field(default_factory=list)
    bad_row_count: int = 0
    period_start: datetime | None = None
    period_end: datetime | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: FindingCounts = field(default_factory=FindingCounts)
    cleared: int = 0

    @property
    def compared(self) -> int:
        """Orders that have payments."""
        unpaid = (
            Outcome.MISSING,
            Outcome.NOTHING_DUE,
            Outcome.CANCELLED_UNPAID,
            Outcome.UNCONFIRMED,
            Outcome.NOT_EXPECTED,
        )
        return sum(
            count
            for outcome, count in self.outcomes.items()
            if outcome not in (*unpaid, Outcome.WITHOUT_ORDER, Outcome.BLOCKED)
        )

    @property
    def matched_share(self) -> float | None:
        """Of the orders that have payments, 0 to 1; None where none has."""
        return self.outcomes[Outcome.MATCHED] / self.compared if self.compared else None


@dataclass
class _Touched:
    """`sources` of the file, each with its order's id; "" where the file does not say it."""

    order_ids: set[str] = field(default_factory=set)
    nameless: set[str] = field(default_factory=set)
    sources: dict[str, str] = field(default_factory=dict)


Progress = Callable[[str, int], object]
MOST_BAD_ROWS: Final = 50


def payments_reconcile(
    *,
    store: Store,
    settlement: Settlement,
    expectations: Expectations | None = None,
    actor: User | str | None = None,
    progress: Progress = lambda step, count: None,
) -> ReconciliationReport:
    """Take the file in and compare. Doing it again adds nothing and tells the same; a later file that explains a
    difference resolves it. `progress(step, n)` is told of n more done of `lines` and `orders`."""
    wanted = expectations or Expectations()
    report = ReconciliationReport(store.slug, settlement.provider)
    touched = _take_in(store, settlement, report, progress)
    _judge_orders(store, settlement, wanted, touched, report, progress)
    with transaction.atomic():
        auditing.record(
            store=store,
            actor=actor,
            action="payments.reconciled",
            target=f"provider:{settlement.provider}",
            details={"payments": report.payments, "new": report.new, "outcomes": dict(report.outcomes)},
        )
    return report


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    left = iter(items)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _take_in(
    store: Store, settlement: Settlement, report: ReconciliationReport, progress: Progress
) -> _Touched:
    notes, touched = SettlementNotes(), _Touched()
    for chunk in _chunks(settlement.lines(notes)):
        _keep(store, settlement.provider, chunk, report, touched)
        progress("lines", len(chunk))
    _name_orders(store, settlement.provider, touched)
    report.other = dict(sorted(notes.other.items()))
    report.bad_row_count = len(notes.bad_rows)
    report.bad_rows = [{"row": row.number, "reason": row.reason} for row in notes.bad_rows[:MOST_BAD_ROWS]]
    return touched


@transaction.atomic
def _keep(
    store: Store,
    provider: str,
    lines: Sequence[SettlementLine],
    report: ReconciliationReport,
    touched: _Touched,
) -> None:
    """A line is known by its reference. A refund without an order id is of the order of its payment."""
    mine = SettledPayment.objects.for_store(store).filter(provider=provider)
    known = {row.reference: row for row in mine.filter(reference__in=[line.reference for line in lines])}
    sources = [line.source for line in lines if line.source and not line.order_id]
    order_of = dict(
        mine.filter(source__in=sources).exclude(order_id="").values_list("source", "order_id")
    ) | {line.source: line.order_id for line in lines if line.source and line.order_id}
    new: dict[str, SettledPayment] = {}
    for line in lines:
        report.payments += 1
        payment = _payment(store, provider, line, line.order_id or order_of.get(line.source, ""))
        before = known.get(line.reference) or new.get(line.reference)
        if before is None:
            new[line.reference] = payment
        else:
            report.known += 1
            report.changed += _says_otherwise(before, payment)
        _note_period(report, payment)
        if line.source:
            touched.sources[line.source] = line.order_id or touched.sources.get(line.source, "")
        if payment.order_id:
            touched.order_ids.add(payment.order_id)
        else:
            touched.nameless.add(payment.reference)
    SettledPayment.all_stores.bulk_create(new.values(), ignore_conflicts=True)
    report.new += len(new)


def _name_orders(store: Store, provider: str, touched: _Touched) -> None:
    """A refund may stand before its payment, in the file or in an earlier one: it gets its order once that is known."""
    mine = SettledPayment.objects.for_store(store).filter(provider=provider)
    for sources in _chunks(sorted(touched.sources)):
        with transaction.atomic():
            nameless = list(mine.filter(source__in=sources, order_id="").select_for_update().order_by("pk"))
            wanted = {payment.source for payment in nameless}
            named = mine.filter(source__in=wanted).exclude(order_id="")
            order_of = dict(named.values_list("source", "order_id"))
            order_of |= {source: told for source in wanted if (told := touched.sources[source])}
            found = [payment for payment in nameless if payment.source in order_of]
            for payment in found:
                payment.order_id = order_of[payment.source]
            SettledPayment.all_stores.bulk_update(found, ["order_id"])
        touched.order_ids.update(payment.order_id for payment in found)
        # Looked at once more, so that what was reported of it resolves itself.
        touched.nameless.update(payment.reference for payment in found)


def _payment(store: Store, provider: str, line: SettlementLine, order_id: str) -> SettledPayment:
    return SettledPayment(
        store=store,
        provider=provider,
        reference=line.reference,
        source=line.source,
        kind=line.kind,
        order_id=order_id,
        amount_minor_units=line.amount_minor_units,
        fee_minor_units=line.fee_minor_units,
        currency=line.currency,
        method=line.method,
        settled_at=line.settled_at,
    )


def _says_otherwise(before: SettledPayment, now: SettledPayment) -> bool:
    return (before.amount_minor_units, before.currency, before.kind) != (
        now.amount_minor_units,
        now.currency,
        now.kind,
    )


def _note_period(report: ReconciliationReport, payment: SettledPayment) -> None:
    at = payment.settled_at
    report.period_start = min(report.period_start or at, at)
    report.period_end = max(report.period_end or at, at)


def _judge_orders(
    store: Store,
    settlement: Settlement,
    wanted: Expectations,
    touched: _Touched,
    report: ReconciliationReport,
    progress: Progress,
) -> None:
    expected = _expected_orders(store, settlement, wanted, report)
    for order_ids in _chunks(sorted(touched.order_ids | expected)):
        drafts = _judge_chunk(store, settlement, wanted, order_ids, expected, report)
        _report(store, drafts, [f"order:{order_id}" for order_id in order_ids], report)
        progress("orders", len(order_ids))
    for references in _chunks(sorted(touched.nameless)):
        drafts = list(_nameless_drafts(store, settlement.provider, references))
        if drafts:
            report.outcomes[Outcome.WITHOUT_ORDER] += len(drafts)
        keys = [_nameless_key(settlement.provider, reference) for reference in references]
        _report(store, drafts, keys, report)


def _expected_orders(
    store: Store, settlement: Settlement, wanted: Expectations, report: ReconciliationReport
) -> set[str]:
    """Orders whose payment should stand in the file: what it covers, else what was placed in its period, which begins
    with the first payment's day."""
    orders = Order.objects.for_store(store)
    if wanted.methods:
        orders = orders.filter(payments__method__in=wanted.methods)
    if settlement.covers is not None:
        return {
            order_id
            for chunk in _chunks(sorted(settlement.covers))
            for order_id in orders.filter(order_id__in=chunk).values_list("order_id", flat=True)
        }
    if report.period_start is None or report.period_end is None:
        return set()
    first_day = report.period_start.astimezone(ZoneInfo(store.time_zone))
    since = first_day.replace(hour=0, minute=0, second=0, microsecond=0)
    until = report.period_end - timedelta(days=wanted.grace_days)
    placed = orders.filter(placed_at__gte=since, placed_at__lte=until)
    return set(placed.values_list("order_id", flat=True))


def _judge_chunk(
    store: Store,
    settlement: Settlement,
    wanted: Expectations,
    order_ids: Collection[str],
    expected: Collection[str],
    report: ReconciliationReport,
) -> list[FindingDraft]:
    orders = {
        order.order_id: order for order in Order.objects.for_store(store).filter(order_id__in=order_ids)
    }
    payments: dict[str, list[SettledPayment]] = defaultdict(list)
    settled = SettledPayment.objects.for_store(store).filter(order_id__in=order_ids)
    for payment in settled.order_by("settled_at", "pk"):
        payments[payment.order_id].append(payment)
    drafts = []
    for order_id in order_ids:
        order, found = orders.get(order_id), payments.get(order_id, [])
        if order is None:
            report.outcomes[Outcome.WITHOUT_ORDER] += 1
            drafts.append(_without_order(f"order:{order_id}", f"order {order_id}", found))
            continue
        judgement = judge(
            order,
            found,
            tolerance=wanted.tolerance,
            is_expected=order_id in expected,
            tells_refunds=settlement.tells_refunds,
        )
        report.outcomes[judgement.outcome] += 1
        if judgement.outcome in KINDS:
            drafts.append(_draft(order, judgement, found))
    return drafts


def _report(
    store: Store, drafts: Sequence[FindingDraft], checked: Collection[str], report: ReconciliationReport
) -> None:
    report.findings += findings_report(store=store, findings=drafts)
    for kind in KINDS.values():
        report.cleared += findings_clear(
            store=store,
            kind=kind,
            except_keys=[draft.key for draft in drafts if draft.kind == kind],
            only_keys=checked,
        )


def _draft(order: Order, judgement: Judgement, payments: Sequence[SettledPayment]) -> FindingDraft:
    return FindingDraft(
        KINDS[judgement.outcome],
        f"order:{order.order_id}",
        f"Order {order.order_id} {_sentence(order, judgement)}",
        severity=Finding.Severity.HIGH if judgement.outcome == Outcome.DUPLICATE else Finding.Severity.MEDIUM,
        details={
            "order_total": money(judgement.expected, order.currency),
            "paid": money(
                judgement.paid, judgement.currencies[0] if judgement.currencies else order.currency
            ),
            "refund_expected": money(judgement.refund_expected, order.currency),
            "refunded": money(judgement.refunded, order.currency),
            "order_status": order.get_status_display(),
            "payments": [_told(payment) for payment in payments[:20]],
        },
        evidence=[f"order:{order.order_id}"],
    )


def _sentence(order: Order, judgement: Judgement) -> str:
    def amount(minor_units: int) -> str:
        return money(minor_units, order.currency)

    difference = judgement.paid - judgement.expected
    match judgement.outcome:
        case Outcome.MISSING:
            return f"costs {amount(judgement.expected)}, and no payment has come."
        case Outcome.CURRENCY_DIFFERS:
            return f"is in {order.currency}, and was paid in {', '.join(judgement.currencies)}."
        case Outcome.DUPLICATE:
            return f"costs {amount(judgement.expected)} and was paid more than once: {amount(difference)} too much."
        case Outcome.AMOUNT_DIFFERS:
            side = "too much" if difference > 0 else "too little"
            return (
                f"costs {amount(judgement.expected)}, and {amount(judgement.paid)} was paid: "
                f"{amount(abs(difference))} {side}."
            )
    what = "is cancelled" if order.status == Order.Status.CANCELLED else "was told as refunded"
    return f"{what} ({amount(judgement.refund_expected)}), and {amount(judgement.refunded)} went back."


def _without_order(key: str, name: str, payments: Sequence[SettledPayment]) -> FindingDraft:
    sums = sums_of(payments)
    currency = payments[0].currency if payments else ""
    is_settled = sums.paid == sums.refunded
    return FindingDraft(
        FindingKind.PAYMENT_WITHOUT_ORDER,
        key,
        f"{money(sums.paid, currency)} was paid for {name}, which was never told.",
        severity=Finding.Severity.LOW if is_settled else Finding.Severity.MEDIUM,
        details={
            "paid": money(sums.paid, currency),
            "refunded": money(sums.refunded, currency),
            "payments": [_told(payment) for payment in payments[:20]],
        },
        evidence=[key] if key.startswith("order:") else [],
    )


def _nameless_key(provider: str, reference: str) -> str:
    return f"payment:{provider}:{reference}"


def _nameless_drafts(store: Store, provider: str, references: Collection[str]) -> Iterator[FindingDraft]:
    rows = SettledPayment.objects.for_store(store).filter(
        provider=provider, reference__in=references, order_id="", kind=Kind.CHARGE
    )
    for payment in rows.order_by("reference"):
        key = _nameless_key(provider, payment.reference)
        yield _without_order(key, "an order that the file does not name", [payment])


def _told(payment: SettledPayment) -> str:
    method = f" {payment.method}" if payment.method else ""
    return f"{payment.get_kind_display()}{method} {money(payment.amount_minor_units, payment.currency)} ({payment.reference})"
