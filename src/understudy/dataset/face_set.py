"""One identity's faces on disk.

    faces/anna/
      pictures/anna_01.001042.0.png     the crop: clip, frame number, track
      masks/anna_01.001042.0.png        the face's hull in it, 8-bit gray; may be repainted by hand
      dropped/anna_01.001017.0.png      crops taken out of the set; moving one back restores it
      face_set.sqlite                   everything else

The folders are the truth about what is in the set: a picture deleted by hand is gone and stays gone, one moved to
``dropped`` is dropped. A row in the database is written after its picture, so a row without a picture means that a
person removed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from understudy.dataset.database import Database
from understudy.dataset.measures import picture_hash, sharpness
from understudy.dataset.pictures import encode_png, names_in, read_png, resized, sweep
from understudy.errors import DatasetError, InternalError, OptionError, storage_guard
from understudy.faces.face import Pose
from understudy.provenance.atomic import write_bytes

FILE = "face_set.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS clips (
    name TEXT PRIMARY KEY, sha256 TEXT UNIQUE, source TEXT, generation INTEGER DEFAULT 0, again_open INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS faces (
    name TEXT PRIMARY KEY, clip TEXT, number INTEGER, track INTEGER, generation INTEGER, landmarks BLOB, transform BLOB,
    yaw REAL, pitch REAL, roll REAL, sharpness REAL, plate_pixels REAL, hash BLOB, reason TEXT);
CREATE INDEX IF NOT EXISTS faces_of_clip ON faces (clip, number);
CREATE TABLE IF NOT EXISTS skipped (
    clip TEXT, number INTEGER, reason TEXT, generation INTEGER, settings TEXT, PRIMARY KEY (clip, number));
CREATE TABLE IF NOT EXISTS vectors (name TEXT, embedder TEXT, vector BLOB, PRIMARY KEY (name, embedder));
"""
_ENTRY_COLUMNS = (
    "name, clip, number, track, landmarks, transform, yaw, pitch, roll, sharpness, plate_pixels, hash, reason"
)


@dataclass(frozen=True, kw_only=True)
class FaceEntry:
    """One crop of a face set.

    Attributes:
        name: unique in the set; the file name without ``.png``.
        path, mask_path: the picture, and the mask (the mask is redrawn from the landmarks if it was deleted).
        landmarks: (478, 2) float32 pixels of the stored crop (``FaceSet.size`` pixels a side).
        transform: (2, 3) float64, plate pixels -> the unit square of the crop.
        pose: degrees.
        sharpness: see :func:`understudy.dataset.measures.sharpness`.
        plate_pixels: the crop's side in plate pixels; below ``FaceSet.size`` the crop was enlarged.
        hash: 32 bytes, see :func:`understudy.dataset.measures.picture_hash`.
        clip, number, track: where it is from; ``number`` is the plate's own.
        dropped: None in the set, else the reason (may be empty).
    """

    name: str
    path: Path
    mask_path: Path
    landmarks: np.ndarray = field(repr=False)
    transform: np.ndarray = field(repr=False)
    pose: Pose
    sharpness: float
    plate_pixels: float
    hash: bytes = field(repr=False)
    clip: str
    number: int
    track: int
    dropped: str | None = None


@dataclass(frozen=True, kw_only=True)
class KnownPicture:
    """A picture that a clip has given: its frame, the crop's ``transform`` (2, 3), and whether its file is still here."""

    number: int
    transform: np.ndarray = field(repr=False)
    present: bool


@dataclass(frozen=True, kw_only=True)
class ClipState:
    """What a face set already knows of one clip: resuming starts from here.

    ``pictures`` holds what was ever written, by frame number, also what was removed by hand since; ``skipped`` the reasons
    of frames without a picture.
    """

    pictures: dict[int, list[KnownPicture]]
    skipped: dict[int, str]

    @property
    def written(self) -> set[int]:
        """Frames that gave a picture which is here."""
        return {number for number, known in self.pictures.items() if any(picture.present for picture in known)}

    @property
    def gone(self) -> set[int]:
        """Frames whose pictures were all removed by hand."""
        return set(self.pictures) - self.written


