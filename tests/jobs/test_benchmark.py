"""The benchmark: who is measured, rows that are kept, tables by hand, and a whole small run on drawn clips."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.cli import main
from understudy.errors import OptionError
from understudy.faces.action_units import COUNT
from understudy.jobs import benchmark_swap
from understudy.jobs.benchmark import benchmark, contenders
from understudy.jobs.benchmark_page import text_table
from understudy.jobs.benchmark_rows import AUTOENCODER, NEAREST, TRUTH, UNCHANGED, Row, RowStore, best, table
from understudy.jobs.options_benchmark import BenchmarkOptions


class Reader:
    """Every face is at rest."""

    def measure(self, landmarks, rest=None):
        return np.zeros((len(landmarks), COUNT), np.float32)

    def rest_of(self, landmarks):
        return None

    def quiet_of(self, landmarks):
        return np.arange(len(landmarks))


def names(found) -> list[str]:
    return [contender.name for contender in found]


@pytest.fixture
def suite(show, tmp_path) -> Path:
    """Ben's plate with anna to be seen; the answer is the plate itself."""
    _, sources, _ = show
    for name, source in sources.items():
        (tmp_path / name).mkdir()
        for path in source.parent.glob("*.png"):
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    (tmp_path / "answer").mkdir()
    for path in sources["ben"].parent.glob("*.png"):
        (tmp_path / "answer" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "suite.toml").write_text(
        "\n".join(
            [
                'title = "drawn"',
                *(
                    f'[people.{name}]\nsynthetic = true\nfootage = ["{name}/plate.####.png"]'
                    for name in ("anna", "ben")
                ),
                '[[swap]]\nname = "swapped"\nplate = "ben/plate.####.png"\nidentity = "anna"\ntruth = "answer/plate.####.png"',
                '[[animate]]\nname = "animated"\nstill = "answer/plate.####.png"\nframe = 2\nperson = "anna"\n'
                'drive = "ben/plate.####.png"\ntruth = "answer/plate.####.png"',
            ]
        )
    )
    return tmp_path


def test_a_whole_run_fills_the_table_and_keeps_its_rows(suite, show, no_evaluators, tmp_path, monkeypatch):
    from understudy.jobs.baselines import autoencoder

    small = autoencoder.AutoencoderSettings(size=32, width=4, bottleneck=8)
    monkeypatch.setattr(autoencoder, "LIGHT", small)
    project, _, finder = show
    options = BenchmarkOptions(
        suite=str(suite),
        family=("comb", "warping"),
        run=(f"comb={project.runs / 'tiny'}",),
        output=tmp_path / "out",
        minutes=0.002,
        size=64,
        every=4,
        device="cpu",
    )
    report = benchmark(options, finder=finder(), reader=Reader())
    swap = {line.contender: line for line in report.tables["swap"]}
    assert list(swap) == [UNCHANGED, NEAREST, AUTOENCODER, "comb", TRUTH]
    assert not [line for line in swap.values() if line.skipped], [line.skipped for line in swap.values()]
    assert swap[UNCHANGED].scores["ssim"] == pytest.approx(1) and swap[UNCHANGED].training == 0, (
        "the answer is the plate"
    )
    assert 0 < swap["comb"].scores["ssim"] < 1 and 0 < swap[AUTOENCODER].scores["ssim"] < 1
    assert swap[AUTOENCODER].training > 0 and swap[AUTOENCODER].pictures > 0 and swap["comb"].per_frame > 0
    assert set(swap[TRUTH].scores) == {"jitter"}, "against itself only what needs no truth is said"
    animate = {line.contender: line for line in report.tables["animate"]}
    assert list(animate) == [UNCHANGED, "warping", TRUTH]
    assert not animate["warping"].skipped and animate["warping"].scores["units"] == 0
    page = report.page.read_text()
    assert "drawn" in page and "swapped" in page and (tmp_path / "out" / "report" / "swapped.jpg").is_file()
    assert (tmp_path / "out" / "report" / "animated.jpg").is_file() and "UNDERSTUDY_MODELS" in page
    assert json.loads(report.data.read_text())["tables"]["swap"][0]["contender"] == UNCHANGED

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a kept row was made anew")

    with monkeypatch.context() as patched:
        patched.setattr(benchmark_swap.SwapBench, "_row", never)
        again = benchmark(options, finder=finder(), reader=Reader())
    assert again.rows == report.rows
    some = BenchmarkOptions(
        suite=str(suite), family=("comb",), output=tmp_path / "out", task=("animate",), every=4, size=64
    )
    assert {row.kind for row in benchmark(some, finder=finder(), reader=Reader()).rows} == {"animate"}


def test_training_that_a_signal_stops_leaves_the_rest_for_later(suite, show, no_evaluators, tmp_path, monkeypatch):
    _, _, finder = show

    def stopped(self, contender):
        raise benchmark_swap.Interrupted("SIGTERM")

    monkeypatch.setattr(benchmark_swap.SwapBench, "_autoencoder", stopped)
    options = BenchmarkOptions(
        suite=str(suite), family=("warping",), output=tmp_path / "out", every=4, size=64, task=("swap",)
    )
    report = benchmark(options, finder=finder())
    assert report.stopped_by == "SIGTERM"
    assert [row.contender for row in report.rows] == [UNCHANGED]


