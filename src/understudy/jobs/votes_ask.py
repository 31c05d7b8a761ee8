"""People are asked about clips, pair by pair, on a page of this machine.

Nobody who votes can tell the clips apart by anything but their looks: every clip is written anew in one format and size without
sound or tags, and each trial gives both sides fresh random addresses.
"""

from __future__ import annotations

import random
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import combinations, repeat
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import OptionError
from understudy.jobs.compare import SideBySide, open_side_by_side
from understudy.jobs.compare_layout import fit
from understudy.jobs.options_compare import CompareOptions
from understudy.jobs.votes import CHOICES, Contender, Vote, append_vote, rank
from understudy.media.clip import Clip, create_clip
from understudy.media.colour import ColourSpace
from understudy.media.frame import Frame, quantise
from understudy.provenance.record import path_sha256

Progress = Callable[[str, int, int | None], None]

_TALLEST = 1080  # pixels: what a browser shows two of, side by side
_QUESTIONS = {False: "Which one looks better?", True: "Which one is real?"}


@dataclass(frozen=True, kw_only=True)
class AskReport:
    """What asking people brought in."""

    file: Path
    """The file that the votes were added to."""
    address: str
    """The page, while it was open."""
    asked: int
    """Pairs that were to be shown."""
    votes: int
    """Votes that came."""
    contenders: tuple[Contender, ...]
    """What these votes alone say; count the whole file with --votes."""
    stopped_by: str
    """A signal's name where the page was closed by one before all pairs were shown."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A pair on show: what the page may know is ``left_id`` and ``right_id``, random words for the two clips."""

    identifier: str
    left: str
    right: str
    left_id: str
    right_id: str
    began: float


class Session:
    """The pairs in random order, sides too, and the votes as they come. Several windows may ask at once; each pair counts once."""

    def __init__(
        self,
        clips: Mapping[str, Path],
        keep: Callable[[Vote], None],
        *,
        rounds: int = 1,
        real: Sequence[str] = (),
        question: str | None = None,
        voter: str = "",
        chance: random.Random | None = None,
    ) -> None:
        """``clips`` are the files on show by name, ``keep`` is given every vote; ``chance`` is for tests."""
        chance = chance or random.SystemRandom()
        self._clips, self._keep, self._real, self._voter = dict(clips), keep, tuple(real), voter
        self._hashes = {name: path_sha256(path) for name, path in clips.items()}
        self.question = question or _QUESTIONS[bool(real)]
        pairs: list[tuple[str, str]] = []
        for _ in range(rounds):
            # Where the question is which one is real, a pair without anything real, or of nothing else, has no answer.
            one_round = [pair for pair in combinations(clips, 2) if not real or len(set(pair) & set(real)) == 1]
            chance.shuffle(one_round)
            pairs += [(a, b) if chance.random() < 0.5 else (b, a) for a, b in one_round]
        self._pairs = pairs
        self.asked = len(pairs)
        self.votes: list[Vote] = []
        self.done = threading.Event()
        self._lock = threading.Lock()
        self._trial: Trial | None = None

    def trial(self) -> dict[str, Any]:
        """What the page shows next; asking again without voting gives the same."""
        with self._lock:
            if len(self.votes) == self.asked:
                return {"done": True, "asked": self.asked}
            if self._trial is None:
                left, right = self._pairs[len(self.votes)]
                words = [secrets.token_urlsafe(9) for _ in range(3)]
                self._trial = Trial(
                    identifier=words[0],
                    left=left,
                    right=right,
                    left_id=words[1],
                    right_id=words[2],
                    began=time.monotonic(),
                )
            trial = self._trial
            return {
                "done": False,
                "trial": trial.identifier,
                "left": trial.left_id,
                "right": trial.right_id,
                "number": len(self.votes) + 1,
                "asked": self.asked,
            }

    def media(self, identifier: str) -> Path | None:
        """The file behind a random word of the pair on show; None for any other word."""
        with self._lock:
            trial = self._trial
            if trial is None:
                return None
            return {trial.left_id: self._clips[trial.left], trial.right_id: self._clips[trial.right]}.get(identifier)

    def vote(self, identifier: str, choice: str) -> bool:
        """Take an answer to the pair on show; False where it is none, or to another pair."""
        with self._lock:
            trial = self._trial
            if (
                trial is None
                or choice not in CHOICES
                or not secrets.compare_digest(identifier.encode(), trial.identifier.encode())
            ):
                return False
            vote = Vote(
                left=trial.left,
                right=trial.right,
                choice=choice,
                real=tuple(name for name in (trial.left, trial.right) if name in self._real),
                question=self.question,
                voter=self._voter,
                time=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=round(time.monotonic() - trial.began, 2),
                files={name: self._hashes[name] for name in (trial.left, trial.right)},
            )
            self._keep(vote)  # on the disk first: an answer that could not be kept is asked for again
            self.votes.append(vote)
            self._trial = None
            if len(self.votes) == self.asked:
                self.done.set()
            return True


