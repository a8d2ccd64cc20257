"""Looks at a model as it trains: figures of known truth, and a training that they leave as it was."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from ccigkit.commands import train
from ccigkit.commands.run import Run
from ccigkit.evaluation.watch import Watch, grid_energy, psnr
from ccigkit.image.layers import Doubling
from ccigkit.show.training import training_picture
from tests.helpers import SILENT, ccigkit, tiny


def test_psnr_is_the_decibels_of_the_mean_squared_error_from_black_to_white() -> None:
    image = torch.zeros(2, 3, 8, 8)
    assert psnr(image, image + 0.2) == pytest.approx(20)  # an error of .1 where black is 0 and white 1


@pytest.mark.parametrize("period", [2, 4])
def test_a_grid_is_seen_and_a_smooth_picture_has_none(period: int) -> None:
    torch.manual_seed(0)
    frequency = torch.fft.fftfreq(32).square()
    falling = torch.fft.fft2(torch.randn(64, 3, 32, 32)) / (frequency + frequency[:, None] + 1e-3).sqrt()
    smooth = torch.fft.ifft2(falling).real / 30  # the spectrum of photographs falls as one over the frequency
    lines = torch.cos(2 * math.pi * torch.arange(32) / period)
    assert grid_energy(smooth) < 1.5
    assert grid_energy(smooth + 0.2 * lines) > 3


def test_doubling_is_every_pixel_four_times_and_a_convolution() -> None:
    layer, x = Doubling(3, 5).double(), torch.randn(2, 3, 6, 4).double()
    kernel = layer.weight.flip(-1, -2).transpose(0, 1)
    expected = F.conv2d(F.interpolate(x, scale_factor=2), kernel, layer.bias, padding=1)
    assert torch.allclose(layer(x), expected)


def test_doubling_takes_the_free_kernels_of_earlier_versions() -> None:
    before, x = torch.nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1), torch.randn(2, 3, 6, 6)
    layer = Doubling(3, 5)
    layer.load_state_dict(before.state_dict())
    assert torch.equal(layer(x), before(x))


def test_looking_changes_nothing_of_the_training(tmp_path: Path) -> None:
    ends = []
    for every in (0, 1):
        run = tmp_path / str(every)
        train.train(tiny("train.steps=3", f"train.watch_every={every}", "train.sample_every=0"), run, SILENT)
        state = Run(run).load_checkpoint()
        assert state is not None
        ends.append(state)
    for one, other in zip(ends[0]["parts"]["generator"].values(), ends[1]["parts"]["generator"].values(), strict=True):
        assert torch.equal(one, other)


def test_a_watched_training_keeps_its_best_and_a_picture_and_says_which_is_used(tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = [f"train.{option}" for option in ("watch_every=1", "checkpoint_every=0", "sample_every=0", "steps=4")]
    layers = tiny("objective.rate=0.05").to_toml()
    (tmp_path / "c.toml").write_text(layers)
    done = ccigkit("train", "--config", tmp_path / "c.toml", "--run", run, *flags)
    assert done.code == 0, done.err
    looks = {e["step"]: e["held-out.distance"] for e in Run(run).read_log() if "held-out.distance" in e}
    assert sorted(looks) == [1, 2, 3, 4]
    best = min(looks, key=lambda step: looks[step])
    state = Run(run / "best").load_checkpoint()
    assert state is not None
    assert state["step"] == state["best"]["step"] == best
    assert (run / "training.png").read_bytes().startswith(b"\x89PNG")
    assert (f"step {best}, kept in best" in done.out) == (best < 4)


def test_what_goes_wrong_is_said_once_and_not_again_after_resuming() -> None:
    data = tiny()["data"].build({})
    watch = Watch(data)
    well = {"held-out.psnr": watch.average + 5, "held-out.distance": 1.0, "held-out.grid": 1.0}
    collapsed = well | {"held-out.psnr": watch.average - 1}
    worse = well | {"held-out.distance": 1.6}
    assert list(watch.remarks(100, collapsed)) == []  # too young to tell
    assert list(watch.remarks(200, well)) == []
    (said,) = watch.remarks(300, collapsed)
    assert "step 300: reconstructions are worse than an average picture" in said
    (said,) = watch.remarks(400, worse)
    assert "new images get worse: 1.6 from held-out ones, 1 before" in said
    assert list(watch.remarks(500, collapsed | worse)) == []
    log = [{"step": 300, **collapsed}, {"step": 400, **worse}]
    assert list(Watch(data, [{"step": 200, **well}, *log]).remarks(500, collapsed | worse)) == []


def test_a_log_without_looks_makes_no_picture(tmp_path: Path) -> None:
    training_picture([{"step": 1, "model.mse": 0.1}], Watch.measures, tmp_path / "training.png")
    assert not (tmp_path / "training.png").exists()
