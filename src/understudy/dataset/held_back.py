"""Which pictures of a face set training leaves alone, so that a model can be measured on what it has never seen.

Neighbouring frames are nearly the same picture, so single frames would be seen all but in name: whole stretches of successive
frames are kept back. The rule looks at a picture's frame number alone, so it chooses the same ones when footage is added, and
whoever knows the rule knows the pictures.
"""

from __future__ import annotations

STRETCH = 12
"""Frames in a row, half a second of film."""


def held_back(number: int, one_in: int) -> bool:
    """Whether the picture of frame ``number`` is kept back when one stretch in ``one_in`` is; 0 keeps none."""
    return one_in > 0 and number // STRETCH % one_in == one_in // 2
