"""What a shopper did lately: out of what Valkey gave, and where it gave nothing out of the log."""

from __future__ import annotations

from time import monotonic
from typing import Final

from profiles.fold import Profile
from profiles.reading import Folded, StoredProfile, folded
from profiles.reading import profile_of as read_profile
from recommendations.serving.deadline import Deadline
from recommendations.serving.known import KnownShopper
from recommendations.serving.recent import Recent

KEPT_SECONDS: Final = 300.0
KEPT: Final = 2_000

_folded: Recent[Folded] = Recent(seconds=KEPT_SECONDS, capacity=KEPT)


def profile_from(store_id: int, known: KnownShopper, stored: StoredProfile, now: float) -> Profile:
    """The same as folding all of `stored`; of who came lately, only what they did since then is folded."""
    key = (store_id, known.key)
    found = folded(known.who, stored, now, _folded.get(key))
    _folded.put(key, found)
    return found.profile


def profile_of(store_id: int, known: KnownShopper, deadline: Deadline, now: float) -> Profile:
    """What they did lately: from Valkey, else from the log as far as the deadline allows, else empty."""
    return read_profile(store_id, known.who, now=now, deadline=monotonic() + deadline.remaining_seconds)


def forget_all() -> None:
    _folded.clear()
