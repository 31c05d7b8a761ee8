"""The machine-readable mark that a picture or movie is AI-altered: IPTC's digital source type, as XMP (ISO 16684-1).

PNG, JPEG, TIFF, MP4 and MOV carry an XMP packet, EXR a header attribute of the same text, Matroska, WebM and AVI plain
metadata. Other formats have no place for it; there the run record beside the output speaks alone.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, unescape

from understudy.provenance.atomic import write_bytes

COMPOSITE_WITH_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
MODEL_ALONE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

EXR_ATTRIBUTE = "xmp"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_KEYWORD = b"XML:com.adobe.xmp\0"
_JPEG_NAME = b"http://ns.adobe.com/xap/1.0/\0"
_BOX_ID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_TIFF_XMP = 700
_BOXED = {".mp4", ".mov", ".m4v", ".3gp"}
_TAGGED = {".mkv", ".webm", ".avi", ".nut"}


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What an output says of its making.

    Attributes:
        software: name and version of what made it.
        digital_source_type: address of the term in IPTC's NewsCodes.
        record_sha256: hash of the run record that tells inputs, weights and settings; None if there is none.
    """

    software: str = "Understudy"
    digital_source_type: str = COMPOSITE_WITH_MODEL
    record_sha256: str | None = None

    def xmp(self) -> str:
        """Return a whole XMP packet."""
        return (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
            f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n{self._description()}</rdf:RDF>\n'
            '</x:xmpmeta>\n<?xpacket end="w"?>'
        )

    def merged(self, packet: str | None) -> str:
        """Return ``packet`` with this mark in place of any other; a packet of its own where there is none to add to."""
        if not packet or "</rdf:RDF>" not in packet:
            return self.xmp()
        packet = re.sub(
            r"<Iptc4xmpExt:DigitalSourceType>.*?</Iptc4xmpExt:DigitalSourceType>\s*", "", packet, flags=re.DOTALL
        )
        packet = re.sub(r'\sIptc4xmpExt:DigitalSourceType="[^"]*"', "", packet)
        packet = re.sub(r"<understudy:Record>.*?</understudy:Record>\s*", "", packet, flags=re.DOTALL)
        return packet.replace("</rdf:RDF>", f"{self._description()}</rdf:RDF>")

    def tags(self, suffix: str) -> dict[str, str]:
        """Return the mark as metadata for movie containers that hold names and values; empty for the others."""
        if suffix == ".avi":  # RIFF INFO knows fixed names only
            return {"comment": f"{self.digital_source_type} {self.software}"}
        if suffix not in _TAGGED:
            return {}
        tags = {"DIGITALSOURCETYPE": self.digital_source_type, "CREATORTOOL": self.software}
        return tags | ({"UNDERSTUDY_RECORD": self.record_sha256} if self.record_sha256 else {})

    def _description(self) -> str:
        record = f"<understudy:Record>{escape(self.record_sha256)}</understudy:Record>\n" if self.record_sha256 else ""
        return (
            '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"\n'
            ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:understudy="urn:understudy:1">\n'
            f"<Iptc4xmpExt:DigitalSourceType>{escape(self.digital_source_type)}</Iptc4xmpExt:DigitalSourceType>\n"
            f"<xmp:CreatorTool>{escape(self.software)}</xmp:CreatorTool>\n{record}</rdf:Description>\n"
        )

    @staticmethod
    def parse(packet: str | None) -> Stamp | None:
        """Read a mark out of an XMP packet; None if it has none."""
        if not packet:
            return None
        kind = _property(packet, "Iptc4xmpExt:DigitalSourceType")
        if kind is None:
            return None
        software = _property(packet, "xmp:CreatorTool", last=True) or ""
        return Stamp(software=software, digital_source_type=kind, record_sha256=_property(packet, "understudy:Record"))


def stamp_bytes(data: bytes, stamp: Stamp) -> bytes:
    """Return a PNG, JPEG or TIFF file's bytes with the mark; other formats come back as they are."""
    if data.startswith(_PNG_MAGIC):
        return _stamp_png(data, stamp)
    if data.startswith(b"\xff\xd8"):
        return _stamp_jpeg(data, stamp)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _stamp_tiff(data, stamp)
    return data


