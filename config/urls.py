"""Addresses of the installation. Each app with pages has `urls.py`; the interface of an app stands in its
`api/urls.py`.
"""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import health, languages

# The storefront stands at the root, so it comes last.
APPS = ("accounts", "consent", "catalog", "profiles", "tracking", "segments", "recommendations", "storefront")

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("language/", languages.choose_language, name="language"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    # Our own template: the package's has its styles in the page, which the content security policy forbids.
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="config/api_docs.html"),
        name="docs",
    ),
    *(path("api/v1/", include(f"{app}.api.urls")) for app in APPS if find_spec(f"{app}.api.urls")),
    *(path("", include(f"{app}.urls")) for app in APPS if find_spec(f"{app}.urls")),
]

handler400 = "config.errors.bad_request"
handler403 = "config.errors.permission_denied"
handler404 = "config.errors.page_not_found"
handler500 = "config.errors.server_error"
