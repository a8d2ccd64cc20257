"""Progress of what takes long, on the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from ccigkit.show.terminal import say


@contextmanager
def progress(console: Console, steps: int, done: int) -> Iterator[Callable[[int, Mapping[str, float], float], None]]:
    """Progress of a training: a live line on a terminal, a plain line now and then elsewhere."""
    columns = (
        SpinnerColumn(),
        TextColumn("training"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]:.0f} images/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[terms]}", style="dim", markup=False),
    )
    spoken = time.monotonic() - 60
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("train", total=steps, completed=done, speed=0.0, terms="")

        def on_step(step: int, terms: Mapping[str, float], speed: float) -> None:
            nonlocal spoken
            text = "  ".join(f"{name.split('.')[-1]} {value:.3f}" for name, value in terms.items())
            bar.update(task, completed=step, speed=speed, terms=text)
            if not console.is_terminal and (time.monotonic() - spoken > 15 or step == steps):
                say(console, f"step {step}/{steps}  {speed:.0f} images/s  {text}", soft_wrap=True)
                spoken = time.monotonic()

        yield on_step


@contextmanager
def counting(console: Console, what: str, total: int) -> Iterator[Callable[[], None]]:
    """A live line on a terminal that counts to a total; elsewhere silence."""
    text = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), text, BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
