from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from understudy.errors import MediaError
from understudy.media.clip import create_clip, open_clip
from understudy.media.colour import ColourSpace
from understudy.media.formats.exr import mark_integers
from understudy.media.frame import Frame
from understudy.provenance.stamp import Stamp, read_stamp

_RGBAZ = ("R", "G", "B", "A", "Z")
_EVERY = [
    ("png", "uint8", 3),
    ("png", "uint8", 4),
    ("png", "uint16", 3),
    ("png", "uint16", 4),
    ("png", "uint16", 1),
    ("png", "uint8", 2),
    ("tif", "uint8", 3),
    ("tif", "uint16", 4),
    ("tif", "float16", 3),
    ("tif", "float32", 4),
    ("tif", "uint16", 1),
    ("exr", "float16", 3),
    ("exr", "float16", 5),
    ("exr", "float32", 4),
    ("dpx", "uint8", 3),
    ("dpx", "uint16", 3),
    ("tga", "uint8", 4),
    ("bmp", "uint8", 3),
    ("sgi", "uint16", 3),
    ("webp", "uint8", 3),
    ("ppm", "uint8", 3),
]


def _swap(frame: Frame) -> tuple[Frame, np.ndarray]:
    """Return the frame with a gray square, and where that is not."""
    height, width = frame.pixels.shape[:2]
    where = np.zeros((height, width), bool)
    where[height // 4 : height // 2, width // 4 : width // 2] = True
    return frame.with_view(np.full((height, width, 3), 0.5, np.float32), where), ~where


def _bits(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels).view(f"u{pixels.dtype.itemsize}")


@pytest.mark.parametrize(("suffix", "dtype", "channels"), _EVERY)
def test_outside_the_matte_bit_for_bit_and_untouched_frames_byte_for_byte(
    make_picture, noise, tmp_path, suffix, dtype, channels
) -> None:
    names = _RGBAZ if channels == 5 else ("Y", "A") if channels == 2 else ()
    for number in (1001, 1002, 1003):
        pixels = noise(dtype, channels, seed=number)
        if channels == 4:
            pixels[:4, :, 3] = 0  # colour under empty alpha is easily lost
        make_picture(f"plate.{number}.{suffix}", pixels, channels=names)
    with open_clip(tmp_path / f"plate.####.{suffix}") as clip:
        assert clip.kind == "sequence" and list(clip.numbers) == [1001, 1002, 1003]
        assert clip.dtype == np.dtype(dtype)
        with create_clip(tmp_path / f"out/shot.%04d.{suffix}", like=clip, stamp=Stamp()) as writer:
            for frame in clip:
                writer.write(_swap(frame)[0] if frame.number == 1002 else frame)
        result = open_clip(tmp_path / f"out/shot.####.{suffix}")
        for before, after in zip(clip, result, strict=True):
            assert (before.number, before.channels, before.pixels.dtype) == (
                after.number,
                after.channels,
                after.pixels.dtype,
            )
            assert before.path is not None and after.path is not None
            if before.number == 1002:
                changed, outside = _swap(before)
                assert np.array_equal(_bits(before.pixels)[outside], _bits(after.pixels)[outside])
                assert np.array_equal(_bits(changed.pixels), _bits(after.pixels))
                assert (read_stamp(after.path) is not None) is (suffix in ("png", "tif", "exr"))
            else:
                assert before.path.read_bytes() == after.path.read_bytes()
    assert not list((tmp_path / "out").glob("*.partial"))


def test_jpeg_is_read_and_written_at_high_quality(make_picture, tmp_path) -> None:
    ramp = np.dstack([np.add.outer(np.arange(48) * 2, np.arange(64) * k).astype(np.uint8) for k in (1, 2, 3)])
    plate = open_clip(make_picture("a.jpg", ramp, Compression="jpeg:95"))
    assert plate.kind == "still"
    with create_clip(tmp_path / "b.jpg", like=plate, stamp=Stamp()) as writer:
        changed, outside = _swap(plate.frame(1))
        writer.write(changed)
    after = open_clip(tmp_path / "b.jpg").frame(1)
    assert np.abs(after.pixels.astype(int) - changed.pixels)[outside].mean() < 1.0
    assert read_stamp(tmp_path / "b.jpg") == Stamp()


def test_exr_keeps_header_timecode_types_and_integers(make_picture, tmp_path) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 1 << 32, (24, 32), dtype=np.uint64)
    ids[0, :3] = [0, (1 << 32) - 1, (1 << 31) + 7]
    ids = ids.astype(np.uint32)
    pixels = np.concatenate(
        [(rng.random((24, 32, 4)) * 4 - 1).astype(np.float32), ids[..., None].view(np.float32)], axis=2
    )
    path = make_picture(
        "plate.0101.exr",
        pixels,
        channels=("R", "G", "B", "Z", "id"),
        types=("half", "half", "half", "float", "float"),
        compression="piz",
        owner="a studio",
        smpte__TimeCode=("timecode", 0x10594320, 0),
        FramesPerSecond=("rational", 24000, 1001),
    )
    path.write_bytes(mark_integers(path.read_bytes(), [["id"]]))
    clip = open_clip(tmp_path / "plate.####.exr")
    assert clip.rate == Fraction(24000, 1001)
    assert clip.colour is ColourSpace.LINEAR and clip.dtype == np.float32
    with create_clip(tmp_path / "out.####.exr", like=clip, stamp=Stamp(record_sha256="ab" * 32)) as writer:
        changed, outside = _swap(clip.frame(101))
        writer.write(changed)
    old, new = (oiio.ImageInput.open(str(tmp_path / name)) for name in ("plate.0101.exr", "out.0101.exr"))
    assert new.spec().channelnames == old.spec().channelnames
    assert [str(one) for one in new.spec().channelformats] == ["half", "half", "half", "float", "uint"]
    for name in ("compression", "owner", "smpte:TimeCode", "FramesPerSecond"):
        assert new.spec().getattribute(name) == old.spec().getattribute(name), name
    assert np.array_equal(new.read_image(0, 0, 4, 5, "uint")[..., 0], ids)
    assert np.array_equal(
        np.asarray(new.read_image(0, 0, 0, 4, "float"))[outside],
        np.asarray(old.read_image(0, 0, 0, 4, "float"))[outside],
    )
    assert read_stamp(tmp_path / "out.0101.exr") == Stamp(record_sha256="ab" * 32)


