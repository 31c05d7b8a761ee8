"""New faces to frames: matte, colour, blend, contrast."""
