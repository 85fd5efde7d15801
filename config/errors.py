"""What a failed request is answered with: the shop's own page, or for a programme the one error shape of
the interfaces.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from django.views.csrf import csrf_failure as csrf_page

API_PREFIXES = ("/api/", "/v1/")
MESSAGES = {
    400: ("bad_request", "The request could not be read."),
    403: ("permission_denied", "You may not do this."),
    404: ("not_found", "Nothing stands at this address."),
    500: ("server_error", "Something failed on our side; it was logged. Please try again."),
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _for_programmes(request, 400) or defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _for_programmes(request, 403) or defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _for_programmes(request, 404) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without context processors: what failed may be what they read."""
    return _for_programmes(request, 500) or defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _for_programmes(request, 403) or csrf_page(request, reason)


def _for_programmes(request: HttpRequest, status: int) -> JsonResponse | None:
    if not request.path.startswith(API_PREFIXES):
        return None
    code, message = MESSAGES[status]
    return JsonResponse({"code": code, "message": message}, status=status)