def test_exr_other_parts_come_along(tmp_path, noise) -> None:
    path = tmp_path / "parts.exr"
    beauty, depth = noise("float16", 3), noise("float32", 1)
    first, second = oiio.ImageSpec(32, 24, 1, "float"), oiio.ImageSpec(32, 24, 3, "half")
    first.channelnames = ("depth.Z",)
    first.attribute("oiio:subimagename", "depth")
    second.attribute("oiio:subimagename", "beauty")
    # A part of one channel counts as gray, so the picture must not come after one; a mask layer of two has no colour.
    first.nchannels, first.channelnames = 2, ("depth.Z", "depth.front")
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), (first, second))
    assert output.write_image(np.concatenate([depth, depth + 1], axis=2))
    assert output.open(str(path), second, "AppendSubimage")
    assert output.write_image(beauty)
    output.close()
    clip = open_clip(path)
    changed, outside = _swap(clip.frame(1))
    with create_clip(tmp_path / "out.exr", like=clip) as writer:
        writer.write(changed)
    source = oiio.ImageInput.open(str(tmp_path / "out.exr"))
    assert source.spec().get_int_attribute("oiio:subimages") == 2
    assert np.array_equal(np.asarray(source.read_image(0, 0, 0, 2, "float"))[..., 1:], depth + 1)
    assert np.array_equal(_bits(np.asarray(source.read_image(1, 0, 0, 3, "half")))[outside], _bits(beauty)[outside])


