from django.urls import path

from recommendations.api import views

urlpatterns = [
    path("recommendations/<slug:placement>/", views.Recommendations.as_view(), name="recommendations"),
    path("forgotten-products/", views.ForgottenProducts.as_view(), name="forgotten-products"),
]
