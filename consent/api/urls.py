from django.urls import path

from consent.api import views

urlpatterns = [
    path("consent/", views.Consent.as_view(), name="consent"),
    path("consent/notice/", views.ConsentNotice.as_view(), name="consent-notice"),
    path("consent/banner/", views.ConsentBanner.as_view(), name="consent-banner"),
    path("privacy-requests/", views.PrivacyRequests.as_view(), name="privacy-request-list"),
    path(
        "privacy-requests/<uuid:public_id>/",
        views.PrivacyRequestDetail.as_view(),
        name="privacy-request-detail",
    ),
]
