"""A movie's frames by time stamp, found without decoding where the stream allows."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av.error

from understudy.errors import MediaError
from understudy.media.formats.movie_stream import decode_frames, open_stream

_LENGTH = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True, kw_only=True)
class MovieIndex:
    """Where a movie's frames stand in time.

    Attributes:
        times: presentation time stamp of each frame, in order, in ``time_base``.
        time_base: seconds a tick.
        key_times: time stamps at which decoding can begin.
        last_duration: ticks that the last frame stays.
        rate: frames a second; the mean one where it varies.
        constant: whether the frames stand at equal distances, to one tick.
        by_count: whether frames are told by counting, since the packets' stamps do not tell them.
    """

    times: list[int]
    time_base: Fraction
    key_times: list[int]
    last_duration: int
    rate: Fraction
    constant: bool
    by_count: bool = False

    def number(self, time: int | None) -> int | None:
        """Return the number (from 1) of the frame at this time stamp, or None."""
        if time is None:
            return None
        place = bisect_left(self.times, time)
        return place + 1 if place < len(self.times) and self.times[place] == time else None


@dataclass(kw_only=True)
class _Survey:
    """What a movie's packets tell."""

    time_base: Fraction
    rate: Fraction | None
    codec: str
    promised: int
    length: Fraction
    stamps: dict[int, tuple[int, bool]] = field(default_factory=dict)
    packets: int = 0
    untold: bool = False
    end: Fraction = Fraction(0)
    last_decoding_time: int | None = None
    broken: str = ""

    @property
    def short(self) -> bool:
        """Whether the file ends before its own header says."""
        if self.broken or self.promised > self.packets:
            return True
        # Containers without a table of frames say their length; the margin is for their roundings.
        return not self.promised and self.end < self.length - Fraction(1, 4)


def index_movie(path: Path, *, last: int | None = None) -> MovieIndex:
    """Read through a movie's packets.

    Args:
        path: the movie.
        last: a frame number that the caller will not go beyond; what is missing after it does no harm.

    Raises:
        MediaError: the file ends before its own header says.
    """
    survey = _survey(path)
    stamps = survey.stamps
    # VP8 has packets that show nothing: only decoding tells.
    if survey.untold or survey.codec == "vp8" or not stamps:
        return _index_by_decoding(path)
    times = sorted(stamps)
    if survey.short:
        # Frames come out of order, and the last packet may be torn. A packet still to come shows nothing before the last
        # one's decoding time, so the frames before that are all there.
        before = survey.last_decoding_time
        times = [time for time in times if before is None or time < before]
        if last is None or last > len(times):
            seconds = f"{float(survey.end):.1f} s of {float(survey.length):.1f} s"
            whole = f"of {survey.promised}" if survey.promised else f"({seconds})"
            mend = f"Copy it again, or use what is there with last={len(times)}." if times else "Copy it again."
            raise MediaError(f"{path} is truncated: it breaks off after frame {len(times)} {whole}. {mend}")
    shown = _first_shown(path)
    if not shown:
        raise MediaError(f"{path} holds no frame that can be decoded: the file is damaged or truncated. Copy it again.")
    # Streams cut in the middle of a group begin with frames that cannot be decoded.
    begin = bisect_left(times, shown[0]) if shown[0] is not None else 0
    if times[begin : begin + len(shown)] != shown[: len(times) - begin]:
        return _index_by_decoding(path)
    times = times[begin:]
    keys = sorted(time for time, (_, key) in stamps.items() if key)
    return _finish(times, survey.time_base, keys, stamps[times[-1]][0], survey.rate)


def _first_shown(path: Path) -> list[int | None]:
    """Return the time stamps of the first frames as the decoder gives them: some containers' packets tell others."""
    container, stream = open_stream(path)
    with container:
        return [raw.pts for raw in islice(decode_frames(path, container, stream), 12)]


def _survey(path: Path) -> _Survey:
    container, stream = open_stream(path)
    with container:
        begin = Fraction(container.start_time or 0, 1_000_000)
        told = _LENGTH.match(stream.metadata.get("DURATION", ""))
        length = Fraction(container.duration or 0, 1_000_000) if "mpegts" not in container.format.name else Fraction(0)
        survey = _Survey(
            time_base=stream.time_base or Fraction(1, 1000),
            rate=stream.guessed_rate or stream.average_rate,
            codec=stream.codec_context.name,
            promised=len(stream.index_entries) if "mov" in container.format.name else 0,
            length=3600 * int(told[1]) + 60 * int(told[2]) + Fraction(told[3]) if told else length,
        )
        try:
            for packet in container.demux():
                ours = packet.stream_index == stream.index
                if not packet.size or packet.time_base is None:
                    continue
                at = packet.pts if packet.pts is not None else packet.dts
                if at is not None and (ours or not told):
                    survey.end = max(survey.end, (at + (packet.duration or 0)) * packet.time_base - begin)
                if not ours:
                    continue
                survey.packets += 1
                survey.last_decoding_time = packet.dts
                if packet.is_discard:
                    continue
                if packet.pts is None or packet.pts in survey.stamps:
                    survey.untold = True
                else:
                    survey.stamps[packet.pts] = (packet.duration or 0, packet.is_keyframe)
        except av.error.EOFError:
            pass
        except av.error.FFmpegError as error:
            survey.broken = error.strerror or str(error)
    return survey


def _index_by_decoding(path: Path) -> MovieIndex:
    container, stream = open_stream(path)
    with container:
        stream.thread_type = "AUTO"
        rate = stream.guessed_rate or stream.average_rate or Fraction(25)
        stamps = [(raw.pts, raw.duration) for raw in decode_frames(path, container, stream)]
        if not stamps:
            raise MediaError(
                f"{path} holds no frame that can be decoded: the file is damaged or truncated. Copy it again."
            )
        times = [time for time, _ in stamps if time is not None]
        if len(times) < len(stamps) or any(b <= a for a, b in pairwise(times)):
            return MovieIndex(
                times=list(range(len(times))),
                time_base=1 / rate,
                key_times=[],
                last_duration=1,
                rate=rate,
                constant=True,
                by_count=True,
            )
        return _finish(times, stream.time_base or Fraction(1, 1000), [], stamps[-1][1], rate, by_count=True)


def _finish(
    times: list[int], time_base: Fraction, keys: list[int], duration: int, rate: Fraction | None, by_count: bool = False
) -> MovieIndex:
    span = (times[-1] - times[0]) * time_base
    candidates = [rate] if rate else []
    if span:
        candidates.append((len(times) - 1) / span)
    constant = False
    for rate in candidates:
        step = 1 / (rate * time_base)
        if all(abs(time - times[0] - place * step) <= 1 for place, time in enumerate(times)):
            constant = True
            break
    if not constant and span:
        rate = ((len(times) - 1) / span).limit_denominator(1001)
    rate = rate or Fraction(25)
    return MovieIndex(
        times=times,
        time_base=time_base,
        key_times=keys,
        last_duration=duration or max(1, round(1 / (rate * time_base))),
        rate=Fraction(rate),
        constant=constant,
        by_count=by_count,
    )