def stamp_file(path: Path | str, stamp: Stamp) -> None:
    """Put the mark into a finished PNG, JPEG, TIFF, MP4 or MOV file; files of other formats stay as they are.

    Raises:
        StorageError: full disk or no permission.
    """
    path = Path(path)
    if path.suffix.lower() in _BOXED:
        # A box at the file's end moves no other; the sound and picture offsets stay right.
        packet = stamp.xmp().encode()
        with path.open("ab") as file:
            file.write(struct.pack(">I4s", 24 + len(packet), b"uuid") + _BOX_ID + packet)
        return
    data = path.read_bytes()
    stamped = stamp_bytes(data, stamp)
    if stamped != data:
        write_bytes(path, stamped)


def read_stamp(path: Path | str) -> Stamp | None:
    """Return the mark that a file carries, whoever put it there; None if it has none."""
    path = Path(path)
    if path.suffix.lower() in _BOXED:
        return Stamp.parse(_find_box(path))
    if path.suffix.lower() in _TAGGED:
        return _read_tags(path)
    with path.open("rb") as file:
        magic = file.read(8)
    if magic.startswith(b"\x76\x2f\x31\x01"):
        return Stamp.parse(_find_exr(path))
    data = path.read_bytes()
    if data.startswith(_PNG_MAGIC):
        return Stamp.parse(_find_png(data))
    if data.startswith(b"\xff\xd8"):
        return Stamp.parse(next((text for _, _, text in _jpeg_segments(data) if text is not None), None))
    if data[:4] in (b"II*\0", b"MM\0*"):
        return Stamp.parse(_find_tiff(data))
    return None


def _property(packet: str, name: str, last: bool = False) -> str | None:
    found = re.findall(rf"<{name}>\s*(.*?)\s*</{name}>|\s{name}=\"([^\"]*)\"", packet, flags=re.DOTALL)
    if not found:
        return None
    element, attribute = found[-1 if last else 0]
    return unescape(element or attribute, {"&quot;": '"'})


# --- PNG (ISO 15948): chunks of length, name, data, CRC ---


