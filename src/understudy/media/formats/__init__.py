"""One file per format, reading and writing."""
