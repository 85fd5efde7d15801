from accounts.services.api_keys import api_key_create, api_key_revoke
from accounts.services.customers import customer_upsert, customers_get_or_create, customers_upsert
from accounts.services.identity import (
    Identification,
    identities_link,
    identity_end,
    identity_link,
    identity_link_end,
    identity_relink,
    identity_unlink,
)
from accounts.services.merges import (
    MergeRefused,
    apart_take_back,
    customers_keep_apart,
    customers_merge,
    merge_undo,
)
from accounts.services.signatures import sign_user_id, signing_secret_renew, verify_signature
from accounts.services.traits import Traits, sort_traits
from accounts.services.visitors import SeenVisitor, visitor_get_or_create, visitors_get_or_create

__all__ = [
    "Identification",
    "MergeRefused",
    "SeenVisitor",
    "Traits",
    "apart_take_back",
    "api_key_create",
    "api_key_revoke",
    "customer_upsert",
    "customers_get_or_create",
    "customers_keep_apart",
    "customers_merge",
    "customers_upsert",
    "identities_link",
    "identity_end",
    "identity_link",
    "identity_link_end",
    "identity_relink",
    "identity_unlink",
    "merge_undo",
    "sign_user_id",
    "signing_secret_renew",
    "sort_traits",
    "verify_signature",
    "visitor_get_or_create",
    "visitors_get_or_create",
]
