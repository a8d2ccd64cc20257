"""Tables for benchmarks/structure.py: random graphs as in the papers of the learners compared, and known networks.

python benchmarks/structure_data.py alarm-n5000 0  # sample a network into the folder of tables
"""

from __future__ import annotations

import gzip
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Edges = npt.NDArray[np.bool_]
Model = Literal[
    "linear", "logistic", "mlp", "mixed", "uniform", "laplace", "noises", "curves", "interactions", "categories"
]
Kind = Literal["continuous", "binary", "categorical"]
Scale = Literal["raw", "std", "internal"]
MIXED: tuple[Kind, ...] = ("continuous", "binary", "categorical", "continuous", "binary")  # and so on
LABELS: dict[str, Kind] = {"logistic": "binary", "interactions": "binary", "categories": "categorical"}
LEVELS = 3  # of a categorical attribute
INTERACTING = 0.5  # the share of attributes whose causes interact, among interactions and categories
TABLES = "STRUCTURE_TABLES"  # the folder in which sampled networks are kept; a temporary one where it is unset
NETWORKS = "STRUCTURE_NETWORKS"  # a folder of files such as alarm.bif.gz; where it is unset, pgmpy downloads them
SACHS = "STRUCTURE_SACHS"  # the folder real/sachs of cmu-phil/example-causal-datasets


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


@dataclass(frozen=True)
class Network:
    """A Bayesian network of the bnlearn repository by its name there, and the number of rows sampled from it.

    All columns are codes of states. A state that no row has gets no code. A column that is constant in the sample is
    left out, and its edges with it: nothing is joined in its place, though to leave out a common cause or a link of a
    chain joins the others in truth. So rare a state joins little.
    """

    name: str
    n: int

    def __str__(self) -> str:
        return f"{self.name}-n{self.n}"

    def kinds_of(self, rows: Matrix) -> tuple[Kind, ...]:
        """The kinds of the columns of rows [n, d]: a label where it has two states."""
        return tuple("binary" if levels < 2 else "categorical" for levels in rows.max(axis=0))

    def tiny(self) -> Matrix:
        """Rows [200, 4] of codes, each column following from the one before."""
        return np.maximum.accumulate(np.random.default_rng(0).integers(0, LEVELS, (200, 4)), axis=1).astype(np.float64)


@dataclass(frozen=True)
class Sachs:
    """Eleven proteins in single cells (Sachs et al., 2005), and the graph of as many edges that they are held to.

    `observed` are the 853 cells that were only activated, `all` the 7,466 of nine conditions, both on a logarithmic
    scale; `discrete` are 600 cells of each condition, in three levels, by Sachs et al. What a reagent acts on is taken
    to have been set: akt, pkc, pip2, mek, pip3, pkc, pka as in Wang et al. (2017), who leave out the last two. In
    `discrete` it has the level that the reagent was to give it, and that of ly, pip3, has not.

    Graphs: the 17 edges of the network `sachs` of the bnlearn repository, and the 20 that come with the data.
    """

    rows: Literal["observed", "discrete", "all"]
    edges: Literal[17, 20]

    def __str__(self) -> str:
        return f"sachs-{self.rows}-e{self.edges}"

    def kinds_of(self, rows: Matrix) -> tuple[Kind, ...]:
        """The kinds of the columns of rows [n, d]."""
        return ("categorical" if self.rows == "discrete" else "continuous",) * rows.shape[1]

    def tiny(self) -> Matrix:
        """Rows [200, 4] of the same kinds."""
        if self.rows == "discrete":
            return Network("", 0).tiny()
        return np.random.default_rng(0).normal(size=(200, 4)).cumsum(axis=1)

    def conditions(self) -> Edges:
        """[n, 8], which reagents each cell was given, beside the one that activates or in its stead."""
        if self.rows == "discrete":
            return np.repeat(np.array([[name == own for name in REAGENTS] for own in BLOCKS]), 600, axis=0)
        found = _sachs("data/sachs.2005.continuous.discrete.experimental.mixed.maximum.2.txt")[:, -len(REAGENTS) :] > 0
        return found if self.rows == "all" else found[~found.any(axis=1)]

    def intervened(self) -> Edges:
        """[n, 11], which proteins were set."""
        acts = {**REAGENTS, "ly": ""} if self.rows == "discrete" else REAGENTS
        return self.conditions() @ np.array([[name == target for name in PROTEINS] for target in acts.values()])


PROTEINS = ("raf", "mek", "plc", "pip2", "pip3", "erk", "akt", "pka", "pkc", "p38", "jnk")
REAGENTS = {  # and what each acts on; icam2 on no protein that was measured
    "icam2": "",
    "aktinhib": "akt",
    "g0076": "pkc",
    "psitect": "pip2",
    "u0126": "mek",
    "ly": "pip3",
    "pma": "pkc",
    "b2camp": "pka",
}
# of 600 discrete cells each; the file does not say which, but five have a target at one level, and the others' levels
# follow the numbers
BLOCKS = ("b2camp", "", "aktinhib", "g0076", "psitect", "u0126", "icam2", "pma", "ly")
CONSENSUS = (
    *("pkc raf", "pkc mek", "pkc jnk", "pkc p38", "pkc pka", "pka raf", "pka mek", "pka erk", "pka akt", "pka jnk"),
    *("pka p38", "raf mek", "mek erk", "erk akt", "plc pip2", "plc pip3", "pip3 pip2"),
)
AnyCell = Cell | Network | Sachs


