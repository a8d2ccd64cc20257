"""One run of benchmarks/structure.py, in a process of its own: one learner, one table, one line of JSON.

    python benchmarks/structure_one.py ccigkit:boss:score=gaussian linear-d20-n1000-std 0 900

The last figure is the limit in CPU seconds, past which the system ends the process. The clock runs from the rows [n, d]
in memory to the graph [d, d]. Imports come before it, also those of a first call: of the learner on a tiny table, or,
where that would take long, of an optimiser of torch.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from structure_data import PROTEINS, REAGENTS, AnyCell, Edges, Matrix, Sachs, draw, parse_cell

Learn = Callable[[Matrix], Any]  # rows [n, d] to edges [d, d], nonzero where row causes column; both ways: undirected


def main() -> None:
    """Run what the arguments say and print what was found."""
    method, cell, seed, limit = sys.argv[1], parse_cell(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    package, learner, options = parse_method(method)
    learn = FACTORIES[package](learner, options, cell)
    if package in ("ccigkit", "causal-learn", "pgmpy", "gies") or learner == "pc":
        learn(cell.tiny())
    else:
        step_once()
    rows, truth = draw(cell, seed)
    random.seed(seed)  # causal-learn's BOSS shuffles
    np.random.seed(seed)  # noqa: NPY002  gcastle draws from it
    gc.collect()  # so that none of the run's time goes to what the imports left
    before = peak()
    wall, cpu = time.perf_counter(), time.process_time()
    found = np.asarray(learn(rows)) != 0
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "mib": peak(), "mib_before": before}
    print(json.dumps({**spent, **judge(found, truth), "version": version(package)}))


def step_once() -> None:
    """One step of an optimiser: torch imports much of itself at the first."""
    import torch

    weight = torch.ones(1, requires_grad=True)
    weight.square().sum().backward()
    torch.optim.Adam([weight]).step()


def parse_method(method: str) -> tuple[str, str, dict[str, Any]]:
    """Package, learner and options of a name such as "gcastle:notears:lambda1=0.05,loss_type=logistic"."""
    package, learner, text = [*method.split(":", 2), ""][:3]
    pairs = (item.split("=", 1) for item in text.split(",") if item)
    return package, learner, {key: read(value) for key, value in pairs}


def read(value: str) -> Any:
    """A number or true or false where it is one, text otherwise."""
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    scale = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def judge(found: Edges, truth: Edges) -> dict[str, Any]:
    """A graph, or an equivalence class, against the truth.

    In `shd` an undirected edge counts one, as a reversal does; `as_dag` directs it first, by the rule that ours do;
    `of_class` compares the two equivalence classes.
    """
    from ccigkit.causal.graph import reachability
    from ccigkit.structure.assess.compare import score
    from ccigkit.structure.assess.equivalence import completed, extend

    anything = ~np.eye(len(truth), dtype=bool)
    arrows, undirected = found & ~found.T, found & found.T
    loops = bool(np.diag(reachability(arrows)).any())
    dag = arrows if loops else extend(arrows, undirected, anything)
    if loops or dag is None:
        dag, ours = found, found
    else:
        ours = np.logical_or(*completed(dag, anything))
    return {
        "shd": shd(found, truth),
        "as_dag": shd(dag, truth),
        "of_class": shd(ours, np.logical_or(*completed(truth, anything))),
        "skeleton": score(np.triu(found | found.T), np.triu(truth | truth.T)).f1,
        "arrows": score(arrows, truth).f1,
        "undirected": int(undirected.sum()) // 2,
        "cyclic": loops,
        "edges": np.argwhere(found).tolist(),
    }


def shd(a: Edges, b: Edges) -> int:
    """The pairs that two graphs [d, d], undirected edges both ways, join differently."""
    differs = a != b
    return int(np.triu(differs | differs.T).sum())


# --- packages ---------------------------------------------------------------------------------------------------------


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


if __name__ == "__main__":
    main()
