from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import MediaError
from understudy.provenance.cast import Consent
from understudy.provenance.record import RunRecord, files_sha256, path_sha256, plain, record_path


@dataclass(frozen=True, kw_only=True)
class Options:
    plate: Path = Path("plate.mov")
    rate: Fraction = Fraction(24000, 1001)
    sizes: tuple[int, ...] = (4, 8)


def test_a_record_lies_beside_its_output(tmp_path):
    plate, output = tmp_path / "plate.mov", tmp_path / "out" / "shot.mov"
    plate.write_bytes(b"film")
    record = RunRecord.begin("swap", Options(), digital_source_type="http://x")
    record.add_input(plate)
    record.add_weights("model.safetensors", sha256="ab")
    record.add_consent("anna", Consent(granted_by="Anna", scope=("render",)))
    written = json.loads(record.write(output).read_text())
    assert record_path(output) == output.with_name("shot.mov.record.json")
    assert written["inputs"] == {str(plate): hashlib.sha256(b"film").hexdigest()}
    assert written["weights"] == {"model.safetensors": "ab"}
    assert written["consent"]["anna"]["granted_by"] == "Anna"
    assert written["options"] == {"plate": "plate.mov", "rate": "24000/1001", "sizes": [4, 8]}
    assert written["digest"] == record.digest()
    assert written["version"] and written["started"] and written["finished"] and written["machine"]["python"]


def test_the_digest_holds_what_decides_the_result(tmp_path):
    first, second = RunRecord.begin("swap", Options()), RunRecord.begin("swap", Options())
    second.started, second.machine = "later", {}
    assert first.digest() == second.digest()
    second.add_weights("model", sha256="cd")
    assert first.digest() != second.digest()


def test_hashes_follow_the_content(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    (tmp_path / "b.png").write_bytes(b"2")
    whole = path_sha256(tmp_path)
    assert whole == files_sha256([tmp_path / "a.png", tmp_path / "b.png"])
    (tmp_path / "b.png").write_bytes(b"22")
    assert path_sha256(tmp_path) != whole
    with pytest.raises(MediaError, match="cannot be read"):
        path_sha256(tmp_path / "none.mov")


def test_plain_values():
    value = {"a": np.float32(1.5), "b": {3, 1}, "c": (Path("x"), np.zeros(2)), 4: None}
    assert json.dumps(plain(value)) == '{"a": 1.5, "b": [1, 3], "c": ["x", [0.0, 0.0]], "4": null}'
