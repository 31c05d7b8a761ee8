"""The faces of a whole clip: landmarks, steady crops and jitter, kept in one SQLite file, read a frame at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from understudy.dataset.database import Database
from understudy.faces.align import CropTransform
from understudy.faces.face import Face, Pose

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS frames (number INTEGER PRIMARY KEY, place INTEGER, time REAL);
CREATE TABLE IF NOT EXISTS faces (
    number INTEGER, track INTEGER, landmarks BLOB, raw BLOB, score REAL, yaw REAL, pitch REAL, roll REAL, visible REAL,
    has_iris INTEGER, blendshapes BLOB, x REAL, y REAL, side REAL, angle REAL,
    smooth_x REAL, smooth_y REAL, smooth_side REAL, smooth_angle REAL, PRIMARY KEY (number, track));
CREATE INDEX IF NOT EXISTS faces_of_track ON faces (track, number);
CREATE TABLE IF NOT EXISTS tracks (
    track INTEGER PRIMARY KEY, num_frames INTEGER, first INTEGER, last INTEGER, side REAL,
    landmarks_before REAL, landmarks_after REAL, crop_before REAL, crop_after REAL);
"""
_COLUMNS = (
    "number, track, landmarks, score, yaw, pitch, roll, visible, has_iris, blendshapes, "
    "smooth_x, smooth_y, smooth_side, smooth_angle"
)
_READ_AT_ONCE = 256  # faces held while a clip is walked through


@dataclass(frozen=True, kw_only=True)
class TrackedFace:
    """A face in one frame of a clip: its stabilised landmarks, and its crop, steady over time."""

    face: Face
    transform: CropTransform


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """Shake from frame to frame in plate pixels (root mean square, motion taken out), before and after.

    ``landmarks`` are single measurements against stabilised ones; ``crop`` is the crop's corners as single measurements
    give them against the steadied ones. None where a track is shorter than five frames.
    """

    landmarks_before: float | None = None
    landmarks_after: float | None = None
    crop_before: float | None = None
    crop_after: float | None = None

    @classmethod
    def of(cls, figures: Sequence[float | None]) -> Jitter:
        """From four figures in the fields' order; not-a-number becomes None."""
        return cls(
            **{
                name: None if figure is None or math.isnan(figure) else float(figure)
                for name, figure in zip(cls.__dataclass_fields__, figures, strict=True)
            }
        )


@dataclass(frozen=True, kw_only=True)
class TrackSummary:
    """One face followed through a clip. ``side`` is the crop's median side in plate pixels."""

    track: int
    num_frames: int
    first: int
    last: int
    side: float
    jitter: Jitter


@dataclass(frozen=True, kw_only=True)
class RawTrack:
    """One track's series over its frames, in order: what smoothing and jitter are computed from.

    Attributes:
        numbers: (T,) int64 frame numbers; ``times`` (T,) float64 seconds.
        params: (T, 4) float64 x, y, side, angle of the canonical crop.
        points, raw_points: (T, P, 2) float32 stable points in plate pixels, stabilised and as first measured.
        raw_corners: (T, 4, 2) float32 plate pixels, the crop's corners as the first measurement alone gives them.
    """

    track: int
    numbers: np.ndarray
    times: np.ndarray
    params: np.ndarray
    points: np.ndarray
    raw_points: np.ndarray
    raw_corners: np.ndarray


