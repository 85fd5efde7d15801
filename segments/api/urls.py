from django.urls import path

from segments.api import views

urlpatterns = [
    path("segments/", views.SegmentList.as_view(), name="segment-list"),
    # Before the slug, which may not be this word's: a segment with the slug "of-shopper" is listed and cannot be got alone.
    path("segments/of-shopper/", views.SubjectSegments.as_view(), name="segments-of-shopper"),
    path("segments/<slug:slug>/", views.SegmentDetail.as_view(), name="segment-detail"),
]
