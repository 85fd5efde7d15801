from segments.admin import panels, segments

__all__ = ["panels", "segments"]
