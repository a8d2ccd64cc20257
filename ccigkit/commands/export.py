"""The command export: a model in one file that other programs run, checked against the model itself."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.distributions import Distribution

from ccigkit.errors import CheckpointError, ConfigError, one_of
from ccigkit.files import writing
from ccigkit.model.files import load_model
from ccigkit.model.frozen import Frozen
from ccigkit.model.model import CausalImageModel
from ccigkit.show.terminal import say

FORMATS = {"torch": ".pt2", "onnx": ".onnx"}
ABOUT = "ccigkit.json"  # what the description is called in the file
LIMIT = 1e-4  # how far pixels, and attributes in shares of their range, may be from the model's own
Answer = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
Function = Callable[..., Tensor]


def export(folder: Path, form: str, out: Path | None, console: Console) -> Path:
    """Write a run's model as a file of a format; it is kept only where it answers as the model does.

    Raises:
        ConfigError: for an unknown format, a library that is not installed, or a model that cannot be exported.
        CheckpointError: where the folder holds no model of images, or the file answers otherwise than the model.
    """
    if form not in FORMATS:
        raise ConfigError(one_of("format", form, FORMATS))
    if form == "onnx" and (missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if not find_spec(name)]):
        raise ConfigError(f"--format onnx needs {', '.join(missing)}: pip install 'ccigkit[onnx]'")
    path = out or Path(f"{folder.resolve().name}{FORMATS[form]}")
    model = load_model(folder)
    program = exported(model)
    with writing(path) as temporary:
        write, read = (write_onnx, read_onnx) if form == "onnx" else (write_torch, read_torch)
        write(program, temporary, json.dumps(description(model)))
        worst = furthest(model, read(temporary))
        if not worst <= LIMIT:
            raise CheckpointError(
                f"the file would answer otherwise than {folder}, by {worst:.2g}; it is not kept. Please report this"
            )
    say(console, f"wrote {path}: within {worst:.1g} of the model, inputs image, mask, values")
    return path


def description(model: CausalImageModel) -> dict[str, Any]:
    """What a program needs to know to ask: the attributes in their order, the graph, the shape of images."""
    return {
        "inputs": {"image": "[b, c, h, w] in [-1, 1]", "mask": "[b, d], what is set", "values": "[b, d], to what"},
        "outputs": {"counterfactual": "[b, c, h, w] in [-1, 1]", "attributes": "[b, d], as they are then"},
        "image_shape": list(model.image_shape),
        "attributes": model.attributes.to_json(),
        "edges": [list(edge) for edge in model.graph.edges],
    }


def exported(model: CausalImageModel) -> Any:
    """The program of a model on the CPU, for any number of images."""
    model = deepcopy(model).cpu().eval().to(memory_format=torch.contiguous_format)  # the one layout of ONNX
    d, batch = len(model.attributes), torch.export.Dim("batch", min=1, max=65_536)
    example = (torch.zeros(3, *model.image_shape), torch.zeros(3, d, dtype=torch.bool), torch.zeros(3, d))
    with unchecked(), torch.no_grad():
        shapes = {name: {0: batch} for name in ("image", "mask", "values")}
        return torch.export.export(Frozen(model), example, dynamic_shapes=shapes, strict=False)


@contextmanager
def unchecked() -> Iterator[None]:
    """Let distributions believe their parameters: a check is a decision by what a tensor holds."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


# --- formats ----------------------------------------------------------------------------------------------------------


