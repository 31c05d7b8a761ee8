"""The measures of pictures given back and of swaps: the columns of the paper's Tables 1, 2 and 3."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from understudy.jobs.region_cases import Case
    from understudy.jobs.shot_frames import MeshMeasure


class RegionScores:
    """Measures pictures; what this machine has no network for is left out, and said in ``missing``.

    Attributes:
        networks: measure -> what stands behind it.
        missing: a sentence for every measure that could not be taken.
        unread: swaps in which no face was found.
    """

    def __init__(self, measure: MeshMeasure | None = None) -> None:
        """``measure`` finds the meshes of made faces; None for MediaPipe's models on this machine."""
        from understudy.jobs.evaluate_performance import PerformanceReader
        from understudy.jobs.evaluate_swap import IDENTITY, LPIPS
        from understudy.jobs.evaluate_swaps import mesh_model
        from understudy.jobs.shot_frames import mesh_measure
        from understudy.metrics.features import feature_network
        from understudy.metrics.identity import missing_identity
        from understudy.metrics.lpips import missing_lpips

        self._identity, self._lpips = missing_identity() is None, missing_lpips() is None
        self._features, no_inception = feature_network()
        no_mesh = None
        if measure is None:
            model, no_mesh = mesh_model()
            measure = mesh_measure(model) if model is not None else None
        self._measure, self._reader = measure, PerformanceReader()
        self.unread = 0
        sentences = (missing_identity(), missing_lpips(), no_inception, no_mesh)
        self.missing = tuple(dict.fromkeys(sentence for sentence in sentences if sentence))
        self.networks: dict[str, str] = {}
        if self._identity:
            self.networks |= dict.fromkeys(("identity", "top1", "top5"), IDENTITY)
        if self._lpips:
            self.networks["lpips"] = LPIPS
        if self._features is not None:
            self.networks["fid"] = self._features.name
        if self._measure is not None:
            names = [name for name in ("pose", "expression", "blendshapes") if name in self._reader.networks]
            self.networks |= {name: self._reader.networks[name] for name in names}

    def barred(self, bars: Collection[str]) -> set[str]:
        """Measures that a model may not be judged by, from those whose own network taught it."""
        more = set(bars)
        if "identity" in more:
            more |= {"top1", "top5"}
            more |= {"fid"} if self._features is not None and "MobileFaceNet" in self._features.name else set()
        return more

    def given_back(self, made: Sequence[np.ndarray], cases: Sequence[Case]) -> dict[str, float]:
        """Pictures (s, s, 3) beside the true ones, whole crops (Tables 1 and 3): measure -> mean."""
        from understudy.metrics.fid import fid
        from understudy.metrics.identity import embed, similarity
        from understudy.metrics.lpips import lpips
        from understudy.metrics.psnr import psnr
        from understudy.metrics.rmse import rmse
        from understudy.metrics.ssim import ssim

        measures = {"ssim": ssim, "psnr": psnr, "rmse": rmse} | ({"lpips": lpips} if self._lpips else {})
        truths = [case.face.crop for case in cases]
        row = {
            name: float(np.mean([measure(one, true) for one, true in zip(made, truths, strict=True)]))
            for name, measure in measures.items()
        }
        points = [case.points for case in cases]
        if self._identity:
            alike = [
                similarity(embed(one, at), embed(true, at)) for one, true, at in zip(made, truths, points, strict=True)
            ]
            row["identity"] = float(np.mean(alike))
        if self._features is not None and len(made) > 1:
            described = [self._features.features(np.stack(some), np.stack(points)) for some in (made, truths)]
            row["fid"] = fid(described[0], described[1], network=self._features.name).distance
        return row

    def swapped(
        self,
        made: Sequence[np.ndarray],
        sources: Sequence[Case],
        targets: Sequence[Case],
        rests: Mapping[str, Case],
    ) -> dict[str, float]:
        """Swapped crops (s, s, 3) beside source and target (Table 2): measure -> mean.

        Args:
            rests: person -> the calmest face of theirs: expressions are read against it, of swaps against the source's.
        """
        return self._recognised(made, sources, targets) | self._performed(made, sources, targets, rests)

    def calmest(self, meshes: np.ndarray) -> int:
        """The place of the face at rest among one person's (N, 478, 3)."""
        shapes = None if self._reader.shapes is None else self._reader.shapes.blendshapes(meshes)
        return int(self._reader.units.quiet_of(meshes, shapes)[0])

    def _recognised(
        self, made: Sequence[np.ndarray], sources: Sequence[Case], targets: Sequence[Case]
    ) -> dict[str, float]:
        from understudy.metrics.identity import embed, similarity
        from understudy.metrics.retrieval import retrieve

        if not self._identity:
            return {}
        # As in the paper, the gallery is every source picture.
        gallery = {case.entry.picture: case for case in sources}
        known = {picture: embed(case.face.crop, case.points) for picture, case in gallery.items()}
        found = np.stack([embed(one, case.points) for one, case in zip(made, targets, strict=True)])
        wanted = [case.person for case in sources]
        own = [known[case.entry.picture] for case in sources]
        row = {"identity": float(np.mean([similarity(one, true) for one, true in zip(found, own, strict=True)]))}
        hits = retrieve(found, wanted, np.stack(list(known.values())), [case.person for case in gallery.values()])
        row |= {"top1": hits.top1}
        return row | ({"top5": hits.top5} if hits.people > 5 else {})  # of five, everybody is among the first five

    def _performed(
        self,
        made: Sequence[np.ndarray],
        sources: Sequence[Case],
        targets: Sequence[Case],
        rests: Mapping[str, Case],
    ) -> dict[str, float]:
        from understudy.jobs.evaluate_performance import face_of_mesh
        from understudy.metrics.expression import blendshape_distance, mesh_distance
        from understudy.metrics.head_pose import pose_distance

        if self._measure is None:
            return {}
        # All are measured alike, on crops of one size; sharper pictures would read differently.
        results = self._meshes(made, targets)
        truths = self._meshes([case.face.crop for case in targets], targets)
        calm = dict(
            zip(rests, self._meshes([case.face.crop for case in rests.values()], list(rests.values())), strict=True)
        )
        values: dict[str, list[float]] = {"pose": [], "expression": [], "blendshapes": []}
        for mesh, truth, source, target in zip(results, truths, sources, targets, strict=True):
            rest, true_rest = calm[source.person], calm[target.person]
            if mesh is None or truth is None:
                self.unread += 1
                continue
            values["pose"].append(pose_distance(face_of_mesh(mesh).pose, face_of_mesh(truth).pose))
            if rest is None or true_rest is None:
                continue
            values["expression"].append(mesh_distance(mesh, rest, truth, true_rest))
            if self._reader.shapes is not None:
                shapes = self._reader.shapes.blendshapes(np.stack([mesh, rest, truth, true_rest]))
                values["blendshapes"].append(float(blendshape_distance(shapes[0] - shapes[1], shapes[2] - shapes[3])))
        return {name: float(np.mean(found)) for name, found in values.items() if found}

    def _meshes(self, crops: Sequence[np.ndarray], cases: Sequence[Case]) -> list[np.ndarray | None]:
        from understudy.faces.landmarks import eight_bit

        assert self._measure is not None
        return list(self._measure([eight_bit(crop) for crop in crops], [case.points for case in cases]))
