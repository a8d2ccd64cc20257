"""The evaluate command: tables, JSON, metric options, seeds, wrong graphs, models that are not ours."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import ccigkit as package
import ccigkit.metrics.readers.predictor
import ccigkit.metrics.readers.vae
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.errors import ConfigError, DataError
from ccigkit.evaluation import Estimate, Evaluation, MetricResult, evaluate, pooled
from ccigkit.evaluation.boards import boards, headlines
from ccigkit.graph import CausalGraph
from ccigkit.images import to_float
from ccigkit.metrics.graphs import alternatives, answer, reversals, under
from ccigkit.metrics.protocol.answers import Abducted, edit
from tests.celeba_folder import write_celeba
from tests.helpers import TINY, ccigkit
from tests.outside import Oracle, Unchanging

torch.set_num_threads(1)

HASTY = ("truth.n=16", "truth.predictor_steps=2")
TRUTH = ("--metric", "truth", *HASTY)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, Path]:
    """Two runs of two steps that differ by their seed alone."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        words = ("--data", "pendulum", *TINY, "--steps", 2, "--seed", seed, "--run", folder / f"tiny-seed{seed}")
        done = ccigkit("train", *words)
        assert done.code == 0, done.err
    return folder / "tiny-seed0", folder / "tiny-seed1"


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


# --- one run ----------------------------------------------------------------------------------------------------------


def test_a_run_is_measured_beside_its_controls_and_says_what_it_was(runs: tuple[Path, Path], tmp_path: Path) -> None:
    done = ccigkit("evaluate", runs[0], *TRUTH, "--metric", "graph", "--json", tmp_path / "all.json")
    assert done.code == 0, done.err
    assert all(word in done.out for word in ("truth", "graph", "oracle", "identity", "at a glance", "truth skill ↑"))
    content = read(tmp_path / "all.json")
    assert content["command"].startswith("ccigkit evaluate ")
    assert set(content["versions"]) >= {"ccigkit", "torch"}
    [one] = content["evaluations"]
    assert (one["run"], one["seed"], one["config"]["data"]["name"]) == (str(runs[0]), 0, "pendulum")
    assert (one["data"]["name"], one["data"]["test"]["images"]) == ("pendulum", 12)
    assert all(re.fullmatch("[0-9a-f]{16}", one["data"][split]["hash"]) for split in ("train", "test"))
    truth, graph = one["metrics"]
    assert truth["options"]["n"] == 16
    assert re.fullmatch("[0-9a-f]{16}", truth["predictor"])
    assert "predictor" not in graph
    by = {(row["do"], row["row"]): row for row in truth["rows"]}
    assert by["angle", "oracle"]["skill"] == pytest.approx(1)
    assert by["angle", "identity"]["skill"] == pytest.approx(0)
    assert read(runs[0] / "evaluation.json")["evaluations"] == content["evaluations"]


