"""Footage to faces: follow everybody in a clip, choose who is meant, write aligned crops with masks.

Two passes. The first follows all faces and keeps their landmarks (:mod:`understudy.jobs.track`); smoothing needs them all.
The second reads the frames again that give a picture, and writes it. Both can be stopped at any moment; the same call
goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from understudy.dataset.face_set import FaceSet, KnownPicture
from understudy.dataset.measures import sharpness
from understudy.dataset.review import score_entries, sheet_of_scores
from understudy.errors import DatasetError, FaceError, OptionError
from understudy.faces.align import OVAL_SHARE, CropTransform, canonical_transform
from understudy.faces.parse import face_mask
from understudy.jobs.clip_faces import ClipFaces, TrackedFace
from understudy.jobs.gather_report import GatheredIdentity, GatherReport, SkippedFrame
from understudy.jobs.options_gather import GatherOptions
from understudy.jobs.people import Person, choose_person, people_of, write_people_sheet
from understudy.jobs.project import Project, find_project, require_consent
from understudy.jobs.review import write_sheet
from understudy.jobs.track import FaceFinder, MediaPipeFinder, clip_files, track_clip
from understudy.media.clip import Clip, open_clip
from understudy.media.colour import ColourSpace
from understudy.media.frame import Frame
from understudy.provenance.cast import Consent
from understudy.provenance.record import RunRecord

Progress = Callable[[str, int, int | None], None]

_SHEET_PICTURES = 48


@dataclass(kw_only=True)
class _Share:
    """One identity's part of the work."""

    identity: str
    consent: Consent
    person: Person
    face_set: FaceSet
    clip: str
    settings: str
    written: int = 0
    skipped: dict[int, str] = field(default_factory=dict)
    todo: set[int] = field(default_factory=set)
    kept: int = 0
    gone: int = 0


def gather(
    options: GatherOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    finder: FaceFinder | None = None,
) -> GatherReport:
    """Gather the faces of one clip into one identity's face set, or into several.

    Args:
        options: what and how.
        progress: called with (stage, done, total); stages are "track", "smooth" and "crop".
        finder: what finds faces; None for MediaPipe's models on this machine.

    Raises:
        OptionError: options that do not fit together, or outside a project without ``faces``.
        ConsentError: an identity that the cast does not name, or that may not be trained.
        MediaError: footage that cannot be read.
        FaceError: no face, several people and none chosen, or no usable face.
        WeightsError: the face models are not on this machine.
        StorageError: full disk or no permission; what is done stays.
    """
    started = perf_counter()
    _check(options)
    wanted = _wanted(options)
    project = find_project(options.project, required=False)
    if options.project is not None and project is None:
        raise OptionError(f"--project {options.project} is no project: it has no cast.toml.")
    # Whoever is not in the cast or gave no consent is told so before an hour of tracking.
    consents = {name: require_consent(name, "train", project=project, consent=options.consent) for name in wanted}
    with ExitStack() as stack:
        clip = stack.enter_context(open_clip(options.source, first=options.first, last=options.last))
        finder = finder or MediaPipeFinder(options.track)
        folders = {name: _folder(options, project, name) for name in wanted}
        cache = project.tracks if project else next(iter(folders.values())) / ".tracks"
        faces = stack.enter_context(
            track_clip(clip, options=options.track, finder=finder, cache=cache, progress=progress)
        )
        tracked = perf_counter()
        people = people_of(faces)
        sheet_path = _beside(folders, project) / f"{clip.source.stem.strip('.#%@') or 'clip'}.people.png"
        sheet = write_people_sheet(clip, faces, people, sheet_path) if _several(people) else None
        shares = []
        for name, numbers in wanted.items():
            person = choose_person(people, numbers, clip=clip, identity=name, sheet=sheet_path)
            face_set = stack.enter_context(FaceSet.create(folders[name], options.size))
            shares.append(_share(options, name, consents[name], person, face_set, clip, faces))
        _crop(clip, faces, shares, options, progress)
        gathered = tuple(_finish(options, share, clip, faces, finder) for share in shares)
    ended = perf_counter()
    return GatherReport(
        source=options.source,
        num_frames=len(clip),
        people=tuple(people),
        people_sheet=sheet,
        identities=gathered,
        seconds={"track": tracked - started, "crop": ended - tracked, "all": ended - started},
    )


def _check(options: GatherOptions) -> None:
    if options.every < 1:
        raise OptionError(f"--every {options.every} must be 1 or more.")
    if not 1 <= options.track.perturbations <= 64:
        raise OptionError(f"--perturbations {options.track.perturbations} must be from 1 to 64.")
    if not 0 < options.track.threshold < 1:
        raise OptionError(f"--threshold {options.track.threshold} must lie between 0 and 1.")
    if not 0 <= options.min_visible <= 1:
        raise OptionError(f"--min-visible {options.min_visible} is a share and lies between 0 and 1.")
    if options.people and (options.identity or options.person):
        raise OptionError("--people names identities and persons together; leave --as and --person out, or --people.")
    if options.faces is not None and len(options.people) > 1:
        raise OptionError(
            "--faces names one folder, and --people several identities; gather one at a time, or leave it out."
        )