def test_data_windows_that_move_share_a_canvas(make_picture, noise, tmp_path) -> None:
    """Frame 1 is cropped, frame 2 has overscan; both show 40 x 30."""
    make_picture("a.1.exr", noise("float16", 3, (20, 16)), window=(10, 8, 40, 30))
    make_picture("a.2.exr", noise("float16", 3, (44, 34)), window=(-2, -2, 40, 30))
    clip = open_clip(tmp_path / "a.#.exr")
    assert clip.size == (44, 34)
    one, two = clip
    assert np.array_equal(one.pixels[10:26, 12:32], noise("float16", 3, (20, 16)))
    assert not one.pixels[:10].any()
    where = np.zeros((34, 44), bool)
    where[4:14, 6:20] = True  # reaches out of the first frame's data window
    with create_clip(tmp_path / "b.#.exr", like=clip) as writer:
        for frame in clip:
            writer.write(frame.with_view(np.full((34, 44, 3), 0.5, np.float32), where))
    first = oiio.ImageInput.open(str(tmp_path / "b.1.exr")).spec()
    assert (first.x, first.y, first.width, first.height) == (4, 2, 26, 22)
    assert (first.full_width, first.full_height) == (40, 30)
    second = oiio.ImageInput.open(str(tmp_path / "b.2.exr")).spec()
    assert (second.x, second.y, second.width, second.height) == (-2, -2, 44, 34)
    result = open_clip(tmp_path / "b.#.exr")
    for before, after in zip(clip, result, strict=True):
        assert np.array_equal(_bits(before.pixels)[~where], _bits(after.pixels)[~where])


@pytest.mark.parametrize("compression", ["zip", "piz", "dwaa", "b44", "pxr24", "none"])
def test_lossy_exr_compression_does_not_eat_the_plate(make_picture, tmp_path, compression) -> None:
    smooth = np.add.outer(np.sin(np.arange(24) / 5), np.cos(np.arange(32) / 7)).astype(np.float32)
    clip = open_clip(make_picture("a.exr", np.dstack([smooth, smooth * 2, -smooth]), compression=compression))
    changed, outside = _swap(clip.frame(1))
    with create_clip(tmp_path / "b.exr", like=clip) as writer:
        writer.write(changed)
    assert np.array_equal(_bits(open_clip(tmp_path / "b.exr").frame(1).pixels)[outside], _bits(changed.pixels)[outside])


def test_nan_infinities_and_negatives_come_through(make_picture, tmp_path) -> None:
    for dtype, suffix in [("float16", "exr"), ("float32", "exr"), ("float32", "tif")]:
        pixels = np.linspace(-3, 70000, 24 * 32 * 3).reshape(24, 32, 3).clip(-3, 60000).astype(dtype)
        pixels[20, 0], pixels[20, 1], pixels[20, 2] = np.nan, np.inf, -np.inf
        clip = open_clip(make_picture(f"{dtype}.{suffix}", pixels))
        frame = clip.frame(1)
        assert frame.nonfinite == 3 and np.isfinite(frame.view()).all()
        changed, outside = _swap(frame)
        with create_clip(tmp_path / f"{dtype}.out.{suffix}", like=clip) as writer:
            writer.write(changed)
        after = open_clip(tmp_path / f"{dtype}.out.{suffix}").frame(1)
        assert np.array_equal(_bits(after.pixels)[outside], _bits(pixels)[outside])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_kept(make_picture, tmp_path, orientation) -> None:
    stored = np.full((24, 32, 3), 200, np.uint8)
    stored[:12, :16] = 20
    clip = open_clip(make_picture("a.tif", stored, Orientation=orientation))
    turned = orientation >= 5
    assert clip.size == ((24, 32) if turned else (32, 24))
    # Where the stored top left quarter is seen: Exif 2.3, table 6.
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}[
        orientation
    ]
    frame = clip.frame(1)
    assert frame.pixels[corner][0] == 20
    changed, outside = _swap(frame)
    with create_clip(tmp_path / "b.tif", like=clip) as writer:
        writer.write(changed)
    result = open_clip(tmp_path / "b.tif")
    assert result.size == clip.size
    assert np.array_equal(result.frame(1).pixels, changed.pixels)


