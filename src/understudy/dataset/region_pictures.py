"""Pictures with region maps: what a face parser learns from.

A folder holds::

    pictures/NAME.jpg (.jpeg, .png)   whole pictures, each with one face that is meant; NAME is PERSON or PERSON_NUMBER
    regions/NAME.png                  8-bit gray of the same size: the ids of :class:`understudy.faces.regions.Region`
    landmarks.npz                     names (N,) and points (N, 478, 3): the meshes in picture pixels; made where it is missing
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.dataset.batches import SMALLEST_SET, Portion, generator_for
from understudy.dataset.region_augment import RegionAugment, RegionCrop, augmented, cut, mistaken
from understudy.errors import DatasetError
from understudy.faces.align import canonical_transform
from understudy.faces.parse import GUIDE, region_guide
from understudy.faces.regions import Region
from understudy.provenance.atomic import replacing

if TYPE_CHECKING:
    from understudy.dataset.labelled_cut import Find

PICTURES, REGIONS, LANDMARKS = "pictures", "regions", "landmarks.npz"
_ENDINGS = (".jpg", ".jpeg", ".png")
_SAMPLES = 12
Progress = Callable[[str, int, int | None], None]


class RegionPictures:
    """A folder's pictures as batches (see ``understudy.training.loop.Batches``).

    ``inputs`` are (B, 3 + guide, s, s): RGB in [0, 1] and the mesh's masks in [0, 1]; ``targets`` (B, 1, s, s) region ids as
    floats; ``weights`` (B, 1, s, s) 0 where nobody knows the region, else 1. Files stay in memory as they are on disk while they
    fit the budget.
    """

    def __init__(
        self,
        folder: Path,
        *,
        oval_share: float = 0.42,
        guide: bool = True,
        unguided: float = 0.1,
        augment: RegionAugment | None = None,
        seed: int = 0,
        rank: int = 0,
        paths: dict[str, tuple[Path, Path]] | None = None,
        budget: int = 3_000_000_000,
        find: Find | None = None,
        progress: Progress = lambda *_: None,
    ) -> None:
        """
        Args:
            folder: see this module; with ``paths``, where the landmarks are kept.
            paths: picture and region map by name, for pictures that lie elsewhere; None: the folder's own.
            oval_share: height of the face in the crops, as share of their side.
            guide: give the mesh's masks beside the picture.
            unguided: share of the crops whose masks are empty, so that the parser does not live by them alone.
            find: the face finder, where ``landmarks.npz`` must be made; None for MediaPipe's models.

        Raises:
            DatasetError: not such a folder, files without their fellows, other sizes, unknown ids, too few pictures.
            WeightsError: landmarks must be made and the face models are not at hand.
        """
        self.folder, self.oval_share, self.guide, self.unguided = folder, oval_share, guide, unguided
        self.augment, self.seed, self.rank = augment or RegionAugment(), seed, rank
        paths = pairs_in(folder) if paths is None else paths
        points = read_landmarks(folder, paths, find=find, progress=progress)
        self.names = [name for name in paths if name in points]
        if len(self.names) < SMALLEST_SET:
            raise DatasetError(
                f"{folder} has {len(self.names)} pictures whose face was found; at least {SMALLEST_SET} are needed."
            )
        # NAME is PERSON or PERSON_NUMBER.
        self.people = sorted({name.rsplit("_", 1)[0] for name in self.names})
        self._points = [points[name] for name in self.names]
        self._paths, self._budget = paths, budget
        self._kept: dict[Path, bytes] = {}

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A picture (H, W, 3) uint8 RGB, its regions (H, W) uint8 and its mesh (478, 3) in pixels."""
        picture_path, regions_path = self._paths[self.names[index]]
        rgb = decode(self._bytes(picture_path), picture_path)
        labels = decode(self._bytes(regions_path), regions_path, colour=False)
        points = self._points[index]
        if rgb.shape[:2] != labels.shape:
            times = rgb.shape[0] // max(1, labels.shape[0])
            # CelebAMask-HQ's pictures are twice as large as its maps.
            if times < 2 or rgb.shape[:2] != (labels.shape[0] * times, labels.shape[1] * times):
                raise DatasetError(
                    f"{regions_path} has {labels.shape[1]} x {labels.shape[0]} pixels and its picture {rgb.shape[1]} x "
                    f"{rgb.shape[0]}; they must be the same, or the picture twice, three times... as large."
                )
            rgb = cv2.resize(rgb, labels.shape[::-1], interpolation=cv2.INTER_AREA)
            points = points / times
        if labels.max() >= len(Region):
            raise DatasetError(
                f"{regions_path} holds the id {labels.max()}; regions are 0 to {len(Region) - 1} (docs/regions.md)."
            )
        return rgb, labels, points

    def _bytes(self, path: Path) -> bytes:
        if path in self._kept:
            return self._kept[path]
        data = path.read_bytes()
        if len(data) <= self._budget:
            self._budget -= len(data)
            self._kept[path] = data
        return data

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        """One portion of ``each`` crops of ``size`` pixels."""
        numbers, _ = generator_for(self.seed, step, self.rank)
        crops, guides = [], []
        for index in numbers.integers(len(self.names), size=each):
            crop = augmented(
                *self.read(int(index)), size=size, oval_share=self.oval_share, settings=self.augment, numbers=numbers
            )
            crops.append(crop)
            shown = numbers.random() >= self.unguided
            points = mistaken(crop.points, self.augment, numbers)
            guides.append(region_guide(points, size) if shown else np.zeros((len(GUIDE), size, size), np.uint8))
        return [self._portion(crops, guides)]

    def sample(self, *, each: int, size: int) -> list[Portion]:
        """The same pictures every time, unchanged."""
        chosen = np.linspace(0, len(self.names) - 1, min(_SAMPLES, len(self.names))).round().astype(int)
        crops = []
        for index in chosen:
            picture, regions, points = self.read(int(index))
            transform = canonical_transform(points, oval_share=self.oval_share)
            crops.append(cut(picture, regions, points, transform, size))
        return [self._portion(crops, [region_guide(crop.points, size) for crop in crops])]

    def _portion(self, crops: Sequence[RegionCrop], guides: Sequence[np.ndarray]) -> Portion:
        import torch

        pictures = torch.from_numpy(np.stack([crop.picture for crop in crops])).permute(0, 3, 1, 2)
        parts = [pictures, torch.from_numpy(np.stack(guides))] if self.guide else [pictures]
        return Portion(
            identity="people",
            inputs=torch.cat(parts, 1).float().div_(255),
            targets=torch.from_numpy(np.stack([crop.regions for crop in crops]))[:, None].float(),
            weights=torch.from_numpy(np.stack([crop.known for crop in crops]))[:, None].float(),
        )