def _wanted(options: GatherOptions) -> dict[str, tuple[int, ...]]:
    """Identity -> person numbers; an empty tuple for the only person there is."""
    if not options.people:
        if not options.identity:
            raise OptionError("Say whose face it is: --as IDENTITY, a name of the cast.")
        return {options.identity: options.person}
    wanted: dict[str, tuple[int, ...]] = {}
    for text in options.people:
        number, _, identity = text.partition("=")
        if not number.strip().isdigit() or not identity.strip():
            raise OptionError(f"--people {text!r} is not understood: write NUMBER=IDENTITY, such as 2=anna.")
        wanted[identity.strip()] = (*wanted.get(identity.strip(), ()), int(number))
    numbers = [number for several in wanted.values() for number in several]
    if len(set(numbers)) < len(numbers):
        raise OptionError(f"--people gives one person two names: {', '.join(options.people)}.")
    return wanted


def _folder(options: GatherOptions, project: Project | None, identity: str) -> Path:
    if options.faces is not None:
        return options.faces
    if project is None:
        raise OptionError(
            "Outside a project, say where the faces go with --faces FOLDER; or make one: understudy new NAME."
        )
    return project.faces(identity)


def _beside(folders: Mapping[str, Path], project: Project | None) -> Path:
    return project.root / "faces" if project else next(iter(folders.values()))


def _several(people: Iterable[Person]) -> bool:
    return sum(not person.passing for person in people) > 1


def _share(
    options: GatherOptions,
    identity: str,
    consent: Consent,
    person: Person,
    face_set: FaceSet,
    clip: Clip,
    faces: ClipFaces,
) -> _Share:
    """Sort the clip's frames into those to crop, those done, and those without a usable face."""
    name = face_set.clip_name(clip.source, _clip_key(clip, faces))
    if options.again:
        face_set.start_again(name)
    settings = _settings(options, person)
    state = face_set.clip_state(name, settings)
    share = _Share(identity=identity, consent=consent, person=person, face_set=face_set, clip=name, settings=settings)
    chosen = set(list(clip.numbers)[:: options.every])
    for number, found in faces:
        if number not in chosen:
            continue
        face = next((one for one in found if one.face.track in person.tracks), None)
        known = _known(face, state.pictures.get(number, ()))
        if known is not None:
            share.kept += known.present
            share.gone += not known.present
            continue
        reason = state.skipped.get(number)
        if reason is None:
            reason = _refusal(face, bool(found), options)
        if reason is not None or face is None:
            share.skipped[number] = reason or ""
        else:
            share.todo.add(number)
    face_set.note_skipped(name, share.skipped.items(), settings)
    return share


def _clip_key(clip: Clip, faces: ClipFaces) -> str:
    """What tells this clip from others in a face set: a movie's content; a sequence's place, since its range may change."""
    if clip.kind != "sequence":
        return faces.sha256
    return hashlib.sha256(str(clip.source.absolute()).encode()).hexdigest()


def _known(face: TrackedFace | None, pictures: Iterable[KnownPicture]) -> KnownPicture | None:
    """The picture that an earlier gathering took of this very face, by its place: tracks may have other numbers now."""
    if face is None:
        return None
    x, y, side, _ = face.transform.params
    for picture in pictures:
        other_x, other_y, other_side, _ = CropTransform(matrix=picture.transform).params
        if math.hypot(x - other_x, y - other_y) < 0.2 * max(side, other_side):
            return picture
    return None


def _refusal(found: TrackedFace | None, anybody: bool, options: GatherOptions) -> str | None:
    """Why a face gives no picture, or None."""
    if found is None:
        return "somebody else's face only" if anybody else "no face found"
    face, height = found.face, canonical_transform(found.face).side * OVAL_SHARE
    if face.visible < options.min_visible:
        return f"half out of frame: {face.visible:.0%} of the face is inside"
    if abs(face.pose.yaw) > options.max_yaw:
        return f"profile: turned by {abs(face.pose.yaw):.0f}°, over {options.max_yaw:.0f}°"
    if abs(face.pose.pitch) > options.max_pitch:
        return f"turned {'up' if face.pose.pitch > 0 else 'down'} by {abs(face.pose.pitch):.0f}°, over {options.max_pitch:.0f}°"
    if height < options.min_face:
        return f"too small: {height:.0f} px from chin to forehead, under {options.min_face:.0f}"
    return None


