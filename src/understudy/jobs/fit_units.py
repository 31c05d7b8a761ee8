"""Rendered people to the model that reads action units; its product comes with the package.

    from understudy.jobs.fit_units import FitUnitsOptions, fit_units
    fit_units(FitUnitsOptions(people="people/training", held_back="people/evaluation", output="action_units.safetensors"))

A folder of people holds for each of them ``NAME.npz`` with ``au`` (n, W) weights 0 to 1, ``au_names`` (W,) and
``landmarks`` (n, 68 or more, 2) pixels, and the pictures ``NAME_00.jpg``, ``NAME_01.jpg``...; the first is the face at rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from understudy.errors import DatasetError, OptionError
from understudy.faces.action_units import COUNT, HIGHEST, ActionUnit, ActionUnitModel, units_of_weights
from understudy.faces.blendshapes import NAMES
from understudy.faces.unit_features import canonical, mesh_features, shape_features
from understudy.metrics.action_units import unit_error, unit_scores
from understudy.provenance.atomic import replacing, write_bytes, write_json

Progress = Callable[[str, int, int | None], None]

_RIDGE = 0.003
_FOLDS = 5
# A ridge says too little where it sees little: what it says is spread as the truth is, but not by more than this, and not
# at all for units that it hardly sees, whose noise alone would grow.
_MOST, _MOST_ABSOLUTE, _SEEN = 3.0, 1.5, 0.17
_FURTHEST = 45.0  # degrees of yaw beyond which half of the mesh is guesswork


@dataclass(frozen=True, kw_only=True)
class FitUnitsOptions:
    """Options of :func:`fit_units`."""

    people: Path = field(metadata={"help": "Folder of rendered people to learn from."})
    held_back: Path = field(metadata={"help": "Folder of other people to report figures on."})
    output: Path = field(metadata={"help": "The model, .safetensors; its card lies beside it as .card.json."})
    measured: Path | None = field(default=None, metadata={"help": "Keep the faces' measurements in this .npz."})


@dataclass(frozen=True, kw_only=True)
class FitUnitsReport:
    """Where the model is, and its card: per-unit errors and correlations on people whom it never saw."""

    model: Path
    card: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Faces as the models of this machine see them, with the truth; N pictures.

    Attributes:
        person: (N,) str; ``picture`` (N,) int, 0 is the face at rest.
        held_back: (N,) bool.
        meshes: (N, 478, 3) float32 pixels; ``older``: the same by the 468-point model.
        shapes: (N, 52) float32 blendshapes.
        score: (N,) float32 presence.
        units: (N, 17) float32, 0 to 5, the truth.
    """

    person: np.ndarray
    picture: np.ndarray
    held_back: np.ndarray
    meshes: np.ndarray
    older: np.ndarray
    shapes: np.ndarray
    score: np.ndarray
    units: np.ndarray


def fit_units(options: FitUnitsOptions, progress: Progress = lambda *_: None) -> FitUnitsReport:
    """Measure the people, fit the model, report on the people held back.

    Raises:
        OptionError: the output is no .safetensors file.
        DatasetError: a folder without people, or with pictures missing.
        WeightsError: the face models are not here; both the task file and the older ones are needed.
    """
    from safetensors.numpy import save

    if options.output.suffix != ".safetensors":
        raise OptionError(f"--output {options.output} must end in .safetensors.")
    measured = _measured(options, progress)
    weights, card = fit(measured)
    write_bytes(options.output, save({name: array.astype(np.float32) for name, array in weights.items()}))
    write_json(options.output.with_suffix(".card.json"), card)
    return FitUnitsReport(model=options.output, card=card)


