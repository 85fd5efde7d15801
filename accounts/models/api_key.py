from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.scoping import StoreScoped


class Scope(models.TextChoices):
    WRITE_PUBLIC = "write:public", "Send events from browsers (public)"
    WRITE_SECRET = "write:secret", "Send events from servers (secret)"
    RECOMMENDATIONS_READ = "recommendations:read", "Read recommendations"
    MANAGE = "manage", "Manage catalogue, segments and requests"


class ApiKey(StoreScoped):
    """A key of a client. Only its SHA-256 is stored; `prefix` is what people see in lists and logs.

    A key that can do nothing but send events from browsers is public anyway: `public_value` holds it, so that the
    tracker's tag can put it into the page.

    `legal_basis` and `consent_source` declare why what the key sends may be stored. By default only what is
    necessary is taken.
    """

    class ConsentSource(models.TextChoices):
        LEDGER = "ledger", "Our consent record of the visitor"
        CLIENT = "client", "context.consent of each message"
        DECLARED = "declared", "The purposes declared for this key"

    class LegalBasis(models.TextChoices):
        CONTRACT = "contract", "Contract: only what is necessary"
        CONSENT = "consent", "Consent"
        LEGITIMATE_INTEREST = "legitimate_interest", "Legitimate interest"

    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=16, db_index=True)
    digest = models.CharField(max_length=64, unique=True)
    public_value = models.CharField(max_length=64, blank=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=40, choices=Scope.choices))
    legal_basis = models.CharField(max_length=24, choices=LegalBasis.choices, default=LegalBasis.CONTRACT)
    consent_source = models.CharField(
        max_length=10, choices=ConsentSource.choices, default=ConsentSource.LEDGER
    )
    declared_purposes = ArrayField(models.CharField(max_length=24), default=list, blank=True)
    allowed_origins = ArrayField(
        models.CharField(max_length=200), default=list, blank=True, help_text="Empty: any origin."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    @property
    def is_secret(self) -> bool:
        """Only a shop's server holds it: what it says about a customer is believed without a signature."""
        return bool({Scope.WRITE_SECRET, Scope.MANAGE} & set(self.scopes))

    def allows(self, scope: str) -> bool:
        """Whether the key has the scope; `manage` includes reading recommendations, secret writing includes public."""
        held = set(self.scopes)
        implied = {
            Scope.WRITE_PUBLIC: {Scope.WRITE_SECRET},
            Scope.RECOMMENDATIONS_READ: {Scope.MANAGE},
        }
        return scope in held or bool(implied.get(Scope(scope), set()) & held)

    def allows_origin(self, origin: str) -> bool:
        """May a page of this origin use it? "" is a client that is no browser."""
        return not origin or not self.allowed_origins or origin.rstrip("/") in self.allowed_origins

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
