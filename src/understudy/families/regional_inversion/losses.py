"""The losses of regional inversion (paper 001, section 3.3). The text leaves them to a supplement; the formulas are the code's.

    L = λ_2 |Î - I|² + λ_lpips Σ_s LPIPS(Î_s, I_s) + λ_id Σ_k (1 - cos) + λ_par Σ_k (1 - cos) + λ_adv softplus(-D(Î)) + ...

over the sizes s (the picture's own, and a half and a quarter where they are 256² or more), the answers k of an identity network,
those of a face parser. The rest is off in the paper's preset: Gram matrices and the codes' length (there, disabled, in the
published code), and three terms of our own.
Pictures are (B, 3, s, s) RGB in [-1, 1]; a term whose weight is 0 is not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from understudy.errors import OptionError, WeightsError
from understudy.families.regional_inversion.discriminator import Discriminator
from understudy.families.regional_inversion.judges import Judges, distances

SCALES = 3
SMALLEST = 256
"""Side of the smallest copy of a picture that LPIPS is asked about, pixels; the picture itself is always asked about."""
Judge = TypeVar("Judge")


@dataclass(frozen=True, kw_only=True)
class InversionLosses:
    """Weights of the terms. The defaults are the paper's."""

    l2: float = 1.0
    lpips: float = 0.8
    identity: float = 0.1
    parsing: float = 0.1
    adversarial: float = 0.01
    gram: float = 0.0
    """Of the mean squared difference of Gram matrices of LPIPS' features, summed over its depths."""
    code_length: float = 0.0
    """Of the mean length of a picture's codes, taken from the mean code."""
    l1: float = 0.0
    """Ours: of the mean absolute difference."""
    similarity: float = 0.0
    """Ours: of 1 - MS-SSIM."""
    features: float = 0.0
    """Ours: of the mean absolute difference of the discriminator's features, as share of their size."""
    detail: float = 0.0
    """Ours: how much more a pixel of the face counts in ``l2``, ``l1`` and ``features``; the data's weights scale it."""
    r1: float = 0.0
    """γ of R1 (10 in the published code where it is on)."""
    discriminator_every: int = 15
    """The discriminator learns in every so-many-th step."""
    r1_every: int = 16

    def __post_init__(self) -> None:
        counts = ("discriminator_every", "r1_every")
        wrong = [f"{name} {value}" for name, value in vars(self).items() if value < (1 if name in counts else 0)]
        if wrong:
            raise OptionError(
                f"regional_inversion: {', '.join(wrong)} cannot be; weights are 0 or more, {' and '.join(counts)} 1 or more."
            )

    @property
    def discriminated(self) -> bool:
        """A discriminator has work."""
        return self.adversarial > 0 or self.features > 0


def reconstruction_loss(
    made: Tensor,
    truth: Tensor,
    weights: InversionLosses,
    judges: Judges,
    *,
    details: Tensor | None = None,
    discriminator: Discriminator | None = None,
    codes: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Every term with a weight, added up, and the terms before their weights.

    Args:
        made, truth: Î and I.
        details: (B, 1, s, s) from 0, how much more each pixel counts; None: all alike.
        discriminator: needed by ``adversarial`` and ``features``; hold it (``blocks.held``).
        codes: (B, R, K, latent) less the mean code, for ``code_length``.

    Raises:
        WeightsError: a term's judge is not there.
    """
    parts: dict[str, Tensor] = {}
    counts = torch.ones_like(made[:, :1])
    if details is not None and weights.detail > 0:
        counts = counts + weights.detail * details
    counts = counts / counts.mean()
    if weights.l2 > 0:
        parts["l2"] = ((made - truth).square() * counts).mean()
    if weights.l1 > 0:
        parts["l1"] = ((made - truth).abs() * counts).mean()
    if weights.similarity > 0:
        parts["similarity"] = 1 - _ms_ssim(made, truth)
    if weights.lpips > 0 or weights.gram > 0:
        judge = _there(judges.lpips, "lpips")
        if weights.lpips > 0:
            parts["lpips"] = torch.stack([judge(a, b) for a, b in zip(_sizes(made), _sizes(truth), strict=True)]).sum()
        if weights.gram > 0:
            pairs = zip(judge.net(made), judge.net(truth), strict=True)
            parts["gram"] = torch.stack([functional.mse_loss(gram(a), gram(b)) for a, b in pairs]).sum()
    if weights.identity > 0:
        judge = _there(judges.identity, "identity")
        parts["identity"] = distances(judge(made), judge(truth))
    if weights.parsing > 0:
        judge = _there(judges.parser, "parsing")
        parts["parsing"] = distances(judge(made), judge(truth))
    if weights.code_length > 0 and codes is not None:
        parts["code_length"] = codes.flatten(1).norm(dim=1).mean()
    if weights.discriminated:
        parts |= _discriminated(_there(discriminator, "adversarial"), made, truth, counts, weights)
    total = made.new_zeros(())
    for name, part in parts.items():
        total = total + getattr(weights, name) * part
    return total, parts


def _discriminated(
    discriminator: Discriminator, made: Tensor, truth: Tensor, counts: Tensor, weights: InversionLosses
) -> dict[str, Tensor]:
    parts = {}
    answers = discriminator.features(made)
    if weights.adversarial > 0:
        parts["adversarial"] = functional.softplus(-discriminator.score(answers)).mean()
    if weights.features > 0:
        with torch.no_grad():
            wanted = discriminator.features(truth)
        differences = []
        for ours, theirs in zip(answers[:-1], wanted[:-1], strict=True):  # at 4² there is little left to compare
            here = functional.adaptive_avg_pool2d(counts, ours.shape[-1])
            size = theirs.float().abs().mean().clamp_min(1e-6)
            differences.append(((ours.float() - theirs.float()).abs() * here).mean() / size)
        parts["features"] = torch.stack(differences).mean()
    return parts


def gram(feature: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, C), over the number of values."""
    flat = feature.flatten(2).float()
    return flat @ flat.mT / (flat.shape[1] * flat.shape[2])


def discriminator_loss(discriminator: Discriminator, made: Tensor, truth: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """softplus(D(Î)) + softplus(-D(I))."""
    fooled, scores = discriminator(made), discriminator(truth)
    loss = functional.softplus(fooled).mean() + functional.softplus(-scores).mean()
    return loss, {"score/real": scores.mean(), "score/made": fooled.mean()}


def _sizes(pictures: Tensor) -> Sequence[Tensor]:
    shrunk = [1 << k for k in range(1, SCALES) if pictures.shape[-1] >> k >= SMALLEST]
    return [pictures, *(functional.avg_pool2d(pictures, times) for times in shrunk)]


def _ms_ssim(made: Tensor, truth: Tensor) -> Tensor:
    from understudy.blocks.structural_similarity import masked_ms_ssim

    with torch.autocast(made.device.type, enabled=False):
        whole = torch.ones_like(made[:, :1])
        return masked_ms_ssim((made.float() + 1) / 2, (truth.float() + 1) / 2, whole)


def _there(judge: Judge | None, term: str) -> Judge:
    if judge is None:
        raise WeightsError(f"the term {term} needs a network that is not at hand; leave it out with --without {term}.")
    return judge
