"""The measures that evaluating takes: their names on the command line, and what stands beside their figures."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.faces.regions import Region


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure of a shot or a model.

    Attributes:
        label: for people.
        unit: may be empty.
        better: ``higher``, ``lower``, or empty where it is to be compared with the plate's or the truth's.
        against: what it is measured against.
        by_frame: whether every frame has one.
    """

    label: str
    unit: str = ""
    better: str = "lower"
    against: str = "the truth"
    by_frame: bool = True


SHOT: dict[str, Measure] = {
    "identity": Measure(label="identity", unit="cosine", better="higher", against="the identity's pictures"),
    "retrieved": Measure(label="retrieved first", better="higher", against="everyone gathered", by_frame=False),
    "ssim": Measure(label="SSIM", better="higher"),
    "psnr": Measure(label="PSNR", unit="dB", better="higher"),
    "rmse": Measure(label="RMSE", unit="of range"),
    "lpips": Measure(label="LPIPS (squeeze)"),
    "detail": Measure(label="fine detail", unit="x the reference's", better="", against="the truth, else the plate"),
    "flicker": Measure(label="flicker", unit="% of range"),
    "pose": Measure(label="head pose", unit="degrees", against="the plate"),
    "expression": Measure(label="expression", unit="% of face height", against="the plate"),
    "blendshapes": Measure(label="blendshapes", against="the plate"),
    "units": Measure(label="AU error", against="the plate"),
    "jitter": Measure(label="landmark jitter", unit="px", against="itself", by_frame=False),
    "flow_warp": Measure(label="flow-warp x1000", against="itself"),
    "seam": Measure(label="seam gradient", unit="x the plate's", against="the plate"),
    "colour": Measure(label="colour wander", unit="ΔE", against="the truth, else the plate"),
    "colour_offset": Measure(label="colour offset", unit="ΔE", against="the truth, else the plate", by_frame=False),
    "coverage": Measure(label="coverage", better="higher", against="the plate's face"),
    "swapped": Measure(label="frames swapped", better="higher", against="frames with a face", by_frame=False),
    "outside": Measure(label="changed outside", unit="share of pixels", against="the plate"),
    "outside_largest": Measure(label="largest change outside", unit="code values", against="the plate"),
}
"""What :func:`understudy.jobs.evaluate_swap.evaluate_swap` takes, in the order of its tables."""

MODEL: dict[str, Measure] = {
    "ssim": Measure(label="SSIM", better="higher", against="their own picture"),
    "psnr": Measure(label="PSNR", unit="dB", better="higher", against="their own picture"),
    "rmse": Measure(label="RMSE", unit="of range", against="their own picture"),
    "lpips": Measure(label="LPIPS (squeeze)", against="their own picture"),
    "identity": Measure(label="identity", unit="cosine", better="higher", against="the identity's pictures"),
    "top1": Measure(label="retrieved first", better="higher", against="everyone gathered"),
    "top5": Measure(label="retrieved in five", better="higher", against="everyone gathered"),
    "pose": Measure(label="head pose", unit="degrees", against="the performer's picture"),
    "expression": Measure(label="expression", unit="% of face height", against="the performer's picture"),
    "blendshapes": Measure(label="blendshapes", against="the performer's picture"),
    "fid": Measure(label="FID", against="the identity's pictures"),
    "is": Measure(label="IS", better="higher", against="itself"),
    "units": Measure(label="AU error", against="the true picture"),
    "flow_warp": Measure(label="flow-warp x1000", against="itself"),
    "overlap": Measure(label="regions, mIoU", better="higher", against="the true regions"),
} | {
    f"overlap_{region.name.lower()}": Measure(
        label=f"IoU, {region.name.lower()}", better="higher", against="the true regions"
    )
    for region in Region
}
"""What :func:`understudy.jobs.evaluate_model.evaluate_model` takes; AU error and flow-warp of models that animate, overlaps of
those that go by regions."""


def how_bad(name: str, value: float) -> float:
    """What a shot's frames are ranked by, the worst highest; a measure without a better side is best at 1, the reference's own."""
    better = SHOT[name].better
    return -value if better == "higher" else value if better == "lower" else abs(value - 1)


def shown(name: str, value: float) -> str:
    """A figure as tables print it."""
    if value != value:
        return "–"
    if name == "psnr":
        return f"{value:.1f}"
    if name == "fid":
        return f"{value:.3g}"  # features of the substitute are short, and so are its distances
    if name in ("flicker", "pose", "units", "seam", "colour", "colour_offset", "detail", "is"):
        return f"{value:.2f}"
    if name == "outside_largest":
        return f"{value:g}"
    return f"{value:.3f}"
