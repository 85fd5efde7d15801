"""`kill -9` in the middle of an import: the same command goes on, and nothing is missing, doubled or counted twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from accounts.models import Store
from tests.factories import StoreFactory
from tracking.models import Event, ImportRun

pytestmark = [pytest.mark.alone, pytest.mark.django_db(transaction=True)]

ROWS = 24_000
FAULTY = 12  # every 2,000th row has no product
ROOT = Path(__file__).resolve().parents[2]
DECLARED = ["--legal-basis", "consent", "--consent-source", "declared", "--purpose", "analytics"]


def start(store: Store, path: Path) -> subprocess.Popen[str]:
    values = connection.settings_dict
    url = (
        f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"
    )
    command = [
        sys.executable,
        "manage.py",
        "import_events",
        str(path),
        "--store",
        store.slug,
        "--json",
        "--no-fold",
        *DECLARED,
    ]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, "the import ended before it could be broken off"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def rows_read(store: Store) -> int:
    return ImportRun.objects.for_store(store).values_list("rows_read", flat=True).first() or 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_broken_off_twice(how: signal.Signals, tmp_path: Path) -> None:
    store = StoreFactory()
    path = tmp_path / "events.csv"
    with path.open("w") as file:
        file.write("anonymous_id,event,timestamp,product_id\n")
        file.writelines(
            f"v{n % 500},view,{1_777_888_800 + n},{f'p{n % 90}' if n % 2_000 else ''}\n" for n in range(ROWS)
        )
    came = 0
    for _ in range(2):
        with start(store, path) as process:
            before = came
            wait_until(lambda before=before: rows_read(store) > before, process)
            process.send_signal(how)
            process.wait(30)
        came = rows_read(store)
        assert came < ROWS, "the import was done: this test would prove nothing"
        run = ImportRun.objects.for_store(store).get()
        assert run.state == ("running" if how == signal.SIGKILL else "stopped")
        # What the run says is what the log holds, at whatever moment it ended.
        assert (run.stored, run.quarantined) == (Event.objects.for_store(store).count(), -(-came // 2_000))
    with start(store, path) as process:
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    report = json.loads(out.splitlines()[-1])["files"][0]
    assert (report["rows"], report["skipped_rows"]) == (ROWS, came)
    assert report["events"] == {
        "stored": ROWS - FAULTY,
        "duplicates": 0,
        "quarantined": FAULTY,
        "discarded": 0,
    }
    assert Event.objects.for_store(store).count() == ROWS - FAULTY


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    store = StoreFactory()
    path = tmp_path / "events.csv"
    rows = "".join(f"v{n},view,{1_777_888_800 + n},p{n}\n" for n in range(ROWS))
    path.write_text("anonymous_id,event,timestamp,product_id\n" + rows)
    with start(store, path) as first:
        wait_until(lambda: rows_read(store) > 0, first)
        with start(store, path) as second:
            out, _ = second.communicate(timeout=60)
        assert second.returncode != 0
        assert "is being imported by another process" in json.loads(out.splitlines()[-1])["problems"][0]
        first.communicate(timeout=120)
    assert first.returncode == 0
    assert (rows_read(store), Event.objects.for_store(store).count()) == (ROWS, ROWS)
