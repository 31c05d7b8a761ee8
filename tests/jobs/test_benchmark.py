"""The benchmark: who is measured, rows that are kept, tables by hand, and a whole small run on drawn clips."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.cli import main
from understudy.errors import OptionError
from understudy.faces.action_units import COUNT
from understudy.jobs import benchmark_swap
from understudy.jobs.benchmark import benchmark, contenders
from understudy.jobs.benchmark_faults import find_faults, sentence, with_faults
from understudy.jobs.benchmark_rows import AUTOENCODER, NEAREST, TRUTH, UNCHANGED, Row, RowStore, best, table
from understudy.jobs.benchmark_tables import text_table
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
    alone = {"jitter", "pose", "expression", "units", "flow_warp", "seam"}
    assert {"jitter", "pose"} <= set(swap[TRUTH].scores) <= alone, "against itself only what needs no truth is said"
    assert swap["comb"].scores["outside"] == 0 and 0 < swap["comb"].scores["coverage"] <= 1
    assert {"seam", "colour_offset", "detail", "swapped"} <= set(swap["comb"].scores)
    assert not {"pose", "outside", "coverage"} & set(swap[UNCHANGED].scores), "the plate is no measure of itself"
    assert swap["comb"].faults and not swap[TRUTH].faults
    animate = {line.contender: line for line in report.tables["animate"]}
    assert list(animate) == [UNCHANGED, "warping", TRUTH]
    assert not animate["warping"].skipped and animate["warping"].scores["units"] == 0
    assert animate["warping"].scores["pose"] == pytest.approx(0, abs=0.2), "the stand-in's faces do not turn"
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


def test_a_turn_counts_from_the_frame_that_is_the_still(suite):
    from understudy.dataset.suite import open_suite
    from understudy.jobs.benchmark_animate import AnimateBench

    opened = open_suite(suite)
    (task,) = opened.animations
    bench = AnimateBench(BenchmarkOptions(), opened, None, None, lambda *_: None)  # type: ignore[arg-type]
    lines, units, nobody = (
        benchmark_swap.Contender(name=name, family=name) for name in ("boundary_vae", "warping", "")
    )
    assert bench._neutral(lines, task) == "2"
    assert bench._neutral(units, task) == bench._neutral(nobody, task) == "auto", "the head stays, or nothing is made"
    elsewhere = replace(task, still=suite / "anna" / "plate.####.png")
    assert bench._neutral(lines, elsewhere) == "auto", "where that head looks, the drive does not say"


def test_networks_that_taught_a_model_do_not_judge_it():
    from types import SimpleNamespace

    measured = SimpleNamespace(
        scores={"swap": {"ssim": 0.5, "identity": 0.4, "blendshapes": 3.0, "jitter": math.nan}},
        scale=SimpleNamespace(numbers=[1, 2]),
        networks={"identity": "one, not another", "flow_warp": "left out"},
        missing=("lpips is left out: it taught the model",),
    )
    row = Row(contender="comb", kind="swap", task="t", movie="a.mp4")
    barriers = {"lpips": "lpips is left out: it taught the model"}
    scored = benchmark_swap.SwapBench._scored(row, (measured, barriers))  # pyright: ignore[reportArgumentType]
    assert set(scored.scores) == {"ssim", "identity"} and scored.frames == 2
    assert scored.notes == ("lpips is left out: it taught the model",)
    assert scored.networks == {"identity": "one, not another"}


def test_who_is_measured():
    swappers, animators = contenders(BenchmarkOptions(family=("comb:preview-scratch", "warping")))
    assert names(swappers) == [UNCHANGED, NEAREST, AUTOENCODER, "comb:preview-scratch", TRUTH]
    by_region, _ = contenders(BenchmarkOptions(family=("regional_inversion",)))
    assert names(by_region) == [UNCHANGED, AUTOENCODER, "regional_inversion", TRUTH], "it learns nobody: no neighbours"
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
    assert [line.faults for line in with_faults(lines, "swap")] == [()] * 4
    assert best(lines, "psnr") == 25.0 and best(lines, "lpips") == 0.1 and best(lines, "ssim") is None
    head, psnr, lpips, trained, *rest = text_table(lines)
    assert head.split() == ["a", "c", TRUTH], "who was skipped has no column"
    assert "25.0*" in psnr and "99.0" in psnr and "99.0*" not in psnr
    assert "0.100*" in lpips and "0.200*" not in lpips
    assert "1.0 min" in trained and len(rest) == 2


def test_neither_more_nor_less_is_better_than_the_truth():
    rows = [
        Row(contender=name, kind="swap", task="t", scores={"detail": detail, "flow_warp": warp})
        for name, detail, warp in (("soft", 0.4, 1.0), ("right", 0.9, 2.1), ("noisy", 1.3, 5.0))
    ]
    truth = Row(contender=TRUTH, kind="swap", task="t", scores={"flow_warp": 2.0})
    lines = table([*rows, truth], "swap")
    assert best(lines, "detail") == 0.9 and best(lines, "flow_warp") == 2.1
    alike = table([replace(row, scores={"outside": 0.0}) for row in rows], "swap")
    assert best(alike, "outside") is None, "where all are alike, none is best"


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
    packaged += Path(families.__file__).parent.glob("*/*.safetensors")
    assert packaged
    for weights in packaged:
        refuse_if_seen(suite, weights)


TRUE = {"identity": 0.9, "jitter": 0.3, "pose": 2.5, "expression": 0.9, "flow_warp": 2.0}
PLATE = {"identity": 0.3, "flicker": 1.9}
FINE = {
    "identity": 0.88,
    "jitter": 0.3,
    "pose": 2.6,
    "expression": 1.0,
    "flow_warp": 2.1,
    "flicker": 1.9,
    "detail": 0.95,
    "seam": 1.03,
    "colour": 0.4,
    "colour_offset": 1.5,
    "coverage": 0.93,
    "swapped": 1.0,
    "outside": 0.0,
}


@pytest.mark.parametrize(
    ("measure", "value", "fault"),
    [
        ("identity", 0.35, "the wrong person"),
        ("identity", 0.6, "half the person"),
        ("detail", 0.4, "soft"),
        ("detail", 1.5, "harsh"),
        ("seam", 1.45, "seam"),
        ("colour_offset", 9.0, "wrong colour"),
        ("colour", 3.0, "wandering colour"),
        ("jitter", 1.2, "shakes"),
        ("flicker", 2.9, "jumps"),
        ("flow_warp", 6.0, "boils"),
        ("pose", 7.2, "head turned"),
        ("expression", 2.5, "expression off"),
        ("units", 8.0, "expression off"),
        ("coverage", 0.7, "old face left"),
        ("swapped", 0.9, "frames left alone"),
        ("outside", 0.001, "touched outside"),
    ],
)
def test_each_figure_of_a_swap_points_at_its_fault(measure, value, fault):
    found = find_faults({**FINE, measure: value}, TRUE, PLATE, "swap")
    assert [one.name for one in found] == [fault] and found[0].size >= 1
    assert not find_faults(FINE, TRUE, PLATE, "swap")


def test_the_largest_fault_comes_first_and_in_words():
    bad = {**FINE, "identity": 0.36, "detail": 0.8, "seam": 1.3}
    lines = table(
        [
            Row(contender=name, kind="swap", task="t", scores=scores)
            for name, scores in ((UNCHANGED, PLATE), ("fine", FINE), ("bad", bad), (TRUTH, TRUE))
        ],
        "swap",
    )
    said = {line.contender: sentence(line) for line in with_faults(lines, "swap")}
    assert said["fine"] == "nothing stands out by these figures"
    assert (
        said["bad"].startswith("the wrong person: identity 0.360, 10% of the way") and "also seam, soft" in said["bad"]
    )


def test_faults_of_animations_and_regions():
    true, still = {"identity": 0.91, "jitter": 0.3, "flow_warp": 2.0}, {"units": 8.0, "pose": 9.0, "identity": 1.0}
    good = {"identity": 0.93, "units": 1.0, "pose": 1.5, "jitter": 0.35, "flow_warp": 1.5, "detail": 0.9}
    assert not find_faults(good, true, still, "animate")
    assert [one.name for one in find_faults({**good, "pose": 8.8}, true, still, "animate")] == ["head does not follow"]
    assert find_faults({**good, "units": 6.0}, true, still, "animate")[0].name == "expression off"
    found = find_faults({"overlap_brows": 0.4, "overlap_skin": 0.9, "overlap": 0.65}, {}, {}, "regions")
    assert [one.name for one in found] == ["brows"] and found[0].size == pytest.approx(2)


# -- regions -------------------------------------------------------------------------------------------------------------


class GuideParser:
    """Takes the mesh's outline for skin and all else for background."""

    size, oval_share, source = 64, 0.42, None

    def parse(self, crops, guides=None):
        shares = np.zeros((*crops.shape[:3], 12), np.float32)
        face = guides[:, 0].astype(np.float32) / 255
        shares[..., 6], shares[..., 0] = face, 1 - face
        return shares


