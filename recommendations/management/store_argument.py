from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from accounts.models import Store


def add_store_argument(parser: CommandParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--store", help="the store's slug; default: the only one, or that of the demo shop")
    which.add_argument("--all", action="store_true", help="every store")


def stores_named(options: Mapping[str, Any]) -> list[Store]:
    """Raises CommandError, naming the stores that there are."""
    stores = list(Store.objects.order_by("slug"))
    if options["all"]:
        return stores
    slug = options["store"]
    if slug is None and len(stores) == 1:
        return stores
    if slug is None and any(store.slug == settings.ETALAGE_STOREFRONT_STORE for store in stores):
        slug = settings.ETALAGE_STOREFRONT_STORE
    found = [store for store in stores if store.slug == slug]
    if not found:
        known = ", ".join(store.slug for store in stores) or "none: run manage.py seed_demo"
        asked = "Say which store with --store" if slug is None else f"There is no store {slug!r}"
        raise CommandError(f"{asked}. Stores: {known}.")
    return found
