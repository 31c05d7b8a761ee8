"""Judging shots and models: drawn clips whose changes are known, limits, judges, and what was kept back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from understudy.checkpoint import ModelCard, load_checkpoint, save_checkpoint
from understudy.dataset.batches import FaceSetPictures
from understudy.dataset.face_set import FaceSet
from understudy.errors import CheckpointError, DatasetError, MediaError, OptionError
from understudy.jobs import evaluate_report
from understudy.jobs.evaluate_judges import barred, model_of, taught_by
from understudy.jobs.evaluate_limits import judge, read_limits
from understudy.jobs.evaluate_measures import SHOT, how_bad
from understudy.jobs.evaluate_model import choose, evaluate_model, hold_back_of
from understudy.jobs.evaluate_performance import PerformanceReader, face_of_mesh
from understudy.jobs.evaluate_swap import evaluate_swap
from understudy.jobs.options_evaluate import EvaluateModelOptions, EvaluateSwapOptions

FRAMES = range(1, 13)


@pytest.fixture
def shot(show, tmp_path, no_evaluators) -> dict:
    """Ben's clip, darkened by a tenth inside a disc, from frame 4 on; the disc is written as mattes."""
    project, sources, finder = show
    plates = sources["ben"].parent
    disc = np.zeros(cv2.imread(str(next(plates.glob("*.png")))).shape[:2], np.uint8)
    cv2.circle(disc, (165, 120), 40, 255, -1)
    (tmp_path / "swap").mkdir()
    (tmp_path / "mattes").mkdir()
    for path in plates.glob("plate.*.png"):
        picture = cv2.imread(str(path))
        if int(path.stem.split(".")[1]) >= 4:
            picture[disc > 0] = (picture[disc > 0] * 0.9).round().astype(np.uint8)
            cv2.imwrite(str(tmp_path / "mattes" / path.name), disc)
        cv2.imwrite(str(tmp_path / "swap" / path.name), picture)
    options = EvaluateSwapOptions(
        swap=tmp_path / "swap" / "plate.####.png",
        plate=sources["ben"],
        truth=sources["ben"],
        identity="anna",
        project=project.root,
        mattes=tmp_path / "mattes" / "plate.####.png",
        size=64,
        output=tmp_path / "out",
    )
    return {"options": options, "finder": finder, "disc": disc, "project": project}


def test_a_shots_figures_are_those_of_what_was_done_to_it(shot):
    report = evaluate_swap(shot["options"], finder=shot["finder"]())
    swap = report.scores["swap"]
    assert report.numbers == tuple(FRAMES) and report.without_face == 0
    assert swap["outside"] == 0 and swap["outside_largest"] == 0
    assert swap["swapped"] == pytest.approx(9 / 12), "the first three frames were left alone"
    values = report.per_frame["swap"]
    assert values["rmse"][:3] == [0, 0, 0] and all(value > 0.01 for value in values["rmse"][3:])
    assert values["coverage"][:3] == [0, 0, 0] and 0.3 < values["coverage"][5] < 1
    assert values["flicker"][0] is None, "the first frame has none before it"
    assert values["flicker"][3] == max(values["flicker"][1:]), "the swap sets in there"
    assert values["pose"] == pytest.approx([0] * 12), "the stand-in finds the same face in both"
    assert swap["colour"] > 0.5 and report.scores["plate"]["colour"] == pytest.approx(0)
    assert report.worst["rmse"]["value"] == max(values["rmse"])
    assert "not HopeNet" in report.networks["pose"] and "identity" not in report.networks
    assert len(report.missing) == 2 and report.passed
    assert any("25% of the frames" in words for words in report.faults)


def test_without_the_others_the_swap_reads_the_same(shot):
    from understudy.jobs.evaluate_figures import shot_figures

    whole, short = (
        shot_figures(shot["options"], shot["project"], finder=shot["finder"](), barriers={}, others=others).scores
        for others in (True, False)
    )
    assert set(short) == {"swap"} and {"seam", "colour", "detail", "pose", "outside", "coverage"} <= set(short["swap"])
    assert short["swap"] == pytest.approx(whole["swap"])
    assert "detail" not in whole["truth"] and whole["plate"]["detail"] == pytest.approx(1), "the truth is the plate"


def test_a_colours_wander_by_hand(shot):
    """Differences are 0 in three frames and about d in nine: the drift is d sqrt(3/12 * 9/12), the offset 9/12 d."""
    swap = evaluate_swap(shot["options"], finder=shot["finder"]()).scores["swap"]
    assert swap["colour"] / swap["colour_offset"] == pytest.approx(math.sqrt(3 / 16) / 0.75, rel=0.05)


