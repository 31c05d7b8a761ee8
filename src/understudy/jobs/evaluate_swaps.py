"""Pictures of the identities given back as themselves and as each other, with their measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import WeightsError

if TYPE_CHECKING:
    from understudy.dataset.face_set import FaceEntry
    from understudy.faces.landmarks import LandmarkModel
    from understudy.family import Performer

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Person:
    """An identity's pictures (N, s, s, 3), face masks (N, s, s) and landmarks (N, 478, 2) in pixels; float32."""

    pictures: np.ndarray
    masks: np.ndarray
    landmarks: np.ndarray


class SwapScales:
    """Measures a performer.

    Args:
        performer: the model.
        barred: measures that its own judges may not take, with the reason.
    """

    def __init__(self, performer: Performer, *, barred: Mapping[str, str]) -> None:
        from understudy.jobs.evaluate_judges import JUDGES
        from understudy.jobs.evaluate_swap import IDENTITY, LPIPS
        from understudy.metrics.features import feature_network
        from understudy.metrics.identity import missing_identity
        from understudy.metrics.lpips import missing_lpips

        self.performer = performer
        self.people: dict[str, Person] = {}
        self.made: dict[tuple[str, str], np.ndarray] = {}
        reasons = {
            "identity": barred.get("identity") or missing_identity(),
            "lpips": barred.get("lpips") or missing_lpips(),
        }
        self.identity, self.lpips = reasons["identity"] is None, reasons["lpips"] is None
        without = {JUDGES[name] for name in barred}
        self.features, no_inception = feature_network(without=without)
        self.mesh = mesh_model()
        self.missing = tuple(
            sentence for sentence in (*reasons.values(), barred.get("fid"), no_inception, self.mesh[1]) if sentence
        )
        self.networks: dict[str, str] = {}
        if self.identity:
            self.networks |= dict.fromkeys(("identity", "top1"), IDENTITY)
        if self.lpips:
            self.networks["lpips"] = LPIPS
        if self.features is not None:
            self.networks["fid"] = self.features.name

    @property
    def counts(self) -> dict[str, int]:
        """Identity -> how many of its pictures are measured."""
        return {name: len(person.pictures) for name, person in self.people.items()}

    def add_person(self, name: str, folder: Path, choose: Callable[[list[FaceEntry]], list[FaceEntry]]) -> None:
        """Read an identity's pictures at the performer's size.

        Raises:
            DatasetError: no face set, or a picture that cannot be read.
        """
        from understudy.dataset.face_set import FaceSet

        size = self.performer.size
        with FaceSet.open(folder) as face_set:
            entries = choose(face_set.entries())
            loaded = [face_set.load(entry, size) for entry in entries]
            scale = size / face_set.size
        self.people[name] = Person(
            pictures=np.stack([np.clip(picture, 0, 1) for picture, _ in loaded]),
            masks=np.stack([mask for _, mask in loaded]),
            landmarks=np.stack([entry.landmarks * np.float32(scale) for entry in entries]),
        )

    def measure(self, progress: Progress) -> dict[str, dict[str, float]]:
        """``ben as anna`` -> measure -> mean, for every pair."""
        from understudy.metrics.identity import embed
        from understudy.perform.swap import swap_crops

        embeddings = {}
        if self.identity:
            for name, person in self.people.items():
                pairs = zip(person.pictures, person.landmarks, strict=True)
                embeddings[name] = np.stack([embed(picture, points) for picture, points in pairs])
        rows = {}
        pairs = list(product(self.people, self.people))
        for done, (shown, wanted) in enumerate(pairs):
            progress("measure", done, len(pairs))
            person = self.people[shown]
            crops = ((None, picture) for picture in person.pictures)
            found = [face.crop for _, face in swap_crops(crops, performer=self.performer, identity=wanted)]
            self.made[shown, wanted] = made = np.stack(found)
            row = self._reconstructed(made, person) if shown == wanted else self._performed(made, person)
            if embeddings:
                row |= self._recognised(made, person, wanted, embeddings)
            row |= self._distribution(made, person, self.people[wanted])
            rows[f"{shown} as {wanted}"] = row
        progress("measure", len(pairs), len(pairs))
        return rows

    def notes(self) -> tuple[str, ...]:
        """What to know about the figures."""
        notes = ["FID of so few pictures is for a look; compare it only with the same number of the same pictures."]
        if self.identity:
            notes.append(f"Retrieval chose among {len(self.people)} people.")
        return tuple(notes) if self.features is not None else tuple(notes[1:])

    def write_sheet(self, path: Path, most: int, model: Path) -> Path:
        """Some pictures of everybody, as they are and as everybody."""
        from understudy.jobs.sheet import Sheet, write_sheet

        rows = []
        for name, person in self.people.items():
            places = np.unique(
                np.linspace(0, len(person.pictures) - 1, min(most, len(person.pictures))).round().astype(int)
            )
            rows.append((name, [person.pictures[place] for place in places]))
            rows += [(f"as {other}", [self.made[name, other][place] for place in places]) for other in self.people]
        return write_sheet(path, Sheet(title=str(model), columns=[""] * most, rows=rows), side=128)

    def _reconstructed(self, made: np.ndarray, person: Person) -> dict[str, float]:
        from understudy.metrics.lpips import lpips
        from understudy.metrics.psnr import psnr
        from understudy.metrics.rmse import rmse
        from understudy.metrics.ssim import ssim

        measures = {"ssim": ssim, "psnr": psnr, "rmse": rmse} | ({"lpips": lpips} if self.lpips else {})
        triples = list(zip(made, person.pictures, person.masks, strict=True))
        return {
            name: float(np.mean([measure(made, true, mask=mask) for made, true, mask in triples]))
            for name, measure in measures.items()
        }

    def _performed(self, made: np.ndarray, person: Person) -> dict[str, float]:
        """Pose and expression beside the performer's, both measured alike."""
        model = self.mesh[0]
        if model is None:
            return {}
        from understudy.faces.face import Face
        from understudy.faces.landmarks import eight_bit, roi_from_landmarks
        from understudy.jobs.evaluate_performance import PerformanceReader, face_of_mesh

        reader = PerformanceReader()
        faces: list[dict[int, Face]] = []
        for pictures in (made, person.pictures):
            rois = [roi_from_landmarks(points) for points in person.landmarks]
            views = [eight_bit(picture) for picture in pictures]
            meshes, _ = model.landmarks_of(views, np.stack(rois))
            faces.append({number: face_of_mesh(mesh) for number, mesh in enumerate(meshes)})
        found = reader.compare(*faces)
        taken = [name for name in ("pose", "expression", "blendshapes") if name in found]
        self.networks |= {name: reader.networks[name] for name in taken}
        return {name: float(np.mean(list(found[name].values()))) for name in taken}

    def _recognised(
        self, made: np.ndarray, person: Person, wanted: str, embeddings: Mapping[str, np.ndarray]
    ) -> dict[str, float]:
        from understudy.metrics.identity import embed, mean_embedding, similarity
        from understudy.metrics.retrieval import retrieve

        found = np.stack([embed(picture, points) for picture, points in zip(made, person.landmarks, strict=True)])
        looks = mean_embedding(embeddings[wanted])
        row = {"identity": float(np.mean([similarity(one, looks) for one in found]))}
        if len(embeddings) > 1:
            people = [name for name, rows in embeddings.items() for _ in rows]
            hits = retrieve(found, [wanted] * len(found), np.concatenate(list(embeddings.values())), people)
            row |= {"top1": hits.top1}
            row |= {"top5": hits.top5} if hits.people > 5 else {}  # of five, everybody is among the first five
        return row

    def _distribution(self, made: np.ndarray, person: Person, truth: Person) -> dict[str, float]:
        from understudy.metrics.fid import fid
        from understudy.metrics.inception_score import inception_score

        if self.features is None:
            return {}
        described = self.features.features(made, person.landmarks)
        true = self.features.features(truth.pictures, truth.landmarks)
        row = {"fid": fid(described, true, network=self.features.name).distance}
        likely = self.features.probabilities(made)
        if likely is not None:
            row["is"] = inception_score(likely).score
            self.networks["is"] = self.features.name
        return row


def mesh_model() -> tuple[LandmarkModel | None, str | None]:
    """What measures meshes of crops, and a sentence where this machine has none."""
    from understudy.faces.landmarks import LandmarkModel
    from understudy.faces.models import find_models

    try:
        return LandmarkModel(find_models()), None
    except WeightsError as error:
        return None, f"Head pose and expression were not measured: {error}"