@pytest.fixture
def region_suite(suite, tmp_path) -> Path:
    """The answers' true regions: skin wherever the drawn face is, in three of the frames."""
    maps = []
    for number in (1, 5, 9):
        picture = cv2.imread(str(tmp_path / "answer" / f"plate.{number:04d}.png"))
        maps.append((picture.max(2) > 60).astype(np.uint8))
    np.savez(tmp_path / "maps.npz", seg=np.stack(maps), numbers=[1, 5, 9], classes=["background", "skin"])
    text = '\n[[regions]]\nname = "parts"\nclip = "answer/plate.####.png"\nperson = "anna"\ntruth = "maps.npz"\n'
    (tmp_path / "suite.toml").write_text((tmp_path / "suite.toml").read_text() + text)
    return tmp_path


def test_regions_are_told_apart_given_back_and_edited(region_suite, show, no_evaluators, tmp_path, monkeypatch):
    from understudy.jobs import benchmark_regions

    _, _, finder = show
    monkeypatch.setattr(benchmark_regions.RegionBench, "_open_parser", lambda self, contender: GuideParser())
    options = BenchmarkOptions(
        suite=str(region_suite),
        family=("regional_inversion", "warping"),
        output=tmp_path / "out",
        task=("regions", "rebuild", "edit"),
        size=64,
        device="cpu",
    )
    report = benchmark(options, finder=finder())
    assert set(report.tables) == {"regions", "rebuild", "edit"}
    parsed = {line.contender: line for line in report.tables["regions"]}
    assert list(parsed) == [benchmark_regions.OUTLINES, "regional_inversion"]
    assert parsed["regional_inversion"].scores["overlap_skin"] > 0.85
    assert parsed["regional_inversion"].scores["right"] > 0.95
    assert set(parsed[benchmark_regions.OUTLINES].scores) == {"overlap", "right", "overlap_background", "overlap_skin"}
    assert parsed[benchmark_regions.OUTLINES].scores["overlap_skin"] < 0.9, (
        "a nose that the truth does not know is no skin"
    )
    rebuilt = {line.contender: line for line in report.tables["rebuild"]}
    assert rebuilt[benchmark_regions.FLAT].scores["psnr"] > 15
    edited = {line.contender: line for line in report.tables["edit"]}
    assert list(edited) == [UNCHANGED, benchmark_regions.FLAT, "regional_inversion"]
    assert edited[UNCHANGED].scores["ssim"] > 0 and edited[UNCHANGED].per_frame == 0
    if edited["regional_inversion"].skipped:
        assert "comes without weights here" in edited["regional_inversion"].skipped
    assert (
        tmp_path / "out" / "report" / "parts-regions.jpg"
    ).is_file() and "Regions told apart" in report.page.read_text()
    monkeypatch.setattr(benchmark_regions.RegionBench, "_row", None)
    assert benchmark(options, finder=finder()).rows == report.rows, "finished rows are kept"


