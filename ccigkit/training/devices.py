"""Devices, number formats, and the state of random generators."""

from __future__ import annotations

import contextlib
import ctypes
import random
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from ccigkit.errors import UserError


def seed_all(seed: int) -> None:
    """Seed every random generator: torch's, Python's and, as a plugin may use it, numpy's old one."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002


def random_state(device: torch.device) -> dict[str, Any]:
    """The state of every random generator, in tensors and plain data."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002  a plugin may use it
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "python": random.getstate(),
        "numpy": [str(kind), torch.as_tensor(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss],
    }


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Put every random generator back."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002


def made_with(device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    """What decides how numbers round, by name."""
    return {
        "ccigkit": version("ccigkit"),
        "torch": version("torch"),
        "device": device.type,
        "precision": str(dtype).removeprefix("torch."),
        "threads": str(torch.get_num_threads()),
    }


def keep_memory() -> None:
    """Ask the C library to keep freed memory for the next step instead of handing it back to the system.

    On a CPU every large activation is otherwise mapped, zeroed and unmapped again in every step. Where the C library is
    not glibc, nothing happens.
    """
    mmap_threshold, trim_threshold = -3, -1  # of malloc.h
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_threshold, 1 << 25)  # the most that glibc takes
        mallopt(trim_threshold, (1 << 31) - 1)


def choose_device(name: str) -> torch.device:
    """A device by name; "auto" is the best there is.

    Raises:
        UserError: where there is no such device.
    """
    if name == "auto":
        best = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return best or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"device {name!r} is not available: {str(error).splitlines()[0]}") from None
    return device


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it fast (GPUs, CPUs with AVX512-BF16), else float32."""
    fast = device.type == "cuda" or (device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
    return torch.bfloat16 if precision == "bfloat16" or (precision == "auto" and fast) else torch.float32
