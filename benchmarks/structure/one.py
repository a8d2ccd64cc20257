"""One run in a process of its own: one learner, one table, one line of JSON.

    PYTHONPATH=benchmarks python -m structure.one ccigkit:boss:score=gaussian linear-d20-n1000-std 0 900

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
from importlib.metadata import version
from typing import Any

import numpy as np

from structure.base import Edges
from structure.cells import draw, parse_cell
from structure.learners import FACTORIES


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


if __name__ == "__main__":
    main()
