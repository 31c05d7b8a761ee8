"""Faces and a checkpoint to new faces."""
