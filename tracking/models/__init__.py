from tracking.models.event import DiscardCount, Event, EventType, QuarantinedEvent
from tracking.models.event_mapping import EventMapping
from tracking.models.finding import Finding, FindingKind
from tracking.models.import_run import ImportRun
from tracking.models.order import Order, OrderLine
from tracking.models.payment import OrderPayment, SettledPayment
from tracking.models.quarantine_job import QuarantineJob
from tracking.models.rollup import ClockSkew, HourlyCount, ObservedPrice
from tracking.models.session import LogPosition, Session
from tracking.models.source_day import SourceDay

__all__ = [
    "ClockSkew",
    "DiscardCount",
    "Event",
    "EventMapping",
    "EventType",
    "Finding",
    "FindingKind",
    "HourlyCount",
    "ImportRun",
    "LogPosition",
    "ObservedPrice",
    "Order",
    "OrderLine",
    "OrderPayment",
    "QuarantineJob",
    "QuarantinedEvent",
    "Session",
    "SettledPayment",
    "SourceDay",
]
