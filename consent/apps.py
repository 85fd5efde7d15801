from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "consent"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import auditing
        from consent import audit, cookie_list, privacy

        auditing.set_recorder(audit.record)
        privacy.register_all()
        cookie_list.register_own()
