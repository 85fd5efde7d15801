from django.urls import path

from consent.views import centre, choices, requests

app_name = "consent"

urlpatterns = [
    path(".well-known/gpc.json", choices.gpc_support, name="gpc"),
    path("privacy/", centre.centre, name="centre"),
    path("privacy/data/", centre.data, name="data"),
    path("privacy/looks/", centre.looks, name="looks"),
    path("privacy/ask/<str:kind>/", centre.ask, name="ask"),
    path("privacy/pause/", centre.pause, name="pause"),
    path("privacy/profiling/", centre.allow_profiling, name="allow-profiling"),
    path("privacy/requests/<str:token>/", requests.request_page, name="request"),
    path("privacy/requests/<str:token>/papers/<uuid:public_id>/", requests.paper, name="paper"),
    path("privacy/download/<str:token>/", requests.download, name="download"),
    path("privacy/consent/", choices.record, name="record"),
    path("privacy/region/", choices.region, name="region"),
    path("privacy/preferences/", choices.preferences, name="preferences"),
    path("privacy/notice/", choices.notice, name="notice"),
]
