"""What this app itself holds about a person: decisions, their proofs, requests, and mentions in the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from accounts.models import Store
from accounts.personal_data import (
    Classification,
    ErasureReport,
    ExportTable,
    Processor,
    Subject,
    classify,
    register,
)
from consent.ledger import AUDIT, CONSENT, erase_payloads
from consent.models import (
    AuditPayload,
    ConsentPayload,
    ConsentState,
    DataSubjectRequest,
    IdentityChallenge,
    OptOut,
    RequestPaper,
)
from consent.policy import customer_subject, visitor_subject
from consent.pseudonyms import IdentifierKind, pseudonyms
from consent.purposes import slugs
from consent.request_states import OPEN, UNDER_WAY
from consent.selectors.looks import looks_at
from consent.selectors.recipients import purposes_and_recipients
from consent.services.archives import expire_archives
from consent.services.request_papers import papers_delete
from consent.subjects import identifiers

PROCESSOR: Final = "consent"
# Claims about a consent lapse after three years (§ 195 BGB and its like): so long its proof is needed.
PROOF_DAYS: Final = 3 * 365
CHALLENGE_DAYS: Final = 1
# Before the 45 days of the law are over: a request that nobody confirmed is then answered, with a no.
AGENT_DAYS: Final = 30
REQUEST_DAYS: Final = 3 * 365


def _states(subject: Subject) -> QuerySet[ConsentState]:
    subjects = [*map(visitor_subject, subject.anonymous_ids), *map(customer_subject, subject.user_ids)]
    return ConsentState.objects.for_store(subject.store).filter(subject__in=subjects)


def _opt_outs(subject: Subject) -> QuerySet[OptOut]:
    subjects = [*map(visitor_subject, subject.anonymous_ids), *map(customer_subject, subject.user_ids)]
    of_person = Q(subject__in=subjects) | Q(customer_id__in=subject.customer_ids)
    return OptOut.objects.for_store(subject.store).filter(of_person)


def _digests(subject: Subject) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {kind: [] for kind in IdentifierKind}
    for kind, value in identifiers(subject):
        found[kind] += pseudonyms(subject.store.pk, kind, value)
    return found


def _proofs(subject: Subject) -> QuerySet[ConsentPayload]:
    """Proofs of the person's decisions: by pseudonym, by the receipt of a decision in force, and by the link."""
    digests = _digests(subject)
    of_person = Q(visitor_pseudonym__in=digests[IdentifierKind.ANONYMOUS_ID]) | Q(
        customer_pseudonym__in=digests[IdentifierKind.USER_ID]
    )
    of_person |= Q(record__in=_states(subject).values("record"))
    of_person |= Q(customer_id__in=subject.customer_ids)
    return ConsentPayload.objects.for_store(subject.store).filter(of_person)


def _requests(subject: Subject) -> QuerySet[DataSubjectRequest]:
    digests = [digest for of_kind in _digests(subject).values() for digest in of_kind]
    of_person = Q(subject_pseudonym__in=digests)
    of_person |= Q(customer_id__in=subject.customer_ids)
    return DataSubjectRequest.objects.for_store(subject.store).filter(of_person)


def _mentions(subject: Subject) -> QuerySet[AuditPayload]:
    """Audit entries whose actor, target or details name the person by an id."""
    ids = [
        *subject.user_ids,
        *subject.anonymous_ids,
        *(str(customer.public_id) for customer in subject.customers),
    ]
    log = AuditPayload.objects.for_store(subject.store).annotate(written=Cast("details", CharField()))
    named = Q(pk__in=[])
    for value in ids:
        named |= (
            Q(actor=f"customer:{value}")
            | Q(target__in=[f"customer:{value}", f"visitor:{value}", value])
            | Q(written__contains=f'"{value}"')
        )
    return log.filter(named)


def _history(subject: Subject) -> Iterator[dict[str, Any]]:
    for proof in _proofs(subject).select_related("record").order_by("record__sequence"):
        yield {
            "decided_at": proof.record.recorded_at,
            "method": proof.method,
            "granted": proof.granted,
            "denied": proof.denied,
            "notice_version": proof.notice_version,
            "notice_sha256": proof.notice_hash,
            "language": proof.language,
            "global_privacy_control": proof.gpc,
            "page": proof.page_url,
            "region": proof.region,
            "network": proof.ip_truncated,
            "browser": proof.user_agent,
            "asked_by": proof.source,
            "receipt_id": proof.receipt_id,
        }


