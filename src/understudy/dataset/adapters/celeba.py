"""CelebA (Liu, Luo, Wang, Tang 2015) as it is published.

``img_align_celeba/*.jpg`` (or ``img_celeba/``), ``list_attr_celeba.txt``, ``list_eval_partition.txt`` and
``identity_CelebA.txt``, all below the folder or in its ``Anno/``, ``Eval/`` and ``Img/``. The attribute Smiling gives the
expressions ``neutral`` and ``smile``; ``openface/`` (see :mod:`understudy.dataset.adapters.openface`) gives units. Of the three
parts, validation and test are kept for tests.
"""

from __future__ import annotations

from pathlib import Path

from understudy.dataset.adapters.openface import read_units
from understudy.dataset.labelled import Labelled
from understudy.errors import DatasetError

_PLACES = ("", "Anno", "Eval", "Img")
_PICTURES = ("img_align_celeba", "img_celeba", "img_align_celeba_png")


def read(folder: Path) -> list[Labelled]:
    """CelebA's pictures with whether they smile, who is on them, and units where OpenFace's tables are there.

    Raises:
        DatasetError: no pictures or no attributes there.
    """
    pictures = next((found for name in _PICTURES if (found := _find(folder, name)) and found.is_dir()), None)
    attributes = _find(folder, "list_attr_celeba.txt")
    if pictures is None or attributes is None:
        raise DatasetError(
            f"{folder} is not laid out as CelebA: it should hold img_align_celeba/ and list_attr_celeba.txt, here or in Img/ and "
            f"Anno/."
        )
    smiling = _smiling(attributes)
    parts = _numbers(_find(folder, "list_eval_partition.txt"))
    people = _numbers(_find(folder, "identity_CelebA.txt"))
    units = read_units(folder)
    entries = []
    for path in sorted(pictures.iterdir()):
        name = f"{path.stem}.jpg"  # the tables speak of .jpg, also for the .png archive
        if name not in smiling:
            continue
        entries.append(
            Labelled(
                picture=path,
                person=people.get(name, path.stem),
                part="train" if parts.get(name, "0") == "0" else "test",
                expression="smile" if smiling[name] else "neutral",
                units=units.get(path.stem),
            )
        )
    if not entries:
        raise DatasetError(f"{pictures} holds none of the pictures that {attributes} lists.")
    return entries


def _find(folder: Path, name: str) -> Path | None:
    return next((folder / place / name for place in _PLACES if (folder / place / name).exists()), None)


def _smiling(path: Path) -> dict[str, bool]:
    # A line with the count, a line with 40 names, then a line a picture: 1 or -1 each.
    lines = path.read_text().splitlines()
    names = lines[1].split() if len(lines) > 1 else []
    if "Smiling" not in names:
        raise DatasetError(f"{path} names no attribute Smiling in its second line; it should be CelebA's own table.")
    place = names.index("Smiling") + 1
    rows = [line.split() for line in lines[2:] if line.strip()]
    if any(len(row) != len(names) + 1 for row in rows):
        raise DatasetError(f"{path} has a line with another number of attributes than its header.")
    return {row[0]: row[place] == "1" for row in rows}


def _numbers(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    return {row[0]: row[1] for line in path.read_text().splitlines() if len(row := line.split()) == 2}