def test_units_are_held_against_those_that_were_given(suite, show, no_evaluators, tmp_path):
    _, _, finder = show
    truth = np.zeros((12, COUNT))
    truth[:, 8] = np.linspace(0, 5, 12)
    np.savez(tmp_path / "units.npz", units=truth)
    text = '\n[[units]]\nclip = "answer/plate.####.png"\nname = "read"\nperson = "anna"\ntruth = "units.npz"\n'
    (tmp_path / "suite.toml").write_text((tmp_path / "suite.toml").read_text() + text)

    class Half(Reader):
        def measure(self, landmarks, rest=None):
            return (truth * 0.5)[: len(landmarks)]

    options = BenchmarkOptions(suite=str(suite), family=("comb",), output=tmp_path / "out", task=("units",))
    rest, reader = benchmark(options, finder=finder(), reader=Half()).tables["units"]
    squares = float((truth**2).sum(1).mean())
    assert rest.scores == pytest.approx({"units": squares, "unit_error": 2.5 / COUNT})
    assert reader.scores["units"] == pytest.approx(squares / 4) and reader.scores["unit_correlation"] == pytest.approx(
        1
    )
    assert reader.scores["r_au12"] == pytest.approx(1) and "r_au01" not in reader.scores, "it does not move"
    assert not reader.faults
    np.savez(tmp_path / "units.npz", units=truth[:5])
    (line, _) = benchmark(options, finder=finder(), reader=Half()).tables["units"]
    assert "has 5 rows" in line.skipped


def test_the_flat_editor_by_hand():
    from understudy.jobs.benchmark_regions import FlatEditor

    crop = np.zeros((1, 2, 2, 3), np.float32)
    crop[0, 0] = 0.5
    crop[0, 1, 1] = 1.0
    labels = np.array([[[6, 6], [0, 1]]], np.uint8)
    editor = FlatEditor(2)
    textures = editor.read(crop, labels)
    assert textures.values[0, 6].tolist() == [0.5] * 3 and textures.values[0, 1].tolist() == [1.0] * 3
    assert textures.shown[0].nonzero()[0].tolist() == [0, 1, 6]
    np.testing.assert_allclose(editor.make(textures.values, labels), crop)
