"""A frame's regions as files: numbers with a palette, one RGBA picture a region, or layers of an EXR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from understudy.errors import MediaError, OptionError
from understudy.faces.regions import PALETTE, Region
from understudy.jobs.options_regions import RegionsOptions
from understudy.media.clip import Clip
from understudy.media.formats.cryptomatte import channel_names, encode_layers, header, ranked
from understudy.media.formats.indexed_png import encode_indexed, read_indexed, texts_of_names
from understudy.media.formats.partial import PartialStore
from understudy.media.formats.picture_writer import encode_picture
from understudy.media.frame import Frame, quantise, to_unit
from understudy.media.pattern import MOVIE_SUFFIXES, Pattern

LAYER, RANKS = "CryptoRegion", 6
_MATTES = (".png", ".tif", ".tiff", ".exr")


def name_of(region: Region) -> str:
    """A region's name as users write it."""
    return region.name.lower()


def regions_named(names: Sequence[str]) -> tuple[Region, ...]:
    """The regions of these names, all of them for none.

    Raises:
        OptionError: a name that no region has.
    """
    known = {name_of(region): region for region in Region}
    for name in names:
        if name not in known:
            raise OptionError(f"--only {name}: the regions are {', '.join(known)}.")
    return tuple(known[name] for name in names) or tuple(Region)


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where regions go: checked against form and clip.

    Attributes:
        path: the picture, the pattern, or the folder of mattes.
        form: "indexed", "mattes" or "layers".
        regions: those that are written one by one.
    """

    path: Path
    form: str
    regions: tuple[Region, ...]


def plan_output(options: RegionsOptions, clip: Clip) -> Output:
    """What the options ask for.

    Raises:
        OptionError: an output that fits neither form nor clip, or a region that is none.
    """
    output = options.output or Path(f"{_stem(clip)}.regions{'.####' if len(clip) > 1 else ''}.png")
    form = _form(options, output)
    if options.only and form == "indexed":
        raise OptionError(f"--only is for mattes and layers, and {output} holds every region by its number.")
    if output.absolute() == clip.source.absolute():
        raise OptionError(f"--output {output} is the source itself; name another file.")
    if form != "mattes" and Pattern.of(output) is None and len(clip) > 1:
        raise OptionError(
            f"--output {output} is one picture, and {clip.source} has {len(clip)} frames: name a pattern such as "
            f"{output.with_name(f'{output.stem}.####{output.suffix}')}."
        )
    return Output(path=output, form=form, regions=regions_named(options.only))


class RegionFiles:
    """The files of a whole clip's regions. Frames are whole or absent; the same job goes on where it was.

    Attributes:
        form, destination, regions: as in :class:`Output`.
        done: numbers of the frames whose files are whole.
    """

    def __init__(self, output: Output, clip: Clip, *, job: str) -> None:
        self.form, self.destination, self.regions = output.form, output.path, output.regions
        self._pattern = Pattern.of(output.path)
        if self.form == "mattes":
            self._matte_pattern = _matte_pattern(output.path, numbered=len(clip) > 1)
        self._store = PartialStore(output.path, like=clip, job=job, settings=self.form)
        self.done = {
            number
            for number in self._store.logged() & set(clip.numbers)
            if all(file.is_file() for file in self.files(number))
        }

    def files(self, number: int) -> list[Path]:
        """The files of a frame."""
        if self.form == "mattes":
            return [self.matte_file(region, number) for region in self.regions]
        return [self._pattern.file(number) if self._pattern else self.destination]

    def matte_file(self, region: Region, number: int) -> Path:
        """The file of one region's matte."""
        path = self._matte_pattern.with_name(self._matte_pattern.name.replace("REGION", name_of(region)))
        pattern = Pattern.of(path)
        return pattern.file(number) if pattern else path

    def write(self, frame: Frame, shares: np.ndarray) -> None:
        """Write a frame's (H, W, 12) shares.

        Raises:
            StorageError: full disk or no permission.
        """
        for path, data in self._encoded(frame, shares):
            self._store.put(path, data)
        self._store.log(frame.number)
        self.done.add(frame.number)

    def close(self) -> None:
        """All frames are written."""
        self._store.clear()

    def _encoded(self, frame: Frame, shares: np.ndarray) -> Iterator[tuple[Path, bytes]]:
        if self.form == "indexed":
            yield self.files(frame.number)[0], indexed(shares)
        elif self.form == "layers":
            yield self.files(frame.number)[0], layered(shares, self.regions)
        else:
            for region in self.regions:
                path = self.matte_file(region, frame.number)
                yield path, encode_picture(matted(frame, shares[..., region]), path.suffix)


