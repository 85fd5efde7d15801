from accounts.models.api_key import ApiKey, Scope
from accounts.models.customer import Customer, ProfileSource
from accounts.models.identity import IdentityLink, Visitor
from accounts.models.merge import CustomerMerge, CustomersApart, PersonRecord
from accounts.models.statement import ProfileStatement
from accounts.models.store import Role, Store, StoreMembership
from accounts.models.user import User
from accounts.models.vault import VaultEntry, VaultKey

__all__ = [
    "ApiKey",
    "Customer",
    "CustomerMerge",
    "CustomersApart",
    "IdentityLink",
    "PersonRecord",
    "ProfileSource",
    "ProfileStatement",
    "Role",
    "Scope",
    "Store",
    "StoreMembership",
    "User",
    "VaultEntry",
    "VaultKey",
    "Visitor",
]
