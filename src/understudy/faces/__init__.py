"""Footage to faces: detect, track, landmarks, stabilise, align, mask."""
