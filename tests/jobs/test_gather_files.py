"""Gathering from real files: sequences through the media layer, and the packaged clip through the face models."""

from __future__ import annotations

from importlib import resources

import cv2
import numpy as np
import pytest

from understudy.dataset.face_set import FaceSet
from understudy.errors import FaceError, MediaError, WeightsError
from understudy.jobs.gather import GatherOptions, gather
from understudy.jobs.options_review import Act, ReviewOptions
from understudy.jobs.project import new_project
from understudy.jobs.review import review
from understudy.provenance.cast import Consent


@pytest.fixture
def project(tmp_path):
    return new_project(tmp_path / "show", identities={"anna": Consent(synthetic=True)})


@pytest.fixture
def sequence(tmp_path, drawn_clip, actor):
    """Sixteen-bit pictures plate.1001.png to plate.1008.png, without the sixth."""
    clip = drawn_clip(lambda number: [actor()], range(1001, 1009))
    folder = tmp_path / "plates"
    folder.mkdir()
    for frame in clip:
        if frame.number != 1006:
            picture = frame.pixels[..., ::-1].astype(np.uint16) * 257
            cv2.imwrite(str(folder / f"plate.{frame.number}.png"), picture)
    return clip, folder


def test_a_sixteen_bit_sequence_keeps_its_numbers_and_depth(project, sequence, fake_finder):
    clip, folder = sequence
    options = GatherOptions(
        source=f"{folder}/plate.####.png",
        identity="anna",
        project=project.root,
        size=64,
        first=1001,
        last=1005,
        every=2,
    )
    (got,) = gather(options, finder=fake_finder(clip)).identities
    with FaceSet.open(got.folder) as face_set:
        assert [entry.name for entry in face_set.entries()] == [f"plate.00100{number}.0" for number in (1, 3, 5)]
        entry = face_set.entries()[0]
        picture, _ = face_set.load(entry)
    stored = cv2.imread(str(entry.path), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(picture, stored[..., ::-1] / 65535, atol=1e-6)
    eye = (entry.landmarks[33]).astype(int)
    assert picture[eye[1], eye[0]].max() < 0.45


def test_a_wider_range_of_a_sequence_goes_on(project, sequence, fake_finder):
    clip, folder = sequence

    def run(last):
        options = GatherOptions(
            source=f"{folder}/plate.####.png", identity="anna", project=project.root, size=64, last=last
        )
        return gather(options, finder=fake_finder(clip)).identities[0]

    assert run(1002).written == 2
    assert (wider := run(1005)).written == 3 and wider.kept == 2


def test_a_gap_in_the_sequence_is_named(project, sequence, fake_finder):
    clip, folder = sequence
    with pytest.raises(MediaError, match="1006"):
        gather(
            GatherOptions(source=str(folder), identity="anna", project=project.root, size=64),
            finder=fake_finder(clip),
        )


def test_pictures_of_sixteen_bit_gray_and_of_one_pixel(project, tmp_path, drawn_clip, actor, fake_finder):
    clip = drawn_clip(lambda number: [actor()], [1])
    gray = cv2.cvtColor(clip.frame(1).pixels, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "gray.png"), gray)
    options = GatherOptions(source=str(tmp_path / "gray.png"), identity="anna", project=project.root, size=64)
    (got,) = gather(options, finder=fake_finder(clip)).identities
    assert got.written == 1 and got.jitter.crop_after is None
    cv2.imwrite(str(tmp_path / "dot.png"), np.zeros((1, 1, 3), np.uint8))
    with pytest.raises((MediaError, FaceError)):
        gather(GatherOptions(source=str(tmp_path / "dot.png"), identity="anna", project=project.root, size=64))


@pytest.mark.real
def test_the_packaged_clip_through_the_face_models(project, tmp_path):
    from understudy.faces.models import find_models

    try:
        find_models()
    except WeightsError:
        pytest.skip("the face models are not on this machine: understudy weights pull faces")
    source = resources.files("understudy.jobs") / "demo_media" / "jun_r2.mp4"
    if not source.is_file():
        pytest.skip("the packaged clip is not there")
    report = gather(GatherOptions(source=str(source), identity="anna", project=project.root, size=128, last=10))
    (got,) = report.identities
    assert got.written == 10 and not report.skipped and got.total == 10
    assert got.jitter.landmarks_after < got.jitter.landmarks_before
    assert got.jitter.crop_after < got.jitter.crop_before
    with FaceSet.open(got.folder) as face_set:
        for entry in face_set.entries():
            picture, mask = face_set.load(entry, 64)
            inside = picture[mask > 0.9]
            # Skin, not background: red over green over blue, in a mask of a face's usual size.
            assert 0.2 < mask.mean() < 0.5 and (np.diff(inside.mean(axis=0)) < 0).all()
            assert abs(np.ptp(entry.landmarks[:468, 1]) / 128 - 0.68) < 0.12
    looked = review(ReviewOptions(identity="anna", project=project.root, sort="blur", worst=3, act=Act.DROP))
    assert (looked.in_set, looked.out_of_set) == (7, 3)