def test_the_page_the_json_and_the_sheets_are_there(shot):
    report = evaluate_swap(replace(shot["options"], rank="rmse"), finder=shot["finder"]())
    for path in (report.report, report.data, report.worst_sheet, report.best_sheet):
        assert path.is_file() and path.parent == shot["options"].output
    page = report.report.read_text("utf-8")
    assert "RMSE" in page and page.count("<polyline") > 10 and "$" not in page
    assert "http" not in page.replace("http://www.w3.org", ""), "nothing is loaded from elsewhere"
    data = json.loads(report.data.read_text("utf-8"), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert data["scores"]["swap"]["rmse"] == report.scores["swap"]["rmse"]
    worst, best = evaluate_report.ranked(report)
    values = dict(zip(report.numbers, report.per_frame["swap"]["rmse"], strict=True))
    assert values[worst[0]] == max(values.values()) and values[best[0]] == 0
    assert all(abs(a - b) >= 5 for a in worst for b in worst if a != b)


def test_without_mattes_everything_outside_the_crop_counts(shot):
    report = evaluate_swap(replace(shot["options"], mattes=None, truth=None), finder=shot["finder"]())
    assert report.scores["swap"]["outside"] == 0
    assert "coverage" not in report.scores["swap"] and "rmse" not in report.scores["swap"]
    assert not report.faults, "without a truth nothing is said about faults"
    assert any("--mattes" in note for note in report.notes) and any("no truth" in note for note in report.notes)
    assert report.scores["swap"]["seam"] > 0 and report.scores["plate"]["seam"] == pytest.approx(1)


def test_changes_outside_the_matte_are_found(shot):
    path = shot["options"].swap.parent / "plate.0007.png"
    picture = cv2.imread(str(path))
    picture[0, :5] ^= 8
    cv2.imwrite(str(path), picture)
    report = evaluate_swap(shot["options"], finder=shot["finder"]())
    outside = int((shot["disc"] == 0).sum())
    assert report.per_frame["swap"]["outside"][6] == pytest.approx(5 / outside)
    assert report.worst["outside_largest"] == {"frame": 7, "value": 8}


def test_limits_decide_and_what_is_not_measured_fails(shot):
    options = replace(shot["options"], fail_below=("coverage=0.1", "identity=0.6"), fail_above=("flicker=50",))
    report = evaluate_swap(options, finder=shot["finder"]())
    assert [verdict.passed for verdict in report.verdicts] == [True, False, True]
    assert report.verdicts[1].value is None and "was not measured" in str(report.verdicts[1])
    assert not report.passed
    from understudy.cli.evaluate import COMMAND

    assert [COMMAND.commands[name].exit_code(report) for name in ("swap", "model")] == [1, 1]


def test_the_worst_is_the_farthest_from_good():
    assert how_bad("ssim", 0.2) > how_bad("ssim", 0.9) and how_bad("lpips", 0.2) > how_bad("lpips", 0.1)
    assert how_bad("detail", 0.6) > how_bad("detail", 1.3) > how_bad("detail", 1.0)


def test_a_limit_holds_on_its_bound():
    limits = read_limits(("ssim=0.5",), ("lpips=0.2", "jitter=1"), SHOT)
    verdicts = judge(limits, {"ssim": 0.5, "lpips": 0.2, "jitter": float("nan")})
    assert [verdict.passed for verdict in verdicts] == [True, True, False]


@pytest.mark.parametrize("text", ["beauty=1", "ssim", "ssim=high", "ssim=nan", "=1"])
def test_limits_that_mean_nothing_are_sentences(text):
    with pytest.raises(OptionError, match="--fail-below"):
        read_limits((text,), (), SHOT)


def test_mistakes_are_sentences(shot, tmp_path):
    options, finder = shot["options"], shot["finder"]
    with pytest.raises(OptionError, match="--rank"):
        replace(options, rank="jitter")
    with pytest.raises(DatasetError, match="gathered so far: anna, ben"):
        evaluate_swap(replace(options, identity="zoe"), finder=finder())
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((20, 20), np.uint8))
    with pytest.raises(MediaError, match="not of the plate's size"):
        evaluate_swap(replace(options, mattes=small), finder=finder())
    with pytest.raises(OptionError, match="--pictures"):
        EvaluateModelOptions(run="x", pictures=1)


# -- the performance ---------------------------------------------------------------------------------------------------