def ask(options: CompareOptions, progress: Progress = lambda stage, done, total: None) -> AskReport:
    """Show the clips in pairs until every pair has its vote, or a signal comes; votes are kept one by one.

    ``progress`` is told the page's address as the name of its stage.

    Raises:
        OptionError: the port is taken, or no pair has an answer.
        MediaError, StorageError: as for :func:`understudy.jobs.compare.compare`.
    """
    from understudy.jobs.votes_page import VotesPage

    file = options.votes or Path("votes.jsonl")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="understudy-votes-")))
        clips = open_side_by_side(options, stack)
        shown = write_plain(options.titles, clips, folder, options.height, progress)
        session = Session(
            shown,
            lambda vote: append_vote(file, vote),
            rounds=options.rounds,
            real=options.real,
            question=options.question,
            voter=options.voter,
        )
        if not session.asked:
            raise OptionError("Every clip is --real, so there is nothing to tell apart; leave one out.")
        page = stack.enter_context(VotesPage(session, options.port))
        stopped_by, seen = "", -1
        try:
            while True:
                finished = session.done.wait(0.2)
                if len(session.votes) != seen:
                    seen = len(session.votes)
                    progress(f"vote at {page.address}", seen, session.asked)
                if finished:
                    break
            time.sleep(0.3)  # the page fetches its last word
        except KeyboardInterrupt as error:
            stopped_by = str(error) or "SIGINT"
        return AskReport(
            file=file,
            address=page.address,
            asked=session.asked,
            votes=len(session.votes),
            contenders=rank(session.votes),
            stopped_by=stopped_by,
        )


def write_plain(
    names: Sequence[str], clips: SideBySide, folder: Path, height: int | None, progress: Progress
) -> dict[str, Path]:
    """Every clip as a browser shows it, of one size, rate and length: MP4 (H.264, 4:2:0, 8 bits), or PNG where nothing moves.

    Returns:
        Name -> file.
    """
    tallest = min(height or max(clip.size[1] for clip in clips.clips), _TALLEST)
    still = all(clip.kind == "still" for clip in clips.clips)
    files = {}
    for place, (name, clip) in enumerate(zip(names, clips.clips, strict=True)):
        width, own = clip.size
        size = tuple(max(2, round(length / 2) * 2) for length in (width * tallest / own, tallest))
        plain = _Plain(clip, clips, (size[0], size[1]))
        target = folder / (f"{place}.png" if still else f"{place}.mp4")
        with create_clip(target, like=plain, size=plain.size) as writer:
            for done, frame in enumerate(plain):
                progress(f"prepare {name}", done, clips.num_frames)
                writer.write(frame)
        progress(f"prepare {name}", clips.num_frames, clips.num_frames)
        files[name] = target
    return files


class _Plain(Clip):
    """A clip in 8 bits, at another size, without sound, tags or time stamps of its own."""

    kind = "sequence"

    def __init__(self, clip: Clip, clips: SideBySide, size: tuple[int, int]) -> None:
        self._clip = clip
        self.source, self.size, self.rate = clip.source, size, clips.like.rate
        self.numbers = range(1, clips.num_frames + 1)
        self.dtype, self.channels, self.colour = np.dtype(np.uint8), ("R", "G", "B"), ColourSpace.DISPLAY

    def frame_file(self, number: int) -> Path:
        return self._clip.frame_file(self._clip.numbers[0])

    def __iter__(self) -> Iterator[Frame]:
        still = self._clip.kind == "still"
        source = repeat(self._clip.frame(self._clip.numbers[0])) if still else iter(self._clip)
        for number, frame in zip(self.numbers, source, strict=False):
            yield self._plainly(frame, number)

    def frame(self, number: int) -> Frame:
        place = 0 if self._clip.kind == "still" else number - 1
        return self._plainly(self._clip.frame(self._clip.numbers[place]), number)

    def _plainly(self, frame: Frame, number: int) -> Frame:
        pixels = quantise(fit(frame.view(), self.size), np.dtype(np.uint8))
        plain = Frame(pixels=pixels, channels=("R", "G", "B"), number=number)
        return replace(plain, time=Fraction(number - 1) / self.rate)
