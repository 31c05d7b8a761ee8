"""The five losses and the two phases of Algorithm 1 (paper 003, section 3.3), and six terms of our own for pictures in pairs.

Every term has a weight in :class:`LossSettings`; what a weight of 0 makes needless is not computed. D is cross entropy for
expressions and mean squared error for action units; |.| is the mean absolute difference; pictures are in [-1, 1].

    critic      l_Dr = λ_adv l_adv + λ_drv D(c_s, D_r(I))                                 eq. 3
                l_adv = E[D_r(O_r) - D_r(I)] + σ E[(|∇D_r(Î)| - 1)²],  Î = (1-α) I + α O_r  eq. 1, its sign the usual one
                l_Dw = D(c_s, D_w(I))                                                     eq. 4
    generator   l_g = λ_cyc l_cyc + λ_adv l_adv + λ_drv l_drv + λ_warp l_warp + λ_ref l_ref   eq. 10
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from understudy.errors import OptionError
from understudy.families.warping.network import Critic, Generated

if TYPE_CHECKING:
    from understudy.families.warping.network import WarpingSettings

PUBLISHED = ("cycle", "adversarial", "drive", "warp", "refine")
"""The paper's terms, in the order of eq. 10."""
OWN = ("pair", "features", "smooth", "points", "openings", "quiet")
"""Terms that the paper does not have."""


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Weights of the terms. The defaults are the paper's."""

    cycle: float = 10.0
    """λ_cyc, eq. 6."""
    adversarial: float = 1.0
    """λ_adv, eq. 1 and 5."""
    drive: float = 1.0
    """λ_drv, eq. 2 and 7: the refined picture shows the target signal, says D_r."""
    warp: float = 1.0
    """λ_warp, eq. 8: the warped picture shows it too, says D_w."""
    refine: float = 10.0
    """λ_ref, eq. 9."""
    penalty: float = 10.0
    """σ, of the gradient penalty in eq. 1."""
    cycle_warped: bool = False
    """The cycle's warped picture counts as its refined one does, and the refine loss counts in the cycle too (published code)."""
    noise: float = 0.1
    """Target units are those of another picture of the batch plus a uniform number of at most this (published code)."""
    generator_every: int = 5
    """The generator learns in every so-many-th step (Algorithm 1: five steps of the critics to one of the generator)."""
    critic_every: int = 1
    """The critics learn in every so-many-th step."""
    pair: float = 0.0
    """Of the mean absolute difference from the true answer, where the data has it: O_r's and O_w's added."""
    pair_face: float = 2.0
    """How much more a pixel of the face counts in ``pair`` and ``features``; the data's weights scale it."""
    features: float = 0.0
    """Of the mean absolute difference of D_r's features of O_r and of the true answer, where the data has it."""
    points: float = 0.0
    """Of the distance between where the motion fetches the face's points from and where they are, in pixels of the network,
    where the data has points. Pictures alone pull a point only as far as its own blur reaches."""
    points_moving: float = 0.0
    """How much more a point counts that moves by a pixel or farther. Lids are a twentieth of the mesh: in its mean, eyes that
    stay open are soon paid for."""
    openings: float = 0.0
    """Of O_r's mean absolute difference from the true answer inside the mouth, in pixels and in D_r's features, where the data's
    points are the face's mesh. An open mouth is half a per cent of a picture: by the other terms stretched lips answer for it
    nearly as well as teeth do."""
    quiet: float = 0.0
    """Of what the refinement changes outside mouths, where ``openings`` can tell them. Elsewhere the warped picture has all that
    the still showed, at the still's own sharpness, and paint would veil it."""
    smooth: float = 0.0
    """Of the mean absolute difference of neighbouring motions, as share of ``coefficient``'s largest."""

    def __post_init__(self) -> None:
        wrong = [f"{name} {value}" for name, value in vars(self).items() if value < 0]
        wrong += [
            f"{name} {getattr(self, name)}" for name in ("generator_every", "critic_every") if getattr(self, name) < 1
        ]
        if wrong:
            raise OptionError(
                f"warping: {', '.join(wrong)} cannot be; weights are 0 or more, generator_every and critic_every 1 or more."
            )

    @property
    def refined_critic(self) -> bool:
        """D_r has work."""
        return self.adversarial > 0 or self.drive > 0 or self.features > 0 or self.openings > 0

    @property
    def paired(self) -> bool:
        """Pictures whose true answer is known are asked for it."""
        return self.pair > 0 or self.features > 0 or self.points > 0 or self.openings > 0

    @property
    def warped_critic(self) -> bool:
        """D_w has work."""
        return self.warp > 0


