"""Versions of the consent notice: written as drafts, frozen when published, asked about again by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Final

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import auditing
from accounts.models import Store, User
from consent.ledger import canonical
from consent.models import Notice, PurposeText
from consent.notice_texts import FALLBACK, LANGUAGES, default_texts
from consent.purposes import ALL

NOTICE_SECONDS: Final = 30


def content_hash(notice: Notice, purposes: Iterable[PurposeText]) -> str:
    """SHA-256 of everything that a visitor agrees to: texts, purposes, bases, terms and recipients. Not of the version.

    So a new version that changes only the German text asks nobody again who read the French one.
    """
    listed = [
        [each.purpose, each.name, each.text, each.legal_basis, each.retention_days, sorted(each.recipients)]
        for each in sorted(purposes, key=lambda each: each.purpose)
    ]
    return hashlib.sha256(canonical([notice.title, notice.body, notice.policy, listed])).hexdigest()


@transaction.atomic
def notice_draft(*, store: Store) -> list[Notice]:
    """A draft of the next version in every language, copied from the newest one; the open draft where there is one."""
    notices_install(store=store)
    newest = Notice.objects.for_store(store).latest("version")
    latest = list(Notice.objects.for_store(store).filter(version=newest.version).prefetch_related("purposes"))
    if newest.published_at is None:
        return latest
    drafts = []
    for published in latest:
        texts = list(published.purposes.all())
        draft = Notice.objects.create(
            store=store,
            version=newest.version + 1,
            language=published.language,
            title=published.title,
            body=published.body,
            policy=published.policy,
        )
        for text in texts:
            text.pk, text.notice = None, draft
            text._state.adding = True
        PurposeText.all_stores.bulk_create(texts)
        drafts.append(draft)
    return drafts


def _problems(notices: list[Notice]) -> list[str]:
    expected = {purpose.slug for purpose in ALL}
    problems = []
    for notice in notices:
        missing = expected - {text.purpose for text in notice.purposes.all()}
        if missing:
            problems.append(
                f"The notice in {notice.language} says nothing about: {', '.join(sorted(missing))}."
            )
        if not notice.title.strip() or not notice.body.strip():
            problems.append(f"The notice in {notice.language} needs a title and a text.")
    return problems


@transaction.atomic
def notice_publish(
    *, store: Store, version: int, actor: User | None = None, reason: str = ""
) -> list[Notice]:
    """Freeze a version in all of its languages and show it from now on.

    Raises ValidationError, with nothing changed, for a version that is not a draft or says nothing about a purpose.
    """
    drafts = list(
        Notice.objects.for_store(store)
        .select_for_update()
        .filter(version=version)
        .prefetch_related("purposes")
    )
    if not drafts or any(draft.published_at for draft in drafts):
        raise ValidationError(f"Version {version} is not a draft: only drafts can be published.")
    if problems := _problems(drafts):
        raise ValidationError(problems)
    now = timezone.now()
    for draft in drafts:
        draft.content_hash = content_hash(draft, draft.purposes.all())
        draft.published_at = now
        draft.save(update_fields=["content_hash", "published_at"])
    transaction.on_commit(partial(cache.delete, _cache_key(store)))
    hashes = {draft.language: draft.content_hash for draft in drafts}
    auditing.record(
        store=store,
        actor=actor,
        action="notice.published",
        target=f"notice:{version}",
        reason=reason,
        details=hashes,
    )
    return drafts


def _install_texts(store: Store) -> None:
    for language in LANGUAGES:
        texts = default_texts(language)
        contact = store.controller_contact or store.name
        notice = Notice.objects.create(
            store=store,
            version=1,
            language=language,
            title=texts.title,
            body=texts.body,
            policy=texts.policy.format(controller=store.controller_name or store.name, contact=contact),
        )
        PurposeText.all_stores.bulk_create(
            PurposeText(store=store, notice=notice, position=position, **vars(purpose))
            for position, purpose in enumerate(texts.purposes)
        )


def notices_install(*, store: Store) -> None:
    """Publish the default texts as version 1 for a store that has no notice yet; harmless where it has one."""
    if Notice.objects.for_store(store).exists():
        return
    try:
        with transaction.atomic():
            _install_texts(store)
            notice_publish(store=store, version=1, reason="Default texts of a new store")
    except IntegrityError:
        pass  # another request was quicker


def _cache_key(store: Store) -> str:
    return f"consent.notices.{store.pk}.{store.created_at.timestamp()}"


def published_notices(store: Store) -> dict[str, Notice]:
    """The newest published version by language, with its purposes; the default texts are installed where there is none.

    Every page asks, so each process remembers for NOTICE_SECONDS: other processes may show the version before for so
    long, and the proof says which one was shown.
    """
    remembered: dict[str, Notice] | None = cache.get(_cache_key(store))
    if remembered is None:
        remembered = _read_published(store)
        cache.set(_cache_key(store), remembered, NOTICE_SECONDS)
    return remembered


def _read_published(store: Store) -> dict[str, Notice]:
    published = Notice.objects.for_store(store).filter(published_at__isnull=False)
    newest = published.order_by("-version").values_list("version", flat=True)[:1]
    found = list(published.filter(version__in=newest).prefetch_related("purposes"))
    if not found:
        notices_install(store=store)
        found = list(published.filter(version__in=newest).prefetch_related("purposes"))
    return {notice.language: notice for notice in found}


def notice_for(store: Store, language: str) -> Notice:
    """The notice to show to somebody who reads `language` (`de`, `de-at`): theirs, else the store's, else English, else any."""
    notices = published_notices(store)
    for wanted in (language, language.split("-")[0], store.language, FALLBACK):
        if wanted in notices:
            return notices[wanted]
    return next(iter(notices.values()))
