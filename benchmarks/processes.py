"""Images per second of two processes against one, in turn, and the medians of their ratios.

    python benchmarks/processes.py [--rounds 5] [--steps 60] [SETTING...]

Three trainings follow one another in every round: one process of one thread, one of two threads, two of one thread
each. A speed is the median over the log's entries, the first left out. Beside other work only the ratios within a round
mean anything. The default is the pendulum at 64 pixels, 32 images per step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SETTINGS = ("data.name=pendulum", "data.n=500", "structure.name=known", "backbone.name=dcgan", "train.batch=32")
QUIET = ("train.device=cpu", "train.sample_every=0", "train.watch_every=0", "train.checkpoint_every=1e6")
WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread": (2, 1)}


def speed(folder: Path, processes: int, threads: int, steps: int, settings: list[str]) -> float:
    """Images per second of one training."""
    words = [*SETTINGS, *QUIET, *settings, f"train.processes={processes}", f"train.steps={steps}", "--run", str(folder)]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-m", "ccigkit", "train", *words], env=env, check=True, stdout=subprocess.DEVNULL)
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return statistics.median(entry["images_per_second"] for entry in log[1:])


def main() -> None:
    """Print every round's speeds and ratios, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("settings", nargs="*")
    asked = parser.parse_args()
    over_one, over_two = [], []
    with tempfile.TemporaryDirectory() as place:
        for k in range(asked.rounds):
            found = {
                way: speed(Path(place) / f"{k}-{i}", *how, asked.steps, asked.settings)
                for i, (way, how) in enumerate(WAYS.items())
            }
            one, two, both = found.values()
            over_one.append(both / one)
            over_two.append(both / two)
            print(", ".join(f"{way}: {value:.1f}" for way, value in found.items()), flush=True)
    print(f"2 processes over 1 of one thread: {statistics.median(over_one):.2f}, {sorted(over_one)}")
    print(f"2 processes over 1 of two threads: {statistics.median(over_two):.2f}, {sorted(over_two)}")


if __name__ == "__main__":
    main()