def export(subject: Subject) -> Iterable[ExportTable]:
    yield ExportTable(
        "consent_history", "What you permitted and refused, when, and what you were shown.", _history(subject)
    )
    states = [
        {
            "valid_from": state.valid_from,
            "permitted": slugs(state.granted),
            "about": gettext("account") if state.subject.startswith("c:") else gettext("browser"),
        }
        for state in _states(subject).order_by("valid_from")
    ]
    yield ExportTable("permissions", "What your decisions have permitted since when.", states)
    opt_outs = [
        {
            "what": asked.kind,
            "since": asked.since,
            "ended_at": asked.ended_at,
            "takes_away": slugs(asked.withheld),
            "about": "account" if asked.customer_id else "browser",
            "how": asked.source,
        }
        for asked in _opt_outs(subject).order_by("since")
    ]
    yield ExportTable("opt_outs", _("What you opted out of, since when and how."), opt_outs)
    yield ExportTable(
        "recipients",
        _("What your data are used for, on what basis, for how long, and who receives them."),
        purposes_and_recipients(subject),
    )
    requests = [
        {
            "request": asked.public_id,
            "kind": asked.kind,
            "state": asked.state,
            "received_at": asked.received_at,
            "due_at": asked.due_at,
            "message": asked.message,
            "papers": [_paper(paper) for paper in asked.papers.defer("content")],
        }
        for asked in _requests(subject).order_by("received_at")
    ]
    yield ExportTable("requests", "What you have asked about your data.", requests)
    looks = (
        {"at": look.at, "what": look.what, "who": look.who, "reason": look.reason}
        for look in looks_at(subject)
    )
    yield ExportTable("looks", "When members of the shop's team looked at data about you.", looks)


def _paper(paper: RequestPaper) -> dict[str, Any]:
    told = paper.private
    return {
        "added_at": paper.created_at,
        "by": gettext("the shop") if paper.is_staffs else gettext("you"),
        "note": told["text"],
        "file": told["name"],
        "bytes": paper.size,
    }


@transaction.atomic
def erase(subject: Subject) -> ErasureReport:
    """The erasure that is being carried out keeps what it needs until it is done, and then empties itself."""
    requests = _requests(subject)
    settled = requests.exclude(kind=DataSubjectRequest.Kind.ERASURE, state__in=UNDER_WAY)
    # An answer under way would be about nobody: it ends here.
    settled.filter(state__in=OPEN).update(
        state=DataSubjectRequest.State.CANCELLED, decision_reason=_("The person was erased.")
    )
    emptied = settled.filter(Q(sealed__isnull=False) | Q(archive__isnull=False)).update(
        sealed=None, archive=None
    )
    papers = 0
    for asked in settled:
        asked.parts.update(output=None)
        papers += papers_delete(asked)
    IdentityChallenge.objects.for_store(subject.store).filter(request__in=settled).delete()
    proofs = erase_payloads(CONSENT, subject.store, _proofs(subject), reason="erasure")
    states = _states(subject).delete()[0]
    opt_outs = _opt_outs(subject).delete()[0]
    mentions = erase_payloads(AUDIT, subject.store, _mentions(subject), reason="erasure")
    return ErasureReport(
        deleted={
            "proofs of consent": proofs,
            "permissions": states,
            "opt-outs": opt_outs,
            "mentions in the audit log": mentions,
            "papers of requests": papers,
        },
        anonymised={"earlier requests": emptied},
        notes=(
            _("The chain of the ledgers keeps a digest of what was erased, from which nothing can be read."),
        ),
    )


def expire_proofs(now: datetime) -> int:
    """Proofs that are past their term and that no permission in force rests on."""
    count = 0
    for store in Store.objects.order_by("pk"):
        old = ConsentPayload.objects.for_store(store).filter(
            record__recorded_at__lt=now - timedelta(days=PROOF_DAYS)
        )
        newest = (
            ConsentState.objects.for_store(store)
            .order_by("subject", "-valid_from")
            .distinct("subject")
            .values("record")
        )
        count += erase_payloads(CONSENT, store, old.exclude(record__in=newest), reason="retention")
    return count


def expire_requests(now: datetime) -> int:
    """Exports that can no longer be fetched, and what stands sealed in requests that were closed long ago."""
    archives = expire_archives(now)
    papers: int = (
        RequestPaper.all_stores.filter(request__received_at__lt=now - timedelta(days=REQUEST_DAYS))
        .exclude(request__state__in=OPEN)
        .delete()[0]
    )
    closed = DataSubjectRequest.all_stores.filter(
        sealed__isnull=False, received_at__lt=now - timedelta(days=REQUEST_DAYS)
    ).exclude(state__in=OPEN)
    return archives + papers + closed.update(sealed=None)


