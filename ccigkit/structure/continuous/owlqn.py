"""The minimiser of the learners that descend: limited-memory BFGS for a smooth loss with an L1 penalty."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from ccigkit.causal.attributes import Values

Smooth = Callable[[Values], tuple[float, Values]]  # parameters [p] to a value and its gradient [p]

MEMORY, STEPS = 10, 3000
ENOUGH, SHORTEST = 1e-4, 1e-12  # share of the promised descent that a step must keep, and where shortening it ends


def minimise(smooth: Smooth, start: Values, penalty: Values, tolerance: float = 1e-6, flat: float = 1e-3) -> Values:
    """[p], a local minimum of smooth(x) + sum(penalty |x|) downhill from the start.

    OWL-QN (Andrew and Gao, 2007): within the orthant that the steepest descent points into, the penalty is linear; a
    step that leaves the orthant ends on its border, so that needless parameters are zero, not small. A parameter
    without penalty is free. Where smooth is not finite, steps are shortened, so a loss may be infinite outside of its
    domain.

    >>> minimise(lambda x: (float((x - 3) @ (x - 3)) / 2, x - 3), np.zeros(2), np.array([0.0, 4.0])).round(3).tolist()
    [3.0, 0.0]

    Args:
        smooth: parameters [p] to a value and its gradient [p].
        start: parameters [p] to begin with.
        penalty: on the size of each parameter [p].
        tolerance: the search ends where a step gains less than this share of the value,
        flat: or where no slope is above this.
    """
    x, penalised = start, penalty > 0
    value, gradient = smooth(x)
    total = value + float(penalty @ np.abs(x))
    memory: deque[tuple[Values, Values, float]] = deque(maxlen=MEMORY)
    for _ in range(STEPS):
        steepest = _pseudo_gradient(x, gradient, penalty)
        if np.abs(steepest).max(initial=0.0) < flat:
            break
        direction = _quasi_newton(steepest, memory)
        direction[penalised & (direction * steepest >= 0)] = 0.0
        orthant = np.where(x != 0, np.sign(x), -np.sign(steepest))
        length = 1.0 if memory else 1 / max(1.0, float(np.abs(steepest).sum()))
        while True:
            there: Values = x + length * direction
            there[penalised & (there * orthant < 0)] = 0.0
            value, slope = smooth(there)
            reached = value + float(penalty @ np.abs(there))
            if reached <= total + ENOUGH * float(steepest @ (there - x)):
                break
            length /= 2
            if length < SHORTEST:
                return x
        step, change = there - x, slope - gradient
        curvature = float(step @ change)
        if curvature > SHORTEST * (change @ change):
            memory.append((step, change, 1 / curvature))
        gained = total - reached
        x, gradient, total = there, slope, reached
        if gained < tolerance * max(1.0, abs(reached)):
            break
    return x


def _pseudo_gradient(x: Values, gradient: Values, penalty: Values) -> Values:
    """[p], the one of the slopes left and right of x that leads downhill, or zero where neither does."""
    right, left = gradient + penalty, gradient - penalty
    at_zero = np.minimum(right, 0.0) + np.maximum(left, 0.0)
    return np.where(x > 0, right, np.where(x < 0, left, at_zero))


def _quasi_newton(steepest: Values, memory: deque[tuple[Values, Values, float]]) -> Values:
    """[p], minus the inverse Hessian times the gradient, by the two loops of Nocedal (1980)."""
    direction = -steepest
    shares = []
    for step, change, inverse in reversed(memory):
        shares.append(inverse * float(step @ direction))
        direction -= shares[-1] * change
    if memory:
        step, change, inverse = memory[-1]
        direction /= inverse * float(change @ change)
    for (step, change, inverse), share in zip(memory, reversed(shares), strict=True):
        direction += (share - inverse * float(change @ direction)) * step
    return direction
