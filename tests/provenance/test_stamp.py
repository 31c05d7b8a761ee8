from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from understudy.provenance.stamp import COMPOSITE_WITH_MODEL, MODEL_ALONE, Stamp, read_stamp, stamp_bytes, stamp_file

_STAMP = Stamp(software="Understudy 0.1 <&>", record_sha256="ef" * 32)


def _write(path: Path, **header) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    spec = oiio.ImageSpec(32, 24, 3, "uint8")
    for key, value in header.items():
        spec.attribute(key, value)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(pixels)
    output.close()
    return pixels


def _read(path: Path) -> np.ndarray:
    source = oiio.ImageInput.open(str(path))
    assert source is not None, oiio.geterror()
    pixels = source.read_image("uint8")
    assert pixels is not None, source.geterror()
    return np.asarray(pixels)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_the_mark_is_read_back_and_the_picture_stays(tmp_path, suffix) -> None:
    path = tmp_path / f"a.{suffix}"
    _write(path)
    before = _read(path)
    assert read_stamp(path) is None
    stamp_file(path, _STAMP)
    assert read_stamp(path) == _STAMP
    assert np.array_equal(_read(path), before)
    stamp_file(path, Stamp(digital_source_type=MODEL_ALONE))
    assert read_stamp(path) == Stamp(digital_source_type=MODEL_ALONE)
    assert path.read_bytes().count(b"DigitalSourceType>http") == 1 or suffix == "tif"
    assert np.array_equal(_read(path), before)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_what_a_packet_told_before_stays(tmp_path, suffix) -> None:
    path = tmp_path / f"a.{suffix}"
    _write(path)
    earlier = (
        Stamp(software="Someone")
        .xmp()
        .replace(
            "</rdf:RDF>",
            '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:rights>ours</dc:rights></rdf:Description></rdf:RDF>',
        )
    )

    class Earlier(Stamp):
        def merged(self, packet: str | None) -> str:
            return earlier

    path.write_bytes(stamp_bytes(path.read_bytes(), Earlier()))
    stamp_file(path, _STAMP)
    assert b"<dc:rights>ours</dc:rights>" in path.read_bytes()
    assert read_stamp(path) == _STAMP


def test_the_packet_is_good_xml_in_iptcs_words() -> None:
    body = _STAMP.xmp().split("?>", 1)[1].rsplit("<?xpacket", 1)[0]
    root = ElementTree.fromstring(body)
    kind = root.find(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert kind is not None and kind.text == COMPOSITE_WITH_MODEL
    ElementTree.fromstring(_STAMP.merged(_STAMP.xmp()).split("?>", 1)[1].rsplit("<?xpacket", 1)[0])


def test_openimageio_sees_the_packet_too(tmp_path) -> None:
    for suffix in ("jpg", "tif"):
        path = tmp_path / f"a.{suffix}"
        _write(path)
        stamp_file(path, _STAMP)
        told = {one.name: one.value for one in oiio.ImageInput.open(str(path)).spec().extra_attribs}
        assert any("Understudy 0.1" in str(value) for value in told.values()), (suffix, told)


def test_big_endian_and_several_pages(tmp_path) -> None:
    path = tmp_path / "a.tif"
    _write(path)
    little = path.read_bytes()

    # A hand-made big-endian file: 1 x 1 gray, two pages.
    def page(next_one: int) -> bytes:
        entries = [
            (256, 3, 1, 1 << 16),
            (257, 3, 1, 1 << 16),
            (258, 3, 1, 8 << 16),
            (262, 3, 1, 1 << 16),
            (273, 4, 1, 8),
        ]
        entries += [(277, 3, 1, 1 << 16), (278, 3, 1, 1 << 16), (279, 4, 1, 1)]
        return (
            struct.pack(">H", len(entries))
            + b"".join(struct.pack(">HHII", *one) for one in entries)
            + struct.pack(">I", next_one)
        )

    size = len(page(0))
    big = b"MM\0*" + struct.pack(">I", 10) + b"\x7f\0" + page(10 + size) + page(0)
    path.write_bytes(stamp_bytes(big, _STAMP))
    assert read_stamp(path) == _STAMP
    source = oiio.ImageInput.open(str(path))
    assert source.spec().get_int_attribute("oiio:subimages") == 2 or source.seek_subimage(1, 0)
    assert stamp_bytes(little, _STAMP) != little


def test_exif_and_jfif_stay_first(tmp_path) -> None:
    path = tmp_path / "a.jpg"
    _write(path, Make="A camera", Orientation=6)
    stamp_file(path, _STAMP)
    source = oiio.ImageInput.open(str(path))
    assert source.spec().get_string_attribute("Make") == "A camera"
    assert source.spec().get_int_attribute("Orientation") == 6
    assert path.read_bytes()[2:4] in (b"\xff\xe0", b"\xff\xe1")


def test_other_files_stay_as_they_are(tmp_path) -> None:
    path = tmp_path / "a.bmp"
    _write(path)
    before = path.read_bytes()
    stamp_file(path, _STAMP)
    assert path.read_bytes() == before
    assert read_stamp(path) is None
    note = tmp_path / "note.txt"
    note.write_text("text")
    assert read_stamp(note) is None
