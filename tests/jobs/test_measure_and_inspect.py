"""Measuring and inspecting a small project: drawn clips, stand-in face models, and a tiny comb with random weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.errors import CheckpointError, DatasetError, FaceError, MediaError, OptionError
from understudy.jobs.inspect import (
    InterpolateOptions,
    LatentsOptions,
    NeighboursOptions,
    farthest_pair,
    interpolate,
    latents,
    nearest_mean_accuracy,
    neighbours,
)
from understudy.jobs.measure import MeasureOptions, NeighbourPerformer, load_portraits, measure
from understudy.jobs.project import new_project
from understudy.metrics.psnr import psnr
from understudy.metrics.ssim import ssim
from understudy.provenance.cast import Consent

FRAMES = range(1, 13)


def darkened(folder: Path, source: Path) -> Path:
    """The same clip, a tenth darker: a "swap" whose distance from the plate is known."""
    folder.mkdir(parents=True)
    for path in source.parent.glob("plate.*.png"):
        cv2.imwrite(str(folder / path.name), (cv2.imread(str(path)) * 0.9).round().astype(np.uint8))
    return folder / "plate.####.png"


def test_measures_are_those_of_the_crops(show, no_evaluators, tmp_path):
    project, sources, finder = show
    swap = darkened(tmp_path / "dark", sources["ben"])
    options = MeasureOptions(
        swap=swap, plate=sources["ben"], truth=sources["ben"], identity="anna", project=project.root, size=64
    )
    report = measure(options, finder=finder())
    assert report.numbers == tuple(FRAMES)
    assert report.scores["plate"]["ssim"] == pytest.approx(1)
    assert report.scores["plate"]["psnr"] == np.inf
    assert report.scores["plate"]["flicker"] == 0
    assert set(report.scores["swap"]) == {"ssim", "psnr", "flicker"}
    assert len(report.per_frame["swap"]["psnr"]) == len(FRAMES)
    assert len(report.per_frame["swap"]["flicker"]) == len(FRAMES) - 1
    assert len(report.missing) == 2 and all("UNDERSTUDY_MODELS" in sentence for sentence in report.missing)
    assert set(report.jitter) == {"swap", "plate", "truth"}
    # One frame by hand.
    from understudy.faces.parse import face_mask
    from understudy.jobs.measure import plate_person
    from understudy.media.clip import open_clip

    with (
        plate_person(sources["ben"], project, finder=finder()) as person,
        open_clip(swap) as a,
        open_clip(sources["ben"]) as b,
    ):
        found = person.face(3)
        crops = [np.clip(found.transform.to_crop(clip.frame(3).view(), 64), 0, 1) for clip in (a, b)]
        mask = face_mask(found.transform.points_to_crop(found.face.landmarks, 64), 64)
    assert report.per_frame["swap"]["ssim"][2] == pytest.approx(ssim(crops[0], crops[1], mask=mask))
    assert report.per_frame["swap"]["psnr"][2] == pytest.approx(psnr(crops[0], crops[1], mask=mask))


def test_the_neighbour_swap_is_measured_beside_it_and_can_be_kept(show, no_evaluators, tmp_path):
    project, sources, finder = show
    options = MeasureOptions(
        swap=darkened(tmp_path / "dark", sources["ben"]),
        plate=sources["ben"],
        truth=sources["ben"],
        identity="anna",
        project=project.root,
        run="tiny",
        size=64,
        every=2,
        keep=tmp_path / "kept",
    )
    report = measure(options, finder=finder())
    assert len(report.numbers) == len(FRAMES) // 2
    assert 0 < report.scores["neighbour"]["ssim"] < 1
    assert report.neighbours is not None
    assert len(report.neighbours["names"]) == len(FRAMES)
    assert report.neighbours["training_pictures"] == len(FRAMES)
    assert len(list((tmp_path / "kept").glob("*.png"))) >= len(FRAMES)


def test_without_truth_only_identity_is_left(show, no_evaluators, tmp_path):
    project, sources, finder = show
    options = MeasureOptions(swap=sources["ben"], plate=sources["ben"], identity="anna", project=project.root, size=64)
    report = measure(options, finder=finder())
    assert report.scores == {}
    assert set(report.jitter) == {"swap", "plate"}
    assert len(report.missing) == 1


def test_what_cannot_be_measured_is_a_sentence(show, no_evaluators, tmp_path, drawn_clip, fake_finder, actor, write):
    project, sources, finder = show
    common = {"identity": "anna", "project": project.root, "size": 64}
    short = tmp_path / "short"
    short.mkdir()
    (short / "plate.0001.png").write_bytes((sources["ben"].parent / "plate.0001.png").read_bytes())
    (short / "plate.0002.png").write_bytes((sources["ben"].parent / "plate.0002.png").read_bytes())
    with pytest.raises(MediaError, match="2 frames"):
        measure(MeasureOptions(swap=short / "plate.####.png", plate=sources["ben"], **common), finder=finder())
    with pytest.raises(OptionError, match="every"):
        measure(MeasureOptions(swap=sources["ben"], plate=sources["ben"], every=0, **common), finder=finder())
    nobody = drawn_clip(lambda number: [], FRAMES, name="nobody.mov")
    empty = write(tmp_path / "nobody", nobody)
    with pytest.raises(MediaError, match="no frame with a face"):
        measure(MeasureOptions(swap=empty, plate=empty, **common), finder=fake_finder(nobody))


def test_the_neighbour_performer_answers_with_the_nearest_training_picture(show):
    """A model that returns its input: the neighbour of a training picture is that picture."""
    from understudy.family import SwapResult

    class Echo:
        identities, size = ("anna",), 64

        def swap(self, crops, identity):
            return SwapResult(crops=crops)

    project, _, _ = show
    stand_in = NeighbourPerformer(Echo(), project.faces("anna"))
    _, pictures, _ = load_portraits(project.faces("anna"), 64)
    some = pictures[[7, 2, 3]].astype(np.float32) / 255
    np.testing.assert_array_equal(stand_in.swap(some, "anna").crops, some)
    summary = stand_in.summary(3)
    assert stand_in.used == [7, 2, 3]
    assert summary["mean_distance"] == pytest.approx(0, abs=1e-6)
    assert (summary["jumps"], summary["steps"], summary["pictures_used"]) == (1, 2, 3)


def test_the_latent_path_begins_and_ends_at_the_anchors(show):
    project, _, _ = show
    report = interpolate(InterpolateOptions(project=project.root, identity="ben", steps=5))
    assert report.known
    assert report.weights == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert set(report.steps) == {"anna", "ben"}
    assert all(len(steps) == 4 for steps in report.steps.values())
    assert report.sheet == project.runs / "tiny" / "inspect" / "interpolate-known.png"
    picture = cv2.imread(str(report.sheet))
    assert picture.shape[0] > 3 * 128 and picture.shape[1] > 5 * 128


def test_the_path_is_equation_2(show, monkeypatch):
    """z(l) = (1 - l) z1 + l z2 goes to every decoder."""
    project, _, _ = show
    from understudy.families.comb.perform import CombPerformer

    decoded = {}
    original = CombPerformer.decode

    def remember(self, latent, identity):
        decoded[identity] = latent
        return original(self, latent, identity)

    monkeypatch.setattr(CombPerformer, "decode", remember)
    entries = [path.stem for path in sorted((project.faces("anna") / "pictures").glob("*.png"))]
    interpolate(
        InterpolateOptions(project=project.root, anchors=(entries[0], entries[-1]), steps=3, identities=("ben",))
    )
    assert set(decoded) == {"ben"}
    np.testing.assert_allclose(decoded["ben"][1], decoded["ben"][[0, 2]].mean(axis=0), atol=1e-6)
    assert not np.allclose(decoded["ben"][0], decoded["ben"][2])


def test_neighbours_are_shown_with_their_distance(show):
    project, sources, finder = show
    options = NeighboursOptions(project=project.root, plate=sources["ben"], identity="anna", frames=4)
    report = neighbours(options, finder=finder())
    assert [frame["number"] for frame in report.frames] == [1, 4, 8, 12]
    names = {path.stem for path in (project.faces("anna") / "pictures").glob("*.png")}
    assert all(frame["picture"] in names and frame["distance"] > 0 for frame in report.frames)
    assert report.sheet.exists()
    assert report.spacing > 0


def test_latents_are_drawn_and_tested(show):
    project, _, _ = show
    report = latents(LatentsOptions(project=project.root, output=project.root / "map.jpg"))
    assert report.size == 8
    assert report.pictures == {"anna": len(FRAMES), "ben": len(FRAMES)}
    assert 0 < report.told_apart <= 1
    assert report.chance == 0.5
    assert report.explained[0] >= report.explained[1] >= 0
    assert cv2.imread(str(report.sheet)) is not None


def test_nearest_mean_by_hand():
    """Two groups on a line; only the 4 of the first lies nearer to the second group's mean."""
    first, second = np.array([[0.0], [1.0], [4.0]]), np.array([[5.0], [6.0]])
    assert nearest_mean_accuracy([first, second]) == pytest.approx(4 / 5)
    assert nearest_mean_accuracy([first]) == 1.0
    assert farthest_pair(np.array([[0.0, 0], [5, 0], [1, 1], [-3, 0]])) == (1, 3)


