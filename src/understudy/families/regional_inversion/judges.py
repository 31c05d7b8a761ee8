"""Networks that judge a reconstruction: LPIPS, a recogniser of faces, a face parser. Others trained the first two.

None of them learns here, and none is needed: a term whose judge is not at hand is left out with ``--without``.
Pictures are (B, 3, s, s) RGB in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.families.regional_inversion.judges_identity import load_identity, load_onnx_identity
from understudy.families.regional_inversion.judges_lpips import Lpips, load_lpips
from understudy.families.regional_inversion.parsing_network import BiSeNet, standardised


class ParserFeatures(nn.Module):
    """A face parser's backbone: answers at 1/2 to 1/32 of the side. It is shown no mesh."""

    def __init__(self, parser: BiSeNet) -> None:
        super().__init__()
        self.backbone, self.guide, self.side = parser.cp.resnet, parser.settings.guide, parser.settings.size

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x = standardised(((pictures + 1) / 2).clamp(0, 1))
        if x.shape[-1] > self.side:
            x = functional.adaptive_avg_pool2d(x, self.side)
        if self.guide:
            x = torch.cat([x, x.new_zeros(len(x), self.guide, *x.shape[2:])], 1)
        return list(self.backbone(x))


@dataclass(frozen=True, kw_only=True)
class Judges:
    """The judges that are at hand."""

    lpips: Lpips | None = None
    identity: nn.Module | None = None
    parser: nn.Module | None = None
    """Pictures to a sequence of answers at several depths, as ``identity``."""
    teachers: tuple[str, ...] = ()
    """The foreign networks among them, by their names in the weights' table."""

    def modules(self) -> list[nn.Module]:
        return [module for module in (self.lpips, self.identity, self.parser) if module is not None]

    def to(self, device: torch.device) -> None:
        for module in self.modules():
            module.to(device)


def distances(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """Sum over the answers of the mean of 1 - cos, each answer of a picture taken as one vector."""
    total = ours[0].new_zeros(())
    for a, b in zip(ours, theirs, strict=True):
        total = total + (1 - functional.cosine_similarity(a.flatten(1).float(), b.flatten(1).float())).mean()
    return total


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """A network that can judge, and the files that it takes, by their names in the table of foreign weights."""

    name: str
    files: tuple[str, ...]


LPIPS = (
    _Choice(name="lpips-alex", files=("alexnet", "lpips-alex")),
    _Choice(
        name="lpips-squeeze", files=("squeezenet", "lpips-squeeze-heads")
    ),  # the measure of this name asks the same network
)
IDENTITY = (
    _Choice(name="arcface-ir-se50", files=("arcface-ir-se50",)),
    _Choice(name="mobilefacenet", files=("mobilefacenet",)),
)
"""The paper's network, then the one that stands in where the paper's is not at hand."""


def find_judges(
    terms: Mapping[str, float], *, oval_share: float = 0.5, stand_ins: Collection[str] | None = None
) -> Judges:
    """The judges that the terms with a weight need: the paper's where their files are at hand, else those that stand in.

    Args:
        oval_share: height of a neutral face as share of the side of the crops that will be judged.
        stand_ins: names of those that may stand in; None: any.

    Raises:
        WeightsError: no file is at hand; the sentence says which, and how to do without.
        CheckpointError: a file is damaged.
    """
    lpips, identity, parser = None, None, None
    teachers: list[str] = []
    for term in ("lpips", "gram"):
        if terms.get(term, 0) > 0 and lpips is None:
            chosen, files = _at_hand(term, LPIPS, stand_ins)
            lpips = load_lpips(*files, squeeze=chosen is LPIPS[1])
            teachers.append(chosen.name)
    if terms.get("identity", 0) > 0:
        chosen, (file,) = _at_hand("identity", IDENTITY, stand_ins)
        identity = load_identity(file) if chosen is IDENTITY[0] else load_onnx_identity(file, oval_share=oval_share)
        teachers.append(chosen.name)
    if terms.get("parsing", 0) > 0:
        parser, names = _parser_features()
        teachers += names
    return Judges(lpips=lpips, identity=identity, parser=parser, teachers=tuple(teachers))


def _at_hand(term: str, choices: Sequence[_Choice], stand_ins: Collection[str] | None) -> tuple[_Choice, list[Path]]:
    """The first choice of which every file is here.

    Raises:
        WeightsError: none is here, or a file is not what it should be.
    """
    from understudy.errors import WeightsError
    from understudy.provenance import weights

    first, *others = choices
    others = [choice for choice in others if stand_ins is None or choice.name in stand_ins]
    here = [choice for choice in (first, *others) if all(weights.locate(name) is not None for name in choice.files)]
    chosen = here[0] if here else first
    try:
        return chosen, [weights.find(name) for name in chosen.files]
    except WeightsError as error:
        instead = "".join(f" {' and '.join(choice.files)} would do as well." for choice in others if not here)
        raise WeightsError(f"{error}{instead} Or train without it: --without {term}.") from error


def _parser_features() -> tuple[ParserFeatures, tuple[str, ...]]:
    """Of the public parser where it is at hand, else of the packaged one; and the name of a foreign one.

    Raises:
        WeightsError: neither is here.
    """
    from understudy.errors import WeightsError
    from understudy.families.regional_inversion import parsing, parsing_official
    from understudy.provenance import weights

    foreign = ("face-parsing",) if weights.locate("face-parsing") is not None else ()
    if foreign:
        network = parsing_official.load_public(weights.find(*foreign))
    elif parsing.PACKAGED.is_file():
        network = parsing.load_parser(parsing.PACKAGED)
    else:
        raise WeightsError(
            "The term parsing needs a face parser, and none is packaged or at hand (understudy weights list). Train without it: "
            "--without parsing."
        )
    return ParserFeatures(network).eval().requires_grad_(False), foreign
