"""Signals that ask a training to stop: it ends its step, saves, and leaves; before the first step, it leaves."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STOPPED = 75  # the exit code of a training that such a signal stopped: "try again later" in sysexits.h
GRACE = 2.0  # seconds in which a second Ctrl-C is still the first: keys bounce, and launchers pass it on once more
NAMES = ("SIGTERM", "SIGHUP", "SIGUSR1")  # of schedulers and closed terminals; not every system has all


WORKER = "CCIGKIT_WORKER"  # of the environment: the number of the process that started this one and waits for it


@contextmanager
def leaving_at_once(tell: Callable[[str], None]) -> Iterator[None]:
    """Leave with `STOPPED` and a word where SIGTERM, SIGHUP or SIGUSR1 asks to stop and no step is being played.

    Until the first step, and after the last, there is nothing to save. Ctrl-C interrupts as ever. The end of a worker
    that started this process (`WORKER`) is taken for SIGTERM, then and while steps are played.
    """

    def stop(number: int, frame: object) -> None:
        tell(f"stopping at {signal.Signals(number).name}, between steps: all that was saved stands; go on as before")
        raise SystemExit(STOPPED)

    with _handling(stop):
        if worker := os.environ.pop(WORKER, ""):  # which is not that of processes started here
            watching(int(worker), lambda: os.kill(os.getpid(), signal.SIGTERM))
        yield


def watching(parent: int, then: Callable[[], None]) -> None:
    """Do something, in a thread, where the process that started this one has ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        then()

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def interrupts() -> Iterator[Callable[[], int]]:
    """A function that says which signal asked to stop, 0 for none: to be asked between steps, so no half step is saved.

    The signals are Ctrl-C (SIGINT), SIGTERM, SIGHUP and SIGUSR1, but for those that the process was started to ignore,
    as nohup does. Ctrl-C after more than two seconds interrupts at once. Signals reach the main thread only.
    """
    asked, when = 0, 0.0

    def note(number: int, frame: object) -> None:
        nonlocal asked, when
        if not asked:
            asked, when = number, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - when > GRACE:
            raise KeyboardInterrupt

    with _handling(note, signal.SIGINT):
        yield lambda: asked


@contextmanager
def _handling(handler: Callable[[int, object], None], *more: signal.Signals) -> Iterator[None]:
    """Let these signals, and some more, be handled so, but for those that the process was started to ignore."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        others = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
        heard = [number for number in others if signal.getsignal(number) not in (signal.SIG_IGN, None)]
        before = {number: signal.signal(number, handler) for number in (*more, *heard)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
