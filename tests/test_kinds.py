"""A kind is one class: what a stranger's kind declares, every part of ccigkit reads."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

import ccigkit
from ccigkit.commands import app
from ccigkit.commands.config import Settings
from ccigkit.component import registry as registering
from ccigkit.component.options import Role, options_of
from ccigkit.component.plugins import Plugin
from ccigkit.component.registry import registry
from ccigkit.image.base import Encoder, Generator
from ccigkit.image.bigan import BiGAN
from ccigkit.interfaces import Component
from ccigkit.pixels import ImageShape
from ccigkit.testing import check
from tests.helpers import TINY
from tests.helpers import ccigkit as command


class Palette(Component, nn.Module):
    """What becomes of the colours of a drawing."""

    kind = "palette"
    default = "plain"
    flag = "What becomes of the colours."
    saved = averaged = True
    wiring = ("image_shape",)

    def forward(self, image: Tensor) -> Tensor:
        raise NotImplementedError

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        image = torch.zeros(2, *lab.SHAPE)
        assert build(lab.SHAPE)(image).shape == image.shape, "a palette keeps the shape of images"


class Plain(Palette):
    """The colours as they are."""

    name = "plain"

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__()

    def forward(self, image: Tensor) -> Tensor:
        return image


class Sepia(Palette):
    """A tone over everything, learned.

    Args:
        tone: the tone to begin with.
    """

    name = "sepia"

    def __init__(self, image_shape: ImageShape, *, tone: float = 0.5) -> None:
        super().__init__()
        self.tone = nn.Parameter(torch.full((image_shape[0], 1, 1), tone))

    def forward(self, image: Tensor) -> Tensor:
        return (image * self.tone).clamp(-1, 1)


class Cropping(Palette):
    """One that does not keep the shape."""

    name = "cropping"

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__()

    def forward(self, image: Tensor) -> Tensor:
        return image[..., :-1]


class Tinted(BiGAN):
    """A bidirectional GAN whose drawings go through a palette."""

    name = "tinted"
    wiring = ("image_shape", "inputs", "latent_size", "encoder", "generator", "palette")

    def __init__(
        self,
        image_shape: ImageShape,
        inputs: int,
        latent_size: int,
        encoder: Encoder,
        generator: Generator,
        palette: Palette,
    ) -> None:
        super().__init__(image_shape, inputs, latent_size, encoder, generator)
        self.palette = palette

    def render(self, z: Tensor, style: Tensor) -> Tensor:
        drawn: Tensor = self.palette(super().render(z, style))
        return drawn

    def parts(self) -> dict[str, nn.Module]:
        return {**super().parts(), "palette": self.palette}


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stranger's plugin, as if it were installed."""
    ours = registering.load_plugins()
    plugin = Plugin("stranger", "1", (Palette, Plain, Sepia, Tinted))
    monkeypatch.setattr(registering, "load_plugins", lambda: [*ours, plugin])
    registry.cache_clear()
    yield
    registry.cache_clear()


def test_it_is_listed_described_and_held_to_its_laws() -> None:
    assert registry().kinds["palette"] is Palette
    listed = command("components", "palette").out
    assert "plain" in listed
    assert "sepia" in listed
    assert "the tone to begin with" in command("components", "palette", "sepia").out
    check(Sepia, tone=0.2)
    check(Tinted)
    with pytest.raises(AssertionError, match="a palette keeps the shape of images"):
        check(Cropping)


def test_it_is_chosen_by_flag_by_option_and_by_default() -> None:
    chosen = tomllib.loads(command("train", "--palette", "sepia", "palette.tone=0.3", "--dry-run").out)
    assert chosen["palette"] == {"name": "sepia", "tone": 0.3}
    assert tomllib.loads(command("train", "--dry-run").out)["palette"] == {"name": "plain"}
    assert "unknown palette 'sepai': did you mean 'sepia'?" in command("train", "--palette=sepai").refusal()
    assert "no such option: --colour" in command("train", "--colour", "sepia").refusal()


def test_it_is_trained_averaged_saved_and_loaded(tmp_path: Path) -> None:
    words = ("train", "--data", "pendulum", "--structure", "known", "--image", "tinted", "--palette", "sepia", *TINY)
    done = command(*words, "--steps", 2, "--run", tmp_path / "run")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "model.json").read_text())["components"]["palette"]["name"] == "sepia"
    with safe_open(tmp_path / "run" / "model.safetensors", framework="pt") as file:
        tone = file.get_tensor("palette.tone")
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert torch.equal(state["averages"]["palette"]["module.tone"], tone)
    model = ccigkit.load(tmp_path / "run")
    assert torch.equal(model.image.palette.tone, tone)
    assert command(*words, "--steps", 3, "--run", tmp_path / "run").code == 0, "and it resumes"


def test_a_kind_that_is_there_already_is_not_taken_over() -> None:
    found = registering.Registry(dict(registry().kinds))
    found.add(Plugin("late", "1", (Palette,)))
    assert found.broken["late"] == "the kind 'palette' is already there"


def test_the_flags_that_help_lists_are_those_of_our_kinds() -> None:
    """The help is printed without torch, so it cannot ask the kinds; it must say what they would."""
    hints = get_type_hints(app.train, include_extras=True)
    hints = {name: hint.__metadata__[0].help for name, hint in hints.items() if name in registry().kinds}
    ours = {kind: of.flag for kind, of in registry().kinds.items() if of.flag and of is not Palette}
    assert hints == ours


def test_what_may_change_as_a_run_goes_on_is_declared_with_the_option() -> None:
    options = options_of(Settings)
    assert {name for name, option in options.items() if option.role.may_change} == {
        "steps", "device", "accumulate", "processes", "watch_every", "track", "graphs",
        "checkpoint_every", "checkpoints", "best", "full_disk", "sample_every",
    }  # fmt: skip
    assert options["seed"].role is Role.SEED
    for component in registry():
        for name in ("root", "cache"):  # where files lie: a run goes on from another folder
            option = options_of(component).get(name)
            assert option is None or (option.role.may_change and not option.role.tells_apart), component
    assert not options["seed"].role.tells_apart
