"""Do the degrees that a trained encoder reads make the graph better than hard labels alone?

    python benchmarks/readings.py                                   # drawn faces: 500, 2,000, 10,000 images, 3 seeds
    python benchmarks/readings.py --n 2000 --wrong 0 --halves       # each half read by an encoder of the other, too

For each seed CCIG is trained on faces with hard labels, nobody having told the tiers. Then graphs are learned of the
labels, of what the encoder reads off its training images, of both as `ccigkit graph RUN` does, and of the true degrees
in the place of the readings.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ccigkit.attributes import Table
from ccigkit.commands.config import Config, parse_settings
from ccigkit.commands.graph import learn_graph
from ccigkit.commands.run import Run
from ccigkit.commands.train import Experiment, assemble
from ccigkit.data.base import DataModule, Split
from ccigkit.data.drawn.faces import Faces
from ccigkit.graph import Knowledge
from ccigkit.model.model import CausalImageModel
from ccigkit.model.readings import readings
from ccigkit.structure.readings import directed
from ccigkit.training.batches import batches
from ccigkit.training.loop import Training

LEARNERS = ("auto", "lingam")
SMALL = (
    *("data.name=faces", "data.size=32", "data.labels=hard", "backbone.name=dcgan", "backbone.width=16"),
    *("objective.name=ccig", "knowledge.from_data=false", "train.device=cpu"),
)


def main() -> None:
    """Train, read, learn, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", nargs="+", type=int, default=[500, 2000, 10_000])
    parser.add_argument("--wrong", nargs="+", type=float, default=[0.0, 0.05])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learners", nargs="+", default=LEARNERS, help="lingam comes with plugins/ccigkit-lingam")
    parser.add_argument("--halves", action="store_true", help="also read each half by an encoder of the other half")
    parser.add_argument("--out", type=Path, help="a file for every figure, as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    found: list[dict[str, Any]] = []
    for n, wrong, seed in product(given.n, given.wrong, given.seeds):
        begun = time.process_time()
        figures = distances(n, wrong, seed, given)
        found.append({"n": n, "wrong": wrong, "seed": seed, "cpu": time.process_time() - begun, "shd": figures})
        print(json.dumps(found[-1]), flush=True)
        if given.out:
            given.out.write_text(json.dumps(found, indent=1))
    print(table(found))


def distances(n: int, wrong: float, seed: int, given: argparse.Namespace) -> dict[str, int]:
    """SHD to the true graph by what was learned from, and by which learner."""
    settings = (f"data.n={n}", f"data.wrong={wrong}", f"data.seed={seed}", f"train.seed={seed}")
    length = (f"train.steps={given.steps}", f"train.batch={given.batch}")
    config = Config.resolve([("readings", parse_settings((*SMALL, *settings, *length)))])
    data: DataModule = config["data"].build({})
    labels, degrees = data.table(), Faces(n=n, size=32, seed=seed).table()
    read = {"readings": readings(trained(config, data), data, labels)}
    if given.halves:
        read["readings of the other half"] = crossed(config, data)
    assert labels.truth is not None
    found: dict[str, int] = {}
    for learner in given.learners:
        other = Config.resolve([("readings", {**config.tables, "structure": {"name": learner}})])
        graph = learn_graph(other, labels, Knowledge()).graph
        found[f"labels, {learner}"] = graph.shd(labels.truth)
        # a control: the labels themselves as the readings, as an encoder gives them that knows its images by heart
        found[f"both with labels, {learner}"] = directed(graph, labels.latents, Knowledge()).shd(labels.truth)
        for name, beside in (*read.items(), ("degrees", degrees)):
            found[f"{name}, {learner}"] = learn_graph(other, beside, Knowledge()).graph.shd(labels.truth)
            found[f"both with {name}, {learner}"] = directed(graph, beside.latents, Knowledge()).shd(labels.truth)
    return found


def trained(config: Config, data: DataModule) -> CausalImageModel:
    """CCIG after its training, encoder averaged, as `ccigkit train` exports it."""
    torch.manual_seed(config.train.seed)
    rows, settings = data.table(), config.train
    learned = learn_graph(config, rows, Knowledge())
    model, objective = assemble(config, data, rows, learned)
    cpu, single = torch.device("cpu"), torch.float32
    training = Training(objective, steps=settings.steps, ema=settings.ema, device=cpu, dtype=single)
    objective.begin()
    latents = torch.as_tensor(rows.latents).float()
    for batch in batches(data, latents, settings.batch, range(settings.steps), settings.seed):
        training.step(batch)
    return Experiment(config, Run(Path()), data, rows, learned, model, training).export().eval()


def crossed(config: Config, data: DataModule) -> Table:
    """The readings of each half of the rows by an encoder that was trained on the other half alone."""
    whole, split = data.table(), data.load("train")
    values = np.empty_like(whole.values)
    for half in (0, 1):
        mine, theirs = (np.arange(len(split)) % 2 == part for part in (half, 1 - half))
        model = trained(config, Half(data, split, theirs))
        values[mine] = readings(model, Half(data, split, mine), rows(whole, mine)).values
    attributes = readings(model, data, whole).attributes  # their names and kinds; `fit` takes their scale anew
    return Table.fit(attributes, values, whole.truth)


def rows(whole: Table, kept: Any) -> Table:
    """Some rows of a table, on the scale of all."""
    return Table(whole.attributes, whole.values[kept], whole.truth)


class Half(DataModule):
    """A data set with a part of another's training images."""

    name = "half"

    def __init__(self, data: DataModule, split: Split, kept: Any) -> None:
        self.attributes, self.image_shape, self.truth = data.attributes, data.image_shape, data.truth
        self.split = Split(split.images[torch.as_tensor(kept)], split.values[kept])
        self.whole = rows(data.table(), kept)

    def load(self, split: str) -> Split:
        return self.split

    def table(self) -> Table:
        return self.whole


def table(found: list[dict[str, Any]]) -> str:
    """Medians over seeds and every seed's figure, as Markdown."""
    ways = list(found[0]["shd"])
    sizes = list(dict.fromkeys((run["n"], run["wrong"]) for run in found))
    heads = [f"{n:,} images" + (f", {wrong:.0%} wrong" if wrong else "") for n, wrong in sizes]
    lines = ["| learned from, by | " + " | ".join(heads) + " |", "|---" * (len(sizes) + 1) + "|"]
    for way in ways:
        cells = []
        for size in sizes:
            figures = [run["shd"][way] for run in found if (run["n"], run["wrong"]) == size]
            cells.append(f"{statistics.median(figures):g} ({', '.join(map(str, figures))})")
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
