"""BOSS: scores worked out by hand, the classes of known truths, and a tree that forgets nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, gammaln, logsumexp, xlogy

from ccigkit.attributes import Attribute, Kind, Table
from ccigkit.errors import DataError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.structure.assess.equivalence import completed
from ccigkit.structure.learners.boss import Boss, Tree
from ccigkit.structure.scores.base import Score
from ccigkit.structure.scores.cells import Labels
from ccigkit.structure.scores.choice import ScoreName
from ccigkit.structure.scores.gaussian import Gaussian, additive, curved, curves, indicators
from ccigkit.structure.scores.judge import Judge, LabelJudge
from ccigkit.structure.scores.labels import MDL, QNML, BDeu, Logistic, fit_logistic, promises, regret
from tests.simulate import linear

ANYTHING = ~np.eye(6, dtype=bool)


def table_of(rows: np.ndarray, kind: Kind = "continuous", truth: CausalGraph | None = None) -> Table:
    return Table.fit([Attribute(f"x{j}", kind) for j in range(rows.shape[1])], rows, truth)


def labels(n: int = 400, most: int = 2) -> np.ndarray:
    """[n, 6], labels, each what the two before it add up to, where it is not noise."""
    random = np.random.default_rng(0)
    columns = [random.integers(0, most, n)]
    for _ in range(5):
        noisy = random.random(n) < 0.4
        columns.append(np.where(noisy, random.integers(0, most, n), sum(columns[-2:]).clip(0, most - 1)))
    return np.stack(columns, axis=1).astype(float)


def gaussian() -> Score:
    return Gaussian(np.cov(linear(400).latents, rowvar=False), 400)


SCORES: dict[str, Callable[[], Score]] = {
    "gaussian": gaussian,
    "indicators": lambda: indicators(table_of(labels(most=3), "categorical")),
    "bdeu": lambda: BDeu(Labels(labels(most=3)), 10.0),
    "qnml": lambda: QNML(Labels(labels(most=3))),
    "logistic": lambda: Logistic(Labels(labels())),
    "multinomial": lambda: Logistic(Labels(labels(most=3))),
    "mdl": lambda: MDL(Labels(labels(most=3))),
    "additive": lambda: additive(linear(400)),
    "curves": lambda: curves(linear(400)),
}
every_score = pytest.mark.parametrize("make", SCORES.values(), ids=SCORES)


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_the_gaussian_score_is_its_formula() -> None:
    score = Gaussian(np.array([[4.0, 1.2], [1.2, 1.0]]), 100, penalty=2.0)  # a correlation of 0.6
    assert score.local(1, ()) == pytest.approx(0.0)
    assert score.local(1, (0,)) == pytest.approx(-50 * math.log(1 - 0.36) - math.log(100))


def test_bdeu_is_its_formula() -> None:
    rows = np.array([[0, 0], [0, 0], [0, 1], [1, 1], [1, 1]])
    score = BDeu(Labels(rows), sample=2.0)
    assert score.local(0, ()) == pytest.approx(math.log(math.factorial(3) * math.factorial(2) / math.factorial(6)))
    # given column 0, each of its labels is worth one row of prior, half a row per label of column 1
    half = math.lgamma(0.5)
    first = math.lgamma(1) - math.lgamma(4) + math.lgamma(2.5) + math.lgamma(1.5) - 2 * half
    second = math.lgamma(1) - math.lgamma(3) + math.lgamma(2.5) - half
    assert score.local(1, (0,)) == pytest.approx(first + second)


@pytest.mark.parametrize("n", [10, 100, 1000])
def test_the_regret_of_a_code_is_its_recursion(n: int) -> None:
    shares = np.arange(n + 1)
    logs = gammaln(n + 1) - gammaln(shares + 1) - gammaln(n - shares + 1)
    logs = logs + xlogy(shares, shares / n) + xlogy(n - shares, 1 - shares / n)
    exact = [0.0, 0.0, float(logsumexp(logs))]  # Kontkanen and Myllymaeki (2007): C(n, k + 2) from the two before it
    for labels in range(3, 40):
        exact.append(float(np.logaddexp(exact[-1], math.log(n / (labels - 2)) + exact[-2])))
    assert [regret(n, labels) for labels in range(1, 40)] == pytest.approx(exact[1:], abs=0.1)


def test_qnml_is_its_formula() -> None:
    rows = np.array([[0, 0], [0, 0], [0, 1], [1, 1], [1, 1]])
    score = QNML(Labels(rows))
    alone = 2 * math.log(2 / 5) + 3 * math.log(3 / 5)
    assert score.local(1, ()) == pytest.approx(alone - regret(5, 2))
    table = 2 * math.log(2 / 3) + math.log(1 / 3)
    assert score.local(1, (0,)) == pytest.approx(table - regret(5, 4) + regret(5, 2))


def test_the_logistic_score_is_its_formula() -> None:
    rows = np.array([[0, 0], [0, 0], [0, 1], [0, 1], [1, 0], [1, 1], [1, 1], [1, 1]])
    score = Logistic(Labels(rows), penalty=1.0)
    assert score.local(1, ()) == pytest.approx(5 * math.log(5 / 8) + 3 * math.log(3 / 8))
    saturated = 4 * math.log(1 / 2) + 3 * math.log(3 / 4) + math.log(1 / 4)  # one binary cause leaves a free table
    assert score.local(1, (0,)) == pytest.approx(saturated - math.log(8) / 2, abs=1e-6)


def test_a_cause_that_all_but_excludes_a_rare_label_is_scored_by_its_formula() -> None:
    rows = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [1800, 430, 7754, 16], axis=0)  # CelebA's Young and Gray_Hair
    free = sum(n * math.log(n / of) for n, of in ((1800, 2230), (430, 2230), (7754, 7770), (16, 7770)))
    assert Logistic(Labels(rows)).local(1, (0,)) == pytest.approx(free - math.log(10_000) / 2, rel=1e-6)


def odd_cells(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Causes [cells, k] and rows [cells, 2] of a random table: small or large, its labels rare, certain or neither."""
    k, n = random.integers(0, 4), random.choice([50, 200, 1000, 20_000])
    causes = (np.arange(2**k)[:, None] >> np.arange(k)) & 1
    rows = random.multinomial(n, random.dirichlet(np.full(2**k, random.choice([0.1, 1.0]))))
    chance = random.random(2**k) ** random.choice([1, 8])  # 8: rare
    ones = random.binomial(rows, random.choice([chance, chance.round()]))  # round: labels that causes decide
    return causes[rows > 0].astype(float), np.stack([rows - ones, ones], axis=1)[rows > 0].astype(float)


