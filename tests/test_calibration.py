"""Calibration: whether a probability read off an image is the rate at which it is right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ccigkit.causal.attributes import Table
from ccigkit.causal.model import CausalModel
from ccigkit.causal.scm.mixed import MixedSCM
from ccigkit.data.drawn.faces import Faces
from ccigkit.model.calibration import (
    calibration,
    calibration_error,
    calibrations,
    fit_degrees,
    probability,
    spread_over,
    tempered,
    warmed,
)
from ccigkit.testing import toy_model
from tests.helpers import TINY, ccigkit

torch.set_num_threads(1)
LABEL = Table.of({"yes": [0.0, 1.0, 1.0, 1.0], "other": [0.0, 1.0, 0.0, 1.0]}).attributes[0]


def claims(scale: float, shift: float, n: int = 30_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [n] claimed, and labels [n] that are likely as logits scaled and shifted so would have it."""
    random = np.random.default_rng(0)
    claimed = 1 / (1 + np.exp(-2 * random.standard_normal(n)))
    return claimed, (random.random(n) < warmed(claimed, scale, shift)).astype(float)


def test_the_error_is_the_distance_of_the_claim_from_the_rate() -> None:
    seen = np.tile([1.0, 1.0, 1.0, 0.0, 0.0], 300)
    assert calibration_error(np.full(1500, 0.9), seen) == pytest.approx(0.3)
    assert calibration_error(np.full(1500, 0.6), seen) == pytest.approx(0, abs=1e-9)
    assert calibration_error(*claims(1, 0)) < 0.015
    assert calibration_error(seen, seen) == 0


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.4, 0.0), (2.0, -0.7)])
def test_the_temperature_of_a_reader_is_found(scale: float, shift: float) -> None:
    claimed, seen = claims(scale, shift)
    assert tempered(claimed, seen) == pytest.approx((scale, shift), abs=0.06)
    found = calibration(LABEL, claimed, seen)
    assert found.tempered < 0.02
    assert found.error > 0.08 or scale == 1


def test_a_reader_without_a_fault_has_a_finite_temperature() -> None:
    seen = np.tile([0.0, 1.0], 100)
    assert np.isfinite(tempered(seen, seen)).all()
    assert calibration(LABEL, seen, seen).tempered == 0


def test_a_label_at_its_level_is_sure() -> None:
    at = torch.tensor([LABEL.levels[0], LABEL.levels[1], LABEL.levels[1] + 3])
    assert torch.allclose(probability(LABEL, at), torch.tensor([0.0, 1.0, 1.0]), atol=1e-6)


@pytest.mark.parametrize("n", [1, 60, 4096, 4097, 100_000])
def test_no_more_rows_are_read_than_enough(n: int) -> None:
    rows = spread_over(n)
    assert min(n, 2048) <= len(rows) <= 4096
    assert rows[-1] < n


def test_an_scm_learns_at_which_degrees_its_encoder_reads() -> None:
    data = Faces(n=160, size=32, labels="hard")
    table = data.table()
    torch.manual_seed(0)
    model, _ = toy_model((3, 32, 32), table)
    model = model.with_causal(CausalModel(table.attributes, model.structure, MixedSCM(11)))
    before = {name: buffer.clone() for name, buffer in model.scm.named_buffers()}
    fit_degrees(model, data, table)
    moved = {n for n, b in model.scm.named_buffers() if not torch.equal(b, before[n])}
    assert moved == {"families.0.knots"}
    assert len(calibrations(model, data.load("train"))) == 11


def test_degrees_have_no_calibration() -> None:
    data = Faces(n=160, size=32)
    model, _ = toy_model((3, 32, 32), data.table())
    fit_degrees(model, data, data.table())
    assert calibrations(model, data.load("train")) == []


def test_training_on_labels_reports_their_calibration(tmp_path: Path) -> None:
    run = tmp_path / "run"
    few = [setting for setting in TINY if not setting.startswith("data.n=")]
    labels = ("data.n=160", "data.labels=hard", "data.wrong=0.05")
    chosen = ("--data", "faces", "--structure", "known", "--scm", "mixed", "--steps", 2, "--run", run)
    done = ccigkit("train", *chosen, *few, *labels)
    assert done.code == 0, done.err
    found = json.loads((run / "metrics.json").read_text())["calibration"]
    assert [row["label"] for row in found] == list(Faces.truth.names)
    assert all(0 <= row[key] <= 1 for row in found for key in ("error", "tempered"))
    assert "Calibration error" in done.out
