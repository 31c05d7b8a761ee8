"""Published weights of a system, brought by the user, to a checkpoint of this house."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from understudy import families
from understudy.errors import OptionError
from understudy.provenance.record import RunRecord

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class ImportWeightsOptions:
    """Options of :func:`import_weights`."""

    file: Path = field(metadata={"help": "The published file, as its authors give it out."})
    family: str = field(metadata={"help": "Which system's weights these are."})
    output: Path | None = field(
        default=None, metadata={"help": "Where to write the checkpoint; default: FILE's name as .safetensors, here."}
    )


@dataclass(frozen=True, kw_only=True)
class ImportWeightsReport:
    """What was written."""

    checkpoint: Path
    family: str
    preset: str
    data: str
    licence: str


def import_weights(
    options: ImportWeightsOptions, progress: Progress = lambda stage, done, total: None
) -> ImportWeightsReport:
    """Write published weights as a checkpoint. Nothing in the file is run, and it is taken whole or not at all.

    Raises:
        OptionError: no such family, or one that knows no published weights.
        CheckpointError: not one of the family's published files, or damaged.
        StorageError: the checkpoint cannot be written.
    """
    family = families.get(options.family)
    if family.importer is None:
        able = [name for name in families.names() if families.get(name).importer is not None]
        raise OptionError(f"--family {options.family}: no weights of it are published; there are {', '.join(able)}.")
    output = options.output or Path(options.file.with_suffix(".safetensors").name)
    progress("import", 0, 1)
    record = RunRecord.begin("weights import", options)
    card = family.importer(options.file, output)
    record.write(output)
    progress("import", 1, 1)
    return ImportWeightsReport(
        checkpoint=output, family=card.family, preset=card.preset, data=card.data, licence=card.licence
    )
