from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.dataset.face_set import FaceSet
from understudy.dataset.likeness import Embedder
from understudy.errors import DatasetError, OptionError
from understudy.faces.face import Pose
from understudy.jobs.project import new_project
from understudy.jobs.review import Act, ReviewOptions, best_embedder, review
from understudy.provenance.cast import Consent


@pytest.fixture
def project(tmp_path):
    project = new_project(tmp_path / "show", identities={"anna": Consent(synthetic=True)})
    with FaceSet.create(project.faces("anna"), 32) as face_set:
        for number in range(6):
            noise = np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)
            face_set.add(
                clip="take", number=number, track=0, picture=cv2.GaussianBlur(noise, (0, 0), 0.3 + 0.2 * number),
                mask=np.ones((32, 32), np.float32), landmarks=np.zeros((478, 2), np.float32), transform=np.eye(2, 3),
                pose=Pose(yaw=-40.0 + 20 * number, pitch=0.0, roll=0.0), plate_pixels=100.0,
            )  # fmt: skip
    return project


def look(project, **options):
    return review(ReviewOptions(**{"identity": "anna", "project": project.root} | options))


def numbers(report):
    return [int(picture.name.split(".")[1]) for picture in report.pictures]


def test_looking_changes_nothing(project):
    report = look(project)
    assert numbers(report) == [0, 1, 2, 3, 4, 5] and report.acted == () and report.in_set == 6
    assert report.sheet == project.faces("anna") / "review.png" and cv2.imread(str(report.sheet)) is not None
    assert report.likeness_by is None and report.pictures[0].likeness is None
    assert report.pictures[0].blur > report.pictures[5].blur


def test_the_worst_by_blur_are_dropped_and_come_back(project):
    report = look(project, sort="blur", worst=2, act=Act.DROP)
    assert numbers(report) == [5, 4] and len(report.acted) == 2 and (report.in_set, report.out_of_set) == (4, 2)
    seen = look(project, dropped=True)
    assert numbers(seen) == [4, 5] and seen.pictures[0].dropped == "worst 2 by blur"
    back = look(project, act=Act.RESTORE, names=("take.000005.0.png",))
    assert back.acted == ("take.000005.0",) and (back.in_set, back.out_of_set) == (5, 1)
    assert look(project, act=Act.RESTORE).in_set == 6


def test_filters_and_their_reason(project):
    report = look(project, where=("|yaw|>30", "blur<9"), act=Act.DROP, reason="too far round")
    assert numbers(report) == [0, 4, 5]
    assert {picture.dropped for picture in look(project, dropped=True).pictures} == {"too far round"}


def test_likeness_says_what_it_rests_on(project):
    embedder = Embedder(
        name="brightness", embed=lambda picture, points: np.array([1.0, picture.mean()]), title="a test"
    )
    report = review(ReviewOptions(identity="anna", project=project.root, sort="likeness"), embedder=embedder)
    assert report.likeness_by == "a test" and all(picture.likeness is not None for picture in report.pictures)
    assert report.pictures[0].likeness <= report.pictures[-1].likeness


def test_without_an_identity_network_pixels_stand_in_and_say_so(monkeypatch, tmp_path):
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    assert "no identity network" in best_embedder().title


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"identity": "ana"}, DatasetError, "Did you mean 'anna'"),
        ({"identity": "zoe"}, DatasetError, "There are faces of anna. Gather footage first"),
        ({"identity": None}, OptionError, "Say whose faces"),
        ({"sort": "age"}, OptionError, "choose one of name, blur"),
        ({"where": ("yaw",)}, OptionError, "is not understood"),
        ({"act": Act.DROP}, OptionError, "say which"),
        ({"names": ("nobody.png",)}, DatasetError, "no picture named 'nobody'"),
        ({"most": 0}, OptionError, "--most 0"),
    ],
)
def test_mistakes_are_sentences(project, options, error, words):
    with pytest.raises(error, match=words):
        look(project, **options)


def test_a_sheet_must_be_a_png_and_nothing_is_dropped_without_it(project, tmp_path):
    with pytest.raises(OptionError, match="must be a .png file"):
        look(project, sheet=tmp_path / "a.gif", worst=2, sort="blur", act=Act.DROP)
    assert look(project).in_set == 6