def test_a_logistic_score_is_the_greatest_likelihood_of_a_thousand_tables_rare_and_separable_ones_too() -> None:
    """Against a slow trust-region method, which knows nothing of ours."""
    random, seen = np.random.default_rng(0), 0
    while seen < 1000:
        causes, rows = odd_cells(random)
        whole, ones = rows.sum(axis=1), rows[:, 1]
        if ones.sum() in (0, whole.sum()):
            continue
        design = np.column_stack([np.ones(len(causes)), causes])

        def lost(weights: np.ndarray, design: np.ndarray = design, rows: np.ndarray = rows) -> float:
            odds = design @ weights
            return float(rows.sum(axis=1) @ np.logaddexp(0, odds) - rows[:, 1] @ odds)

        def slope(weights: np.ndarray, design: np.ndarray = design, rows: np.ndarray = rows) -> np.ndarray:
            return design.T @ (rows.sum(axis=1) * expit(design @ weights) - rows[:, 1])

        def curvature(weights: np.ndarray, design: np.ndarray = design, rows: np.ndarray = rows) -> np.ndarray:
            chance = expit(design @ weights)
            return (design.T * (rows.sum(axis=1) * chance * (1 - chance))) @ design

        start = np.zeros(design.shape[1])
        least = minimize(lost, start, jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-9}).fun
        found, _ = fit_logistic(SimpleNamespace(causes=causes, rows=rows))  # type: ignore[arg-type]
        assert found == pytest.approx(-least, abs=1e-6)
        seen += 1


