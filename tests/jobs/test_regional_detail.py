"""Detail of swaps by region: whose, where, and how much, with pictures of noise on faces of one shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from understudy.composite.options import CompositeOptions
from understudy.faces.align import CropTransform, mean_mesh
from understudy.faces.regions import Region
from understudy.family import JoinedFace
from understudy.jobs.regional_detail import RegionalDetail, in_plates_light
from understudy.jobs.regional_source import Source, SourceFace
from understudy.perform.region_faces import RegionFace

SIDE = 64
SHOWN = np.ones(12, bool)


class Editor:
    """Small faces, so that the test is quick."""

    size = map_size = SIDE
    oval_share, detail_size = 0.5, 0.04


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.jobs.regional_maps.FINE_SIDE", SIDE)


def mesh() -> np.ndarray:
    return (0.5 * mean_mesh() + (0.5, 0.5, 0)).astype(np.float32)


def regions() -> np.ndarray:
    labels = np.full((SIDE, SIDE), int(Region.HAIR), np.uint8)
    labels[6:58, 12:52] = Region.SKIN
    labels[36:52, 18:46] = Region.LIPS
    return labels


def noise(seed: int) -> np.ndarray:
    picture = 0.5 + 0.08 * np.random.default_rng(seed).standard_normal((SIDE, SIDE, 1))
    return np.repeat(picture, 3, -1).clip(0, 1).astype(np.float32)


def source(picture: np.ndarray, labels: np.ndarray) -> Source:
    transform = CropTransform(matrix=np.array([[1 / SIDE, 0, 0], [0, 1 / SIDE, 0]]))
    face = SourceFace(
        view=picture,
        landmarks=mesh() * SIDE,
        transform=transform,
        face=RegionFace(crop=picture, regions=labels, transform=transform),
    )
    return Source(faces=(face,), values=np.zeros((12, 2), np.float32), shown=SHOWN)


def added(
    labels: np.ndarray,
    strengths: dict[Region, float],
    *,
    of_source: np.ndarray | None = None,
    shown: np.ndarray = SHOWN,
    own_detail: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """(s, s) how much of the source's and of the plate's detail a flat face got, by correlation in windows of 9."""
    theirs, plates = noise(1), noise(2)
    subject = RegionalDetail(
        source(theirs, regions() if of_source is None else of_source),
        editor=Editor(),  # type: ignore[arg-type]
        options=CompositeOptions(own_detail=own_detail),
    )
    shares = np.zeros(12, np.float32)
    for region, strength in strengths.items():
        shares[region] = strength
    joined = JoinedFace(
        regions=labels, values=np.zeros((12, 2)), strengths=shares, matte=np.ones((SIDE, SIDE), np.float32)
    )
    flat = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    result = subject.add(flat, joined, crop=plates, regions=regions(), mesh=mesh(), driven=mesh(), shown=shown)
    return tuple(share(result[..., 0] - 0.5, one[..., 0] - 0.5) for one in (theirs, plates))  # type: ignore[return-value]


def share(result: np.ndarray, picture: np.ndarray) -> np.ndarray:
    import cv2

    blur = lambda x: cv2.GaussianBlur(x, (0, 0), 3)  # noqa: E731
    high = picture - cv2.GaussianBlur(picture, (0, 0), 0.04 * SIDE)
    return blur(result * high) / blur(high * high)


LIPS, SKIN, HAIR = (44, 32), (24, 32), (30, 4)


def test_swapped_regions_get_the_sources_detail_and_others_the_plates() -> None:
    theirs, plates = added(regions(), {Region.LIPS: 1.0})
    assert theirs[LIPS] > 0.7 and abs(plates[LIPS]) < 0.2
    for place in (SKIN, HAIR):
        assert plates[place] > 0.85 and abs(theirs[place]) < 0.15


def test_a_region_swapped_in_part_gets_both() -> None:
    theirs, plates = added(regions(), {Region.SKIN: 0.5, Region.LIPS: 0.5})
    assert theirs[SKIN] == pytest.approx(0.5, abs=0.12) and plates[SKIN] == pytest.approx(0.5, abs=0.12)


def test_hair_and_glasses_of_the_source_stay_behind() -> None:
    hidden = regions()
    hidden[14:34, 20:44] = Region.GLASSES
    theirs, plates = added(regions(), dict.fromkeys((Region.SKIN, Region.LIPS), 1.0), of_source=hidden)
    assert abs(theirs[SKIN]) < 0.1 and plates[SKIN] > 0.85
    assert theirs[LIPS] > 0.85


def test_detail_of_another_region_is_not_the_plates_to_give() -> None:
    """Skin where the plate has lips, of a source that shows nothing there: it stays as it was made."""
    new, unseen = regions(), np.full((SIDE, SIDE), int(Region.HAIR), np.uint8)
    new[new == Region.LIPS] = Region.SKIN
    theirs, plates = added(new, {Region.SKIN: 1.0}, of_source=unseen)
    assert abs(theirs[LIPS]) < 0.1 and plates[LIPS] < 0.4


def test_a_region_that_the_source_never_shows_is_the_plates() -> None:
    shown = SHOWN.copy()
    shown[Region.LIPS] = False
    theirs, plates = added(regions(), {Region.SKIN: 1.0, Region.LIPS: 1.0}, shown=shown)
    assert plates[LIPS] > 0.7 and abs(theirs[LIPS]) < 0.25
    assert theirs[SKIN] > 0.85


def test_strength_of_all_detail() -> None:
    theirs, _ = added(regions(), {Region.SKIN: 1.0}, own_detail=0.5)
    assert theirs[SKIN] == pytest.approx(0.5, abs=0.08)


def test_a_shut_eye_is_the_plates() -> None:
    """An open eye pressed shut shows neither lids nor lashes; the other eye goes on as it was."""
    shut = mesh()
    upper, lower = [398, 384, 385, 386, 387, 388, 466], [382, 381, 380, 374, 373, 390, 249]
    shut[upper] = shut[lower] = (shut[upper] + shut[lower]) / 2
    half = mesh()
    half[upper] += 0.5 * (shut[upper] - half[upper])
    half[lower] += 0.5 * (shut[lower] - half[lower])
    subject = RegionalDetail(source(noise(1), regions()), editor=Editor(), options=CompositeOptions())  # type: ignore[arg-type]
    left, right = (tuple((shut[ends].mean(0) * SIDE).astype(int)[1::-1]) for ends in ([362, 263], [33, 133]))
    awake = np.zeros(2)
    found = [subject._shut(end[:, :2], awake)[left] for end in (mesh(), half, shut)]
    assert found[0] == 0 and 0.1 < found[1] < 0.6 and found[2] > 0.85
    assert subject._shut(shut[:, :2], awake)[right] == 0
    # One that the plate shuts, though its mesh says otherwise.
    assert subject._shut(half[:, :2], np.array([0.0, 1.0]))[left] > 0.85
    # Nothing is wrong with pictures whose eyes are shut as well.
    asleep = SourceFace(
        view=noise(1),
        landmarks=shut * SIDE,
        transform=subject._source.faces[0].transform,
        face=subject._source.faces[0].face,
    )
    also = Source(faces=(asleep,), values=np.zeros((12, 2)), shown=SHOWN)
    sleeper = RegionalDetail(also, editor=Editor(), options=CompositeOptions())  # type: ignore[arg-type]
    assert not sleeper._shut(shut[:, :2], np.array([0.0, 1.0])).any()
    # But they show no open eye.
    assert sleeper._shut(mesh()[:, :2], awake)[left] > 0.85


def test_a_far_cheek_is_the_plates() -> None:
    """A picture of a turned head: the cheek that is a strip there is not drawn out over half a face."""
    away = mesh()
    left = away[:, 0] > 0.55
    away[left, 0] = 0.55 + 0.15 * (away[left, 0] - 0.55)
    transform = CropTransform(matrix=np.array([[1 / SIDE, 0, 0], [0, 1 / SIDE, 0]]))
    face = RegionFace(crop=noise(1), regions=regions(), transform=transform)
    turned = SourceFace(view=noise(1), landmarks=away * SIDE, transform=transform, face=face)
    subject = RegionalDetail(
        Source(faces=(turned,), values=np.zeros((12, 2)), shown=SHOWN),
        editor=Editor(),  # type: ignore[arg-type]
        options=CompositeOptions(),
    )
    useful = subject._turned_to(mesh()[:, :2])
    near, far = ((mesh()[point, :2] * SIDE).astype(int)[::-1] for point in (50, 280))
    assert useful[tuple(near)] > 0.9 and useful[tuple(far)] < 0.2


def test_the_plates_light_is_measured_on_faces() -> None:
    made = np.full((SIDE, SIDE, 3), 0.3, np.float32)
    crop = np.full((SIDE, SIDE, 3), 0.6, np.float32)
    crop[regions() == Region.HAIR] = 0
    joined = JoinedFace(
        regions=regions(),
        values=np.zeros((12, 2)),
        strengths=np.ones(12, np.float32),
        matte=np.ones((SIDE, SIDE), np.float32),
    )
    lit = in_plates_light(made, joined, crop, regions())
    np.testing.assert_allclose(lit[SKIN], 0.58, atol=0.02)


def test_no_line_where_the_sources_face_ends_on_skin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A face that darkens under its hair, on an even one without that hair: the steepest change of brightness on the skin."""
    hairy, new = regions(), regions()
    hairy[:24] = Region.HAIR
    new[new == Region.LIPS] = Region.SKIN
    below = np.maximum(np.arange(SIDE, dtype=np.float32) - 24, 0)
    shaded = np.repeat(np.repeat((0.6 - 0.3 * np.exp(-below / 3))[:, None, None], SIDE, 1), 3, 2)
    flat = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    joined = JoinedFace(
        regions=new,
        values=np.zeros((12, 2)),
        strengths=np.ones(12, np.float32),
        matte=np.ones((SIDE, SIDE), np.float32),
    )
    steepest = []
    for softly in (True, False):
        if not softly:
            monkeypatch.setattr(RegionalDetail, "_ends", lambda self, known, *_: 0 * known)
        subject = RegionalDetail(
            source(shaded, hairy),
            editor=Editor(),  # type: ignore[arg-type]
            options=CompositeOptions(own_detail_size=0.05),
        )
        made = subject.add(flat, joined, crop=flat, regions=new, mesh=mesh(), driven=mesh(), shown=SHOWN)
        steepest.append(float(np.abs(np.diff(made[12:52, 32, 0])).max()))
    assert steepest[1] > 2 * steepest[0], steepest