class FaceSet:
    """A folder of crops. Use :meth:`open` or :meth:`create`."""

    def __init__(self, folder: Path, size: int, database: Database) -> None:
        self.folder, self.size = folder, size
        self._database = database

    @classmethod
    def open(cls, folder: Path | str) -> FaceSet:
        """Open a face set that exists.

        Raises:
            DatasetError: there is none, or its database is damaged.
        """
        folder = Path(folder)
        if not (folder / FILE).is_file():
            raise DatasetError(f"{folder} holds no face set (no {FILE}): gather footage of this identity first.")
        database = _database(folder)
        row = database.row("SELECT value FROM settings WHERE key = 'size'")
        if row is None:
            database.close()
            raise DatasetError(f"{folder / FILE} says nothing about the pictures' size; {_MEND}.")
        sweep(folder)
        return cls(folder, int(row[0]), database)

    @classmethod
    def create(cls, folder: Path | str, size: int) -> FaceSet:
        """Open the face set in ``folder``, made with crops of ``size`` pixels a side if there is none.

        Raises:
            OptionError: it exists with another size.
            StorageError: full disk or no permission.
        """
        folder = Path(folder)
        if not 16 <= size <= 4096:
            raise OptionError(f"A crop of {size} pixels cannot be made: size must be from 16 to 4096.")
        if not (folder / FILE).is_file():
            database = _database(folder)
            database.execute("INSERT OR IGNORE INTO settings VALUES ('size', ?)", (str(size),))
            database.close()
        with storage_guard(folder):
            for name in ("pictures", "masks"):
                (folder / name).mkdir(exist_ok=True)
        face_set = cls.open(folder)
        if face_set.size != size:
            face_set.close()
            raise OptionError(
                f"{folder} holds crops of {face_set.size} pixels and {size} were asked for: "
                f"use size {face_set.size}, or move the folder away and gather anew."
            )
        return face_set

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> FaceSet:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "size": self.size}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"], state["size"], _database(state["folder"]))

    # -- reading ------------------------------------------------------------

    def entries(self, *, dropped: bool = False) -> list[FaceEntry]:
        """The pictures of the set in the order of clip and frame, or (``dropped``) those that were taken out of it."""
        return [entry for entry in self._all_entries() if (entry.dropped is not None) == dropped]

    def __len__(self) -> int:
        return len(self.entries())

    def load(self, entry: FaceEntry, size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The picture (size, size, 3), RGB in view space, and its mask (size, size); both float32 in [0, 1].

        Raises:
            DatasetError: a file cannot be read.
        """
        size = size or self.size
        picture = read_png(entry.path, colour=True)
        if not entry.mask_path.exists():
            self._redraw_mask(entry)
        return resized(picture, size), resized(read_png(entry.mask_path, colour=False), size)

    def clip_state(self, clip: str, settings: str = "") -> ClipState:
        """What is known of ``clip``: in a repeated gathering (:meth:`start_again`), only what that one has done so far.

        Skipped frames are known only if they were skipped with the same ``settings``.
        """
        generation = self._generation(clip)
        here = set(self._pictures()) | set(self._dropped())
        rows = self._database.rows(
            "SELECT name, number, transform FROM faces WHERE clip = ? AND generation >= ?", (clip, generation)
        )
        skipped = self._database.rows(
            "SELECT number, reason FROM skipped WHERE clip = ? AND generation >= ? AND settings = ?",
            (clip, generation, settings),
        )
        pictures: dict[int, list[KnownPicture]] = {}
        for name, number, transform in rows:
            matrix = np.frombuffer(transform, np.float64).reshape(2, 3)
            known = KnownPicture(number=number, transform=matrix, present=name in here)
            pictures.setdefault(number, []).append(known)
        return ClipState(pictures=pictures, skipped=dict(skipped))

    def vectors(self, embedder: str) -> dict[str, np.ndarray]:
        """Stored embeddings by picture name, float32."""
        rows = self._database.rows("SELECT name, vector FROM vectors WHERE embedder = ?", (embedder,))
        return {name: np.frombuffer(blob, np.float32) for name, blob in rows}

    # -- writing ------------------------------------------------------------

    def clip_name(self, source: Path | str, sha256: str) -> str:
        """The name under which this clip's pictures are filed; another clip of the same file name gets another."""
        row = self._database.row("SELECT name FROM clips WHERE sha256 = ?", (sha256,))
        if row:
            return row[0]
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(source).stem).strip("_") or "clip"
        for name in (stem, f"{stem}-{sha256[:8]}", f"{stem}-{sha256}"):
            if self._database.execute(
                "INSERT OR IGNORE INTO clips (name, sha256, source) VALUES (?, ?, ?)", (name, sha256, str(source))
            ):
                return name
            row = self._database.row("SELECT name FROM clips WHERE sha256 = ?", (sha256,))
            if row:  # another process was faster
                return row[0]
        raise InternalError(f"no name is free for {source}")

    def start_again(self, clip: str) -> None:
        """Forget what was done for ``clip``, so that it is gathered anew; goes on with one that was interrupted."""
        self._database.execute(
            "UPDATE clips SET generation = generation + 1, again_open = 1 WHERE name = ? AND again_open = 0", (clip,)
        )

    def finish_again(self, clip: str) -> None:
        """The repeated gathering of ``clip`` is done."""
        self._database.execute("UPDATE clips SET again_open = 0 WHERE name = ?", (clip,))

    def add(
        self,
        *,
        clip: str,
        number: int,
        track: int,
        picture: np.ndarray,
        mask: np.ndarray,
        landmarks: np.ndarray,
        transform: np.ndarray,
        pose: Pose,
        plate_pixels: float,
    ) -> str:
        """Write one crop, its mask and what is known of it; returns its name. One of the same name is replaced.

        Args:
            clip: from :meth:`clip_name`.
            number: the plate's frame number.
            track: the face's track in the clip.
            picture: (size, size, 3) RGB in view space, uint8 or uint16.
            mask: (size, size) float in [0, 1] or uint8.
            landmarks: (478, 2) pixels of the crop.
            transform: (2, 3) plate pixels -> unit square of the crop.
            pose: degrees.
            plate_pixels: the crop's side in plate pixels.

        Raises:
            StorageError: full disk or no permission; nothing is half written.
        """
        if picture.shape != (self.size, self.size, 3) or picture.dtype not in (np.uint8, np.uint16):
            raise InternalError(
                f"a crop of shape {picture.shape}, {picture.dtype} was given to a set of size {self.size}"
            )
        if mask.dtype != np.uint8:
            mask = np.clip(np.round(np.asarray(mask, np.float32) * 255), 0, 255).astype(np.uint8)
        name = f"{clip}.{number:06d}.{track}"
        where = "dropped" if (self.folder / "dropped" / f"{name}.png").exists() else "pictures"
        write_bytes(self.folder / "masks" / f"{name}.png", encode_png(mask))
        write_bytes(self.folder / where / f"{name}.png", encode_png(picture))
        values = (
            name, clip, number, track, self._generation(clip, current=True),
            np.asarray(landmarks, np.float32)[:, :2].tobytes(), np.asarray(transform, np.float64).tobytes(),
            pose.yaw, pose.pitch, pose.roll, sharpness(picture, mask), float(plate_pixels), picture_hash(picture),
        )  # fmt: skip
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) "
                "ON CONFLICT (name) DO UPDATE SET "
                "generation = excluded.generation, landmarks = excluded.landmarks, transform = excluded.transform, "
                "yaw = excluded.yaw, pitch = excluded.pitch, roll = excluded.roll, sharpness = excluded.sharpness, "
                "plate_pixels = excluded.plate_pixels, hash = excluded.hash",
                values,
            )
            self._database.execute("DELETE FROM vectors WHERE name = ?", (name,))
            self._database.execute("DELETE FROM skipped WHERE clip = ? AND number = ?", (clip, number))
        return name

    def note_skipped(self, clip: str, reasons: Iterable[tuple[int, str]], settings: str = "") -> None:
        """Keep why frames of ``clip`` gave no picture under these ``settings`` (any text that stands for them)."""
        generation = self._generation(clip, current=True)
        self._database.execute_many(
            "INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?, ?)",
            [(clip, number, reason, generation, settings) for number, reason in reasons],
        )

    def store_vectors(self, embedder: str, vectors: dict[str, np.ndarray]) -> None:
        """Keep embeddings (any length, float32) of pictures by name."""
        self._database.execute_many(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
            [(name, embedder, np.asarray(vector, np.float32).tobytes()) for name, vector in vectors.items()],
        )

    def drop(self, names: Iterable[str], reason: str = "") -> list[str]:
        """Take pictures out of the set, into ``dropped/``. Returns the names that were in it.

        Raises:
            DatasetError: the set has no picture of that name; nothing is dropped.
        """
        return self._move(names, "pictures", "dropped", reason)

    def restore(self, names: Iterable[str]) -> list[str]:
        """Bring dropped pictures back. Returns the names that were dropped.

        Raises:
            DatasetError: no picture of that name; nothing is restored.
        """
        return self._move(names, "dropped", "pictures", None)

    # -- inside ------------------------------------------------------------

    def _move(self, names: Iterable[str], origin: str, goal: str, reason: str | None) -> list[str]:
        names = list(dict.fromkeys(name.removesuffix(".png") for name in names))
        there = {"pictures": self._pictures(), "dropped": self._dropped()}
        missing = [name for name in names if name not in there["pictures"] and name not in there["dropped"]]
        if missing:
            more = f" (and {len(missing) - 1} others)" if len(missing) > 1 else ""
            raise DatasetError(
                f"{self.folder} has no picture named {missing[0]!r}{more}; the names are those of the files."
            )
        moved = [name for name in names if name in there[origin]]
        with storage_guard(self.folder / goal):
            (self.folder / goal).mkdir(exist_ok=True)
            self._database.execute_many(
                "UPDATE faces SET reason = ? WHERE name = ?", [(reason, name) for name in moved]
            )
            for name in moved:
                (self.folder / origin / f"{name}.png").replace(self.folder / goal / f"{name}.png")
        return moved

    def _all_entries(self) -> Iterator[FaceEntry]:
        pictures, dropped = self._pictures(), self._dropped()
        for row in self._database.rows(f"SELECT {_ENTRY_COLUMNS} FROM faces ORDER BY clip, number, track"):
            name, clip, number, track, points, transform, yaw, pitch, roll, sharp, plate_pixels, bits, reason = row
            if name not in pictures and name not in dropped:
                continue
            yield FaceEntry(
                name=name,
                path=self.folder / ("pictures" if name in pictures else "dropped") / f"{name}.png",
                mask_path=self.folder / "masks" / f"{name}.png",
                landmarks=np.frombuffer(points, np.float32).reshape(-1, 2),
                transform=np.frombuffer(transform, np.float64).reshape(2, 3),
                pose=Pose(yaw=yaw, pitch=pitch, roll=roll),
                sharpness=sharp,
                plate_pixels=plate_pixels,
                hash=bits,
                clip=clip,
                number=number,
                track=track,
                dropped=None if name in pictures else (reason or ""),
            )

    def _pictures(self) -> set[str]:
        return names_in(self.folder / "pictures")

    def _dropped(self) -> set[str]:
        return names_in(self.folder / "dropped")

    def _generation(self, clip: str, *, current: bool = False) -> int:
        """The least generation that counts as done, or (``current``) the one that new rows get."""
        row = self._database.row("SELECT generation, again_open FROM clips WHERE name = ?", (clip,))
        generation, again_open = row or (0, 0)
        return generation if current or again_open else 0

    def _redraw_mask(self, entry: FaceEntry) -> None:
        from understudy.faces.parse import face_mask

        mask = face_mask(entry.landmarks, self.size)
        write_bytes(entry.mask_path, encode_png(np.clip(np.round(mask * 255), 0, 255).astype(np.uint8)))


_MEND = "move the folder away and gather the footage again"


def _database(folder: Path) -> Database:
    return Database(folder / FILE, _SCHEMA, version=_VERSION, mend=_MEND)
