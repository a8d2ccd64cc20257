"""What all tables of the benchmark have in common."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Edges = npt.NDArray[np.bool_]
Kind = Literal["continuous", "binary", "categorical"]
LEVELS = 3  # of a categorical attribute that is drawn


def tiny_codes() -> Matrix:
    """Rows [200, 4] of codes, each column following from the one before."""
    return np.maximum.accumulate(np.random.default_rng(0).integers(0, LEVELS, (200, 4)), axis=1).astype(np.float64)