def pairs_in(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Picture and region map by name, sorted.

    Raises:
        DatasetError: not such a folder, or a picture without regions.
    """
    if not (folder / PICTURES).is_dir() or not (folder / REGIONS).is_dir():
        raise DatasetError(
            f"--data {folder} should hold the folders {PICTURES} and {REGIONS}, files of the same name in both (docs/regions.md)."
        )
    found = {}
    for path in sorted((folder / PICTURES).iterdir()):
        if path.suffix.lower() not in _ENDINGS or path.name.startswith("."):
            continue
        regions = folder / REGIONS / f"{path.stem}.png"
        if not regions.is_file():
            raise DatasetError(f"{path} has no region map {regions}; put it there or take the picture away.")
        found[path.stem] = (path, regions)
    return found


def read_landmarks(
    folder: Path,
    paths: dict[str, tuple[Path, Path]],
    *,
    find: Find | None = None,
    progress: Progress = lambda *_: None,
) -> dict[str, np.ndarray]:
    """Meshes (478, 3) by name; measured and kept in the folder where there is no file of them. Faceless pictures have none."""
    path = folder / LANDMARKS
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as arrays:
                names, points = arrays["names"].tolist(), arrays["points"].astype(np.float32)
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{path} cannot be read ({error}); delete it, it will be made again.") from error
        if points.shape != (len(names), 478, 3):
            raise DatasetError(f"{path} holds points of shape {points.shape}; they should be ({len(names)}, 478, 3).")
        return dict(zip(names, points, strict=True))
    from understudy.dataset.labelled_cut import largest_face_finder

    find = find or largest_face_finder()
    measured = {}
    for done, (name, (picture, _)) in enumerate(paths.items()):
        progress("faces", done, len(paths))
        mesh = find(decode(picture.read_bytes(), picture))
        if mesh is not None:
            measured[name] = np.asarray(mesh, np.float32)
    progress("faces", len(paths), len(paths))
    if measured:
        with replacing(path) as temporary:
            np.savez_compressed(temporary, names=np.array(list(measured)), points=np.stack(list(measured.values())))
    return measured


def decode(data: bytes, path: Path, *, colour: bool = True) -> np.ndarray:
    """A picture file's bytes as (H, W, 3) uint8 RGB, or a gray one's as (H, W) uint8 ids.

    Raises:
        DatasetError: no picture.
    """
    # Gray of an indexed PNG would be its colours' brightness: ids are read as they are.
    flag = cv2.IMREAD_COLOR if colour else cv2.IMREAD_UNCHANGED
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    if pixels is None:
        raise DatasetError(f"{path} cannot be read as a picture; put it right or take it away.")
    if colour:
        return np.ascontiguousarray(pixels[..., ::-1])
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise DatasetError(f"{path} is no 8-bit gray picture of region ids; save it as gray, with the ids as values.")
    return pixels