def test_mistakes_are_sentences(show, tmp_path, monkeypatch):
    project, sources, finder = show
    here = {"project": project.root}
    with pytest.raises(OptionError, match="carl"):
        interpolate(InterpolateOptions(**here, identity="carl"))
    with pytest.raises(OptionError, match="two pictures"):
        interpolate(InterpolateOptions(**here, anchors=("one",)))
    with pytest.raises(OptionError, match="neither a picture file"):
        interpolate(InterpolateOptions(**here, anchors=("one", "two")))
    with pytest.raises(OptionError, match="--steps"):
        interpolate(InterpolateOptions(**here, steps=1))
    with pytest.raises(OptionError, match="sheet"):
        interpolate(InterpolateOptions(**here, output=tmp_path / "sheet.gif"))
    with pytest.raises(OptionError, match="third"):
        interpolate(InterpolateOptions(**here, run="third"))
    with pytest.raises(OptionError, match="--frames"):
        neighbours(NeighboursOptions(**here, plate=sources["ben"], identity="anna", frames=0), finder=finder())
    with pytest.raises(OptionError, match="--pictures"):
        latents(LatentsOptions(**here, pictures=1))
    empty = new_project(tmp_path / "empty", identities={"anna": Consent(synthetic=True)})
    with pytest.raises(CheckpointError, match="no trained model"):
        latents(LatentsOptions(project=empty.root))
    with pytest.raises(DatasetError):
        load_portraits(empty.faces("anna"), 32)


@pytest.mark.real
def test_anchors_may_be_pictures_of_a_stranger(show, tmp_path):
    """Fig. 16: two frames of the packaged clip, whose performer the tiny model has never seen."""
    from importlib import resources

    from understudy.errors import WeightsError
    from understudy.faces.models import find_models
    from understudy.media.clip import open_clip

    try:
        find_models()
    except WeightsError as error:
        pytest.skip(str(error))
    project, _, _ = show
    paths = []
    with (
        resources.as_file(resources.files("understudy.jobs") / "demo_media" / "jun_r2.mp4") as clip,
        open_clip(clip) as movie,
    ):
        for number in (1, 60):
            paths.append(tmp_path / f"{number}.png")
            cv2.imwrite(str(paths[-1]), movie.frame(number).pixels[..., ::-1])
    report = interpolate(InterpolateOptions(project=project.root, anchors=tuple(map(str, paths)), steps=3))
    assert not report.known
    assert report.anchors == ("1.png", "60.png")
    cv2.imwrite(str(paths[0]), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(FaceError, match="1.png"):
        interpolate(InterpolateOptions(project=project.root, anchors=tuple(map(str, paths)), steps=3))
