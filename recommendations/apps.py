from django.apps import AppConfig


class RecommendationsConfig(AppConfig):
    name = "recommendations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import shopper_changes
        from recommendations import impressions, privacy
        from recommendations.services.withdrawal import forget_who_denies
        from recommendations.serving import subjects
        from recommendations.views import choices
        from tracking import folding

        privacy.register_all()
        choices.register_cookie()
        folding.register(impressions.IMPRESSIONS)
        shopper_changes.register(subjects.shopper_changed)
        shopper_changes.register(forget_who_denies)
