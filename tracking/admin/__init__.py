from tracking.admin import events, orders, panels, quality, sessions

__all__ = ["events", "orders", "panels", "quality", "sessions"]
