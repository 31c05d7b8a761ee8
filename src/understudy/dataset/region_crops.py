"""Face crops with their region maps: what regional inversion and its generator learn from.

The folder is a face parser's (:mod:`understudy.dataset.region_pictures`); crops are canonical
(``faces.align.canonical_transform``). A picture without landmarks is a crop already and is taken
whole, as CelebAMask-HQ's and FFHQ's are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from understudy.dataset.batches import SMALLEST_SET, Portion, generator_for
from understudy.dataset.region_augment import RegionAugment, augmented
from understudy.dataset.region_pictures import _ENDINGS, decode, pairs_in, read_landmarks
from understudy.errors import DatasetError
from understudy.faces.regions import Region

Progress = Callable[[str, int, int | None], None]
_SAMPLES = 12
STILL = RegionAugment(zoom=0, shift=0, rotation=0, squeeze=0, bend=0, disguise=0, light=0, camera=0, mesh=0)
"""The plain crop."""
DETAIL = np.zeros(len(Region), np.float32)
"""How much more a pixel of a region counts where details do: a few pixels decide whether a face looks alive."""
DETAIL[[Region.EYES, Region.MOUTH]] = 3.0
DETAIL[[Region.LIPS, Region.BROWS]] = 2.0
DETAIL[[Region.NOSE, Region.SKIN, Region.GLASSES]] = 1.0


@dataclass(frozen=True, kw_only=True)
class RegionEntry:
    """A picture, and what is known about it."""

    picture: Path
    regions: Path | None = None
    """8-bit gray of the picture's size, or of a divisor of it where the picture is a crop; None: all is background."""
    points: np.ndarray | None = None
    """(478, 3) the face's mesh in picture pixels; None: the picture is a crop already."""
    person: str = ""


class RegionCrops:
    """Entries as batches (see ``understudy.training.loop.Batches``). Files stay in memory as they are on disk while they fit."""

    def __init__(
        self,
        entries: Sequence[RegionEntry],
        *,
        oval_share: float = 0.5,
        augment: RegionAugment = STILL,
        flip: float = 0.5,
        seed: int = 0,
        rank: int = 0,
        budget: int = 4_000_000_000,
    ) -> None:
        """
        Args:
            oval_share: height of the face in the crops, as share of their side.
            augment: how crops are changed; those without points are only mirrored.
            flip: share of crops that are mirrored (regions know no sides).

        Raises:
            DatasetError: too few pictures.
        """
        if len(entries) < SMALLEST_SET:
            raise DatasetError(f"there are {len(entries)} usable pictures and training needs at least {SMALLEST_SET}.")
        self.entries, self.oval_share, self.augment, self.flip = list(entries), oval_share, augment, flip
        self.seed, self.rank = seed, rank
        self.people = sorted({entry.person for entry in self.entries})
        self._budget, self._kept = budget, dict[Path, bytes]()

    def __len__(self) -> int:
        return len(self.entries)

    def crop(
        self, index: int, size: int, numbers: np.random.Generator, augment: RegionAugment, flip: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """(size, size, 3) uint8 RGB and (size, size) uint8 regions.

        Raises:
            DatasetError: no pictures, of unlike sizes, or with unknown ids.
        """
        picture, regions = self._read(self.entries[index], size)
        points = self.entries[index].points
        if points is not None:
            made = augmented(
                picture, regions, points, size=size, oval_share=self.oval_share, settings=augment, numbers=numbers
            )
            picture, regions = made.picture, made.regions
        if numbers.random() < flip:
            picture, regions = picture[:, ::-1], regions[:, ::-1]
        return picture, regions

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        """One portion of ``each`` crops of ``size`` pixels."""
        numbers, _ = generator_for(self.seed, step, self.rank)
        chosen = numbers.integers(len(self.entries), size=each)
        return [_portion([self.crop(int(index), size, numbers, self.augment, self.flip) for index in chosen])]

    def sample(self, *, each: int, size: int) -> list[Portion]:
        """The same pictures every time, unchanged."""
        chosen = np.linspace(0, len(self.entries) - 1, min(_SAMPLES, len(self.entries))).round().astype(int)
        numbers = np.random.default_rng(self.seed)
        return [_portion([self.crop(int(index), size, numbers, STILL, 0.0) for index in chosen])]

    def _read(self, entry: RegionEntry, size: int) -> tuple[np.ndarray, np.ndarray]:
        picture, regions = read_entry(entry, read=self._bytes)
        if entry.points is not None:
            return picture, regions
        if len(set(picture.shape[:2])) > 1 or len(set(regions.shape)) > 1:
            raise DatasetError(f"{entry.picture} or its regions are not square, and it has no landmarks to cut it by.")
        if len(picture) != size:
            shrinks = size < len(picture)
            picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        if len(regions) != size:
            regions = cv2.resize(regions, (size, size), interpolation=cv2.INTER_NEAREST)
        return picture, regions

    def _bytes(self, path: Path) -> bytes:
        if path in self._kept:
            return self._kept[path]
        data = _from_disk(path)
        if len(data) <= self._budget:
            self._budget -= len(data)
            self._kept[path] = data
        return data


def read_entry(entry: RegionEntry, *, read: Callable[[Path], bytes] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A whole picture (H, W, 3) uint8 RGB and its regions (H, W) uint8, which may be smaller where there are no landmarks.

    Args:
        read: what reads files; None for the disk.

    Raises:
        DatasetError: unreadable, of unlike sizes, or with unknown ids.
    """
    read = read or _from_disk
    picture = decode(read(entry.picture), entry.picture)
    if entry.regions is None:
        return picture, np.zeros(picture.shape[:2], np.uint8)
    regions = decode(read(entry.regions), entry.regions, colour=False)
    if regions.max() >= len(Region):
        raise DatasetError(
            f"{entry.regions} holds the id {regions.max()}; regions are 0 to {len(Region) - 1} (docs/regions.md)."
        )
    if entry.points is not None and regions.shape != picture.shape[:2]:
        raise DatasetError(
            f"{entry.regions} has another size than its picture; they must be the same where there are landmarks."
        )
    return picture, regions


def _from_disk(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error


def read_region_folder(folder: Path, *, progress: Progress = lambda *_: None) -> list[RegionEntry]:
    """A parser's folder, or one of pictures alone (then nothing is known of their regions, and they are crops).

    Raises:
        DatasetError: not such a folder.
        WeightsError: landmarks must be made and the face models are not at hand.
    """
    if not folder.is_dir():
        raise DatasetError(f"--data {folder} is no folder.")
    if (folder / "pictures").is_dir():
        paths = pairs_in(folder)
        points = read_landmarks(folder, paths, progress=progress)
        return [
            RegionEntry(picture=picture, regions=regions, points=points[name], person=name.rsplit("_", 1)[0])
            for name, (picture, regions) in paths.items()
            if name in points
        ]
    pictures = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
    if not pictures:
        raise DatasetError(
            f"--data {folder} should hold the folders pictures and regions, or pictures (docs/train.md)."
        )
    return [RegionEntry(picture=path, person=path.stem) for path in pictures]


def _portion(crops: Sequence[tuple[np.ndarray, np.ndarray]]) -> Portion:
    import torch

    pictures = torch.from_numpy(np.stack([picture for picture, _ in crops])).permute(0, 3, 1, 2).float().div_(255)
    regions = np.stack([regions for _, regions in crops])
    return Portion(
        identity="people",
        inputs=pictures,
        targets=pictures,
        weights=torch.from_numpy(DETAIL[regions])[:, None],
        regions=torch.from_numpy(regions),
    )
