"""Which encoder and pixel format a movie is written with: the plate's own family where one exists, visually lossless."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import av.error
from av.codec import Codec
from av.video.codeccontext import VideoCodecContext

from understudy.errors import MediaError
from understudy.media.formats.planes import ColourTags, PlaneFormat, canonical_format

# Decoder's name to encoders of the same family, best first.
_FAMILIES = {
    "h264": ("libx264",),
    "hevc": ("libx265",),
    "prores": ("prores_ks",),
    "vp8": ("libvpx", "libvpx-vp9"),
    "libvpx": ("libvpx", "libvpx-vp9"),
    "vp9": ("libvpx-vp9", "libsvtav1"),
    "libvpx-vp9": ("libvpx-vp9", "libsvtav1"),
    "av1": ("libsvtav1",),
    "libdav1d": ("libsvtav1",),
    "gif": (),
    "msmpeg4v3": ("mpeg4",),
    "wmv3": (),
}

_BY_SUFFIX = {
    ".mp4": ("libx264", "libx265", "libsvtav1"),
    ".m4v": ("libx264", "libx265"),
    ".3gp": ("libx264",),
    ".mov": ("libx264", "prores_ks", "libx265"),
    ".mkv": ("ffv1",),
    ".nut": ("ffv1",),
    ".avi": ("ffv1", "mjpeg"),
    ".webm": ("libvpx-vp9", "libsvtav1"),
    ".mxf": ("dnxhd", "mpeg2video"),
    ".y4m": ("rawvideo",),
    ".ts": ("libx264", "libx265"),
    ".mpg": ("mpeg2video",),
}

# Sample rates above these do no harm to the eye, below it banding and ringing begin to show on flat skin.
_QUALITY = {"libx264": 12, "libx265": 12, "libvpx-vp9": 16, "libvpx": 8, "libsvtav1": 14}
_QUANTISED = ("mjpeg", "mpeg4", "mpeg2video", "mpeg1video", "wmv2")
_PRORES = {"apco": "proxy", "apcs": "lt", "apcn": "standard", "apch": "hq", "ap4h": "4444", "ap4x": "4444xq"}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a movie is encoded.

    Attributes:
        encoder: FFmpeg's name.
        pixel_format: what the encoder is fed with.
        plane_format: what the frames are stored as until then: planes of the same family as ``pixel_format``.
        options: the encoder's private options.
        quantiser: fixed quantiser for encoders that know no other quality, else None.
        tag: four letters that name the codec in MOV and MP4, or None for the usual.
    """

    encoder: str
    pixel_format: str
    plane_format: PlaneFormat
    options: dict[str, str] = field(default_factory=dict)
    quantiser: int | None = None
    tag: str | None = None


def choose_encoding(
    suffix: str,
    *,
    size: tuple[int, int],
    rate: Fraction,
    planes: PlaneFormat,
    full_range: bool = False,
    plate_codec: str | None = None,
    plate_tag: str | None = None,
    codec: str | None = None,
    quality: int | None = None,
    supported: set[str] | None = None,
) -> Encoding:
    """Choose an encoder that loses neither bit depth nor alpha where the container has one, the plate's family first.

    Args:
        suffix: the destination's.
        size: (width, height) in pixels.
        rate: frames a second.
        planes: the plate's own layout, or the one wished for.
        full_range: whether levels use the full range.
        plate_codec: the plate's decoder; None for pictures.
        plate_tag: the plate's four letters.
        codec: the encoder demanded; None to choose.
        quality: the encoder's scale; None for visually lossless.
        supported: codec names that the container holds; None for all.

    Raises:
        MediaError: the encoder demanded does not exist, does not fit the container or the size, or none does.
    """
    if codec is not None:
        names: tuple[str, ...] = _FAMILIES.get(codec) or (codec,)
    else:
        family = _FAMILIES.get(plate_codec or "", (plate_codec,) if plate_codec else ())
        names = (*family, *_BY_SUFFIX.get(suffix, ()), "libx264", "ffv1")
    if plate_codec == "rawvideo" and suffix != ".y4m":
        # Raw pictures in MOV need packed layouts; these hold the same without loss.
        names = ("ffv1", "v210" if planes.family == "yuv" else "png", *names[1:])
    lossy_choice: Encoding | None = None
    refusals = []
    for name in dict.fromkeys(names):
        try:
            known = Codec(name, "w")
        except (av.error.FFmpegError, ValueError):
            refusals.append(f"{name} is no encoder here")
            continue
        if supported is not None and not {name, known.canonical_name} & supported:
            refusals.append(f"{suffix} does not hold {name}")
            continue
        encoding = _encoding(
            known, planes, full_range, plate_tag if known.canonical_name == plate_codec else None, quality, size
        )
        refusal = _try(encoding, size, rate)
        if refusal:
            refusals.append(f"{name} refuses {size[0]} x {size[1]} {encoding.pixel_format} at {rate}: {refusal}")
            continue
        fed = canonical_format(encoding.pixel_format)
        if codec is not None or (fed.bits >= planes.bits and fed.alpha >= planes.alpha):
            return encoding
        lossy_choice = lossy_choice or encoding
    if lossy_choice is not None:
        return lossy_choice
    raise MediaError(
        f"No encoder fits a {suffix} movie: {'; '.join(refusals)}. Choose another codec or a .mov or .mkv destination."
    )


