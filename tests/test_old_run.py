"""A run written by the version before the causal model stood by itself goes on as if nothing had happened."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import torch

import ccigkit
from tests import helpers

HERE = Path(__file__).parent / "old_run"
EXPECTED = json.loads((HERE / "expected.json").read_text())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The run, unpacked."""
    with tarfile.open(HERE / "run.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "run"


def test_its_model_loads_and_samples_the_same(run: Path) -> None:
    sampled = ccigkit.load(run).sample(2, {"angle": 0.3}, seed=1)
    assert torch.allclose(sampled.flatten()[::97], torch.tensor(EXPECTED["sample"]), atol=1e-5)


def test_it_goes_on_from_its_checkpoint_with_the_same_numbers(run: Path) -> None:
    said = helpers.ccigkit("train", "--config", run / "config.toml", "--run", run, "--steps", 5)
    assert said.code == 0, said.err
    assert "going on from step 3" in said.out
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 5
    for term, value in EXPECTED["terms at step 5"].items():
        now = term.replace("model.cycle", "model.latent_cycle")  # renamed since
        assert last[now] == pytest.approx(value, rel=1e-3, abs=1e-5), term


def test_it_is_evaluated_and_asked(run: Path, tmp_path: Path) -> None:
    said = helpers.ccigkit("evaluate", run, "--metric", "composition", "composition.n=4", "composition.cycles=2")
    assert said.code == 0, said.err
    ccigkit.save_image(torch.zeros(3, 16, 16), tmp_path / "grey.png")
    said = helpers.ccigkit("counterfactual", run, tmp_path / "grey.png", "--do", "angle=0.3", "--out", tmp_path)
    assert said.code == 0, said.err
