"""The plugin's learner keeps ccigkit's laws and finds a truth that covariances alone would leave open."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from itertools import pairwise

import numpy as np
import pytest
from ccigkit_lingam import DirectLiNGAM, prior

from ccigkit import Attribute, CausalGraph, Knowledge, Table
from ccigkit.component.options import resolve
from ccigkit.errors import ConfigError, DataError
from ccigkit.testing import check

NAMES = ("wind", "waves", "sand", "foam")
TRUTH = CausalGraph.from_edges(
    NAMES, ["sand -> waves : 0.8", "waves -> wind : -0.9", "sand -> foam : 0.7", "wind -> foam : 0.8"]
)


def table(n: int = 4000, seed: int = 0) -> Table:
    """Uniform noise through TRUTH, whose causal order (sand, waves, wind, foam) is not the order of the columns."""
    noise = np.random.default_rng(seed).uniform(-1, 1, (n, 4))
    return Table.fit(
        [Attribute(name, "continuous") for name in NAMES], noise @ np.linalg.inv(np.eye(4) - TRUTH.strengths)
    )


def learn(knowledge: Knowledge, **options: float) -> CausalGraph:
    return DirectLiNGAM(NAMES, **options).learn(table(), knowledge)


def test_it_keeps_the_contract_of_its_kind() -> None:
    check(DirectLiNGAM)


def test_it_is_found_through_its_entry_point() -> None:
    points = entry_points(group="ccigkit", name="lingam")
    assert {component for point in points for component in point.load().ccigkit_components()} == {DirectLiNGAM}


def test_it_recovers_every_arrow_and_its_direction() -> None:
    assert learn(Knowledge()).edges == TRUTH.edges


@pytest.mark.parametrize("way", ["cause -> effect", "effect -> cause"])
def test_of_two_attributes_it_finds_the_cause(way: str) -> None:
    # Two columns and one edge: a transposed matrix could not go unnoticed here.
    names = ("cause", "effect") if way.startswith("cause") else ("effect", "cause")
    cause, noise = np.random.default_rng(1).uniform(-1, 1, (2, 3000))
    columns = {"cause": cause, "effect": 0.8 * cause + 0.5 * noise}
    pair = Table.fit([Attribute(name, "continuous") for name in names], np.stack([columns[n] for n in names], axis=1))
    assert DirectLiNGAM(names).learn(pair, Knowledge()).edges == [("cause", "effect")]


def test_the_global_seeds_stay_where_causal_learn_is_imported_first() -> None:
    script = """
import random
import numpy as np
from ccigkit import Knowledge, Table
from ccigkit_lingam import DirectLiNGAM
table = Table.of({"a": [0.1, 0.2, 0.4, 0.3], "b": [0.3, 0.1, 0.2, 0.25]})
random.seed(1)
np.random.seed(1)
expected = random.getstate(), repr(np.random.get_state())
DirectLiNGAM(table.names).learn(table, Knowledge())
assert (random.getstate(), repr(np.random.get_state())) == expected
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_required_is_there_even_against_the_data() -> None:
    against = frozenset({("wind", "waves")})  # the truth is the other way round
    assert ("wind", "waves") in learn(Knowledge(required=against)).edges
    assert ("foam", "sand") in learn(Knowledge(required=frozenset({("foam", "sand")}))).edges


def test_what_is_forbidden_is_not_there() -> None:
    known = Knowledge(forbidden=frozenset({("sand", "waves"), ("waves", "sand")}), leaves=frozenset({"wind"}))
    graph = learn(known)
    assert not (graph.adjacency & ~known.allowed(NAMES)).any()


def test_tiers_order_the_graph() -> None:
    tiers = (("foam",), ("wind",), ("waves", "sand"))  # nearly the truth upside down
    place = {name: depth for depth, tier in enumerate(tiers) for name in tier}
    graph = learn(Knowledge(tiers=tiers))
    assert graph.edges
    assert all(place[cause] <= place[effect] for cause, effect in graph.edges)


def test_a_forbidden_edge_leaves_the_detour_open() -> None:
    # In a ring of allowed edges everything may reach everything: nothing is known of paths.
    ring = np.zeros((3, 3), dtype=bool)
    for i, j in pairwise((0, 1, 2, 0)):
        ring[i, j] = True
    none = np.zeros_like(ring)
    assert (prior(ring, none) == -1).all()
    chain = np.triu(np.ones((3, 3), dtype=bool), 1)
    assert prior(chain, none)[0, 2] == 0, "rows are effects: there is no path from the last to the first"
    assert prior(chain, np.eye(3, k=1, dtype=bool))[2, 0] == 1, "and there is one from the first to the last"


def test_the_threshold_prunes() -> None:
    assert learn(Knowledge(), threshold=10.0).edges == []
    with pytest.raises(ConfigError, match=r"threshold=-1\.0 must be at least 0"):
        resolve(DirectLiNGAM, {"threshold": -1.0}, "structure")


def test_attributes_that_follow_from_each_other_are_refused_by_name() -> None:
    x = np.random.default_rng(0).uniform(size=(500, 2))
    twice = Table.fit(
        [Attribute(name, "continuous") for name in "abc"], np.column_stack([x[:, 0], x[:, 1], 2 * x[:, 0]])
    )
    with pytest.raises(DataError, match="columns a and c are collinear"):
        DirectLiNGAM(("a", "b", "c")).learn(twice, Knowledge())


def test_hard_labels_are_noted() -> None:
    random = np.random.default_rng(0)
    labels = (random.uniform(size=(800, 2)) < 0.5).astype(float)
    graph = DirectLiNGAM(("a", "b")).learn(
        Table.fit([Attribute("a", "binary"), Attribute("b", "binary")], labels), Knowledge()
    )
    assert "hard labels: a, b" in graph.notes[0]


def test_what_would_take_too_long_is_refused_beforehand() -> None:
    names = tuple(f"x{i}" for i in range(20))
    rows = np.random.default_rng(0).uniform(-1, 1, (2000, 20))
    many = Table.fit([Attribute(name, "continuous") for name in names], rows)
    with pytest.raises(DataError, match=r"lingam would take .* \(by what 6 and 12 of the 20 attributes take\)"):
        DirectLiNGAM(names, limit=1e-3).learn(many, Knowledge())
    assert DirectLiNGAM(names, limit=0.0).learn(many, Knowledge()) == DirectLiNGAM(names).learn(many, Knowledge())
