"""The one loop of descent: it descends as Adam does, along the schedule it is given, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ccigkit.descend import Schedule, constant, descend, falling, one_cycle


def network() -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Linear(3, 2)


def loss_of(module: nn.Module, step: int) -> Tensor:
    rows = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
    return (module(rows) - rows[:, :2].sin()).square().mean()


def by_hand(steps: int, decay: float, schedule: str) -> nn.Linear:
    """The loop written out, with torch's own optimisers and schedulers."""
    module = network()
    adam = torch.optim.AdamW(module.parameters(), 0.1, weight_decay=decay) if decay else None
    adam = adam or torch.optim.Adam(module.parameters(), 0.1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, 0.1, total_steps=steps) if schedule == "one_cycle" else None
    for step in range(steps):
        if schedule == "falling":
            adam.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
        adam.zero_grad()
        loss_of(module, step).backward()
        adam.step()
        if cycle:
            cycle.step()
    return module


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("schedule", [constant, falling, one_cycle])
def test_it_is_the_loop_written_out_bit_for_bit(decay: float, schedule: Schedule) -> None:
    module = network()
    descend(
        module.parameters(),
        lambda step: loss_of(module, step),
        steps=11,
        rate=0.1,
        decay=decay,
        schedule=schedule,
    )
    expected = by_hand(11, decay, schedule.__name__)
    for ours, theirs in zip(module.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_it_leaves_no_gradient_and_counts_its_steps() -> None:
    module, asked, done = network(), [], []

    def loss(step: int) -> Tensor:
        asked.append(step)
        return loss_of(module, step)

    descend(module.parameters(), loss, steps=4, rate=0.1, after_step=lambda: done.append(len(asked)))
    assert asked == [0, 1, 2, 3]
    assert done == [1, 2, 3, 4]
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("schedule", [constant, falling])
def test_no_step_changes_nothing(schedule: Schedule) -> None:
    module = network()
    descend(module.parameters(), lambda step: loss_of(module, step), steps=0, rate=0.1, schedule=schedule)
    assert torch.equal(module.weight, network().weight)


def test_it_descends_where_gradients_are_switched_off() -> None:
    module = network()
    with torch.no_grad():
        before = float(loss_of(module, 0))
        descend(module.parameters(), lambda _: loss_of(module, 0), steps=50, rate=0.1)
        assert float(loss_of(module, 0)) < before / 2
