"""Tables of random graphs, as in the papers of the learners compared."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from structure.base import LEVELS, Edges, Kind, Matrix

Model = Literal[
    "linear", "logistic", "mlp", "mixed", "uniform", "laplace", "noises", "curves", "interactions", "categories"
]
Scale = Literal["raw", "std", "internal"]
MIXED: tuple[Kind, ...] = ("continuous", "binary", "categorical", "continuous", "binary")  # and so on
LABELS: dict[str, Kind] = {"logistic": "binary", "interactions": "binary", "categories": "categorical"}
INTERACTING = 0.5  # the share of attributes whose causes interact, among interactions and categories


@dataclass(frozen=True)
class Cell:
    """What a table is drawn from: the model, the number of attributes and of rows, and how it is standardised.

    Internally is as it is made: each attribute before others follow from it (Ormaniec et al., 2025). Labels are never
    standardised, only numbers.
    """

    model: Model
    d: int
    n: int
    scale: Scale

    @classmethod
    def parse(cls, name: str) -> Cell:
        """The cell of a name such as "linear-d10-n1000-std".

        Raises:
            ValueError: where the name is none.
        """
        models, scales = "|".join(get_args(Model)), "|".join(get_args(Scale))
        found = re.fullmatch(rf"({models})-d(\d+)-n(\d+)-({scales})", name)
        if not found or (found[1] in LABELS and found[4] != "raw"):
            raise ValueError(f"{name!r} is no cell; write one such as linear-d10-n1000-std or logistic-d10-n5000-raw")
        return cls(found[1], int(found[2]), int(found[3]), found[4])  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.model}-d{self.d}-n{self.n}-{self.scale}"

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of its attributes."""
        if self.model == "mixed":
            return tuple(MIXED[i % len(MIXED)] for i in range(self.d))
        return (LABELS.get(self.model, "continuous"),) * self.d

    def kinds_of(self, rows: Matrix) -> tuple[Kind, ...]:
        """The kinds of the columns of rows [n, at most d]."""
        return self.kinds[: rows.shape[1]]

    def tiny(self) -> Matrix:
        """Rows [200, 4] of the same kinds, on which a learner can import what it needs."""
        return draw(Cell(self.model, 4, 200, self.scale), 0)[0]


def draw(cell: Cell, seed: int) -> tuple[Matrix, Edges]:
    """Rows [n, d] and the graph [d, d] that made them; raw and standardised cells share their draws."""
    rng = np.random.default_rng([seed, cell.d, cell.n, get_args(Model).index(cell.model)])
    truth = erdos_renyi(cell.d, 2 * cell.d, rng)
    order = np.argsort(truth_depth(truth), kind="stable")
    rows = np.zeros((cell.n, cell.d))
    for j in order:
        causes = np.flatnonzero(truth[:, j])
        if cell.model == "mixed":
            rows[:, j] = follow_any(cell.kinds[j], [(cell.kinds[c], rows[:, c]) for c in causes], cell.n, rng)
        elif cell.model in ("interactions", "categories"):
            rows[:, j] = follow_labels(rows[:, causes], 2 if cell.model == "interactions" else LEVELS, rng)
        else:
            rows[:, j] = follow(cell.model, rows[:, causes], rng)
        if cell.scale == "internal" and cell.kinds[j] == "continuous":
            rows[:, j] = standardised(rows[:, j])
    if cell.scale == "std":
        numbers = np.array(cell.kinds) == "continuous"
        rows[:, numbers] = standardised(rows[:, numbers])
    return rows, truth


def erdos_renyi(size: int, edges: int, rng: np.random.Generator) -> Edges:
    """[d, d], a DAG with this many edges, all such along a random order alike (ER2: two per attribute)."""
    pairs = np.argwhere(np.triu(np.ones((size, size), dtype=bool), 1))
    chosen = pairs[rng.choice(len(pairs), min(edges, len(pairs)), replace=False)]
    order = rng.permutation(size)
    truth = np.zeros((size, size), dtype=bool)
    truth[order[chosen[:, 0]], order[chosen[:, 1]]] = True
    return truth


def truth_depth(truth: Edges) -> npt.NDArray[np.int_]:
    """[d], the length of the longest path that ends at each attribute."""
    depth = np.zeros(len(truth), dtype=int)
    for _ in range(len(truth)):
        depth = np.where(truth, depth[:, None] + 1, 0).max(axis=0)
    return depth


