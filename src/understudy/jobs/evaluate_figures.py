"""The figures of one swapped shot, whoever asks for them: ``evaluate swap`` for its page, ``benchmark`` for its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.jobs.evaluate_scale import ShotScale
    from understudy.jobs.options_evaluate import EvaluateSwapOptions
    from understudy.jobs.project import Project
    from understudy.jobs.track import FaceFinder

Progress = Callable[[str, int, int | None], None]

LPIPS = "LPIPS v0.1 with SqueezeNet, not AlexNet or VGG"
IDENTITY = "MobileFaceNet, not CosFace or VGGFace"


@dataclass(frozen=True, kw_only=True)
class ShotFigures:
    """What was measured.

    Attributes:
        scale: every frame's values, and the swap's embeddings.
        scores: candidate ("swap", "plate", "truth", "neighbour") -> measure -> mean, or the shot's own value.
        networks: measure -> what stands behind it, and what it is not.
        num_frames: of the plate.
        neighbours: how the nearest-neighbour swap went.
        missing: a sentence for every measure that was not taken.
    """

    scale: ShotScale
    scores: dict[str, dict[str, float]]
    networks: Mapping[str, str]
    num_frames: int
    neighbours: dict[str, Any] | None
    missing: tuple[str, ...]


def shot_figures(
    options: EvaluateSwapOptions,
    project: Project,
    progress: Progress = lambda *_: None,
    *,
    finder: FaceFinder | None = None,
    barriers: Mapping[str, str],
    others: bool = True,
) -> ShotFigures:
    """Measure a shot.

    Args:
        options: the clips and how to measure them.
        project: where the identity's gathered faces are.
        finder: what finds faces; None for MediaPipe's models.
        barriers: measures that may not be taken (``evaluate_judges.barred``), with the reason.
        others: measure plate and truth too; without, only what the swap is held against, in half of the time.

    Raises:
        MediaError: a clip cannot be read, or the clips do not have the same frames and size.
        DatasetError: the identity has no gathered faces.
    """
    from understudy.jobs.evaluate_performance import PerformanceReader
    from understudy.jobs.evaluate_scale import Mattes, ShotScale
    from understudy.jobs.measure import open_shot, person_embedding, track_jitter
    from understudy.metrics.flow_warp import FLOW
    from understudy.metrics.identity import missing_identity
    from understudy.metrics.lpips import missing_lpips

    no_identity = barriers.get("identity") or missing_identity()
    no_lpips = barriers.get("lpips") or missing_lpips() if options.truth else None
    networks = {"flow_warp": FLOW}
    networks |= {} if no_identity else {"identity": IDENTITY}
    networks |= {} if no_lpips or options.truth is None else {"lpips": LPIPS}
    with ExitStack() as stack:
        scale = ShotScale(
            options.every,
            None if no_identity else person_embedding(project.faces(options.identity), options.size),
            Mattes(options.mattes, stack),
            lpips=options.truth is not None and no_lpips is None,
            only=None if others else ("swap",),
        )
        shot = stack.enter_context(open_shot(options, project, progress, finder=finder))
        for frame in shot.measured(progress):
            scale.add(frame)
        names = shot.seen if others else ["swap", "plate"]
        tracks = {name: shot.tracks(name, project, progress, finder=finder) for name in names}
        extra = scale.shot_values(shot.has_truth)
        reader = PerformanceReader()
        networks |= reader.networks
        measured = set(scale.numbers)
        for name in tracks:
            if name != "plate":
                for measure, values in reader.compare(tracks[name], tracks["plate"]).items():
                    for number, value in values.items():
                        if number in measured:
                            scale.keep(name, measure, number, value)
        num_frames, neighbours = len(shot.clips["plate"]), shot.neighbours
    scores = scale.means()
    for name, values in extra.items():
        scores.setdefault(name, {}).update(values)
    for name, faces in tracks.items():
        if others or name == "swap":
            scores.setdefault(name, {})["jitter"] = track_jitter(faces)
    return ShotFigures(
        scale=scale,
        scores=scores,
        networks=networks,
        num_frames=num_frames,
        neighbours=neighbours,
        missing=tuple(sentence for sentence in (no_identity, no_lpips) if sentence),
    )
