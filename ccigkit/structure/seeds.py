"""Global random numbers, which libraries draw and seed without being asked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def seeds_kept() -> Iterator[None]:
    """Leave the global generators of Python and NumPy as they were, whatever is drawn or seeded inside.

    For calls of a library, and for its import, which may draw as well; as a decorator, for all of a function.

    >>> random.seed(1)
    >>> with seeds_kept():
    ...     _ = random.random()
    >>> drawn = random.random(); random.seed(1); drawn == random.random()
    True
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  the global one is the one to keep
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
