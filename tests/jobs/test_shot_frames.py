"""The frames of a shot: the same pixels however they are divided, and the plate untouched beside the matte."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from understudy.composite.options import OWN_DETAIL_SIZE, CompositeOptions
from understudy.faces.align import CropTransform
from understudy.faces.face import Face, Pose
from understudy.family import SwapResult
from understudy.jobs import shot_frames
from understudy.jobs.clip_faces import TrackedFace
from understudy.jobs.shot_frames import Recipe, Seconds, face_crop, read_frames, swap_frames
from understudy.media.clip import Clip
from understudy.media.colour import ColourSpace
from understudy.media.frame import Frame

WIDTH, HEIGHT = 120, 96


class Drawn(Clip):
    """A clip that draws its frames."""

    kind = "sequence"
    source = Path("plate.####.png")
    size = (WIDTH, HEIGHT)
    rate = Fraction(24)
    channels = ("R", "G", "B", "A")

    def __init__(self, numbers=range(1001, 1025), dtype="uint16", colour=ColourSpace.DISPLAY):
        self.numbers, self.dtype, self.colour = list(numbers), np.dtype(dtype), colour
        self.read = []

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(number) for number in self.numbers)

    def frame(self, number):
        self.read.append(number)
        y, x = np.mgrid[:HEIGHT, :WIDTH] / 40
        rng = np.random.default_rng(number)
        picture = np.stack([np.sin(x * 3 + number), np.cos(y * 2 + x), np.sin(y + x), x * 0], axis=-1) * 0.2 + 0.5
        picture += rng.normal(0, 0.02, picture.shape)
        if self.dtype.kind == "u":
            picture = np.round(picture * np.iinfo(self.dtype).max)
        pixels = picture.astype(self.dtype)
        return Frame(pixels=pixels, channels=self.channels, number=number, colour=self.colour, original=pixels)


class Painter:
    """Stands in for a model: the result depends on the crop alone."""

    identities = ("anna",)
    size = 32

    def swap(self, crops, identity):
        turned = np.stack([np.rot90(crop, 2) for crop in crops])
        return SwapResult(crops=(turned * np.array([0.9, 0.6, 0.5], np.float32) + 0.05))


def mesh(x, y, radius):
    turn = np.linspace(0, 2 * np.pi, 478, endpoint=False)
    points = np.stack([x + 0.8 * radius * np.cos(turn), y + radius * np.sin(turn), 0 * turn], axis=1)
    return points.astype(np.float32)


def face(x, y, side, track=0, yaw=0.0):
    landmarks = mesh(x, y, side * 0.34)
    return TrackedFace(
        face=Face(
            box=np.array([x - 10, y - 10, x + 10, y + 10]), landmarks=landmarks, score=1.0,
            pose=Pose(yaw=yaw, pitch=0.0, roll=0.0), track=track,
        ),
        transform=CropTransform.from_params(x, y, side, 0.1),
    )  # fmt: skip


def plan_of(clip, gaps=()):
    return {n: [face(60 + (n % 7), 48 + (n % 3) / 2, 60.0)] for n in clip.numbers if n not in gaps}


def make(clip, plan, todo, **changes):
    recipe = Recipe(performer=Painter(), identity="anna", composite=CompositeOptions(), **changes)
    return list(swap_frames(clip, plan, todo, recipe, Seconds()))


@pytest.mark.parametrize("steady", [0, 3])
def test_the_same_pixels_however_frames_are_divided(steady, monkeypatch):
    clip = Drawn()
    plan = plan_of(clip, gaps=(1007, 1008, 1015))
    whole = make(clip, plan, clip.numbers, steady=steady)
    assert [shot.plate.number for shot in whole] == clip.numbers

    first = make(clip, plan, clip.numbers[:8], steady=steady)
    second = make(clip, plan, clip.numbers[8:], steady=steady)
    scattered = make(clip, plan, clip.numbers[::5], steady=steady)
    monkeypatch.setattr(shot_frames, "BATCH", 3)
    other_batches = make(clip, plan, clip.numbers, steady=steady)
    alone = [make(clip, plan, [number], steady=steady)[0] for number in clip.numbers[:5]]
    for shots, expected in (
        (first + second, whole), (other_batches, whole), (scattered, whole[::5]), (alone, whole[:5]),
    ):  # fmt: skip
        assert [shot.plate.number for shot in shots] == [shot.plate.number for shot in expected]
        for one, other in zip(shots, expected, strict=True):
            np.testing.assert_array_equal(one.result.pixels, other.result.pixels)


@pytest.mark.parametrize(
    ("dtype", "colour"),
    [("uint8", ColourSpace.DISPLAY), ("uint16", ColourSpace.DISPLAY), ("float16", ColourSpace.LINEAR),
     ("float32", ColourSpace.LINEAR)],
)  # fmt: skip
def test_the_plate_beside_the_matte_keeps_every_bit(dtype, colour):
    clip = Drawn(range(1, 3), dtype, colour)
    for shot in make(clip, plan_of(clip), clip.numbers):
        x0, y0, x1, y1 = shot.patches[0].box
        covered = np.zeros((HEIGHT, WIDTH), bool)
        covered[y0:y1, x0:x1] = shot.patches[0].matte > 0
        np.testing.assert_array_equal(shot.result.pixels[~covered], shot.plate.pixels[~covered])
        np.testing.assert_array_equal(shot.result.pixels[..., 3], shot.plate.pixels[..., 3])
        assert (shot.result.altered <= covered).all() and shot.result.altered.mean() > 0.05


def test_a_window_gives_the_crop_of_the_whole_frame():
    frame = Drawn().frame(1001)
    for x, y, side in ((60, 48, 50), (3, 90, 70), (118, 2, 40)):
        transform = CropTransform.from_params(x, y, side, 0.3)
        whole = np.clip(transform.to_crop(frame.view(), 32), 0, 1)
        np.testing.assert_allclose(face_crop(frame, transform, 32), whole, atol=2e-3)


def test_frames_without_a_face_pass_untouched():
    clip = Drawn()
    shots = make(clip, {}, clip.numbers, steady=4)
    assert len(shots) == len(clip)
    assert all(shot.result is shot.plate and shot.patches == () for shot in shots)


def test_two_faces_in_a_frame():
    clip = Drawn(range(1, 2))
    (shot,) = make(clip, {1: [face(35, 48, 50, track=0), face(88, 48, 50, track=1)]}, [1])
    assert len(shot.patches) == 2
    for patch, x in zip(shot.patches, (35, 88), strict=True):
        assert patch.box[0] < x < patch.box[2]
        assert shot.result.altered[48, x]


def test_memory_does_not_grow():
    clip = Drawn(range(200))
    plan = {number: faces for number, faces in plan_of(clip).items() if number < 20 or number > 150}
    recipe = Recipe(performer=Painter(), identity="anna", composite=CompositeOptions(), steady=4)
    ahead = []
    for made, shot in enumerate(swap_frames(clip, plan, clip.numbers, recipe, Seconds()), 1):
        assert shot.plate.number == made - 1
        ahead.append(len(clip.read) - made)
    assert max(ahead) <= 2 * 4 + 16


def test_only_what_counts_is_read():
    clip = Drawn(range(1, 101))
    make(clip, plan_of(clip), [50], steady=2)
    assert clip.read == [48, 49, 50, 51, 52]
    clip.kind, clip.read = "movie", []
    assert [frame.number for frame in read_frames(clip, [3, 5])] == [3, 5]
    assert clip.read == [1, 2, 3, 4, 5]


def test_steady_takes_the_flicker_out():
    clip = Drawn(dtype="float32")

    class Flickering(Painter):
        def swap(self, crops, identity):
            made = super().swap(crops, identity).crops
            noise = [1 + 0.2 * np.sin(1e4 * float(crop.mean())) for crop in crops]
            return SwapResult(crops=made * np.array(noise, np.float32)[:, None, None, None])

    def spread(steady):
        composite = CompositeOptions(contrast="none", colour_match="mkl")
        recipe = Recipe(performer=Flickering(), identity="anna", composite=composite, steady=steady)
        shots = swap_frames(clip, plan_of(clip), clip.numbers, recipe, Seconds())
        return np.std([shot.grades[0].colours.parameters[0, 0] for shot in shots])

    assert spread(4) < 0.5 * spread(0)


def test_the_generated_faces_outline_is_asked_for_in_batches():
    clip = Drawn()
    asked = []

    def measure(crops, near):
        asked.append(len(crops))
        assert all(crop.dtype == np.uint8 and crop.shape == (32, 32, 3) for crop in crops)
        narrow = [(points - points.mean(axis=0)) * [0.6, 1, 1] + points.mean(axis=0) for points in near]
        return [*narrow[:-1], None]

    wide = make(clip, plan_of(clip), clip.numbers[:6])
    narrow = make(clip, plan_of(clip), clip.numbers[:6], measure=measure)
    assert sum(asked) == 6 and len(asked) == 1
    areas = [[(shot.patches[0].matte > 0.5).sum() for shot in shots] for shots in (wide, narrow)]
    assert areas[1][0] < 0.8 * areas[0][0]
    assert areas[1][5] == areas[0][5]


def test_raw_faces_are_kept_on_request():
    clip = Drawn(range(1, 2))
    assert make(clip, plan_of(clip), [1])[0].patches[0].raw is None
    patch = make(clip, plan_of(clip), [1], raw=True)[0].patches[0]
    assert patch.raw.shape == patch.view.shape


def test_a_face_at_the_edge_of_the_frame():
    clip = Drawn(range(1, 2))
    for x, y in ((0, 48), (WIDTH, 0), (60, HEIGHT + 10)):
        (shot,) = make(clip, {1: [face(x, y, 60)]}, [1])
        assert np.isfinite(shot.patches[0].view).all()
        assert dataclasses.is_dataclass(shot)


class Sharpener:
    """Stands in for a performer's own detail: twice the pixels, and a mark that every crop gets."""

    def __init__(self):
        self.asked = []

    def add(self, crop, mesh, *, strength, detail_size):
        self.asked.append((mesh, strength, detail_size))
        larger = np.repeat(np.repeat(crop, 2, axis=0), 2, axis=1)
        larger[20:44:4, 20:44:4] = 1.0
        return larger


