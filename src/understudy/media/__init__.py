"""Footage in, pictures out."""
