"""In which language a page is answered, and the switch by which a visitor chooses another one."""

from __future__ import annotations

from time import monotonic
from typing import Final

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from accounts.languages import language_of_visitor
from accounts.models import Store
from consent.origins import is_own_origin

ADMIN: Final = ("/admin/", "en")
"""The pages of staff are written in English only: half of them in another language would be worse than none."""
PROGRAMMES: Final = ("/api/", "/v1/", "/healthz", "/readyz", "/metrics", "/.well-known/")
FILES: Final = (".js", ".css")
"""Scripts and styles say the same in every language, wherever they stand."""
STORE_SECONDS: Final = 30.0

_known: tuple[float, str, str] | None = None


class PageLanguage(LocaleMiddleware):
    """Django's, but for three things: the shop's own language is the last resort, staff read English, and programmes cost no query."""

    def process_request(self, request: HttpRequest) -> None:
        translation.activate(_language(request))
        request.LANGUAGE_CODE = translation.get_language()


def _language(request: HttpRequest) -> str:
    if request.path_info.startswith(ADMIN[0]):
        return ADMIN[1]
    path = request.path_info
    is_programme = path.startswith((*PROGRAMMES, settings.STATIC_URL)) or path.endswith(FILES)
    return language_of_visitor(request, _installations_language if is_programme else language_of_shop)


def _installations_language() -> str:
    return settings.LANGUAGE_CODE


def language_of_shop() -> str:
    """What the store of this installation's shop speaks, read at most every 30 s; LANGUAGE_CODE where it cannot be read."""
    global _known
    slug = settings.ETALAGE_STOREFRONT_STORE
    if _known is None or _known[1] != slug or monotonic() - _known[0] > STORE_SECONDS:
        try:
            found = Store.objects.filter(slug=slug).values_list("language", flat=True).first()
        except DatabaseError:
            # An error page has to come out all the same, and the next page asks again.
            return settings.LANGUAGE_CODE
        _known = (monotonic(), slug, found or settings.LANGUAGE_CODE)
    return _known[2]


def forget_language_of_shop() -> None:
    global _known
    _known = None


@csrf_exempt  # it stands in the footer of pages from shared caches: the origin is checked instead
@never_cache
@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Keep the language in a necessary cookie and go back to the page (`next`)."""
    if not is_own_origin(request):
        return HttpResponseForbidden("A language is chosen on the shop's own pages only.")
    response: HttpResponse = set_language(request)
    return response