def test_pose_and_expression_are_compared_frame_by_frame(no_evaluators):
    from understudy.faces import topology
    from understudy.faces.align import mean_mesh

    def mesh(yaw: float, smile: float) -> np.ndarray:
        angle = math.radians(yaw)
        turn = np.array([[math.cos(angle), 0, -math.sin(angle)], [0, 1, 0], [math.sin(angle), 0, math.cos(angle)]])
        points = mean_mesh().copy()
        points[topology.LIPS_OUTER, 1] -= smile
        return (200 * points @ turn.T + (300, 200, 0)).astype(np.float32)

    plate = {number: face_of_mesh(mesh(0, 0.004 * number)) for number in range(8)}
    swap = {number: face_of_mesh(mesh(12, 0.004 * number)) for number in range(2, 8)}
    reader = PerformanceReader()
    assert "blendshapes" not in reader.networks, "the models at hand have none"
    found = reader.compare(swap, plate)
    assert list(found["pose"]) == [2, 3, 4, 5, 6, 7]
    assert list(found["pose"].values()) == pytest.approx([12] * 6, abs=0.5)
    still = {number: face_of_mesh(mesh(0, 0)) for number in range(8)}
    dull = reader.compare(still, plate)
    assert dull["expression"][7] > 2 * dull["expression"][3]
    same = reader.compare(plate, plate)
    assert max(max(values.values()) for values in same.values()) == pytest.approx(0, abs=1e-6)
    assert reader.compare({}, plate) == {}


def test_blendshapes_are_taken_against_each_ones_rest(no_evaluators):
    """Two people who differ at rest by 0.3 in one shape, and do the same in another; then one of them does 0.4 more."""
    from understudy.faces.align import mean_mesh

    class Shapes:
        def blendshapes(self, landmarks):
            rows = np.zeros((len(landmarks), 52), np.float32)
            rows[:, 20] = 0.3 * (landmarks[:, 0, 2] > 500)  # the other person lies deeper
            rows[:, 30] = landmarks[:, 152, 1] - landmarks[:, 10, 1] - 200  # the jaw
            return rows

    def mesh(jaw: float, depth: float) -> np.ndarray:
        points = 200 * mean_mesh() + (0, 0, depth)
        points[152, 1] += jaw
        return points.astype(np.float32)

    jaws = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5]
    plate = {number: face_of_mesh(mesh(jaw, 0)) for number, jaw in enumerate(jaws)}
    swap = {number: face_of_mesh(mesh(jaw, 1000)) for number, jaw in enumerate([*jaws[:-1], 0.9])}
    reader = PerformanceReader()
    reader.shapes = Shapes()  # type: ignore[assignment]
    values = list(reader.compare(swap, plate)["blendshapes"].values())
    assert values == pytest.approx([0] * 9 + [0.4], abs=0.01)


# -- judges ------------------------------------------------------------------------------------------------------------


def card(path: Path, **changes) -> Path:
    import torch

    save_checkpoint(path, {"w": torch.zeros(1)}, ModelCard(family="comb", preset="test", network={}, **changes))
    return path


def test_nothing_is_judged_by_what_taught_it(tmp_path):
    assert barred(card(tmp_path / "free.safetensors")) == {}
    taught = card(tmp_path / "taught.safetensors", taught_by=("mobilefacenet", "vgg-of-somebody"))
    assert set(barred(taught)) == {"identity"} and "was trained against mobilefacenet" in barred(taught)["identity"]
    (tmp_path / "settings.json").write_text(
        json.dumps({"recipe": {"losses": {"perceptual": {"network": "lpips_squeeze_v0.1.onnx", "weight": 1.0}}}})
    )
    assert taught_by(taught) == {"mobilefacenet", "vgg-of-somebody", "lpips-squeeze"}
    assert set(barred(taught)) == {"identity", "lpips"}
    with pytest.raises(CheckpointError):
        taught_by(tmp_path / "nothing.safetensors")


def test_a_shots_model_is_known_by_its_record(shot, tmp_path):
    swap = shot["options"].swap
    assert model_of(swap) is None
    taught = card(tmp_path / "model.safetensors", taught_by=("mobilefacenet",))
    record = swap.with_name(swap.name + ".record.json")
    record.write_text(json.dumps({"weights": {"/gone/model.safetensors": "0", "m.task": "1", str(taught): "2"}}))
    assert model_of(swap) == taught
    report = evaluate_swap(shot["options"], finder=shot["finder"]())
    assert any("trained against mobilefacenet" in sentence for sentence in report.missing)


# -- models ------------------------------------------------------------------------------------------------------------


def test_a_model_is_measured_and_says_that_it_has_seen_the_pictures(show, no_evaluators, tmp_path):
    project, _, _ = show
    (project.runs / "tiny" / "settings.json").write_text('{"recipe": {}, "identities": ["anna", "ben"]}')
    report = evaluate_model(
        EvaluateModelOptions(run="tiny", project=project.root, pictures=4, output=tmp_path / "out", device="cpu")
    )
    assert report.seen == "seen in training" and "--hold-back" in report.pictures_are
    assert set(report.scores) == {f"{a} as {b}" for a in ("anna", "ben") for b in ("anna", "ben")}
    assert set(report.scores["anna as anna"]) == {"ssim", "psnr", "rmse"} and not report.scores["anna as ben"]
    mean = (report.scores["anna as anna"]["ssim"] + report.scores["ben as ben"]["ssim"]) / 2
    assert report.overall["ssim"] == pytest.approx(mean)
    assert report.sheet.is_file() and "Seen in training" in report.report.read_text("utf-8")
    assert json.loads(report.data.read_text("utf-8"))["seen"] == "seen in training"


