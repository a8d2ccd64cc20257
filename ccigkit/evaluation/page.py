"""The report: one HTML page that needs nothing but itself."""

from __future__ import annotations

import inspect
import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image
from torch import Tensor

from ccigkit.component.registry import registry
from ccigkit.evaluation.boards import CONTROLS, Board, Groups, boards, headlines
from ccigkit.evaluation.exhibits import Exhibit, spelled
from ccigkit.evaluation.measure import Estimate
from ccigkit.files import write_text
from ccigkit.pixels import to_bytes
from ccigkit.show.drawings import curve_svg, graph_svg

NOTES = {  # descriptions of what is not the metric of one component
    "at a glance": "The main column of each metric, as the mean over every do(). Compare the models with the "
    "controls: identity changes nothing, resample is another real image, oracle is the truth.",
}


def write_report(path: Path, groups: Groups, exhibits: Sequence[Exhibit], command: str) -> None:
    """Write the page of evaluations, and of what their models draw."""
    glance = headlines(groups)
    every = next(iter(groups.values()))[0]
    page = (
        environment()
        .get_template("page.html")
        .render(
            title=", ".join(groups),
            glance=glance,
            boards=[board for board in boards(groups) if board.rows],
            skipped=[(b.metric, name, reason) for b in boards(groups) for name, reason in b.skipped.items()],
            exhibits=exhibits,
            groups=groups,
            data=every.data,
            command=command,
            made=datetime.now().astimezone(),
            version=version("ccigkit"),
        )
    )
    write_text(path, page)


def environment() -> Environment:
    """What the template is filled in with."""
    filled = Environment(
        loader=PackageLoader("ccigkit.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    filled.filters |= {"picture": picture, "spelled": spelled, "anchor": anchor, "percent": percent, "figure": figure}
    filled.globals |= {"about": about, "graph": graph, "curves": curves, "kind": kind, "numeric": numeric}
    return filled


def picture(image: Tensor) -> str:
    """An image [c, h, w] in [-1, 1] as an address that holds it."""
    pixels = to_bytes(image.expand(3, -1, -1)).permute(1, 2, 0).contiguous().numpy()
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=92, method=4)
    return f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode()}"


def about(metric: str) -> Markup:
    """The description of a metric, without its options."""
    text = NOTES.get(metric, "")
    if not text and metric in registry().names("metric"):
        text = (inspect.getdoc(registry().get("metric", metric)) or "").partition("Args:\n")[0]
    paragraphs = [re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(p))) for p in text.strip().split("\n\n")]
    return Markup("".join(f"<p>{paragraph}</p>" for paragraph in paragraphs if paragraph))  # noqa: S704  escaped above


def graph(found: Exhibit, *, true: bool) -> Markup:
    """The true graph, or the model's with its edges marked."""
    assert found.graph is not None
    drawn, label = (
        (found.truth, "the true graph") if true and found.truth else (found.graph, f"the graph of {found.name}")
    )
    return Markup(graph_svg(drawn, found.truth, label))  # noqa: S704  escaped there


def curves(log: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, Markup, float]]]:
    """The terms of a training, by what was trained: name, curve, and what it ended at."""
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for entry in log:
        for key, value in entry.items():
            if "." in key and isinstance(value, float) and value == value:
                points[key].append((float(entry["step"]), value))
    found: dict[str, list[tuple[str, Markup, float]]] = defaultdict(list)
    for key, many in points.items():
        phase, _, term = key.partition(".")
        last = [value for _, value in many[-max(1, len(many) // 20) :]]
        found[phase].append((term, Markup(curve_svg(many, key)), sum(last) / len(last)))  # noqa: S704
    return found


def kind(row: Mapping[str, Any]) -> str:
    """How a row is shown: a model's, or a control's."""
    return "control" if row.get("row") in CONTROLS else "model"


def numeric(board: Board, column: str) -> bool:
    """Whether a column holds figures."""
    return any(isinstance(row.get(column), Estimate) for row in board.rows)


def percent(value: float) -> str:
    """A signed change in whole per cent, nothing where it is none."""
    return f"{value:+.0f}".replace("-", "−") if abs(value) >= 0.5 else "0"


def figure(value: float) -> str:
    """A figure of three digits."""
    return f"{value:.3g}".replace("-", "−")


def anchor(text: str) -> str:
    """A text as an address within the page, which no other text has."""
    word = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return word if word == text else f"{word}-{sha256(text.encode(errors='replace')).hexdigest()[:6]}"
