"""Staff judge who was at a browser: undo, end, restore. Each is on record, and others change nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from accounts.models import IdentityLink, Store
from accounts.services import identity_link
from consent.models import AuditPayload
from tests.admin.conftest import Staff
from tests.factories import CustomerFactory, VisitorFactory

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DEEDS = ("undo", "end", "restore")


@pytest.fixture
def link(store: Store) -> IdentityLink:
    customer, visitor = CustomerFactory(store=store), VisitorFactory(store=store)
    return identity_link(store=store, visitor=visitor, customer=customer, at=NOON)


def page(deed: str, link: IdentityLink) -> str:
    return reverse(f"admin:accounts_identitylink_{deed}", args=[link.pk])


def told(store: Store) -> list[tuple[str, str]]:
    entries = AuditPayload.objects.for_store(store).filter(target__startswith="identity_link:")
    return list(entries.order_by("pk").values_list("entry__action", "reason"))


def test_a_link_is_undone_and_restored(administrator: Staff, store: Store, link: IdentityLink) -> None:
    client = administrator.client
    assert client.get(page("undo", link)).status_code == 200
    client.post(page("undo", link), {"reason": "Not hers"})
    link.refresh_from_db()
    assert link.undone_at is not None
    shown = client.get(reverse("admin:accounts_customer_change", args=[link.customer_id])).content.decode()
    assert page("restore", link) in shown
    client.post(page("restore", link), {"reason": "Hers after all"})
    link.refresh_from_db()
    assert link.undone_at is None
    assert told(store) == [("identity_link.undone", "Not hers"), ("identity_link.restored", "Hers after all")]


def test_a_shared_device_is_split_at_a_moment(administrator: Staff, store: Store, link: IdentityLink) -> None:
    client = administrator.client
    assert client.get(page("end", link)).status_code == 200
    # The page speaks in the time zone of whoever looks: Berlin is two hours ahead of UTC in May.
    client.post(page("end", link), {"at_0": "2026-05-04", "at_1": "15:30:00", "reason": "Sold the tablet"})
    link.refresh_from_db()
    assert link.valid_until == NOON + timedelta(hours=1, minutes=30)
    assert told(store) == [("identity_link.ended", "Sold the tablet")]


def test_a_moment_outside_of_the_link_is_refused(
    administrator: Staff, store: Store, link: IdentityLink
) -> None:
    body = {"at_0": "2026-05-04", "at_1": "09:00:00"}
    answer = administrator.client.post(page("end", link), body, follow=True)
    assert "outside of the link" in answer.content.decode()
    link.refresh_from_db()
    assert link.valid_until is None
    assert told(store) == []


@pytest.mark.parametrize("deed", DEEDS)
def test_who_may_not_edit_shoppers_changes_nothing(
    merchandiser: Staff, store: Store, link: IdentityLink, deed: str
) -> None:
    body = {"at_0": "2026-05-04", "at_1": "15:30:00", "reason": "x"}
    assert merchandiser.client.post(page(deed, link), body).status_code == 403
    before = (link.valid_from, link.valid_until, link.undone_at)
    link.refresh_from_db()
    assert (link.valid_from, link.valid_until, link.undone_at) == before
    assert told(store) == []
