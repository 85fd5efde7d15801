from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts import vault
from accounts.models import Store


class Command(BaseCommand):
    help = "After putting a new key first in ETALAGE_MASTER_KEY: bring every customer's key to it, so that the old one can go."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "example: manage.py rewrap_vault"

    def handle(self, *args: Any, **options: Any) -> None:
        total = 0
        try:
            for store in tqdm(
                Store.objects.order_by("pk"), desc="Stores", unit="store", file=self.stderr, disable=None
            ):
                total += vault.rewrap(store)
        except (ImproperlyConfigured, vault.VaultSealed) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{total} keys wrapped anew. Every key is under the first master key now: the others may be removed."
        )
