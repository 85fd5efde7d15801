from django.urls import path

from segments.api import views

urlpatterns = [
    path("segments/", views.SegmentList.as_view(), name="segment-list"),
    # Before the slug: no segment may have this one (segments.services.segments.RESERVED_SLUG).
    path("segments/of-shopper/", views.SubjectSegments.as_view(), name="segments-of-shopper"),
    path("segments/<slug:slug>/", views.SegmentDetail.as_view(), name="segment-detail"),
]
