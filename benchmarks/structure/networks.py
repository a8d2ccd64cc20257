"""Tables sampled from known networks.

python benchmarks/structure/networks.py alarm 5000 0  # sample 5,000 rows with seed 0 into the folder of tables
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from structure.base import Edges, Kind, Matrix, tiny_codes

TABLES = "STRUCTURE_TABLES"  # the folder in which sampled networks are kept; a temporary one where it is unset
NETWORKS = "STRUCTURE_NETWORKS"  # a folder of files such as alarm.bif.gz; where it is unset, pgmpy downloads them


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
        """Rows [200, 4] of codes."""
        return tiny_codes()


def sampled(network: Network, seed: int) -> tuple[Matrix, Edges]:
    """Rows [n, d] and the graph [d, d] of a network, sampled once and kept.

    A process of its own samples, so that its time and memory are not those of the learner that happens to come first.
    """
    path = table_path(network, seed)
    if not path.exists():
        subprocess.run([sys.executable, __file__, network.name, str(network.n), str(seed)], check=True)
    with np.load(path) as kept:
        return kept["rows"].astype(np.float64), kept["truth"]


def table_path(network: Network, seed: int) -> Path:
    """Where the sample is kept."""
    folder = os.environ.get(TABLES) or Path(tempfile.gettempdir(), "structure-tables")
    return Path(folder, f"{network}-{seed}.npz")


def main() -> None:
    """Sample the network that the arguments say, as often and with the seed that they say, and keep the table."""
    network, seed = Network(sys.argv[1], int(sys.argv[2])), int(sys.argv[3])
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


if __name__ == "__main__":
    main()
