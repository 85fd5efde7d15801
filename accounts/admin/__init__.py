from accounts.admin import api_keys, shoppers, staff

__all__ = ["api_keys", "shoppers", "staff"]
