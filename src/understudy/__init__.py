"""Understudy swaps, edits and animates faces for visual effects.

Everything a command does is one call here: an options object in, a report out.

    import understudy

    project = understudy.new_project("my-show", identities={"anna": understudy.Consent(synthetic=True)})
    understudy.gather(understudy.GatherOptions(source="clip.mp4", identity="anna", project=project.root))

Names are loaded when they are first used, so importing the package costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # spelled out: importing typing would take longer than all of `understudy --help`
if TYPE_CHECKING:
    from understudy.composite.face import composite_face as composite_face
    from understudy.composite.options import CompositeOptions as CompositeOptions
    from understudy.dataset.face_set import FaceSet as FaceSet
    from understudy.errors import UnderstudyError as UnderstudyError
    from understudy.errors import UserError as UserError
    from understudy.faces.align import CropTransform as CropTransform
    from understudy.faces.align import canonical_transform as canonical_transform
    from understudy.faces.curves import Curves as Curves
    from understudy.faces.curves import read_curves as read_curves
    from understudy.faces.curves import write_curves as write_curves
    from understudy.faces.face import Face as Face
    from understudy.faces.face import Pose as Pose
    from understudy.jobs.animate import animate_still as animate_still
    from understudy.jobs.bench import BenchOptions as BenchOptions
    from understudy.jobs.bench import bench as bench
    from understudy.jobs.benchmark import benchmark as benchmark
    from understudy.jobs.compare import compare as compare
    from understudy.jobs.curves import measure_curves as measure_curves
    from understudy.jobs.demo import DemoOptions as DemoOptions
    from understudy.jobs.demo import demo as demo
    from understudy.jobs.doctor import DoctorOptions as DoctorOptions
    from understudy.jobs.doctor import doctor as doctor
    from understudy.jobs.edit import edit_regions as edit_regions
    from understudy.jobs.edit_landmarks import EditLandmarksOptions as EditLandmarksOptions
    from understudy.jobs.edit_landmarks import edit_landmarks as edit_landmarks
    from understudy.jobs.evaluate_model import evaluate_model as evaluate_model
    from understudy.jobs.evaluate_swap import evaluate_swap as evaluate_swap
    from understudy.jobs.gather import gather as gather
    from understudy.jobs.import_weights import ImportWeightsOptions as ImportWeightsOptions
    from understudy.jobs.import_weights import import_weights as import_weights
    from understudy.jobs.inspect import InterpolateOptions as InterpolateOptions
    from understudy.jobs.inspect import LatentsOptions as LatentsOptions
    from understudy.jobs.inspect import NeighboursOptions as NeighboursOptions
    from understudy.jobs.inspect import interpolate as interpolate
    from understudy.jobs.inspect import latents as latents
    from understudy.jobs.inspect import neighbours as neighbours
    from understudy.jobs.measure import MeasureOptions as MeasureOptions
    from understudy.jobs.measure import measure as measure
    from understudy.jobs.measure_animation import MeasureAnimationOptions as MeasureAnimationOptions
    from understudy.jobs.measure_animation import measure_animation as measure_animation
    from understudy.jobs.measure_regions import MeasureRegionsOptions as MeasureRegionsOptions
    from understudy.jobs.measure_regions import measure_regions as measure_regions
    from understudy.jobs.options_animate import AnimateOptions as AnimateOptions
    from understudy.jobs.options_benchmark import BenchmarkOptions as BenchmarkOptions
    from understudy.jobs.options_compare import CompareOptions as CompareOptions
    from understudy.jobs.options_curves import CurvesOptions as CurvesOptions
    from understudy.jobs.options_edit import EditOptions as EditOptions
    from understudy.jobs.options_evaluate import EvaluateModelOptions as EvaluateModelOptions
    from understudy.jobs.options_evaluate import EvaluateSwapOptions as EvaluateSwapOptions
    from understudy.jobs.options_gather import GatherOptions as GatherOptions
    from understudy.jobs.options_regions import RegionsOptions as RegionsOptions
    from understudy.jobs.options_review import ReviewOptions as ReviewOptions
    from understudy.jobs.options_swap import SwapOptions as SwapOptions
    from understudy.jobs.options_track import TrackOptions as TrackOptions
    from understudy.jobs.project import Project as Project
    from understudy.jobs.project import add_identity as add_identity
    from understudy.jobs.project import find_project as find_project
    from understudy.jobs.project import new_project as new_project
    from understudy.jobs.regions import find_regions as find_regions
    from understudy.jobs.review import review as review
    from understudy.jobs.shot import swap_shot as swap_shot
    from understudy.jobs.track import track_clip as track_clip
    from understudy.jobs.train import TrainOptions as TrainOptions
    from understudy.jobs.train import train as train
    from understudy.jobs.weights import ListOptions as ListOptions
    from understudy.jobs.weights import PullOptions as PullOptions
    from understudy.jobs.weights import list_weights as list_weights
    from understudy.jobs.weights import pull_weights as pull_weights
    from understudy.media.clip import create_clip as create_clip
    from understudy.media.clip import open_clip as open_clip
    from understudy.media.colour import ColourSpace as ColourSpace
    from understudy.media.frame import Frame as Frame
    from understudy.perform.animate import open_animator as open_animator
    from understudy.perform.swap import open_performer as open_performer
    from understudy.provenance.cast import Consent as Consent

__version__ = "0.1.0"

_HOMES = {
    "composite.face": ("composite_face",),
    "composite.options": ("CompositeOptions",),
    "dataset.face_set": ("FaceSet",),
    "errors": ("UnderstudyError", "UserError"),
    "faces.align": ("CropTransform", "canonical_transform"),
    "faces.curves": ("Curves", "read_curves", "write_curves"),
    "faces.face": ("Face", "Pose"),
    "jobs.animate": ("animate_still",),
    "jobs.bench": ("BenchOptions", "bench"),
    "jobs.benchmark": ("benchmark",),
    "jobs.compare": ("compare",),
    "jobs.curves": ("measure_curves",),
    "jobs.demo": ("DemoOptions", "demo"),
    "jobs.doctor": ("DoctorOptions", "doctor"),
    "jobs.edit": ("edit_regions",),
    "jobs.edit_landmarks": ("EditLandmarksOptions", "edit_landmarks"),
    "jobs.evaluate_model": ("evaluate_model",),
    "jobs.evaluate_swap": ("evaluate_swap",),
    "jobs.gather": ("gather",),
    "jobs.import_weights": ("ImportWeightsOptions", "import_weights"),
    "jobs.inspect": (
        "InterpolateOptions",
        "LatentsOptions",
        "NeighboursOptions",
        "interpolate",
        "latents",
        "neighbours",
    ),
    "jobs.measure": ("MeasureOptions", "measure"),
    "jobs.measure_animation": ("MeasureAnimationOptions", "measure_animation"),
    "jobs.measure_regions": ("MeasureRegionsOptions", "measure_regions"),
    "jobs.options_animate": ("AnimateOptions",),
    "jobs.options_benchmark": ("BenchmarkOptions",),
    "jobs.options_compare": ("CompareOptions",),
    "jobs.options_curves": ("CurvesOptions",),
    "jobs.options_edit": ("EditOptions",),
    "jobs.options_evaluate": ("EvaluateModelOptions", "EvaluateSwapOptions"),
    "jobs.options_gather": ("GatherOptions",),
    "jobs.options_regions": ("RegionsOptions",),
    "jobs.options_review": ("ReviewOptions",),
    "jobs.options_swap": ("SwapOptions",),
    "jobs.options_track": ("TrackOptions",),
    "jobs.project": ("Project", "add_identity", "find_project", "new_project"),
    "jobs.regions": ("find_regions",),
    "jobs.review": ("review",),
    "jobs.shot": ("swap_shot",),
    "jobs.track": ("track_clip",),
    "jobs.train": ("TrainOptions", "train"),
    "jobs.weights": ("ListOptions", "PullOptions", "list_weights", "pull_weights"),
    "media.clip": ("create_clip", "open_clip"),
    "media.colour": ("ColourSpace",),
    "media.frame": ("Frame",),
    "perform.animate": ("open_animator",),
    "perform.swap": ("open_performer",),
    "provenance.cast": ("Consent",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'understudy' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"understudy.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
