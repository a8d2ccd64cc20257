"""Images per second of two processes against one, in turn, and the medians of their ratios.

    python benchmarks/processes.py [--rounds 3] [--steps 6] [KIND.OPTION=VALUE...]

Three trainings follow one another in every round: one process of one thread, one of two threads, two of one thread
each. A speed is the batch over the median time of a step, two steps left out before. `waiting` is the part of a step
that the first process spends in exchanges, where it waits for the other, too; `CPU s` is the processor's time that it
takes for a step. Beside other work only the ratios within a round mean anything, and that of the processor's time most:
it is what two cores of their own would give, but for the waiting. The load of the machine stands beside each. The
default is the pendulum at 64 pixels, resnet of width 32, 16 images per step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

SETTINGS = (
    "data.name=pendulum", "data.n=300", "structure.name=known", "backbone.name=resnet", "backbone.width=32",
    "train.batch=16", "train.device=cpu",
)  # fmt: skip
WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread": (2, 1)}


def worker(processes: int, steps: int, settings: list[str]) -> None:
    """Train as one of the processes; the first prints what a step took."""
    import torch
    from torch import distributed as dist

    from ccigkit.commands.config import Config, parse_settings
    from ccigkit.commands.graph import learn_graph
    from ccigkit.commands.train import assemble
    from ccigkit.training.batches import batches
    from ccigkit.training.devices import keep_memory, seed_all
    from ccigkit.training.loop import Training
    from ccigkit.training.processes import join, leave

    spent = {"exchanges": 0, "bytes": 0, "waiting": 0.0}
    all_reduce = dist.all_reduce

    def counted(tensor: torch.Tensor, *more: Any) -> Any:
        begun = time.perf_counter()
        done = all_reduce(tensor, *more)
        spent["waiting"] += time.perf_counter() - begun
        spent["exchanges"] += 1
        spent["bytes"] += tensor.numel() * tensor.element_size()
        return done

    dist.all_reduce = counted
    keep_memory()
    seed_all(0)
    team = join(processes, "cpu")
    config = Config.resolve([("settings", parse_settings(settings))])
    data = config["data"].build({})
    table = data.table()
    _, objective = assemble(config, data, table, learn_graph(config, table, data.knowledge))
    training = Training(objective, steps=100, device=torch.device("cpu"), dtype=torch.float32, team=team)
    objective.begin()
    training.same()
    took: list[float] = []
    computed = 0.0
    latents, ahead = torch.as_tensor(table.latents).float(), range(steps + 2)
    for batch in batches(data, latents, config.train.batch, ahead, 0, team):
        if training.step_number == 2:
            spent = dict.fromkeys(spent, 0)
            computed = time.process_time()
        begun = time.perf_counter()
        training.step(batch)
        took.append(time.perf_counter() - begun)
    if team.first:
        step = statistics.median(took[2:])
        found = {
            "images/s": config.train.batch / step,
            "CPU s": (time.process_time() - computed) / steps,
            "exchanges": spent["exchanges"] / steps,
            "MB": spent["bytes"] / steps / 1e6,
            "waiting": spent["waiting"] / sum(took[2:]),
        }
        print(json.dumps(found))
    leave()


def measured(processes: int, threads: int, steps: int, settings: list[str]) -> dict[str, float]:
    """What a worker, or two, printed."""
    command = [sys.executable, __file__, "--steps", str(steps), "--worker", str(processes), *settings]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print every round's speeds, and the medians of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--worker", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*")
    asked = parser.parse_args()
    settings = asked.settings if asked.worker else [*SETTINGS, *asked.settings]
    if asked.worker:
        worker(asked.worker, asked.steps, settings)
        return
    ratios: dict[str, list[float]] = {}
    for _ in range(asked.rounds):
        speeds, computed = [], []
        for way, (processes, threads) in WAYS.items():
            load = os.getloadavg()[0]
            found = measured(processes, threads, asked.steps, settings)
            speeds.append(found["images/s"])
            computed.append(found["CPU s"])
            print(
                f"{way}: {', '.join(f'{what} {value:.2f}' for what, value in found.items())}; load {load:.1f}",
                flush=True,
            )
        ratios.setdefault("2 processes over 1 of one thread", []).append(speeds[2] / speeds[0])
        ratios.setdefault("2 processes over 1 of two threads", []).append(speeds[2] / speeds[1])
        ratios.setdefault("2 over 1 of one thread, by CPU time", []).append(computed[0] / computed[2])
    for what, every in ratios.items():
        print(f"{what}: {statistics.median(every):.2f} (of {', '.join(f'{ratio:.2f}' for ratio in sorted(every))})")


if __name__ == "__main__":
    main()
