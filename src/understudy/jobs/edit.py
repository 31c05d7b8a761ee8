"""A still with the regions of its face changed: their texture from other pictures, their shape by a repainted map.

The face is taken apart once: a crop, its region map, a texture for every region. The changed face and the unchanged one are made by
the model, and what differs between them is laid into the still at its own size; all other pixels stay bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy import __version__
from understudy.composite.regions import lay_regions
from understudy.errors import MediaError, OptionError
from understudy.faces.align import canonical_transform
from understudy.faces.face import Face
from understudy.faces.regions import PALETTE, Region
from understudy.jobs.options_edit import EditOptions, Style
from understudy.jobs.parsers import named_parser
from understudy.jobs.picture_consent import picture_consent
from understudy.jobs.project import CAST_FILE, Project, find_project
from understudy.jobs.region_files import name_of, read_regions
from understudy.jobs.sheet import Sheet, write_sheet
from understudy.jobs.still_face import face_of_still
from understudy.jobs.track import FaceFinder, MediaPipeFinder, track_clip
from understudy.media.clip import Clip, create_clip, open_clip
from understudy.media.frame import Frame
from understudy.media.pattern import PICTURE_SUFFIXES, Pattern
from understudy.perform.region_faces import RegionFace, find_editor, map_in_crop, plate_regions, region_face
from understudy.provenance.record import DIGITAL_SOURCE_TYPE, RunRecord
from understudy.provenance.stamp import Stamp

if TYPE_CHECKING:
    from understudy.family import Parser, RegionEditor

__all__ = ["EditOptions", "EditReport", "edit_regions"]

Progress = Callable[[str, int, int | None], None]

_INDIFFERENT = ("output", "device", "project", "consent", "run")
_GROWN, _SOFT = 0.008, 0.008  # of the crop's side: how far a changed region is grown, and softened
_SHEET_SIDE = 256


@dataclass(frozen=True, kw_only=True)
class EditReport:
    """What editing did.

    Attributes:
        output: the edited picture.
        model: the checkpoint; ``family`` is whose.
        changed: region -> share of the face's crop in which its texture or shape changed, 0 to 1.
        fit: what the fitting went by, with weights; empty where nothing was fitted.
        fit_before, fit_after: how far off the picture the model was, before and after fitting.
        notes: what a person should know, in sentences.
        sheet: the picture, its regions and what was made of them.
        people_sheet: everybody in the still, where there are several.
        record: the run record.
        seconds: by stage: "track", "read", "fit", "make", "all".
    """

    output: Path
    model: Path | None
    family: str
    changed: Mapping[str, float]
    fit: Mapping[str, float]
    fit_before: float | None
    fit_after: float | None
    notes: tuple[str, ...]
    sheet: Path
    people_sheet: Path | None
    record: Path
    seconds: Mapping[str, float]


def edit_regions(
    options: EditOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    editor: RegionEditor | None = None,
    parser: Parser | None = None,
    finder: FaceFinder | None = None,
) -> EditReport:
    """Change the regions of a still's face.

    Args:
        options: what and how.
        progress: called with ("track", "smooth", "fit" or "edit", done, total).
        editor: a model already open, instead of the one that the options name.
        parser: what tells regions apart; None for the one that the options name.
        finder: what finds faces; None for MediaPipe's models on this machine.

    Raises:
        OptionError: nothing that can be done, an unknown region, or one that a picture does not show.
        ConsentError: somebody in the pictures may not be rendered.
        CheckpointError: the model cannot be read, or does not edit.
        MediaError: a picture or the map cannot be read, or the output is not one picture.
        FaceError: no face, several and none chosen, or an unusable one.
        WeightsError: the face models are not on this machine.
        StorageError: full disk or no permission.
    """
    started = perf_counter()
    seconds = {"track": 0.0, "read": 0.0, "fit": 0.0, "make": 0.0}
    project = find_project(options.project, required=False)
    if options.project is not None and project is None:
        raise OptionError(f"--project {options.project} is no project: it has no {CAST_FILE}.")
    styles = [(_region(style), style) for style in options.styles]
    output = _output(options, project)
    record = RunRecord.begin("edit", options, digital_source_type=DIGITAL_SOURCE_TYPE)
    record.options = {key: value for key, value in record.options.items() if key not in _INDIFFERENT}
    for source in dict.fromkeys([options.still, *(style.picture for _, style in styles)]):
        own = source == options.still
        # Other people have records of their own; --consent speaks for them where they have none.
        given = options.consent if own or not Path(source).with_suffix(".consent.toml").is_file() else None
        identity = options.identity if own else None
        record.add_consent(*picture_consent(source, identity=identity, project=project, consent=given))
    model, family = None, "given"
    if editor is None:
        found, model = find_editor(_checkpoint(options, project), options.method)
        editor, family = found.editor(model, device=options.device), found.name
        record.add_weights(model)
    if parser is None:
        parser = named_parser(options.parser, project, device=options.device)
    if parser.source is not None:
        record.add_weights(parser.source)
    finder = finder or MediaPipeFinder(options.track)
    record.weights.update(finder.weights)
    reader = _Reader(options, project, editor, parser, finder, progress, record, seconds)
    with ExitStack() as stack:
        still = stack.enter_context(_open_still(options.still))
        frame = still.frame(still.numbers[0])
        face, people_sheet = reader.read(
            still, frame, options.still, person=options.person, sheet=_beside(output, "people.png")
        )
        textures = editor.read(face.crop[None], face.regions[None])
        values, shown = textures.values[0], textures.shown[0]
        fit, before, after, notes = {}, None, None, []
        if options.optimise:
            began = perf_counter()
            fit, missing = editor.terms()
            if not fit:
                raise OptionError("--optimise: none of the networks that this model is fitted by is at hand.")
            if missing:
                notes.append(
                    f"Fitted without {', '.join(missing)}, whose networks are not at hand (understudy weights list)."
                )
            values, curve = editor.optimise(
                face.crop,
                face.regions,
                values,
                steps=options.steps,
                progress=lambda done, total: progress("fit", done, total),
            )
            before, after = round(curve[0], 6), round(min(curve), 6)
            seconds["fit"] = perf_counter() - began

        edit = _Edit(values=values.copy(), shown=shown.copy(), regions=face.regions)
        for region, style in styles:
            edit.take(region, style, reader)
        if options.mask is not None:
            record.add_input(options.mask)
            painted = read_regions(options.mask, frame.size)
            edit.repaint(painted, reader.told(frame, options.still), face, options.mask, notes)
        for region, style in styles:
            if region not in edit.regions:
                raise OptionError(
                    f"--style {name_of(region)}={style.picture}: {options.still} shows no {name_of(region)} to put it on; leave it "
                    "out, or paint its shape with --mask."
                )
        progress("edit", 0, 1)
        began = perf_counter()
        unedited, edited = editor.make(np.stack([values, edit.values]), np.stack([face.regions, edit.regions]))
        alpha, replaced = edit.masks(face.regions, editor.size, everything=not (styles or options.mask is not None))
        # Without an edit, what is shown is how the model makes the picture: nothing of the picture's own is kept.
        keeps = options.detail == "keep" and bool(styles or options.mask is not None)
        patch = lay_regions(
            frame.view(),
            edited,
            face.transform,
            alpha,
            unedited=unedited if keeps else None,
            replaced=replaced if keeps else None,
            blend=options.blend,
        )
        result = _laid(frame, patch.box, patch.view, patch.matte)
        seconds["make"] = perf_counter() - began
        job = record.digest()
        stamp = Stamp(software=f"Understudy {__version__}", record_sha256=job)
        with create_clip(output, like=still, stamp=stamp, job=job) as writer:
            writer.write(result)
        progress("edit", 1, 1)
        sheet = _sheet(_beside(output, "sheet.png"), options, face, edit.regions, unedited, edited, result)
    seconds["all"] = perf_counter() - started
    changed = edit.changed(face.regions)
    record.figures = {
        "output": str(output),
        "changed": changed,
        "fit": [before, after],
        "notes": notes,
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
    }
    return EditReport(
        output=output,
        model=model,
        family=family,
        changed=changed,
        fit=fit,
        fit_before=before,
        fit_after=after,
        notes=tuple(notes),
        sheet=sheet,
        people_sheet=people_sheet,
        record=record.write(output),
        seconds=seconds,
    )


class _Reader:
    """Pictures to faces taken apart; every picture is read once."""

    def __init__(
        self,
        options: EditOptions,
        project: Project | None,
        editor: RegionEditor,
        parser: Parser,
        finder: FaceFinder,
        progress: Progress,
        record: RunRecord,
        seconds: dict[str, float],
    ) -> None:
        self._options, self._project, self._record, self._seconds = options, project, record, seconds
        self._editor, self._parser, self._finder, self._progress = editor, parser, finder, progress
        self._read: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._faces: dict[str, Face] = {}

    def read(
        self, still: Clip, frame: Frame, source: str, *, person: int | None, sheet: Path
    ) -> tuple[RegionFace, Path | None]:
        """The face of an open still, and the sheet of its people where there are several."""
        options, began = self._options, perf_counter()
        cache = self._project.tracks if self._project else None
        with track_clip(
            still, options=options.track, finder=self._finder, cache=cache, progress=self._progress
        ) as faces:
            self._record.inputs[source] = faces.sha256
            face, people = face_of_still(
                still,
                faces,
                source=source,
                sheet=sheet,
                person=person,
                min_visible=options.min_visible,
                max_yaw=options.max_yaw,
                alone=source != options.still,
            )
        tracked = perf_counter()
        self._faces[source] = face
        read = region_face(frame.view(), face.landmarks, canonical_transform(face), self._editor, self._parser)
        self._seconds["track"] += tracked - began
        self._seconds["read"] += perf_counter() - tracked
        return read, people

    def told(self, frame: Frame, source: str) -> np.ndarray:
        """The (H, W) region map that was there to be repainted, of a picture that was read before."""
        face = self._faces[source]
        return plate_regions(frame.view(), face.landmarks, canonical_transform(face), self._parser)

    def textures(self, source: str) -> tuple[np.ndarray, np.ndarray]:
        """(12, L) textures of a picture's face, and (12,) which regions it shows."""
        if source not in self._read:
            with _open_still(source) as still:
                sheet = Path(source).with_name(f"{Path(source).stem}.people.png")
                face, _ = self.read(still, still.frame(still.numbers[0]), source, person=None, sheet=sheet)
            found = self._editor.read(face.crop[None], face.regions[None])
            self._read[source] = found.values[0], found.shown[0]
        return self._read[source]


