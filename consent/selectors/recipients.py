"""What somebody's data are used for, by whose permission, for how long, and who receives them: the shop's own notice, for a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import get_language

from accounts.personal_data import Subject
from consent.gate import allowed_purposes
from consent.purposes import Purpose
from consent.services.notices import notice_for


def purposes_and_recipients(subject: Subject) -> Iterator[dict[str, Any]]:
    """A row for each purpose and recipient, and one for each purpose that has none."""
    store = subject.store
    permitted = allowed_purposes(
        store,
        customer=subject.customer,
        anonymous_id=None if subject.customer else next(iter(subject.anonymous_ids), None),
    )
    notice = notice_for(store, get_language() or store.language)
    for text in notice.purposes.all():
        for recipient in text.recipients or [""]:
            yield {
                "purpose": text.name,
                "recipient": recipient,
                "what_for": text.text,
                "legal_basis": text.legal_basis,
                "kept_days": text.retention_days,
                "permitted_now": Purpose.from_slug(text.purpose) in permitted,
                "notice_version": notice.version,
            }
