"""Which state of a request may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from consent.models import DataSubjectRequest

State = DataSubjectRequest.State

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    State.IDENTITY_UNVERIFIED: frozenset(
        {State.PENDING, State.DENIED, State.REQUIRES_INPUT, State.DUPLICATE, State.CANCELLED}
    ),
    State.PENDING: frozenset(
        {State.APPROVED, State.DENIED, State.REQUIRES_INPUT, State.PAUSED, State.DUPLICATE, State.CANCELLED}
    ),
    # Back to unverified: an agent has sent the permission, and the person has not confirmed it yet.
    State.REQUIRES_INPUT: frozenset(
        {State.IDENTITY_UNVERIFIED, State.PENDING, State.DENIED, State.DUPLICATE, State.CANCELLED}
    ),
    State.PAUSED: frozenset({State.PENDING, State.CANCELLED}),
    State.APPROVED: frozenset({State.PROCESSING, State.CANCELLED}),
    State.PROCESSING: frozenset({State.COMPLETE, State.PENDING_EXTERNAL, State.ERROR}),
    State.PENDING_EXTERNAL: frozenset({State.PROCESSING, State.COMPLETE, State.ERROR}),
    State.ERROR: frozenset({State.PROCESSING, State.COMPLETE, State.PENDING_EXTERNAL}),
    State.COMPLETE: frozenset(),
    State.DENIED: frozenset(),
    State.DUPLICATE: frozenset(),
    State.CANCELLED: frozenset(),
}
FINAL: Final = frozenset(state for state, following in TRANSITIONS.items() if not following)
OPEN: Final = frozenset(TRANSITIONS) - FINAL
WAITING_FOR_DECISION: Final = frozenset({State.PENDING})
UNDER_WAY: Final = frozenset({State.APPROVED, State.PROCESSING, State.PENDING_EXTERNAL, State.ERROR})


class InvalidTransition(ValueError):
    """A request cannot go from its state to the one asked for."""


def check_transition(current: str, following: str) -> None:
    """Raises InvalidTransition, naming what would be possible."""
    if following not in TRANSITIONS[current]:
        possible = ", ".join(sorted(TRANSITIONS[current])) or "nothing: it is closed"
        raise InvalidTransition(
            f"A request that is {current} cannot become {following}; possible: {possible}."
        )
