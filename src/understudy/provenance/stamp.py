"""The machine-readable mark that a picture or movie is AI-altered (IPTC digital source type, as XMP)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COMPOSITE_WITH_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What an output says of its making.

    Attributes:
        software: name and version of what made it.
        digital_source_type: IPTC NewsCodes address.
        record_sha256: hash of the run record that tells inputs, weights and settings; None if there is none.
    """

    software: str = "Understudy"
    digital_source_type: str = COMPOSITE_WITH_MODEL
    record_sha256: str | None = None

    def tags(self) -> dict[str, str]:
        """Return the mark as plain names and values, for containers that hold such."""
        return {"DigitalSourceType": self.digital_source_type}

def stamp_file(path: Path, stamp: Stamp) -> None:
    """Put ``stamp`` into the file."""


def read_stamp(path: Path) -> Stamp | None:
    """Return the file's stamp."""
