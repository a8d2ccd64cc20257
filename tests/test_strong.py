"""Edges of very many rows: what is too weak to matter is left out within the search."""

from __future__ import annotations

import numpy as np
import pytest

from ccigkit import Attribute, Table
from ccigkit.causal.strengths import covariance
from ccigkit.graph import Knowledge
from ccigkit.structure.learners.auto import Auto
from ccigkit.structure.learners.boss import Boss
from ccigkit.structure.scores.cells import Labels
from ccigkit.structure.scores.gaussian import Gaussian
from ccigkit.structure.scores.labels import QNML
from ccigkit.structure.scores.strong import ROWS, STEPS, Strong, is_sparse, strengths, strong


def table_of(n: int, seed: int = 0, size: int = 6) -> Table:
    """Rows in which every two attributes go together, most of them faintly."""
    random = np.random.default_rng(seed)
    weights = np.triu(random.choice([0.02, 0.05, 0.1, 0.3, 0.7], (size, size)), 1)
    rows = random.normal(size=(n, size)) @ np.linalg.inv(np.eye(size) - weights)
    names = [f"x{i}" for i in random.permutation(size)]
    return Table.fit([Attribute(name, "continuous") for name in names], rows)


@pytest.mark.parametrize("seed", range(3))
def test_the_stronger_edges_must_be_the_fewer_there_are_and_none_is_weaker(seed: int) -> None:
    table, counts = table_of(100_000, seed), []
    for least in (0.0, 0.03, 0.06, 0.2, 0.5):
        graph = Boss(table.names, score="gaussian", least=least).explained(table, Knowledge())
        counts.append(len(graph.edges))
        assert min(sure.strength for sure in graph.evidence.values()) >= least - 1e-3
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2] > counts[-1]


def test_it_changes_nothing_of_few_rows_or_of_few_edges() -> None:
    few = table_of(ROWS - 1, size=20)
    assert not is_sparse(Boss(few.names, score="gaussian", least=0.0, restarts=0).learn(few, Knowledge()).adjacency)
    for table in (few, table_of(100_000)):
        kept = Boss(table.names, score="gaussian", least=0.0, restarts=0).learn(table, Knowledge())
        assert Boss(table.names, score="gaussian", restarts=0).learn(table, Knowledge()) == kept
    score = Gaussian(covariance(few), ROWS, 2.0)
    assert strong(score, 0.03) is score  # what the penalty takes of 20,000 rows is as much


def test_a_cause_pays_where_it_is_as_strong_as_asked_for() -> None:
    n, least = 100_000, 0.1
    for correlation, pays in ((0.0995, False), (0.1005, True)):
        score = strong(Gaussian(np.array([[1.0, correlation], [correlation, 1.0]]), n, 2.0), least)
        assert (score.local(1, (0,)) > score.local(1, ())) == pays


def test_what_is_added_or_left_out_scores_as_if_it_were_asked_for() -> None:
    rows = (np.random.default_rng(0).random((500, 5)) < 0.4).astype(float)
    score, causes = Strong(QNML(Labels(rows)), 0.2), (4, 1)
    added, removed = score.additions(2, causes), score.removals(2, causes)
    np.testing.assert_allclose(removed, [score.local(2, (1,)), score.local(2, (4,))])
    for cause in (0, 3):
        assert added[cause] == pytest.approx(score.local(2, (*causes, cause)))


def test_a_strength_does_not_depend_on_the_rows_and_is_symmetric_where_nothing_else_is() -> None:
    moments = np.array([[1.0, 0.3], [0.3, 1.0]])
    forth, back = np.array([[0, 1], [0, 0]], dtype=bool), np.array([[0, 0], [1, 0]], dtype=bool)
    for n in (500, 5000, 500_000):
        score = Gaussian(moments, n, 2.0)
        assert strengths(score, forth)[0, 1] == pytest.approx(0.3)
        assert strengths(score, back)[1, 0] == pytest.approx(0.3)
        assert strengths(strong(score, 0.2), forth)[0, 1] == pytest.approx(0.3)


def test_auto_leaves_out_as_much_as_leaves_few_edges_and_says_so() -> None:
    table = table_of(100_000, size=20)
    sparse, all_of_them = Auto(table.names).learn(table, Knowledge()), Auto(table.names, least=0.0)
    dense = all_of_them.learn(table, Knowledge())
    assert not is_sparse(dense.adjacency)
    assert is_sparse(sparse.adjacency)
    note = next(note for note in sparse.notes if "weaker" in note)
    least = float(note.split()[3])
    assert least > STEPS[0]
    assert not is_sparse(Auto(table.names, least=STEPS[STEPS.index(least) - 1]).learn(table, Knowledge()).adjacency)
    assert not any("weaker" in note for note in dense.notes)