def disparity(signals: Tensor, answers: Tensor, settings: WarpingSettings) -> Tensor:
    """D of eq. 2, 7 and 8: (B, c) signals against (B, c) units or logits."""
    if settings.by_units:
        return functional.mse_loss(answers, signals)
    return functional.cross_entropy(answers, signals)


def gradient_penalty(critic: Critic, real: Tensor, made: Tensor, share: Tensor) -> Tensor:
    """E[(|∇D_r(Î)| - 1)²] at Î = (1 - share) real + share made; D_r is the sum of its map, as in the published code.

    Args:
        share: (B, 1, 1, 1), α of Algorithm 1, in [0, 1].
    """
    # The gradient's own gradient is a difference of small numbers; float32 whatever the rest computes in.
    with torch.autocast(real.device.type, enabled=False):
        between = torch.lerp(real.float(), made.float(), share).detach().requires_grad_(True)
        score = critic.realism(critic.features(between)[-1]).sum()
        (slope,) = torch.autograd.grad(score, between, create_graph=True)
        # Of an all-zero slope the root has no derivative.
        length = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
        return (length - 1).square().mean()


def critic_loss(
    critics: tuple[Critic, Critic],
    pictures: Tensor,
    signals: Tensor,
    made: Tensor | None,
    share: Tensor,
    weights: LossSettings,
    settings: WarpingSettings,
) -> tuple[Tensor, dict[str, Tensor]]:
    """l_Dr + l_Dw (eq. 3 and 4), and their parts.

    Args:
        critics: D_r and D_w.
        pictures, signals: I and c_s.
        made: O_r without gradient; None when the adversarial term is off.
        share: (B, 1, 1, 1), α.
    """
    refined, warped = critics
    total, parts = pictures.new_zeros(()), {}
    if weights.refined_critic:
        top = refined.features(pictures)[-1]
        parts["critic/drive"] = disparity(signals, refined.signals(top), settings)
        # D_r's features mean nothing unless it learns something.
        total = total + max(weights.drive, float(weights.adversarial == 0)) * parts["critic/drive"]
        if made is not None:
            gap = refined.realism(top).mean() - refined.realism(refined.features(made)[-1]).mean()
            penalty = gradient_penalty(refined, pictures, made, share)
            parts |= {"critic/gap": gap, "critic/penalty": penalty}
            total = total + weights.adversarial * (weights.penalty * penalty - gap)
    if weights.warped_critic:
        parts["critic/warp"] = disparity(signals, warped.signals(warped.features(pictures)[-1]), settings)
        total = total + parts["critic/warp"]
    return total, parts