def test_weights_that_have_seen_the_suite_are_not_measured(suite, show, no_evaluators, tmp_path):
    import torch

    _, _, finder = show
    path = tmp_path / "seen.safetensors"
    card = ModelCard(
        family="warping", preset="x", network={}, data="Ben and others: 40 pictures", consent={"people": {}}
    )
    save_checkpoint(path, {"a": torch.zeros(1)}, card)
    options = BenchmarkOptions(
        suite=str(suite),
        family=("warping",),
        run=(f"warping={path}",),
        output=tmp_path / "out",
        task=("animate",),
        every=4,
    )
    report = benchmark(options, finder=finder(), reader=Reader())
    lines = {line.contender: line for line in report.tables["animate"]}
    assert "has been trained on ben" in lines["warping"].skipped and not lines["warping"].scores
    assert lines[UNCHANGED].scores


def test_networks_that_taught_a_model_do_not_judge_it():
    from types import SimpleNamespace

    from understudy.metrics import lpips

    scores = {"swap": {"ssim": 0.5, "lpips": 0.1, "identity": 0.4}}
    measured = SimpleNamespace(scores=scores, jitter={"swap": 0.2}, numbers=(1, 2), missing=())
    row = Row(contender="comb", kind="swap", task="t")
    scored = benchmark_swap.SwapBench._scored(row, measured, (lpips.WEIGHTS,))  # pyright: ignore[reportArgumentType]
    assert set(scored.scores) == {"ssim", "identity", "jitter"} and lpips.WEIGHTS in scored.notes[0]


def test_who_is_measured():
    swappers, animators = contenders(BenchmarkOptions(family=("comb:preview-scratch", "warping")))
    assert names(swappers) == [UNCHANGED, NEAREST, AUTOENCODER, "comb:preview-scratch", TRUTH]
    assert names(animators) == [UNCHANGED, "warping", TRUTH]
    assert swappers[1].family == "comb:preview-scratch" and swappers[1].preset == "preview-scratch"
    plainly = contenders(BenchmarkOptions(family=("comb",), baselines=False))
    assert (names(plainly[0]), names(plainly[1])) == (["comb", TRUTH], [TRUTH])
    for wrong, words in (
        ({"family": ("comb:huge",)}, "has the presets"),
        ({"family": ("combs",)}, "does not exist"),
        ({"family": ("comb",), "run": ("warping=x",)}, "not among those measured"),
    ):
        with pytest.raises(OptionError, match=words):
            contenders(BenchmarkOptions(**wrong))
    with pytest.raises(OptionError, match="such as comb="):
        BenchmarkOptions(run=("comb",))


def test_a_row_is_kept_until_something_else_is_asked(tmp_path):
    store = RowStore(tmp_path)
    row = Row(contender="comb:small", kind="swap", task="t", scores={"psnr": 20.0}, notes=("a",), frames=3)
    store.keep(row, {"minutes": 7, "plate": Path("a.mp4")})
    assert store.find("comb:small", "t", {"minutes": 7, "plate": Path("a.mp4")}) == row
    assert store.find("comb:small", "t", {"minutes": 8, "plate": Path("a.mp4")}) is None
    assert store.find("comb", "t", {"minutes": 7}) is None
    next(tmp_path.glob("*.json")).write_text("{half a")
    assert store.find("comb:small", "t", {"minutes": 7, "plate": Path("a.mp4")}) is None


def test_the_table_holds_means_and_the_best_without_the_truth():
    rows = [
        Row(
            contender="a",
            kind="swap",
            task="one",
            scores={"psnr": 20.0, "lpips": 0.2},
            per_frame=1.0,
            training=60,
            pictures=9,
        ),
        Row(
            contender="a", kind="swap", task="two", scores={"psnr": 30.0, "lpips": math.nan}, per_frame=3.0, training=60
        ),
        Row(contender=TRUTH, kind="swap", task="one", scores={"psnr": 99.0}),
        Row(contender="b", kind="swap", task="one", skipped="no weights"),
        Row(contender="c", kind="swap", task="one", scores={"psnr": 24.0, "lpips": 0.1}),
        Row(contender="a", kind="animate", task="three", scores={"psnr": 1.0}),
    ]
    lines = table(rows, "swap")
    assert [line.contender for line in lines] == ["a", "b", "c", TRUTH]
    assert lines[0].scores == {"psnr": 25.0, "lpips": 0.2} and (
        lines[0].per_frame,
        lines[0].training,
        lines[0].tasks,
    ) == (2, 60, 2)
    assert lines[1].skipped == "no weights"
    assert best(lines, "psnr") == 25.0 and best(lines, "lpips") == 0.1 and best(lines, "ssim") is None
    text = text_table(lines)
    assert (
        len(text) == 4 and "25.0*" in text[1] and "0.100*" in text[2] and "99.0" in text[3] and "99.0*" not in text[3]
    )


def test_the_command_names_what_is_wrong(tmp_path, capsys):
    assert main(["benchmark", "--suite", str(tmp_path), "-o", str(tmp_path / "o")]) == 2
    assert "is no suite" in capsys.readouterr().err
    assert main(["benchmark", "--task", "sing", "-o", str(tmp_path / "o")]) == 2
    assert "--task sing: this suite has animate," in capsys.readouterr().err
    assert not (tmp_path / "o").exists(), "nothing is made before all is known to be right"


def test_packaged_base_weights_have_seen_nobody_of_the_packaged_suite():
    from importlib import resources

    from understudy import families
    from understudy.dataset.suite import open_suite
    from understudy.jobs.benchmark_rows import refuse_if_seen

    suite = open_suite(Path(str(resources.files("understudy.jobs") / "demo_media")))
    packaged = [weights for name in families.names() if (weights := families.get(name).default_weights) is not None]
    packaged += Path(families.__file__).with_name("comb").glob("base*.safetensors")
    assert packaged
    for weights in packaged:
        refuse_if_seen(suite, weights)
