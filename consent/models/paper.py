from __future__ import annotations

import json
import uuid
from typing import Any

from django.conf import settings
from django.db import models

from accounts.scoping import StoreScoped
from accounts.sealing import seal, unseal
from consent.models.request import DataSubjectRequest


class RequestPaper(StoreScoped):
    """A note or a file in the folder of a request. Text, name and content are sealed; they go with the request's own.

    Without an author it is the person's. Staff's papers are for staff, but for those that are shared with the person.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    request = models.ForeignKey(DataSubjectRequest, on_delete=models.CASCADE, related_name="papers")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    is_staffs = models.BooleanField(help_text="Stays true when the author's account is gone.")
    is_shared = models.BooleanField(default=False, help_text="The person sees it.")
    sealed = models.BinaryField(help_text="Text, name and kind of file, encrypted.")
    content = models.BinaryField(null=True, help_text="The file, encrypted; null for a note.")
    size = models.PositiveIntegerField(default=0, help_text="Of the file, in bytes.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "pk"]

    @property
    def private(self) -> dict[str, Any]:
        """`text`, `name` and `content_type`; the last two are empty for a note."""
        told: dict[str, Any] = json.loads(unseal(self._purpose("words"), bytes(self.sealed)))
        return told

    @private.setter
    def private(self, told: dict[str, Any]) -> None:
        self.sealed = seal(self._purpose("words"), json.dumps(told).encode())

    @property
    def file(self) -> bytes:
        return unseal(self._purpose("file"), bytes(self.content)) if self.content is not None else b""

    @file.setter
    def file(self, content: bytes) -> None:
        self.content, self.size = seal(self._purpose("file"), content), len(content)

    def _purpose(self, what: str) -> str:
        return f"request paper {self.public_id} {what}"
