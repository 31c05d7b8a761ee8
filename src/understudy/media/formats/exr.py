"""OpenEXR's file header, where OpenImageIO does not reach."""

from __future__ import annotations

import struct

_MULTIPART = 0x1000
_UINT = 0


def mark_integers(data: bytes, channels: list[list[str]]) -> bytes:
    """Return an EXR file with some 32-bit float channels declared as 32-bit integers; their bits stay.

    Both types are four bytes that every lossless compression treats alike, so the header alone is to be changed.

    Args:
        data: the file.
        channels: names of the channels to declare, for each part of the file.
    """
    changed = bytearray(data)
    (version,) = struct.unpack_from("<I", data, 4)
    position = 8
    for names in channels:
        position = _mark_part(changed, position, {name.encode() for name in names})
        if not version & _MULTIPART:
            break
    return bytes(changed)


def _mark_part(data: bytearray, position: int, names: set[bytes]) -> int:
    """Change one part's header in place; return where the next begins."""
    while data[position]:
        name_end = data.index(0, position)
        kind_end = data.index(0, name_end + 1)
        (size,) = struct.unpack_from("<I", data, kind_end + 1)
        value = kind_end + 5
        if data[name_end + 1 : kind_end] == b"chlist":
            at = value
            while data[at]:
                end = data.index(0, at)
                if bytes(data[at:end]) in names:
                    struct.pack_into("<i", data, end + 1, _UINT)
                at = end + 17  # type, linearity and reserved, sampling in x and y
        position = value + size
    return position + 1
