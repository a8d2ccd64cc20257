"""Unordered categories as one choice among k: in networks, in files, and where their order counts after all."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal

from ccigkit import testing
from ccigkit.causal.attributes import Attribute, Table
from ccigkit.causal.inputs import Inputs
from ccigkit.component.registry import build
from ccigkit.data.files.columns import read_table
from ccigkit.errors import ConfigError
from ccigkit.model.files import load_model, read_model, save_model
from ccigkit.objectives.ccig import CCIG
from tests.helpers import ccigkit

SMALL = {"name": "dcgan", "width": 8}


def table(k: int = 4, *, ordered: bool = False, n: int = 60) -> Table:
    """A number, a category of k and a label."""
    random = np.random.default_rng(k)
    columns = random.normal(size=n), np.arange(n) % k, random.integers(0, 2, n)
    kinds = (
        Attribute("size", "continuous"),
        Attribute("shape", "categorical", ordered=ordered),
        Attribute("on", "binary"),
    )
    return Table.fit(kinds, np.stack(columns, axis=1).astype(float))


@given(k=st.integers(3, 12))
def test_latents_go_to_inputs_and_back_bit_for_bit(k: int) -> None:
    rows = table(k)
    inputs, z = Inputs(rows.attributes), torch.as_tensor(rows.latents).float()
    y = inputs.of(z)
    assert y.shape == (len(z), inputs.size) == (len(z), k + 2)
    assert torch.equal(inputs.latents(y), z)
    assert torch.equal(y[:, 1:-1].argmax(dim=1).double(), torch.as_tensor(rows.values[:, 1]))
    assert y[:, 1:-1].sum(dim=1).tolist() == pytest.approx([k / (k - 1) ** 0.5] * len(z))
    assert torch.equal(inputs.single(y)[:, [0, 2]], z[:, [0, 2]])


@pytest.mark.parametrize(("k", "ordered"), [(2, False), (5, True)])
def test_where_there_is_no_choice_inputs_are_the_latents(k: int, ordered: bool) -> None:
    rows = table(k, ordered=ordered)
    inputs, z = Inputs(rows.attributes), torch.randn(5, 3)
    assert inputs.size == 3
    for same in (inputs.of, inputs.latents, inputs.chosen, inputs.single):
        assert same(z) is z
    assert inputs.misread(z, z + 0.5).tolist() == pytest.approx([0.25] * 5)


def test_a_decided_category_has_the_gradient_of_its_probability() -> None:
    inputs, logits = Inputs(table(3).attributes), torch.tensor([[0.3, 1.0, 2.0, 0.5, -1.0]], requires_grad=True)
    decided = inputs.chosen(logits)
    assert torch.allclose(decided, torch.tensor([[0.3, 0.0, 3 / 2**0.5, 0.0, -1.0]]))
    (gradient,) = torch.autograd.grad(decided[0, 1], logits)
    p = logits.detach()[0, 1:4].softmax(dim=0)
    expected = [0, *((torch.tensor([1, 0, 0]) - p) * p[0] * 3 / 2**0.5).tolist(), 0]
    assert gradient[0].tolist() == pytest.approx(expected)


def test_a_misread_category_costs_its_cross_entropy() -> None:
    rows = table(3)
    inputs, z = Inputs(rows.attributes), torch.as_tensor(rows.latents).float()[:4]
    y = inputs.of(z) * math.log(8) * 2**0.5 / 3  # the right one is 8 times as likely as each other
    y[:, [0, 4]] = z[:, [0, 2]] + torch.tensor([2.0, 0.0])
    assert inputs.misread(y, z).tolist() == pytest.approx([(4 - math.log(0.8)) / 3] * 4)


def test_a_model_draws_and_reads_a_choice_and_sets_it_exactly() -> None:
    rows = table(5)
    model, _ = testing.toy_model(table=rows)
    assert model.image.latent_size - 6 == 7
    image = torch.rand(6, *testing.SHAPE) * 2 - 1
    codes = model.abduct(image)
    read = model.encoder(image).mean[:, 1:6].argmax(dim=1)
    assert torch.equal(model.values(codes)[:, 1].long(), read)
    assert model.values(codes, {"shape": 3})[:, 1].tolist() == [3.0] * 6
    drawn = [model.predict(codes, {"shape": code}, detail=False) for code in range(5)]
    assert all(not torch.equal(drawn[code], drawn[code - 1]) for code in range(1, 5))


def test_the_objective_reads_and_draws_choices() -> None:
    rows = table(4)
    model, discriminator = testing.toy_model(table=rows)
    objective = CCIG(model, discriminator, torch.as_tensor(rows.latents).float())
    latent = objective.sampled(Normal(torch.randn(8, model.image.latent_size), torch.full((1,), 0.1)))
    assert latent[:, 1:5].detach().unique().tolist() == pytest.approx([0, 4 / 3**0.5])
    prior = objective.prior(8)
    assert torch.equal(prior[:, 1:5].sum(dim=1), torch.full((8,), 4 / 3**0.5))


def test_an_older_file_has_its_categories_on_a_line(tmp_path: Path) -> None:
    rows = table(4, ordered=True)
    model, _ = testing.toy_model(table=rows)
    parts = dict.fromkeys(("encoder", "generator"), SMALL) | {"scm": {"name": model.scm.name}}
    save_model(model, tmp_path, parts)
    content, tensors = read_model(tmp_path / "model.safetensors")
    for attribute in content["attributes"]:
        del attribute["ordered"]
    from safetensors.torch import save_file

    save_file(tensors, tmp_path / "model.safetensors", metadata={"ccigkit": json.dumps(content)})
    image = torch.rand(2, *testing.SHAPE)
    before = model.counterfactual(image, {"shape": 2})
    assert torch.equal(load_model(tmp_path).counterfactual(image, {"shape": 2}), before)


def test_a_table_says_that_the_order_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("grade,size\n" + "".join(f"{i % 4 + 1},{i * i % 7 + i / 10}\n" for i in range(40)))
    for kinds, unordered in (({}, False), ({"grade": "ordered"}, False), ({"grade": "categorical"}, True)):
        grade = read_table(path, kinds=kinds).attributes[0]  # type: ignore[arg-type]
        assert (grade.kind, grade.categories, grade.unordered) == ("categorical", tuple("1234"), unordered)
    with pytest.raises(ConfigError, match="'binary', 'categorical', 'continuous' or 'ordered'"):
        build("data", {"name": "table", "root": str(tmp_path), "kinds": {"grade": "sorted"}}, {})


def test_too_small_a_latent_is_told_what_categories_take(tmp_path: Path) -> None:
    said = ccigkit("train", "--data", "digits", "data.n=60", "train.latent=12", "--run", tmp_path / "run").refusal()
    assert "train.latent=12 is smaller than the 13 that the attributes take" in said
