"""Kill a training at random moments, again and again, and compare what comes of it with one that was never stopped.

    python benchmarks/faults.py [--kills 30] [--steps 1200] [--every 0.1] [--seed 0] [--folder DIR]

Each kill is SIGKILL: a fifth fall anywhere in the start of the process, the others within two seconds of its first
step. Prints, for each life, the step it reached and the step that was saved, and at the end whether the two finished
models are the same file, byte for byte, and the two states of training the same, bit for bit.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ccigkit.commands.run import Run

SMALL = (
    "train", "--data", "pendulum", "--objective", "dear", "--structure", "known", "data.n=60", "data.size=32",
    "backbone.name=dcgan", "backbone.width=8", "train.batch=8", "train.device=cpu", "train.sample_every=0",
)  # fmt: skip


def watched(diary: Path, words: Sequence[str]) -> None:
    """Run a command of ccigkit, and write down every step that it has played and every one that it has saved."""
    from ccigkit.commands.app import main
    from ccigkit.training.checkpoints import Checkpoints
    from ccigkit.training.loop import Training

    step, save = Training.step, Checkpoints.save
    file = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def played(self: Training, batch: Any) -> dict[str, float]:
        terms = step(self, batch)
        os.write(file, f"played {self.step_number}\n".encode())
        return terms

    def saved(self: Checkpoints, state: Any, keep: int = 1) -> None:
        save(self, state, keep)
        os.write(file, f"saved {state['step']}\n".encode())

    Training.step, Checkpoints.save = played, saved  # type: ignore[method-assign]
    sys.argv = ["ccigkit", *words]
    main()


def start(run: Path, steps: int, every: float) -> subprocess.Popen[bytes]:
    """The command, the same at every start, in a process of its own with one thread."""
    words = [*SMALL, "--steps", str(steps), "--run", str(run), f"train.checkpoint_every={every}"]
    return subprocess.Popen(
        [sys.executable, __file__, "--watched", str(run.with_suffix(".diary")), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )


def diary(run: Path) -> list[tuple[str, int]]:
    """What was written down, in order."""
    path = run.with_suffix(".diary")
    lines = path.read_text().splitlines() if path.exists() else []
    return [(what, int(step)) for what, step in (line.split() for line in lines)]


def kill(run: Path, steps: int, every: float, moment: random.Random, start_up: float) -> tuple[int, int]:
    """Start the training, kill it, and return the last step that it had played and the newest that is saved."""
    before, running = len(diary(run)), start(run, steps, every)
    if moment.random() < 0.2:
        time.sleep(moment.uniform(0, start_up))
    else:
        while len(diary(run)) == before and running.poll() is None:
            time.sleep(0.01)
        time.sleep(moment.uniform(0, 2))
    running.kill()
    running.wait()
    state = Run(run).load_checkpoint()
    reached = [step for what, step in diary(run)[before:] if what == "played"]
    saved = state["step"] if state else 0
    return (reached[-1] if reached else saved), saved


def lost_at_most(run: Path) -> int:
    """The most steps that lay between a checkpoint and the one before it, or the start."""
    saved = [step for what, step in diary(run) if what == "saved"]
    return max(b - a for a, b in zip([0, *saved], saved, strict=False))


def compare(kills: int, steps: int, every: float, seed: int, folder: Path) -> dict[str, Any]:
    """What thirty kills did: steps lost at each, and whether anything at the end differs."""
    whole, killed, moment = folder / "whole", folder / "killed", random.Random(seed)
    begun = time.monotonic()
    running = start(whole, steps, every)
    while not diary(whole):
        time.sleep(0.01)
    start_up = time.monotonic() - begun
    assert running.wait() == 0
    lost, before = [], 0
    for number in range(1, kills + 1):
        reached, saved = kill(killed, steps, every, moment, start_up)
        assert saved >= before, "a checkpoint was lost"
        print(f"kill {number}: reached step {reached}, saved is step {saved}", flush=True)
        lost.append(reached - saved)
        before = saved
    assert start(killed, steps, every).wait() == 0
    one, other = Run(whole).load_checkpoint(), Run(killed).load_checkpoint()
    models = [(run / "model.safetensors").read_bytes() for run in (whole, killed)]
    return {
        "kills": kills,
        "steps": steps,
        "killed before the end": before < steps,
        "steps lost": lost,
        "most steps between checkpoints": lost_at_most(killed),
        "left behind": [path.name for path in killed.glob(".*.tmp")],
        "same model, byte for byte": models[0] == models[1],
        "same state, bit for bit": same(one, other),
    }


def same(a: object, b: object) -> bool:
    """Whether two nested states are equal, tensors bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def main() -> None:
    """Read the command line, kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--every", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        folder = given.folder or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in compare(given.kills, given.steps, given.every, given.seed, folder).items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watched"]:
        watched(Path(sys.argv[2]), sys.argv[3:])
    else:
        main()
