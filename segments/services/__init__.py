from segments.services.memberships import memberships_forget
from segments.services.recompute import RecomputeReport, segment_recompute, segments_recompute
from segments.services.segments import default_segments_create, segment_delete, segment_save

__all__ = [
    "RecomputeReport",
    "default_segments_create",
    "memberships_forget",
    "segment_delete",
    "segment_recompute",
    "segment_save",
    "segments_recompute",
]
