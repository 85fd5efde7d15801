from recommendations.admin import event_weights, models, panels, placements, rules, timeline, training

__all__ = ["event_weights", "models", "panels", "placements", "rules", "timeline", "training"]
