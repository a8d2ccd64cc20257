"""A model in a file of another format answers as the model does, whatever is set, for any number of images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ccigkit import Attribute, CausalGraph, Table
from ccigkit.causal.model import CausalModel
from ccigkit.causal.structure import Structure
from ccigkit.commands import export as exporting
from ccigkit.component.registry import registry
from ccigkit.model.frozen import Frozen
from ccigkit.model.model import CausalImageModel
from ccigkit.testing import toy_model
from tests.helpers import TINY
from tests.helpers import ccigkit as command


def mixed_model(scm: str = "mixed") -> CausalImageModel:
    """A model of a label, a category and a number, its mechanisms fitted for a moment."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    label, category = (random.random(400) < 0.4).astype(float), random.integers(0, 3, 400).astype(float)
    rows = np.stack([label, category, random.normal(size=400) + label], axis=1)
    kinds = [
        Attribute("label", "binary"),
        Attribute("category", "categorical", categories=("p", "q", "s")),
        Attribute("number", "continuous"),
    ]
    graph = CausalGraph.from_edges(
        [a.name for a in kinds], ["label -> number", "category -> number", "label -> category"]
    )
    table = Table.fit(kinds, rows, graph)
    model, _ = toy_model(table=table)
    causal = CausalModel(table.attributes, Structure(graph), registry().get("scm", scm)(3))
    causal.fit_mechanisms(torch.as_tensor(table.latents).float(), steps=20)
    return model.with_causal(causal).eval().requires_grad_(False)


@pytest.mark.parametrize("scm", ["mixed", "linear", "nonlinear", "postnonlinear"])
def test_the_function_that_is_exported_answers_as_the_model(scm: str) -> None:
    model = mixed_model(scm)
    assert exporting.furthest(model, Frozen(model), n=8) < 1e-5


def test_the_check_notices_an_answer_that_is_wrong() -> None:
    model = mixed_model()
    frozen = Frozen(model)
    frozen.length = 0  # as if nothing had descendants
    assert exporting.furthest(model, frozen, n=8) > 1e-3


@pytest.mark.parametrize("form", ["torch", "onnx"])
def test_a_file_answers_as_the_model(form: str, tmp_path: Path) -> None:
    if form == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    model = mixed_model()
    write: Callable[..., None] = exporting.write_onnx if form == "onnx" else exporting.write_torch
    read: Callable[..., exporting.Answer] = exporting.read_onnx if form == "onnx" else exporting.read_torch
    write(exporting.exported(model), tmp_path / "file", json.dumps(exporting.description(model)))
    assert exporting.furthest(model, read(tmp_path / "file"), n=8) < 1e-4


def test_a_file_that_answers_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--data", "pendulum", "--structure", "known", "--scm", "linear", *TINY, "--steps", 1)
    assert command("train", *words, "--run", tmp_path / "run").code == 0
    path = tmp_path / "file.pt2"
    monkeypatch.setattr(exporting, "furthest", lambda model, answer: 0.5)
    assert "would answer otherwise" in command("export", tmp_path / "run", "--out", path).refusal()
    assert list(tmp_path.glob("*file*")) == []
    monkeypatch.undo()
    done = command("export", tmp_path / "run", "--out", path)
    assert done.code == 0, done.err
    told = {exporting.ABOUT: ""}
    module = torch.export.load(path, extra_files=told).module()
    about = json.loads(told[exporting.ABOUT])
    assert [a["name"] for a in about["attributes"]] == ["angle", "light", "length", "position"]
    image = torch.rand(2, *about["image_shape"]) * 2 - 1
    same, _ = module(image, torch.zeros(2, 4, dtype=torch.bool), torch.full((2, 4), torch.nan))
    assert torch.equal(same, image)  # nothing set, nothing changed, whatever stands in the values


def test_what_cannot_be_exported_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "unknown format 'onx': did you mean 'onnx'?" in command("export", tmp_path, "--format", "onx").refusal()
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    assert "pip install 'ccigkit[onnx]'" in command("export", tmp_path, "--format", "onnx").refusal()
