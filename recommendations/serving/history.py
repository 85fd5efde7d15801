from __future__ import annotations

from time import monotonic

from profiles.fold import Profile
from profiles.reading import profile_of as read_profile
from recommendations.serving.deadline import Deadline
from recommendations.serving.known import KnownShopper


def profile_of(store_id: int, known: KnownShopper, deadline: Deadline, now: float) -> Profile:
    """What they did lately: from Valkey, else from the log as far as the deadline allows, else empty."""
    return read_profile(store_id, known.who, now=now, deadline=monotonic() + deadline.remaining_seconds)