class ClipFaces:
    """Every face of a clip by frame number. Made by :func:`understudy.jobs.track.track_clip`.

    Attributes:
        path: the SQLite file; it may be deleted when this is closed.
        sha256: of the clip's content.
        rate: frames a second.
    """

    def __init__(self, path: Path, *, sha256: str = "", rate: Fraction = Fraction(24)) -> None:
        self.path, self.sha256, self.rate = path, sha256, rate
        self._database = Database(path, _SCHEMA, version=_VERSION, mend="delete it, it will be made again")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> ClipFaces:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def numbers(self) -> list[int]:
        """Frame numbers that were looked at, in the clip's order."""
        return [row[0] for row in self._database.rows("SELECT number FROM frames ORDER BY place")]

    @property
    def tracks(self) -> tuple[TrackSummary, ...]:
        """The faces that were followed, in the order in which they appear."""
        rows = self._database.rows("SELECT * FROM tracks ORDER BY first, track")
        return tuple(
            TrackSummary(
                track=track,
                num_frames=num_frames,
                first=first,
                last=last,
                side=side,
                jitter=Jitter.of(figures),
            )
            for track, num_frames, first, last, side, *figures in rows
        )

    def faces(self, number: int) -> list[TrackedFace]:
        """The faces of one frame, in the order of their tracks; empty where there is none."""
        query = f"SELECT {_COLUMNS} FROM faces WHERE number = ? ORDER BY track"
        return [_tracked_face(row) for row in self._database.rows(query, (number,))]

    def face(self, number: int, tracks: Sequence[int]) -> TrackedFace | None:
        """The face of one person, who may have several tracks, in one frame."""
        return next((found for found in self.faces(number) if found.face.track in tracks), None)

    def numbers_of(self, tracks: Sequence[int]) -> list[int]:
        """The numbers of the frames that show any of ``tracks``, in the clip's order."""
        marks = ", ".join("?" * len(tracks))
        query = (
            "SELECT DISTINCT faces.number FROM faces JOIN frames ON frames.number = faces.number "
            f"WHERE track IN ({marks}) ORDER BY place"
        )
        return [row[0] for row in self._database.rows(query, list(tracks))]

    def __iter__(self) -> Iterator[tuple[int, list[TrackedFace]]]:
        """Frame numbers in order with their faces; memory does not grow with the clip."""
        numbers = self.numbers
        for start in range(0, len(numbers), _READ_AT_ONCE):
            part = numbers[start : start + _READ_AT_ONCE]
            found: dict[int, list[TrackedFace]] = {number: [] for number in part}
            for row in self._database.rows(
                f"SELECT {_COLUMNS} FROM faces WHERE number BETWEEN ? AND ? ORDER BY track", (min(part), max(part))
            ):
                if row[0] in found:
                    found[row[0]].append(_tracked_face(row))
            yield from found.items()

    # -- writing, by jobs/track.py -----------------------------------------------------------------

    def is_done(self, stage: str) -> bool:
        """Whether "tracked" or "smoothed" is finished for the whole clip."""
        return self._database.row("SELECT 1 FROM settings WHERE key = ?", (stage,)) is not None

    def set_done(self, stage: str) -> None:
        """Note that a stage is finished."""
        self._database.execute("INSERT OR REPLACE INTO settings VALUES (?, 'done')", (stage,))

    def frames_done(self) -> set[int]:
        """Numbers of the frames whose faces are whole in the file."""
        return {row[0] for row in self._database.rows("SELECT number FROM frames")}

    def add_frame(
        self, number: int, place: int, time: float, faces: Sequence[tuple[Face, CropTransform, np.ndarray]]
    ) -> None:
        """Write one frame whole: its faces with stabilised landmarks, their crops, and as first measured (P + 4, 2) the
        stable points and the crop's corners.
        """
        with self._database.transaction():
            self._database.execute("DELETE FROM faces WHERE number = ?", (number,))
            self._database.execute_many(
                "INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL)",
                [
                    (
                        number, face.track, np.asarray(face.landmarks, np.float32).tobytes(),
                        np.asarray(raw, np.float32).tobytes(), float(face.score), face.pose.yaw, face.pose.pitch,
                        face.pose.roll, face.visible, int(face.has_iris),
                        None if face.blendshapes is None else np.asarray(face.blendshapes, np.float32).tobytes(),
                        *transform.params,
                    )
                    for face, transform, raw in faces
                ],
            )  # fmt: skip
            self._database.execute("INSERT OR REPLACE INTO frames VALUES (?, ?, ?)", (number, place, time))

    def raw_tracks(self, points: np.ndarray) -> Iterator[RawTrack]:
        """Each track's series, one track at a time; ``points`` are the indices of the stable points."""
        for (track,) in self._database.rows("SELECT DISTINCT track FROM faces ORDER BY track"):
            numbers, times, params, stable, raw = [], [], [], [], []
            query = (
                "SELECT faces.number, time, x, y, side, angle, landmarks, raw FROM faces "
                "JOIN frames ON frames.number = faces.number WHERE track = ? ORDER BY place"
            )
            for number, time, x, y, side, angle, landmarks, raw_points in self._database.each(query, (track,)):
                numbers.append(number)
                times.append(time)
                params.append((x, y, side, angle))
                stable.append(np.frombuffer(landmarks, np.float32).reshape(-1, 3)[points, :2])
                raw.append(np.frombuffer(raw_points, np.float32).reshape(-1, 2))
            yield RawTrack(
                track=track,
                numbers=np.array(numbers),
                times=np.array(times),
                params=np.array(params),
                points=np.stack(stable),
                raw_points=np.stack(raw)[:, :-4],
                raw_corners=np.stack(raw)[:, -4:],
            )

    def set_track(self, track: RawTrack, smooth: np.ndarray, jitter: Jitter) -> None:
        """Write a track's smoothed crops (T, 4) and its summary."""
        with self._database.transaction():
            self._database.execute_many(
                "UPDATE faces SET smooth_x = ?, smooth_y = ?, smooth_side = ?, smooth_angle = ? "
                "WHERE number = ? AND track = ?",
                [
                    (*map(float, row), int(number), track.track)
                    for number, row in zip(track.numbers, smooth, strict=True)
                ],
            )
            self._database.execute(
                "INSERT OR REPLACE INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    track.track, len(track.numbers), int(track.numbers[0]), int(track.numbers[-1]),
                    float(np.median(smooth[:, 2])), jitter.landmarks_before, jitter.landmarks_after,
                    jitter.crop_before, jitter.crop_after,
                ),
            )  # fmt: skip


def _tracked_face(row: tuple) -> TrackedFace:
    _, track, landmarks, score, yaw, pitch, roll, visible, has_iris, blendshapes, *params = row
    points = np.frombuffer(landmarks, np.float32).reshape(-1, 3)
    mesh = points[:468, :2]
    return TrackedFace(
        face=Face(
            box=np.concatenate([mesh.min(axis=0), mesh.max(axis=0)]),
            landmarks=points,
            score=score,
            pose=Pose(yaw=yaw, pitch=pitch, roll=roll),
            track=track,
            blendshapes=None if blendshapes is None else np.frombuffer(blendshapes, np.float32),
            visible=visible,
            has_iris=bool(has_iris),
        ),
        transform=CropTransform.from_params(*params),
    )
