from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils.text import slugify

from accounts.models import Store
from catalog.models import Brand, Category

CategoryNames = tuple[str, ...]  # from the root: ("Camping", "Tents")


def slug_of(name: str, max_length: int = 80) -> str:
    """A slug for any name: one without Latin letters keeps its own."""
    return (slugify(name) or slugify(name, allow_unicode=True) or "unnamed")[:max_length]


@transaction.atomic
def categories_ensure(*, store: Store, paths: Iterable[CategoryNames]) -> dict[CategoryNames, Category]:
    """Categories by their names from the root, made where they are missing, parents first. A known one keeps its name."""
    wanted = {names[:depth] for names in paths for depth in range(1, len(names) + 1)}
    known = {category.path: category for category in Category.objects.for_store(store)} if wanted else {}
    found: dict[CategoryNames, Category] = {}
    for names in sorted(wanted, key=lambda names: (len(names), names)):
        parent = found.get(names[:-1])
        slug = slug_of(names[-1])
        path = f"{parent.path}/{slug}" if parent else slug
        if path not in known:
            known[path] = Category.objects.create(
                store=store, slug=slug, name=names[-1], parent=parent, path=path, position=len(known)
            )
        found[names] = known[path]
    return found


@transaction.atomic
def brands_ensure(*, store: Store, names: Iterable[str]) -> dict[str, Brand]:
    """Brands by name, made where they are missing. Names with one slug ("ACME", "Acme") are one brand."""
    slugs = {name: slug_of(name) for name in sorted(set(names)) if name}
    missing: dict[str, str] = {}
    known = set(Brand.objects.for_store(store).filter(slug__in=slugs.values()).values_list("slug", flat=True))
    for name, slug in slugs.items():
        if slug not in known:
            missing.setdefault(slug, name)
    new = [Brand(store=store, slug=slug, name=name) for slug, name in missing.items()]
    Brand.all_stores.bulk_create(new, ignore_conflicts=True)
    brands = {brand.slug: brand for brand in Brand.objects.for_store(store).filter(slug__in=slugs.values())}
    return {name: brands[slug] for name, slug in slugs.items()}
