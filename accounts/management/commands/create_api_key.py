from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import ApiKey, Scope, Store
from accounts.services import api_key_create


class Command(BaseCommand):
    help = "Make an API key and print its secret, which is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = 'example: manage.py create_api_key demo "Web shop" --scope write:public'
        parser.add_argument("store", help="Slug of the store.")
        parser.add_argument("name", help='What the key is for, as people will read it: "Web shop".')
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=Scope.values,
            help="May be given several times.",
        )
        parser.add_argument(
            "--legal-basis", choices=ApiKey.LegalBasis.values, default=ApiKey.LegalBasis.CONTRACT
        )
        parser.add_argument(
            "--consent-source", choices=ApiKey.ConsentSource.values, default=ApiKey.ConsentSource.LEDGER
        )
        parser.add_argument(
            "--purpose",
            action="append",
            default=[],
            help="Declared purpose, with --consent-source declared. Several times.",
        )
        parser.add_argument(
            "--origin",
            action="append",
            default=[],
            help="Origin that browsers may use it from; none: any. Several times.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        store = Store.objects.filter(slug=options["store"]).first()
        if store is None:
            known = ", ".join(Store.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no store {options['store']!r}. Stores: {known}.")
        try:
            key, secret = api_key_create(
                store=store,
                name=options["name"],
                scopes=options["scope"],
                legal_basis=options["legal_basis"],
                consent_source=options["consent_source"],
                declared_purposes=options["purpose"],
                allowed_origins=options["origin"],
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "id": key.pk,
                        "store": store.slug,
                        "prefix": key.prefix,
                        "scopes": key.scopes,
                        "secret": secret,
                    }
                )
            )
        else:
            self.stdout.write(f"{secret}\n")
            self.stderr.write(
                f"Key {key.name!r} of {store.name}: {', '.join(key.scopes)}. Keep the secret; it is not shown again."
            )
