from django.contrib.admin.apps import AdminConfig


class EtalageAdminConfig(AdminConfig):
    """Stands apart from `config.apps`: Django takes one default AppConfig from an app's `apps` module."""

    default_site = "config.admin_site.EtalageAdminSite"
