"""Networks that judge a reconstruction: AlexNet for LPIPS, IR-SE-50 for identity, a face parser (systems that others trained).

None of them learns here, and none is needed: a term whose judge is not at hand is left out with ``--without``. Their layouts are
the published ones (torchvision's, LPIPS', InsightFace_Pytorch's). Pictures are (B, 3, s, s) RGB in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.families.regional_inversion.encoder import stages
from understudy.families.regional_inversion.parsing_network import BiSeNet, standardised

ALEX_MEAN, ALEX_DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
ALEX_CHANNELS = (64, 192, 384, 256, 256)
IDENTITY_TAPS = (2, 6, 20, 23)
IDENTITY_SIDE, IDENTITY_CROP = 256, (slice(35, 223), slice(32, 220))


class AlexFeatures(nn.Module):
    """AlexNet's convolutions, their answers after each ReLU."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d, e = ALEX_CHANNELS
        self.features = nn.Sequential(
            nn.Conv2d(3, a, 11, 4, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(a, b, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(b, c, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c, d, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(d, e, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x = (pictures - pictures.new_tensor(ALEX_MEAN)[:, None, None]) / pictures.new_tensor(ALEX_DEVIATION)[
            :, None, None
        ]
        answers = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                answers.append(x)
        return answers


class _Line(nn.Module):
    """One LPIPS head: a weight for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))


class Lpips(nn.Module):
    """LPIPS 0.1 with AlexNet (Zhang and others 2018, eq. 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = AlexFeatures()
        self.lins = nn.ModuleList(_Line(channels) for channels in ALEX_CHANNELS)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean distance of two batches."""
        total = a.new_zeros(())
        for ours, theirs, line in zip(self.net(a), self.net(b), self.lins, strict=True):
            ours, theirs = (x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in (ours, theirs))
            total = total + line.model[1]((ours - theirs).square()).mean()  # type: ignore[operator]
        return total


class IdentityNetwork(nn.Module):
    """ArcFace's IR-SE-50: (B, 3, 112, 112) -> five answers, of four depths and the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        self.body = nn.Sequential(*stages((64, 64, 128, 256, 512), (3, 4, 14, 3), nn.BatchNorm2d))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(0.5), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        pool = functional.adaptive_avg_pool2d
        rows, columns = IDENTITY_CROP
        x = self.input_layer(pool(pool(pictures, IDENTITY_SIDE)[:, :, rows, columns], 112))
        answers = []
        for index, block in enumerate(self.body):
            x = block(x)
            if index in IDENTITY_TAPS:
                answers.append(x.flatten(1))
        return [*answers, self.output_layer(x)]


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
    identity: IdentityNetwork | None = None
    parser: nn.Module | None = None
    """Pictures to a sequence of answers at several depths."""

    def modules(self) -> list[nn.Module]:
        return [module for module in vars(self).values() if module is not None]

    def to(self, device: torch.device) -> None:
        for module in self.modules():
            module.to(device)


def distances(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """Sum over the answers of the mean of 1 - cos, each answer of a picture taken as one vector."""
    total = ours[0].new_zeros(())
    for a, b in zip(ours, theirs, strict=True):
        total = total + (1 - functional.cosine_similarity(a.flatten(1).float(), b.flatten(1).float())).mean()
    return total


def load_lpips(alexnet: Path, heads: Path) -> Lpips:
    """From torchvision's AlexNet (its classifier is left aside) and LPIPS' ``alex.pth``.

    Raises:
        CheckpointError: unreadable, or not these networks.
    """
    from understudy.blocks.foreign import filled, read_tensors

    judge = Lpips()
    features = {name: x for name, x in read_tensors(alexnet).items() if name.startswith("features.")}
    filled(judge.net, features, alexnet)
    lines = {name.replace("lin", "", 1): x for name, x in read_tensors(heads).items() if name.startswith("lin")}
    filled(judge.lins, lines, heads)
    return judge.eval().requires_grad_(False)


def load_identity(path: Path) -> IdentityNetwork:
    """From ``model_ir_se50.pth``.

    Raises:
        CheckpointError: unreadable, or not this network.
    """
    from understudy.blocks.foreign import filled, read_tensors

    return filled(IdentityNetwork(), read_tensors(path), path).eval().requires_grad_(False)


FILES = {"lpips": ("alexnet", "lpips-alex"), "identity": ("arcface-ir-se50",)}
"""Names in the table of foreign weights, by the term that needs them."""


def find_judges(terms: Mapping[str, float]) -> Judges:
    """The judges that the terms with a weight need.

    Raises:
        WeightsError: a file is not at hand; the sentence says which, and how to do without.
        CheckpointError: a file is damaged.
    """
    from understudy.errors import WeightsError
    from understudy.provenance import weights

    found: dict[str, nn.Module] = {}
    for term, names in FILES.items():
        if terms.get(term, 0) <= 0:
            continue
        try:
            paths = [weights.find(name) for name in names]
        except WeightsError as error:
            raise WeightsError(f"{error} Or train without it: --without {term}.") from error
        found[term] = load_lpips(*paths) if term == "lpips" else load_identity(*paths)
    if terms.get("parsing", 0) > 0:
        found["parser"] = _parser_features()
    return Judges(**found)  # type: ignore[arg-type]


def _parser_features() -> ParserFeatures:
    """Of the public parser where it is at hand, else of the packaged one.

    Raises:
        WeightsError: neither is here.
    """
    from understudy.errors import WeightsError
    from understudy.families.regional_inversion import parsing, parsing_official
    from understudy.provenance import weights

    if weights.locate("face-parsing") is not None:
        network = parsing_official.load_public(weights.find("face-parsing"))
    elif parsing.PACKAGED.is_file():
        network = parsing.load_parser(parsing.PACKAGED)
    else:
        raise WeightsError(
            "The term parsing needs a face parser, and none is packaged or at hand (understudy weights list). Train without it: "
            "--without parsing."
        )
    return ParserFeatures(network).eval().requires_grad_(False)