@pytest.mark.parametrize("causes", [(), (0,), (0, 3)])
def test_a_regression_of_many_labels_and_what_causes_promise_are_those_of_its_rows(causes: tuple[int, ...]) -> None:
    """Against a quasi-Newton fit of the rows themselves, and the score test from their whole information matrix."""
    rows = labels(most=3).astype(int)
    design = np.column_stack([np.ones(len(rows)), *(rows[:, c] == label for c in causes for label in (1, 2))])
    target, marks = np.eye(3)[rows[:, 2]], np.column_stack([rows[:, 1] == 1, rows[:, 1] == 2])

    def logs(weights: np.ndarray) -> np.ndarray:
        odds = np.column_stack([np.zeros(len(rows)), design @ weights.reshape(-1, 2)])
        return np.asarray(odds - np.logaddexp.reduce(odds, axis=1)[:, None])

    fitted = minimize(lambda w: -(target * logs(w)).sum(), np.zeros(2 * design.shape[1]), options={"gtol": 1e-6})
    score = Labels(rows)
    likelihood, _ = fit_logistic(score.cells(2, causes))
    assert likelihood == pytest.approx(-fitted.fun, abs=1e-6)
    chances, wide = np.exp(logs(fitted.x))[:, 1:], np.column_stack([design, marks])
    spread = chances[:, :, None] * np.eye(2) - chances[:, :, None] * chances[:, None]
    information = np.einsum("ni,nj,nkl->ikjl", wide, wide, spread).reshape(2 * wide.shape[1], -1)
    slope = (wide.T @ (target[:, 1:] - chances)).ravel()
    gain = slope @ np.linalg.solve(information, slope) / 2
    among = np.arange(6) == 1
    assert promises(score, 2, causes, score.cells(2, causes), among)[1] == pytest.approx(likelihood + gain, abs=1e-3)


def test_mdl_takes_a_table_for_causes_that_act_together_and_a_regression_for_those_that_add_up() -> None:
    rng = np.random.default_rng(0)
    a, b, c = (rng.random((3, 4000)) < 0.4).astype(float)
    either, sums = rng.random((2, 4000)) < [0.1 + 0.8 * (a != b), expit(2 * (a + b + c) - 3)]
    score = MDL(columns := Labels(np.column_stack([a, b, c, either, sums]).astype(float)))
    assert score.local(3, (0, 1)) == pytest.approx(QNML(columns).local(3, (0, 1)) - math.log(6) / 2)  # 2 of 4 others
    intercept, which = math.log(4000) / 2, math.log(4) / 2
    assert score.local(4, (0, 1, 2)) == pytest.approx(Logistic(columns).local(4, (0, 1, 2)) - intercept - which)
    assert score.local(4, (0, 1, 2)) > QNML(columns).local(4, (0, 1, 2)) - which + 3


# --- what every score must do -----------------------------------------------------------------------------------------


@every_score
def test_what_is_added_or_left_out_scores_as_if_it_were_asked_for(make: Callable[[], Score]) -> None:
    score, causes = make(), (4, 1)
    added, removed = score.additions(2, causes), score.removals(2, causes)
    np.testing.assert_allclose(removed, [score.local(2, (1,)), score.local(2, (4,))], rtol=1e-8)
    for cause in (0, 3, 5):
        if score.exact:
            assert added[cause] == pytest.approx(score.local(2, (*causes, cause)), rel=1e-8)
    assert max(added[[1, 2, 4]]) <= score.local(2, causes)


@every_score
def test_members_of_a_class_score_alike_where_the_score_says_so(make: Callable[[], Score]) -> None:
    score = make()

    def complete(order: list[int]) -> float:
        return sum(score.local(target, tuple(order[:place])) for place, target in enumerate(order))

    forth, back = complete([0, 1, 2]), complete([2, 1, 0])
    close = 0.02 if isinstance(score, (MDL, Logistic)) else 1e-6  # regressions: nearly
    assert (abs(forth - back) < close * abs(forth)) == score.equivalent


