from consent.models.audit import AuditEntry, AuditHead, AuditPayload
from consent.models.governance import Policy, PolicyReview
from consent.models.notice import Notice, PurposeText
from consent.models.opt_out import OptOut
from consent.models.paper import RequestPaper
from consent.models.record import (
    ConsentChoice,
    ConsentMechanism,
    ConsentPayload,
    ConsentRecord,
    ConsentState,
    LedgerHead,
)
from consent.models.region import RegionMode
from consent.models.request import (
    OPT_OUT_KINDS,
    DataSubjectRequest,
    IdentityChallenge,
    RequestPart,
    RequestPolicy,
)
from consent.models.suppression import Suppression

__all__ = [
    "OPT_OUT_KINDS",
    "AuditEntry",
    "AuditHead",
    "AuditPayload",
    "ConsentChoice",
    "ConsentMechanism",
    "ConsentPayload",
    "ConsentRecord",
    "ConsentState",
    "DataSubjectRequest",
    "IdentityChallenge",
    "LedgerHead",
    "Notice",
    "OptOut",
    "Policy",
    "PolicyReview",
    "PurposeText",
    "RegionMode",
    "RequestPaper",
    "RequestPart",
    "RequestPolicy",
    "Suppression",
]