def test_one_of_its_figures_by_hand(show, no_evaluators, tmp_path):
    from understudy.metrics.rmse import rmse
    from understudy.perform.swap import open_performer

    project, _, _ = show
    report = evaluate_model(
        EvaluateModelOptions(run="tiny", project=project.root, pictures=2, output=tmp_path / "out", device="cpu")
    )
    performer = open_performer(project.runs / "tiny" / "model.safetensors", device="cpu")
    with FaceSet.open(project.faces("anna")) as face_set:
        loaded = [face_set.load(entry, performer.size) for entry in (face_set.entries()[0], face_set.entries()[-1])]
    values = [rmse(performer.swap(p[None], "anna").crops[0], p, mask=mask) for p, mask in loaded]
    assert report.scores["anna as anna"]["rmse"] == pytest.approx(np.mean(values), rel=1e-4)


def test_the_judges_of_a_model_are_barred_too(show, no_evaluators, tmp_path):
    project, _, _ = show
    tensors, old = load_checkpoint(project.runs / "tiny" / "model.safetensors")
    path = tmp_path / "elsewhere.safetensors"
    save_checkpoint(path, tensors, replace(old, taught_by=("mobilefacenet",)))
    options = EvaluateModelOptions(
        run=str(path), project=project.root, pictures=2, output=tmp_path / "o", fail_below=("identity=0.1",)
    )
    report = evaluate_model(options)
    assert report.seen == "unknown" and not report.passed
    assert any("trained against mobilefacenet" in sentence for sentence in report.missing)


def test_only_what_was_kept_back_is_measured():
    entries = [SimpleNamespace(number=number) for number in range(1, 101)]
    kept = choose(entries, 4, 100)
    assert [entry.number for entry in kept] == [*range(24, 36), *range(72, 84)]
    assert [entry.number for entry in choose(entries, 4, 2)] == [24, 83], "spread evenly"
    assert len(choose(entries, 0, 10)) == 10 and len(choose(entries, None, 10)) == 10
    with pytest.raises(DatasetError, match="--hold-back"):
        choose(entries[:10], 4, 10)


def test_training_does_not_see_what_is_kept_back(show):
    project, _, _ = show
    with FaceSet.open(project.faces("anna")) as face_set:
        assert [entry.number for entry in FaceSetPictures(face_set, 32).entries] == list(FRAMES)
        assert [entry.number for entry in FaceSetPictures(face_set, 32, hold_back=2).entries] == list(range(1, 12))


def test_the_run_remembers_the_rule(tmp_path):
    model = tmp_path / "model.safetensors"
    assert hold_back_of(model) is None
    for text, rule in (('{"recipe": {}}', 0), ('{"hold_back": 20}', 20), ("{", None)):
        (tmp_path / "settings.json").write_text(text)
        assert hold_back_of(model) == rule


def test_a_model_that_animates_wants_labelled_data(tmp_path):
    from understudy import families

    weights = families.get("warping").default_weights
    assert weights is not None
    with pytest.raises(OptionError, match="--data"):
        evaluate_model(EvaluateModelOptions(run=str(weights), output=tmp_path))
    with pytest.raises(CheckpointError, match="nothing measures it"):
        path = tmp_path / "odd.safetensors"
        card(path)
        tensors, old = load_checkpoint(path)
        save_checkpoint(path, tensors, replace(old, family="odd"))
        evaluate_model(EvaluateModelOptions(run=str(path), output=tmp_path))


def test_a_run_goes_on_only_with_the_rule_it_began_with(tmp_path):
    from understudy import families
    from understudy.jobs.train import TrainOptions, _claim, train

    recipe = families.get("comb").recipe("preview")
    _claim(tmp_path, recipe, ("anna",), 20)
    _claim(tmp_path, recipe, ("anna",), 20)
    assert hold_back_of(tmp_path / "model.safetensors") == 20
    with pytest.raises(OptionError, match="hold_back"):
        _claim(tmp_path, recipe, ("anna",), 0)
    with pytest.raises(OptionError, match="--hold-back 1"):
        TrainOptions(hold_back=1)
    with pytest.raises(OptionError, match="test pictures themselves"):
        train(TrainOptions(family="warping", data=tmp_path, hold_back=20))


def test_the_neighbour_swap_stands_beside_it(shot):
    report = evaluate_swap(replace(shot["options"], run="tiny", mattes=None), finder=shot["finder"]())
    assert 0 < report.scores["neighbour"]["ssim"] < 1 and report.neighbours is not None
    assert "nearest training picture" in report.report.read_text("utf-8")
