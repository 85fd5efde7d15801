from django.apps import AppConfig


class TrackingConfig(AppConfig):
    name = "tracking"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import shopper_changes
        from accounts.services.identity import register_witness
        from accounts.services.merges import on_judgement
        from consent.withdrawal import on_withdrawal
        from profiles.reading import register_log_reader
        from tracking import folding, privacy
        from tracking.debugging import feed
        from tracking.folds.orders import ORDERS
        from tracking.folds.recent_events import PROFILES, read_log
        from tracking.folds.sessions import SESSIONS, rename_customers
        from tracking.ingestion.people import identified_again
        from tracking.quality.duplicates import close_finding
        from tracking.quality.inference import forget_on_objection, forget_on_withdrawal

        for fold in (SESSIONS, ORDERS, PROFILES):
            folding.register(fold)
        register_log_reader(read_log)
        register_witness(identified_again)
        on_judgement(close_finding)
        shopper_changes.register_relink(rename_customers)
        shopper_changes.register(forget_on_objection)
        on_withdrawal("tracking.guesses", forget_on_withdrawal)
        privacy.register_all()
        feed.classify()