def test_own_detail_goes_onto_the_generated_face_before_it_is_laid_in():
    clip = Drawn()
    measure = lambda crops, near: [*near[:-1], None]  # noqa: E731
    sharpener = Sharpener()
    plain = make(clip, plan_of(clip), clip.numbers, measure=measure)
    made = make(clip, plan_of(clip), clip.numbers, measure=measure, own_detail=sharpener)
    changed = [not np.array_equal(one.result.pixels, two.result.pixels) for one, two in zip(plain, made, strict=True)]
    # The last face of a batch has no mesh here, and passes as the family made it.
    assert changed.count(False) == len(clip.numbers) // shot_frames.BATCH
    mesh, strength, detail_size = sharpener.asked[0]
    assert strength == 1.0 and detail_size == OWN_DETAIL_SIZE
    assert mesh.min() > 0.1 and mesh.max() < 0.9
    for shot in made:
        x0, y0, x1, y1 = shot.patches[0].box
        covered = np.zeros((HEIGHT, WIDTH), bool)
        covered[y0:y1, x0:x1] = shot.patches[0].matte > 0
        np.testing.assert_array_equal(shot.result.pixels[~covered], shot.plate.pixels[~covered])


def test_own_detail_needs_no_outline_and_no_more_than_its_strength():
    clip = Drawn(range(1, 4))
    options = CompositeOptions(own_detail=0.0)
    sharpener = Sharpener()
    measure = lambda crops, near: list(near)  # noqa: E731
    recipe = Recipe(performer=Painter(), identity="anna", composite=options, measure=measure, own_detail=sharpener)
    list(swap_frames(clip, plan_of(clip), clip.numbers, recipe, Seconds()))
    assert sharpener.asked == []
    make(clip, plan_of(clip), clip.numbers, measure=measure, own_detail=sharpener, outline=False)
    assert len(sharpener.asked) == 3
