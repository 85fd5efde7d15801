from django.apps import AppConfig


class StorefrontConfig(AppConfig):
    name = "storefront"
    verbose_name = "Demo shop"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.current_customer import set_resolver
        from storefront import privacy
        from storefront.shop import customer_of
        from storefront.views.carrying import register_cookie

        set_resolver(customer_of)
        privacy.register_all()
        register_cookie()
