"""On whose consent a picture that is no part of a gathered cast may be rendered."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import ConsentError, OptionError
from understudy.jobs.project import CAST_FILE, Project, require_consent
from understudy.provenance.cast import Consent, load_consent


def picture_consent(
    picture: str, *, identity: str | None, project: Project | None, consent: Path | None
) -> tuple[str, Consent]:
    """The name that consent to render is given for, and the consent: of a record, else of a file beside the picture, else of the
    cast.

    Args:
        picture: its path.
        identity: who is seen in it; not needed with a record, or where the cast has one alone.

    Raises:
        ConsentError: there is none.
        OptionError: nobody says who is seen.
    """
    beside = Path(picture).with_suffix(".consent.toml")
    record = consent or (beside if beside.is_file() else None)
    if record is not None:
        # A record of one person needs no name to find it by.
        return identity or Path(picture).stem, load_consent(record, identity=identity).require(
            identity or record.name.split(".")[0], "render"
        )
    if identity is None and project is not None:
        cast = list(project.cast.identities)
        if len(cast) != 1:
            raise OptionError(
                f"Say who is seen in {picture}, by {beside.name} beside it or with --identity; the cast is "
                f"{', '.join(cast) or 'empty'}."
            )
        identity = cast[0]
    if identity is None or project is None:
        raise ConsentError(
            f"There is no consent to render whoever is seen in {picture}: work inside a project whose {CAST_FILE} names "
            f"them, give --consent FILE, or lay {beside.name} beside it."
        )
    return identity, require_consent(identity, "render", project=project)
