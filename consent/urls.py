from django.urls import path

from consent.views import choices

app_name = "consent"

urlpatterns = [
    path(".well-known/gpc.json", choices.gpc_support, name="gpc"),
    path("privacy/consent/", choices.record, name="record"),
    path("privacy/preferences/", choices.preferences, name="preferences"),
    path("privacy/notice/", choices.notice, name="notice"),
]
