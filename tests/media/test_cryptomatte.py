"""Cryptomatte against published hashes, and against a reader that follows the specification."""

from __future__ import annotations

import json

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from understudy.media.formats.cryptomatte import (
    as_float,
    channel_names,
    encode_layers,
    header,
    id_of,
    murmur3,
    ranked,
)


@pytest.mark.parametrize(
    ("data", "seed", "expected"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"test", 0, 0xBA6BD213),
        (b"test", 0x9747B28C, 0x704B81DC),
        (b"Hello, world!", 0, 0xC0363E43),
        (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
    ],
)
def test_murmur_hashes_are_the_published_ones(data, seed, expected):
    assert murmur3(data, seed) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("hello", 6.0705627102400005616e-17), ("cube", -4.08461912519e15), ("sphere", 2.79018604383e15)],
)
def test_ids_are_the_specifications(name, expected):
    """Values of the specification's own tests."""
    assert float(as_float(id_of(name))) == pytest.approx(expected, rel=1e-9)


def test_ids_are_usable_floats():
    for number in range(3000):
        value = as_float(id_of(f"object {number}"))
        assert np.isfinite(value) and abs(value) >= np.finfo(np.float32).tiny


def test_ranks_by_hand():
    shares = np.array([[[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]]], np.float32)
    names = ["a", "b", "c"]
    ids = [as_float(id_of(name)) for name in names]
    result = ranked(shares, names, ranks=2)
    np.testing.assert_array_equal(result[0, 0], [ids[1], np.float32(0.5), ids[2], np.float32(0.3)])
    np.testing.assert_array_equal(result[0, 1], [ids[1], 1, 0, 0])
    # More ranks than names: the rest is empty.
    assert ranked(shares, names, ranks=6).shape == (1, 2, 12)
    assert not ranked(shares, names, ranks=6)[..., 6:].any()


def test_a_reader_of_the_specification_gets_every_matte_back(tmp_path):
    numbers = np.random.default_rng(0)
    shares = numbers.random((7, 9, 3)).astype(np.float32)
    shares /= shares.sum(-1, keepdims=True)
    names = ["lips", "hair", 'Nase \u00e4 "quoted"']
    data = encode_layers(
        {"lips.A": shares[..., 0]},
        whole=ranked(shares, names, ranks=6),
        names=channel_names("CryptoRegion", 6),
        attributes=header("CryptoRegion", names),
    )
    path = tmp_path / "x.exr"
    path.write_bytes(data)

    picture = oiio.ImageInput.open(str(path))
    assert picture is not None
    spec = picture.spec()
    layer = {
        attribute.name.split("/")[2]: attribute.value
        for attribute in spec.extra_attribs
        if attribute.name.startswith("cryptomatte/")
    }
    assert layer["name"] == "CryptoRegion" and layer["conversion"] == "uint32_to_float32"
    manifest = json.loads(layer["manifest"])
    key = next(a.name for a in spec.extra_attribs if a.name.startswith("cryptomatte/")).split("/")[1]
    assert len(key) == 7 and f"{murmur3(b'CryptoRegion'):08x}".startswith(key)
    kinds = {name: str(spec.channelformat(place)) for place, name in enumerate(spec.channelnames)}
    assert kinds["lips.A"] == "half" and kinds["CryptoRegion00.R"] == "float"

    pixels = picture.read_image("float")
    at = {name: pixels[..., place] for place, name in enumerate(spec.channelnames)}
    for place, name in enumerate(names):
        wanted = int(manifest[name], 16)
        matte = np.zeros((7, 9), np.float32)
        for layer_number in range(3):
            for identity, coverage in (("R", "G"), ("B", "A")):
                bits = np.ascontiguousarray(at[f"CryptoRegion{layer_number:02d}.{identity}"]).view(np.uint32)
                matte += np.where(bits == wanted, at[f"CryptoRegion{layer_number:02d}.{coverage}"], 0)
        np.testing.assert_array_equal(matte, shares[..., place])
    np.testing.assert_allclose(at["lips.A"], shares[..., 0], atol=1e-3)
