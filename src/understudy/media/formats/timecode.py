"""SMPTE time code (ST 12-1), counted in frames."""

from __future__ import annotations

import re
from fractions import Fraction

_CODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)$")


def advance(code: str, frames: int, rate: Fraction) -> str:
    """Return ``code`` moved on by ``frames``; drop-frame codes (with ``;``) skip their numbers. Foreign forms stay as they are."""
    match = _CODE.match(code)
    if match is None or not frames:
        return code
    hours, minutes, seconds, frame = (int(match[index]) for index in (1, 2, 3, 5))
    base = max(1, round(rate))
    dropped = (base // 15) if match[4] in ";." and base % 30 == 0 else 0
    total_minutes = hours * 60 + minutes
    count = (total_minutes * 60 + seconds) * base + frame - dropped * (total_minutes - total_minutes // 10)
    per_minute, per_ten = 60 * base - dropped, 600 * base - 9 * dropped
    count = (count + frames) % (6 * 24 * per_ten)
    tens, rest = divmod(count, per_ten)
    if dropped and rest >= 60 * base:
        skipped = 1 + (rest - 60 * base) // per_minute
        rest += dropped * skipped
    count = tens * 600 * base + rest
    seconds, frame = divmod(count, base)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{match[4]}{frame:0{len(match[5])}d}"
