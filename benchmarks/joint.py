"""Does a graph that learns on with the images come closer to the true one than the graph of the attributes alone?

    python benchmarks/joint.py                                          # notears: pendulum and faces, 5 seeds
    python benchmarks/joint.py --learner gae --data faces --seeds 0 1   # a part
    python benchmarks/joint.py --steps 2000 --rate 2e-4 --tiers untold  # at the default rate, as long as it takes

For each seed the learner learns from the attribute table, with the tiers that the data know and without. Then it goes
on in two ways, by the same batches and rates: jointly, as a part of CCIG with its images, and by its own loss alone.
Trainings are short, so the structure's rate is ten times the default: 200 steps move it as far as 2,000 would.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ccigkit.commands.config import Config, parse_settings
from ccigkit.commands.graph import learn_graph
from ccigkit.commands.train import assemble
from ccigkit.graph import Knowledge
from ccigkit.interfaces import Batch, DataModule, JointStructureLearner
from ccigkit.training.batches import batches
from ccigkit.training.devices import choose_device
from ccigkit.training.loop import Training

SMALL = (
    *("data.n=2000", "data.size=32", "backbone.name=dcgan", "backbone.width=16"),
    *("objective.name=ccig", "train.schedule=joint", "train.device=cpu"),
)


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["pendulum", "faces"])
    parser.add_argument("--learner", default="notears")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--tiers", choices=["known", "untold", "both"], default="both")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=2e-3, help="of the structure's weights")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--out", type=Path, help="a file for every figure, as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: list[dict[str, Any]] = []
    for data in given.data:
        for tiers in {"known": [True], "untold": [False], "both": [True, False]}[given.tiers]:
            for seed in given.seeds:
                begun = time.process_time()
                named = (f"data.name={data}", f"data.seed={seed}", f"structure.name={given.learner}")
                length = (f"train.steps={given.steps}", f"train.batch={given.batch}", f"train.seed={seed}")
                layers = [parse_settings(s) for s in (SMALL, named, length, (f"objective.scm_rate={given.rate}",))]
                figures = compare(Config.resolve([("joint", layer) for layer in layers]), tiers)
                found.append(
                    {"data": data, "tiers": tiers, "seed": seed, **figures, "cpu": time.process_time() - begun}
                )
                print(found[-1], flush=True)
                if given.out:
                    given.out.write_text(json.dumps(found, indent=1))
    print(table(found))


def compare(config: Config, tiers: bool) -> dict[str, int]:
    """The SHD of the graph before any training, after training with the images, and after as many steps alone."""
    torch.manual_seed(config.train.seed)
    data: DataModule = config["data"].build({})
    rows = data.table()
    assert data.truth is not None
    found = {}
    for way in ("jointly", "alone"):
        learned = learn_graph(config, rows, data.knowledge if tiers else Knowledge())
        assert isinstance(learned.learner, JointStructureLearner)
        found["before"] = learned.graph.shd(data.truth)
        model, objective = assemble(config, data, rows, learned, choose_device("cpu"))
        settings = config.train
        ahead = batches(
            data, torch.as_tensor(rows.latents).float(), settings.batch, range(settings.steps), settings.seed
        )
        if way == "jointly":
            cpu, single = torch.device("cpu"), torch.float32
            training = Training(objective, steps=settings.steps, ema=settings.ema, device=cpu, dtype=single)
            objective.begin()
            for batch in ahead:
                training.step(batch)
        else:
            learn_on(learned.learner, ahead, objective.rates()["structure"], settings.steps)
        found[way] = model.structure.graph().shd(data.truth)
    return found


def learn_on(learner: JointStructureLearner, ahead: Iterator[Batch], rate: float, steps: int) -> None:
    """Descend the learner's own loss on the attributes of each batch, as `Training` would."""
    optimiser = torch.optim.Adam(learner.parameters(), lr=rate, betas=(0.5, 0.99))
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step, batch in enumerate(ahead, start=1):
        optimiser.zero_grad()
        torch.stack(list(learner.loss(batch.attributes).values())).sum().backward()
        optimiser.step()
        falling.step()
        if step % 200 == 0:
            learner.tighten()


def table(found: list[dict[str, Any]]) -> str:
    """Medians over seeds and every seed's figure, as Markdown."""
    lines = [
        "| data | tiers | learned alone | then jointly with images | then as long alone |",
        "|---|---|---|---|---|",
    ]
    for data, tiers in dict.fromkeys((run["data"], run["tiers"]) for run in found):
        runs = [run for run in found if (run["data"], run["tiers"]) == (data, tiers)]
        cells = [
            f"{statistics.median(run[way] for run in runs):g} ({', '.join(str(run[way]) for run in runs)})"
            for way in ("before", "jointly", "alone")
        ]
        lines.append(f"| {data} | {'known' if tiers else 'not told'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