def test_without_a_metric_the_quick_ones_are_measured(runs: tuple[Path, Path]) -> None:
    quick = ("n=8", "predictor_steps=2")
    settings = [f"{m}.{s}" for m in ("effectiveness", "truth", "minimality", "distribution", "realism") for s in quick]
    done = ccigkit(
        "evaluate", runs[0], *settings, "composition.n=4", "reversibility.n=4", "minimality.vae_steps=2",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert all(name in done.out for name in ("effectiveness", "composition", "reversibility", "minimality", "realism"))
    assert "do_table" not in done.out


def test_what_the_data_cannot_support_is_skipped_and_said(runs: tuple[Path, Path]) -> None:
    done = ccigkit("evaluate", runs[0], "--metric", "graph", "--metric", "downstream")
    assert done.code == 0, done.err
    assert "downstream was skipped: downstream classifies a binary attribute, and pendulum has none" in done.out
    assert "binary attribute, and pendulum has none" in ccigkit("evaluate", runs[0], "--metric", "downstream").refusal()


# --- several runs -----------------------------------------------------------------------------------------------------


def test_runs_that_differ_by_their_seed_are_one_with_an_interval(runs: tuple[Path, Path], tmp_path: Path) -> None:
    done = ccigkit("evaluate", *runs, *TRUTH, "--json", tmp_path / "all.json")
    assert done.code == 0, done.err
    assert "±" in done.out
    content = read(tmp_path / "all.json")
    [means] = content["means over seeds"]
    assert means["name"] == "tiny, 2 seeds"
    rows = [row for one in content["evaluations"] for row in one["metrics"][0]["rows"]]
    model = [row["l1"] for row in rows if (row["do"], row["row"]) == ("angle", "model")]
    [pool] = [r for r in means["metrics"][0]["rows"] if (r["do"], r["row"]) == ("angle", "model")]
    assert pool["l1"]["mean"] == pytest.approx(sum(model) / 2)
    assert pool["l1"]["n"] == 2


def test_runs_that_differ_otherwise_stand_side_by_side(runs: tuple[Path, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(runs[0], tmp_path / "copy"))
    done = ccigkit("evaluate", runs[0], copy, *TRUTH)
    assert done.code == 0, done.err
    assert "tiny-seed0" in done.out
    assert "copy" in done.out
    assert "±" not in done.out
    lines = [line for line in done.out.splitlines() if "oracle" in line and "angle" in line]
    assert len(lines) == 1  # the same for both, so told once


def test_an_interval_is_students() -> None:
    found = Estimate.of([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2.0, 3)
    assert found.half == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert Estimate.of([5.0, float("nan")]).n == 1
    assert Estimate.of([5.0]).half != Estimate.of([5.0]).half  # NaN: of one nothing is known


def test_rows_are_pooled_with_those_that_say_the_same() -> None:
    first = MetricResult("m", {}, ({"do": "a", "row": "model", "x": 1.0}, {"do": "a", "row": "model", "x": 5.0}))
    second = MetricResult("m", {}, ({"do": "a", "row": "model", "x": 3.0}, {"do": "a", "row": "model", "x": 7.0}))
    means = [row["x"] for row in pooled([first, second])]
    assert [mean.mean for mean in means if isinstance(mean, Estimate)] == [2.0, 6.0]


def test_boards_hold_what_is_there_and_headlines_the_means() -> None:
    rows = ({"do": "a", "row": "model", "skill": 0.5, "psnr": float("nan")}, {"do": "b", "row": "model", "skill": 0.7})
    one = Evaluation("one", (MetricResult("truth", {}, rows), MetricResult("graph", {}, skipped="no truth")), {})
    truth, graph = boards({"one": [one]})
    assert truth.columns == ("do", "row", "skill")
    assert (graph.rows, graph.skipped) == ((), {"one": "no truth"})
    glance = headlines({"one": [one]})
    assert glance is not None
    assert glance.columns == ("row", "truth skill ↑")
    assert glance.cell(glance.rows[0], "truth skill ↑") == "0.600"


# --- options ----------------------------------------------------------------------------------------------------------


def test_options_are_checked_as_everywhere(runs: tuple[Path, Path]) -> None:
    def refused(*words: object) -> str:
        return ccigkit("evaluate", runs[0], "--metric", "truth", *words).refusal()

    assert "truth.m: unknown option of the metric 'truth'" in refused("truth.m=3")
    assert "truth.n: input should be a valid integer" in refused("truth.n=many")
    assert "truth.n=0 must be at least 1" in refused("truth.n=0")
    assert "options are given for realism, which is not measured" in refused("realism.n=3")
    assert "unknown metric 'thruth': did you mean 'truth'?" in refused("--metric", "thruth")
    assert "unknown metric 'thruth': did you mean 'truth'?" in refused("thruth.n=3")


def test_a_metric_is_found_by_its_former_name_and_the_new_one_is_said(runs: tuple[Path, Path], tmp_path: Path) -> None:
    words = ("--metric", "interventional", "interventional.n=8", "interventional.predictor_steps=2")
    done = ccigkit("evaluate", runs[0], *words, "--json", tmp_path / "now.json")
    assert done.code == 0, done.err
    assert done.err == "ccigkit: the metric 'interventional' is now called 'distribution'; write that\n"
    [found] = read(tmp_path / "now.json")["evaluations"][0]["metrics"]
    assert (found["metric"], found["options"]["n"]) == ("distribution", 8)


def test_a_device_that_is_not_there_is_one_line(runs: tuple[Path, Path]) -> None:
    for words in (("evaluate", runs[0]), ("predictor", "--data", "pendulum", "data.n=60", "data.size=32")):
        assert "device 'nowhere' is not available" in ccigkit(*words, "--device", "nowhere").refusal()
    assert ccigkit("evaluate", runs[0], *TRUTH, "--device", "cpu").code == 0


def test_what_metrics_train_works_on_the_device_asked_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for reader in (package.metrics.readers.predictor, package.metrics.readers.vae):
        monkeypatch.setattr(reader, "choose_device", lambda name: asked.append(name) or torch.device("cpu"))
    data = Pendulum(n=60, size=32)
    options = {
        "truth": {"n": 8, "predictor_steps": 2},
        "minimality": {"n": 8, "predictor_steps": 2, "vae_steps": 2},
        "distribution": {"n": 8, "predictor_steps": 2},
        "cdm": {"n": 8, "predictor_steps": 2},
    }
    evaluate(Unchanging(data), data, metrics=[*options], options=options, device="cpu")
    assert len(asked) >= 5
    assert set(asked) == {"cpu"}


# --- wrong graphs -----------------------------------------------------------------------------------------------------

GRAPHS = ("graphs.n=8", "graphs.samples=8", "graphs.steps=5", "graphs.predictor_steps=2")


def test_the_same_run_is_asked_under_other_graphs(runs: tuple[Path, Path], tmp_path: Path) -> None:
    before = (runs[0] / "model.safetensors").read_bytes()
    done = ccigkit("evaluate", runs[0], "--graphs", *GRAPHS, "--json", tmp_path / "graphs.json")
    assert done.code == 0, done.err
    [found] = read(tmp_path / "graphs.json")["evaluations"][0]["metrics"]
    rows = {row["row"]: row for row in found["rows"]}
    assert [*rows] == [
        "as trained", "learned", "true", "one edge reversed", "empty", "full", "random", "identity", "resample",
        "oracle",
    ]  # fmt: skip
    assert (rows["true"]["shd"], rows["one edge reversed"]["shd"], rows["empty"]["shd"]) == (0, 1, 4)
    assert rows["full"]["shd"] == 2
    assert rows["oracle"]["skill"] == pytest.approx(1)
    assert rows["true"]["skill"] != rows["empty"]["skill"]
    assert (runs[0] / "model.safetensors").read_bytes() == before


def test_the_flag_is_the_metric_and_takes_the_options_it_had_before(runs: tuple[Path, Path], tmp_path: Path) -> None:
    former = ("truth.n=8", "interventional.n=8", "truth.predictor_steps=2", "graphs.steps=5")
    asked = {"metric": ("--metric", "graphs", *GRAPHS), "flag": ("--graphs", *former)}
    found = {}
    for name, words in asked.items():
        done = ccigkit("evaluate", runs[0], *words, "--json", tmp_path / f"{name}.json")
        assert done.code == 0, done.err
        [found[name]] = read(tmp_path / f"{name}.json")["evaluations"][0]["metrics"]
    assert found["flag"] == found["metric"]
    assert "ccigkit: truth.n of --graphs is now graphs.n\n" in done.err


def test_images_that_one_graph_has_encoded_are_answered_alike_under_another(
    runs: tuple[Path, Path],
) -> None:
    model, data = package.load(runs[0]), Pendulum(n=60, size=32)
    graph = CausalGraph.from_edges(model.graph.names, ["angle -> light"])
    other = under(model, graph, data.table(), seed=0, steps=5)
    test = data.load("test")
    images, values = to_float(test.images), torch.as_tensor(test.values).float()
    do = {"angle": model.attributes[0].high}
    answered = answer(other, Abducted(model, images, values), do)
    assert torch.equal(answered, edit(other, images, values, do))
    assert not torch.equal(answered, edit(model, images, values, do))


def test_the_graphs_asked_about_are_what_they_are_called() -> None:
    truth = CausalGraph.from_edges(("a", "b", "c"), ["a -> b", "b -> c"])
    learned = CausalGraph.from_edges(("c", "b", "a"), ["a -> c"])
    asked = dict(alternatives(learned, truth, seed=0))
    assert asked["learned"] == [learned]
    assert all(graph.names == learned.names for graphs in asked.values() for graph in graphs)
    assert asked["true"][0].shd(truth) == 0
    assert {graph.shd(truth) for graph in asked["one edge reversed"]} == {1}
    assert set(asked["full"][0].edges) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert {len(graph.edges) for graph in asked["random"]} == {2}


def test_an_edge_that_would_close_a_cycle_is_not_reversed() -> None:
    truth = CausalGraph.from_edges(("a", "b", "c"), ["a -> b", "b -> c", "a -> c"])
    assert {next(iter(set(g.edges) - set(truth.edges))) for g in reversals(truth)} == {("b", "a"), ("c", "b")}


# --- models that are not ours -----------------------------------------------------------------------------------------


def test_any_model_with_three_methods_is_measured(cache: Path) -> None:
    data = Pendulum(n=60, size=32)
    options = {"truth": {"n": 16, "predictor_steps": 2}}
    found = package.evaluate(Oracle(data), data, metrics=("truth", "graph"), options=options)
    rows = {(row["do"], row["row"]): row for row in found.rows}
    assert rows["angle", "model"] == pytest.approx({**rows["angle", "oracle"], "row": "model"})
    assert found.name == "Oracle"
    assert found.found[1].skipped == "graph is about a model's causal graph, and Oracle shows none"


MODELS = """
import torch
from tests.outside import Unchanging

def still(data):
    return Unchanging(data)
"""


def test_the_command_measures_it_too(runs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    where = f"{tmp_path / 'models.py'}:still"
    done = ccigkit("evaluate", "--model", where, "--data", "pendulum", "data.n=60", "data.size=32", *TRUTH)
    assert done.code == 0, done.err
    beside = ccigkit("evaluate", runs[0], "--model", where, *TRUTH)
    assert beside.code == 0, beside.err
    assert "tiny-seed0" in beside.out


class Small(Unchanging):
    def predict(self, codes: Any, do: Any) -> Any:
        return codes[..., ::2, ::2]


class Undefined(Unchanging):
    def sample(self, n: int, do: Any = None, *, seed: int | None = None) -> Any:
        return super().sample(n, do, seed=seed) * float("nan")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Small, "Small gave images of shape [2, 3, 16, 16] instead of [2, 3, 32, 32]"),
        (Undefined, "Undefined gave images with pixels that are not finite numbers"),
    ],
)
def test_a_model_that_breaks_its_promise_is_told_so(broken: type[Unchanging], said: str) -> None:
    data = Pendulum(n=60, size=32)
    with pytest.raises(DataError, match=re.escape(said)):
        evaluate(broken(data), data, metrics=("truth",))


def test_a_model_of_other_images_or_attributes_is_refused() -> None:
    with pytest.raises(DataError, match=re.escape("the model has images of [3, 32, 32], but pendulum now has")):
        evaluate(Unchanging(Pendulum(n=60, size=32)), Pendulum(n=60, size=48))
    model = Unchanging(Pendulum(n=60, size=32))
    model.attributes = package.Attributes(model.attributes[:3])
    with pytest.raises(DataError, match="the model is about angle, light, length, but pendulum now has"):
        evaluate(model, Pendulum(n=60, size=32))


def test_options_for_what_is_not_measured_are_refused() -> None:
    data = Pendulum(n=60, size=32)
    with pytest.raises(ConfigError, match="options are given for truth"):
        evaluate(Unchanging(data), data, metrics=("graph",), options={"truth": {"n": 3}})


# --- bad input --------------------------------------------------------------------------------------------------------


def test_runs_and_models_that_are_not_there_are_one_line(runs: tuple[Path, Path], tmp_path: Path) -> None:
    assert "name a run to evaluate" in ccigkit("evaluate").refusal()
    assert "nowhere holds no run" in ccigkit("evaluate", "nowhere").refusal()
    bare = Path(shutil.copytree(runs[0], tmp_path / "bare"))
    (bare / "model.safetensors").unlink()
    assert "bare holds no trained model" in ccigkit("evaluate", bare).refusal()
    assert "say what to measure it on" in ccigkit("evaluate", "--model", "a.py:f").refusal()
    on = ("--data", "pendulum")
    assert "is not MODULE:FUNCTION" in ccigkit("evaluate", "--model", "a.py", *on).refusal()
    assert "cannot be imported" in ccigkit("evaluate", "--model", "a.py:f", *on).refusal()
    assert "cannot be imported" in ccigkit("evaluate", "--model", "no_such_module:f", *on).refusal()
    (tmp_path / "models.py").write_text(MODELS)
    assert "has no function f" in ccigkit("evaluate", "--model", f"{tmp_path / 'models.py'}:f", *on).refusal()


def test_data_that_has_moved_is_named_and_found_again(cache: Path, tmp_path: Path) -> None:
    photographs = write_celeba(tmp_path / "celeba", n=40)
    run = tmp_path / "run"
    words = ("--backbone", "dcgan", "--objective", "dear", "--steps", 1, "backbone.width=8", "data.size=32")
    done = ccigkit("train", "--data", "celeba", f"data.root={photographs}", *words, "--run", run)
    assert done.code == 0, done.err
    moved = photographs.rename(tmp_path / "elsewhere")
    assert str(photographs) in ccigkit("evaluate", run, "--metric", "composition").refusal()
    asked = ("--metric", "effectiveness", "effectiveness.n=8", "effectiveness.predictor_steps=2", "--metric", "truth")
    page = tmp_path / "report.html"
    done = ccigkit("evaluate", run, *asked, f"data.root={moved}", "--html", page)
    assert done.code == 0, done.err
    assert "truth was skipped: truth needs data with known counterfactuals" in done.out
    assert read(run / "evaluation.json")["evaluations"][0]["data"]["preprocess_id"]
    assert "preprocessing" in page.read_text()


def test_data_of_another_size_are_refused(runs: tuple[Path, Path]) -> None:
    changed = ccigkit("evaluate", runs[0], *TRUTH, "data.size=48").refusal()
    assert "the model has images of [3, 32, 32], but pendulum now has images of [3, 48, 48]" in changed
    assert "give the data options that it was trained with" in changed
