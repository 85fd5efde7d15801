"""Where imported events come from: a key that nobody sends with, which declares why they may be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.models import ApiKey, Scope, Store
from accounts.services import api_key_create


@dataclass(frozen=True)
class SourceDeclaration:
    """A source without a banner has to say by what right its events are kept. Without a word, only what is necessary is."""

    name: str
    legal_basis: str = ApiKey.LegalBasis.CONTRACT
    consent_source: str = ApiKey.ConsentSource.LEDGER
    purposes: Sequence[str] = ()


def import_source(store: Store, declared: SourceDeclaration) -> ApiKey:
    """The key of the source, made where there is none with its name and declaration. Its secret is thrown away."""
    known = find_source(store, declared)
    if known is not None:
        return known
    key, _ = api_key_create(
        store=store,
        name=declared.name,
        scopes=[Scope.WRITE_SECRET],
        legal_basis=declared.legal_basis,
        consent_source=declared.consent_source,
        declared_purposes=sorted(set(declared.purposes)),
    )
    return key


def find_source(store: Store, declared: SourceDeclaration) -> ApiKey | None:
    keys = ApiKey.objects.for_store(store).filter(
        name=declared.name,
        revoked_at=None,
        legal_basis=declared.legal_basis,
        consent_source=declared.consent_source,
        declared_purposes=sorted(set(declared.purposes)),
    )
    return keys.select_related("store").order_by("pk").first()
