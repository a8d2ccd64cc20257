"""The drawn data: how fast, how close to the published pictures, and how well their geometry tells the attributes.

    python benchmarks/rendering.py
    python benchmarks/rendering.py --threads 2 --images 2000 --repeats 7

The published pendulum and flow are drawn here once more by matplotlib, from the published equations alone, and compared
pixel by pixel with the pictures of `data.legacy=true`.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Rectangle
from torch import Tensor

from ccigkit.data.drawn.digits import Digits
from ccigkit.data.drawn.faces import Faces
from ccigkit.data.drawn.flow import Flow
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.data.drawn.scene import Rendered


def main() -> None:
    """Parse, measure, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--threads", type=int, default=1, help="more than one gains only on cores that nobody else uses"
    )
    parser.add_argument("--images", type=int, default=1000, help="drawn at a time")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compared", type=int, default=200, help="pictures drawn by matplotlib too")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    speeds(given.images, given.repeats, given.threads)
    differences(given.compared)
    measurements()


def speeds(images: int, repeats: int, threads: int) -> None:
    """Images drawn per second of wall and of processor time, the median of several times."""
    print(f"| drawing with {threads} threads | pixels | images per second | images per CPU-second |\n|---|---|---|---|")
    ways: list[tuple[type[Any], int]] = [(Pendulum, 64), (Flow, 64), (Faces, 64), (Digits, 32), (Digits, 64)]
    for kind, size in ways:
        data: Rendered = kind(n=images, size=size)
        noise = data.sample_noise(images, torch.Generator().manual_seed(0))
        data.counterfactual(noise[:200], {})
        walls, cpus = [], []
        for _ in range(repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            data.counterfactual(noise, {})
            walls.append(images / (time.perf_counter() - wall))
            cpus.append(images / (time.process_time() - cpu))
        print(
            f"| {data.name} | {size} | {statistics.median(walls):,.0f} | {statistics.median(cpus):,.0f} |", flush=True
        )
    print()


def differences(count: int) -> None:
    """The mean absolute difference to matplotlib's pictures, in the 255 levels of a pixel."""
    print("| against matplotlib, 96 px | pictures | mean absolute difference | of pixels that are not paper |")
    print("|---|---|---|---|")
    for data, theirs in ((Pendulum(size=96, legacy=True), pendulum_figure), (Flow(size=96, legacy=True), flow_figure)):
        noise = data.sample_noise(count, torch.Generator().manual_seed(0))
        ours = data.counterfactual(noise, {}).images.float()
        other = torch.stack([theirs(row) for row in noise.tolist()]).float()
        apart = (ours - other).abs()
        drawn = ((ours < 255) | (other < 255)).any(dim=1, keepdim=True).expand_as(apart)
        print(f"| {data.name} | {count} | {apart.mean():.3f} | {apart[drawn].mean():.2f} |", flush=True)
    print()


def measurements() -> None:
    """How far the attributes that geometry tells are from the true ones, in per cent of their range."""
    print("| measured from the picture | attribute | mean error | per cent of the range |\n|---|---|---|---|")
    for data in (Pendulum(n=1000), Flow(n=1000), Digits(n=1000)):
        split = data.load("train")
        error = (data.measure(split.images).double() - torch.as_tensor(split.values)).abs().nanmean(dim=0)
        for attribute, each in zip(data.table().attributes, error.tolist(), strict=True):
            share = each / (attribute.high - attribute.low)
            print(f"| {data.name} | {attribute.name} | {each:.4f} {attribute.unit} | {share:.2%} |", flush=True)


def pendulum_figure(noise: Sequence[float]) -> Tensor:
    """Matplotlib's picture [3, 96, 96] of the pendulum at two angles in units of pi / 200."""
    angle, light = noise[0] * math.pi / 200, noise[1] * math.pi / 200
    bob = 10 + 8 * math.sin(angle), 10.5 - 8 * math.cos(angle)
    ends = [
        10 - 11 / math.tan(light),
        10 + 9.5 * math.sin(angle) - (11 - 9.5 * math.cos(angle)) / math.tan(light),
    ]
    middle, half = sum(ends) / 2, max(3, abs(ends[0] - ends[1])) / 2
    artists = [
        Polygon([(10, 10.5), bob], color="black", linewidth=3),
        Circle(bob, 1.5, color="firebrick"),
        Circle((10 + 10 / math.tan(light), 20.5), 3, color="orange"),
        Polygon([(middle - half, -0.5), (middle + half, -0.5)], color="black", linewidth=3),
    ]
    return rasterised(artists, [], (-1, 21))


def flow_figure(noise: Sequence[float]) -> Tensor:
    """Matplotlib's picture [3, 96, 96] of a cup: ball in thirtieths, water in tenths, hole in thirds, and noise."""
    ball, hole = noise[0] / 30, noise[2] / 3
    height = ball**3 + noise[1] / 10
    artists = [
        Rectangle((3, 0), 5, 5 + height, color="lightskyblue"),
        Polygon([(3, 0), (3, 19)], color="black", linewidth=2),
        Polygon([(8, 0), (8, hole)], color="black", linewidth=2),
        Polygon([(8, hole + 0.4), (8, 19)], color="black", linewidth=2),
        Circle((5.5, ball + 0.5), ball, color="firebrick"),
    ]
    y = np.linspace(hole, 0.5)
    jet = 8 + np.sqrt(2 * (0.98 + 0.01 * max(abs(noise[3]), 1)) * height * (hole - y))
    lines = [(jet, y, "lightskyblue"), (np.linspace(0, 20), np.full(50, 0.2), "black")]
    return rasterised(artists, lines, (0, 20))


def rasterised(artists: Sequence[Any], lines: Sequence[tuple[Any, Any, str]], heights: tuple[int, int]) -> Tensor:
    """A figure of one inch at 96 dpi as uint8 [3, 96, 96]."""
    figure = Figure(figsize=(1, 1), dpi=96)
    axes = figure.add_subplot()
    for artist in artists:
        axes.add_artist(artist)
    for x, y, colour in lines:
        axes.plot(x, y, color=colour, linewidth=2)
    axes.set_xlim(0, 20)
    axes.set_ylim(*heights)
    axes.set_axis_off()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return torch.from_numpy(np.asarray(canvas.buffer_rgba())[..., :3].copy()).permute(2, 0, 1)


if __name__ == "__main__":
    main()
