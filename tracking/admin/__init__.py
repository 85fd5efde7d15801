from tracking.admin import events, findings, orders, panels, quality, sessions

__all__ = ["events", "findings", "orders", "panels", "quality", "sessions"]
