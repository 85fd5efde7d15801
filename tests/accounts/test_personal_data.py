from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts import personal_data, privacy, vault
from accounts.models import Customer, IdentityLink, User, Visitor
from accounts.personal_data import Classification, ErasureReport, Processor
from accounts.selectors.identity import subject_of, subject_of_visitor
from accounts.services import identity_link
from accounts.services.logins import login_delete
from tests.factories import CustomerFactory, MembershipFactory, StoreFactory, UserFactory, VisitorFactory

NOW = timezone.now()


def test_every_model_of_ours_and_of_installed_packages_is_classified():
    """A new model fails here until its app says what it holds: `accounts.personal_data.classify` in `AppConfig.ready()`."""
    assert personal_data.unclassified_models() == []


def test_every_processor_that_a_classification_names_is_registered():
    assert personal_data.missing_processors() == []


def test_accounts_erase_last():
    """But for the files of models, which need nobody's id."""
    assert [processor.name for processor in personal_data.processors()][-2:] == ["accounts", "models"]


def test_a_model_that_nobody_classified_is_found(monkeypatch):
    left = {label: entry for label, entry in personal_data._models.items() if label != "accounts.visitor"}
    monkeypatch.setattr(personal_data, "_models", left)
    assert personal_data.unclassified_models() == ["accounts.visitor"]


@pytest.fixture
def _own_registry(monkeypatch):
    for name in ("_models", "_processors", "_valkey_keys"):
        monkeypatch.setattr(personal_data, name, {})


@pytest.mark.usefixtures("_own_registry")
def test_the_registry_refuses_contradictions():
    processor = Processor("x", "X", lambda subject: [], lambda subject: ErasureReport())
    personal_data.register(processor)
    personal_data.register(processor)
    with pytest.raises(ValueError, match="names must differ"):
        personal_data.register(Processor("x", "Another", lambda subject: [], lambda subject: ErasureReport()))
    personal_data.classify("a.B", Classification.STAFF, "Because.")
    with pytest.raises(ValueError, match="twice"):
        personal_data.classify("a.B", Classification.NO_PERSONAL_DATA, "Because.")
    with pytest.raises(ValueError, match="Say why"):
        personal_data.classify("a.C", Classification.STAFF, " ")
    with pytest.raises(ValueError, match="expires after 3 days"):
        personal_data.classify("a.C", Classification.EXPIRES(3), "Because.")


@pytest.mark.usefixtures("_own_registry")
def test_a_processor_that_is_only_named_is_missing():
    personal_data.classify("a.B", Classification.PROCESSED_BY("ghost"), "Because.")
    personal_data.classify_valkey_keys("a:*", Classification.PROCESSED_BY("spectre"), "Because.")
    assert personal_data.missing_processors() == ["ghost", "spectre"]


@pytest.mark.django_db
def test_what_is_past_its_term_goes():
    for days in (-1, 1):
        Session.objects.create(
            session_key=f"s{days}", session_data="", expire_date=NOW + timedelta(days=days)
        )
    old, recent = (AccessAttempt.objects.create(username="a", failures_since_start=1) for _ in range(2))
    AccessAttempt.objects.filter(pk=old.pk).update(attempt_time=NOW - timedelta(days=31))
    counts = personal_data.expire(NOW)
    assert (counts["sessions.session"], counts["axes.accessattempt"]) == (1, 1)
    assert [session.session_key for session in Session.objects.all()] == ["s1"]
    assert list(AccessAttempt.objects.all()) == [recent]


@pytest.fixture
def shop(settings, db):
    settings.ETALAGE_STOREFRONT_STORE = "shop"
    return StoreFactory(slug="shop")


def make_person(store, email: str, external_id: str) -> Customer:
    customer = CustomerFactory(store=store, external_id=external_id, country="DE")
    vault.put_many(store, {customer.pk: {"email": email, "name": "Somebody"}})
    identity_link(store=store, visitor=VisitorFactory(store=store), customer=customer, at=NOW)
    return customer


def test_export_tells_all(shop):
    customer = make_person(shop, "ann@example.org", "ann")
    UserFactory(email="ann@example.org", name="Ann")
    tables = {table.name: list(table.rows) for table in privacy.export(subject_of(customer))}
    assert tables["profile"][0]["country"] == "DE"
    assert tables["identifiers"] == [
        {"field": "email", "value": "ann@example.org"},
        {"field": "name", "value": "Somebody"},
    ]
    assert len(tables["devices"]) == 1
    assert tables["logins"][0]["email"] == "ann@example.org"