@every_score
def test_a_tree_answers_as_one_that_was_never_asked(make: Callable[[], Score]) -> None:
    score, nothing = make(), np.zeros_like(ANYTHING)
    tree = Tree(score, 3, ANYTHING, nothing)
    for before in np.random.default_rng(0).integers(0, 1 << 6, 60).tolist():
        asked = before & ~(1 << 3)
        assert tree.best(asked) == Tree(score, 3, ANYTHING, nothing).best(asked)


# --- the learner ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_boss_finds_the_class_of_the_truth(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.triu(random.random((8, 8)) < 0.35, 1)
    weights = truth * random.uniform(0.6, 1.4, (8, 8)) * random.choice([-1, 1], (8, 8))
    rows = random.normal(size=(50_000, 8)) @ np.linalg.inv(np.eye(8) - weights)
    at = random.permutation(8)
    table = table_of(rows[:, at])
    found = Boss(table.names).learn(table, Knowledge()).adjacency
    anything = ~np.eye(8, dtype=bool)
    np.testing.assert_array_equal(completed(found, anything), completed(truth[np.ix_(at, at)], anything))


@pytest.mark.parametrize(
    ("score", "kind"),
    [("gaussian", "continuous"), ("spline", "continuous"), ("indicators", "categorical"), ("bdeu", "categorical"),
     ("logistic", "binary")],
)  # fmt: skip
def test_the_order_of_rows_and_columns_changes_nothing(score: ScoreName, kind: Kind) -> None:
    rows = linear(400).values if kind == "continuous" else labels(most=3 if kind == "categorical" else 2)
    table, random = table_of(rows, kind), np.random.default_rng(1)
    graph = Boss(table.names, score=score).learn(table, Knowledge())
    mixed = table_of(rows[random.permutation(len(rows))], kind).reordered(list(random.permutation(table.names)))
    other = Boss(mixed.names, score=score).learn(mixed, Knowledge())
    assert graph.edges
    assert set(other.edges) == set(graph.edges)


@pytest.mark.parametrize(
    ("score", "kind", "message"),
    [
        ("bdeu", "continuous", r"wants labels only, but x. is continuous"),
        ("mdl", "continuous", r"wants labels only, but x. is continuous"),
        ("logistic", "continuous", r"wants labels only, but x. is continuous"),
    ],
)
def test_a_score_of_labels_refuses_what_is_none(score: ScoreName, kind: Kind, message: str) -> None:
    table = table_of(linear(400).values if kind == "continuous" else labels(most=3), kind)
    with pytest.raises(DataError, match=message):
        Boss(table.names, score=score).learn(table, Knowledge())


def test_a_cause_without_slope_is_found_by_its_curve() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=2000)
    table = table_of(np.stack([x, x**2 + random.normal(size=2000)], axis=1))
    graph = Boss(table.names).learn(table, Knowledge())
    assert graph.edges == [("x0", "x1")]
    assert graph.notes[0].startswith("score spline")


@pytest.mark.parametrize("together", [True, False])
def test_auto_tells_whether_causes_act_together(together: bool) -> None:
    rng = np.random.default_rng(0)
    a, b, c = (rng.random((3, 4000)) < 0.4).astype(float)
    chance = 0.1 + 0.8 * ((a != b) if together else expit(2 * (a + b + c) - 3))
    rows = np.column_stack([a, b, c, rng.random(4000) < chance]).astype(float)
    table = Table.fit([Attribute(name, "binary") for name in "abcd"], rows)
    graph = Boss(table.names).learn(table, Knowledge())
    assert set(graph.edges) == {(cause, "d") for cause in ("ab" if together else "abc")}
    assert graph.notes[0].startswith("score mdl: ")


def uniform_noise(n: int, seed: int) -> Table:
    """x0 -> x1 -> x2 <- x3, straight lines and uniform noise: there the regression of a cause on its effect bends."""
    e = np.random.default_rng(seed).uniform(-1, 1, (4, n))
    x1 = e[0] + e[1] / 2
    truth = CausalGraph.from_edges(("x0", "x1", "x2", "x3"), ["x0 -> x1", "x1 -> x2", "x3 -> x2"])
    return table_of(np.column_stack([e[0], x1, x1 + e[3] + e[2] / 2, e[3]]), truth=truth)


