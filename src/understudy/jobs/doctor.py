"""What this machine offers Understudy: each finding with what it means and, where something is missing, what to do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from understudy.errors import UnderstudyError

Progress = Callable[[str, int, int | None], None]

GIB = 1 << 30


class State(StrEnum):
    """How a finding stands."""

    OK = "ok"
    LIMITED = "limited"
    """Works, with less: slower, or without some measure."""
    MISSING = "missing"
    """Understudy cannot do its work without."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding."""

    name: str
    state: State
    found: str
    advice: str = ""
    """What to do; empty where nothing needs doing."""


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """Options of :func:`doctor`."""

    folder: Path = field(default=Path(), metadata={"help": "The folder whose disk is looked at."})


@dataclass(frozen=True, kw_only=True)
class DoctorReport:
    """All findings; ``healthy`` when nothing is missing."""

    healthy: bool
    checks: tuple[Check, ...]


def doctor(options: DoctorOptions | None = None, progress: Progress = lambda stage, done, total: None) -> DoctorReport:
    """Look at everything Understudy needs. Nothing is changed, and the network is not asked."""
    options = options or DoctorOptions()
    checks: list[Check] = []
    for looks in (
        _python,
        _packages,
        _torch,
        _memory,
        lambda: _disk(options.folder),
        _face_models,
        _evaluators,
        _codecs,
        _pictures,
    ):
        checks += looks()
    return DoctorReport(healthy=all(check.state is not State.MISSING for check in checks), checks=tuple(checks))


def _python() -> Iterator[Check]:
    good = sys.version_info >= (3, 11)
    yield Check(
        name="python",
        state=State.OK if good else State.MISSING,
        found=f"{platform.python_version()} at {sys.executable}",
        advice=""
        if good
        else "Understudy needs Python 3.11 or newer; run `make PYTHON=/path/to/python3 setup` with one.",
    )


def _packages() -> Iterator[Check]:
    """Every package that our own metadata asks for, at a version that it allows."""
    missing = []
    requirements = importlib.metadata.requires("understudy") or []
    for requirement in requirements:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[ <>=!~;\[]", requirement, maxsplit=1)[0]
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    yield Check(
        name="packages",
        state=State.MISSING if missing else State.OK,
        found=f"missing: {', '.join(missing)}" if missing else "all that Understudy asks for",
        advice="Run `make setup`, or `pip install -c constraints.txt -e .`" if missing else "",
    )


def _torch() -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Check(
        name="processor",
        state=State.OK if cores >= 2 else State.LIMITED,
        found=f"{processor_name()}, {cores} core{'s' if cores > 1 else ''} for us",
        advice="" if cores >= 2 else "The demo is measured on two cores and takes about twice as long on one.",
    )
    if importlib.util.find_spec("torch") is None:
        yield Check(name="torch", state=State.MISSING, found="not installed", advice="Run `make setup`.")
        return
    import torch

    from understudy.tensors import choose_device, fast_precision

    yield Check(name="torch", state=State.OK, found=f"{torch.__version__}, {torch.get_num_threads()} threads")
    device = choose_device("auto")
    if device == "cpu":
        yield Check(
            name="gpu",
            state=State.LIMITED,
            found="none",
            advice="The preview preset is made for this; larger presets want a GPU.",
        )
    else:
        name = torch.cuda.get_device_name(0) if device == "cuda" else device
        size = f", {torch.cuda.get_device_properties(0).total_memory / GIB:.0f} GiB" if device == "cuda" else ""
        yield Check(name="gpu", state=State.OK, found=name + size)
    bf16 = fast_precision(device) == "bf16"
    yield Check(
        name="bf16",
        state=State.OK if bf16 else State.LIMITED,
        found="computed by the hardware" if bf16 else "not in this hardware, so float32 is used",
        advice="" if bf16 else "Nothing to do; training takes two to three times as long as with bf16.",
    )


def _memory() -> Iterator[Check]:
    size = memory_bytes()
    if size is None:
        return
    yield Check(
        name="memory",
        state=State.OK if size >= 7 * GIB else State.LIMITED,
        found=f"{size / GIB:.0f} GiB",
        advice=""
        if size >= 7 * GIB
        else "The preview preset wants about 4 GiB free; close other programs while training.",
    )


def _disk(folder: Path) -> Iterator[Check]:
    folder = folder.expanduser().resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK)
    advice = "" if writable else f"{folder} cannot be written; work in another folder, or change its permissions."
    if writable and free < 5 * GIB:
        advice = "A project needs some GiB for frames and runs; free some space, or work on another disk."
    yield Check(
        name="disk",
        state=State.MISSING if not writable else State.LIMITED if free < 5 * GIB else State.OK,
        found=f"{free / GIB:.0f} GiB free at {folder}",
        advice=advice,
    )