def write_torch(program: Any, path: Path, about: str) -> None:
    """Write a program as torch.export does."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={ABOUT: about})
    path.write_bytes(buffer.getvalue())


def read_torch(path: Path) -> Answer:
    """A program that torch.export wrote."""
    module: nn.Module = torch.export.load(io.BytesIO(path.read_bytes())).module()
    return module


def write_onnx(program: Any, path: Path, about: str) -> None:
    """Write a program as ONNX, all of it in one file."""
    with warnings.catch_warnings(action="ignore"):
        program = program.run_decompositions({**torch.export.default_decompositions(), **simpler()})
        made = torch.onnx.export(
            program,
            (),
            dynamo=True,
            input_names=["image", "mask", "values"],
            output_names=["counterfactual", "attributes"],
            verbose=False,
        )
    assert made is not None
    made.model.metadata_props[ABOUT] = about
    made.save(str(path), external_data=False)


def read_onnx(path: Path) -> Answer:
    """A program that was written as ONNX, run by onnxruntime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def answer(image: Tensor, mask: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        given = {"image": image.numpy(), "mask": mask.numpy(), "values": values.numpy()}
        counterfactual, attributes = session.run(None, given)
        return torch.as_tensor(counterfactual), torch.as_tensor(attributes)

    return answer


def simpler() -> dict[Any, Function]:
    """What ONNX has no operator for, by those that it has.

    Noise of labels is standard normal only by custom: any distribution that is one to one with it gives the same
    answers. Laplace's needs nothing but exp and log, so normal quantiles and tails are taken for Laplace's, both ways.
    """
    aten = torch.ops.aten

    def quantile(p: Tensor) -> Tensor:
        below = (2 * p.clamp(max=0.5)).clamp(min=1e-300).log()
        return torch.where(p < 0.5, below, -(2 * (1 - p).clamp(max=0.5)).clamp(min=1e-300).log())

    def tail(x: Tensor) -> Tensor:  # erfc(x), where erfc(-u / sqrt(2)) / 2 is the distribution function at u
        u = -(2**0.5) * x
        small = (-u.abs()).exp()
        return torch.where(u < 0, small, 2 - small)

    def place(line: Tensor, at: Tensor, *, right: bool = False, side: str | None = None, **_: Any) -> Tensor:
        after = right or side == "right"
        line = line.unsqueeze(-2) if line.ndim > 1 else line
        passed = line <= at.unsqueeze(-1) if after else line < at.unsqueeze(-1)
        return passed.sum(dim=-1)

    def bucket(at: Tensor, line: Tensor, *, right: bool = False, **_: Any) -> Tensor:
        return place(line, at, right=right)

    def alike(x: Tensor, *, memory_format: Any = None) -> Any:  # there is one layout of memory
        return x * 1 if memory_format is torch.channels_last else NotImplemented

    def choose(condition: Tensor, a: Tensor, b: Tensor) -> Any:  # onnxruntime has no Where of truth values
        return (condition & a) | (~condition & b) if a.dtype is torch.bool else NotImplemented

    return {
        aten.where.self: choose,
        aten.clone.default: alike,
        aten.special_ndtri.default: quantile,
        aten.erfc.default: tail,
        aten.special_erfc.default: tail,
        aten.searchsorted.Tensor: place,
        aten.bucketize.Tensor: bucket,
    }


# --- the check --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def furthest(model: CausalImageModel, answer: Answer, n: int = 6, seed: int = 0) -> float:
    """How far answers are from the model's own, at most: pixels, and attributes in shares of their range.

    Asked of images that the model draws, with noise, one by one and all at once: nothing set, each number of
    attributes set, to values anywhere in their range.
    """
    generator, attributes = torch.Generator().manual_seed(seed), model.attributes
    d = len(attributes)
    image = model.sample(n, seed=seed)
    image = (image + 0.1 * torch.randn(image.shape, generator=generator)).clamp(-1, 1)
    mask = torch.rand(n, d, generator=generator).argsort(dim=1) < torch.arange(n)[:, None] % (d + 1)
    share = torch.rand(n, d, generator=generator, dtype=torch.float64)
    values = torch.zeros(n, d, dtype=torch.float64)
    for j, a in enumerate(attributes):
        continuous = a.kind == "continuous"
        values[:, j] = a.low + share[:, j] * (a.high - a.low) if continuous else (share[:, j] * len(a.levels)).floor()
    values = values.float()
    scale = torch.tensor([a.high - a.low if a.kind == "continuous" else 1.0 for a in attributes])
    together, worst = answer(image, mask, values), 0.0
    for i in range(n):
        do = {a.name: values[i, [j]].double() for j, a in enumerate(attributes) if mask[i, j]}
        codes = model.abduct(image[[i]])
        own = model.predict(codes, do), model.values(codes, do)
        alone = answer(image[[i]], mask[[i]], values[[i]])
        for pixels, told in (alone, (together[0][[i]], together[1][[i]])):
            apart = (pixels - own[0]).abs().max(), ((told - own[1]).abs() / scale).max()
            worst = max(worst, *(float(one) for one in apart))
    return worst
