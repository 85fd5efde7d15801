from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import auditing
from accounts.models import User
from recommendations.models import Bandit, BanditEpoch, BlendVersion
from recommendations.serving import versions
from recommendations.serving.versions import Part


@transaction.atomic
def bandit_end(*, bandit: Bandit, user: User | None, outcome: str) -> Bandit:
    """Shelves follow the published weights again, for everybody. What was counted stays readable; the arms' versions are retired.

    Does nothing to a bandit that has ended.
    """
    locked = Bandit.objects.for_store(bandit.store_id).select_for_update().get(pk=bandit.pk)
    if locked.state == Bandit.State.ENDED:
        return locked
    now = timezone.now()
    locked.state, locked.ended_at, locked.outcome = Bandit.State.ENDED, now, outcome[:200]
    locked.save(update_fields=["state", "ended_at", "outcome"])
    BanditEpoch.objects.for_store(locked.store_id).filter(bandit=locked, ended_at=None).update(ended_at=now)
    tried = BlendVersion.objects.for_store(locked.store_id).filter(arms__bandit=locked)
    tried.filter(state=BlendVersion.State.TRIAL).update(state=BlendVersion.State.RETIRED)
    auditing.record(
        store=locked.store,
        actor=user,
        action="bandit.ended",
        target=f"placement:{locked.placement_id}",
        reason=outcome,
        details={"bandit": locked.pk},
    )
    versions.bump(locked.store_id, Part.BLEND)
    return locked
