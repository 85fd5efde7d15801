"""Carrying a request out: one part a processor, each by itself, repeatable, in the order of their stages.

Rows are the queue: a worker that dies leaves a part that the sweep finds again, and a broker that is away delays the work
until the sweep's next round. A part that fails is tried again later and holds back no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from traceback import extract_tb
from typing import Any, Final

import structlog
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import auditing
from accounts.personal_data import ErasureReport, Processor, Subject, processor, processors
from accounts.selectors.identity import find_subjects
from consent.models import DataSubjectRequest, RequestPart
from consent.request_states import UNDER_WAY, check_transition
from consent.services import archives
from consent.services.erasure import erasure_barrier
from consent.services.letters import agent_letter_send, letter_send
from consent.services.profile_requests import PROFILE_ACTIONS
from consent.services.suppression import subject_suppress
from consent.subjects import subject_from_json, subject_to_json

Kind, State, PartState = DataSubjectRequest.Kind, DataSubjectRequest.State, RequestPart.State

log = structlog.get_logger(__name__)

PROFILE_PART: Final = "profile"
SECOND_TRY_SECONDS: Final = 0.1
FIRST_RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(hours=6)
# First half of the lock that a worker holds for as long as it works on a part; the second is the part's id. It goes with the
# worker's connection, so that a part that is running and not locked was left by a worker that died.
PART_LOCK: Final = 4_543_566
ATTEMPTS_BEFORE_ERROR: Final = 3


def send_for_processing(request_id: int) -> None:
    """Hand the request to a worker; where the broker cannot be reached the sweep does it within a minute."""
    from consent.tasks import advance_request

    _send(advance_request, request_id)


def _send(task: Any, *arguments: int) -> None:
    try:
        task.delay(*arguments)
    except Exception as error:  # whatever broker is configured has errors of its own
        log.warning("request.broker_unreachable", task=task.name, error=type(error).__name__)


def _subjects(request: DataSubjectRequest) -> list[Subject]:
    return [subject_from_json(request.store, content) for content in request.private.get("subjects", [])]


def _resolve_subjects(request: DataSubjectRequest) -> None:
    """Who an e-mail address stands for is looked up when the request is carried out, and kept with it from then on."""
    private = request.private
    if "subjects" in private:
        return
    email = private.get("contact", "")
    found = find_subjects(request.store, email=email) if email else []
    # A guest is no customer, but an order may bear the address.
    subjects = found or [Subject(store=request.store, emails=(email,))]
    private["subjects"] = [subject_to_json(subject) for subject in subjects]
    request.private = private
    request.customer = next((subject.customer for subject in subjects if subject.customer), None)
    request.save(update_fields=["sealed", "customer"])


@transaction.atomic
def _begin(request_id: int) -> DataSubjectRequest:
    """Approved → processing: subjects fixed, parts made and, for an erasure, the suppression written."""
    request = (
        DataSubjectRequest.all_stores.select_for_update(of=("self",))
        .select_related("store")
        .get(pk=request_id)
    )
    if request.state != State.APPROVED:
        return request
    _resolve_subjects(request)
    if request.kind in PROFILE_ACTIONS:
        names = [(PROFILE_PART, 50)]
        if request.kind == Kind.RECTIFICATION:
            # Those who keep a copy are told once it stands where it belongs.
            names += [(each.name, max(each.stage, 51)) for each in processors() if each.correct is not None]
    else:
        names = [(each.name, each.stage) for each in processors()]
    RequestPart.all_stores.bulk_create(
        [
            RequestPart(store=request.store, request=request, processor=name, stage=stage)
            for name, stage in names
        ],
        ignore_conflicts=True,
    )
    if request.kind == Kind.ERASURE:
        for subject in _subjects(request):
            subject_suppress(subject=subject)
    _set_state(request, State.PROCESSING)
    return request


def _set_state(request: DataSubjectRequest, state: str, **fields: object) -> None:
    if request.state == state:
        return
    check_transition(request.state, state)
    request.state = state
    for name, value in fields.items():
        setattr(request, name, value)
    request.save(update_fields=["state", *fields])


def _runnable(request: DataSubjectRequest) -> list[RequestPart]:
    """Parts whose turn it is: those of the first stage that has not been tried, and failed ones that are due again."""
    now = timezone.now()
    parts = list(request.parts.all())
    due = [
        part
        for part in parts
        if part.state == PartState.FAILED and (part.retry_at is None or part.retry_at <= now)
    ]
    held = _locked_parts()
    abandoned = [part for part in parts if part.state == PartState.RUNNING and part.pk not in held]
    if any(part.state == PartState.RUNNING for part in parts if part not in abandoned):
        return due + abandoned
    waiting = [part for part in parts if part.state == PartState.WAITING]
    first_stage = min((part.stage for part in waiting), default=0)
    return due + abandoned + [part for part in waiting if part.stage == first_stage]


def _locked_parts() -> set[int]:
    """Ids of the parts that some worker works on at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND granted AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())",
            [PART_LOCK],
        )
        return {part_id for (part_id,) in cursor.fetchall()}


