"""The graph autoencoder: its laws, and the scale that it keeps or, as published, loses."""

from __future__ import annotations

import pytest
import torch

from ccigkit.graph import Knowledge
from ccigkit.structure.learners.gae import BoundedLinear, GraphAutoencoder
from ccigkit.testing import check
from tests.descent import assert_rows_and_columns_may_come_in_any_order, random_table

FAITHFUL = pytest.mark.parametrize("faithful", [False, True])


@FAITHFUL
def test_the_contract_of_a_structure_learner_holds(faithful: bool) -> None:
    check(GraphAutoencoder, rounds=4, steps=40, rows=400, faithful=faithful)


@FAITHFUL
def test_rows_and_columns_may_come_in_any_order(faithful: bool) -> None:
    assert_rows_and_columns_may_come_in_any_order(
        lambda names: GraphAutoencoder(names, rounds=4, steps=40, rows=200, faithful=faithful),
        random_table("continuous", 5, 400, 0),
    )


def fitted(*, faithful: bool) -> GraphAutoencoder:
    table = random_table("continuous", 5, 500, 1)
    learner = GraphAutoencoder(table.names, rounds=6, steps=150, rate=3e-2, rows=500, faithful=faithful)
    learner.learn(table, Knowledge())
    return learner


def test_the_published_decoder_takes_the_scale_over_and_ours_does_not() -> None:
    ours, theirs = fitted(faithful=False), fitted(faithful=True)
    assert ours.adjacency().abs().max() > 0.3
    assert theirs.adjacency().abs().max() < 0.5 * ours.adjacency().abs().max()
    assert theirs.graph().edges  # for its threshold is relative


def test_nothing_is_gained_by_scaling_messages_or_decoder_up() -> None:
    learner = GraphAutoencoder(("a", "b", "c"))
    latents, weights = torch.randn(50, 3), torch.rand(3, 3)
    before = learner.reconstruction(latents, weights)
    with torch.no_grad():
        last = learner.encoder[-1]
        last.weight *= 7
        last.bias *= 7
        for layer in learner.decoder:
            if isinstance(layer, BoundedLinear):
                layer.weight *= 7
    torch.testing.assert_close(learner.reconstruction(latents, weights), before)


@FAITHFUL
def test_the_global_seed_stays_as_it_is(faithful: bool) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    GraphAutoencoder(("a", "b"), faithful=faithful)
    assert torch.equal(torch.rand(3), expected)
