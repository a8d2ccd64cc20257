"""Trains one case after another, alone or as one of several processes, with noise that depends on rows alone.

    python -m tests.together FILE.json PROCESSES

The first process writes the terms of every step, by case, and what the last state is, as a checksum.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ccigkit.causal.model import CausalModel
from ccigkit.commands.graph import learn_graph
from ccigkit.commands.train import assemble
from ccigkit.training.batches import batches
from ccigkit.training.devices import seed_all
from ccigkit.training.loop import Training
from ccigkit.training.processes import ALONE, Team, join, leave
from tests.helpers import tiny

STEPS = 20
SMALL = ("data.size=16", "train.batch=8", f"train.steps={STEPS}", "train.processes=1")
GAE = ("structure.name=gae", "structure.rounds=2", "structure.steps=20")
CASES = {
    "ccig": ("objective.name=ccig", "structure.name=known"),
    "ccig, joint golem": ("objective.name=ccig", "structure.name=golem", "train.schedule=joint"),
    "ccig, joint gae": ("objective.name=ccig", "train.schedule=joint", *GAE),
    "ccig, labels": (
        *("objective.name=ccig", "structure.name=known", "data.name=faces", "data.labels=hard", "scm.name=mixed"),
    ),
    "dear": ("objective.name=dear", "structure.name=known", "train.schedule=finetune"),
    "dear, joint golem": ("objective.name=dear", "structure.name=golem", "train.schedule=joint"),
}
FIXED = 256  # rows of the table that CCIG draws for its mechanisms, whatever the batch


class RowNoise(TorchFunctionMode):
    """Draws for all rows of a step, and gives a process those of its own rows."""

    normal = (torch.randn, torch.randn_like, torch.normal, torch.Tensor.normal_)
    uniform = (torch.rand, torch.rand_like, torch.randint)

    def __init__(self, team: Team, step: int) -> None:
        super().__init__()
        self.team, self.calls = team, 10_000 * step

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        drawn = func(*args, **(kwargs or {}))
        if func not in self.normal + self.uniform:
            return drawn
        self.calls += 1
        generator = torch.Generator().manual_seed(self.calls)
        shared = self.team.count if len(drawn) != FIXED else 1
        whole = (len(drawn) * shared, *drawn.shape[1:])
        noise = (torch.randn if func in self.normal else torch.rand)(whole, generator=generator)
        noise = self.team.share(noise) if shared > 1 else noise
        if func is torch.normal:
            return args[0] + args[1] * noise
        return (noise * args[0]).long() if func is torch.randint else drawn.copy_(noise)


def trained(settings: tuple[str, ...], team: Team) -> tuple[list[dict[str, float]], str]:
    """The terms of every step of one case, and a checksum of the last state."""
    config = tiny(*SMALL, *settings)
    seed_all(0)
    data = config["data"].build({})
    table = data.table()
    learned = learn_graph(config, table, data.knowledge)
    _, objective = assemble(config, data, table, learned)
    training = Training(
        objective,
        steps=STEPS,
        device=torch.device("cpu"),
        dtype=torch.float32,
        accumulate=config.train.accumulate,
        team=team,
    )
    objective.begin()
    training.same()
    latents, said = torch.as_tensor(table.latents).float(), []
    for step, batch in enumerate(batches(data, latents, config.train.batch, range(STEPS), 0, team)):
        with RowNoise(team, step):
            said.append(training.step(batch))
    state = [t.detach().numpy().tobytes() for part in training.parts.values() for t in part.state_dict().values()]
    return said, hashlib.sha256(b"".join(state)).hexdigest()


def main() -> None:
    """Train every case, with so many processes."""
    torch.set_num_threads(1)
    CausalModel.fit_mechanisms = partialmethod(CausalModel.fit_mechanisms, steps=5)  # type: ignore[assignment]
    count = int(sys.argv[2])
    team = join(count, "cpu") if count > 1 else ALONE
    found = {}
    for case, settings in CASES.items():
        said, state = trained(settings, team)
        found[case] = {"terms": said, "same": team.most(int(state[:8], 16)) == -team.most(-int(state[:8], 16))}
    if team.first:
        Path(sys.argv[1]).write_text(json.dumps(found))
    leave()


if __name__ == "__main__":
    main()