@dataclass(kw_only=True)
class _Edit:
    """Textures and shapes as they are to be."""

    values: np.ndarray
    shown: np.ndarray
    regions: np.ndarray
    styled: tuple[Region, ...] = ()

    def take(self, region: Region, style: Style, reader: _Reader) -> None:
        """A region's texture from another picture."""
        values, shown = reader.textures(style.picture)
        if not shown[region]:
            raise OptionError(
                f"--style {name_of(region)}={style.picture}: no {name_of(region)} can be seen in that picture."
            )
        share = np.float32(style.strength if self.shown[region] else 1.0)
        self.values[region] += share * (values[region] - self.values[region])
        self.styled += (region,)
        self.shown[region] = True

    def repaint(self, labels: np.ndarray, told: np.ndarray, face: RegionFace, path: Path, notes: list[str]) -> None:
        """Shapes by a map of the picture's size, where it is not the one that was ``told``.

        The told map follows the picture's edges, the crop's own does not quite: where nobody painted, the latter stays.
        """
        size = len(face.regions)
        painted = map_in_crop((labels != told).astype(np.uint8), face.transform, size) > 0
        regions = np.where(painted, map_in_crop(labels, face.transform, size), face.regions)
        new = [Region(value) for value in np.unique(regions) if not self.shown[value]]
        if new:
            names = ", ".join(name_of(region) for region in new)
            raise OptionError(
                f"--mask {path} paints {names}, which the picture does not show: give its look with "
                f"--style {name_of(new[0])}=PICTURE."
            )
        if np.array_equal(regions, self.regions):
            far = "changes only what lies far from the face" if (labels != told).any() else "is the map as it was read"
            notes.append(f"{path} {far}: no shape changes.")
        self.regions = regions

    def masks(self, before: np.ndarray, side: int, *, everything: bool) -> tuple[np.ndarray, np.ndarray]:
        """α and w of :func:`~understudy.composite.regions.lay_regions`, (side, side) each."""
        moved = before != self.regions
        touched = moved | np.isin(self.regions, self.styled)
        if everything:
            touched = np.ones_like(moved)
        return _soft(touched, side), _soft(moved, side)

    def changed(self, before: np.ndarray) -> dict[str, float]:
        """Region -> share of the crop that is now the region's and was not, or has another texture."""
        shares = {}
        for region in Region:
            own = self.regions == region
            touched = own if region in self.styled else own & (before != region)
            if touched.any():
                shares[name_of(region)] = round(float(touched.mean()), 5)
        return shares


