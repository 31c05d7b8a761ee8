"""PNG with a palette: every pixel a number, and a colour to show it in."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from understudy.errors import InternalError

_MAGIC = b"\x89PNG\r\n\x1a\n"


def encode_indexed(labels: np.ndarray, palette: np.ndarray, *, texts: Mapping[str, str] | None = None) -> bytes:
    """A PNG file's content.

    Args:
        labels: (H, W) uint8, each less than the palette's length.
        palette: (N, 3) uint8 RGB, N up to 256.
        texts: further lines, by keyword (1 to 79 letters of ASCII).

    Raises:
        InternalError: labels without a colour.
    """
    if labels.dtype != np.uint8 or labels.ndim != 2 or (labels.size and labels.max() >= len(palette)):
        raise InternalError(
            f"labels of shape {labels.shape} and type {labels.dtype} do not fit {len(palette)} colours."
        )
    height, width = labels.shape
    rows = np.zeros((height, width + 1), np.uint8)  # every row begins with its filter, none
    rows[:, 1:] = labels
    parts = [
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", np.ascontiguousarray(palette, np.uint8).tobytes()),
    ]
    for keyword, text in (texts or {}).items():
        # Not compressed, in no language, without a translated keyword; iTXt holds UTF-8.
        parts.append(_chunk(b"iTXt", keyword.encode("ascii") + b"\0\0\0\0\0" + text.encode()))
    parts += [_chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)), _chunk(b"IEND", b"")]
    return _MAGIC + b"".join(parts)


def read_indexed(data: bytes) -> tuple[np.ndarray, np.ndarray, dict[str, str]] | None:
    """(H, W) uint8 numbers, (N, 3) uint8 palette and texts of a PNG with an 8-bit palette; None for any other file."""
    import cv2

    if not data.startswith(_MAGIC) or data[24:26] != b"\x08\x03":
        return None
    place, palette, pieces, texts = 8, np.zeros((0, 3), np.uint8), [], {}
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        if kind == b"PLTE":
            palette = np.frombuffer(body, np.uint8).reshape(-1, 3)
        elif kind == b"iTXt" and b"\0\0\0\0\0" in body:
            keyword, _, text = body.partition(b"\0\0\0\0\0")
            texts[keyword.decode("latin-1")] = text.decode(errors="replace")
        pieces.append((kind, data[place : place + 12 + length]))
        place += 12 + length
    # Any PNG decoder shows gray as it is: the same file, declared gray and without its colours, decodes to the numbers.
    header = bytearray(data[16:29])
    header[9] = 0
    gray = _MAGIC + _chunk(b"IHDR", bytes(header))
    gray += b"".join(piece for kind, piece in pieces if kind in (b"IDAT", b"IEND"))
    labels = cv2.imdecode(np.frombuffer(gray, np.uint8), cv2.IMREAD_UNCHANGED)
    return None if labels is None or labels.ndim != 2 else (labels, palette, texts)


def texts_of_names(names: Sequence[str]) -> dict[str, str]:
    """The names of a palette's numbers as PNG texts: ``Label 0``: background and so on."""
    return {f"Label {number}": name for number, name in enumerate(names)}


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
