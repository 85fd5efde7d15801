from __future__ import annotations

from django.db import models

from accounts.scoping import StoreScoped


class VaultKey(StoreScoped):
    """A customer's own key, wrapped by the installation's master key. Destroying it makes the entries unreadable."""

    customer = models.OneToOneField("accounts.Customer", on_delete=models.CASCADE, related_name="vault_key")
    wrapped_key = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)


class VaultEntry(StoreScoped):
    """A direct identifier (e-mail, name, phone, address), encrypted with the customer's key."""

    customer = models.ForeignKey("accounts.Customer", on_delete=models.CASCADE, related_name="vault_entries")
    field = models.CharField(max_length=40)
    ciphertext = models.BinaryField()
    blind_index = models.CharField(
        max_length=64,
        blank=True,
        db_index=True,
        help_text="Keyed HMAC of the normalised value, for look-ups by e-mail.",
    )
    match_index = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Keyed HMAC of what two spellings of one value have in common, to find one person twice.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "field"], name="one_vault_entry_per_field")
        ]
        indexes = [models.Index(fields=["match_index"], name="vault_entry_by_match")]
