"""What people get wrong: one clear line on stderr, exit code 2, and nothing lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from PIL import Image

from ccigkit import files
from ccigkit.commands.run import Run
from ccigkit.errors import CheckpointError, UserError
from ccigkit.model import load_model, save_model
from ccigkit.model.files import read_model
from ccigkit.model.tensors import write_tensors
from tests.celeba_folder import image_name, write_celeba
from tests.helpers import TINY, ccigkit

torch.set_num_threads(1)

TRAIN = ("train", "--data", "pendulum", *TINY, "--objective", "dear", "--structure", "known", "train.sample_every=0")
LATENT_OF_SCM = {"scm": {"name": "mixed"}, "encoder": {"name": "dcgan"}, "generator": {"name": "dcgan"}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "trained"
    done = ccigkit(*TRAIN, "--steps", 1, "--run", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run of one step, to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


# --- names, options, values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--structure", "noteers"), "unknown structure 'noteers': did you mean 'notears'?"),
        (("--data", "celebA"), "did you mean 'celeba'?"),
        (("backbone.name=vgg",), "unknown backbone 'vgg': known are dcgan, resnet"),
        (("--recipe", "deer"), "unknown recipe 'deer': did you mean 'dear'?"),
        (("scm.hiden=3",), "'hiden': did you mean 'hidden'?"),
        (("train.step=3",), "'step': did you mean 'steps'?"),
        (("train.name=me",), "unknown option of train: 'name'"),
        (("scm.hidden=many",), "scm.hidden: input should be a valid integer"),
        (("--structure", "known", "structure.graph=2024"), "text that reads as a number goes in quotes: '\"2024\"'"),
        (("objective.rate=nan",), "objective.rate"),
        (("objective.divergence=kull",), "objective.divergence"),
        (("train.schedule=later",), "'freeze', 'finetune' or 'joint'"),
        (("smc.hidden=3",), "unknown table 'smc': did you mean 'scm'?"),
        (("hidden=3",), "'hidden=3' is not KIND.OPTION=VALUE"),
        (("scm.hidden",), "'scm.hidden' is not KIND.OPTION=VALUE"),
        (("train.steps=0",), "train.steps=0 must be at least 1"),
        (("train.batch=1",), "train.batch=1 must be at least 2"),
        (("train.ema=1.0",), "train.ema=1.0"),
        (("--config", "nowhere.toml"), "cannot read the configuration nowhere.toml"),
        (('knowledge.required=["angle, light"]',), "is not an edge"),
        (("train.device=warp",), "device 'warp' is not available"),
        (("train.device=cuda:99",), "device 'cuda:99' is not available"),
        (("data.n=5",), "data.n=5 must be at least 10"),
        (("data.size=48",), "not 48 x 48"),
        (("train.latent=3",), "train.latent=3 is smaller than the 4 that the attributes take"),
        (("--structure", "pc", "train.schedule=joint"), "train.schedule=joint needs"),
        (('knowledge.tiers=[["angel"]]', "--structure", "notears"), "'angel': did you mean 'angle'?"),
        (('knowledge.required=["length -> angle"]', "--structure", "notears"), "both required and forbidden"),
        (("--structure", "pc", "structure.alpha=2.0"), "structure.alpha"),
    ],
)
def test_a_wrong_word_is_named_with_the_remedy(words: tuple[str, ...], said: str) -> None:
    assert said in ccigkit(*TRAIN, *words, "--steps", 1, "--run", "here").refusal()


def test_a_configuration_that_is_no_toml_is_named() -> None:
    assert "bad.toml is not TOML" in ccigkit("train", "--config", write("bad.toml", "scm = [")).refusal()
    assert "must be a table" in ccigkit("train", "--config", write("flat.toml", 'scm = "linear"')).refusal()
    said = ccigkit("train", "--config", write("old.toml", "[train]\nstep = 3\n")).refusal()
    assert "old.toml" in said
    Path("binary.toml").write_bytes(b"\xff\xfe\x00")
    assert "binary.toml is not TOML" in ccigkit("train", "--config", "binary.toml").refusal()


@pytest.mark.parametrize("text", ["data = 3\n", "backbone = 3\n", '[backbone]\nname = ["dcgan"]\n', "[[data]]\n"])
def test_an_odd_configuration_is_one_line(run: Path, text: str) -> None:
    (run / "config.toml").write_text(text)
    for words in (
        ("evaluate", run),
        ("train", "--data", "pendulum", "--run", run),
        ("train", "--config", run / "config.toml"),
    ):
        assert ccigkit(*words).refusal()


def test_a_mistake_does_not_take_the_run_directory() -> None:
    assert "train.latent" in ccigkit(*TRAIN, "train.latent=3", "--steps", 1, "--run", "here").refusal()
    again = ccigkit(*TRAIN, "train.latent=4", "--steps", 1, "--run", "here")
    assert again.code == 0, again.err


def test_a_component_that_nobody_knows_is_named() -> None:
    assert "unknown scm 'liner': did you mean 'linear'?" in ccigkit("components", "scm", "liner").refusal()
    assert "unknown kind of component 'smc'" in ccigkit("components", "smc").refusal()
    assert "unknown data 'pendulm'" in ccigkit("data", "preview", "pendulm").refusal()
    assert "data.sise" in ccigkit("data", "preview", "pendulum", "sise=3").refusal()


# --- graphs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (
            'names = ["angle", "light", "length", "position"]\nedges = ["angle -> light", "light -> angle"]',
            "the graph has a cycle: angle -> light -> angle",
        ),
        ('names = ["angle", "light"]\nedges = []', "the graph is over other attributes"),
        ('names = ["angle"]\nedges = ["angle -> angel"]', "'angel': did you mean 'angle'?"),
        ("names = [", "graph.toml is not TOML"),
        ("edges = []", "graph.toml must hold names"),
        ('names = ["angle", "light", "length", "position"]\nedges = ["length -> angle"]', "forbids: length -> angle"),
    ],
)
def test_a_known_graph_that_cannot_be_is_named(toml: str, said: str) -> None:
    write("graph.toml", toml)
    for words in (("graph", "--data", "pendulum", "data.n=60", "--structure", "known"), (*TRAIN, "--run", "here")):
        assert said in ccigkit(*words, "structure.graph=graph.toml").refusal()
    assert "cannot read the graph none.toml" in ccigkit(*TRAIN, "structure.graph=none.toml", "--run", "here").refusal()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n1,3\n1,7\n", "attribute a is constant (1 in all 3 rows)"),
        ("a,b\n4,2\n2,\n3,4\n", "b is empty or infinite in 1 rows; fill or drop"),
        ("a,b\n4,2\n2,nan\n3,4\n", "b is empty or infinite in 1 rows; fill or drop"),
        ("a,b\n4,2\n2,inf\n3,4\n", "b is empty or infinite in 1 rows; fill or drop"),
        ("a,b\n4,red\n2,\n3,blue\n5,red\n2,red\n9,blue\n", "b is empty in 1 rows; fill or drop"),
        ("a,b\n4,2\n2,tall\n3,4\n", "b is 'tall' in row 2 of 3, where most others are numbers"),
        ("a,b\n1,2\n2\n3,4\n", "row 3: 1 cells, but the header has 2"),
        ("a,b\n", "needs a header and at least one row"),
        ("", "needs a header and at least one row"),
        ("a,b\n1,2\n", "needs at least two rows"),
        ("a,a\n1,2\n2,5\n3,4\n", "two columns named 'a'"),
        (
            "a:b\n1:2\n3:4\n",
            "no column can be an attribute: 'a:b' (2 different texts, such as '1:2'); columns are parted",
        ),
        ("a,b\n0.1,0.2\n0.2,0.4\n", "more rows than attributes"),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_named(text: str, said: str) -> None:
    assert said in ccigkit("graph", write("table.csv", text)).refusal()


def test_a_table_that_is_no_table_is_named() -> None:
    assert "there is no table none.csv" in ccigkit("graph", "none.csv").refusal()
    Path("sheet.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00\x00")
    assert "sheet.csv" in ccigkit("graph", "sheet.csv").refusal()
    Path("sheet.parquet").write_bytes(b"no parquet")
    assert "sheet.parquet" in ccigkit("graph", "sheet.parquet").refusal()
    table = write("table.csv", "a,b\n" + "".join(f"{i % 7},{i % 5 + i % 7}.5\n" for i in range(40)))
    assert "knowledge" in ccigkit("graph", table, 'knowledge.roots=["c"]').refusal()
    assert "written as .toml, .png or .svg" in ccigkit("graph", table, "--out", "graph.pdf").refusal()
    assert "unknown column 'c'" in ccigkit("graph", table, 'data.attributes=["c"]').refusal()
    assert "not both table.csv and --data faces" in ccigkit("graph", table, "--data", "faces").refusal()


# --- data -------------------------------------------------------------------------------------------------------------


def celeba(*settings: str) -> tuple[str, ...]:
    return (*TRAIN, "--data", "celeba", "--steps", "1", "--run", "here", "data.cache=cache", "data.size=32", *settings)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "celeba")


CELEBA = tuple(word for word in celeba("data.root=celeba") if not word.startswith("data.n="))
CELEBA = tuple("notears" if word == "known" else word for word in CELEBA)


def test_a_folder_that_is_not_there_is_named() -> None:
    assert "there is no folder celeba" in ccigkit(*CELEBA).refusal()
    assert "data.root=FOLDER" in ccigkit(*CELEBA, "data.root=").refusal()
    Path("celeba").mkdir()
    assert "has neither a" in ccigkit(*CELEBA).refusal()


def test_a_web_page_in_place_of_the_zip_is_called_one(faces: Path) -> None:
    shutil.rmtree(faces / "img_align_celeba")
    (faces / "img_align_celeba.zip").write_text("<!DOCTYPE html><html>Quota exceeded</html>")
    assert "is an HTML page, not a zip" in ccigkit(*CELEBA).refusal()


def test_a_truncated_photograph_is_refused_or_left_out(faces: Path) -> None:
    path = faces / "img_align_celeba" / image_name(3)
    path.write_bytes(path.read_bytes()[:2000])
    said = ccigkit(*CELEBA).refusal()
    assert image_name(3) in said
    assert "on_bad=skip" in said
    done = ccigkit(*CELEBA, "data.on_bad=skip")
    assert done.code == 0, done.err
    assert len(done.err.splitlines()) <= 2  # one per split
    assert f"first {image_name(3)}" in done.err


def test_an_attribute_that_the_labels_lack_is_named(faces: Path) -> None:
    said = ccigkit(*CELEBA, 'data.attributes=["Smilling", "Male"]').refusal()
    assert "unknown attribute 'Smilling': did you mean 'Smiling'?" in said


def test_an_attribute_that_never_changes_is_named(faces: Path) -> None:
    labels = faces / "list_attr_celeba.txt"
    lines = labels.read_text().splitlines()
    column = 1 + lines[1].split().index("Male")
    rows = [row.split() for row in lines[2:]]
    for row in rows:
        row[column] = "1"
    labels.write_text("\n".join([*lines[:2], *map(" ".join, rows)]) + "\n")
    assert "attribute Male is constant" in ccigkit(*CELEBA).refusal()


def test_a_metric_that_needs_the_truth_says_so(faces: Path) -> None:
    done = ccigkit(*CELEBA)
    assert done.code == 0, done.err
    assert "needs data with known counterfactuals" in ccigkit("evaluate", "here", "--metric", "truth").refusal()
    assert "unknown metric 'fid'" in ccigkit("evaluate", "here", "--metric", "fid").refusal()


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("--seed", 1), ("--scm", "linear"), ("objective.rate=0.1",), ("data.n=70",)])
def test_a_run_of_another_configuration_is_left_alone(run: Path, words: tuple[object, ...]) -> None:
    before = content(run)
    said = ccigkit(*TRAIN, *words, "--steps", 2, "--run", run).refusal()
    assert "holds a run of another configuration" in said
    assert "there and" in said
    assert content(run) == before


def test_a_folder_that_is_no_run_is_left_alone() -> None:
    Path("photos").mkdir()
    write("photos/me.txt", "mine")
    assert "photos is not empty and holds no run" in ccigkit(*TRAIN, "--run", "photos").refusal()
    assert content(Path("photos")) == {"me.txt": b"mine"}
    for words in (("sample", "photos"), ("counterfactual", "photos", "x.png", "--do", "a=1"), ("evaluate", "photos")):
        assert "photos" in ccigkit(*words).refusal()
    assert "nowhere" in ccigkit("sample", "nowhere").refusal()
    assert "photos/me.txt" in ccigkit(*TRAIN, "--run", "photos/me.txt").refusal()
    assert content(Path("photos")) == {"me.txt": b"mine"}


CUTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut short": lambda whole: whole[: len(whole) // 2],
    "cut by a byte": lambda whole: whole[:-1],
    "one byte changed": lambda whole: whole[: (half := len(whole) // 2)] + bytes([whole[half] ^ 1]) + whole[half + 1 :],
    "noise": lambda whole: os.urandom(1000),
    "text": lambda _: b"<!DOCTYPE html><html></html>",
}
every_cut = pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)


@every_cut
def test_a_damaged_checkpoint_is_named(run: Path, cut: Callable[[bytes], bytes]) -> None:
    path = run / "checkpoint.pt"
    path.write_bytes(cut(path.read_bytes()))
    before = content(run)
    assert "checkpoint.pt is damaged" in ccigkit(*TRAIN, "--steps", 2, "--run", run).refusal()
    assert {name for name, is_now in content(run).items() if is_now != before[name]} <= {"config.toml"}
    assert ccigkit("sample", run).code == 0  # the model is a file of its own


def test_a_run_that_another_process_trains_is_left_alone(run: Path) -> None:
    before = content(run)
    with FileLock(run / ".lock"):
        assert "another process trains in" in ccigkit(*TRAIN, "--steps", 2, "--run", run).refusal()
    assert content(run) == before


def test_a_checkpoint_of_something_else_is_named(run: Path) -> None:
    for state in ({"step": 1}, [1, 2], {**torch.load(run / "checkpoint.pt"), "parts": {}}):
        torch.save(state, run / "checkpoint.pt")
        assert "checkpoint.pt" in ccigkit(*TRAIN, "--steps", 2, "--run", run).refusal()


def test_a_checkpoint_is_data_and_never_code(run: Path, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return Path.touch, (str(tmp_path / "touched"),)  # type: ignore[return-value]

    torch.save({"step": Attack()}, run / "checkpoint.pt")
    assert "checkpoint.pt is damaged" in ccigkit(*TRAIN, "--steps", 2, "--run", run).refusal()
    assert not (tmp_path / "touched").exists()


@every_cut
def test_a_damaged_model_is_named(run: Path, cut: Callable[[bytes], bytes]) -> None:
    path = run / "model.safetensors"
    path.write_bytes(cut(path.read_bytes()))
    assert "model.safetensors is damaged" in ccigkit("sample", run).refusal()
    with pytest.raises(CheckpointError):
        load_model(run)
    done = ccigkit(*TRAIN, "--steps", 1, "--run", run)  # and training's own state makes it again
    assert done.code == 0, done.err
    assert ccigkit("sample", run).code == 0


def test_a_model_whose_plugin_is_gone_says_which(run: Path) -> None:
    model = load_model(run)
    parts = {**LATENT_OF_SCM, "encoder": {"name": "dcgan", "width": 8}, "generator": {"name": "dcgan", "width": 8}}
    save_model(model, run, parts)
    content, tensors = read_model(run / "model.safetensors")
    content["components"]["scm"] = {"name": "theirs"}  # of a plugin that did not say which
    write_tensors(run / "model.safetensors", tensors, content)
    assert "unknown scm 'theirs'" in ccigkit("sample", run).refusal()
    save_model(model, run, {**parts, "encoder": {"name": "dcgan", "width": 16}})
    assert "does not fit the encoder 'dcgan'" in ccigkit("sample", run).refusal()


# --- images and interventions -----------------------------------------------------------------------------------------


def test_an_image_that_cannot_be_read_is_named_before_any_is_written(run: Path) -> None:
    Image.new("RGB", (32, 32)).save("good.png")
    Image.effect_noise((64, 48), 50).convert("RGB").save("large.jpg")
    Path("cut.jpg").write_bytes(Path("large.jpg").read_bytes()[:600])
    write("page.png", "<html></html>")
    Path("folder.png").mkdir()
    write("empty.png", "")
    ask = ("--do", "angle=0.3", "--out", "out")
    for name, said in {
        "none.png": "there is no image none.png",
        "page.png": "page.png is not an image",
        "empty.png": "empty.png is not an image",
        "cut.jpg": "cut.jpg is a damaged image",
        "folder.png": "folder.png",
    }.items():
        assert said in ccigkit("counterfactual", run, "good.png", name, *ask).refusal()
    assert "large.jpg is 64 x 48 pixels" in ccigkit("counterfactual", run, "large.jpg", "--no-resize", *ask).refusal()
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ("angle=9", "angle=9 is outside"),
        ("angle=nan", "angle=nan is outside"),
        ("angle=steep", "'steep' is not a value of the continuous angle"),
        ("angel=0.3", "unknown attribute 'angel': did you mean 'angle'?"),
        ("angle", "is not NAME=VALUE"),
        ("=3", "is not NAME=VALUE"),
        ("angle=", "is not NAME=VALUE"),
    ],
)
def test_an_intervention_that_cannot_be_is_named(run: Path, do: str, said: str) -> None:
    Image.new("RGB", (32, 32)).save("good.png")
    assert said in ccigkit("counterfactual", run, "good.png", "--do", do, "--out", "out").refusal()
    assert said in ccigkit("sample", run, "--do", do, "--out", "out.png").refusal()
    assert not Path("out").exists()
    assert not Path("out.png").exists()


def test_an_intervention_is_asked_for_once_and_not_forgotten(run: Path) -> None:
    Image.new("RGB", (32, 32)).save("good.png")
    twice = ccigkit("sample", run, "--do", "angle=0.3", "--do", "angle=0.4")
    assert "sets angle twice" in twice.refusal()
    assert "say what to change" in ccigkit("counterfactual", run, "good.png").refusal()


def test_a_picture_in_no_known_format_is_refused(run: Path) -> None:
    assert "sample.xyz does not end in an image format" in ccigkit("sample", run, "--out", "sample.xyz").refusal()
    write("file", "")
    assert "cannot write file/sample.png" in ccigkit("sample", run, "--out", "file/sample.png").refusal()


# --- a full disk ------------------------------------------------------------------------------------------------------


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """A disk that is full after `size` bytes of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_full_disk_leaves_the_last_checkpoint(run: Path, size: int) -> None:
    before = content(run)
    with no_file_longer_than(size):
        assert "cannot write" in ccigkit(*TRAIN, "--steps", 2, "--run", run).refusal()
    kept = ("checkpoint.pt", "model.safetensors", "model.json")
    assert {name: content(run)[name] for name in kept} == {name: before[name] for name in kept}
    assert not list(run.rglob("*.tmp"))
    state = Run(run).load_checkpoint()
    assert state is not None
    assert state["step"] == 1
    done = ccigkit(*TRAIN, "--steps", 2, "--run", run)
    assert done.code == 0, done.err
    assert "going on from step 1" in done.out


