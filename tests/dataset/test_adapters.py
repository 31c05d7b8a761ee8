"""Published data sets in their own layouts, as tiny made-up folders."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.dataset.adapters import LAYOUTS, read_layout
from understudy.dataset.adapters.openface import read_units
from understudy.dataset.labelled import read_folder
from understudy.dataset.labelled_cut import cut_labelled
from understudy.errors import DatasetError, OptionError
from understudy.faces.action_units import ActionUnit
from understudy.faces.align import mean_mesh


def openface_csv(path: Path, faces: list[tuple[float, float]], space: str = "") -> None:
    """One picture's table: a line a face with its confidence and AU12."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [
        "face",
        "confidence",
        "gaze_0_x",
        *(f"{u.name}_r" for u in ActionUnit),
        *(f"{u.name}_c" for u in ActionUnit),
    ]
    lines = [("," + space).join(names)]
    for number, (confidence, smile) in enumerate(faces):
        units = [str(smile if unit is ActionUnit.AU12 else 0.0) for unit in ActionUnit]
        lines.append(("," + space).join([str(number), str(confidence), "0.1", *units, *["0"] * 17]))
    path.write_text("\n".join(lines) + "\n")


def photograph(path: Path, *, x: float = 80.0, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(picture, (160, 120)))


def test_openface_takes_the_surest_face(tmp_path: Path):
    openface_csv(tmp_path / "openface" / "a.csv", [(0.6, 1.0), (0.95, 3.0), (0.7, 5.0)])
    openface_csv(tmp_path / "openface" / "b.csv", [(0.9, 2.0)], space=" ")
    openface_csv(tmp_path / "openface" / "unsure.csv", [(0.2, 2.0)])
    units = read_units(tmp_path)
    assert sorted(units) == ["a", "b"]
    assert units["a"][ActionUnit.AU12] == 3.0 and units["b"][ActionUnit.AU12] == 2.0


def test_openface_in_one_table(tmp_path: Path):
    openface_csv(tmp_path / "one.csv", [(0.9, 1.0), (0.9, 2.0)])
    header, *rows = (tmp_path / "one.csv").read_text().splitlines()
    named = [f"picture,{header}", *(f"img/{name}.jpg,{row}" for name, row in zip("xy", rows, strict=True))]
    (tmp_path / "openface.csv").write_text("\n".join(named))
    assert {name: float(row[ActionUnit.AU12]) for name, row in read_units(tmp_path).items()} == {"x": 1.0, "y": 2.0}


@pytest.mark.parametrize("text", ["frame,confidence\n1,0.9\n", "", "a,b\n1,2\n"])
def test_tables_that_are_not_openfaces(tmp_path: Path, text: str):
    (tmp_path / "openface").mkdir()
    (tmp_path / "openface" / "a.csv").write_text(text)
    with pytest.raises(DatasetError, match="OpenFace 2"):
        read_units(tmp_path)


def celeba(folder: Path, *, split: bool = True) -> None:
    for number in range(1, 5):
        photograph(folder / "Img" / "img_align_celeba" / f"00000{number}.jpg")
        openface_csv(folder / "openface" / f"00000{number}.csv", [(0.9, number / 2)])
    (folder / "Anno").mkdir()
    rows = [f"00000{number}.jpg  1 {1 if number % 2 else -1} -1" for number in range(1, 6)]
    (folder / "Anno" / "list_attr_celeba.txt").write_text("5\nYoung Smiling Wearing_Hat\n" + "\n".join(rows))
    (folder / "Anno" / "identity_CelebA.txt").write_text("".join(f"00000{n}.jpg {n % 2}\n" for n in range(1, 6)))
    if split:
        (folder / "Eval").mkdir()
        parts = "".join(f"00000{n}.jpg {max(0, n - 2)}\n" for n in range(1, 6))
        (folder / "Eval" / "list_eval_partition.txt").write_text(parts)


def test_celeba(tmp_path: Path):
    celeba(tmp_path)
    entries = read_layout("celeba", tmp_path)
    assert [entry.expression for entry in entries] == ["smile", "neutral"] * 2
    assert [entry.part for entry in entries] == ["train", "train", "test", "test"]
    assert [entry.person for entry in entries] == ["1", "0", "1", "0"]
    assert [float(entry.units[ActionUnit.AU12]) for entry in entries if entry.units is not None] == [0.5, 1.0, 1.5, 2.0]
    assert not any(entry.setup for entry in entries), "no two pictures differ by the expression alone"


