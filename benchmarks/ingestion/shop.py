"""`python -m benchmarks.ingestion.shop`: make the shop that the load is sent to. Prints the store's id and
the write key."""

from __future__ import annotations

import sys

import django


def main() -> None:
    django.setup()
    from accounts.models import Scope, Store
    from accounts.services.api_keys import api_key_create
    from benchmarks.ingestion.load import VISITORS
    from consent.models import ConsentChoice
    from consent.purposes import OPTIONAL
    from consent.services.decisions import Decision, decisions_record

    store = Store.objects.create(slug="bench", name="Bench", is_simulated=True)
    _, secret = api_key_create(
        store=store,
        name="Benchmark",
        scopes=[Scope.WRITE_SECRET],
        legal_basis="consent",
        consent_source="ledger",
    )
    decisions = [
        Decision(granted=OPTIONAL, method=ConsentChoice.ACCEPT, anonymous_id=f"bench-{number}")
        for number in range(VISITORS)
    ]
    for start in range(0, VISITORS, 1000):
        decisions_record(store=store, decisions=decisions[start : start + 1000])
    sys.stdout.write(f"{store.pk} {secret}\n")


if __name__ == "__main__":
    main()