def test_a_full_disk_leaves_the_last_model(run: Path, tmp_path: Path) -> None:
    before = content(run)
    model = load_model(run)
    with no_file_longer_than(10_000), pytest.raises(UserError, match=r"cannot write .*model\.safetensors"):
        save_model(model, run, LATENT_OF_SCM)
    assert content(run) == before


def test_figures_that_cannot_be_kept_are_shown(run: Path) -> None:
    (run / "evaluation.json").mkdir()  # a place that cannot be written, to the administrator either
    done = ccigkit("evaluate", run, "--metric", "composition", "composition.n=4", "composition.cycles=1")
    assert done.code == 0, done.err
    assert "composition" in done.out
    assert "cannot write" in done.err
    assert "the figures above are not kept there" in done.err


def test_a_disk_that_fails_at_the_last_moment_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept.txt"
    files.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        files.write_text(path, "new")
    assert content(tmp_path) == {"kept.txt": b"old"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_cannot_grow_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot write .*log\.jsonl: No space left on device"):
        Run(tmp_path).append_log({"step": 1.0})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--steps", "abc"), "'--steps'"),
        (("train", "--nope"), "--nope"),
        (("sample",), "'RUN'"),
        (("frobnicate",), "'frobnicate'"),
    ],
)
def test_a_command_line_that_does_not_parse_is_one_line(words: tuple[str, ...], said: str) -> None:
    assert said in ccigkit(*words).refusal()