def generator_loss(
    critics: tuple[Critic, Critic],
    made: Generated,
    signals: Tensor,
    pictures: Tensor,
    cycle: Generated | None,
    weights: LossSettings,
    settings: WarpingSettings,
    elsewhere: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """l_g (eq. 10) without the terms of pairs, and its parts before their weights.

    Args:
        critics: D_r and D_w, held.
        made: G(I, c_t).
        signals: c_t.
        pictures: I.
        cycle: G(O_r, c_s); None when the cycle's term is off.
        elsewhere: (B, 1, s, s) in [0, 1] where ``quiet`` counts; None where that is not known.
    """
    refined, warped = critics
    parts: dict[str, Tensor] = {}
    if weights.adversarial > 0 or weights.drive > 0:
        top = refined.features(made.refined)[-1]
        if weights.adversarial > 0:
            parts["adversarial"] = -refined.realism(top).mean()
        if weights.drive > 0:
            parts["drive"] = disparity(signals, refined.signals(top), settings)
    if weights.warp > 0:
        parts["warp"] = disparity(signals, warped.signals(warped.features(made.warped)[-1]), settings)
    if weights.refine > 0:
        parts["refine"] = (made.warped - made.refined).abs().mean()
    if cycle is not None:
        parts["cycle"] = (cycle.refined - pictures).abs().mean()
        if weights.cycle_warped:
            parts["cycle"] = parts["cycle"] + (cycle.warped - pictures).abs().mean()
            if weights.refine > 0:
                parts["refine"] = parts["refine"] + (cycle.warped - cycle.refined).abs().mean()
    if weights.quiet > 0 and elsewhere is not None:
        parts["quiet"] = ((made.warped - made.refined).abs() * elsewhere).mean()
    if weights.smooth > 0:
        across, down = made.flow.diff(dim=3).abs().mean(), made.flow.diff(dim=2).abs().mean()
        parts["smooth"] = across + down
    total = pictures.new_zeros(())
    for name, part in parts.items():
        total = total + getattr(weights, name) * part
    return total, parts


def pair_loss(
    critic: Critic,
    made: Generated,
    truth: Tensor,
    counts: Tensor,
    weights: LossSettings,
    openings: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The terms ``pair``, ``features`` and ``openings``, and their parts before their weights.

    Args:
        critic: D_r, held.
        made: G(I, c_t).
        truth: (B, 3, s, s) the true answer, in [-1, 1].
        counts: (B, 1, s, s) how much each pixel counts; 0 throughout for pictures whose true answer is not known.
        openings: (B, 1, s, s) in [0, 1], the insides of ``truth``'s mouths; None where they are not known.
    """
    parts: dict[str, Tensor] = {}
    if weights.pair > 0:
        parts["pair"] = _apart(made.refined, truth, counts) + _apart(made.warped, truth, counts)
    if weights.features > 0 or openings is not None:
        answers = [answer.float().chunk(2) for answer in critic.features(torch.cat([made.refined, truth]))[:4]]
        if weights.features > 0:
            parts["features"] = _features_apart(answers, counts)
        if openings is not None:
            parts["openings"] = _apart(made.refined, truth, openings) + _features_apart(answers, openings)
    total = truth.new_zeros(())
    for name, part in parts.items():
        total = total + getattr(weights, name) * part
    return total, parts


def _apart(answer: Tensor, truth: Tensor, counts: Tensor) -> Tensor:
    return ((answer - truth).abs() * counts).sum() / (counts.sum() * answer.shape[1]).clamp_min(1e-6)


def _features_apart(answers: Sequence[tuple[Tensor, ...]], counts: Tensor) -> Tensor:
    """Mean over levels of ours from theirs, each as share of theirs; below 8² pixels there is little left to compare."""
    differences = []
    for ours, theirs in answers:
        here = functional.adaptive_avg_pool2d(counts, (ours.shape[2], ours.shape[3]))
        size = theirs.detach().abs().mean().clamp_min(1e-6)
        differences.append(_apart(ours, theirs.detach(), here) / size)
    return torch.stack(differences).mean()


def point_loss(flow: Tensor, coefficient: float, points: Tensor, target_points: Tensor, moving: float = 0.0) -> Tensor:
    """Mean distance in pixels: the answer at a point's target must be fetched from the point, p_t + F(p_t) = p. Points that
    are not known (NaN) do not count.

    Args:
        flow: (B, 2, s, s) in [-1, 1], before the coefficient.
        points, target_points: (B, P, 2) in the picture's unit square.
        moving: how much more a point counts that moves by a pixel or farther; less of it for shorter ways.
    """
    size = flow.shape[-1]
    known = torch.isfinite(points + target_points).all(-1)
    points, target_points = points.nan_to_num(), target_points.nan_to_num()
    # Unit square to the grid's coordinates, in which the middles of the outermost pixels are -1 and 1.
    spread = 2 * size / (size - 1)
    at = (target_points * size - 0.5) * (2 / (size - 1)) - 1
    found = functional.grid_sample(flow, at[:, None], mode="bilinear", padding_mode="border", align_corners=True)
    wanted = (points - target_points) * spread
    error = 2 * coefficient * found[:, :, 0].mT - wanted
    length = (error.square().sum(-1) + 1e-10).sqrt()
    counts = known * (1 + moving * (((points - target_points) * size).norm(dim=-1)).clamp(max=1))
    return (length * counts).sum() / counts.sum().clamp_min(1) * ((size - 1) / 2)


def target_signals(
    signals: Tensor, generator: torch.Generator, weights: LossSettings, settings: WarpingSettings
) -> Tensor:
    """c_t: the (B, c) signals of other pictures of the batch, for units with noise (Algorithm 1, "randomly sample")."""
    # A turn by a random number of places never gives a picture its own signal, as a shuffle would.
    count = len(signals)
    places = int(torch.randint(1, max(count, 2), (), generator=generator))
    chosen = signals.roll(places, 0)
    if settings.by_units and weights.noise > 0:
        noise = (torch.rand(chosen.shape, generator=generator) * 2 - 1) * weights.noise
        chosen = chosen + noise.to(chosen)
    return chosen


def without(losses: Mapping[str, object], terms: Sequence[str]) -> dict[str, object]:
    """A recipe's losses with these terms off, for an ablation (the paper's Table 2).

    Raises:
        OptionError: there is no such term.
    """
    known = PUBLISHED + OWN
    for term in terms:
        if term not in known:
            raise OptionError(
                f"--without {term}: the warping family's terms are {', '.join(known)}; choose among these."
            )
    return {**losses, **dict.fromkeys(terms, 0.0)}
