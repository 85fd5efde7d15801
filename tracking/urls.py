from django.urls import path, re_path

from tracking import views
from tracking.vocabulary import EVENT_TYPES, SHORT_FORMS

_KINDS = "|".join(("batch", *EVENT_TYPES, *SHORT_FORMS))

app_name = "tracking"
urlpatterns = [
    # With and without a slash, never a redirect: clients lose the body on one, or take it for success.
    re_path(rf"^v1/(?P<kind>{_KINDS})/?$", views.collect, name="collect"),
    path("etalage/tracker.js", views.tracker_script, name="tracker"),
    path("v1/projects/<str:write_key>/settings", views.project_settings, name="project_settings"),
    path("v1/projects/<str:write_key>/settings/", views.project_settings),
]
