"""Small tables whose causal graph is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ccigkit.attributes import Attribute, Kind, Table
from ccigkit.graph import CausalGraph, Knowledge

FACES = {
    "Male -> No_Beard": -2.5,
    "Male -> Bald": 2.0,
    "Male -> Wearing_Lipstick": -2.5,
    "Young -> Bald": -2.0,
    "Young -> Gray_Hair": -2.5,
    "Young -> Eyeglasses": -2.0,
    "Smiling -> Mouth_Slightly_Open": 2.5,
    "Smiling -> High_Cheekbones": 2.5,
    "High_Cheekbones -> Narrow_Eyes": 2.5,
}
FACE_NAMES = [
    *["Male", "Young", "Smiling"],
    *["No_Beard", "Bald", "Wearing_Lipstick", "Gray_Hair", "Eyeglasses"],
    *["Mouth_Slightly_Open", "High_Cheekbones", "Narrow_Eyes"],
]
FACE_TIERS = Knowledge(tiers=(tuple(FACE_NAMES[:3]), tuple(FACE_NAMES[3:])))
PENDULUM_TIERS = Knowledge(tiers=(("angle", "light"), ("length", "position")))


def linear(n: int = 2000, seed: int = 0) -> Table:
    """Six standardised attributes of a linear Gaussian model."""
    names = list("abcdef")
    truth = CausalGraph.from_edges(
        names, ["a -> b : 0.9", "a -> c : -0.8", "b -> d : 0.8", "c -> d : 0.8", "d -> e : -0.9", "c -> f : 0.9"]
    )
    noise = np.random.default_rng(seed).normal(size=(n, 6))
    values = noise @ np.linalg.inv(np.eye(6) - truth.strengths)
    return Table.fit([Attribute(name, "continuous") for name in names], values, truth)


def faces(n: int = 10_000, seed: int = 0) -> Table:
    """Eleven graded face attributes, no cause of which is a picture."""
    rng = np.random.default_rng(seed)
    truth = CausalGraph.from_edges(FACE_NAMES, [f"{edge} : {weight}" for edge, weight in FACES.items()])
    degrees = np.zeros((n, len(FACE_NAMES)))
    for name in truth.order:
        j = truth.index(name)
        if truth.parents(name):
            bias = -0.5
            score = bias + (2 * degrees - 1) @ truth.strengths[:, j] + rng.normal(size=n).clip(-2, 2)
        else:
            score = rng.choice([-1.4, 1.4], size=n) + 0.5 * rng.normal(size=n)
        degrees[:, j] = 1 / (1 + np.exp(-score))
    return Table.fit([Attribute(name, "binary") for name in FACE_NAMES], degrees, truth)


def pendulum(n: int = 10_000, seed: int = 0, through: bool = False) -> Table:
    """A lamp, a pendulum and the pendulum's shadow; `through` lets the measured length shift the position."""
    rng = np.random.default_rng(seed)
    angle, light = rng.uniform(0, np.pi / 4, n), rng.uniform(np.pi / 4, 0.45 * np.pi, n)
    shadow = 9.5 * np.cos(light - angle) / np.sin(light)
    length = shadow + 0.9 * rng.normal(size=n).clip(-2, 2)
    half = (length if through else shadow) / 2
    position = 10 - 11 / np.tan(light) + half + 1.5 * rng.normal(size=n).clip(-2, 2)
    names = ["angle", "light", "length", "position"]
    edges = ["angle -> length", "light -> length", "light -> position"]
    edges.append("length -> position" if through else "angle -> position")
    values = np.stack([angle, light, length, position], axis=1)
    return Table.fit([Attribute(name, "continuous") for name in names], values, CausalGraph.from_edges(names, edges))


def confounded(kind: Kind, seed: int = 0, n: int = 5000) -> Table:
    """A -> x <- hidden -> y <- b, all numbers of a linear Gaussian model or all labels of a logistic one."""
    rng = np.random.default_rng(seed)
    truth = CausalGraph.from_edges(("a", "x", "y", "b"), ["a -> x", "b -> y", "x <-> y"])
    if kind == "continuous":
        a, b, hidden = rng.normal(size=(3, n))
        columns = [a, a + hidden + rng.normal(size=n), hidden + b + rng.normal(size=n), b]
    else:
        a, b, hidden = rng.choice([-1.0, 1.0], size=(3, n))
        chances = [1 / (1 + np.exp(-1.5 * (cause + hidden))) for cause in (a, b)]
        columns = [a > 0, *(rng.random(n) < chance for chance in chances), b > 0]
    return Table.fit([Attribute(name, kind) for name in truth.names], np.stack(columns, axis=1).astype(float), truth)


def intervened(truth: CausalGraph, each: int, targets: Sequence[tuple[str, ...]], seed: int = 0) -> Table:
    """A linear Gaussian model of unit noise, so many rows without an intervention, and as many of each set of targets.

    What is set is drawn anew in each row, whatever its causes are.
    """
    rng, sets = np.random.default_rng(seed), [(), *targets]
    held = np.repeat([[name in group for name in truth.names] for group in sets], each, axis=0)
    noise, values = rng.normal(size=held.shape), np.zeros(held.shape)
    for name in truth.order:
        j = truth.index(name)
        values[:, j] = np.where(held[:, j], 1 + 2 * noise[:, j], noise[:, j] + values @ truth.strengths[:, j])
    return Table.fit([Attribute(name, "continuous") for name in truth.names], values, truth, held)
