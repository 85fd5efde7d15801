from __future__ import annotations

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as served


class Empty(APIView):
    """What the framework alone costs."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def get(self, request: Request) -> Response:
        return Response({})


urlpatterns = [path("bench/empty/", Empty.as_view()), *served]

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]
