from django.urls import path

from storefront.views import account, authentication, cart, catalogue, checkout, pictures

app_name = "storefront"

urlpatterns = [
    path("", catalogue.home, name="home"),
    path("c/<path:path>/", catalogue.category, name="category"),
    path("search/", catalogue.search, name="search"),
    path("p/<str:external_id>/", catalogue.product, name="product"),
    path("media/<path:path>", pictures.picture, name="picture"),
    path("cart/", cart.cart, name="cart"),
    path("cart/add/", cart.add, name="cart-add"),
    path("cart/update/", cart.update, name="cart-update"),
    path("checkout/", checkout.checkout, name="checkout"),
    path("checkout/done/<uuid:token>/", checkout.done, name="order-done"),
    path("login/", authentication.log_in, name="login"),
    path("sign-up/", authentication.sign_up, name="sign-up"),
    path("logout/", authentication.log_out, name="logout"),
    path("account/", account.account, name="account"),
    path("account/interests/", account.interests, name="interests"),
    path("account/orders/<str:number>/", account.order, name="order"),
]