def read_regions(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A region map's numbers, (H, W) uint8.

    Args:
        path: a PNG with a palette, or gray of 8 bits.
        size: the (width, height) that it should have.

    Raises:
        MediaError: not there, no such picture, another size, or numbers that no region has.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror or error}); a region map should be there.") from error
    read = read_indexed(data)
    labels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if read is None and data else None
    labels = read[0] if read is not None else labels
    if labels is None or labels.ndim != 2 or labels.dtype != np.uint8:
        raise MediaError(
            f"{path} is no region map: a PNG with a palette, or gray of 8 bits, holds the regions' numbers."
        )
    if labels.shape != size[::-1]:
        raise MediaError(
            f"{path} has {labels.shape[1]} x {labels.shape[0]} pixels and the picture {size[0]} x {size[1]}; "
            "a region map is as large as its picture."
        )
    if labels.max() >= len(Region):
        raise MediaError(
            f"{path} holds the number {labels.max()}; regions are 0 to {len(Region) - 1} (docs/regions.md)."
        )
    return labels


def indexed(shares: np.ndarray) -> bytes:
    """(H, W, 12) shares as a PNG of the largest region's number, with names and colours."""
    names = [name_of(region) for region in Region]
    texts = {"Software": "Understudy", **texts_of_names(names)}
    return encode_indexed(shares.argmax(-1).astype(np.uint8), PALETTE, texts=texts)


def layered(shares: np.ndarray, regions: Sequence[Region] = tuple(Region)) -> bytes:
    """(H, W, 12) shares as an EXR: R, G, B to look at, ``<region>.A`` as half, and the Cryptomatte of the regions."""
    shares = np.asarray(shares, np.float32)
    shown = shares @ (PALETTE.astype(np.float32) / 255) ** 2.2
    layers = {letter: shown[..., place] for place, letter in enumerate("RGB")}
    layers |= {f"{name_of(region)}.A": shares[..., region] for region in regions}
    names = [name_of(region) for region in regions]
    # A background is what no name covers.
    kept = [(name, region) for name, region in zip(names, regions, strict=True) if region != Region.BACKGROUND]
    return encode_layers(
        layers,
        whole=ranked(shares[..., [region for _, region in kept]], [name for name, _ in kept], ranks=RANKS),
        names=channel_names(LAYER, RANKS),
        attributes=header(LAYER, [name for name, _ in kept]),
    )


def matted(frame: Frame, share: np.ndarray) -> Frame:
    """The frame's colours with a region's share (H, W) as alpha: straight for integers, premultiplied for floats."""
    colour = frame.pixels[..., list(frame.colour_channels)]
    if colour.shape[-1] == 1:
        colour = np.repeat(colour, 3, -1)
    alpha = np.asarray(share, np.float32)[..., None]
    if colour.dtype.kind == "f":
        colour = (to_unit(colour) * alpha).astype(colour.dtype)
    pixels = np.concatenate([colour, quantise(alpha, colour.dtype)], -1)
    return replace(frame, pixels=pixels, channels=("R", "G", "B", "A"), header={}, path=None, original=None)


def _form(options: RegionsOptions, output: Path) -> str:
    suffix = output.suffix.lower()
    if suffix in MOVIE_SUFFIXES:
        raise OptionError(
            f"--output {output}: regions are numbers and mattes, which a movie's compression would bend; name a pattern such as "
            f"{output.with_name(f'{output.stem}.####.png')}."
        )
    form = options.form
    if form == "auto":
        form = {".png": "indexed", ".exr": "layers", "": "mattes"}.get(suffix, "")
    fitting = {"indexed": (".png",), "layers": (".exr",), "mattes": ("", *_MATTES)}
    if suffix not in fitting.get(form, ()):
        raise OptionError(
            f"--output {output} fits no form of regions: a .png holds numbers (or mattes, with --form mattes), an .exr layers, "
            "a folder mattes."
        )
    return form


def _matte_pattern(output: Path, *, numbered: bool) -> Path:
    """The files of mattes, with REGION where the region's name goes and, where they are numbered, a number field."""
    if not output.suffix:
        return output / f"REGION{'.####' if numbered else ''}.png"
    pattern = Pattern.of(output)
    if pattern is None:
        return output.with_name(f"{output.stem}.REGION{'.####' if numbered else ''}{output.suffix}")
    before = pattern.before.rstrip("._-")
    return pattern.folder / f"{before}{'.' if before else ''}REGION.{'#' * pattern.padding}{pattern.after}"


def _stem(clip: Clip) -> str:
    return clip.source.name.split(".")[0].rstrip("#%@_-") or "picture"
