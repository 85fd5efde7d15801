from accounts.admin import api_keys, links, merges, shoppers, staff

__all__ = ["api_keys", "links", "merges", "shoppers", "staff"]
