"""Faces to data sets on disk, and from there to batches."""
