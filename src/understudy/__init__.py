"""Understudy swaps, edits and animates faces for visual effects."""

__version__ = "0.1.0"
