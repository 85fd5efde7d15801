from accounts.services.api_keys import api_key_create, api_key_revoke
from accounts.services.customers import customer_upsert, customers_get_or_create, customers_upsert
from accounts.services.identity import (
    Identification,
    identities_link,
    identity_end,
    identity_link,
    identity_unlink,
)
from accounts.services.signatures import sign_user_id, signing_secret_renew, verify_signature
from accounts.services.traits import Traits, sort_traits
from accounts.services.visitors import SeenVisitor, visitor_get_or_create, visitors_get_or_create

__all__ = [
    "Identification",
    "SeenVisitor",
    "Traits",
    "api_key_create",
    "api_key_revoke",
    "customer_upsert",
    "customers_get_or_create",
    "customers_upsert",
    "identities_link",
    "identity_end",
    "identity_link",
    "identity_unlink",
    "sign_user_id",
    "signing_secret_renew",
    "sort_traits",
    "verify_signature",
    "visitor_get_or_create",
    "visitors_get_or_create",
]
