from django.urls import path, re_path

from consent import script_files
from consent.views import agents, centre, choices, opt_outs, requests

app_name = "consent"

urlpatterns = [
    path(".well-known/gpc.json", choices.gpc_support, name="gpc"),
    re_path(
        r"^etalage/(?P<name>etalage-consent\.js|consent\.css|consent/[a-z-]+\.js)$",
        script_files.script_file,
        name="script_file",
    ),
    path("privacy/", centre.centre, name="centre"),
    path("privacy/data/", centre.data, name="data"),
    path("privacy/looks/", centre.looks, name="looks"),
    path("privacy/ask/<str:kind>/", centre.ask, name="ask"),
    path("privacy/pause/", centre.pause, name="pause"),
    path("privacy/opt-outs/<str:kind>/", opt_outs.end, name="opt-out-end"),
    path("privacy/agent/", agents.ask, name="agent"),
    path("privacy/agents/<str:token>/", agents.page, name="agent-request"),
    path("privacy/agents/<str:token>/download/", agents.download, name="agent-download"),
    path("privacy/profiling/", centre.allow_profiling, name="allow-profiling"),
    path("privacy/requests/<str:token>/", requests.request_page, name="request"),
    path("privacy/requests/<str:token>/papers/<uuid:public_id>/", requests.paper, name="paper"),
    path("privacy/download/<str:token>/", requests.download, name="download"),
    path("privacy/consent/", choices.record, name="record"),
    path("privacy/region/", choices.region, name="region"),
    path("privacy/preferences/", choices.preferences, name="preferences"),
    path("privacy/notice/", choices.notice, name="notice"),
]
