"""Every command with its one sentence: what ``--help`` prints, and where a command is found. Imports nothing."""

from __future__ import annotations


class Entry:
    """A line of ``understudy --help``: ``module`` below ``understudy.cli`` holds the command, ``heading`` starts a
    section.

    A plain class, because importing ``typing`` or ``dataclasses`` takes longer than all the rest of ``--help``.
    """

    __slots__ = ("aliases", "heading", "module", "name", "sentence")

    def __init__(self, name: str, sentence: str, *aliases: str, module: str | None = None, heading: str | None = None):
        self.name, self.sentence, self.aliases = name, sentence, aliases
        self.module, self.heading = module or name, heading


ENTRIES = (
    Entry("new", "make a project: cast with consent, footage, faces, runs, renders", heading="From footage to shot"),
    Entry("gather", "footage to faces: detect, track, stabilise, align, mask", "extract"),
    Entry("review", "look through an identity's faces; sort, drop, restore"),
    Entry("train", "faces to a model that knows every identity of the cast"),
    Entry("swap", "plate and model to a finished shot", "merge", "convert"),
    Entry("animate", "a still and an expression, a performer, curves or a turn to a moving picture"),
    Entry("edit", "a still with its face changed: regions by texture and shape, landmarks by hand"),
    Entry("regions", "skin, eyes, lips, hair and so on told apart, as numbers, mattes or EXR layers"),
    Entry("curves", "what a performer's face does, as action units over time"),
    Entry("evaluate", "judge a swapped shot or a model: report, pass or fail", heading="Looking closer"),
    Entry("measure", "compare a swapped shot with the true answer"),
    Entry("compare", "clips side by side, difference maps, and votes on pairs of them"),
    Entry("inspect", "the model's latent space: interpolate, neighbours, latents"),
    Entry("benchmark", "all families, and what they have to beat, on clips with exact answers"),
    Entry("demo", "all of it on two packaged clips, with a report", heading="This machine"),
    Entry("doctor", "what is installed, what is missing, what to do"),
    Entry("weights", "foreign models: list them, pull them"),
    Entry("bench", "how fast this machine is, and what it could reach"),
)

BY_NAME = {name: entry for entry in ENTRIES for name in (entry.name, *entry.aliases)}
