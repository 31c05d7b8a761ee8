"""Region maps finer than a network's, and made small for it."""

from __future__ import annotations

import numpy as np

from understudy.faces.regions import Region
from understudy.jobs.regional_maps import FINE_SIDE, crop_side, map_side, smaller_map, without_gaps

from .test_edit import Editor


def test_a_small_network_is_given_room() -> None:
    editor = Editor()
    assert crop_side(editor) == map_side(editor) == FINE_SIDE
    editor.size, editor.map_size = 1024, 512
    assert (crop_side(editor), map_side(editor)) == (1024, 512)


def test_a_smaller_map_shows_what_most_of_a_pixel_shows() -> None:
    regions = np.zeros((8, 8), np.uint8)
    regions[:4, :3], regions[:4, 3], regions[4:, 4:] = Region.SKIN, Region.LIPS, Region.HAIR
    np.testing.assert_array_equal(
        smaller_map(regions, 2), [[Region.SKIN, Region.BACKGROUND], [Region.BACKGROUND, Region.HAIR]]
    )
    assert smaller_map(regions, 8) is regions and smaller_map(regions, 16) is regions


def test_small_gaps_amid_a_head_are_closed() -> None:
    regions = np.full((100, 100), int(Region.BACKGROUND), np.uint8)
    regions[20:80, 20:80] = Region.SKIN
    regions[60:80, 20:80] = Region.NECK
    regions[30:33, 30:33] = Region.BACKGROUND  # a spot
    regions[70:73, 50:54] = Region.BACKGROUND
    regions[40:56, 40:70] = Region.BACKGROUND  # too large for a mistake
    regions[70, 20] = Region.BACKGROUND  # hangs together with the outside
    whole = without_gaps(regions)
    assert (whole[30:33, 30:33] == Region.SKIN).all() and (whole[70:73, 50:54] == Region.NECK).all()
    changed = whole != regions
    assert changed.sum() == 9 + 12
    assert without_gaps(whole) is whole
