"""A model to begin with: small, trained on drawn faces, under the name `demo`."""

from __future__ import annotations

from pathlib import Path

import ccigkit

ccigkit_api = 1
MODEL = Path(__file__).parent / "model"  # what make.py wrote


@ccigkit.hookimpl
def ccigkit_models() -> dict[str, Path]:
    """What this plugin brings."""
    return {"demo": MODEL}
