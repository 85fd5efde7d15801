"""A few decision trees as plain arrays: LightGBM's predictions, number for number, without LightGBM.

Scoring 100 candidates takes some tens of microseconds. What a feature gave to a prediction is its Shapley value over the paths of
the trees: Lundberg, Erion and Lee, "Consistent Individualized Feature Attribution for Tree Ensembles" (2018), which is what
LightGBM's `pred_contrib` computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numba
import numpy as np

from algorithms.types import Array, Float64, Int32


@dataclass(frozen=True)
class Trees:
    """All nodes one after the other; tree t begins at `roots[t]`, its root. Children are node numbers of the whole."""

    roots: Int32  # (trees,)
    feature: Int32  # (nodes,) column to compare, -1 for a leaf
    threshold: Float64  # (nodes,) to the left where the value is ≤ it
    left: Int32  # (nodes,)
    right: Int32  # (nodes,)
    value: Float64  # (nodes,) what a leaf adds
    cover: Float64  # (nodes,) training rows that came through

    @classmethod
    def from_lightgbm(cls, dump: Mapping[str, Any]) -> Self:
        """From `Booster.dump_model()`. Raises ValueError for what is not supported: categorical splits, missing values, linear leaves."""
        nodes: list[tuple[int, float, int, int, float, float]] = []
        roots = [_add(tree["tree_structure"], nodes) for tree in dump["tree_info"]]
        columns = list(zip(*nodes, strict=True)) if nodes else [()] * 6
        kinds = (np.int32, np.float64, np.int32, np.int32, np.float64, np.float64)
        arrays = [np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
        return cls(np.array(roots, np.int32), *arrays)

    def __len__(self) -> int:
        return len(self.roots)

    def predict(self, features: Float64) -> Float64:
        """(rows,) from `features` (rows, F), float64: the sum of the leaves that each row falls into, in the order of the trees."""
        return _predict(
            np.ascontiguousarray(features, np.float64),
            self.roots,
            self.feature,
            self.threshold,
            self.left,
            self.right,
            self.value,
        )

    def contributions(self, features: Float64) -> Float64:
        """(rows, F + 1): what each feature gave to the prediction, and last what is expected of any row. Rows sum up to `predict`."""
        out = np.zeros((len(features), features.shape[1] + 1))
        out[:, -1] = self.expected
        rows = np.ascontiguousarray(features, np.float64)
        _attribute(out, rows, self._parent, self.feature, self.threshold, self.left, self.value, self.cover)
        return out

    @cached_property
    def _parent(self) -> Int32:
        """(nodes,) -1 for a root."""
        parent = np.full(len(self.feature), -1, np.int32)
        inner = np.flatnonzero(self.feature >= 0).astype(np.int32)
        parent[self.left[inner]] = inner
        parent[self.right[inner]] = inner
        return parent

    @cached_property
    def expected(self) -> float:
        """The mean prediction over the training rows."""
        return sum((self._expected(root) for root in self.roots.tolist()), 0.0)

    def _expected(self, node: int) -> float:
        if self.feature[node] < 0:
            return float(self.value[node])
        left, right = int(self.left[node]), int(self.right[node])
        mass = self.cover[left] * self._expected(left) + self.cover[right] * self._expected(right)
        return float(mass / self.cover[node])

    def arrays(self) -> dict[str, Array]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """Arrays may be read-only memory maps."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def _add(node: Mapping[str, Any], nodes: list[tuple[int, float, int, int, float, float]]) -> int:
    number = len(nodes)
    if "split_feature" not in node:
        if "leaf_coeff" in node:
            raise ValueError("trees with linear leaves are not supported: train without linear_tree")
        nodes.append((-1, 0.0, -1, -1, float(node["leaf_value"]), float(node.get("leaf_count", 0))))
        return number
    if node["decision_type"] != "<=" or node["missing_type"] != "None":
        raise ValueError("only splits by ≤ without missing values are supported: train with use_missing off")
    nodes.append((0, 0.0, 0, 0, 0.0, 0.0))
    left, right = _add(node["left_child"], nodes), _add(node["right_child"], nodes)
    count = float(node["internal_count"])
    nodes[number] = (int(node["split_feature"]), float(node["threshold"]), left, right, 0.0, count)
    return number


@numba.njit(nogil=True, cache=True)
def _predict(
    features: Float64,
    roots: Int32,
    feature: Int32,
    threshold: Float64,
    left: Int32,
    right: Int32,
    value: Float64,
) -> Float64:
    out = np.zeros(len(features))
    for row in range(len(features)):
        for root in roots:
            node = root
            while feature[node] >= 0:
                node = left[node] if features[row, feature[node]] <= threshold[node] else right[node]
            out[row] += value[node]
    return out


@numba.njit(nogil=True, cache=True)
def _attribute(
    out: Float64,
    rows: Float64,
    parent: Int32,
    feature: Int32,
    threshold: Float64,
    left: Int32,
    value: Float64,
    cover: Float64,
) -> None:
    """Adds to `out` the Shapley values of each leaf.

    A leaf is reached with what is known of a set of features with probability Π one (for those in the set: 1 if the row goes its way, else
    0) · Π zero (for the others: the share of training rows that do). The mean over all orders of what a feature adds to that is
    (one - zero) · Σ_k c_k · k! (m - 1 - k)! / m!, where c_k are the coefficients of Π over the other features of (zero + one · t).
    """
    path = np.empty(len(feature), np.int32)
    zero, one = np.empty(len(feature)), np.empty(len(feature))
    coefficients = np.empty(len(feature) + 1)
    for leaf in range(len(feature)):
        if feature[leaf] >= 0:
            continue
        for row in range(len(rows)):
            m = 0
            node = leaf
            while parent[node] >= 0:
                above = parent[node]
                place = m
                for other in range(m):
                    if path[other] == feature[above]:
                        place = other
                if place == m:
                    path[m], zero[m], one[m] = feature[above], 1.0, 1.0
                    m += 1
                zero[place] *= cover[node] / cover[above]
                goes_left = rows[row, feature[above]] <= threshold[above]
                if goes_left != (left[above] == node):
                    one[place] = 0.0
                node = above
            for i in range(m):
                coefficients[:m] = 0.0
                coefficients[0] = 1.0
                for j in range(m):
                    if j != i:
                        for k in range(m - 1, 0, -1):
                            coefficients[k] = coefficients[k] * zero[j] + coefficients[k - 1] * one[j]
                        coefficients[0] *= zero[j]
                weight, mean = 1.0 / m, 0.0
                for k in range(m):
                    mean += coefficients[k] * weight
                    weight *= (k + 1) / max(m - 1 - k, 1)
                out[row, path[i]] += mean * (one[i] - zero[i]) * value[leaf]
