from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from understudy.errors import MediaError, OptionError
from understudy.faces.action_units import COUNT, ActionUnit
from understudy.faces.curves import Curves, read_curves, write_curves

OPENFACE = """frame, face_id, timestamp, confidence, success, gaze_0_x, pose_Rx, x_0, p_rx, AU01_r, AU12_r, AU45_r, AU12_c, AU28_c
1, 0, 0.000, 0.98, 1, 0.1, 0.2, 300.1, 0.0, 0.00, 1.50, 0.20, 1.00, 0.00
2, 0, 0.033, 0.98, 1, 0.1, 0.2, 300.1, 0.0, 0.10, 2.50, 0.30, 1.00, 0.00
3, 0, 0.067, 0.12, 0, 0.0, 0.0, 0.0, 0.0, 0.00, 0.00, 0.00, 0.00, 0.00
4, 0, 0.100, 0.98, 1, 0.1, 0.2, 300.1, 0.0, 0.30, 3.50, 4.90, 1.00, 0.00
"""


@pytest.fixture
def curves() -> Curves:
    random = np.random.default_rng(0)
    units = random.uniform(0, 5, (12, COUNT)).astype(np.float32).round(3)
    numbers = np.r_[1001:1006, 1008:1015]
    return Curves.from_measured(numbers, units, rate=Fraction(24000, 1001), source="take.mov")


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_what_is_written_is_read_back(tmp_path, curves, suffix):
    path = write_curves(tmp_path / f"take{suffix}", curves)
    found = read_curves(path)
    np.testing.assert_array_equal(found.numbers, np.arange(1001, 1015))
    np.testing.assert_array_equal(found.missing, curves.missing)
    np.testing.assert_allclose(found.units, curves.units, atol=6e-4)
    assert found.rate == Fraction(24000, 1001)
    assert found.source == ("take.mov" if suffix == ".json" else "take.csv")


def test_gaps_lie_on_straight_lines(curves):
    assert curves.missing.nonzero()[0].tolist() == [5, 6]
    before, after = curves.units[4], curves.units[7]
    np.testing.assert_allclose(curves.units[5], before + (after - before) / 3, atol=1e-6)
    held = Curves.from_measured(np.array([1, 2, 3]), np.array([[np.nan] * COUNT, [2.0] * COUNT, [np.nan] * COUNT]))
    np.testing.assert_array_equal(held.units, 2.0)
    assert held.missing.tolist() == [True, False, True]


def test_openface_tables_are_read(tmp_path):
    path = tmp_path / "openface.csv"
    path.write_text(OPENFACE)
    found = read_curves(path)
    assert found.rate == 30 and found.missing.tolist() == [False, False, True, False]
    np.testing.assert_allclose(found.units[:, ActionUnit.AU12], [1.5, 2.5, 3.0, 3.5])
    np.testing.assert_allclose(found.units[:, ActionUnit.AU04], 0)


def test_a_table_made_by_hand_is_read(tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text("\ufeffAU12,AU6\r\n0,1\r\n\r\n,2\r\n5,3\r\n,\r\n")
    found = read_curves(path, rate=Fraction(25))
    assert found.numbers.tolist() == [1, 2, 3, 4] and found.rate == 25
    np.testing.assert_allclose(found.units[:, ActionUnit.AU12], [0, 2.5, 5, 5])
    np.testing.assert_allclose(found.units[:, ActionUnit.AU06], [1, 2, 3, 3])
    assert found.missing.tolist() == [False, False, False, True]
    assert read_curves(path).rate == 24


def test_json_made_by_hand_is_read(tmp_path):
    path = tmp_path / "hand.json"
    path.write_text(json.dumps({"units": {"AU12": [0, None, 4]}, "rate": "25"}))
    found = read_curves(path)
    np.testing.assert_allclose(found.units[:, ActionUnit.AU12], [0, 2, 4])
    assert found.rate == 25 and found.missing.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("frame,AU99_r\n1,2\n", "'AU99_r' is no action unit"),
        ("frame,AU28_r\n1,2\n", "'AU28_r' is no action unit"),
        ("frame,smile\n1,2\n", "'smile' is no action unit"),
        ("frame,success\n1,1\n", "no column is an action unit"),
        ("frame,AU12\n", "no rows"),
        ("", "no rows"),
        ("frame,AU12\n1,7\n", "row 1, AU12 is 7; intensities lie between 0 and 5"),
        ("frame,AU12\n1,-1\n", "between 0 and 5"),
        ("frame,AU12\n1,inf\n", "between 0 and 5"),
        ("frame,AU12\n1,wide\n", "'wide', which is no number"),
        ("frame,AU12\n1,2,3\n", "row 1 has 3 cells, the header 2"),
        ("frame,AU12\n1.5,2\n", "whole frame number"),
        ("frame,AU12\n,2\n", "whole frame number"),
        ("frame,AU12\n1,2\n1,3\n", "frame 1 stands twice"),
        ("frame,AU12\n1,2\n9000000,3\n", "more than a million"),
        ("AU12,AU12_r\n1,2\n", "two columns"),
    ],
)
def test_wrong_tables_are_sentences(tmp_path, text, sentence):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(MediaError, match="wrong.csv") as caught:
        read_curves(path)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("[1, 2]", "it has no curves"),
        ("{", "it is not JSON"),
        ('{"units": {"AU99": [1]}}', "'AU99' is no action unit"),
        ('{"units": {"AU12": ["x"]}}', "'x', which is no number"),
        ('{"units": {"AU12": [true]}}', "True, which is no number"),
        ('{"units": {"AU12": [1], "AU06": [1, 2]}}', "several lengths"),
        ('{"units": {"AU12": [1]}, "frames": ["a"]}', "not all whole numbers"),
        ('{"units": {"AU12": [1]}, "rate": "fast"}', "'fast' is no number of frames"),
        ('{"units": {"AU12": [1]}, "rate": "0"}', "rate above 0"),
        ('{"units": {"AU12": []}}', "at least one frame"),
    ],
)
def test_wrong_json_is_a_sentence(tmp_path, value, sentence):
    path = tmp_path / "wrong.json"
    path.write_text(value)
    with pytest.raises(MediaError, match="wrong.json") as caught:
        read_curves(path)
    assert sentence in str(caught.value)


def test_other_files_are_sentences(tmp_path, curves):
    with pytest.raises(OptionError, match=".csv or .json"):
        write_curves(tmp_path / "take.txt", curves)
    with pytest.raises(OptionError, match=".csv or .json"):
        read_curves(tmp_path / "take.txt")
    with pytest.raises(MediaError, match="cannot be read as curves"):
        read_curves(tmp_path / "absent.csv")
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff\xe0" * 20)
    with pytest.raises(MediaError, match="cannot be read as curves"):
        read_curves(tmp_path / "picture.csv")


def test_curves_hold_what_they_promise():
    good = {"numbers": np.arange(2), "rate": Fraction(25), "units": np.zeros((2, COUNT)), "missing": np.zeros(2, bool)}
    assert len(Curves(**good)) == 2
    for change in (
        {"numbers": np.array([1, 3])},
        {"numbers": np.arange(3)},
        {"units": np.full((2, COUNT), 6.0)},
        {"units": np.full((2, COUNT), np.nan)},
        {"rate": Fraction(0)},
    ):
        with pytest.raises(OptionError):
            Curves(**{**good, **change})
