"""The memory bank and the additive focal prior (paper 002, section 3.2, equations 3 to 5).

Focal points are the K-means centres of all training boundary maps, summed over their channels and made small. A map's weights
w_k are its similarity to each of them, normalised to sum 1; then

    p(z|y) = N(Σ w_k µ_k, σ² I),  σ² = Σ w_k² σ_k²                                               eq. 4
    D_KL   = Σ over z's numbers of log(σ / σ_φ) + (σ_φ² + (µ_φ - Σ w_k µ_k)²) / (2 σ²) - 1/2      eq. 5

Maps are nowhere negative and alike in most of their pixels, so that their cosines are all high and ``cosine``, the paper's
weights cos_k / Σ cos_j, come out nearly equal: the prior then hardly knows the map. ``centred`` takes the mean map off before the
cosine and makes weights by a softmax over cos / τ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.errors import DatasetError

WEIGHTINGS = ("cosine", "centred")


class Memory(nn.Module):
    """Focal points, and the means and deviations that stand for them in the latent space."""

    centres: Tensor
    mean: Tensor

    def __init__(
        self,
        clusters: int,
        side: int,
        latent: int,
        *,
        weighting: str = "cosine",
        temperature: float = 0.1,
        deviation: float = 1.0,
        learned: bool = False,
    ) -> None:
        super().__init__()
        self.side, self.weighting, self.temperature = side, weighting, temperature
        self.register_buffer("centres", torch.zeros(clusters, side * side))
        self.register_buffer("mean", torch.zeros(side * side))
        # "Randomly initialized on the unit ball": on its surface, a random direction each.
        means = functional.normalize(torch.randn(clusters, latent), dim=1)
        self.means = nn.Parameter(means, requires_grad=learned)
        self.log_deviations = nn.Parameter(torch.full((clusters,), float(np.log(deviation))), requires_grad=learned)

    @property
    def filled(self) -> bool:
        """Focal points have been put in."""
        return bool(self.centres.any())

    def remember(self, bank: Bank) -> None:
        """Put focal points in."""
        with torch.no_grad():
            self.centres.copy_(torch.from_numpy(bank.centres))
            self.mean.copy_(torch.from_numpy(bank.mean))

    def weights(self, maps: Tensor) -> Tensor:
        """w_k: (B, K, s, s) boundary maps -> (B, clusters) float32, 0 or more, of sum 1."""
        with torch.autocast(maps.device.type, enabled=False):
            seen = functional.adaptive_avg_pool2d(maps.float().sum(1, keepdim=True), self.side).flatten(1)
            centres = self.centres
            if self.weighting == "centred":
                seen, centres = seen - self.mean, centres - self.mean
            cosines = functional.normalize(seen, dim=1) @ functional.normalize(centres, dim=1).mT
            if self.weighting == "centred":
                return (cosines / self.temperature).softmax(1)
            # An empty map is like no focal point more than another.
            return (cosines + 1e-6) / (cosines + 1e-6).sum(1, keepdim=True)

    def prior(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 4: (B, clusters) weights -> means Σ w_k µ_k (B, L) and variances Σ w_k² σ_k² (B,)."""
        return weights @ self.means, weights.square() @ (2 * self.log_deviations).exp().clamp_min(1e-6)


def divergence(mean: Tensor, log_variance: Tensor, prior_mean: Tensor, prior_variance: Tensor) -> Tensor:
    """Eq. 5, summed over z's numbers: (B, L) posterior means and log variances, (B, L) and (B,) of the prior -> (B,)."""
    prior = prior_variance[:, None]
    distance = log_variance.exp() + (mean - prior_mean).square()
    return (0.5 * (prior.log() - log_variance) + distance / (2 * prior) - 0.5).sum(1)


def effective_number(weights: Tensor) -> Tensor:
    """exp of the entropy of (B, clusters) weights: 1 where one focal point has all, the number of them where all are equal."""
    return torch.exp(-(weights * weights.clamp_min(1e-12).log()).sum(1))


@dataclass(frozen=True, kw_only=True)
class Bank:
    """What K-means found.

    Attributes:
        centres: (clusters, side²) float32.
        mean: (side²,) float32, of all maps.
        members: (clusters,) how many maps are nearest to each.
        spread: root mean square distance of the maps from their centres, as share of that from their common mean.
    """

    centres: np.ndarray
    mean: np.ndarray
    members: np.ndarray
    spread: float


def small_maps(maps: np.ndarray, side: int) -> np.ndarray:
    """(B, K, s, s) boundary maps to (B, side²) float32: summed over the channels, averaged over squares."""
    summed = torch.from_numpy(np.ascontiguousarray(maps, np.float32)).sum(1, keepdim=True)
    return functional.adaptive_avg_pool2d(summed, side).flatten(1).numpy()


def k_means(rows: np.ndarray, clusters: int, *, seed: int = 0, starts: int = 10, rounds: int = 100) -> Bank:
    """K-means with the careful seeding of Arthur and Vassilvitskii (2007), the best of several starts.

    Args:
        rows: (N, D) float32.

    Raises:
        DatasetError: fewer different rows than clusters.
    """
    rows = np.ascontiguousarray(rows, np.float32)
    different = len(np.unique(rows, axis=0))
    if different < clusters:
        raise DatasetError(f"the memory has {clusters} focal points and the data {different} different boundary maps.")
    numbers = np.random.default_rng(seed)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for _ in range(starts):
        centres = _seeded(rows, clusters, numbers)
        nearest = np.full(len(rows), -1)
        for _ in range(rounds):
            distances = _squared(rows, centres)
            now = distances.argmin(1)
            if (now == nearest).all():
                break
            nearest = now
            for cluster in range(clusters):
                own = rows[nearest == cluster]
                # A centre that lost all its rows goes to the row that is farthest from its own.
                centres[cluster] = own.mean(0) if len(own) else rows[distances.min(1).argmax()]
        distances = _squared(rows, centres)
        cost = float(distances.min(1).sum())
        if best is None or cost < best[0]:
            best = cost, centres, distances.argmin(1)
    assert best is not None
    cost, centres, nearest = best
    mean = rows.mean(0)
    whole = float(_squared(rows, mean[None]).sum())
    members = np.bincount(nearest, minlength=clusters)
    order = np.argsort(-members, kind="stable")
    return Bank(
        centres=centres[order].astype(np.float32),
        mean=mean.astype(np.float32),
        members=members[order],
        spread=float(np.sqrt(cost / max(whole, 1e-12))),
    )


def _seeded(rows: np.ndarray, clusters: int, numbers: np.random.Generator) -> np.ndarray:
    chosen = [int(numbers.integers(len(rows)))]
    nearest = _squared(rows, rows[chosen[:1]])[:, 0]
    while len(chosen) < clusters:
        nearest[chosen] = 0
        chosen.append(int(numbers.choice(len(rows), p=nearest / nearest.sum(dtype=np.float64))))
        nearest = np.minimum(nearest, _squared(rows, rows[chosen[-1:]])[:, 0])
    return rows[chosen].astype(np.float64)


def _squared(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(N, clusters) squared distances, float64."""
    products = rows @ centres.T.astype(rows.dtype)
    lengths = np.einsum("nd,nd->n", rows, rows, dtype=np.float64)[:, None] + (np.asarray(centres) ** 2).sum(1)
    return np.maximum(lengths - 2.0 * products, 0.0)