@contextmanager
def _part_lock(part_id: int) -> Iterator[bool]:
    """Whether we are the one to work on the part. The lock belongs to the connection, and outlives transactions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [PART_LOCK, part_id])
        (is_ours,) = cursor.fetchone()
    try:
        yield is_ours
    finally:
        # Where the connection was lost, so is the lock.
        if is_ours and connection.connection is not None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [PART_LOCK, part_id])


@transaction.atomic
def _claim(part_id: int) -> RequestPart | None:
    """The part, now running for us; None where it is done. Its lock is ours: whoever left it running has died."""
    claimed = (
        RequestPart.all_stores.select_for_update(of=("self",), skip_locked=True)
        .select_related("request__store")
        .filter(pk=part_id)
    )
    part = claimed.exclude(state=PartState.DONE).first()
    if part is None or part.request.state not in UNDER_WAY:
        return None
    part.state, part.started_at, part.attempts = PartState.RUNNING, timezone.now(), part.attempts + 1
    part.save(update_fields=["state", "started_at", "attempts"])
    return part


def _erase(held: Processor, subjects: Iterable[Subject]) -> dict[str, Any]:
    reports = [held.erase(subject) for subject in subjects]
    return erasure_report_json(reports)


def erasure_report_json(reports: Iterable[ErasureReport]) -> dict[str, Any]:
    """Several people's reports of one processor as one: counts added up, zeros left out."""
    merged: dict[str, Any] = {"deleted": {}, "anonymised": {}, "kept": [], "notes": []}
    for report in reports:
        for name in ("deleted", "anonymised"):
            for what, count in getattr(report, name).items():
                if count:
                    merged[name][what] = merged[name].get(what, 0) + count
        merged["kept"] += [
            {**asdict(kept), "until": kept.until.isoformat() if kept.until else None} for kept in report.kept
        ]
        merged["notes"] += report.notes
    return merged


def _pass_on(held: Processor, subjects: Iterable[Subject], corrections: Mapping[str, str]) -> dict[str, Any]:
    """A correction told to one that keeps a copy."""
    assert held.correct is not None, held.name
    reports = [held.correct(subject, corrections) for subject in subjects]
    changed: dict[str, int] = {}
    for report in reports:
        for what, count in report.changed.items():
            changed[what] = changed.get(what, 0) + count
    return {"changed": changed, "notes": [note for report in reports for note in report.notes]}


def _work(part: RequestPart) -> dict[str, Any]:
    request = part.request
    subjects = _subjects(request)
    action: Callable[[DataSubjectRequest, list[Subject]], dict[str, Any]] | None = PROFILE_ACTIONS.get(
        request.kind
    )
    if action is not None and part.processor == PROFILE_PART:
        return action(request, subjects)
    held = processor(part.processor)
    if request.kind == Kind.RECTIFICATION:
        return _pass_on(held, subjects, request.corrections)
    if request.kind == Kind.ERASURE:
        return _erase(held, subjects)
    part.output, counts = archives.collect(part, held, subjects)
    return {"rows": counts}


def run_part(part_id: int) -> bool:
    """Do one part's work. Gives whether it is done now; a failure is kept with the part, not raised."""
    with _part_lock(part_id) as is_ours:
        part = _claim(part_id) if is_ours else None
        return part is not None and _try(part)


def _try(part: RequestPart) -> bool:
    try:
        _do(part)
    except Exception as error:  # one that fails must hold back no other, whatever it raises
        # The kind of failure and its place only: a database's message may quote the very row.
        kind, place = type(error).__name__, extract_tb(error.__traceback__)[-1]
        at = f"{place.filename}:{place.lineno}"
        log.error(
            "request.part_failed",
            request=str(part.request.public_id),
            processor=part.processor,
            error=kind,
            at=at,
        )
        delay = min(FIRST_RETRY * 4 ** (part.attempts - 1), LONGEST_RETRY)
        _end(part, PartState.FAILED, error=kind, retry_at=timezone.now() + delay)
        return False
    return True


def _do(part: RequestPart, is_second_try: bool = False) -> None:
    """The part's work, with a second try at once: a cache that did not answer in 50 ms is no reason to wait a minute."""
    try:
        with transaction.atomic() if _is_atomic(part) else nullcontext():
            report = _work(part)
            _end(part, PartState.DONE, report=report, error="", retry_at=None, output=part.output)
    except Exception:
        if is_second_try:
            raise
        time.sleep(SECOND_TRY_SECONDS)
        _do(part, is_second_try=True)


def _is_atomic(part: RequestPart) -> bool:
    return part.processor == PROFILE_PART or processor(part.processor).is_atomic


