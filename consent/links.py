"""Addresses that only who asked has: the page of a request, and the download of its export, which expires."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core import signing
from django.urls import reverse

from consent.models import DataSubjectRequest

DOWNLOAD_LINK_VALID_FOR: Final = timedelta(hours=1)

_page = signing.Signer(salt="privacy.request", sep=".")
_agent = signing.Signer(salt="privacy.agent", sep=".")
_download = signing.TimestampSigner(salt="privacy.download", sep=".")


def token_of(request: DataSubjectRequest) -> str:
    return _page.sign(request.public_id.hex)


def public_id_of(token: str) -> str | None:
    """The request that the token opens, or None for a token that we did not make."""
    try:
        return _page.unsign(token)
    except signing.BadSignature:
        return None


def agent_token_of(request: DataSubjectRequest) -> str:
    """Opens the agent's page, which tells less than the person's own."""
    return _agent.sign(request.public_id.hex)


def public_id_of_agents(token: str) -> str | None:
    try:
        return _agent.unsign(token)
    except signing.BadSignature:
        return None


def agent_url(request: DataSubjectRequest) -> str:
    path = reverse("consent:agent-request", args=[agent_token_of(request)])
    return settings.ETALAGE_URL.rstrip("/") + path


def request_path(request: DataSubjectRequest) -> str:
    return reverse("consent:request", args=[token_of(request)])


def request_url(request: DataSubjectRequest) -> str:
    """The same with the installation's address, for letters."""
    return settings.ETALAGE_URL.rstrip("/") + request_path(request)


def download_path(request: DataSubjectRequest) -> str:
    """Works for an hour from now, and for as long as the export is kept."""
    return reverse("consent:download", args=[_download.sign(request.public_id.hex)])


def public_id_of_download(token: str) -> str | None:
    try:
        return _download.unsign(token, max_age=DOWNLOAD_LINK_VALID_FOR)
    except signing.BadSignature:
        return None
