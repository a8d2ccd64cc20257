"""Every example runs as its reader would run it, at a tiny budget."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.celeba_folder import write_celeba

EXAMPLES = Path(__file__).parents[1] / "examples"
TINY = ["--steps", "2", "data.size=32", "encoder.width=8", "generator.width=8", "discriminator.width=8"]


def run(folder: Path, script: str, *arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_listed_and_tested() -> None:
    listed, tested = (EXAMPLES / "README.md").read_text(), Path(__file__).read_text()
    scripts = [path.name for path in EXAMPLES.glob("*.py")]
    assert scripts
    assert all(f"({name})" in listed and f'"{name}"' in tested for name in scripts)


def test_the_pendulum_trains_and_then_loads_as_a_library(tmp_path: Path) -> None:
    shown = run(tmp_path, "01_pendulum.py", *TINY, "data.n=60")
    assert "$ ccigkit train --data pendulum" in shown
    assert (tmp_path / "runs/pendulum/sample-light.png").is_file()
    shown = run(tmp_path, "04_library.py", "runs/pendulum")
    assert "do(" in shown
    assert (tmp_path / "runs/pendulum/counterfactual.png").is_file()


def test_faces_are_asked_four_questions(tmp_path: Path) -> None:
    shown = run(tmp_path, "02_faces.py", *TINY, "data.n=60")
    assert "Smiling" in shown
    assert (tmp_path / "runs/faces/questions.png").is_file()


@pytest.mark.filterwarnings("ignore")
def test_celeba_says_what_it_needs_and_runs_on_a_folder_of_that_layout(tmp_path: Path) -> None:
    assert "img_align_celeba" in run(tmp_path, "03_celeba.py")
    folder = write_celeba(tmp_path / "faces", n=40)
    run(tmp_path, "03_celeba.py", str(folder), *TINY)
    assert len(list((tmp_path / "runs/celeba").glob("* do(Smiling=1).png"))) == 3


def test_a_folder_of_ones_own_trains(tmp_path: Path) -> None:
    run(tmp_path, "06_own_images.py", *TINY, "-n", "60")


def test_a_structure_learner_of_ones_own_passes_its_check(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n" + "".join(f"{i % 7 / 7},{i % 7 + i % 3}\n" for i in range(60)))
    shown = run(tmp_path, "05_own_structure_learner.py", str(table))
    assert "keeps the contract" in shown


def test_a_model_that_is_not_ours_is_measured(tmp_path: Path) -> None:
    tiny = ("--steps", "2", "-n", "60", "--questions", "8", "--predictor-steps", "2")
    shown = run(tmp_path, "07_outside_model.py", *tiny)
    assert "no graph" in shown
    assert (tmp_path / "runs/conditional-vae.png").is_file()
