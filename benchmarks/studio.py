"""How soon a picture follows a slider: Chromium on the page of a run, from the input to the decoded answer.

    python benchmarks/studio.py runs/faces [MOVES]

Needs plugins/ccigkit-studio with its test extra, and a Chromium of the system's. Each move waits for the answer to the
one before. Beside the page's times are those of the API alone, and the load of the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from urllib.request import Request, urlopen

from playwright.sync_api import sync_playwright

MOVE = """async ([name, value]) => {
  const answers = document.body.dataset.answers, item = document.querySelector(`#attributes li[data-name="${name}"]`);
  const slider = item.querySelector("input[type=range]"), start = performance.now();
  const answered = new Promise((done) => new MutationObserver((_, seen) => {
    if (document.body.dataset.answers !== answers) { seen.disconnect(); done(); }
  }).observe(document.body, { attributes: true }));
  if (slider) { slider.value = value; slider.dispatchEvent(new Event("input")); }
  else item.querySelector(`input[type=radio][value="${value > 0.5 ? 1 : 0}"]`).click();
  await answered;
  await document.getElementById("answer").decode();
  return performance.now() - start;
}"""


def main(run: str, moves: int) -> None:
    """Serve a run, move its attributes, and print the times."""
    serve = "import sys; from ccigkit_studio import studio; from pathlib import Path; studio(Path(sys.argv[1]), port=0)"
    server = subprocess.Popen([sys.executable, "-u", "-c", serve, run], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = re.search(r"http://\S+", server.stdout.readline())[0]  # type: ignore[index]
        facts = json.load(urlopen(f"{address}api/model"))
        attributes = [a for a in facts["attributes"] if a["kind"] != "categorical"]
        steps = []
        for n in range(moves):
            attribute = attributes[n // 10 % len(attributes)]
            low, high = (attribute["low"], attribute["high"]) if attribute["kind"] == "continuous" else (0, 1)
            share = n % 10 / 9 if attribute["kind"] == "continuous" else n % 2
            steps.append((attribute["name"], low + share * (high - low)))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(address)
            page.wait_for_selector("body[data-answers]")
            page.wait_for_timeout(2000)
            tell("on the page", [page.evaluate(MOVE, step) for step in steps])
            browser.close()
        tell("the API alone", [alone(address, f"{name}={round(v, 4):g}") for name, v in steps if facts["tests"]])
    finally:
        server.terminate()
    print(f"{facts['width']} x {facts['height']} pixels, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


def alone(address: str, setting: str) -> float:
    """Milliseconds that the API takes to answer, a browser left out; a value that cannot be set is answered, too."""
    body = json.dumps({"picture": "test-0", "do": [setting]}).encode()
    start = time.perf_counter()
    with contextlib.suppress(OSError):
        urlopen(Request(f"{address}api/counterfactual", body, {"content-type": "application/json"})).read()
    return 1000 * (time.perf_counter() - start)


def tell(what: str, times: list[float]) -> None:
    """Print the median and the 95th percentile."""
    cuts = statistics.quantiles(times, n=20)
    print(f"{what}: median {statistics.median(times):.0f} ms, 95th percentile {cuts[-1]:.0f} ms, of {len(times)} moves")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200)
