"""What structure learners share: sufficient statistics, strengths, and learning under the price of a cycle."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ccigkit.attributes import Table, Values
from ccigkit.errors import DataError
from ccigkit.graph import CausalGraph, Knowledge, Matrix, acyclic
from ccigkit.interfaces import JointStructureLearner

Support = npt.NDArray[np.bool_]
CELLS = 1 << 20  # numbers made of rows that are in memory at once
STEEPEST = 1e6  # of the quadratic price in joint training: beyond it a cycle's price drowns float32 gradients
FAINT = 1e-9  # the strength of an edge that must be there though the data give it none


def covariance(table: Table) -> Matrix:
    """[d, d], of the latents: all that a linear learner ever looks at, whatever the number of rows.

    Raises:
        DataError: where there are too few rows to tell one attribute from the others.
    """
    rows, size = table.values.shape
    if rows <= size:
        raise DataError(
            f"a graph over {size} attributes needs more rows than attributes, got {rows}; "
            "bring more rows or leave attributes out"
        )
    moments = moments_of(lambda part: latents(table, part), rows, size)
    return np.asarray(moments * (rows / (rows - 1)))


def latents(table: Table, part: slice) -> Values:
    """[m, d], of some rows, where all at once would take too much memory."""
    return np.asarray(table.attributes.to_latent(torch.as_tensor(table.values[part])))


def chunks(n: int, width: int) -> Iterator[slice]:
    """All of n rows that give so many columns each, a few at a time."""
    rows = max(1, CELLS // width)
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def moments_of(features: Callable[[slice], Values], n: int, width: int) -> Matrix:
    """[width, width], the covariance of so many features, which are made for a few of the n rows at a time."""
    total, products = np.zeros(width), np.zeros((width, width))
    for part in map(features, chunks(n, width)):
        total += part.sum(axis=0)
        products += part.T @ part
    products /= n
    products -= np.outer(total / n, total / n)
    return products


def fit_strengths(table: Table, support: Support) -> Matrix:
    """[d, d], the weights of each attribute's least-squares regression on its causes, on the latent scale.

    Latents have unit spread, so these are standardised coefficients (Wright's path coefficients). Where the causes are
    collinear, they share the weight; an edge of the support is never given zero, which would remove it.

    Raises:
        DataError: where the table has no more rows than attributes.
    """
    return regress(covariance(table), support)


def regress(moments: Matrix, support: Support) -> Matrix:
    """The same from the covariance [d, d], for a learner that has it already."""
    strengths = np.zeros_like(moments)
    for j, causes in enumerate(np.asarray(support, dtype=bool).T):
        if causes.any():
            strengths[causes, j] = np.linalg.lstsq(moments[np.ix_(causes, causes)], moments[causes, j], rcond=1e-10)[0]
    return np.where(support & (np.abs(strengths) < FAINT), FAINT, strengths)


def refuse_collinear(moments: Matrix, names: tuple[str, ...]) -> None:
    """Nothing, where every attribute has a part of its own in the covariance [d, d].

    Raises:
        DataError: where some attributes follow from each other, naming them.
    """
    least, directions = np.linalg.eigh(moments)
    if len(names) and least[0] < 1e-9:
        involved = [name for name, part in zip(names, np.abs(directions[:, 0]), strict=True) if part > 1e-4]
        raise DataError(
            f"columns {' and '.join(involved)} are collinear: each follows from the rest, so no test can tell their "
            "causes apart; leave one out"
        )


def canonical(table: Table) -> Table:
    """The same table, its columns in an order that neither their order nor their names decide: by skewness.

    A learner that works in this order breaks its ties, and draws its first weights, alike for every arrangement of the
    same data. Names decide only between columns of one skewness.
    """
    n, size = table.values.shape
    parts = (latents(table, part) for part in chunks(n, size))
    skewness = np.round(sum(np.einsum("nd,nd,nd->d", part, part, part) for part in parts) / n, 9)
    return table.reordered([name for _, name in sorted(zip(skewness, table.names, strict=True))])


def steady(values: Values) -> Values:
    """Numbers without the last of their digits, where sums over the same rows in another order differ.

    So a search that starts from them does not depend on the order of the rows.
    """
    scale = 2.0 ** np.ceil(np.log2(max(np.abs(values).max(initial=0.0), FAINT)))
    steadied: Values = values / scale
    np.round(steadied, 11, out=steadied)
    steadied *= scale  # in place, as a matrix of all pairs of curves is large
    return steadied


def evenly(rows: Values, most: int) -> Values:
    """At most so many rows [m, d] of [n, d], evenly spread over the sorted ones, whatever order they came in."""
    ranked = np.lexsort(rows.T[::-1])
    count = min(most, len(rows))
    return np.asarray(rows[ranked[((np.arange(count) + 0.5) * len(rows) / count).astype(int)]])


def with_strengths(graph: CausalGraph, table: Table) -> CausalGraph:
    """The graph in the order of the table, with the table's strengths on its edges."""
    graph = graph.reordered(table.names)
    return replace(graph, strengths=fit_strengths(table, graph.adjacency))


def listed(edges: Support, names: tuple[str, ...], arrow: str = "->") -> str:
    """Edges [d, d] for a note: "a -> b, c -> d"."""
    return ", ".join(f"{names[i]} {arrow} {names[j]}" for i, j in np.argwhere(edges))


def project(weights: Matrix, needed: Support, names: tuple[str, ...]) -> CausalGraph:
    """The DAG in a weighted graph [d, d], needed edges first, with a note on the edges that its cycles cost."""
    kept = acyclic(weights, needed)
    cut = (weights != 0) & ~kept
    notes = (f"cut because they close a cycle of stronger edges: {listed(cut, names)}",) if cut.any() else ()
    return CausalGraph(names, np.where(kept & (weights == 0), FAINT, weights * kept), notes)


def cyclicity(weights: Tensor) -> Tensor:
    """h(A) = tr exp(A∘A) - d, zero exactly where A [d, d] is acyclic (Zheng et al., 2018).

    In float64, as h is a small difference of large numbers; on the CPU, as not every accelerator has float64.
    """
    squared = weights.cpu().double().square()
    trace: Tensor = torch.linalg.matrix_exp(squared).trace()
    return (trace - len(weights)).to(weights)


class WeightedLearner(JointStructureLearner):
    """A learner of one weight per edge, that pays for cycles by an augmented Lagrangian (Zheng et al., 2018).

    A subclass says how weights explain attributes (`reconstruction`) and how to find them on a table (`fit`), and may
    measure cycles in its own way (`cyclicity`). All that training changes is in parameters and buffers, so a checkpoint
    resumes exactly.
    """

    allowed: Tensor
    needed: Tensor
    alpha: Tensor
    rho: Tensor
    last: Tensor

    def __init__(self, names: tuple[str, ...], l1: float, threshold: float) -> None:
        super().__init__()
        self.names, self.l1, self.threshold = tuple(names), l1, threshold
        size = len(self.names)
        self.weights = nn.Parameter(torch.zeros(size, size))
        self.register_buffer("allowed", ~torch.eye(size, dtype=torch.bool))
        self.register_buffer("needed", torch.zeros(size, size, dtype=torch.bool))
        self.register_buffer("alpha", torch.zeros(()))
        self.register_buffer("rho", torch.ones(()))
        self.register_buffer("last", torch.full((), torch.inf))  # h at the last tightening

    @abstractmethod
    def fit(self, table: Table) -> tuple[str, ...]:
        """Set the weights to what explains the table, whose columns are in the order of the buffers.

        What it returns are notes on how.
        """

    @abstractmethod
    def reconstruction(self, latents: Tensor, weights: Tensor) -> Tensor:
        """Half the squared error [] of each attribute [b, d] given its causes, summed over attributes."""

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """Fit in the canonical order, then put the weights, and the graph, in the order that was asked for."""
        ordered = canonical(table)
        covariance(table)  # refuses a table with too few rows
        self._set(knowledge, ordered.names)
        self.reset_price()
        notes = self.fit(ordered)
        at = torch.tensor([ordered.attributes.index(name) for name in self.names])
        self._set(knowledge, self.names)
        with torch.no_grad():
            self.weights.copy_(self.weights[at][:, at])
            graph = self.graph()
            self.weights.copy_(torch.tensor(self.settled(graph, table)))
        self.reset_price()
        return with_strengths(replace(graph, notes=(*notes, *graph.notes)), table)

    def settled(self, graph: CausalGraph, table: Table) -> Matrix:
        """[d, d], the weights with which joint training begins from a learned graph."""
        return graph.strengths

    def _set(self, knowledge: Knowledge, names: tuple[str, ...]) -> None:
        self.needed.copy_(torch.as_tensor(knowledge.needed(names)))
        self.allowed.copy_(torch.as_tensor(knowledge.allowed(names)))

    def reset_price(self) -> None:
        """The price of a cycle as at the start."""
        self.alpha.fill_(0.0)
        self.rho.fill_(1.0)
        self.last.fill_(torch.inf)

    def adjacency(self) -> Tensor:
        """[d, d], the weights on the edges that knowledge allows."""
        return self.weights * self.allowed

    def loss(self, latents: Tensor) -> Mapping[str, Tensor]:
        """The augmented Lagrangian in its terms: fit, l1 |A|_1, and alpha h + rho/2 h^2."""
        weights = self.adjacency()
        h = self.cyclicity(weights)
        return {
            "reconstruction": self.reconstruction(latents, weights),
            "sparsity": self.l1 * weights.masked_fill(self.needed, 0).abs().sum(),
            "acyclicity": self.alpha * h + self.rho / 2 * h.square(),
        }

    def cyclicity(self, weights: Tensor) -> Tensor:
        """Of weights [d, d]: a smooth number [], zero exactly where they have no cycle."""
        return cyclicity(weights)

    @torch.no_grad()
    def tighten(self) -> None:
        """Raise alpha by rho h; rho rises tenfold where h has not fallen to a quarter."""
        h = self.cyclicity(self.adjacency())
        self.alpha += self.rho * h
        if h > 0.25 * self.last:
            self.rho.copy_((self.rho * 10).clamp(max=STEEPEST))
        self.last.copy_(h)

    def graph(self) -> CausalGraph:
        """The weights above the threshold, and the needed edges, without their cycles."""
        weights = self.scaled()
        strong = (np.abs(weights) >= self.threshold) | self.needed.cpu().numpy()
        graph = project(np.where(strong, weights, 0.0), self.needed.cpu().numpy(), self.names)
        strengths = self.adjacency().detach().cpu().double().numpy()
        return replace(
            graph, strengths=np.where(graph.adjacency & (strengths == 0), FAINT, strengths * graph.adjacency)
        )

    def scaled(self) -> Matrix:
        """[d, d], the weights on the scale of the threshold."""
        return np.asarray(self.adjacency().detach().cpu().double().numpy())
