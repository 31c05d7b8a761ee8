"""From lossless frames to a movie: encoded once, at the plate's time stamps, beside its sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.codec.context import Flags
from av.video.stream import VideoStream

from understudy.errors import MediaError
from understudy.media.clip import Clip
from understudy.media.formats.codecs import Encoding, apply_encoding
from understudy.media.formats.movie import MovieClip
from understudy.media.formats.movie_store import load_frame
from understudy.media.formats.orientation import Orientation
from understudy.media.formats.planes import ColourTags
from understudy.provenance.stamp import Stamp

_TABLED = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mxf", ".flv", ".3gp"}

# Told by the container itself, not by those who made the movie.
_OWN_METADATA = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When each frame is shown.

    Attributes:
        stamps: time stamp of each frame and, last, the end of the clip, in ``time_base``.
        time_base: seconds a tick.
        shift: ticks that were taken off, where the clip is a part of the movie.
        rate: frames a second.
    """

    stamps: list[int]
    time_base: Fraction
    shift: int
    rate: Fraction

    @staticmethod
    def of(like: Clip, numbers: list[int], counted: bool) -> Timeline:
        """Read the time stamps of ``numbers`` from ``like``; from zero on where the container has ``counted`` frames alone."""
        if isinstance(like, MovieClip):
            index = like.index
            shift = index.times[numbers[0] - 1] - (0 if counted else index.times[0])
            last = numbers[-1]
            end = index.times[last] if last < len(index.times) else index.times[-1] + index.last_duration
            stamps = [index.times[number - 1] - shift for number in numbers] + [end - shift]
            return Timeline(stamps=stamps, time_base=index.time_base, shift=shift, rate=like.rate)
        stamps = [number - numbers[0] for number in numbers]
        return Timeline(stamps=stamps + [stamps[-1] + 1], time_base=1 / like.rate, shift=0, rate=like.rate)

    def at(self, place: int) -> int:
        """Return the stamp of frame ``place``; places before 0, which encoders use for decoding order, are carried on."""
        if place < 0:
            return self.stamps[0] + place * (self.stamps[1] - self.stamps[0])
        return self.stamps[min(place, len(self.stamps) - 1)]


def encode_movie(
    path: Path,
    files: list[Path],
    *,
    like: Clip,
    timeline: Timeline,
    encoding: Encoding,
    tags: ColourTags,
    orientation: Orientation,
    stamp: Stamp | None,
    progress: Callable[[str, int, int | None], None],
) -> None:
    """Encode the stored frames ``files`` to ``path``; sound is copied packet by packet from ``like``.

    Raises:
        MediaError: the encoder or the container refuses.
    """
    movie = like if isinstance(like, MovieClip) else None
    sound = av.open(str(movie.source)) if movie else None
    try:
        with av.open(str(path), "w", container_options=_container_options(path, timeline)) as output:
            stream = output.add_stream(encoding.encoder, rate=timeline.rate)
            assert isinstance(stream, VideoStream)
            # These containers count frames: a finer clock would be taken for a higher rate.
            stream.time_base = 1 / timeline.rate if path.suffix.lower() in (".avi", ".mxf") else timeline.time_base
            context = stream.codec_context
            first = load_frame(files[0], encoding.plane_format)
            apply_encoding(context, encoding, (first.width, first.height))
            context.time_base = 1 / timeline.rate
            context.color_primaries, context.color_trc = tags.primaries, tags.transfer
            context.colorspace, context.color_range = tags.matrix, tags.range
            if encoding.tag and path.suffix.lower() in (".mp4", ".mov", ".m4v"):
                context.codec_tag = encoding.tag
            if path.suffix.lower() == ".avi":
                context.max_b_frames = 0
            if output.format.flags & 0x40:  # AVFMT_GLOBALHEADER
                context.flags |= Flags.global_header
            if orientation.matrix is not None:
                stream.set_display_matrix(orientation.matrix)
            _describe(output, stream, movie, stamp, path.suffix.lower())
            copies = _copies(output, sound, movie, timeline) if sound else iter(())
            pending = next(copies, None)
            for place, file in enumerate([*files, None]):
                raw = None
                if file is not None:
                    raw = load_frame(file, encoding.plane_format)
                    raw = _dressed(raw, encoding, tags, place, 1 / timeline.rate)
                    progress("encode", place + 1, len(files))
                for packet in stream.encode(raw):
                    at = packet.pts or 0
                    packet.dts = timeline.at(packet.dts if packet.dts is not None else at)
                    packet.pts = timeline.at(at)
                    packet.duration = timeline.at(at + 1) - timeline.at(at)
                    packet.time_base = timeline.time_base
                    begin = packet.dts * timeline.time_base
                    while pending is not None and pending[0] <= begin:
                        output.mux(pending[1])
                        pending = next(copies, None)
                    output.mux(packet)
            while pending is not None:
                output.mux(pending[1])
                pending = next(copies, None)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise MediaError(
            f"{path.name} cannot be encoded with {encoding.encoder} ({error.strerror}). Choose another codec; the frames are kept."
        ) from error
    finally:
        if sound is not None:
            sound.close()


