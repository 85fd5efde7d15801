from __future__ import annotations

from django.contrib.auth import authenticate, login, logout
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from consent.opt_out_browser import opt_outs_follow
from storefront.forms import LogInForm, SignUpForm
from storefront.services.account import account_logged_in, account_open
from storefront.shop import account_of, anonymous_id_of, store_of
from storefront.views.carrying import adopt_on_log_in


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    store_of(request)
    if request.user.is_authenticated:
        return redirect(_destination(request))
    form = LogInForm(request, data=request.POST or None)
    if request.method == "POST" and form.is_valid():
        _forget_account(request)
        login(request, form.get_user())
        account = account_of(request)
        if account is not None:
            account_logged_in(account=account, anonymous_id=anonymous_id_of(request))
        response = adopt_on_log_in(request, redirect(_destination(request)))
        return opt_outs_follow(request, response, account.customer) if account is not None else response
    status = 422 if form.is_bound else 200
    return render(request, "storefront/login.html", {"form": form, "next": _wanted(request)}, status=status)


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    store = store_of(request)
    if request.user.is_authenticated:
        return redirect(_destination(request))
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        wish = form.cleaned_data
        try:
            account_open(
                store=store,
                email=wish["email"],
                password=wish["password"],
                name=wish["name"],
                anonymous_id=anonymous_id_of(request),
            )
        except IntegrityError:
            form.add_error("email", _("There is an account with this e-mail address: log in instead."))
        else:
            user = authenticate(request, username=wish["email"], password=wish["password"])
            _forget_account(request)
            login(request, user)
            response = adopt_on_log_in(request, redirect("storefront:interests"))
            account = account_of(request)
            return opt_outs_follow(request, response, account.customer) if account is not None else response
    status = 422 if form.is_bound else 200
    return render(request, "storefront/sign_up.html", {"form": form, "next": _wanted(request)}, status=status)


@never_cache
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("storefront:home")


def _forget_account(request: HttpRequest) -> None:
    """The request's memory of who it was ends where it becomes somebody."""
    for name in ("_shop_account", "_shop_cart"):
        if hasattr(request, name):
            delattr(request, name)


def _wanted(request: HttpRequest) -> str:
    return request.POST.get("next") or request.GET.get("next") or ""


def _destination(request: HttpRequest) -> str:
    wanted = _wanted(request)
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if wanted and is_ours else "storefront:account"