def _png_chunks(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    position = len(_PNG_MAGIC)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        yield position, data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length


def _png_text(content: bytes) -> str | None:
    if not content.startswith(_PNG_KEYWORD):
        return None
    rest = content[len(_PNG_KEYWORD) :]
    text = rest[2:].split(b"\0", 2)[-1]
    return (zlib.decompress(text) if rest[0] else text).decode("utf-8", "replace")


def _find_png(data: bytes) -> str | None:
    texts = (_png_text(content) for _, name, content in _png_chunks(data) if name == b"iTXt")
    return next((text for text in texts if text is not None), None)


def _stamp_png(data: bytes, stamp: Stamp) -> bytes:
    content = _PNG_KEYWORD + b"\0\0\0\0" + stamp.merged(_find_png(data)).encode()
    chunk = struct.pack(">I", len(content)) + b"iTXt" + content + struct.pack(">I", zlib.crc32(b"iTXt" + content))
    out = [_PNG_MAGIC]
    for position, name, held in _png_chunks(data):
        if name == b"iTXt" and _png_text(held) is not None:
            continue
        out.append(data[position : position + 12 + len(held)])
        if name == b"IHDR":
            out.append(chunk)
    return b"".join(out)


# --- JPEG (ITU-T T.81): segments until the start of scan ---


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, str | None]]:
    """Yield (begin, end, XMP text or None) of the segments before the picture."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] not in (0xDA, 0xD9):
        end = position + 2 + struct.unpack_from(">H", data, position + 2)[0]
        held = data[position + 4 : end]
        known = data[position + 1] == 0xE1 and held.startswith(_JPEG_NAME)
        yield position, end, held[len(_JPEG_NAME) :].decode("utf-8", "replace") if known else None
        position = end


def _stamp_jpeg(data: bytes, stamp: Stamp) -> bytes:
    segments = list(_jpeg_segments(data))
    packet = stamp.merged(next((text for _, _, text in segments if text is not None), None)).encode()
    if len(packet) > 65000:  # a segment's limit; the mark counts more than what else the packet told
        packet = stamp.xmp().encode()
    fresh = b"\xff\xe1" + struct.pack(">H", 2 + len(_JPEG_NAME) + len(packet)) + _JPEG_NAME + packet
    kept = [(begin, end) for begin, end, text in segments if text is None]
    # JFIF and Exif want to come first.
    ahead = [pair for pair in kept if data[pair[0] + 1] == 0xE0 or data[pair[0] + 4 : pair[0] + 8] == b"Exif"]
    after = [pair for pair in kept if pair not in ahead]
    rest = segments[-1][1] if segments else 2
    return b"".join(
        [b"\xff\xd8", *(data[a:b] for a, b in ahead), fresh, *(data[a:b] for a, b in after), data[rest:]],
    )


# --- TIFF 6.0: the first directory is written anew at the end of the file, all else stays where it is ---


def _tiff_entries(data: bytes) -> tuple[str, int, list[bytes], bytes]:
    order = "<" if data[:2] == b"II" else ">"
    (position,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, position)
    entries = [data[position + 2 + 12 * index : position + 14 + 12 * index] for index in range(count)]
    return order, position, entries, data[position + 2 + 12 * count : position + 6 + 12 * count]


def _find_tiff(data: bytes) -> str | None:
    order, _, entries, _ = _tiff_entries(data)
    for entry in entries:
        tag, _, count, offset = struct.unpack(order + "HHII", entry)
        if tag == _TIFF_XMP and count > 4:
            return data[offset : offset + count].decode("utf-8", "replace")
    return None


def _stamp_tiff(data: bytes, stamp: Stamp) -> bytes:
    order, _, entries, following = _tiff_entries(data)
    packet = stamp.merged(_find_tiff(data)).encode()
    body = data + b"\0" * (len(data) % 2)
    place = len(body)
    body += packet + b"\0" * (len(packet) % 2)
    entry = struct.pack(order + "HHII", _TIFF_XMP, 1, len(packet), place)
    kept = [held for held in entries if struct.unpack_from(order + "H", held)[0] != _TIFF_XMP]
    ordered = sorted([*kept, entry], key=lambda held: struct.unpack_from(order + "H", held)[0])
    directory = len(body)
    body += struct.pack(order + "H", len(ordered)) + b"".join(ordered) + following
    return body[:4] + struct.pack(order + "I", directory) + body[8:]


# --- EXR, MP4 and MOV, tagged containers: reading ---


def _find_exr(path: Path) -> str | None:
    with path.open("rb") as file:
        file.seek(8)
        while name := _until_zero(file):
            _until_zero(file)
            size = file.read(4)
            if len(size) < 4:
                return None
            value = file.read(struct.unpack("<I", size)[0])
            if name == EXR_ATTRIBUTE.encode():
                return value.decode("utf-8", "replace")
    return None


def _until_zero(file) -> bytes:
    held = bytearray()
    while (byte := file.read(1)) not in (b"", b"\0"):
        held += byte
    return bytes(held)


def _find_box(path: Path) -> str | None:
    found = None
    length = path.stat().st_size
    with path.open("rb") as file:
        position = 0
        while position + 8 <= length:
            file.seek(position)
            size, name = struct.unpack(">I4s", file.read(8))
            if size == 1:
                size = struct.unpack(">Q", file.read(8))[0]
            size = size or length - position
            if size < 8:
                break
            if name == b"uuid" and file.read(16) == _BOX_ID:
                found = file.read(size - 24).decode("utf-8", "replace")
            position += size
    return found


def _read_tags(path: Path) -> Stamp | None:
    import av

    with av.open(str(path)) as container:
        tags = {key.upper(): value for key, value in container.metadata.items()}
    kind, software = tags.get("DIGITALSOURCETYPE", ""), tags.get("CREATORTOOL", "")
    if not kind:
        kind, _, software = tags.get("COMMENT", "").partition(" ")
    if "cv.iptc.org" not in kind:
        return None
    return Stamp(software=software, digital_source_type=kind, record_sha256=tags.get("UNDERSTUDY_RECORD"))
