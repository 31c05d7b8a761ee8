"""The text of ``understudy --help``. Imports the table of commands and nothing else."""

from __future__ import annotations

from understudy.cli.commands import ENTRIES

_BOLD, _DIM, _PLAIN = "\033[1m", "\033[2m", "\033[0m"

_FOOT = """\
Every command has --help, and --json for one object on standard output.
A stopped command goes on where it was when it is given again.
"""


def overview(*, colour: bool) -> str:
    """The whole help; ``colour`` adds a terminal's bold and dim."""
    bold, dim, plain = (_BOLD, _DIM, _PLAIN) if colour else ("", "", "")
    lines = [
        "Understudy puts one performer's face on another performer's footage, for visual effects.",
        "",
        f"{bold}Usage:{plain} understudy COMMAND [OPTIONS]",
    ]
    width = max(len(entry.name) for entry in ENTRIES) + 2
    for entry in ENTRIES:
        if entry.heading:
            lines += ["", f"{bold}{entry.heading}{plain}"]
        also = f"  {dim}(also: {', '.join(entry.aliases)}){plain}" if entry.aliases else ""
        lines.append(f"  {bold}{entry.name:<{width}}{plain}{entry.sentence}{also}")
    return "\n".join([*lines, "", _FOOT])
