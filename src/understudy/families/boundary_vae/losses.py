"""The loss of section 3.3 and eq. 2: reconstruction by feature matching, and the divergence from the additive prior.

    L = l1 |x - x̂| + features Σ λ_l |ψ_l(x) - ψ_l(x̂)| + kl D_KL / (3 s²)

|.| are means over all numbers of a picture; the divergence is summed over z's numbers (eq. 5) and divided by the number of a
picture's values, so that at weights of 1 the terms stand to each other as the paper's sums do. Ours are ``ssim``, ``paint``,
``smooth``, ``openings``, ``quiet`` and ``face``. Pictures are in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.blocks.structural_similarity import WINDOW, masked_ms_ssim, weighted_l1
from understudy.errors import OptionError
from understudy.families.boundary_vae.features import PERCEPTUAL, FilterFeatures, VggFeatures, feature_distance
from understudy.families.boundary_vae.memory import divergence
from understudy.families.boundary_vae.network import Answer

TERMS = ("l1", "features", "kl", "ssim", "paint", "smooth", "openings", "quiet")
ANSWERS = ("self", "setup", "person")


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Weights of the terms, and what a picture is to become."""

    l1: float = 1.0
    features: float = 1.0
    kl: float = 1.0
    """0 makes the network a plain conditional auto-encoder: z is µ_φ, nothing is drawn."""
    ssim: float = 0.0
    """Ours: of 1 - MS-SSIM inside the face."""
    paint: float = 0.0
    """Ours, with motion: l1 of what is painted, also where the mask does not show it."""
    smooth: float = 0.0
    """Ours, with motion: of the mean absolute difference of neighbouring corrections of the motion, in pixels."""
    openings: float = 0.0
    """Ours: of l1 and features between lips and lids alone. An open mouth is half a per cent of a picture: by the other terms
    a dark stripe answers for its teeth nearly as well as teeth do."""
    quiet: float = 0.0
    """Ours, with motion: of what is added to the moved still where no answer is known, beside the faces of another set-up.
    Unasked, a network paints fog there, and photographs show it as a halo about a turned head."""
    face: float = 0.0
    """Ours: how much more a pixel of the face counts in l1 and features; the data's weights scale it."""
    kl_rise: int = 0
    """Steps over which ``kl`` rises from 0."""
    perceptual: str = "filters"
    """ψ: ``filters`` or ``vgg19``, see ``features``."""
    answers: str = "self"
    """What x is shown with another boundary map for: ``self`` (the paper: its own), or the known answer of another picture of
    its ``setup``, or of its ``person``."""
    apart: float = 0.0
    """With ``person``: share of answers from another set-up, where pose, light and surroundings differ too."""

    def __post_init__(self) -> None:
        wrong = [
            f"{name} {value}" for name, value in vars(self).items() if isinstance(value, int | float) and value < 0
        ]
        if wrong or self.apart > 1:
            raise OptionError(f"boundary_vae: {', '.join(wrong) or f'apart {self.apart}'} cannot be.")
        if self.perceptual not in PERCEPTUAL or self.answers not in ANSWERS:
            raise OptionError(
                f"boundary_vae: perceptual {self.perceptual!r} must be one of {', '.join(PERCEPTUAL)}, and answers "
                f"{self.answers!r} one of {', '.join(ANSWERS)}."
            )


def reconstruction(
    answer: Answer,
    truth: Tensor,
    counts: Tensor,
    inside: Tensor,
    features: FilterFeatures | VggFeatures | None,
    weights: LossSettings,
    openings: Tensor | None = None,
    unknown: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The terms without the divergence, and their parts before their weights.

    Args:
        truth: (B, 3, s, s) x.
        counts: (B, 1, s, s) how much a pixel counts in ``l1`` and ``features``.
        inside: (B, 1, s, s) the data's weights, for ``ssim``.
        features: ψ; None where ``features`` is 0.
        openings: (B, 1, s, s) what lies between lips and lids of ``truth``, for ``openings``.
        unknown: (B, 1, s, s) where ``truth`` is no answer, for ``quiet``.
    """
    # Differences of features and SSIM's variances are small numbers: in bf16 little of them would be left.
    with torch.autocast(truth.device.type, enabled=False):
        made, parts = answer.picture.float(), {}
        total = truth.new_zeros(())
        if weights.l1 > 0:
            parts["l1"] = weighted_l1(made, truth, counts)
        if weights.openings > 0 and openings is not None:
            parts["openings"] = weighted_l1(made, truth, openings)
        if weights.features > 0 and features is not None:
            with torch.no_grad():
                wanted = features(truth)
            answered = features(made)
            parts["features"] = feature_distance(answered, wanted, features.weights, counts)
            if "openings" in parts and openings is not None:
                parts["openings"] = parts["openings"] + feature_distance(answered, wanted, features.weights, openings)
        if weights.ssim > 0 and truth.shape[-1] >= WINDOW:
            parts["ssim"] = 1 - masked_ms_ssim((made + 1) / 2, (truth + 1) / 2, inside)
        if weights.paint > 0 and answer.mask is not None:
            parts["paint"] = weighted_l1(answer.painted.float(), truth, counts)
        if weights.smooth > 0 and answer.correction is not None:
            pixels = answer.correction * truth.shape[-1]
            parts["smooth"] = pixels.diff(dim=3).abs().mean() + pixels.diff(dim=2).abs().mean()
        if weights.quiet > 0 and answer.added is not None and unknown is not None:
            added = answer.added.float()
            parts["quiet"] = weighted_l1(added, torch.zeros_like(added), unknown)
        for name, part in parts.items():
            total = total + getattr(weights, name) * part
    return total, parts


def kl_term(
    posterior: tuple[Tensor, Tensor], prior: tuple[Tensor, Tensor], values: int, weights: LossSettings, step: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The divergence's share of the loss, and its mean in nats.

    Args:
        posterior: µ_φ and log σ²_φ.
        prior: means and variances.
        values: numbers in a picture, 3 s².
        step: how many losses there were.
    """
    nats = divergence(*posterior, *prior).mean()
    rise = min((step + 1) / weights.kl_rise, 1.0) if weights.kl_rise else 1.0
    return weights.kl * rise * nats / values, {"kl": nats}


def without(losses: Mapping[str, object], terms: Sequence[str]) -> dict[str, object]:
    """A recipe's losses with these terms off, for an ablation.

    Raises:
        OptionError: there is no such term.
    """
    for term in terms:
        if term not in TERMS:
            raise OptionError(f"--without {term}: boundary_vae's terms are {', '.join(TERMS)}; choose among these.")
    return {**losses, **dict.fromkeys(terms, 0.0)}
