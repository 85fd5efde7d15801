"""Every row of a shop belongs to a store, and every query says which one.

A query that forgets its store is the classic leak of a multi-tenant application. `StoreScoped.objects` therefore
refuses to run without `for_store(...)`. `all_stores` is the plain manager, for the few places that mean it
(migrations, cascades, admin pages that scope by membership, jobs that loop over the stores).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import models

if TYPE_CHECKING:
    from accounts.models import Store

ModelT = TypeVar("ModelT", bound=models.Model)


class UnscopedQuery(RuntimeError):
    """A query on rows of a store did not say which store."""


class StoreManager(models.Manager[ModelT], Generic[ModelT]):
    """Gives rows of one store only: `Model.objects.for_store(store)`; anything else raises UnscopedQuery."""

    def get_queryset(self) -> models.QuerySet[ModelT]:
        raise UnscopedQuery(
            f"{self.model.__name__}.objects was used without a store: call for_store(store) first, "
            "or all_stores where every store is meant."
        )

    def for_store(self, store: Store | int) -> models.QuerySet[ModelT]:
        store_id = store if isinstance(store, int) else store.pk
        return super().get_queryset().filter(store_id=store_id)

    def none(self) -> models.QuerySet[ModelT]:
        """No rows of no store: harmless, and what the schema generator asks for."""
        return super().get_queryset().none()

    def create(self, **values: Any) -> ModelT:
        if values.get("store") is None and values.get("store_id") is None:
            raise UnscopedQuery(f"{self.model.__name__}.objects.create() needs a store.")
        return super().get_queryset().create(**values)


class StoreScoped(models.Model):
    store = models.ForeignKey("accounts.Store", on_delete=models.CASCADE, related_name="+")

    all_stores = models.Manager()
    objects = StoreManager()

    class Meta:
        abstract = True
        default_manager_name = "all_stores"
        base_manager_name = "all_stores"
