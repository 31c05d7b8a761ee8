from __future__ import annotations

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from understudy.errors import InternalError
from understudy.media.formats.indexed_png import encode_indexed, read_indexed, texts_of_names

PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 200, 10]], np.uint8)


def test_other_decoders_see_the_colours(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (13, 17)).astype(np.uint8)
    data = encode_indexed(labels, PALETTE, texts=texts_of_names(["nothing", "rot", "gr\u00fcn"]))
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(seen, PALETTE[labels])
    path = tmp_path / "x.png"
    path.write_bytes(data)
    again = oiio.ImageBuf(str(path)).get_pixels(oiio.UINT8)
    np.testing.assert_array_equal(again[..., :3], PALETTE[labels])


def test_numbers_palette_and_names_come_back():
    labels = np.random.default_rng(1).integers(0, 3, (5, 8)).astype(np.uint8)
    read = read_indexed(encode_indexed(labels, PALETTE, texts=texts_of_names(["a", "b", "gr\u00fcn"])))
    assert read is not None
    np.testing.assert_array_equal(read[0], labels)
    np.testing.assert_array_equal(read[1], PALETTE)
    assert read[2] == {"Label 0": "a", "Label 1": "b", "Label 2": "gr\u00fcn"}


def test_another_encoders_filters_are_understood(tmp_path):
    """A file written by somebody else, with filters that this module does not write."""
    import zlib

    labels = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    data = encode_indexed(labels, PALETTE)
    # The filter "up" (2): each row less the one above.
    rows = b"".join(bytes([2, *row]) for row in np.diff(labels, axis=0, prepend=0).astype(np.uint8))
    start = data.index(b"IDAT") - 4
    end = data.index(b"IEND") - 4
    body = b"IDAT" + zlib.compress(rows)
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    read = read_indexed(data[:start] + chunk + data[end:])
    assert read is not None
    np.testing.assert_array_equal(read[0], labels)


def test_other_files_are_none_of_its():
    assert read_indexed(b"no picture") is None
    _, gray = cv2.imencode(".png", np.zeros((2, 2), np.uint8))
    assert read_indexed(gray.tobytes()) is None
    with pytest.raises(InternalError, match="do not fit 3 colours"):
        encode_indexed(np.full((2, 2), 3, np.uint8), PALETTE)