def _end(part: RequestPart, state: str, **fields: object) -> None:
    part.state, part.finished_at = state, timezone.now()
    for name, value in fields.items():
        setattr(part, name, value)
    part.save(update_fields=["state", "finished_at", *fields])


@transaction.atomic
def _settle(request_id: int) -> None:
    """Close the request where every part is done; else say what it waits for."""
    request = (
        DataSubjectRequest.all_stores.select_for_update(of=("self",))
        .select_related("store")
        .get(pk=request_id)
    )
    if request.state not in UNDER_WAY or request.state == State.APPROVED:
        return
    parts = list(request.parts.all())
    failed = [part for part in parts if part.state == PartState.FAILED]
    if any(part.state in (PartState.WAITING, PartState.RUNNING) for part in parts):
        return
    if failed:
        is_stuck = any(part.attempts >= ATTEMPTS_BEFORE_ERROR for part in failed)
        _set_state(request, State.ERROR if is_stuck else State.PENDING_EXTERNAL)
        if request.kind == Kind.ACCESS:
            archives.assemble(request, parts)
        return
    _complete(request, parts)


def _complete(request: DataSubjectRequest, parts: list[RequestPart]) -> None:
    now = timezone.now()
    if request.kind == Kind.ACCESS:
        archives.assemble(request, parts)
        request.parts.update(output=None)
    letter_send(request, "complete")
    agent_letter_send(request, "agent_news", reason="")
    if request.kind == Kind.RECTIFICATION and "email" in request.corrections:
        # To the old address too, which is where somebody reads it who never asked.
        for address in {request.contact, request.corrections["email"]}:
            letter_send(request, "email_changed", to=address)
    _set_state(request, State.COMPLETE, completed_at=now, receipt=receipt_of(request, parts))
    auditing.record(
        store=request.store,
        actor=auditing.SYSTEM,
        action="request.complete",
        target=f"request:{request.public_id}",
        details={"kind": request.kind},
    )
    if request.kind == Kind.ERASURE:
        request.private = {}
        request.customer = None
        request.papers.all().delete()
        request.save(update_fields=["sealed", "customer"])


def receipt_of(request: DataSubjectRequest, parts: Iterable[RequestPart]) -> dict[str, Any]:
    """What was done where and when: counts and names of processors, nothing about the person."""
    labels = {each.name: each.label for each in processors()}
    return {
        "request": str(request.public_id),
        "kind": request.kind,
        "law": request.law,
        "received_at": request.received_at.isoformat(),
        "completed_at": timezone.now().isoformat(),
        "parts": [
            {
                "processor": part.processor,
                "label": labels.get(part.processor, part.processor),
                "finished_at": part.finished_at.isoformat() if part.finished_at else None,
                "attempts": part.attempts,
                "report": part.report,
            }
            for part in parts
        ],
    }


def advance(request_id: int, run: Callable[[int], object]) -> int:
    """Begin the request if it is approved, hand every part whose turn it is to `run`, and close it if nothing is left.

    Gives the number of parts handed out.
    """
    request = _begin(request_id)
    if request.state not in UNDER_WAY:
        return 0
    is_first = not request.parts.exclude(state=PartState.WAITING).exists()
    if request.kind == Kind.ERASURE and is_first:
        erasure_barrier(request.store)
    runnable = _runnable(request)
    if runnable and request.state != State.PROCESSING:
        with transaction.atomic():
            _set_state(request, State.PROCESSING)
    for part in runnable:
        run(part.pk)
    if not runnable:
        _settle(request_id)
    return len(runnable)


def process_now(request: DataSubjectRequest) -> None:
    """Carry the request out here and now, part by part, as far as it goes."""
    while advance(request.pk, run_part):
        pass
    request.refresh_from_db()


def request_of_part(part_id: int) -> int | None:
    return RequestPart.all_stores.filter(pk=part_id).values_list("request_id", flat=True).first()


def due_for_sweep() -> list[int]:
    """Requests that somebody ought to be working on: approved and not begun, or with a part whose turn it is."""
    now = timezone.now()
    waiting = Q(parts__state=PartState.WAITING)
    failed = Q(parts__state=PartState.FAILED) & (Q(parts__retry_at=None) | Q(parts__retry_at__lte=now))
    running = RequestPart.all_stores.filter(state=PartState.RUNNING).values_list("pk", flat=True)
    abandoned = Q(parts__in=set(running) - _locked_parts())
    unsettled = Q(state=State.PROCESSING) & ~Q(parts__state__in=[PartState.WAITING, PartState.RUNNING])
    under_way = DataSubjectRequest.all_stores.filter(state__in=UNDER_WAY)
    rows = under_way.filter(Q(state=State.APPROVED) | waiting | failed | abandoned | unsettled)
    return list(rows.order_by("due_at").values_list("pk", flat=True).distinct())
