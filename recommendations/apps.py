from django.apps import AppConfig


class RecommendationsConfig(AppConfig):
    name = "recommendations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import shopper_changes
        from recommendations import impressions, privacy
        from recommendations.services.withdrawal import forget_who_denies
        from recommendations.serving import subjects
        from tracking import folding

        privacy.register_all()
        folding.register(impressions.IMPRESSIONS)
        shopper_changes.register(subjects.shopper_changed)
        shopper_changes.register(forget_who_denies)
