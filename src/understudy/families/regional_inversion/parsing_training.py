"""The parser in training: its losses and its phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.faces.regions import PALETTE
from understudy.families.regional_inversion.parsing_network import BiSeNet, ParserSettings, standardised
from understudy.family import Phase, Recipe

if TYPE_CHECKING:
    import numpy as np

    from understudy.dataset.batches import Portion


@dataclass(frozen=True, kw_only=True)
class ParsingLosses:
    """Weights of the parser's losses."""

    heads: float = 1.0
    """Cross-entropy of every further head; the first one's counts 1."""
    hard: float = 0.7
    """Only pixels whose right class is given less than this count ("online hard examples"), but never fewer than a sixteenth."""
    overlap: float = 0.0
    """Ours: 1 - the Dice overlap, averaged over the regions that the batch shows: small regions count as much as large ones."""


def hard_cross_entropy(
    scores: Tensor, regions: Tensor, known: Tensor, *, below: float, least: float = 1 / 16
) -> Tensor:
    """Mean cross-entropy of the pixels that are still hard.

    Args:
        scores: (B, k, h, w).
        regions: (B, h, w) ids.
        known: (B, h, w) bool.
        below: a pixel is hard while the probability of its class is under this.
        least: share of the known pixels that count at any rate, the hardest ones.
    """
    losses = functional.cross_entropy(scores, regions, reduction="none")[known]
    if not len(losses):
        return scores.sum() * 0.0
    hard = losses > -torch.log(torch.tensor(below))
    number = int(hard.sum())
    fewest = max(1, int(len(losses) * least))
    return losses[hard].mean() if number >= fewest else losses.topk(fewest).values.mean()


def overlap_loss(scores: Tensor, regions: Tensor, known: Tensor) -> Tensor:
    """1 - Dice of (B, k, h, w) scores with (B, h, w) ids, averaged over the regions that the batch shows."""
    shares = scores.softmax(1) * known[:, None]
    truth = functional.one_hot(regions, scores.shape[1]).permute(0, 3, 1, 2) * known[:, None]
    both = (shares * truth).sum((0, 2, 3))
    total = shares.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    shown = truth.sum((0, 2, 3)) > 0
    return 1 - (2 * both[shown] / total[shown].clamp_min(1e-6)).mean() if shown.any() else scores.sum() * 0.0


class ParsingTrainable:
    """A parser in training (see ``understudy.family.Trainable``)."""

    def __init__(self, network: BiSeNet, losses: ParsingLosses) -> None:
        self.network: nn.Module = network
        self.parser, self.losses = network, losses

    def phases(self) -> Sequence[Phase]:
        return (Phase(name="parser"),)

    def parameter_groups(self, phase: str) -> Mapping[str, Sequence[nn.Parameter]]:
        return {"parser": list(self.parser.parameters())}

    def set_resolution(self, resolution: int) -> bool:
        return False

    def loss(self, phase: str, batch: Sequence[Portion], fade: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        self.parser.train()
        inputs, regions, known = _joined(batch, self.parser.settings)
        heads = self.parser.scores(inputs)
        size = heads[0].shape[-2:] if self.parser.detail is not None else inputs.shape[-2:]
        # At the first head's own size where it has the detail: every second pixel, centred between two.
        step = inputs.shape[-1] // size[-1]
        regions, known = (
            regions[:, step // 2 :: step, step // 2 :: step],
            known[:, step // 2 :: step, step // 2 :: step],
        )
        total, parts = torch.zeros((), device=inputs.device), {}
        for place, head in enumerate(heads):
            scores = head.float()
            if scores.shape[-2:] != size:
                scores = self.parser.stretched(scores, size)
            entropy = hard_cross_entropy(scores, regions, known, below=self.losses.hard)
            if place == 0:
                parts["hard"] = entropy
                with torch.no_grad():
                    parts["right"] = (scores.argmax(1) == regions)[known].float().mean()
                if self.losses.overlap > 0:
                    parts["overlap"] = overlap_loss(scores, regions, known)
                    total = total + self.losses.overlap * parts["overlap"]
            total = total + entropy * (1.0 if place == 0 else self.losses.heads)
        return total, {name: part.detach() for name, part in parts.items()}

    @torch.no_grad()
    def preview(self, batch: Sequence[Portion], fade: float) -> np.ndarray:
        """Columns: the picture, the regions found, the true regions (black where nobody knows)."""
        self.parser.eval()
        inputs, regions, known = _joined(batch, self.parser.settings)
        found = self.parser(inputs).argmax(1)
        self.parser.train()
        palette = torch.from_numpy(PALETTE.copy()).to(found.device)
        pictures = torch.cat([portion.inputs[:, :3] for portion in batch]).permute(0, 2, 3, 1)
        columns = [pictures.mul(255).byte(), palette[found], palette[regions] * known[..., None]]
        grid = torch.cat(columns, 2)
        rows = [torch.cat(list(part), 1) for part in grid[: len(grid) // 2 * 2].split(2)]
        return torch.cat(rows).cpu().numpy()

    def checkpoint(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """The parser, at half precision."""
        tensors = {
            name: value.half() if value.is_floating_point() else value
            for name, value in self.parser.state_dict().items()
        }
        return tensors, {"stage": "parsing", **asdict(self.parser.settings)}


def start_parsing(recipe: Recipe) -> ParsingTrainable:
    """A parser ready to train, new or from the checkpoint that the recipe names."""
    from understudy.families.regional_inversion.parsing import load_parser, settings_of

    torch.manual_seed(recipe.seed)
    if recipe.start is None:
        network = BiSeNet(settings_of(recipe.network))
    else:
        network = load_parser(recipe.start)
    return ParsingTrainable(network, ParsingLosses(**recipe.losses))


def _joined(batch: Sequence[Portion], settings: ParserSettings) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 3 + guide, s, s) what the network reads, (B, s, s) region ids, (B, s, s) where they are known."""
    inputs = torch.cat([portion.inputs for portion in batch])[:, : 3 + settings.guide]
    read = torch.cat([standardised(inputs[:, :3]), inputs[:, 3:]], 1).contiguous(memory_format=torch.channels_last)
    regions = torch.cat([portion.targets for portion in batch])[:, 0].long()
    return read, regions, torch.cat([portion.weights for portion in batch])[:, 0] > 0
