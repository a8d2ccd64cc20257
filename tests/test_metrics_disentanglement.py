"""Disentanglement and graph metrics: codes and graphs whose score is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ccigkit.attributes import Attribute, Attributes, Table
from ccigkit.graph import CausalGraph

from ccigkit import testing
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.errors import DataError
from ccigkit.metrics.disentanglement import (
    Array,
    Disentanglement,
    Factors,
    correlations,
    dci,
    generativeness,
    irs,
    lead,
    mcc,
    mig,
    owners,
    scores,
    separations,
    unconfoundedness,
)
from ccigkit.metrics.graph import Graph, against, random_graph
from tests.outside import Unchanging


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def toy(n: int = 800, seed: int = 0) -> tuple[Array, Factors]:
    """Two independent numbers and a label, and codes that are these, in another order, and one of nothing."""
    random = np.random.default_rng(seed)
    values = np.stack([random.uniform(-1, 1, n), random.uniform(-1, 1, n), random.integers(0, 2, n)], axis=1)
    kinds = [Attribute("a", "continuous"), Attribute("b", "continuous"), Attribute("c", "binary")]
    factors = Factors.of(torch.as_tensor(values), Table.fit(kinds, values).attributes)
    codes = factors.latents[:, [2, 0, 1]]
    return np.concatenate([codes, random.normal(size=(n, 1))], axis=1), factors


def rotated(codes: Array) -> Array:
    """The same codes, every one of the first three mixed of all three."""
    mixed = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    return np.concatenate([codes[:, :3] @ mixed, codes[:, 3:]], axis=1)


def test_dci_by_hand() -> None:
    assert dci(np.array([[1.0, 0.0], [0.0, 1.0]])) == (1, 1)
    assert dci(np.ones((2, 2))) == pytest.approx((0, 0))
    split = np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 1.0]])  # the first factor is in two codes: still each tells one
    disentangled, complete = dci(split)
    assert disentangled == pytest.approx(1)
    assert complete == pytest.approx((1 - math.log(2) / math.log(3) + 1) / 2)


def test_a_code_for_each_factor_is_disentangled() -> None:
    codes, factors = toy()
    found, mixed = scores(codes, factors, 0), scores(rotated(codes), factors, 0)
    assert found["mcc"] == pytest.approx(1)
    assert found["accuracy"] == 1
    assert found["dci_d"] > 0.95
    assert found["r2"] > 0.98
    assert found["mig"] > 0.8
    for column in ("dci_d", "dci_c", "mcc", "sap", "mig"):
        assert found[column] > mixed[column] + 0.05, column
    assert irs(codes[:, :3], factors) > irs(rotated(codes)[:, :3], factors) + 0.1


def test_scores_do_not_look_at_the_order_of_codes() -> None:
    codes, factors = toy()
    for score in (lambda c: mcc(c, factors.latents), lambda c: mig(c, factors), lambda c: irs(c, factors)):
        assert score(codes) == pytest.approx(score(codes[:, [3, 1, 0, 2]]))


def test_separation_and_lead_by_hand() -> None:
    codes, factors = toy()
    found = separations(codes, factors, 0)
    assert found[1, 0] == pytest.approx(1), "the second code is the first number"
    assert found[0, 2] == 1, "the first code is the label"
    assert abs(found[3, 2] - 0.5) < 0.1, "and the last tells nothing"
    assert lead(np.array([[1.0, 0.2], [0.4, 0.9]])) == pytest.approx((0.6 + 0.7) / 2)


def test_matching_by_hand() -> None:
    factors = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    codes = np.stack([-factors[:, 1], np.zeros(4), factors.sum(axis=1)], axis=1)
    assert correlations(codes, factors) == pytest.approx(np.array([[0, 1], [0, 0], [0.5**0.5, 0.5**0.5]]))
    assert mcc(codes, factors) == pytest.approx((1 + 0.5**0.5) / 2)


def test_a_code_is_robust_where_only_its_own_factor_moves_it() -> None:
    codes, factors = toy()
    label = codes[:, :1]  # the label itself: held, it does not move at all
    assert irs(label, factors) == pytest.approx(1)
    assert irs(codes[:, 3:], factors) < 0.5, "noise is moved by everything"


def test_each_factor_has_a_code_of_its_own_or_not() -> None:
    codes, factors = toy()
    assert owners(codes, factors.latents) == [1, 2, 0]
    assert unconfoundedness([1, 2, 0]) == 1
    assert unconfoundedness([1, 1, 0]) == pytest.approx(2 / 3), "one pair of three shares its code"
    assert unconfoundedness([0]) == 1


def test_generativeness_by_hand() -> None:
    class Reader:
        attributes = Attributes([Attribute("a", "continuous", high=2.0), Attribute("b", "continuous")])

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            return images

    def draw(codes: Array) -> torch.Tensor:  # the first factor is the first code, the second is half of each
        return torch.as_tensor(np.stack([codes[:, 0], codes.mean(axis=1)], axis=1))

    codes = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])  # each goes to its other end: by 2
    reader: Any = Reader()
    assert generativeness(draw, reader, codes, [0]) == pytest.approx(1), "2 of 2 by its own code, 0 by the other"
    assert generativeness(draw, reader, codes, [0, 1]) == pytest.approx(0.5), "and 1 by its own, 1 by the other"


def test_factors_are_set_one_by_one_where_the_data_can() -> None:
    data = Pendulum(n=1000, size=32)
    model, _ = testing.toy_model(data.image_shape, data.table())
    rows = Disentanglement(n=200, generated=20, predictor_steps=100).measure(model.eval(), data)
    assert [row["row"] for row in rows] == ["model", "oracle", "shuffled"]
    assert {row["do"] for row in rows} == {"each alone"}
    oracle, shuffled = rows[1:]
    assert oracle["mcc"] == pytest.approx(1)
    assert float(oracle["r2"]) > 0.9 > 0.1 > float(shuffled["r2"])
    assert float(oracle["irs"]) > float(shuffled["irs"]) + 0.3
    assert oracle["uc"] == 1
    assert 0 <= float(rows[0]["cg"]) < float(oracle["cg"]) <= 1
    assert math.isnan(float(shuffled["cg"]))
    with pytest.raises(DataError, match="Unchanging shows none"):
        Disentanglement(n=200).measure(Unchanging(data), data)


def test_a_graph_against_the_truth_by_hand() -> None:
    truth = CausalGraph.from_edges(("a", "b", "c"), ["a -> b", "b -> c"])
    ours = CausalGraph.from_edges(("a", "b", "c"), ["b -> a", "b -> c", "a -> c"])
    found = against(ours, truth)
    assert (found["shd"], found["precision"], found["recall"]) == (2, pytest.approx(1 / 3), 0.5)
    assert found["skeleton_f1"] == pytest.approx(2 * 2 / (3 + 2))


def test_distances_are_those_of_gadjid_on_a_thousand_graphs() -> None:
    gadjid = pytest.importorskip("gadjid")
    random = np.random.default_rng(0)
    for _ in range(1000):
        size = int(random.integers(2, 21))
        names = tuple(f"v{i}" for i in range(size))
        truth, ours = (
            random_graph(names, int(random.integers(0, size * (size - 1) // 2 + 1)), random) for _ in range(2)
        )
        found = against(ours, truth)
        matrices = [(graph.adjacency != 0).astype(np.int8) for graph in (truth, ours)]
        assert found["shd"] == gadjid.shd(*matrices)[1]
        assert found["sid"] == gadjid.sid(*matrices, edge_direction="from row to column")[1]


def test_the_graph_s_controls() -> None:
    data = Pendulum(n=60, size=32)
    model, _ = testing.toy_model(data.image_shape, data.table())
    rows = {row["row"]: row for row in Graph().measure(model, data)}
    assert (rows["model"]["shd"], rows["oracle"]["shd"], rows["empty"]["shd"]) == (0, 0, 4)
    assert float(rows["random"]["shd"]) > 0
    with pytest.raises(DataError, match="Unchanging shows none"):
        Graph().measure(Unchanging(data), data)


@pytest.mark.parametrize(("metric", "options"), [(Disentanglement, {"predictor_steps": 2}), (Graph, {})])
def test_they_keep_the_contract(metric: type, options: dict[str, Any]) -> None:
    testing.check(metric, **options)
