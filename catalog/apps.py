from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.personal_data import Classification, classify, classify_valkey_keys

        for model in ("Product", "Category", "Brand"):
            classify(f"catalog.{model}", Classification.NO_PERSONAL_DATA, "What the shop sells.")
        classify_valkey_keys(
            "etalage:*:catalog:version", Classification.NO_PERSONAL_DATA, "Counts changes of the catalogue."
        )
