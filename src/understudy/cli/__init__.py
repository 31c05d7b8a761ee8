"""The ``understudy`` command. ``--help`` and ``--version`` are answered from a table, before anything is imported."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 the user can mend it, 130 and 143 stopped by a signal."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        from understudy.cli.overview import overview

        sys.stdout.write(overview(colour=sys.stdout.isatty()))
        return 0
    if arguments[0] in ("--version", "-V"):
        from understudy import __version__

        sys.stdout.write(f"understudy {__version__}\n")
        return 0
    from understudy.cli.run import run

    return run(arguments)
