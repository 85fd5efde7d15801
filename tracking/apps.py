from django.apps import AppConfig


class TrackingConfig(AppConfig):
    name = "tracking"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from profiles.reading import register_log_reader
        from tracking import folding, privacy
        from tracking.debugging import feed
        from tracking.folds.orders import ORDERS
        from tracking.folds.recent_events import PROFILES, read_log
        from tracking.folds.sessions import SESSIONS

        for fold in (SESSIONS, ORDERS, PROFILES):
            folding.register(fold)
        register_log_reader(read_log)
        privacy.register_all()
        feed.classify()
