"""Learners of each package by name and options, on rows [n, d]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from structure.base import Matrix
from structure.cells import AnyCell
from structure.proteins import PROTEINS, REAGENTS, Sachs

Learn = Callable[[Matrix], Any]  # rows [n, d] to edges [d, d], nonzero where row causes column; both ways: undirected


def ccigkit_learner(name: str, options: dict[str, Any], cell: AnyCell) -> Learn:
    """One of ours, on a table of these rows; `interventions` and `conditions` of proteins are explained below."""
    from ccigkit.causal.graph import Knowledge
    from ccigkit.component.registry import build

    told = {key: options.pop(key, False) for key in ("interventions", "conditions")}

    def learn(rows: Matrix) -> Any:
        table, roots = tabled(rows, cell), []
        if isinstance(cell, Sachs) and rows.shape[1] == len(PROTEINS):
            table, roots = with_experiment(table, cell, **told)
        learner = build("structure", {"name": name, **options}, {"names": table.names})
        d = rows.shape[1]
        return learner.learn(learner.learnable(table), Knowledge(roots=frozenset(roots))).adjacency[:d, :d]

    return learn


def tabled(rows: Matrix, cell: AnyCell) -> Any:
    """The rows [n, d] as a table of ours."""
    from ccigkit.causal.attributes import Attribute, Table

    return Table.fit([Attribute(f"x{j}", kind) for j, kind in enumerate(cell.kinds_of(rows))], rows)


def with_experiment(table: Any, cell: Sachs, *, interventions: bool, conditions: bool) -> tuple[Any, list[str]]:
    """The table of proteins, told what was set in which rows, and beside it a column per reagent; and those columns.

    So what a reagent does beside setting its target is an effect of its column, which nothing causes.
    """
    from ccigkit.causal.attributes import Attribute, Table

    attributes, values, held, roots = list(table.attributes), table.values, None, []
    if interventions:
        held = cell.intervened()
    if conditions:
        given, roots = cell.conditions(), list(REAGENTS)
        attributes, values = [*attributes, *(Attribute(name, "binary") for name in roots)], np.hstack([values, given])
        held = None if held is None else np.hstack([held, np.zeros_like(given)])
    return Table.fit(attributes, values, intervened=held), roots


def causal_learn_learner(name: str, options: dict[str, Any], cell: AnyCell) -> Learn:
    """PC, GES, GRaSP or BOSS; `lambda` is a parameter's penalty in their BIC; `directed=ours` is explained below.

    `conditions` gives it the reagents' columns, too, of which it cannot be told that nothing causes them.
    """
    from causallearn.search.ConstraintBased.PC import pc
    from causallearn.search.PermutationBased.BOSS import boss
    from causallearn.search.PermutationBased.GRaSP import grasp
    from causallearn.search.ScoreBased.GES import ges

    score = options.get("score", "local_score_BIC_from_cov")
    penalties = {"lambda_value": options["lambda"]} if "lambda" in options else None

    def learn(rows: Matrix) -> Any:
        d = rows.shape[1]
        if options.get("conditions") and isinstance(cell, Sachs) and d == len(PROTEINS):
            rows = np.hstack([rows, cell.conditions()])
        if name == "pc":
            test = options.get("test", "gsq" if "continuous" not in cell.kinds_of(rows) else "fisherz")
            marks = pc(rows, options.get("alpha", 0.01), test, show_progress=False).G.graph
        elif name == "ges":
            marks = ges(rows, score, parameters=penalties)["G"].graph
        else:
            marks = {"boss": boss, "grasp": grasp}[name](rows, score, parameters=penalties, verbose=False).graph
        return ((marks == -1) & (marks.T != 0))[:d, :d]  # [i, j] == -1 is a tail at i: i -> j, or i - j where both are

    return directed_by_us(learn, cell) if options.get("directed") == "ours" else learn


def directed_by_us(learn: Learn, cell: AnyCell) -> Learn:
    """The same learner on columns in the order in which ours sees them, its answer made a DAG by our rule.

    Where colliders contradict each other, PC's answer depends on the order of the columns; and it may have cycles.
    """
    from ccigkit.causal.graph import Knowledge
    from ccigkit.structure.assess.equivalence import member
    from ccigkit.structure.tables import by_skewness

    def learn_dag(rows: Matrix) -> Any:
        table = tabled(rows, cell)
        ordered = by_skewness(table)
        found = learn(ordered.values)
        return member(found | found.T, found & ~found.T, ordered.names, Knowledge()).reordered(table.names).adjacency

    return learn_dag


def gcastle_learner(name: str, options: dict[str, Any], cell: AnyCell) -> Learn:
    """NOTEARS, linear or of networks, GOLEM or PC."""
    from castle.algorithms import GOLEM, PC, Notears, NotearsNonlinear

    kinds = {"notears": Notears, "notears-mlp": NotearsNonlinear, "golem": GOLEM, "pc": PC}

    def learn(rows: Matrix) -> Any:
        learner = kinds[name](**options)
        learner.learn(rows.astype(int) if options.get("ci_test") in ("chi2", "g2") else rows)
        return learner.causal_matrix

    return learn


def dagma_learner(name: str, options: dict[str, Any], cell: AnyCell) -> Learn:
    """DAGMA: linear, logistic, or of networks."""
    import torch
    from dagma.linear import DagmaLinear
    from dagma.nonlinear import DagmaMLP, DagmaNonlinear

    def learn(rows: Matrix) -> Any:
        if name == "mlp":
            torch.manual_seed(0)
            model = DagmaMLP(dims=[rows.shape[1], 10, 1], bias=True, dtype=torch.double)
            return DagmaNonlinear(model, dtype=torch.double).fit(rows, **options)
        return DagmaLinear({"linear": "l2", "logistic": "logistic"}[name]).fit(rows, **options)

    return learn


def pgmpy_learner(name: str, options: dict[str, Any], cell: AnyCell) -> Learn:
    """Hill climbing, GES or PC on codes; `score` is the name of a score, `ess` the equivalent sample size of BDeu."""
    import pandas
    from pgmpy.causal_discovery import GES, PC, HillClimbSearch
    from pgmpy.structure_score import BDeu

    score, others = options.get("score"), {key: value for key, value in options.items() if key not in ("score", "ess")}

    def learn(rows: Matrix) -> Any:
        names = [f"x{j}" for j in range(rows.shape[1])]
        states = pandas.DataFrame(rows.astype(int).astype(str), columns=names, dtype="category")
        if name == "pc":
            learner = PC(n_jobs=1, show_progress=False, **others)
        else:
            by = BDeu(states, equivalent_sample_size=options["ess"]) if "ess" in options else score
            quiet = {"show_progress": False} if name == "hc" else {}
            learner = {"hc": HillClimbSearch, "ges": GES}[name](by, **quiet, **others)
        learner.fit(states)
        graph = learner.causal_graph_  # an undirected edge is there both ways
        return np.array([[graph.has_edge(cause, effect) for effect in names] for cause in names])

    return learn


def gies_learner(name: str, options: dict[str, Any], cell: AnyCell) -> Learn:
    """GIES, of numbers in environments, each with means of its own: as many as there are sets of targets, or reagents.

    With `conditions` each reagent is an environment, with `interventions` it is told what was set there.
    """
    import gies

    def learn(rows: Matrix) -> Any:
        held = np.zeros((len(rows), rows.shape[1]), dtype=bool)
        apart = held
        if isinstance(cell, Sachs) and rows.shape[1] == len(PROTEINS):
            held = cell.intervened() if options.get("interventions") else held
            apart = cell.conditions() if options.get("conditions") else held
        _, of = np.unique(apart, axis=0, return_inverse=True)
        environments = [of == each for each in range(of.max() + 1)]
        targets = [np.flatnonzero(held[each].all(axis=0)).tolist() for each in environments]
        found, _ = gies.fit_bic([rows[each] for each in environments], targets)
        return found

    return learn


FACTORIES: dict[str, Callable[[str, dict[str, Any], AnyCell], Learn]] = {
    "ccigkit": ccigkit_learner,
    "causal-learn": causal_learn_learner,
    "gcastle": gcastle_learner,
    "dagma": dagma_learner,
    "pgmpy": pgmpy_learner,
    "gies": gies_learner,
}
