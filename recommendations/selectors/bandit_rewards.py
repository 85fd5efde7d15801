"""What shoppers did under each arm of a bandit: read from impressions, clicks and orders, so that it can be counted again at any time.

A trial is a shopper in an epoch: shares are drawn by shopper and epoch, and one person's clicks are not independent of each other.
Everybody is watched for equally long after they first saw the shelf; who saw it too lately is not counted yet, so that an arm that
was shown more of late does not look worse than it is. Whoever saw two arms (a browser that became a customer) is left out.
Impressions exist only of people who permit analytics, and arms are drawn only for people who permit personalisation too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from algorithms.bandit import Tally
from recommendations.models import Bandit, BanditEpoch
from recommendations.selectors.engagement import SALES, Period, sale_parameters

_COUNTS: Final = f"""
WITH seen AS (
    SELECT coalesce('c' || customer_id, 'v' || visitor_id) AS shopper, request_id, bandit_epoch AS epoch, bandit_arm AS arm,
           min(seen_at) AS seen_at
      FROM recommendations_impression
     WHERE store_id = %(store)s AND seen_at >= %(seen_since)s AND bandit_arm = ANY(%(arms)s) AND bandit_epoch = ANY(%(epochs)s)
       AND (customer_id IS NOT NULL OR visitor_id IS NOT NULL)
     GROUP BY 1, 2, 3, 4
), trial AS (
    SELECT shopper, epoch, min(arm) AS arm, min(seen_at) AS first_seen
      FROM seen GROUP BY 1, 2
    HAVING count(DISTINCT arm) = 1 AND min(seen_at) <= %(until)s - %(reward_window)s::interval
), clicked AS (
    SELECT DISTINCT trial.shopper, trial.epoch
      FROM trial JOIN seen USING (shopper, epoch)
      JOIN recommendations_impressionclick click ON click.store_id = %(store)s AND click.request_id = seen.request_id
     WHERE click.clicked_at >= trial.first_seen AND click.clicked_at < trial.first_seen + %(reward_window)s::interval
), bought AS (
    SELECT DISTINCT trial.shopper, trial.epoch
      FROM trial JOIN seen USING (shopper, epoch)
      JOIN ({SALES}) sale ON sale.request_id = seen.request_id
      JOIN clicked ON clicked.shopper = trial.shopper AND clicked.epoch = trial.epoch
     WHERE sale.placed_at >= trial.first_seen AND sale.placed_at < trial.first_seen + %(reward_window)s::interval
)
SELECT trial.epoch, trial.arm, count(*), count(clicked.shopper), count(bought.shopper)
  FROM trial LEFT JOIN clicked USING (shopper, epoch) LEFT JOIN bought USING (shopper, epoch)
 GROUP BY 1, 2
"""


def count_rewards(
    bandit: Bandit, epochs: Iterable[BanditEpoch], now: datetime
) -> dict[tuple[int, int], Tally]:
    """(epoch's number, arm's primary key) → what its shoppers did within their time. One query; none for no epochs."""
    asked = list(epochs)
    if not asked:
        return {}
    window = timedelta(hours=bandit.reward_window_hours)
    since = min(epoch.began_at for epoch in asked)
    parameters: dict[str, Any] = {
        **sale_parameters(bandit.store, Period(since, now)),
        # A clock that runs behind may have seen the shelf before the epoch began.
        "seen_since": since - timedelta(hours=1),
        "reward_window": window,
        "epochs": [epoch.number for epoch in asked],
        "arms": list(bandit.arms.values_list("pk", flat=True)),
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, parameters)
        return {
            (epoch, arm): Tally(shoppers, clickers, buyers)
            for epoch, arm, shoppers, clickers, buyers in cursor.fetchall()
        }
