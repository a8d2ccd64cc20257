"""The bootstrap: frequencies, their consensus, and what a person gets to see and to edit."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ccigkit.attributes import Attribute, Table
from ccigkit.errors import ConfigError, DataError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.structure.assess.bootstrap import Bootstrap, bootstrap, consent, resample
from ccigkit.structure.learners.notears import Notears
from tests.helpers import ccigkit, command, environment
from tests.simulate import linear

TIERS = Knowledge(tiers=(("a",), ("b", "c"), ("d",), ("e", "f")))


@pytest.fixture(scope="module")
def resampled() -> Bootstrap:
    table = linear(300)
    return bootstrap(Notears(table.names), table, Knowledge(), samples=6, workers=1)


def test_frequencies_are_shares_of_acyclic_graphs(resampled: Bootstrap) -> None:
    shares = resampled.arrows * resampled.samples
    np.testing.assert_allclose(shares, shares.round())
    assert (resampled.adjacent <= 1).all()  # no graph has an edge in both directions
    np.testing.assert_array_equal(resampled.adjacent, resampled.adjacent.T)
    assert resampled.samples == 6


def test_strong_edges_are_found_in_all_resamples(resampled: Bootstrap) -> None:
    truth = linear(300).truth
    assert truth is not None
    assert (resampled.adjacent[truth.adjacency] == 1).all()


def test_neither_workers_nor_the_order_of_rows_and_columns_change_anything(resampled: Bootstrap) -> None:
    table = linear(300)
    names, rows = list("fbdace"), np.random.default_rng(0).permutation(300)
    other = Table.fit(table.attributes, table.values[rows], table.truth).reordered(names)
    again = bootstrap(Notears(other.names), other, Knowledge(), samples=6, workers=2)
    at = [other.attributes.index(name) for name in table.names]
    np.testing.assert_array_equal(again.arrows[np.ix_(at, at)], resampled.arrows)
    assert set(again.graph.edges) == set(resampled.graph.edges)
    assert again.remarks().keys() == resampled.remarks().keys()


def test_what_is_known_holds_in_the_consensus() -> None:
    table = linear(200)
    known = Knowledge(required=frozenset({("f", "a")}), forbidden=frozenset({("d", "e")}))
    found = bootstrap(Notears(table.names), table, known, samples=3, workers=1)
    assert found.arrows[table.names.index("f"), table.names.index("a")] == 1
    assert (found.graph.adjacency >= known.required_edges(table.names)).all()
    assert not (found.graph.adjacency & ~known.allowed(table.names)).any()


def test_every_number_draws_rows_of_its_own_and_the_seed_draws_them_again() -> None:
    table = linear(50)
    first, second, other = (resample(table, *at).values for at in ((0, 0), (0, 1), (1, 0)))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(first, resample(table, 0, 0).values)
    assert {tuple(row) for row in first} <= {tuple(row) for row in table.values}
    assert np.allclose(resample(table, 0, 0).latents.std(axis=0, ddof=1), 1)  # standardised anew


def test_the_learner_and_the_random_numbers_of_the_process_stay_as_they_are() -> None:
    table, done = linear(100), []
    learner = Notears(table.names)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    bootstrap(learner, table, Knowledge(), samples=3, workers=1, on_done=lambda: done.append(1))
    assert torch.rand(1) == expected
    assert not learner.weights.any()
    assert len(done) == 3


# --- the consensus ----------------------------------------------------------------------------------------------------


def edges(matrix: np.ndarray) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in np.argwhere(matrix)]


def test_the_consensus_takes_what_half_the_graphs_join_in_the_direction_of_more() -> None:
    assert edges(consent(np.array([[0, 0.2], [0.3, 0]]))) == [(1, 0)]
    assert edges(consent(np.array([[0, 0.2], [0.2, 0]]))) == []
    assert edges(consent(np.array([[0, 0.3], [0.3, 0]]))) == [(0, 1)]


def test_of_a_cycle_the_least_frequent_arrow_stays_out() -> None:
    arrows = np.zeros((3, 3))
    arrows[0, 1], arrows[1, 2], arrows[2, 0] = 0.6, 0.7, 0.55
    assert edges(consent(arrows)) == [(0, 1), (1, 2)]


def test_remarks_tell_of_the_consensus_first_and_of_a_tie_once() -> None:
    arrows = np.array([[0, 0.9, 0.2], [0.1, 0, 0.05], [0.2, 0, 0]])
    graph = CausalGraph(("a", "b", "c"), consent(arrows))
    assert Bootstrap(graph, arrows, 20).remarks() == {
        ("a", "b"): "joined in 100%, this way in 90%",
        ("a", "c"): "joined in 40%, this way in 20%",
    }


# --- what cannot be ---------------------------------------------------------------------------------------------------


def rare() -> Table:
    """A label that one row of thirty carries: about every third resample lacks it."""
    values = np.random.default_rng(0).normal(size=(30, 2))
    label = np.arange(30) == 0
    return Table.fit(
        [Attribute("x", "continuous"), Attribute("y", "continuous"), Attribute("rare", "binary")],
        np.column_stack([values, label]),
    )


def test_resamples_that_cannot_be_learned_from_are_left_out_and_told() -> None:
    table = rare()
    found = bootstrap(Notears(table.names), table, Knowledge(), samples=8, workers=1)
    lacking = 8 - found.samples
    assert 0 < lacking < 8
    assert f"{lacking} of 8 resamples left out: attribute rare is constant" in found.graph.notes[0]


def test_nothing_to_do_is_refused() -> None:
    table = linear(100)
    with pytest.raises(ConfigError, match="at least one resample, got 0"):
        bootstrap(Notears(table.names), table, Knowledge(), samples=0)


def test_where_no_resample_can_be_learned_from_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    table = linear(100)
    monkeypatch.setattr("ccigkit.structure.assess.bootstrap.learned_resamples", lambda *_: iter(["it is too small"]))
    with pytest.raises(DataError, match="no resample can be learned from: it is too small"):
        bootstrap(Notears(table.names), table, Knowledge(), samples=1)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    content, path = linear(300), tmp_path / "table.csv"
    np.savetxt(path, content.values, delimiter=",", header=",".join(content.names), comments="")
    return path


def test_the_command_shows_frequencies_and_writes_a_graph_to_edit_and_hand_back(table: Path, tmp_path: Path) -> None:
    toml, png = tmp_path / "graph.toml", tmp_path / "graph.png"
    words = ("graph", table, "--structure", "notears", "--bootstrap", 5, "--workers", 1)
    done = ccigkit(*words, "--out", toml, "--out", png)
    assert done.code == 0, done.err
    assert "5 resamples" in done.out
    assert "varsortability" in done.out
    assert png.stat().st_size > 1000
    text = toml.read_text()
    assert "joined in 100%, this way in " in text
    graph = CausalGraph.from_toml(toml)
    toml.write_text(text.replace("edges = [\n", 'edges = [\n    "f -> e",\n'))
    again = ccigkit("graph", table, "--structure", "known", f"structure.graph={toml}", "--out", tmp_path / "again.toml")
    assert again.code == 0, again.err
    assert set(CausalGraph.from_toml(tmp_path / "again.toml").edges) == {*graph.edges, ("f", "e")}


def test_edges_left_out_are_there_to_be_let_in(tmp_path: Path) -> None:
    graph = CausalGraph.from_edges("abc", ["a -> b : 0.5"])
    text = graph.to_toml({("a", "b"): "sure", ("b", "c"): "perhaps"})
    assert text == ('names = ["a", "b", "c"]\nedges = [\n    "a -> b : 0.5",  # sure\n    # "b -> c",  # perhaps\n]\n')
    path = tmp_path / "graph.toml"
    path.write_text(text)
    assert CausalGraph.from_toml(path) == graph
    path.write_text(text.replace('# "b', '"b'))
    assert CausalGraph.from_toml(path).edges == [("a", "b"), ("b", "c")]


def test_where_the_truth_is_known_it_is_compared_with() -> None:
    words = ("graph", "--data", "pendulum", "data.n=80", "--structure", "known")
    done = ccigkit(*words, "--bootstrap", 2, "--workers", 1)
    assert done.code == 0, done.err
    assert "the consensus of resamples" in done.out
    assert "1.00 / 1.00 / 1.00" in done.out
    assert "of the true graph" in done.out


def test_a_bare_table_is_compared_with_the_truth_that_is_given(table: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.toml"
    truth.write_text('names = ["f", "e", "d", "c", "b", "a"]\nedges = ["a -> b", "b -> c"]')
    graph = tmp_path / "graph.toml"
    graph.write_text('names = ["a", "b", "c", "d", "e", "f"]\nedges = ["b -> a", "b -> c"]')
    done = ccigkit("graph", table, "--structure", "known", f"structure.graph={graph}", "--truth", truth)
    assert "SHD to the true graph: 1 (of 2 true edges)" in done.out
    assert "1.00 / 1.00 / 1.00" in done.out  # the skeleton
    assert "0.50 / 0.50 / 0.50" in done.out  # the arrows
    truth.write_text('names = ["a"]\nedges = []')
    assert "the graph is over other attributes" in ccigkit("graph", table, "--truth", truth).refusal()


def test_an_interrupt_ends_the_processes_at_once_and_in_silence(tmp_path: Path) -> None:
    content, path = linear(300), tmp_path / "table.csv"
    np.savetxt(path, content.values, delimiter=",", header=",".join(content.names), comments="")
    words = command("graph", path, "--structure", "notears", "--bootstrap", 100_000, "--workers", 2)
    with subprocess.Popen(
        words,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not children.exists():
            process.kill()
            pytest.skip("no list of child processes here")
        until = time.monotonic() + 120
        while len(children.read_text().split()) < 3 and time.monotonic() < until:  # two workers and their tracker
            time.sleep(0.2)
        started = [int(pid) for pid in children.read_text().split()]
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err == ""
    assert "resamples" not in out
    until = time.monotonic() + 20  # the tracker ends once it has seen that we are gone
    while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