def _settings(options: GatherOptions, person: Person) -> str:
    """What decides whether a frame is skipped, as a short text."""
    facts = {
        "limits": [options.max_yaw, options.max_pitch, options.min_face, options.min_visible, options.min_sharpness],
        "tracks": person.tracks,
        "track": asdict(options.track),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _crop(clip: Clip, faces: ClipFaces, shares: list[_Share], options: GatherOptions, progress: Progress) -> None:
    numbers = sorted({number for share in shares for number in share.todo})
    for place, frame in enumerate(_frames(clip, numbers)):
        picture = _pixels(frame)
        for share in shares:
            found = faces.face(frame.number, share.person.tracks) if frame.number in share.todo else None
            if found is not None:
                _write(share, frame.number, found, picture, options)
        progress("crop", place + 1, len(numbers))


def _frames(clip: Clip, numbers: list[int]) -> Iterator[Frame]:
    """The frames with these numbers, in order: a movie is read through, a sequence only where it is needed."""
    if clip.kind != "movie":
        yield from (clip.frame(number) for number in numbers)
        return
    wanted = set(numbers)
    for frame in clip if numbers else ():
        if frame.number in wanted:
            yield frame
        if frame.number >= numbers[-1]:
            return


def _pixels(frame: Frame) -> np.ndarray:
    """A frame as crops are cut from it: 8-bit display plates as they are, all else float32 view."""
    if frame.pixels.dtype == np.uint8 and frame.colour == ColourSpace.DISPLAY and frame.channels[:3] == ("R", "G", "B"):
        return np.ascontiguousarray(frame.pixels[..., :3])
    return frame.view()


def _write(share: _Share, number: int, found: TrackedFace, picture: np.ndarray, options: GatherOptions) -> None:
    size = options.size
    crop = found.transform.to_crop(picture, size)
    if crop.dtype != np.uint8:
        crop = np.round(np.clip(crop, 0, 1) * 65535).astype(np.uint16)
    landmarks = found.transform.points_to_crop(found.face.landmarks[:, :2], size)
    mask = face_mask(landmarks, size)
    if options.min_sharpness > 0 and (sharp := sharpness(crop, mask)) < options.min_sharpness:
        share.skipped[number] = f"blurred: sharpness {sharp:.3f}, under {options.min_sharpness:g}"
        share.face_set.note_skipped(share.clip, [(number, share.skipped[number])], share.settings)
        return
    share.face_set.add(
        clip=share.clip,
        number=number,
        track=found.face.track,
        picture=crop,
        mask=mask,
        landmarks=landmarks,
        transform=found.transform.matrix,
        pose=found.face.pose,
        plate_pixels=found.transform.side,
    )
    share.written += 1


def _finish(
    options: GatherOptions, share: _Share, clip: Clip, faces: ClipFaces, finder: FaceFinder
) -> GatheredIdentity:
    face_set = share.face_set
    if options.again:
        face_set.finish_again(share.clip)
    if not (share.written or share.kept or share.gone):
        raise FaceError(
            f"No frame of {clip.source} gives a usable picture of {share.identity}: {_tally(share.skipped)}."
        )
    entries = face_set.entries()
    if not entries:
        raise DatasetError(
            f"{face_set.folder} holds no picture any more: all were deleted or dropped. Gather with --again to have them back."
        )
    sheet = sheet_of_scores(
        face_set, score_entries(face_set, entries), sort="name", title=f"{share.identity}: {len(entries)} pictures",
        most=_SHEET_PICTURES,
    )  # fmt: skip
    longest = max(
        (track for track in faces.tracks if track.track in share.person.tracks), key=lambda track: track.num_frames
    )
    record = RunRecord.begin("gather", options)
    record.inputs[str(options.source)] = faces.sha256
    record.weights.update(finder.weights)
    record.add_consent(share.identity, share.consent)
    record.figures = {
        "files": [str(path) for path in clip_files(clip)[:1]],
        "written": share.written,
        "kept": share.kept,
        "skipped": len(share.skipped),
        "jitter": asdict(longest.jitter),
    }
    return GatheredIdentity(
        identity=share.identity,
        folder=face_set.folder,
        person=share.person.number,
        written=share.written,
        kept=share.kept,
        gone=share.gone,
        total=len(entries),
        skipped=tuple(SkippedFrame(number=number, reason=share.skipped[number]) for number in sorted(share.skipped)),
        jitter=longest.jitter,
        sheet=write_sheet(face_set.folder / "contact_sheet.png", sheet),
        record=record.write(face_set.folder / "records" / share.clip),
    )


def _tally(skipped: Mapping[int, str]) -> str:
    """Such as ``120 frames half out of frame, 3 frames no face found``."""
    counts: dict[str, int] = {}
    for reason in skipped.values():
        kind = reason.split(":")[0]
        counts[kind] = counts.get(kind, 0) + 1
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {'frame' if count == 1 else 'frames'} {kind}" for kind, count in ranked)
