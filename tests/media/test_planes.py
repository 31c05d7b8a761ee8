from __future__ import annotations

import av
import numpy as np
import pytest

from understudy.errors import MediaError
from understudy.media.formats.planes import (
    ColourTags,
    canonical_format,
    patch_planes,
    plane_format,
    to_pixels,
    to_planes,
)

_NAMES = [
    *(
        "gray",
        "gray10le",
        "gray16le",
        "gbrp",
        "gbrp10le",
        "gbrap12le",
        "yuv410p",
        "yuv411p",
        "yuv420p",
        "yuv422p",
        "yuv440p",
    ),
    *("yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv422p16le", "yuva420p", "yuva444p10le"),
]


def _format(name: str):
    fmt = plane_format(name)
    assert fmt is not None
    return fmt


# Values of the standards: (matrix code, full range, bits, RGB) -> Y, Cb, Cr.
@pytest.mark.parametrize(
    ("matrix", "full", "name", "rgb", "levels"),
    [
        (1, False, "yuv444p", (255, 255, 255), (235, 128, 128)),
        (1, False, "yuv444p", (0, 0, 0), (16, 128, 128)),
        (1, False, "yuv444p", (255, 0, 0), (63, 102, 240)),
        (1, False, "yuv444p", (0, 0, 255), (32, 240, 118)),
        (6, False, "yuv444p", (255, 0, 0), (81, 90, 240)),
        (6, False, "yuv444p", (0, 255, 0), (145, 54, 34)),
        (6, True, "yuv444p", (255, 0, 0), (76, 85, 255)),
        (9, False, "yuv444p", (0, 0, 255), (29, 240, 119)),
        (1, False, "yuv444p10le", (65535, 65535, 65535), (940, 512, 512)),
        (1, False, "yuv444p10le", (65535, 0, 0), (250, 409, 960)),
        (9, False, "yuv444p10le", (65535, 0, 0), (294, 387, 960)),
        (1, True, "yuv444p10le", (65535, 65535, 65535), (1023, 512, 512)),
    ],
)
def test_levels_of_the_standards(matrix, full, name, rgb, levels) -> None:
    fmt = _format(name)
    tags = ColourTags(matrix=matrix, range=2 if full else 1)
    pixels = np.full((4, 4, 3), rgb, fmt.dtype)
    planes = to_planes(pixels, fmt, tags)
    assert [int(plane[0, 0]) for plane in planes] == list(levels)
    step = 1 if fmt.bits == 8 else 65
    assert np.abs(to_pixels(planes, fmt, tags).astype(int) - pixels).max() <= 2 * step


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [1, 2])
@pytest.mark.parametrize("name", ["yuv444p", "yuv422p10le", "yuv420p"])
def test_agrees_with_ffmpegs_own_conversion(matrix, full, name) -> None:
    fmt = _format(name)
    rng = np.random.default_rng(0)
    flat = [np.full(shape, rng.integers(60, 180) << (fmt.bits - 8), fmt.dtype) for shape in fmt.shapes(16, 16)]
    ours = to_pixels(flat, fmt, ColourTags(matrix=matrix, range=full))[8, 8].astype(int)
    raw = av.VideoFrame(16, 16, name)
    for target, plane in zip(raw.planes, flat, strict=True):
        lines = np.zeros((target.height, target.line_size), np.uint8)
        lines[:, : plane.shape[1] * plane.itemsize] = plane.view(np.uint8)
        target.update(lines.tobytes())
    coefficients = {1: 1, 6: 5, 9: 9}[matrix]
    theirs = raw.reformat(
        format="rgb48le",
        src_colorspace=coefficients,
        dst_colorspace=coefficients,
        src_color_range=full,
        dst_color_range=2,
    ).to_ndarray()[8, 8]
    # FFmpeg's quick way from 4:2:0 rounds to 8 bits twice: two levels.
    assert np.abs(ours * (257 if fmt.bits == 8 else 1) - theirs.astype(int)).max() <= 2 * 257


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("centred", [False, True])
def test_ramps_keep_their_place(name: str, centred: bool) -> None:
    """A linear ramp survives subsampling exactly, away from the borders, if chroma stands where it was taken."""
    fmt = _format(name)
    tags = ColourTags(matrix=1, range=1, centred_chroma=centred)
    y, x = np.mgrid[:48, :64].astype(float)
    top = np.iinfo(fmt.dtype).max
    channels = np.stack([0.3 + x / 200, 0.6 - x / 250 + y / 200, 0.3 + y / 150, np.full_like(x, 0.7)], axis=-1)[
        ..., : len(fmt.channels)
    ]
    pixels = np.rint(channels * top).astype(fmt.dtype)
    back = to_pixels(to_planes(pixels, fmt, tags), fmt, tags)
    worst = np.abs(back[8:-8, 8:-8].astype(float) - pixels[8:-8, 8:-8]).max() / top * 255
    assert worst <= (2.6 if fmt.bits == 8 else 0.7)


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("size", [(64, 48), (37, 29)])
def test_patching_leaves_the_rest_bit_for_bit(name: str, size: tuple[int, int]) -> None:
    fmt = _format(name)
    tags = ColourTags(matrix=1, range=1)
    rng = np.random.default_rng(2)
    width, height = size
    # Random planes reach levels beyond white and black, which RGB cannot hold.
    planes = [rng.integers(0, 1 << fmt.bits, shape).astype(fmt.dtype) for shape in fmt.shapes(height, width)]
    pixels = to_pixels(planes, fmt, tags).copy()
    altered = np.zeros((height, width), bool)
    altered[13:20, 9:30] = True
    pixels[altered] = np.iinfo(fmt.dtype).max // 2
    patched = patch_planes(planes, pixels, altered, fmt, tags)
    for index, (old, new) in enumerate(zip(planes, patched, strict=True)):
        step_y, step_x = (1 << fmt.shift_y, 1 << fmt.shift_x) if index in (1, 2) and fmt.family == "yuv" else (1, 1)
        near = np.zeros(old.shape, bool)
        near[13 // step_y : -(-20 // step_y), 9 // step_x : -(-30 // step_x)] = True
        assert np.array_equal(old[~near], new[~near])
    middle = to_pixels(patched, fmt, tags)[16, 20, : min(3, len(fmt.channels))].astype(float) / np.iinfo(fmt.dtype).max
    if name != "yuv410p":  # whose chroma comes from as far as the patch is wide
        assert np.abs(middle - 0.5).max() < 0.02
    assert patch_planes(planes, pixels, np.zeros_like(altered), fmt, tags) is planes


def test_guesses_for_what_is_not_told() -> None:
    fmt = _format("yuv420p")
    assert ColourTags().resolved(fmt, 720, 576) == (6, False)
    assert ColourTags().resolved(fmt, 1920, 1080) == (1, False)
    assert ColourTags(range=2).resolved(fmt, 64, 48) == (6, True)
    assert ColourTags().resolved(_format("gray"), 64, 48)[1] is True
    with pytest.raises(MediaError, match=r"colour matrix \(H.273 code 14\) is not supported"):
        to_pixels([np.zeros((8, 8), np.uint8)] * 3, _format("yuv444p"), ColourTags(matrix=14))


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("uyvy422", "yuv422p"),
        ("rgb24", "gbrp"),
        ("bgra", "gbrap"),
        ("bgr0", "gbrp"),
        ("rgb48be", "gbrp16le"),
        ("rgba64be", "gbrap16le"),
        ("pal8", "gbrap"),
        ("gray16be", "gray16le"),
        ("ya8", "gbrap"),
        ("yuvj420p", "yuv420p"),
        ("v30xle", "yuv444p10le"),
    ],
)
def test_every_layout_has_a_planar_one(name: str, canonical: str) -> None:
    assert canonical_format(name).name == canonical
