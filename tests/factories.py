"""Rows that many tests need. Each names only what makes it valid; a test names what it is about."""

from __future__ import annotations

import factory
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.models import Customer, Role, Store, StoreMembership, User, Visitor
from catalog.models import Brand, Category, Product


class StoreFactory(DjangoModelFactory[Store]):
    class Meta:
        model = Store

    slug = factory.Sequence(lambda n: f"store-{n}")
    name = factory.LazyAttribute(lambda store: store.slug.replace("-", " ").title())
    currency = "EUR"
    country = "DE"


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"user-{n}@shop.example")
    # Stored with the row: a password set afterwards would not be the one that a session's proof is made of.
    password = factory.LazyFunction(lambda: make_password(None))


class MembershipFactory(DjangoModelFactory[StoreMembership]):
    class Meta:
        model = StoreMembership

    store = factory.SubFactory(StoreFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.MERCHANDISER


class ScopedFactory(DjangoModelFactory):
    """For rows of a store: `ProductFactory(store=store)`, or a store of its own."""

    class Meta:
        abstract = True

    store = factory.SubFactory(StoreFactory)


class CustomerFactory(ScopedFactory):
    class Meta:
        model = Customer

    external_id = factory.Sequence(lambda n: f"customer-{n}")


class VisitorFactory(ScopedFactory):
    class Meta:
        model = Visitor

    anonymous_id = factory.Sequence(lambda n: f"anonymous-{n}")
    first_seen_at = factory.LazyFunction(timezone.now)
    last_seen_at = factory.SelfAttribute("first_seen_at")


class CategoryFactory(ScopedFactory):
    class Meta:
        model = Category

    slug = factory.Sequence(lambda n: f"category-{n}")
    name = factory.LazyAttribute(lambda category: category.slug.replace("-", " ").title())
    path = factory.LazyAttribute(
        lambda category: f"{category.parent.path}/{category.slug}" if category.parent else category.slug
    )
    parent = None


class BrandFactory(ScopedFactory):
    class Meta:
        model = Brand

    slug = factory.Sequence(lambda n: f"brand-{n}")
    name = factory.LazyAttribute(lambda brand: brand.slug.replace("-", " ").title())


class ProductFactory(ScopedFactory):
    class Meta:
        model = Product

    external_id = factory.Sequence(lambda n: f"P{n:05d}")
    name = factory.LazyAttribute(lambda product: f"Product {product.external_id}")
    price_minor_units = 1999
    currency = "EUR"
    stock = 10