def supported_codecs(destination: Path) -> set[str] | None:
    """Return the codecs that the destination's container holds; None where FFmpeg does not tell.

    Raises:
        MediaError: no container of that name.
    """
    try:
        # Nothing is created on disk before the first packet.
        probe = av.open(str(destination), "w")
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(
            f"{destination}: FFmpeg writes no {destination.suffix} movies. Choose .mov, .mp4 or .mkv."
        ) from error
    # Only these have a table; the others answer for their usual codec alone.
    return probe.supported_codecs if destination.suffix.lower() in _TABLED else None


def check_sound(source: Path, destination: Path, supported: set[str] | None) -> None:
    """See that the plate's sound can be copied.

    Raises:
        MediaError: the container cannot hold it untouched.
    """
    with av.open(str(source)) as container:
        for stream in container.streams.audio:
            context = stream.codec_context
            name = context.name if context is not None else "unknown"
            names = {name} | ({context.codec.canonical_name} if context is not None else set())
            if supported is not None and not names & supported:
                raise MediaError(
                    f"{destination}: a {destination.suffix} movie cannot hold the plate's sound ({name}) untouched. "
                    f"Choose {source.suffix}, .mov or .mkv."
                )


def _container_options(path: Path, timeline: Timeline) -> dict[str, str]:
    if path.suffix.lower() not in (".mp4", ".mov", ".m4v"):
        return {}
    return {"video_track_timescale": str(timeline.time_base.denominator), "movflags": "+faststart"}


def _describe(output, stream, movie: MovieClip | None, stamp: Stamp | None, suffix: str) -> None:
    """Carry the container's and the stream's metadata over, the time code moved on to the first frame kept."""
    if movie is not None:
        output.metadata.update(_carried(movie.metadata))
        stream.metadata.update(_carried(movie.stream_metadata))
        if movie.sample_aspect_ratio:
            stream.codec_context.sample_aspect_ratio = movie.sample_aspect_ratio
        timecode = movie.timecode
        if timecode is not None:
            output.metadata.pop("timecode", None)
            stream.metadata["timecode"] = timecode
    if stamp is not None:
        output.metadata.update(stamp.tags(suffix))


def _carried(metadata) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.lower() not in _OWN_METADATA}


def _dressed(raw, encoding: Encoding, tags: ColourTags, place: int, time_base: Fraction):
    if raw.format.name != encoding.pixel_format:
        limits = {"src_color_range": tags.range or 1, "dst_color_range": tags.range or 1}
        raw = raw.reformat(format=encoding.pixel_format, **limits)
    raw.pts, raw.time_base, raw.pict_type = place, time_base, 0
    raw.color_primaries, raw.color_trc, raw.colorspace, raw.color_range = (
        tags.primaries,
        tags.transfer,
        tags.matrix,
        tags.range,
    )
    return raw


def _copies(output, sound, movie: MovieClip | None, timeline: Timeline) -> Iterator[tuple[Fraction, av.Packet]]:
    """Yield (seconds, packet) of the plate's sound and subtitles, untouched, for as long as the clip lasts."""
    supported = output.supported_codecs
    targets = {}
    for source in sound.streams:
        context = source.codec_context
        if source.type == "audio" or (source.type == "subtitle" and context and context.name in supported):
            target = output.add_stream_from_template(source)
            target.metadata.update(_carried(source.metadata))
            targets[source.index] = target
    if not targets:
        return
    whole = movie is None or len(movie.numbers) == len(movie.index.times)
    begin = (timeline.stamps[0] + timeline.shift) * timeline.time_base
    end = (timeline.stamps[-1] + timeline.shift) * timeline.time_base
    shift = Fraction(0) if whole else timeline.shift * timeline.time_base
    for packet in sound.demux([sound.streams[index] for index in targets]):
        if packet.dts is None or not packet.size:
            continue
        seconds = packet.dts * packet.time_base
        if not whole and (seconds + (packet.duration or 0) * packet.time_base <= begin or seconds >= end):
            continue
        ticks = round(shift / packet.time_base)
        target = targets[packet.stream_index]
        packet.dts -= ticks
        if packet.pts is not None:
            packet.pts -= ticks
        packet.stream = target
        yield seconds - shift, packet
