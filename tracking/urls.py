from django.urls import path, re_path

from tracking import script_files, views
from tracking.debugging import views as debugging

app_name = "tracking"
urlpatterns = [
    # `config.middleware.CollectDirectly` answers these before any address is looked up; this names them.
    re_path(rf"^v1/(?P<kind>{views.KINDS})/?$", views.collect, name="collect"),
    re_path(r"^batch/?$", views.collect, {"kind": views.POSTHOG}, name="collect_posthog"),
    path("etalage/tracker.js", views.tracker_script, name="tracker"),
    re_path(
        r"^etalage/(?P<name>datalayer\.js|tracking/[a-z-]+\.js)$",
        script_files.script_file,
        name="script_file",
    ),
    path("etalage/debug/pass", debugging.own_pass, name="debug_own_pass"),
    path("v1/debug/pass", debugging.given_pass, name="debug_given_pass"),
    path("v1/projects/<str:write_key>/settings", views.project_settings, name="project_settings"),
    path("v1/projects/<str:write_key>/settings/", views.project_settings),
]