def test_a_visitor_without_a_customer_has_devices_only(shop):
    visitor = VisitorFactory(store=shop)
    tables = {table.name: list(table.rows) for table in privacy.export(subject_of_visitor(visitor))}
    assert [row["anonymous_id"] for row in tables["devices"]] == [visitor.anonymous_id]
    assert set(tables) == {"devices", "logins"}
    assert tables["logins"] == []


def log_in(user: User) -> str:
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session.create()
    return session.session_key


def test_erasure_takes_everything_of_one_and_nothing_of_another(shop):
    ann, ben = make_person(shop, "ann@example.org", "ann"), make_person(shop, "ben@example.org", "ben")
    users = {name: UserFactory(email=f"{name}@example.org") for name in ("ann", "ben")}
    sessions = {name: log_in(user) for name, user in users.items()}
    staff = UserFactory(is_staff=True)
    for name in ("ann", "ben"):
        AccessAttempt.objects.create(username=f"{name}@example.org", failures_since_start=1)
    for customer in (ann, ben):
        LogEntry.objects.create(
            user=staff,
            content_type=ContentType.objects.get_for_model(Customer),
            object_id=str(customer.pk),
            object_repr=customer.external_id,
            action_flag=CHANGE,
        )
    report = privacy.erase(subject_of(ann))
    assert report.deleted == {
        "browser sessions": 1,
        "login attempts": 1,
        "admin history": 0,
        "logins": 1,
        "vault entries": 2,
        "identity links": 1,
        "customers": 1,
        "visitors": 1,
    }
    assert report.anonymised == {"admin history": 1}
    assert [customer.external_id for customer in Customer.objects.for_store(shop)] == ["ben"]
    assert vault.get(ben, "email") == "ben@example.org"
    assert [session.session_key for session in Session.objects.all()] == [sessions["ben"]]
    assert set(User.objects.values_list("email", flat=True)) == {"ben@example.org", staff.email}
    assert [attempt.username for attempt in AccessAttempt.objects.all()] == ["ben@example.org"]
    assert set(LogEntry.objects.values_list("object_repr", flat=True)) == {"(erased)", "ben"}
    assert IdentityLink.objects.for_store(shop).count() == Visitor.objects.for_store(shop).count() == 1


def test_erasing_again_is_harmless(shop):
    subject = subject_of(make_person(shop, "ann@example.org", "ann"))
    privacy.erase(subject)
    assert not any(privacy.erase(subject).deleted.values())


def test_another_stores_erasure_does_not_reach_the_demo_shops_login(shop):
    UserFactory(email="ann@example.org")
    privacy.erase(subject_of(make_person(StoreFactory(), "ann@example.org", "ann")))
    assert User.objects.filter(email="ann@example.org").exists()


def test_a_shared_device_stays_with_the_other_customer(shop):
    ann, ben = CustomerFactory(store=shop), CustomerFactory(store=shop)
    shared = VisitorFactory(store=shop)
    identity_link(store=shop, visitor=shared, customer=ann, at=NOW)
    identity_link(store=shop, visitor=shared, customer=ben, at=NOW + timedelta(hours=1))
    privacy.erase(subject_of(ann))
    assert [link.customer for link in IdentityLink.objects.for_store(shop).filter(visitor=shared)] == [ben]


@pytest.mark.django_db
@pytest.mark.parametrize("values", [{"is_staff": True}, {"is_superuser": True}, {}])
def test_who_works_for_a_shop_is_not_deleted_as_a_shopper(values):
    user = UserFactory(**values)
    if not values:
        MembershipFactory(user=user)
    with pytest.raises(ValueError, match="works for a shop"):
        login_delete(user)
    assert User.objects.filter(pk=user.pk).exists()


def test_staff_with_a_customers_address_keep_their_login(shop):
    staff = UserFactory(email="ann@example.org", is_staff=True)
    privacy.erase(subject_of(make_person(shop, "ann@example.org", "ann")))
    assert User.objects.filter(pk=staff.pk).exists()
