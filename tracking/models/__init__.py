from tracking.models.event import DiscardCount, Event, EventType, QuarantinedEvent
from tracking.models.finding import Finding, FindingKind
from tracking.models.order import Order, OrderLine
from tracking.models.session import LogPosition, Session

__all__ = [
    "DiscardCount",
    "Event",
    "EventType",
    "Finding",
    "FindingKind",
    "LogPosition",
    "Order",
    "OrderLine",
    "QuarantinedEvent",
    "Session",
]
