"""Where a drawn graph's attributes and arrows stand."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from ccigkit.graph import CausalGraph

from ccigkit.show.layout import Layout, layered

LANE, LETTER = 0.4, 0.08


def random_graph(size: int, seed: int) -> CausalGraph:
    random = np.random.default_rng(seed)
    names = tuple(f"Name_{'x' * int(random.integers(12))}{i}" for i in range(size))
    order = random.permutation(size)
    edges = np.triu(random.random((size, size)) < 4 / size, 1)
    return CausalGraph(names, edges[np.ix_(order, order)].astype(float))


@pytest.mark.parametrize("size", [1, 2, 7, 20, 40])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_in_a_layer_meets_and_all_is_on_the_page(size: int, seed: int) -> None:
    graph = random_graph(size, seed)
    drawn = layered(graph, letter=LETTER, lane=LANE)
    spots = [(point, LETTER * len(name) + 0.5) for name, point in drawn.places.items()]
    spots += [(point, LANE) for way in drawn.arrows.values() for point in way[1:-1]]
    for ((x, y), wide), ((a, b), other) in combinations(spots, 2):
        assert y != b or abs(x - a) >= (wide + other) / 2 - 1e-9
    for (x, y), wide in spots:
        assert wide / 2 - 1e-9 <= x <= drawn.width - wide / 2 + 1e-9
        assert 0 < y < drawn.height


def test_every_arrow_leads_down_from_its_cause_to_its_effect_layer_by_layer() -> None:
    graph = random_graph(20, 0)
    drawn = layered(graph, step=1.3)
    assert set(drawn.arrows) == set(graph.edges)
    for (cause, effect), way in drawn.arrows.items():
        assert (way[0], way[-1]) == (drawn.places[cause], drawn.places[effect])
        np.testing.assert_allclose(np.diff([y for _, y in way]), 1.3)


def test_arrows_that_need_not_cross_do_not() -> None:
    names = tuple("abcdefgh")
    edges = {("a", "h"), ("b", "g"), ("c", "f"), ("d", "e"), ("h", "c"), ("a", "d")}
    drawn = layered(CausalGraph(names, np.array([[float((i, j) in edges) for j in names] for i in names])))
    assert not crossed(drawn)
    square = CausalGraph(tuple("abcd"), np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0] * 4, [0] * 4], dtype=float))
    assert len(crossed(layered(square))) == 1  # the least there can be


def crossed(drawn: Layout) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Pairs of arrows that swap sides between two layers."""
    steps = [(edge, *step) for edge, way in drawn.arrows.items() for step in pairwise(way)]
    return [
        (one, two)
        for (one, (a, y), (b, _)), (two, (c, at), (d, _)) in combinations(steps, 2)
        if y == at and (a - c) * (b - d) < -1e-9
    ]
