"""How much of the order a sort would find, on data where that is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ccigkit.structure.assess.sortability import explained, r2_sortability, sortability, varsortability

CHAIN = np.eye(4, k=1, dtype=bool)


def chain(weight: float, n: int = 20_000) -> np.ndarray:
    """a -> b -> c -> d with one weight and unit noise: variances 1, 1 + w^2, 1 + w^2 + w^4, ..."""
    noise = np.random.default_rng(0).normal(size=(n, 4))
    return noise @ np.linalg.inv(np.eye(4) - weight * CHAIN)


def test_raw_variances_give_the_order_of_a_chain_away_and_standardising_takes_that_back() -> None:
    raw = chain(1.5)
    assert varsortability(raw, CHAIN) == 1
    assert varsortability(raw, CHAIN.T) == 0
    standardised = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    assert varsortability(standardised, CHAIN) == 0.5  # all tied


def test_r2_sortability_does_not_depend_on_the_scale() -> None:
    raw = chain(1.5)
    scaled = raw * [100, 1e-3, 7, 0.1]
    assert r2_sortability(raw, CHAIN) == pytest.approx(r2_sortability(scaled, CHAIN))


def test_paths_are_counted_by_length() -> None:
    # 0 -> 1 -> 2 and 0 -> 2: the pair (0, 2) is joined by paths of length one and of length two, so it counts twice
    adjacency = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)
    assert sortability(np.array([1.0, 2.0, 3.0]), adjacency) == 1
    assert sortability(np.array([2.0, 1.0, 3.0]), adjacency) == pytest.approx(3 / 4)
    assert sortability(np.array([1.0, 3.0, 2.0]), adjacency) == pytest.approx(3 / 4)
    assert sortability(np.array([2.0, 3.0, 1.0]), adjacency) == pytest.approx(1 / 4)
    assert sortability(np.array([1.0, 1.0, 1.0]), adjacency) == 0.5


def test_a_graph_without_edges_has_no_order() -> None:
    assert varsortability(chain(1.0), np.zeros((4, 4), dtype=bool)) == 0.5


def test_r2_is_that_of_the_regression_on_all_others() -> None:
    rows = chain(0.8, 500)
    expected = []
    for j in range(4):
        design = np.column_stack([np.ones(len(rows)), np.delete(rows, j, axis=1)])
        residual = rows[:, j] - design @ np.linalg.lstsq(design, rows[:, j])[0]
        expected.append(1 - residual.var() / rows[:, j].var())
    np.testing.assert_allclose(explained(rows), expected)


def test_a_copy_is_wholly_explained_and_one_attribute_not_at_all() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 200))
    np.testing.assert_allclose(explained(np.stack([x, 2 * x, y], axis=1))[:2], 1)
    assert explained(x[:, None]).tolist() == [0]


def test_shares_explained_are_those_of_regressions_one_by_one() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    rows -= rows.mean(axis=0)
    for j, share in enumerate(explained(rows)):
        others = np.delete(rows, j, axis=1)
        left = rows[:, j] - others @ np.linalg.lstsq(others, rows[:, j])[0]
        assert share == pytest.approx(1 - left.var() / rows[:, j].var())


def test_hundreds_of_attributes_take_no_time() -> None:
    rows = np.random.default_rng(0).normal(size=(600, 300))
    start = time.perf_counter()
    r2_sortability(rows, np.triu(np.ones((300, 300), dtype=bool), 1))
    assert time.perf_counter() - start < 5  # a regression for each attribute takes ten times as long
