"""The border to causal-learn: our columns, tests and seeds go in, and edges from cause to effect come out."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt

from ccigkit.causal.attributes import Values
from ccigkit.causal.strengths import Support
from ccigkit.structure.scores.independence import Independence
from ccigkit.structure.seeds import seeds_kept

with seeds_kept():  # to import it draws
    from causallearn.graph.GraphNode import GraphNode
    from causallearn.search.ConstraintBased import PC
    from causallearn.search.PermutationBased import GRaSP
    from causallearn.search.ScoreBased import GES
    from causallearn.utils.cit import CIT_Base, register_ci_test
    from causallearn.utils.FAS import fas
    from causallearn.utils.PCUtils.BackgroundKnowledge import BackgroundKnowledge

OURS = "ccigkit"  # what our tests are called there


@seeds_kept()
def pc(size: int, test: Independence, alpha: float, allowed: Support, required: Support) -> tuple[Support, Support]:
    """PC (stable) over so many attributes: which are adjacent, and which directed [d, d].

    It takes the knowledge as advice: a required edge that no test supports is dropped.
    """
    nodes = [GraphNode(f"X{i + 1}") for i in range(size)]
    advice = BackgroundKnowledge()
    for i, j in np.argwhere(~allowed & ~np.eye(len(nodes), dtype=bool)):
        advice.add_forbidden_by_node(nodes[i], nodes[j])
    for i, j in np.argwhere(required):
        advice.add_required_by_node(nodes[i], nodes[j])
    register_ci_test(OURS, Plugged)
    no_rows = np.zeros((size, size))  # it looks at their shape; our tests have read the rows
    found = PC.pc(no_rows, alpha, OURS, test=test, background_knowledge=advice, show_progress=False)
    return read_endpoints(found.G.graph)


@seeds_kept()
def adjacencies(size: int, test: Independence, alpha: float) -> tuple[Support, dict[frozenset[int], frozenset[int]]]:
    """FCI's first step over so many attributes: which are adjacent [d, d], and what separates each pair that is not.

    FCI's further steps are in `pag`. causal-learn's own take a forbidden arrow for an arrow the other way, which may
    be a hidden cause as well, look at every subset of Possible-D-Sep however large, and print.
    """
    nodes = [GraphNode(f"X{i + 1}") for i in range(size)]
    no_rows = np.zeros((size, size))
    found, separators, _ = fas(no_rows, nodes, Plugged(no_rows, test), float(alpha), show_progress=False)
    return found.graph != 0, {
        frozenset(map(int, pair)): frozenset(map(int, given)) for pair, given in separators.items()
    }


@seeds_kept()
def ges(rows: Values, score: str, penalty: float) -> tuple[Support, Support]:
    """GES on rows [n, d]: which are adjacent, and which directed [d, d]; `penalty` in units of BIC's."""
    return read_endpoints(GES.ges(rows, score, parameters={"lambda_value": penalty / 2})["G"].graph)


@seeds_kept()
def grasp(rows: Values, score: str, penalty: float, depth: int, seed: int) -> tuple[Support, Support]:
    """GRaSP on rows [n, d]: which are adjacent, and which directed [d, d]; `penalty` in units of BIC's."""
    random.seed(seed)
    found = GRaSP.grasp(rows, score, depth, {"lambda_value": penalty / 2}, verbose=False)
    return read_endpoints(found.graph)


def read_endpoints(marks: npt.NDArray[np.int_]) -> tuple[Support, Support]:
    """Which are adjacent, and which directed [d, d], in causal-learn's matrix of endpoints.

    There marks[j, i] == 1 and marks[i, j] == -1 for i -> j: each entry is the mark at its row's end of the edge.
    """
    return marks != 0, (marks == -1) & (marks.T == 1)


class Plugged(CIT_Base):  # type: ignore[misc]
    """A test of ours, as causal-learn calls one."""

    method = OURS

    def __init__(self, data: Values, test: Independence) -> None:
        super().__init__(data)
        self.test = test

    def __call__(self, x: int, y: int, given: tuple[int, ...] = ()) -> float:
        return self.test(int(x), int(y), tuple(int(z) for z in given))

    def __deepcopy__(self, memo: object) -> Plugged:
        return self  # causal-learn copies a graph with its test, and the test does not change
