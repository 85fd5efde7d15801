from django.urls import path

from recommendations.views import choices, shelf, taste

app_name = "etalage"

urlpatterns = [
    path("etalage/shelf/<slug:placement>/", shelf.shelf, name="shelf"),
    path("etalage/taste/", taste.taste, name="taste"),
    path("etalage/not-this/", choices.not_this, name="not-this"),
    path("etalage/pause/", choices.pause, name="pause"),
    path("etalage/resume/", choices.resume, name="resume"),
]