def test_sixteen_bit_gray_and_bit_depths_between(make_picture, noise, tmp_path) -> None:
    gray = open_clip(make_picture("gray.png", noise("uint16", 1)))
    assert gray.channels == ("Y",) and gray.dtype == np.uint16
    assert gray.frame(1).view().shape == (24, 32, 3)
    ten = open_clip(make_picture("ten.dpx", noise("uint16", 3), oiio__BitsPerSample=10))
    changed, outside = _swap(ten.frame(1))
    with create_clip(tmp_path / "out.dpx", like=ten) as writer:
        writer.write(changed)
    after = open_clip(tmp_path / "out.dpx")
    assert np.array_equal(after.frame(1).pixels[outside], changed.pixels[outside])
    assert after.frame(1).header["picture"].info.spec.get_int_attribute("oiio:BitsPerSample") == 10


def test_a_stills_number_rate_and_colour(make_picture, noise) -> None:
    path = make_picture("plate.1043.exr", noise("float16", 3))
    clip = open_clip(path, colour=ColourSpace.DISPLAY, rate=Fraction(30))
    assert list(clip.numbers) == [1043] and clip.kind == "still" and clip.rate == 30
    assert clip.frame(1043).colour is ColourSpace.DISPLAY
    with pytest.raises(MediaError, match="frame 1 is not among them"):
        clip.frame(1)


@pytest.mark.parametrize(
    ("source", "target"),
    [("exr", "png"), ("exr", "tif"), ("png", "exr"), ("tif", "jpg"), ("png", "dpx"), ("exr", "hdr")],
)
def test_another_format_keeps_the_view(make_picture, noise, tmp_path, source, target) -> None:
    pixels = noise("float16" if source == "exr" else "uint8", 3)
    pixels = np.abs(pixels) / np.float16(4) if source == "exr" else pixels
    if target == "jpg":
        pixels[:] = pixels.mean().astype(np.uint8)
    clip = open_clip(make_picture(f"a.{source}", pixels.astype(np.float16) if source == "exr" else pixels))
    with create_clip(tmp_path / f"b.{target}", like=clip, stamp=Stamp()) as writer:
        writer.write(clip.frame(1))
    result = open_clip(tmp_path / f"b.{target}").frame(1)
    tolerance = {"hdr": 0.06, "jpg": 0.01, "exr": 0.002, "dpx": 0.001}.get(target, 1e-4)
    assert result.view() == pytest.approx(clip.frame(1).view(), abs=tolerance)
    assert read_stamp(tmp_path / f"b.{target}") is None  # nothing was altered


def test_mattes_are_written_as_they_are(make_picture, noise, tmp_path) -> None:
    clip = open_clip(make_picture("a.exr", noise("float16", 3)))
    matte = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32, 1)
    for suffix, tolerance in (("png", 1e-5), ("exr", 1e-6)):
        with create_clip(tmp_path / f"m.{suffix}", like=clip) as writer:
            writer.write(Frame(pixels=matte, channels=("A",), colour=ColourSpace.DISPLAY))
        assert open_clip(tmp_path / f"m.{suffix}").frame(1).rgb()[..., :1] == pytest.approx(matte, abs=tolerance)


def test_destinations(make_picture, noise, tmp_path) -> None:
    for number in (1, 2):
        make_picture(f"in/plate.{number:04d}.png", noise("uint8", 3))
    clip = open_clip(tmp_path / "in")
    assert clip.source == tmp_path / "in/plate.####.png"
    assert create_clip(tmp_path / "renders", like=clip).destination == tmp_path / "renders/plate.####.png"
    with pytest.raises(MediaError, match=r"is one picture, but .* has 2 frames: name a pattern such as out.####.png"):
        create_clip(tmp_path / "out.png", like=clip)
    with pytest.raises(MediaError, match="is the plate itself"):
        create_clip(tmp_path / "in/plate.%04d.png", like=clip)
    with pytest.raises(MediaError, match=r"ends in \.doc, which is no format for writing"):
        create_clip(tmp_path / "out.####.doc", like=clip)
    with pytest.raises(MediaError, match=r"\.cin pictures can only be read"):
        create_clip(tmp_path / "out.####.cin", like=clip)
    with pytest.raises(MediaError, match="codecs are for movies"):
        create_clip(tmp_path / "out.####.png", like=clip, codec="libx264")
    assert isinstance(Path(clip.source), Path)
