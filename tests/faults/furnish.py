"""Makes the stores of the fault tests, each with a secret key: `python -m tests.faults.furnish COUNT`.

Runs as a process of its own, pointed at the installation by its environment. Writes one JSON object a store.
"""

from __future__ import annotations

import json
import sys

import django


def main(count: int) -> None:
    django.setup()
    from accounts.models import Scope, Store
    from accounts.services.api_keys import api_key_create

    for number in range(count):
        store = Store.objects.create(slug=f"faulty-{number}", name=f"Faulty {number}")
        # The shop declares that it asked for consent; what an event's own context denies is denied all the same.
        declared = ["necessary", "analytics", "personalisation"]
        _, secret = api_key_create(
            store=store,
            name="server",
            scopes=[Scope.WRITE_SECRET],
            legal_basis="consent",
            consent_source="declared",
            declared_purposes=declared,
        )
        sys.stdout.write(json.dumps({"store_id": store.pk, "key": secret}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
