from tracking.admin import event_mappings, events, findings, orders, panels, quality, sessions

__all__ = ["events", "findings", "orders", "panels", "quality", "sessions"]
