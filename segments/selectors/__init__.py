from segments.selectors.membership import segments_of
from segments.selectors.sizes import count_members, count_shoppers

__all__ = ["count_members", "count_shoppers", "segments_of"]