def follow(model: Model, causes: Matrix, rng: np.random.Generator) -> Matrix:
    """One attribute [n] from its causes [n, p]; weights are uniform on +-[0.5, 2] and noise has unit variance.

    Linear and logistic: Zheng et al. (2018). MLP: one hidden layer of 100 sigmoids, Zheng et al. (2020). Curves: one
    of each cause, drawn from a Gaussian process (Bühlmann et al., 2014) by 100 frequencies (Rahimi and Recht, 2007).
    """
    n, p = causes.shape
    if model == "curves":
        bends = [curve(standardised(cause), rng) for cause in causes.T]
        return np.asarray(sum(bends, np.zeros(n)) + rng.normal(size=n) / 2)
    if model == "mlp":
        effect = 0.0
        if p:
            inner, outer = weights((p, 100), rng), weights((100,), rng)
            effect = 1 / (1 + np.exp(-causes @ inner)) @ outer
        return np.asarray(effect + rng.normal(size=n))
    score = causes @ weights((p,), rng)
    if model == "logistic":
        return (rng.random(n) < 1 / (1 + np.exp(-score))).astype(np.float64)
    return np.asarray(
        score + noise(rng.choice(["linear", "uniform", "laplace"]) if model == "noises" else model, n, rng)
    )


def noise(model: str, n: int, rng: np.random.Generator) -> Matrix:
    """[n], of unit variance: uniform, Laplace, or else normal."""
    if model == "uniform":
        return rng.uniform(-math.sqrt(3), math.sqrt(3), n)
    return rng.laplace(scale=math.sqrt(0.5), size=n) if model == "laplace" else rng.normal(size=n)


def curve(cause: Matrix, rng: np.random.Generator) -> Matrix:
    """[n], a function of a cause [n] drawn from a Gaussian process of unit variance and unit length scale."""
    frequencies, phases = rng.normal(size=100), rng.uniform(0, 2 * math.pi, 100)
    values: Matrix = np.sqrt(2 / 100) * np.cos(cause[:, None] * frequencies + phases) @ rng.normal(size=100)
    return values


def follow_labels(causes: Matrix, levels: int, rng: np.random.Generator) -> Matrix:
    """One label [n] of so many from its causes [n, p], labels too: the largest of its scores with Gumbel noise.

    Of half the attributes each combination of causes has scores of its own, normal with standard deviation 1.5; of the
    others each label of each cause adds one, uniform on +-[0.5, 2].
    """
    scores = rng.normal(size=levels) / 2 + rng.gumbel(size=(len(causes), levels))
    if rng.random() < INTERACTING:
        cells = np.unique(causes, axis=0, return_inverse=True)[1].ravel()
        scores += 1.5 * rng.normal(size=(cells.max() + 1, levels))[cells]
    else:
        for cause in causes.T.astype(int):
            scores += weights((levels, levels), rng)[cause]
    return np.asarray(scores.argmax(axis=1), dtype=np.float64)


def follow_any(kind: Kind, causes: Sequence[tuple[Kind, Matrix]], n: int, rng: np.random.Generator) -> Matrix:
    """One attribute [n] of a kind from its causes [n] of theirs: a generalised linear model.

    A number has unit noise, a label 0 or 1 a logistic score, a category the largest of its scores with Gumbel noise.
    Each cause enters standardised, or, a category, as one weight per level and score.
    """
    scores = np.zeros((n, LEVELS if kind == "categorical" else 1))
    for of, cause in causes:
        if of == "categorical":
            scores += weights((LEVELS, scores.shape[1]), rng)[cause.astype(int)]
        else:
            scores += standardised(cause)[:, None] * weights((1, scores.shape[1]), rng)
    if kind == "categorical":
        return np.asarray((scores + rng.gumbel(size=scores.shape)).argmax(axis=1), dtype=np.float64)
    if kind == "binary":
        return (rng.random(n) < 1 / (1 + np.exp(scores.mean() - scores[:, 0]))).astype(np.float64)
    return np.asarray(scores[:, 0] + rng.normal(size=n))


def standardised(rows: Matrix) -> Matrix:
    """Rows [n, ...] with mean 0 and variance 1."""
    return np.asarray((rows - rows.mean(axis=0)) / rows.std(axis=0))


def weights(shape: tuple[int, ...], rng: np.random.Generator) -> Matrix:
    """Uniform on +-[0.5, 2]."""
    return rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape)
