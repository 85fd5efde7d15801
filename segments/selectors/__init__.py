from segments.selectors.membership import segments_of
from segments.selectors.sizes import count_members

__all__ = ["count_members", "segments_of"]
