"""What metrics are made of: distances and scores on toys that are computed by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from ccigkit.attributes import Attribute, Attributes
from ccigkit.images import to_float
from torch.distributions import Normal

from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.errors import ConfigError
from ccigkit.metrics.cycles import Composition
from ccigkit.metrics.interventional import apart
from ccigkit.metrics.minimality import cld
from ccigkit.metrics.protocol.distances import energy, frechet, kid, mmd, total_variation
from ccigkit.metrics.protocol.pixels import l1, mse, psnr, ssim
from ccigkit.metrics.readers.predictor import Predictor, View, label_scores
from ccigkit.metrics.readers.vae import divergence
from ccigkit.metrics.readers.weights import inception, lpips
from ccigkit.metrics.truth import masked
from tests.outside import Unchanging


def images(n: int = 4, size: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_bytes_and_floats_are_equally_far_apart() -> None:
    a, b = images(seed=1), images(seed=2)
    by_hand = np.abs(a.numpy().astype(int) - b.numpy().astype(int)).mean(axis=(1, 2, 3))
    for found in (l1(a, b), l1(to_float(a), to_float(b)), l1(a, to_float(b))):
        np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-6)


def test_pixels_by_hand() -> None:
    black, grey = torch.full((1, 3, 4, 4), -1.0), torch.zeros(1, 3, 4, 4)
    assert float(l1(black, grey)) == 127.5
    assert float(mse(black, grey)) == 0.25
    assert float(psnr(black, grey)) == pytest.approx(-10 * math.log10(0.25))
    assert float(psnr(grey, grey)) == 100
    where = torch.zeros(1, 3, 4, 4, dtype=torch.bool)
    where[..., :2] = True
    error = torch.arange(4.0).expand(1, 3, 4, 4)
    assert (float(masked(error, where)), float(masked(error, ~where))) == (0.5, 2.5)
    assert masked(error, torch.zeros_like(where)).isnan().all()


def test_ssim_is_torchmetrics_where_its_window_fits() -> None:
    functional = pytest.importorskip("torchmetrics.functional.image")
    a = torch.nn.functional.avg_pool2d(to_float(images(size=64, seed=1)), 3, 1, 1)
    b = (a + 0.2 * to_float(images(size=64, seed=2))).clamp(-1, 1)
    _, padded = functional.structural_similarity_index_measure(
        (a + 1) / 2, (b + 1) / 2, data_range=1.0, reduction="none", return_full_image=True
    )
    theirs = padded[..., 5:-5, 5:-5].flatten(1).mean(dim=1)
    torch.testing.assert_close(ssim(a, b), theirs, rtol=1e-4, atol=1e-5)


def test_ssim_by_hand() -> None:
    a = torch.nn.functional.avg_pool2d(to_float(images(size=24)), 3, 1, 1)
    torch.testing.assert_close(ssim(a, a), torch.ones(4))
    black, grey = torch.full((1, 3, 16, 16), -1.0), torch.zeros(1, 3, 16, 16)  # flat: no structure, only light differs
    torch.testing.assert_close(ssim(black, grey), torch.tensor([1e-4 / (0.25 + 1e-4)]), rtol=1e-3, atol=0)
    assert ssim(a[..., :8, :8], a[..., :8, :8]).isnan().all(), "no window fits"


def test_the_frechet_distance_of_gaussians() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 6, generator=random, dtype=torch.float64)
    assert abs(frechet(x, x)) < 1e-9
    assert frechet(x, x + 2) == pytest.approx(4 * 6), "moved by 2 along each of 6 axes"
    assert frechet(x, 3 * (x - x.mean(0)) + x.mean(0)) == pytest.approx(4 * float(torch.cov(x.T).trace()))
    few = torch.randn(40, 256, generator=random)
    assert abs(frechet(few, few)) < 1e-3, "fewer images than features"


def test_the_frechet_distance_is_torch_fidelity_s() -> None:
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(500, 20, generator=random), 1.3 * torch.randn(400, 20, generator=random) + 0.2
    statistics = [{"mu": z.double().mean(0).numpy(), "sigma": torch.cov(z.double().T).numpy()} for z in (x, y)]
    theirs = fidelity.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet(x, y) == pytest.approx(theirs, rel=1e-6)


def test_unbiased_distances_by_hand() -> None:
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [4.0]])
    # |x - y| is 1, 4, 1, 2; within x it is 2, within y 3
    assert energy(x, y) == pytest.approx(2 * 8 / 4 - 2 - 3)
    # (xy + 1)^3 is 1, 1, 27, 729 across; 1 within x, 125 within y
    assert kid(x, y) == pytest.approx(1 + 125 - 2 * (1 + 1 + 27 + 729) / 4)

    def kernel(distance: float) -> float:  # the median distance in y is 3
        return sum(math.exp(-(distance**2) / (2 * (3 * scale) ** 2)) for scale in (0.25, 0.5, 1, 2, 4)) / 5

    across = sum(kernel(distance) for distance in (1, 4, 1, 2)) / 4
    assert mmd(x, y) == pytest.approx(kernel(2) + kernel(3) - 2 * across)


def test_unbiased_distances_are_nothing_between_samples_of_one_kind() -> None:
    random = torch.Generator().manual_seed(0)
    for distance in (mmd, energy, kid):
        draws = [distance(*torch.randn(2, 100, 3, generator=random)) for _ in range(60)]
        assert abs(np.mean(draws)) < 3 * np.std(draws) / math.sqrt(60), distance.__name__
        assert min(draws) < 0 < max(draws), distance.__name__


def test_total_variation_by_hand() -> None:
    ours, theirs = torch.tensor([0.1, 0.2, 0.9, 0.8]), torch.tensor([0.1, 0.9, 0.9, 0.9])
    assert total_variation(ours, theirs, torch.tensor([0.5])) == 0.25


def test_the_divergence_of_gaussians() -> None:
    random = torch.Generator().manual_seed(0)
    mean = torch.randn(2, 5, 16, generator=random, dtype=torch.float64)
    spread = torch.rand(2, 5, 16, generator=random, dtype=torch.float64) + 0.1
    p, q = (Normal(mean[i], spread[i]) for i in (0, 1))
    (lp, lq), (mp, mq) = 2 * spread.log(), mean
    by_hand = 0.5 * (lq - lp + (lp.exp() + (mp - mq).square()) / lq.exp() - 1).sum(dim=1)
    torch.testing.assert_close(divergence(p, q), by_hand, rtol=1e-6, atol=1e-6)
    full = [torch.distributions.MultivariateNormal(d.mean, torch.diag_embed(d.stddev.square())) for d in (p, q)]
    torch.testing.assert_close(divergence(p, q), torch.distributions.kl_divergence(*full), rtol=1e-6, atol=1e-6)
    assert (divergence(p, p) == 0).all()


def test_the_distances_of_a_sample_under_do_by_hand() -> None:
    read = Predictor.__new__(Predictor)
    read.attributes = Attributes([Attribute("a", "binary"), Attribute("b", "binary")])
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [4.0]])
    ours, true = View(x, torch.tensor([[1.0, 0.0], [1.0, 1.0]])), View(y, torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    found = apart(ours, true, read, others=[1])
    assert found == {"mmd": 100 * mmd(x, y), "energy": energy(x, y), "tvd": 0.5}, "what is set is left out"


def test_latent_divergence_by_hand() -> None:
    apart = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    same, other = torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]])
    nothing = cld(torch.tensor([0.0]), apart, same, other)
    assert float(nothing) == pytest.approx(math.log(0.8 + 0.2 * math.e))
    assert float(nothing) == pytest.approx(0.2954, abs=1e-4)
    between = cld(torch.tensor([2.0]), apart, same, other)  # none of the others is nearer, half of its own are as far
    assert float(between) == pytest.approx(math.log(0.8 + 0.2 * math.exp(0.5)))
    beyond = cld(torch.tensor([5.0]), apart, same, other)
    assert float(beyond) == pytest.approx(math.log(0.8 * math.e + 0.2))
    assert cld(torch.tensor([0.0]), apart, same, torch.zeros(1, 4, dtype=torch.bool)).isnan().all()


def test_label_scores_by_hand() -> None:
    binary = Attribute("Bald", "binary")
    read, wanted = torch.tensor([0.9, 0.8, 0.2, 0.1, 0.7]), torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0])
    found = label_scores(binary, read, wanted)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert found["mae"] == pytest.approx((0.1 + 0.8 + 0.2 + 0.9 + 0.3) / 5)
    assert math.isnan(label_scores(binary, torch.zeros(3), torch.zeros(3))["f1"]), (
        "nobody is bald, nobody is said to be"
    )
    shape = Attribute("shape", "categorical", categories=("a", "b", "c"))
    found = label_scores(shape, torch.tensor([0.0, 1.2, 2.0, 1.0]), torch.tensor([0.0, 1.0, 1.0, 1.0]))
    assert found["f1"] == pytest.approx((1 + 2 * 2 / 5 + 0) / 3)
    angle = label_scores(Attribute("angle", "continuous"), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    assert angle["mae"] == 1
    assert math.isnan(angle["f1"])


def test_a_rare_label_is_pooled_not_averaged_over_batches() -> None:
    wanted = torch.zeros(256)
    wanted[[3, 200]] = 1
    assert label_scores(Attribute("Bald", "binary"), wanted, wanted)["f1"] == 1


def test_foreign_weights_come_from_a_file_or_not_at_all(tmp_path: Path) -> None:
    text = tmp_path / "weights.pth"
    text.write_text("not weights")
    for module, build in (("lpips", lpips), ("torch_fidelity", inception)):
        try:
            __import__(module)
        except ImportError:
            with pytest.raises(ConfigError, match=r"pip install 'ccigkit\[metrics\]'"):
                build(text)
            continue
        with pytest.raises(ConfigError, match="ccigkit downloads nothing"):
            build(tmp_path / "none.pth")
        with pytest.raises(ConfigError, match="is not a file of weights"):
            build(text)
        torch.save({"other": torch.zeros(1)}, text)
        with pytest.raises(ConfigError, match="is not torch"):
            build(text)
        text.write_text("not weights")


def test_lpips_from_a_file(tmp_path: Path) -> None:
    pytest.importorskip("lpips")
    from torchvision.models import alexnet

    torch.manual_seed(0)
    torch.save(alexnet(weights=None).state_dict(), tmp_path / "alexnet.pth")
    distance, data = lpips(tmp_path / "alexnet.pth"), Pendulum(n=60, size=32)
    a, b = to_float(images(size=32, seed=1)), to_float(images(size=32, seed=2))
    assert (distance(a, a) == 0).all()
    assert (distance(a, b) > 0).all()
    rows = Composition(n=8, cycles=1, lpips=tmp_path / "alexnet.pth").measure(Unchanging(data), data)
    found = {row["row"]: float(row["lpips"]) for row in rows}
    assert found["identity"] == 0 < found["resample"]
