"""The Open Bandit Dataset (Saito, Aihara, Matsutani and Narita, arXiv:2008.07146): fashion items in three places of a page,
shown at random and by Bernoulli Thompson sampling in the same week, with propensities and clicks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from algorithms.off_policy import LoggedFeedback
from algorithms.types import Float64, Int32

COLUMNS: Final = ("timestamp_utc", "item_id", "position", "click", "action_prob")


class UnreadableLog(ValueError):
    """The folder does not hold what is needed; says what is missing."""


@dataclass(frozen=True)
class Campaign:
    """One campaign's two logs. Contexts are the places of the page, actions the items. `random_days`: (n,) days since the log's first."""

    name: str
    random: LoggedFeedback
    thompson: LoggedFeedback
    random_days: Int32


def read(folder: Path) -> list[Campaign]:
    """Every campaign that both policies served, by name. Raises UnreadableLog."""
    names = sorted(path.stem.removeprefix("random_") for path in folder.glob("random_*.parquet"))
    found = [name for name in names if (folder / f"bts_{name}.parquet").exists()]
    if not found:
        raise UnreadableLog(
            f"{folder} holds no campaign: need random_NAME.parquet and bts_NAME.parquet, as in the Open Bandit Dataset."
        )
    return [_campaign(folder, name) for name in found]


def _campaign(folder: Path, name: str) -> Campaign:
    tables = {policy: _table(folder / f"{policy}_{name}.parquet") for policy in ("random", "bts")}
    items = np.unique(np.concatenate([_column(table, "item_id") for table in tables.values()]))
    places = np.unique(np.concatenate([_column(table, "position") for table in tables.values()]))
    random, thompson = (
        LoggedFeedback(
            contexts=np.searchsorted(places, _column(table, "position")).astype(np.int32),
            actions=np.searchsorted(items, _column(table, "item_id")).astype(np.int32),
            rewards=_column(table, "click").astype(np.float64),
            propensities=_column(table, "action_prob").astype(np.float64),
            n_actions=len(items),
        )
        for table in tables.values()
    )
    moments = tables["random"]["timestamp_utc"].to_numpy().astype("datetime64[D]")
    return Campaign(name, random, thompson, (moments - moments.min()).astype(np.int32))


def _table(path: Path) -> pa.Table:
    present = pq.read_schema(path).names
    if missing := [name for name in COLUMNS if name not in present]:
        raise UnreadableLog(f"{path} has no column {', '.join(missing)}.")
    return pq.read_table(path, columns=list(COLUMNS))


def _column(table: pa.Table, name: str) -> Float64:
    return np.asarray(table[name].to_numpy())
