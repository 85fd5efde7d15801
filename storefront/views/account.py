from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts import vault
from catalog.models import Brand, Category
from storefront.models import ShopAccount
from storefront.services.account import interests_set
from storefront.shop import account_of, store_of

SHOWN_ORDERS = 10


@never_cache
@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    own = account_of(request)
    if own is None:
        return render(request, "storefront/account_staff.html")
    orders = own.orders.prefetch_related("lines__product")
    context = {
        "account": own,
        "name": vault.get(own.customer, "name") or "",
        "orders": orders[:SHOWN_ORDERS],
        "order_count": orders.count(),
        "interests": _named_interests(own),
    }
    return render(request, "storefront/account.html", context)


def _named_interests(own: ShopAccount) -> list[str]:
    """What the customer said they like, by the names of the shop; what is no longer sold is left out."""
    paths = [interest["value"] for interest in own.customer.interests if interest["kind"] == "category"]
    slugs = [interest["value"] for interest in own.customer.interests if interest["kind"] == "brand"]
    categories = Category.objects.for_store(own.store).filter(path__in=paths).values_list("name", flat=True)
    brands = Brand.objects.for_store(own.store).filter(slug__in=slugs).values_list("name", flat=True)
    return [*categories, *brands]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def interests(request: HttpRequest) -> HttpResponse:
    store, own = store_of(request), account_of(request)
    if own is None:
        return render(request, "storefront/account_staff.html")
    categories = list(
        Category.objects.for_store(store)
        .exclude(parent=None)
        .select_related("parent")
        .order_by("parent__position", "position")
    )
    brands = list(Brand.objects.for_store(store).order_by("name"))
    if request.method == "POST":
        known_paths, known_slugs = (
            {category.path for category in categories},
            {brand.slug for brand in brands},
        )
        interests_set(
            account=own,
            categories=[
                path for path in dict.fromkeys(request.POST.getlist("category")) if path in known_paths
            ],
            brands=[slug for slug in dict.fromkeys(request.POST.getlist("brand")) if slug in known_slugs],
        )
        messages.success(request, _("Your interests are saved."))
        return redirect("storefront:account")
    chosen = {(interest["kind"], interest["value"]) for interest in own.customer.interests}
    context = {
        "categories": [(category, ("category", category.path) in chosen) for category in categories],
        "brands": [(brand, ("brand", brand.slug) in chosen) for brand in brands],
    }
    return render(request, "storefront/interests.html", context)


@never_cache
@require_safe
@login_required
def order(request: HttpRequest, number: str) -> HttpResponse:
    own = account_of(request)
    if own is None:
        raise Http404("Orders belong to shoppers.")
    found = get_object_or_404(own.orders.prefetch_related("lines__product"), number=number)
    return render(request, "storefront/order.html", {"order": found})
