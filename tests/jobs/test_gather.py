from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from understudy.dataset.face_set import FaceSet
from understudy.errors import ConsentError, FaceError, OptionError, StorageError
from understudy.jobs import gather as gather_module
from understudy.jobs.gather import GatherOptions, gather
from understudy.jobs.options_track import TrackOptions
from understudy.jobs.project import new_project
from understudy.provenance.cast import Consent
from understudy.provenance.record import plain


@pytest.fixture
def project(tmp_path):
    people = {"anna": Consent(granted_by="Anna", scope=("train",)), "ben": Consent(synthetic=True), "carl": None}
    return new_project(tmp_path / "show", identities=people)


@pytest.fixture
def run(monkeypatch, fake_finder, project):
    """Gather a drawn clip: ``run(clip, **options)``; keyword ``finder`` passes through."""

    def run(clip, *, finder=None, progress=lambda *step: None, **options):
        monkeypatch.setattr(gather_module, "open_clip", lambda source, first=None, last=None: clip)
        options = {"source": str(clip.source), "identity": "anna", "project": project.root, "size": 64} | options
        return gather(GatherOptions(**options), progress, finder=finder or fake_finder(clip))

    return run


def one(actor):
    return lambda number: [actor(x=140 + 2 * (number % 1000))]


def two(actor):
    return lambda number: [actor(x=90, height=110), actor(track=1, x=240, height=90)]


def test_one_person_becomes_a_face_set(run, project, drawn_clip, actor):
    clip = drawn_clip(one(actor))
    steps = []
    report = run(clip, progress=lambda *step: steps.append(step))
    (got,) = report.identities
    assert (got.identity, got.written, got.kept, got.gone, got.total) == ("anna", 12, 0, 0, 12)
    assert got.folder == project.faces("anna") and report.found == 12 and report.skipped == ()
    assert got.jitter.crop_after < got.jitter.crop_before
    assert {"track", "crop"} <= {stage for stage, _, _ in steps}
    with FaceSet.open(got.folder) as face_set:
        entry = face_set.entries()[3]
        assert (entry.clip, entry.number, entry.track) == ("take", 4, 0)
        picture, mask = face_set.load(entry)
    # The eyes and the mouth that were drawn lie where the landmarks say, inside the mask.
    for point in entry.landmarks[[33, 263, 61, 291]]:
        x, y = (int(value) for value in point)
        assert picture[y, x].max() < 0.45 and mask[y, x] > 0.5
    oval = np.ptp(entry.landmarks[[10, 152], 1]) / 64
    assert abs(oval - 0.68) < 0.05
    assert cv2.imread(str(got.sheet)) is not None
    record = json.loads(got.record.read_text())
    assert record["consent"]["anna"]["granted_by"] == "Anna" and record["figures"]["written"] == 12
    assert list(record["inputs"].values())[0] and record["weights"] == {"models.task": "ab" * 32}
    assert json.loads(json.dumps(plain(report)))["identities"][0]["written"] == 12


def test_the_same_command_again_changes_nothing(run, drawn_clip, actor):
    clip = drawn_clip(one(actor))
    first = run(clip).identities[0]
    before = {path.name: path.stat().st_mtime_ns for path in (first.folder / "pictures").iterdir()}
    clip.decoded.clear()
    again = run(clip).identities[0]
    assert (again.written, again.kept) == (0, 12) and not clip.decoded
    assert {path.name: path.stat().st_mtime_ns for path in (first.folder / "pictures").iterdir()} == before


