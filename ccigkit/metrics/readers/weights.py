"""Networks trained elsewhere, from files that the user gives: nothing is ever downloaded."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ccigkit.errors import ConfigError
from ccigkit.pixels import to_bytes

EXTRA = "pip install 'ccigkit[metrics]'"


def inception(path: Path) -> Callable[[Tensor], Tensor]:
    """Inception's pool features [n, 2048] of images [n, 3, h, w], as FID is defined on them, by torch-fidelity.

    Raises:
        ConfigError: where the file is not torch-fidelity's weights, or torch-fidelity is not installed.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise ConfigError(f"Inception needs torch-fidelity: {EXTRA}") from None
    tensors(path)  # torch-fidelity would run whatever a malicious file says: read it safely first
    try:
        network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(path)).eval()
    except (RuntimeError, KeyError) as error:
        raise ConfigError(f"{path} is not torch-fidelity's Inception: {str(error).splitlines()[0]}") from None

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        return torch.cat([network(to_bytes(chunk))[0] for chunk in images.split(32)])

    return features


def perceptual(path: Path | None) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """LPIPS as one more distance, by name, where there is a file for it."""
    return {"lpips": lpips(path)} if path else {}


def lpips(path: Path) -> Callable[[Tensor, Tensor], Tensor]:
    """LPIPS (Zhang et al., 2018) [n] between images [n, c, h, w]: AlexNet from torchvision's file, heads from lpips.

    Raises:
        ConfigError: where the file is not torchvision's AlexNet, or lpips is not installed.
    """
    try:
        from lpips import LPIPS
    except ImportError:
        raise ConfigError(f"LPIPS needs lpips: {EXTRA}") from None
    weights = tensors(path)
    network = LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    trunk = network.net.state_dict()  # "slice2.3.weight" where torchvision has "features.3.weight"
    theirs = {key: f"features.{key.split('.', 1)[1]}" for key in trunk}
    if missing := sorted(set(theirs.values()) - set(weights)):
        raise ConfigError(f"{path} is not torchvision's AlexNet (alexnet-owt-7be5be79.pth): it has no {missing[0]}")
    network.net.load_state_dict({key: weights[name] for key, name in theirs.items()})

    @torch.no_grad()
    def distance(a: Tensor, b: Tensor) -> Tensor:
        # AlexNet's strides leave nothing of pictures under 64 pixels.
        a, b = (F.interpolate(x, 64) if min(x.shape[-2:]) < 64 else x for x in (a, b))
        found: Tensor = network(a.expand(-1, 3, -1, -1), b.expand(-1, 3, -1, -1))
        return found.flatten()

    return distance


def tensors(path: Path) -> dict[str, Any]:
    """The tensors of a file of weights; nothing in it is run.

    Raises:
        ConfigError: where it is not there, or is no such file.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file {path}; ccigkit downloads nothing, so give one that is here")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
        raise ConfigError(f"{path} is not a file of weights as torch.save writes them") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no weights by name")
    return content