def fit(measured: Measured) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of an :class:`ActionUnitModel`, and its card."""
    meshes, older = canonical(measured.meshes), canonical(measured.older)
    new, old, shapes = mesh_features(meshes), mesh_features(older), shape_features(measured.shapes)
    first = _rest_rows(measured)
    truth = measured.units.astype(np.float64)
    # The rendered people have no dimpler: it is taught what MediaPipe's blendshapes say of it.
    truth[:, ActionUnit.AU14] = _dimple(measured.shapes)
    usable = (measured.score > 0.5) & (_yaw(measured.meshes) < _FURTHEST)
    train = usable & ~measured.held_back
    with_shapes = np.concatenate([new, shapes], axis=1)
    weights: dict[str, np.ndarray] = {}
    gains: dict[str, np.ndarray] = {}
    # Landmarks alone must serve both mesh models, so it learns from both; blendshapes come with the newer one.
    for kind, views in (("", [new, old]), (".shapes", [with_shapes])):
        changes = [view - view[first] for view in views]
        folds = _folds(measured.person, train)
        gains[f"relative{kind}"] = gain = _gain(changes, truth, train, folds, origin=True, most=_MOST)
        weights[f"relative{kind}"] = _solve(changes, truth, train, origin=True)[0] * gain
        gains[f"absolute{kind}"] = gain = _gain(views, truth, train, folds, origin=False, most=_MOST_ABSOLUTE)
        matrix, _ = _solve(views, truth, train, origin=False)
        weights[f"absolute{kind}"] = matrix * gain
        # The mean face at rest reads 0.
        resting = train & (measured.picture == 0)
        at_rest = np.concatenate([view[resting] for view in views]).mean(axis=0)
        weights[f"absolute{kind}.offset"] = -(at_rest @ weights[f"absolute{kind}"])
    return weights, _card(measured, weights, gains, usable)


def measure_people(
    folder: Path, models: Any, progress: Progress = lambda *_: None, *, older_models: Any, held_back: bool
) -> Measured:
    """Measure every picture of a folder of people once.

    A region comes from the picture's true landmarks: whether a face is found at all is not in question here.

    Raises:
        DatasetError: no people, or a picture that is missing.
    """
    from understudy.faces.blendshapes import BlendshapeModel
    from understudy.faces.landmarks import LandmarkModel, roi_from_landmarks

    files = sorted(folder.glob("*.npz"))
    if not files:
        raise DatasetError(f"{folder} holds no people: there is no NAME.npz in it.")
    mesh, older, shapes = LandmarkModel(models), LandmarkModel(older_models), BlendshapeModel(models)
    parts: list[dict[str, np.ndarray]] = []
    for done, file in enumerate(files):
        progress("measure", done, len(files))
        with np.load(file, allow_pickle=False) as arrays:
            weights, names = arrays["au"], [str(name) for name in arrays["au_names"]]
            regions = np.stack([_region(points.astype(np.float64)) for points in arrays["landmarks"]])
        pictures = [_picture(file.with_name(f"{file.stem}_{number:02d}.jpg")) for number in range(len(weights))]
        points, score = mesh.landmarks_of(pictures, regions)
        closer = np.stack([roi_from_landmarks(each) for each in points])
        parts.append(
            {
                "person": np.full(len(weights), file.stem),
                "picture": np.arange(len(weights)),
                "held_back": np.full(len(weights), held_back),
                "meshes": points,
                "older": older.landmarks_of(pictures, closer)[0],
                "shapes": shapes.blendshapes(points),
                "score": score,
                "units": units_of_weights(weights, names),
            }
        )
    progress("measure", len(files), len(files))
    return Measured(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _measured(options: FitUnitsOptions, progress: Progress) -> Measured:
    from understudy.faces.models import FaceModels, find_models
    from understudy.provenance import weights

    if options.measured is not None and options.measured.exists():
        with np.load(options.measured, allow_pickle=False) as arrays:
            return Measured(**{name: arrays[name] for name in arrays.files})
    models = find_models()
    older = FaceModels(detector=b"", mesh=weights.find("face-landmark").read_bytes(), has_iris=False, origin="wheel")
    folders = ((options.people, False), (options.held_back, True))
    both = [
        measure_people(folder, models, progress, older_models=older, held_back=held_back)
        for folder, held_back in folders
    ]
    joined = {name: np.concatenate([getattr(one, name) for one in both]) for name in Measured.__dataclass_fields__}
    if options.measured is not None:
        with replacing(options.measured) as path, path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **joined)
    return Measured(**joined)


def _solve(
    views: list[np.ndarray], truth: np.ndarray, rows: np.ndarray, *, origin: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression over all views of the same faces: weights (F, 17) and offset (17,), 0 where it passes the origin."""
    features = np.concatenate([view[rows] for view in views])
    wanted = np.concatenate([truth[rows]] * len(views))
    middle = np.zeros(features.shape[1]) if origin else features.mean(axis=0)
    mean = np.zeros(COUNT) if origin else wanted.mean(axis=0)
    centred = features - middle
    normal = centred.T @ centred + _RIDGE * len(views) * np.eye(features.shape[1])
    matrix = np.linalg.solve(normal, centred.T @ (wanted - mean))
    return matrix, mean - middle @ matrix


def _gain(
    views: list[np.ndarray], truth: np.ndarray, rows: np.ndarray, folds: np.ndarray, *, origin: bool, most: float
) -> np.ndarray:
    """(17,) what brings each unit's spread, on people left out of the fit, to the truth's."""
    said = np.zeros(truth.shape)
    for fold in range(_FOLDS):
        matrix, offset = _solve(views, truth, rows & (folds != fold), origin=origin)
        left_out = rows & (folds == fold)
        said[left_out] = np.clip(views[0][left_out] @ matrix + offset, 0.0, HIGHEST)
    scores = unit_scores(said[rows], truth[rows])
    gain = np.clip(truth[rows].std(axis=0) / np.maximum(said[rows].std(axis=0), 1e-6), 1.0, most)
    return np.where(np.nan_to_num(scores.correlation) >= _SEEN, gain, 1.0)