def test_the_sources_shading_ends_by_its_edge_and_not_on_features() -> None:
    subject = RegionalDetail(
        source(noise(1), regions()), editor=Editor(), options=CompositeOptions(own_detail_size=0.05)
    )  # type: ignore[arg-type]
    known, new = np.ones((SIDE, SIDE), np.float32), regions()
    known[:, :32] = 0
    ends = subject._ends(known, np.isin(new, (Region.SKIN, Region.LIPS)), new)
    assert ends[24, 30] > 0.95 and 0.1 < ends[24, 35] < 0.45 and ends[24, 44] < 0.01
    assert ends[44, 32] < 0.01  # lips
    # What is missing beyond the face, under its hair, is not missed.
    known[:] = 1
    known[:6] = 0
    assert subject._ends(known, new == Region.SKIN, new).max() < 0.01


def test_red_lips_leave_no_green_about_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source whose lips are red, on a made face whose are pale: both have the same skin, so the skin stays as it is."""
    labels = regions()
    skin, red = np.array([[0.6, 0.45, 0.4], [0.6, 0.15, 0.15]], np.float32)
    picture = np.where((labels == Region.LIPS)[..., None], red, skin).astype(np.float32)
    made = np.broadcast_to(skin, picture.shape).copy()
    joined = JoinedFace(
        regions=labels,
        values=np.zeros((12, 2)),
        strengths=np.ones(12, np.float32),
        matte=np.ones((SIDE, SIDE), np.float32),
    )
    above = (32, 32)  # as near as the share of a picture that is red lips matters
    for apart in (True, False):
        if not apart:
            whole = np.ones((SIDE, SIDE), np.float32)
            monkeypatch.setattr(RegionalDetail, "_by_lips", lambda self, new, whole=whole: [(whole, whole)])
        subject = RegionalDetail(
            source(picture, labels),
            editor=Editor(),  # type: ignore[arg-type]
            options=CompositeOptions(own_detail_size=0.05),
        )
        result = subject.add(made, joined, crop=made, regions=labels, mesh=mesh(), driven=mesh(), shown=SHOWN)
        change = result[above] - made[above]
        assert (np.abs(change).max() < 0.01) == apart, change
        edge = result[38, 32]
        assert edge[0] - edge[1] > 0.2, edge  # of lips


def smiling() -> np.ndarray:
    """Corners of the mouth pulled up by 0.1 faces."""
    end = mesh()
    end[[61, 291], 1] -= 0.05
    return end


def skin_zones(
    at_rest: np.ndarray, driven: np.ndarray, plate: np.ndarray, region: Region = Region.SKIN
) -> list[np.ndarray]:
    """Where creases go and come for a source with the mesh ``at_rest``, on a new face that is all one region."""
    first = source(noise(1), regions())
    face = replace(first.faces[0], landmarks=at_rest * SIDE)
    subject = RegionalDetail(
        replace(first, faces=(face,)),
        editor=Editor(),  # type: ignore[arg-type]
        options=CompositeOptions(),
    )
    new = np.full((SIDE, SIDE), int(region), np.uint8)
    whole = np.ones((SIDE, SIDE), np.float32)
    picture = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    return list(subject._other_creases(driven, driven[:, :2], picture, (plate, new, whole), whole > 0, new))


def test_creases_go_with_the_sources_smile_and_come_with_the_plates() -> None:
    fold, chin = ((mesh()[point, 1::-1] * SIDE).astype(int) for point in (206, 199))
    creased = noise(3)
    for start, end, there in ((smiling(), mesh(), 0), (mesh(), smiling(), 1), (smiling(), smiling(), None)):
        found = skin_zones(start, end, creased)
        for number, zone in enumerate(found):
            assert zone[tuple(chin)] < 0.1
            assert (zone[tuple(fold)] > 0.8) == (number == there)
    # A plate that laughs without a fold has none to give.
    smooth = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    _, come = skin_zones(mesh(), smiling(), smooth)
    assert come.max() < 0.5


def test_the_pits_beside_a_smile_go_though_they_are_mapped_as_lips() -> None:
    corner, lip, fold = ((mesh()[point, 1::-1] * SIDE).astype(int) for point in (61, 17, 206))
    go, come = skin_zones(smiling(), mesh(), noise(3), Region.LIPS)
    assert go[tuple(corner)] > 0.8 and max(go[tuple(lip)], go[tuple(fold)]) < 0.1
    assert not come.any()
    go, _ = skin_zones(smiling(), smiling(), noise(3), Region.LIPS)
    assert go.max() < 0.05
