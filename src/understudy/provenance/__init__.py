"""Cast and consent, run records, weights' origin, the mark in every output."""
