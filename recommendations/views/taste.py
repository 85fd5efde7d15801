"""The taste quiz for newcomers: one page, one form, no script; skipped by going on."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from consent.origins import is_own_origin
from recommendations.selectors.taste_quiz import Quiz, interests_of, taste_quiz
from recommendations.services.taste_state import taste_state
from recommendations.serving.browser import NoStorefront, shopper_of, storefront_store
from recommendations.shelf import RequestError


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def taste(request: HttpRequest) -> HttpResponse:
    """GET: the questions, with what was said before; without permission, the plain question for it. POST: keep, or delete all."""
    if request.method == "POST" and not is_own_origin(request):
        return HttpResponseForbidden(_("This form can be sent from the shop's own pages only."))
    try:
        store = storefront_store()
        quiz = taste_quiz(store, shopper_of(request))
    except (NoStorefront, RequestError) as error:
        raise Http404(str(error)) from error
    if request.method != "POST":
        return render(request, "recommendations/quiz.html", _context(quiz))
    is_deletion = request.POST.get("delete") == "1"
    said = [] if is_deletion else _said(request, quiz)
    if not is_deletion:
        said += interests_of(store, request.POST.getlist("liked"), quiz)
    if not taste_state(store=store, shopper=shopper_of(request), interests=said):
        # Asked for, not assumed: the page says what is missing, and nothing is kept.
        return render(request, "recommendations/quiz.html", _context(quiz), status=403)
    messages.success(
        request,
        _("Your answers are deleted.")
        if not said
        else _("Thank you. Your shelves know from the next page on."),
    )
    return HttpResponseRedirect("/etalage/taste/" if is_deletion else "/")


def _said(request: HttpRequest, quiz: Quiz) -> list[tuple[str, str]]:
    """What is ticked, of what was asked, and what was said elsewhere about things that were not."""
    asked = {("category", c.path) for c in quiz.categories} | {("brand", b.slug) for b in quiz.brands}
    ticked = [(kind, value) for kind in ("category", "brand") for value in request.POST.getlist(kind)]
    return [said for said in ticked if said in asked] + sorted(quiz.stated - asked)


def _context(quiz: Quiz) -> dict[str, object]:
    return {
        "quiz": quiz,
        "categories": [(c, ("category", c.path) in quiz.stated) for c in quiz.categories],
        "brands": [(b, ("brand", b.slug) in quiz.stated) for b in quiz.brands],
    }
