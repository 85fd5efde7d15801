from tracking.admin import (
    duplicates,
    event_mappings,
    events,
    findings,
    imports,
    orders,
    panels,
    quality,
    quarantine_jobs,
    sessions,
    timeline_own,
)

__all__ = [
    "duplicates",
    "event_mappings",
    "events",
    "findings",
    "imports",
    "orders",
    "panels",
    "quality",
    "quarantine_jobs",
    "sessions",
    "timeline_own",
]