def _folds(person: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N,) fold of each picture; all pictures of a person are in one."""
    people = sorted(set(person[rows].tolist()))
    order = np.random.default_rng(0).permutation(len(people))
    fold_of = {name: int(order[place]) % _FOLDS for place, name in enumerate(people)}
    return np.array([fold_of.get(name, -1) for name in person.tolist()])


def _card(
    measured: Measured, weights: Mapping[str, np.ndarray], gains: Mapping[str, np.ndarray], usable: np.ndarray
) -> dict[str, Any]:
    model = ActionUnitModel(weights)
    held = usable & measured.held_back
    truth = measured.units[held]
    ways: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
        "landmarks": (measured.meshes, None),
        "landmarks of the older mesh": (measured.older, None),
    }
    ways["landmarks and blendshapes"] = (measured.meshes, measured.shapes)
    figures: dict[str, Any] = {}
    for name, (meshes, shapes) in ways.items():
        absolute = model.measure(meshes[held], None if shapes is None else shapes[held])
        relative = np.zeros_like(absolute)
        people = measured.person[held]
        for person in sorted(set(people.tolist())):
            (first,) = np.flatnonzero((measured.person == person) & (measured.picture == 0))
            rest = model.rest_of(meshes[[first]], None if shapes is None else shapes[[first]])
            rows = np.flatnonzero(held & (measured.person == person))
            relative[people == person] = model.measure(
                meshes[rows], None if shapes is None else shapes[rows], rest=rest
            )
        figures[name] = {
            way: {"units": unit_scores(said, truth).as_dict(), "au_error": round(unit_error(said, truth), 3)}
            for way, said in (("relative to the face at rest", relative), ("single picture", absolute))
        }
    return {
        "what": "17 action units, 0 to 5, from MediaPipe's face mesh without pose, and from its 52 blendshapes where present",
        "scale": "OpenFace's scale is imitated, not measured: 5 is the rendered people's full weight, magnified by 'gain'",
        "form": "linear, clipped to 0..5; ridge regression, symmetric features",
        "training": {
            "people": len(set(measured.person[~measured.held_back].tolist())),
            "pictures": int((usable & ~measured.held_back).sum()),
            "data": "rendered people, exact weights; all invented. No picture of a real person was used",
            "ridge": _RIDGE,
            "gain": {name: [round(float(value), 2) for value in row] for name, row in gains.items()},
        },
        "no truth": "AU14 is taught MediaPipe's mouthDimple; AU23 is the rendered people's lip press (AU24)",
        "held back": {
            "people": sorted(set(measured.person[measured.held_back].tolist())),
            "pictures": int(held.sum()),
            "error": "mean absolute, 0 to 5; lazy_error is that of always saying the median",
            "by input": figures,
        },
        "licence": "Apache-2.0, as the package",
    }


def _rest_rows(measured: Measured) -> np.ndarray:
    """(N,) the row of every picture's person at rest."""
    first = {name: row for row, name in enumerate(measured.person.tolist()) if measured.picture[row] == 0}
    return np.array([first[name] for name in measured.person.tolist()])


def _dimple(shapes: np.ndarray) -> np.ndarray:
    return HIGHEST * shapes[:, [NAMES.index("mouthDimpleLeft"), NAMES.index("mouthDimpleRight")]].mean(axis=1)


def _yaw(meshes: np.ndarray) -> np.ndarray:
    from understudy.faces.align import fit_mesh

    return np.abs([fit_mesh(mesh).pose.yaw for mesh in meshes])


def _picture(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    if picture is None:
        raise DatasetError(f"{path} is missing or no picture; render that person again.")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _region(points: np.ndarray) -> np.ndarray:
    """The mesh model's region (4,) from iBUG's points: what ``roi_from_landmarks`` would say, to a few per cent."""
    right, left, chin = points[36], points[45], points[8]
    angle = np.arctan2(left[1] - right[1], left[0] - right[0])
    along, upwards = np.array([np.cos(angle), np.sin(angle)]), np.array([np.sin(angle), -np.cos(angle)])
    eyes = (right + left) / 2
    height = float((eyes - chin) @ upwards)
    side = 1.5 * 1.8 * height / 1.16
    # The forehead is 0.8 times as high above the eyes as the chin is below; a turned head's middle is between its ears.
    middle = (eyes + 0.8 * height * upwards + chin) / 2
    middle = middle + 0.8 * along * float(((points[0] + points[16]) / 2 - middle) @ along) - 0.085 * side * upwards
    return np.array([*middle, side, angle])