def expire_challenges(now: datetime) -> int:
    """Requests that nobody has proved to be theirs: they hold an address that may be anybody's."""
    old = DataSubjectRequest.all_stores.filter(
        state=DataSubjectRequest.State.IDENTITY_UNVERIFIED,
        received_at__lt=now - timedelta(days=CHALLENGE_DAYS),
    ).exclude(source=DataSubjectRequest.Source.AGENT)
    count = IdentityChallenge.all_stores.filter(request__in=old).delete()[0]
    old.update(
        state=DataSubjectRequest.State.CANCELLED,
        sealed=None,
        decision_reason=_("Nobody proved that the address is theirs."),
    )
    return count + expire_unconfirmed_agents(now)


def expire_unconfirmed_agents(now: datetime) -> int:
    """Requests in somebody's name whom neither a permission nor the person's word came to support. Gives their number."""
    old = DataSubjectRequest.all_stores.filter(
        source=DataSubjectRequest.Source.AGENT,
        state__in=[DataSubjectRequest.State.IDENTITY_UNVERIFIED, DataSubjectRequest.State.REQUIRES_INPUT],
        identity_confirmed_at=None,
        received_at__lt=now - timedelta(days=AGENT_DAYS),
    )
    ids = list(old.values_list("pk", flat=True))
    RequestPaper.all_stores.filter(request__in=ids).delete()
    IdentityChallenge.all_stores.filter(request__in=ids).delete()
    return DataSubjectRequest.all_stores.filter(pk__in=ids).update(
        state=DataSubjectRequest.State.CANCELLED,
        sealed=None,
        decision_reason=_("The person did not confirm it in time."),
    )


def register_all() -> None:
    register(Processor(PROCESSOR, "Consent: decisions, proofs, requests", export, erase, stage=60))
    ours = Classification.PROCESSED_BY(PROCESSOR)
    classify("consent.ConsentState", ours, "What a browser or a customer permits from when on.")
    classify(
        "consent.ConsentPayload",
        Classification.PROCESSED_BY(PROCESSOR, expires_days=PROOF_DAYS),
        "The proof of a decision, under pseudonyms.",
        expire=expire_proofs,
    )
    classify(
        "consent.AuditPayload",
        ours,
        "Who did what; entries that name a customer lose their payload with the customer.",
    )
    classify(
        "consent.DataSubjectRequest",
        Classification.PROCESSED_BY(PROCESSOR, expires_days=REQUEST_DAYS),
        "Who asked and what they wrote, encrypted; the rest of the row names nobody.",
        expire=expire_requests,
    )
    classify(
        "consent.RequestPaper",
        ours,
        "Notes and files about a request, encrypted; they go with what it holds.",
    )
    classify(
        "consent.RequestPart",
        ours,
        "What was done for a request, in counts; exports are encrypted until they are fetched.",
    )
    classify(
        "consent.IdentityChallenge",
        Classification.PROCESSED_BY(PROCESSOR, expires_days=CHALLENGE_DAYS),
        "The digest of a code that was mailed.",
        expire=expire_challenges,
    )
    classify("consent.OptOut", ours, "What a browser or a customer opted out of, under its pseudonymous id.")
    nothing = Classification.NO_PERSONAL_DATA
    classify("consent.ConsentRecord", nothing, "A salted commitment: without its payload it says nothing.")
    classify("consent.AuditEntry", nothing, "A salted commitment and the name of an action.")
    classify("consent.LedgerHead", nothing, "The newest digest of a chain.")
    classify("consent.AuditHead", nothing, "The newest digest of a chain.")
    classify("consent.Notice", nothing, "The shop's own text.")
    classify("consent.PurposeText", nothing, "The shop's own text.")
    classify("consent.RequestPolicy", nothing, "How the shop handles requests.")
    classify("consent.RegionMode", nothing, "How the law of a region wants visitors to be asked.")
    classify(
        "consent.Policy",
        Classification.STAFF,
        "What the shop has decided, and which member of staff owns it.",
    )
    classify(
        "consent.PolicyReview",
        Classification.STAFF,
        "Which member of staff looked at a policy, and what they found.",
    )
    classify(
        "consent.Suppression",
        nothing,
        "Keyed digests of erased identifiers: needed so that nothing erased comes back, and not to be turned back without the key.",
    )