def _encoding(
    known, planes: PlaneFormat, full_range: bool, tag: str | None, quality: int | None, size: tuple[int, int]
) -> Encoding:
    name = known.name
    formats = [form.name for form in known.video_formats or []] or [planes.name]
    if name == "mjpeg":  # anything but full range is outside the standard
        formats, full_range = [form for form in formats if form.startswith("yuvj")], True
    even = name in ("libx264", "libx265", "libsvtav1") and (size[0] % 2 or size[1] % 2)
    pixel_format = min(formats, key=lambda form: _cost(form, planes, full_range, bool(even)))
    fed = canonical_format(pixel_format)
    options: dict[str, str] = {}
    quantiser = None
    if name in _QUALITY:
        options = {"crf": str(_QUALITY[name] if quality is None else quality)}
    if name == "libx265":
        options |= {"preset": "fast", "x265-params": "log-level=error"}
    elif name in ("libvpx", "libvpx-vp9"):
        options |= {"b": "0" if name == "libvpx-vp9" else "200M", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
        options = options if name == "libvpx-vp9" else {key: value for key, value in options.items() if key != "row-mt"}
    elif name == "libsvtav1":
        options |= {"preset": "8"}
    elif name == "prores_ks":
        usual = "4444" if fed.shift_x == 0 else "hq"
        options = {"profile": _PRORES.get(tag or "", usual), "vendor": "apl0"}
        if (options["profile"] in ("4444", "4444xq")) != (fed.shift_x == 0):
            options["profile"] = usual
    elif name == "dnxhd":
        options = {"profile": "dnxhr_444" if fed.shift_x == 0 else "dnxhr_hqx" if fed.bits > 8 else "dnxhr_hq"}
    elif name == "ffv1":
        options = {"level": "3", "slicecrc": "1", "g": "1"}
    elif name in _QUANTISED:
        quantiser = 2 if quality is None else quality
    return Encoding(
        encoder=name,
        pixel_format=pixel_format,
        plane_format=planes if fed.family == planes.family else fed,
        options=options,
        quantiser=quantiser,
        tag="hvc1" if name == "libx265" else None,
    )


def _cost(name: str, planes: PlaneFormat, full_range: bool, odd: bool) -> tuple:
    """Order pixel formats by what they lose, then by what they waste."""
    fed = canonical_format(name)
    return (
        odd and fed.family == "yuv" and fed.shift_x + fed.shift_y > 0,
        planes.family != "gray" and fed.family == "gray",
        planes.family == "rgb" and fed.family != "rgb",
        fed.bits < planes.bits,
        planes.alpha and not fed.alpha,
        fed.shift_x > planes.shift_x or fed.shift_y > planes.shift_y,
        fed.family != planes.family,
        name.startswith("yuvj") != full_range and fed.family == "yuv",
        fed.bits - planes.bits,
        planes.shift_x + planes.shift_y - fed.shift_x - fed.shift_y,
        fed.alpha,
        fed.name != name,
    )


def encoded_tags(encoding: Encoding, tags: ColourTags, resolved: tuple[int, bool]) -> ColourTags:
    """Return the tags that a movie is written with: the plate's, but for codecs that allow only some.

    Args:
        encoding: as chosen.
        tags: the plate's.
        resolved: the plate's (matrix, full range) as :meth:`ColourTags.resolved` gives them.
    """
    if encoding.encoder == "mjpeg":
        # JFIF knows BT.601 over the full range alone.
        return replace(tags, range=2, centred_chroma=True, matrix=tags.matrix if resolved[0] in (5, 6) else 6)
    if encoding.encoder == "dnxhd" and resolved[0] not in (1, 9):
        return replace(tags, matrix=1)
    return replace(tags, centred_chroma=False)


def apply_encoding(context, encoding: Encoding, size: tuple[int, int]) -> None:
    """Set up a codec context that is not open yet; ``size`` is (width, height)."""
    context.width, context.height = size
    context.pix_fmt = encoding.pixel_format
    context.options = dict(encoding.options)
    if encoding.quantiser is not None:
        context.qscale = True
        context.global_quality = encoding.quantiser * 118  # FF_QP2LAMBDA
        if encoding.encoder == "mjpeg":
            context.qmin = min(2, encoding.quantiser)


def _try(encoding: Encoding, size: tuple[int, int], rate: Fraction) -> str | None:
    """Open the encoder once; return why it refuses, or None."""
    context = av.CodecContext.create(encoding.encoder, "w")
    apply_encoding(context, encoding, size)
    assert isinstance(context, VideoCodecContext)
    context.framerate = rate
    context.time_base = 1 / rate
    try:
        context.open()
    except (av.error.FFmpegError, ValueError, OSError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None