def test_rafd_splits_by_model(tmp_path: Path):
    for model in range(1, 41):
        for angle in ("000", "090", "135"):
            for expression in ("happy", "neutral"):
                name = f"Rafd{angle}_{model:02d}_Caucasian_female_{expression}_frontal.jpg"
                (tmp_path / f"{model:02d}").mkdir(exist_ok=True)
                (tmp_path / f"{model:02d}" / name).write_bytes(b"x")
    (tmp_path / "Rafd_notes.txt").write_text("not a photograph")
    entries = read_layout("rafd", tmp_path)
    assert len(entries) == 40 * 2 * 2, "profiles are left out"
    parts = {part: {entry.person for entry in entries if entry.part == part} for part in ("train", "test")}
    assert not parts["train"] & parts["test"] and parts["test"] and len(parts["train"]) > 30
    assert {entry.expression for entry in entries} == {"happy", "neutral"}


def test_rafd_knows_its_expressions(tmp_path: Path):
    (tmp_path / "Rafd090_01_Caucasian_male_bored_left.jpg").write_bytes(b"x")
    with pytest.raises(DatasetError, match="'bored'"):
        read_layout("rafd", tmp_path)


def test_emotionnet_by_the_published_table(tmp_path: Path):
    for name in ("a.jpg", "b.jpg", "both.jpg"):
        photograph(tmp_path / "images" / name)
    (tmp_path / "URLsWithEmotionCat_aws.csv").write_text(
        "URL,orig,'Angrily disgusted',happy,sadly_angry\n"
        "http://host/emotionet/N_1/a.jpg,0,0,1,0\nhttp://host/b.jpg,0,1,0,0\nhttp://host/both.jpg,0,1,1,0\n"
        "http://host/never_fetched.jpg,0,0,0,1\n"
    )
    entries = read_layout("emotionnet", tmp_path)
    assert {entry.picture.name: entry.expression for entry in entries} == {
        "a.jpg": "happy",
        "b.jpg": "angrily disgusted",
    }


def test_emotionnet_by_names_or_the_published_codes_numbers(tmp_path: Path):
    for name in ("a.jpg", "b.jpg"):
        photograph(tmp_path / name)
    (tmp_path / "labels.csv").write_text("picture,expression\na.jpg,25\nb.jpg,Awed\n")
    assert [entry.expression for entry in read_layout("emotionnet", tmp_path)] == ["fearfully angry", "awed"]
    (tmp_path / "labels.csv").write_text("picture,expression\na.jpg,26\n")
    with pytest.raises(DatasetError, match="'26'"):
        read_layout("emotionnet", tmp_path)


def test_emotionnet_with_units_alone(tmp_path: Path):
    for name in ("a.jpg", "b.jpg"):
        photograph(tmp_path / name)
    openface_csv(tmp_path / "openface" / "a.csv", [(0.9, 1.0)])
    assert [entry.picture.name for entry in read_layout("emotionnet", tmp_path)] == ["a.jpg"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_other_folders_are_named(tmp_path: Path, layout: str):
    with pytest.raises(DatasetError, match="is not laid out as"):
        read_layout(layout, tmp_path)


def test_unknown_layouts_are_named(tmp_path: Path):
    with pytest.raises(OptionError, match="folder, celeba, emotionnet, multipie, rafd"):
        read_layout("ffhq", tmp_path)


def test_the_expressions_are_those_that_the_warping_family_is_trained_for():
    from understudy.dataset.adapters import emotionnet, rafd

    recipes = pytest.importorskip("understudy.families.warping.recipes")
    assert emotionnet.EXPRESSIONS == recipes.EMOTIONNET
    assert rafd.EXPRESSIONS == recipes.RAFD


def test_whole_pictures_become_a_folder_of_crops(tmp_path: Path):
    celeba(tmp_path / "set", split=False)
    (tmp_path / "set" / "Img" / "img_align_celeba" / "000004.jpg").write_bytes(b"no picture")
    asked = []

    def find(picture: np.ndarray) -> np.ndarray | None:
        asked.append(picture.shape)
        return None if len(asked) == 2 else (mean_mesh() * 60 + (80, 60, 0)).astype(np.float32)

    entries = read_layout("celeba", tmp_path / "set")
    report = cut_labelled(entries, tmp_path / "crops", find=find, side=48)
    assert report.faceless == ("000002.jpg", "000004.jpg")
    read = read_folder(tmp_path / "crops")
    assert [entry.expression for entry in read] == ["smile", "smile"]
    assert [float(e.units[ActionUnit.AU12]) for e in read if e.units is not None] == [0.5, 1.5]
    crop = cv2.imread(str(read[0].picture))
    assert crop is not None and crop.shape == (48, 48, 3)
    before = read[0].picture.stat().st_mtime_ns
    cut_labelled(entries, tmp_path / "crops", find=lambda _: None, side=48)
    assert read[0].picture.stat().st_mtime_ns == before, "what was cut is not cut again"


def test_no_face_at_all_is_said(tmp_path: Path):
    celeba(tmp_path)
    with pytest.raises(DatasetError, match="None of the 4 pictures"):
        cut_labelled(read_layout("celeba", tmp_path), tmp_path / "crops", find=lambda _: None)
