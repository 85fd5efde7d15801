"""`python -m benchmarks.privacy.work PLAN`: make the shop in the scratch database of the environment, and measure. Prints what it is
about to do, a line each, and last the figures as JSON."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import django

from benchmarks.privacy.figures import Erasure, Export, Figures
from benchmarks.privacy.plan import Plan
from config.processes import end_with_parent

if TYPE_CHECKING:
    from benchmarks.privacy.shop import Shop
    from consent.models import DataSubjectRequest

WORKER_SECONDS = 60.0


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    django.setup()
    from benchmarks.privacy.shop import make_shop

    started = time.perf_counter()
    shop = make_shop(plan, say)
    figures = Figures(
        events=_event_count(),
        customers=plan.customers,
        model_bytes=_model_bytes(),
        made_seconds=time.perf_counter() - started,
    )
    say("access exports")
    exports = [_export(shop, number) for number in shop.people["heaviest"][: plan.exports]]
    say("correction and restriction")
    regulars = shop.people["regular"]
    figures = replace(
        figures,
        exports=exports,
        rectification=[_rectification(shop, number) for number in regulars[: plan.people]],
        restriction=[_restriction(shop, number) for number in regulars[: plan.people]],
    )
    erasures = []
    for size, numbers in shop.people.items():
        for number in numbers[: plan.people]:
            say(f"erasing: {size}")
            erasures.append(_erasure(shop, number, size))
    say("erasing through the workers")
    with _workers():
        waited = [_through_workers(shop, number) for number in regulars[plan.people :]]
    say("verifying the ledgers")
    figures = replace(figures, erasures=erasures, through_workers=waited, **_verified(shop))
    sys.stdout.write(json.dumps(figures.as_json()) + "\n")


def say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def _event_count() -> int:
    from tracking.models import Event

    return Event.all_stores.count()


def _model_bytes() -> int:
    from recommendations.model_store.folder import model_dir

    return sum(path.stat().st_size for path in model_dir().rglob("*") if path.is_file())


def _ask(shop: Shop, number: int, kind: str, **more: Any) -> DataSubjectRequest:
    from accounts.selectors.identity import subject_of
    from consent.services.requests import request_open

    return request_open(subject=subject_of(shop.customer(number)), kind=kind, source="account", **more)


def _part_seconds(request: DataSubjectRequest) -> dict[str, float]:
    return {
        part.processor: (part.finished_at - part.started_at).total_seconds()
        for part in request.parts.all()
        if part.finished_at and part.started_at
    }


def _carried_out(request: DataSubjectRequest) -> None:
    from consent.models import DataSubjectRequest
    from consent.services.request_processing import process_now

    process_now(request)
    if request.state != DataSubjectRequest.State.COMPLETE:
        failed = {part.processor: part.error for part in request.parts.all() if part.error}
        raise RuntimeError(f"The {request.kind} is {request.state}: {failed}")


def _erasure(shop: Shop, number: int, size: str) -> Erasure:
    from django.utils import timezone

    from recommendations.privacy import MODELS

    asked_at, started = timezone.now(), time.perf_counter()
    request = _ask(shop, number, "erasure")
    _carried_out(request)
    seconds = time.perf_counter() - started
    parts = list(request.parts.all())
    ended = max(part.finished_at for part in parts if part.processor != MODELS and part.finished_at)
    return Erasure(
        size=size,
        seconds=seconds,
        own=(ended - asked_at).total_seconds(),
        parts=_part_seconds(request),
        deleted=sum(sum(part.report.get("deleted", {}).values()) for part in parts),
        kept=sum(kept["count"] for part in parts for kept in part.report.get("kept", [])),
    )


def _export(shop: Shop, number: int) -> Export:
    from consent.services.archives import open_archive

    started = time.perf_counter()
    request = _ask(shop, number, "access")
    _carried_out(request)
    seconds = time.perf_counter() - started
    content = open_archive(request)
    if content is None:
        raise RuntimeError("The request is complete and has no archive.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if not {"index.html", "data.json", "csv/tracking-events.csv"} <= set(archive.namelist()):
            raise RuntimeError(f"The archive lacks a form: {archive.namelist()}")
        told = json.loads(archive.read("data.json"))
    events = len(told["data"]["tracking"]["events"]["rows"])
    return Export(seconds, events, len(content), _part_seconds(request))


def _rectification(shop: Shop, number: int) -> float:
    from accounts.models import User
    from consent.services.requests import request_approve

    officer, _ = User.objects.get_or_create(email="officer@shop.example", defaults={"is_staff": True})
    started = time.perf_counter()
    request = _ask(shop, number, "rectification", corrections={"city": "Hamburg"})
    _carried_out(request_approve(request=request, actor=officer))
    seconds = time.perf_counter() - started
    if shop.customer(number).city != "Hamburg":
        raise RuntimeError("The correction did not reach the profile.")
    return seconds


def _restriction(shop: Shop, number: int) -> float:
    from consent.gate import allowed_purposes
    from consent.purposes import Purpose

    customer = f"customer-{number}"
    started = time.perf_counter()
    _carried_out(_ask(shop, number, "restriction"))
    permitted = allowed_purposes(shop.store, anonymous_id=f"bench-{number}", customer=customer)
    seconds = time.perf_counter() - started
    if permitted != Purpose.NECESSARY:
        raise RuntimeError(f"Restricted, and still permitted: {permitted!r}")
    return seconds


@contextmanager
def _workers() -> Iterator[None]:
    """As `make demo` has them: one worker of two processes, with a broker of the benchmark's own."""
    from celery import current_app

    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "config",
        "worker",
        "-c",
        "2",
        "-Q",
        "etalage",
        "-l",
        "ERROR",
    ]
    worker = subprocess.Popen(command, preexec_fn=end_with_parent())
    try:
        until = time.monotonic() + WORKER_SECONDS
        while not current_app.control.ping(timeout=0.5):
            if time.monotonic() > until or worker.poll() is not None:
                raise RuntimeError("The worker did not start.")
        yield
    finally:
        worker.terminate()
        worker.wait(30)


def _through_workers(shop: Shop, number: int) -> float:
    from consent.models import DataSubjectRequest

    started = time.perf_counter()
    request = _ask(shop, number, "erasure")
    until = time.monotonic() + WORKER_SECONDS
    while request.state != DataSubjectRequest.State.COMPLETE:
        if time.monotonic() > until:
            raise RuntimeError(f"The workers left the erasure {request.state}.")
        time.sleep(0.005)
        request.refresh_from_db(fields=["state"])
    return time.perf_counter() - started


def _verified(shop: Shop) -> dict[str, Any]:
    from consent.verification import verify_all

    started = time.perf_counter()
    reports = verify_all(shop.store)
    return {
        "ledger": sum(report.entries for report in reports),
        "ledger_seconds": time.perf_counter() - started,
        "is_ledger_intact": all(report.is_intact for report in reports),
    }


def plan_argument(plan: Plan) -> str:
    return json.dumps(asdict(plan))


if __name__ == "__main__":
    main()