def _soft(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask grown a little and softened, (side, side) float32."""
    if not mask.any() or mask.all():
        return np.full((side, side), float(mask.any()), np.float32)
    large = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR) >= 0.5
    radius = max(1, round(_GROWN * side))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown = cv2.dilate(large.astype(np.float32), kernel)
    return cv2.GaussianBlur(grown, (0, 0), max(0.7, _SOFT * side))


def _laid(frame: Frame, box: tuple[int, int, int, int], view: np.ndarray, matte: np.ndarray) -> Frame:
    x0, y0, x1, y1 = box
    height, width = frame.pixels.shape[:2]
    whole, where = np.zeros((height, width, 3), np.float32), np.zeros((height, width), bool)
    whole[y0:y1, x0:x1], where[y0:y1, x0:x1] = view, matte > 0
    return frame.with_view(whole, where)


def _region(style: Style) -> Region:
    names = {name_of(region): region for region in Region}
    if style.region not in names:
        raise OptionError(f"--style {style.region}={style.picture}: the regions are {', '.join(names)}.")
    return names[style.region]


def _checkpoint(options: EditOptions, project: Project | None) -> Path | None:
    if options.run is None:
        return None
    from understudy.jobs.train import resolve_checkpoint

    return resolve_checkpoint(options.run, project)


def _output(options: EditOptions, project: Project | None) -> Path:
    if options.output is None and project is None:
        raise OptionError("Outside a project, say where the result goes with --output.")
    still = Path(options.still)
    output = options.output or (project.renders / f"{still.stem}_edited{still.suffix}" if project else still)
    if output.suffix.lower() not in PICTURE_SUFFIXES or Pattern.of(output) is not None:
        raise OptionError(f"--output {output}: an edited still is one picture, such as edited.png.")
    return output


def _open_still(source: str) -> Clip:
    clip = open_clip(source)
    if clip.kind == "still":
        return clip
    clip.close()
    raise MediaError(f"{source} is a {clip.kind}; editing by region takes one picture.")


def _beside(output: Path, ending: str) -> Path:
    return output.with_name(f"{output.stem}.{ending}")


def _sheet(
    path: Path,
    options: EditOptions,
    face: RegionFace,
    regions: np.ndarray,
    unedited: np.ndarray,
    edited: np.ndarray,
    result: Frame,
) -> Path:
    side = _SHEET_SIDE
    shown = lambda labels: cv2.resize(PALETTE[labels], (side, side), interpolation=cv2.INTER_NEAREST) / np.float32(255)  # noqa: E731
    sized = lambda crop: cv2.resize(np.ascontiguousarray(crop, np.float32), (side, side), interpolation=cv2.INTER_AREA)  # noqa: E731
    after = np.clip(face.transform.to_crop(result.view(), side), 0, 1)
    pictures = [sized(face.crop), shown(face.regions), sized(unedited), shown(regions), sized(edited), after]
    columns: Sequence[str] = ("picture", "its regions", "the model's", "regions", "made", "result")
    return write_sheet(path, Sheet(title=Path(options.still).name, columns=columns, rows=[("", pictures)]), side=side)
