from tracking.models.event import DiscardCount, Event, EventType, QuarantinedEvent
from tracking.models.event_mapping import EventMapping
from tracking.models.finding import Finding, FindingKind
from tracking.models.import_run import ImportRun
from tracking.models.order import Order, OrderLine
from tracking.models.session import LogPosition, Session

__all__ = [
    "DiscardCount",
    "Event",
    "EventMapping",
    "EventType",
    "Finding",
    "FindingKind",
    "ImportRun",
    "LogPosition",
    "Order",
    "OrderLine",
    "QuarantinedEvent",
    "Session",
]