def test_a_stopped_run_goes_on(run, drawn_clip, actor, monkeypatch):
    clip = drawn_clip(one(actor))
    add = FaceSet.add

    def stop(self, **values):
        if values["number"] == 6:
            raise KeyboardInterrupt
        return add(self, **values)

    monkeypatch.setattr(FaceSet, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        run(clip)
    monkeypatch.setattr(FaceSet, "add", add)
    got = run(clip).identities[0]
    assert (got.written, got.kept) == (7, 5)


def test_a_picture_deleted_by_hand_stays_gone_unless_again(run, drawn_clip, actor):
    clip = drawn_clip(one(actor))
    folder = run(clip).identities[0].folder
    victim = folder / "pictures" / "take.000005.0.png"
    victim.unlink()
    got = run(clip).identities[0]
    assert (got.written, got.kept, got.gone, got.total) == (0, 11, 1, 11) and not victim.exists()
    with FaceSet.open(folder) as face_set:
        face_set.drop(["take.000007.0"])
    got = run(clip, again=True).identities[0]
    assert (got.written, got.gone, got.total) == (12, 0, 11) and victim.exists()
    assert (folder / "dropped" / "take.000007.0.png").exists()


def test_a_stopped_again_goes_on(run, drawn_clip, actor, monkeypatch):
    clip = drawn_clip(one(actor))
    run(clip)
    add = FaceSet.add
    with monkeypatch.context() as patch:

        def stop(self, **values):
            if values["number"] == 6:
                raise KeyboardInterrupt
            return add(self, **values)

        patch.setattr(FaceSet, "add", stop)
        with pytest.raises(KeyboardInterrupt):
            run(clip, again=True)
    got = run(clip, again=True).identities[0]
    assert (got.written, got.kept) == (7, 5)
    assert run(clip, again=True).identities[0].written == 12


def test_frames_without_a_usable_face_are_listed_with_reasons(run, drawn_clip, actor):
    def script(number):
        return {
            2: [],
            3: [actor(x=10)],
            4: [actor(yaw=80)],
            5: [actor(height=30)],
        }.get(number, [actor()])

    report = run(drawn_clip(script))
    reasons = {frame.number: frame.reason for frame in report.skipped}
    assert reasons[2] == "no face found"
    assert reasons[3].startswith("half out of frame: ")
    assert reasons[4] == "profile: turned by 80°, over 75°"
    assert reasons[5] == "too small: 30 px from chin to forehead, under 48"
    assert set(reasons) == {2, 3, 4, 5} and report.found == 8
    again = run(drawn_clip(script))
    assert {frame.number: frame.reason for frame in again.skipped} == reasons
    # With a wider limit the profile is taken, and nothing else changes.
    wider = run(drawn_clip(script), max_yaw=85.0)
    assert wider.identities[0].written == 1 and 4 not in {frame.number for frame in wider.skipped}


def test_blurred_crops_are_skipped_and_not_tried_twice(run, drawn_clip, actor):
    clip = drawn_clip(one(actor))
    with pytest.raises(FaceError, match="No frame of .* gives a usable picture of anna: 12 frames blurred"):
        run(clip, min_sharpness=99.0)
    clip.decoded.clear()
    with pytest.raises(FaceError, match="12 frames blurred"):
        run(clip, min_sharpness=99.0)
    assert not clip.decoded
    assert run(clip, min_sharpness=0.001).found == 12


def test_every_so_manieth(run, drawn_clip, actor):
    clip = drawn_clip(one(actor), range(1001, 1011))
    report = run(clip, every=4)
    with FaceSet.open(report.identities[0].folder) as face_set:
        assert [entry.number for entry in face_set.entries()] == [1001, 1005, 1009]


def test_more_than_eight_bits_stay(run, drawn_clip, actor):
    report = run(drawn_clip(one(actor), dtype=np.uint16))
    path = next((report.identities[0].folder / "pictures").iterdir())
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_several_people_need_a_choice(run, project, drawn_clip, actor):
    clip = drawn_clip(two(actor))
    with pytest.raises(
        FaceError, match=r"shows 2 people: 1 .*2 .*--people 1=anna.*take.people.png shows them"
    ) as refusal:
        run(clip)
    sheet = project.root / "faces" / "take.people.png"
    assert str(sheet) in str(refusal.value) and cv2.imread(str(sheet)) is not None
    report = run(clip, person=(2,))
    assert report.people_sheet == sheet and [person.number for person in report.people] == [1, 2]
    with FaceSet.open(report.identities[0].folder) as face_set:
        assert {entry.track for entry in face_set.entries()} == {1}
    with pytest.raises(OptionError, match="--person 3 is nobody"):
        run(clip, person=(3,))


def test_the_wrong_person_first_does_not_block_the_right_one(run, drawn_clip, actor):
    clip = drawn_clip(two(actor))
    assert run(clip, person=(1,)).found == 12
    right = run(clip, person=(2,)).identities[0]
    assert (right.written, right.kept, right.total) == (12, 0, 24)


def test_tracks_with_other_numbers_are_the_same_faces(run, drawn_clip, actor):
    run(drawn_clip(one(actor)))
    renumbered = drawn_clip(lambda number: [actor(track=5, x=140 + 2 * number)])
    got = run(renumbered, track=TrackOptions(perturbations=8)).identities[0]
    assert (got.written, got.kept, got.total) == (0, 12, 12)


def test_several_people_at_once(run, drawn_clip, actor):
    clip = drawn_clip(two(actor))
    report = run(clip, identity=None, people=("2=ben", "1=anna"))
    assert {got.identity: got.person for got in report.identities} == {"anna": 1, "ben": 2}
    assert report.found == 24
    assert clip.decoded.count(7) <= 4  # tracked once, cropped once for both, shown on the sheet at most twice


def test_a_person_who_was_lost_and_found(run, drawn_clip, actor):
    clip = drawn_clip(lambda number: [actor(track=0 if number < 6 else 1)])
    with pytest.raises(FaceError, match="shows 2 people"):
        run(clip)
    assert run(clip, person=(1, 2)).found == 12


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"identity": "ana"}, ConsentError, "Did you mean 'anna'"),
        ({"identity": "carl"}, ConsentError, "does not say who granted consent for 'carl'"),
        ({"identity": None}, OptionError, "--as IDENTITY"),
        ({"identity": "anna", "people": ("1=ben",)}, OptionError, "leave --as and --person out"),
        ({"identity": None, "people": ("ben",)}, OptionError, "write NUMBER=IDENTITY"),
        ({"identity": None, "people": ("1=ben", "1=anna")}, OptionError, "gives one person two names"),
        ({"every": 0}, OptionError, "--every 0"),
        ({"size": 3}, OptionError, "from 16 to 4096"),
        ({"min_visible": 95.0}, OptionError, "--min-visible 95.0"),
    ],
)
def test_mistakes_are_sentences(run, drawn_clip, actor, options, error, words):
    with pytest.raises(error, match=words):
        run(drawn_clip(one(actor)), **options)


