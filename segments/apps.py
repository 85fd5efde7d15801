from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    name = "segments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import shopper_changes
        from segments import privacy
        from segments.services.withdrawal import forget_who_denies

        privacy.register_all()
        shopper_changes.register(forget_who_denies)
