"""A few decision trees as plain arrays: LightGBM's predictions, number for number, without LightGBM.

Scoring 200 candidates takes some tens of microseconds. What a feature gave to a prediction is its Shapley value over the paths of
the trees: Lundberg, Erion and Lee, "Consistent Individualized Feature Attribution for Tree Ensembles" (2018), algorithm 2, which is
what LightGBM's `pred_contrib` computes.
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
        rows = np.ascontiguousarray(features, np.float64)
        out = np.zeros((len(rows), rows.shape[1] + 1))
        out[:, -1] = self.expected
        for root in self.roots.tolist():
            for row, given in zip(rows, out, strict=True):
                self._attribute(row, given, root, [])
        return out

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

    def _attribute(self, row: Float64, given: Float64, node: int, path: list[_Step]) -> None:
        """Adds the Shapley values of the subtree at `node`, reached by `path`, to `given` (F + 1,)."""
        if self.feature[node] < 0:
            for place in range(1, len(path)):
                step = path[place]
                weight = sum(entry.share for entry in _unwound(path, place))
                given[step.feature] += weight * (step.one - step.zero) * self.value[node]
            return
        path = path or [_Step(-1, 1.0, 1.0, 1.0)]
        feature = int(self.feature[node])
        goes_left = row[feature] <= self.threshold[node]
        left, right = int(self.left[node]), int(self.right[node])
        zero, one = 1.0, 1.0
        for place in range(1, len(path)):
            if path[place].feature == feature:
                zero, one = path[place].zero, path[place].one
                path = _unwound(path, place)
                break
        for child, is_taken in ((left, goes_left), (right, not goes_left)):
            share = zero * float(self.cover[child] / self.cover[node])
            self._attribute(row, given, child, _extended(path, feature, share, one if is_taken else 0.0))

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


@dataclass(frozen=True, slots=True)
class _Step:
    """A feature on the way to a leaf: the share of rows that go on where it is not known and where it is, and the weight of subsets of
    so many features (Lundberg's d, z, o, w)."""

    feature: int
    zero: float
    one: float
    share: float


def _extended(path: list[_Step], feature: int, zero: float, one: float) -> list[_Step]:
    depth = len(path)
    shares = [step.share for step in path] + [0.0]
    for place in range(depth - 1, -1, -1):
        shares[place + 1] += one * shares[place] * (place + 1) / (depth + 1)
        shares[place] = zero * shares[place] * (depth - place) / (depth + 1)
    steps = [*path, _Step(feature, zero, one, 0.0)]
    return [
        _Step(step.feature, step.zero, step.one, share) for step, share in zip(steps, shares, strict=True)
    ]


def _unwound(path: list[_Step], place: int) -> list[_Step]:
    """The path as if the step at `place` had not been made."""
    last = len(path) - 1
    one, zero = path[place].one, path[place].zero
    shares = [step.share for step in path]
    following = shares[last]
    for i in range(last - 1, -1, -1):
        if one != 0.0:
            before = shares[i]
            shares[i] = following * (last + 1) / ((i + 1) * one)
            following = before - shares[i] * zero * (last - i) / (last + 1)
        else:
            shares[i] = shares[i] * (last + 1) / (zero * (last - i))
    kept = [step for i, step in enumerate(path) if i != place]
    return [
        _Step(step.feature, step.zero, step.one, share)
        for step, share in zip(kept, shares[:last], strict=True)
    ]