def _face_models() -> Iterator[Check]:
    from understudy.provenance import weights

    whole = None
    for alternative in weights.GROUPS["faces"]:
        try:
            paths = [weights.find(name) for name in alternative]
        except UnderstudyError:
            continue
        whole = (alternative, paths[0].parent)
        break
    if whole is None:
        yield Check(
            name="face models", state=State.MISSING, found="none", advice="Run `understudy weights pull faces`."
        )
        return
    names, folder = whole
    best = names == weights.GROUPS["faces"][0]
    yield Check(
        name="face models",
        state=State.OK if best else State.LIMITED,
        found=f"{', '.join(names)} in {folder}",
        advice=""
        if best
        else "This older mesh has no blendshapes; `understudy weights pull face-landmarker` fetches the newer.",
    )


def _evaluators() -> Iterator[Check]:
    from understudy.metrics.identity import missing_identity
    from understudy.metrics.lpips import missing_lpips

    for name, missing in (("LPIPS", missing_lpips()), ("identity", missing_identity())):
        yield Check(
            name=f"measure {name}",
            state=State.LIMITED if missing else State.OK,
            found="not available; reports leave it out" if missing else "available",
            advice=missing or "",
        )


def _codecs() -> Iterator[Check]:
    if importlib.util.find_spec("av") is None:
        yield Check(name="movies", state=State.MISSING, found="PyAV is not installed", advice="Run `make setup`.")
        return
    import av
    import av.codec

    def lacks(names: tuple[str, ...], mode: str) -> list[str]:
        missing = []
        for name in names:
            try:
                av.codec.Codec(name, mode)  # pyright: ignore[reportArgumentType]
            except Exception:  # PyAV has one error class per FFmpeg code
                missing.append(name)
        return missing

    readers, writers = ("h264", "hevc", "prores", "dnxhd", "vp9", "av1"), ("libx264", "libx265", "prores_ks", "ffv1")
    missing = [
        *(f"reading {name}" for name in lacks(readers, "r")),
        *(f"writing {name}" for name in lacks(writers, "w")),
    ]
    yield Check(
        name="movies",
        state=State.LIMITED if missing else State.OK,
        found=f"PyAV {av.__version__} "
        + (f"without {', '.join(missing)}" if missing else f"with {', '.join((*readers, *writers))}"),
        advice="Install PyAV from its wheel (`pip install --force-reinstall av`), or work with image sequences."
        if missing
        else "",
    )


def _pictures() -> Iterator[Check]:
    if importlib.util.find_spec("OpenImageIO") is None:
        yield Check(
            name="pictures", state=State.MISSING, found="OpenImageIO is not installed", advice="Run `make setup`."
        )
        return
    import OpenImageIO as oiio  # noqa: N813  (its own name is long)

    known = str(oiio.get_string_attribute("format_list")).split(",")
    missing = [name for name in ("openexr", "png", "jpeg", "tiff", "dpx") if name not in known]
    yield Check(
        name="pictures",
        state=State.LIMITED if missing else State.OK,
        found=f"OpenImageIO {oiio.VERSION_STRING} "
        + (f"without {', '.join(missing)}" if missing else "with EXR, PNG, JPEG, TIFF, DPX"),
        advice="Install OpenImageIO from its wheel (`pip install --force-reinstall OpenImageIO`)." if missing else "",
    )


def processor_name() -> str:
    """The processor's own name where the system tells it, otherwise its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_bytes() -> int | None:
    """Memory that we may use: the machine's, or the container's limit where that is less; None where unknown."""
    sizes = []
    with suppress(AttributeError, ValueError, OSError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(sizes) if sizes else None