def parse_cell(name: str) -> AnyCell:
    """The cell of a name such as "linear-d10-n1000-std", "alarm-n5000" or "sachs-all-e17".

    Raises:
        ValueError: where the name is none.
    """
    if found := re.fullmatch(r"sachs-(observed|discrete|all)-e(17|20)", name):
        return Sachs(found[1], int(found[2]))  # type: ignore[arg-type]
    found = re.fullmatch(r"([a-z][a-z0-9]*)-n(\d+)", name)
    return Network(found[1], int(found[2])) if found else Cell.parse(name)


# --- networks ---------------------------------------------------------------------------------------------------------


def sampled(network: Network, seed: int) -> tuple[Matrix, Edges]:
    """Rows [n, d] and the graph [d, d] of a network, sampled once and kept.

    A process of its own samples, so that its time and memory are not those of the learner that happens to come first.
    """
    path = table_path(network, seed)
    if not path.exists():
        subprocess.run([sys.executable, __file__, str(network), str(seed)], check=True)
    with np.load(path) as kept:
        return kept["rows"].astype(np.float64), kept["truth"]


def table_path(network: Network, seed: int) -> Path:
    """Where the sample is kept."""
    folder = os.environ.get(TABLES) or Path(tempfile.gettempdir(), "structure-tables")
    return Path(folder, f"{network}-{seed}.npz")


def main() -> None:
    """Sample the network that the arguments say, and keep the table."""
    network, seed = parse_cell(sys.argv[1]), int(sys.argv[2])
    if not isinstance(network, Network):
        raise SystemExit(f"{network} is drawn, not sampled; write a network such as alarm-n5000")
    rows, truth = sample(network, seed)
    path = table_path(network, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez_compressed(file, rows=rows, truth=truth)
    part.replace(path)  # at once, as another process may read it


def sample(network: Network, seed: int) -> tuple[npt.NDArray[np.uint16], Edges]:
    """Codes [n, d] by pgmpy's forward sampling, and the graph [d, d].

    The columns are in an order drawn with the seed, as that of the file has causes first.
    """
    from pgmpy.sampling import BayesianModelSampling

    model = load(network.name)
    nodes = [str(node) for node in np.random.default_rng(seed).permutation(sorted(model.nodes()))]
    states = BayesianModelSampling(model).forward_sample(size=network.n, seed=seed, show_progress=False, n_jobs=1)
    codes = {}
    for node in nodes:
        order = {state: code for code, state in enumerate(model.get_cpds(node).state_names[node])}
        seen, code = np.unique([order[state] for state in states[node]], return_inverse=True)
        if len(seen) > 1:
            codes[node] = code
    truth = np.array([[model.has_edge(cause, effect) for effect in codes] for cause in codes])
    return np.stack([*codes.values()], axis=1).astype(np.uint16), truth


def load(name: str) -> Any:
    """A network of the bnlearn repository: of the folder given, or of pgmpy's example models."""
    from pgmpy.example_models import load_model
    from pgmpy.readwrite import BIFReader

    if folder := os.environ.get(NETWORKS):
        return BIFReader(string=gzip.decompress(Path(folder, f"{name}.bif.gz").read_bytes()).decode()).get_model()
    return load_model(f"bnlearn/{name}")


# --- proteins ---------------------------------------------------------------------------------------------------------


def measured(cell: Sachs) -> tuple[Matrix, Edges]:
    """Rows [n, 11] and the graph [11, 11]."""
    if cell.rows == "discrete":
        rows = _sachs("data/sachs.2005.discrete.txt") - 1
    else:
        rows = _sachs("data/sachs.2005.continuous.discrete.experimental.mixed.maximum.2.txt")
        observed = ~(rows[:, -len(REAGENTS) :] > 0).any(axis=1)
        rows = rows[observed if cell.rows == "observed" else ..., : len(PROTEINS)]
    edges = [tuple(edge.split()) for edge in CONSENSUS]
    if cell.edges == 20:
        text = (_folder() / "ground.truth/sachs.2005.ground.truth.graph.txt").read_text()
        edges = re.findall(r"(\w+) --> (\w+)", text)
    truth = np.array([[(cause, effect) in edges for effect in PROTEINS] for cause in PROTEINS])
    assert truth.sum() == cell.edges, f"{truth.sum()} edges, not {cell.edges}"
    return rows, truth


def _sachs(name: str) -> Matrix:
    return np.loadtxt(_folder() / name, skiprows=1)


def _folder() -> Path:
    if not (folder := os.environ.get(SACHS)):
        raise ValueError(f"{SACHS} must be the folder real/sachs of cmu-phil/example-causal-datasets")
    return Path(folder)


# --- random graphs ----------------------------------------------------------------------------------------------------


def draw(cell: AnyCell, seed: int) -> tuple[Matrix, Edges]:
    """Rows [n, d] and the graph [d, d] that made them; raw and standardised cells share their draws."""
    if isinstance(cell, Network):
        return sampled(cell, seed)
    if isinstance(cell, Sachs):
        return measured(cell)
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


if __name__ == "__main__":
    main()
