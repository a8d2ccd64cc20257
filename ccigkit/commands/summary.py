"""What a finished training learned, in figures."""

from __future__ import annotations

from typing import Any

from ccigkit.causal.graph import CausalGraph
from ccigkit.commands.config import Config
from ccigkit.commands.run import Run
from ccigkit.model.model import CausalImageModel


def summary(model: CausalImageModel, config: Config, run: Run, truth: CausalGraph | None) -> dict[str, Any]:
    """What a finished training learned, in figures."""
    log = run.read_log()
    speeds = sorted(entry["images_per_second"] for entry in log if "images_per_second" in entry)
    facts: dict[str, Any] = {
        "steps": config.train.steps,
        "images per second": speeds[len(speeds) // 2] if speeds else None,
        "edges": len(model.graph.edges),
    }
    if truth is not None:
        facts["SHD to the true graph"] = model.graph.shd(truth)
    return facts | {key: value for key, value in (log[-1] if log else {}).items() if "." in key}