def test_consent_is_asked_before_any_work(run, drawn_clip, actor):
    clip = drawn_clip(one(actor))
    with pytest.raises(ConsentError):
        run(clip, identity="carl")
    assert not clip.decoded


def test_a_clip_without_a_face(run, drawn_clip):
    with pytest.raises(FaceError, match="No face was found in the 12 frames of .*take.mov"):
        run(drawn_clip(lambda number: []))


def test_only_unusable_faces(run, drawn_clip, actor):
    with pytest.raises(FaceError, match="gives a usable picture of anna: 11 frames too small, 1 frame no face found"):
        run(drawn_clip(lambda number: [actor(height=20)] if number > 1 else []))


def test_outside_a_project(run, drawn_clip, actor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = drawn_clip(one(actor))
    with pytest.raises(OptionError, match="--project .* is no project|not inside a project"):
        run(clip, project=tmp_path)
    with pytest.raises(ConsentError, match="give --consent FILE"):
        run(clip, project=None)
    consent = tmp_path / "consent.toml"
    consent.write_text('granted_by = "Anna"\nscope = ["train"]\n')
    with pytest.raises(OptionError, match="--faces FOLDER"):
        run(clip, project=None, consent=consent)
    report = run(clip, project=None, consent=consent, faces=tmp_path / "loose")
    assert report.identities[0].folder == tmp_path / "loose" and report.found == 12


def test_a_full_disk_keeps_what_is_done(run, drawn_clip, actor, monkeypatch):
    clip = drawn_clip(one(actor))
    import errno

    from understudy.dataset import face_set

    write, count = face_set.write_bytes, []

    def fill(path, data):
        count.append(path)
        if len(count) > 9:
            from understudy.errors import storage_guard

            with storage_guard(path):
                raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    monkeypatch.setattr(face_set, "write_bytes", fill)
    with pytest.raises(StorageError, match="the disk is full"):
        run(clip)
    monkeypatch.setattr(face_set, "write_bytes", write)
    got = run(clip).identities[0]
    assert (got.kept, got.written) == (4, 8)


def test_memory_does_not_grow_with_the_clip(run, drawn_clip, actor):
    import tracemalloc

    def peak(name, length):
        clip = drawn_clip(one_place, range(length), name=name)
        tracemalloc.start()
        run(clip, every=30)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    def one_place(number):
        return [actor()]

    peak("warm.mov", 4)
    short, long = peak("short.mov", 60), peak("long.mov", 180)
    # Landmarks may grow, pictures may not: one of the 120 frames more has 230 kB of pixels.
    assert long - short < 120 * 20_000
