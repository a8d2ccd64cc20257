"""A real browser without a window: what a page looks like, with the network out of reach."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
needs_browser = pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium here to open the page with (apt-get install chromium)"
)


def browse(page: Path, *arguments: str, folder: Path) -> str:
    """Open a page and do what the arguments say; what the browser prints."""
    offline = ("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--disable-background-networking")
    quiet = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
    )
    done = subprocess.run(
        [CHROMIUM, *quiet, *offline, *arguments, page.as_uri()],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def screenshot(page: Path, path: Path, *, width: int = 1200, height: int = 1600) -> Path:
    """Take a picture of the top of a page."""
    browse(page, f"--window-size={width},{height}", f"--screenshot={path}", folder=path.parent)
    assert path.is_file()
    return path
