from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import package_data, privacy
        from accounts.api import schema  # noqa: F401 (registers itself with the schema generator)

        privacy.register_all()
        package_data.classify_all()