@pytest.mark.parametrize("seed", range(3))
def test_straight_lines_with_noise_that_is_not_normal_are_no_curves(seed: int) -> None:
    table = uniform_noise(3000, seed)
    assert curved(table)
    graph = Boss(table.names).learn(table, Knowledge())
    assert graph.notes[0].startswith("score gaussian: its graph explains the attributes better than that of spline by")
    assert table.truth is not None
    anything = ~np.eye(4, dtype=bool)
    for found, true in zip(*(completed(g.adjacency, anything) for g in (graph, table.truth)), strict=True):
        assert (found == true).all()


def test_a_judge_knows_the_direction_that_noise_which_is_not_normal_tells() -> None:
    table = uniform_noise(3000, 0)
    judge, truth = Judge.of(table), np.zeros((4, 4), dtype=bool)
    truth[0, 1] = truth[1, 2] = truth[3, 2] = True
    assert judge.total(truth) > judge.total(truth.T) + 100
    turned = truth.copy()
    turned[0, 1], turned[1, 0] = False, True
    assert judge.total(truth) > judge.total(turned) + 100


def test_labels_that_follow_from_others_are_joined_and_refused_only_by_scores_that_regress_columns() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 1000))
    table = table_of(
        np.column_stack([a, b, a + b, (a + b > 0) ^ (rng.random(1000) < 0.1)]).astype(float), "categorical"
    )
    graph = Boss(table.names).learn(table, Knowledge())
    assert {frozenset(edge) for edge in graph.edges} >= {frozenset(("x0", "x2")), frozenset(("x1", "x2"))}
    assert np.isfinite(graph.strengths).all()
    with pytest.raises(DataError, match="are collinear"):
        Boss(table.names, score="indicators").learn(table, Knowledge())


@pytest.mark.parametrize("together", [True, False])
def test_of_very_many_labels_tables_are_asked_only_where_some_act_together(
    together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccigkit.structure.scores.choice.WORK", 0)
    rng = np.random.default_rng(0)
    a, b = (rng.random((2, 4000)) < 0.4).astype(float)
    chance = 0.1 + 0.8 * a * b if together else expit(2 * (a + b) - 2)
    table = table_of(np.column_stack([a, b, rng.random(4000) < chance]).astype(float), "binary")
    graph = Boss(table.names).learn(table, Knowledge())
    assert set(graph.edges) == {("x0", "x2"), ("x1", "x2")}
    assert isinstance(judge := Judge.of(table), LabelJudge)
    assert judge.act_together(graph.adjacency) == together
    assert ("add up" in graph.notes[0]) != together


def test_a_judge_takes_rounded_numbers_constants_and_rare_labels() -> None:
    rng = np.random.default_rng(0)
    age, rare = rng.integers(20, 60, 3000).astype(float), np.arange(3000) == 7
    numbers = table_of(np.column_stack([age, age + rng.integers(0, 3, 3000), 5.0 * rare]))
    labels = table_of(np.column_stack([age > 30, rng.integers(0, 2, 3000), rare]).astype(float), "binary")
    glance = Table(numbers.attributes, numbers.values[~rare])
    for part in (numbers, glance, labels):
        assert np.isfinite(Judge.of(part).total(np.triu(np.ones((3, 3), dtype=bool), 1)))


@pytest.mark.parametrize("kind", ["binary", "categorical"])
def test_splines_take_labels_as_what_they_are(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    label = (rng.random(2000) < expit(4 * np.abs(x) - 4)) + (rng.random(2000) < 0.2) * float(kind == "categorical")
    rows = np.column_stack([x, label, label * 2.0 + rng.normal(size=2000)])
    table = Table.fit([Attribute("x", "continuous"), Attribute("l", kind), Attribute("y", "continuous")], rows)
    graph = Boss(table.names, score="spline").learn(table, Knowledge())
    joined = {frozenset(edge) for edge in graph.edges}
    assert joined >= {frozenset("xl"), frozenset("ly")}  # which way, splines cannot tell of labels: the judge can
    straight = Boss(table.names, score="indicators").learn(table, Knowledge())
    assert frozenset("xl") not in {frozenset(edge) for edge in straight.edges}
