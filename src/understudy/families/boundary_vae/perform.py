"""A trained network at work: a still and target landmarks in, crops (and motion) out; and the latent handles between stills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from understudy.errors import OptionError
from understudy.faces.align import OVAL_CENTRE, mean_mesh
from understudy.faces.boundary import MOUTH, boundary_maps, opening_masks
from understudy.faces.topology import NUM_POINTS
from understudy.families.boundary_vae.motion import carried
from understudy.families.boundary_vae.network import Answer, BoundaryNetwork, Structure
from understudy.families.boundary_vae.start import load_network
from understudy.family import AnimateResult, Drive
from understudy.tensors import choose_device

CHUNK = 4
"""Rows in one pass. It never varies (the last pass is filled up), so that a frame's pixels do not depend on its neighbours."""
_RIM = 0.012
"""How far around open mouths paint may reach, and how softly it ends, as shares of the crop's side."""


class BoundaryAnimator:
    """Animates stills by landmarks (see ``understudy.family.Animator``).

    Strength s moves the target a share s of the way from the still's own landmarks. A network without motion answers with its
    own painting of the whole crop, as in the paper. One with motion is *anchored*: what it does to a still that is asked for its
    own landmarks is taken off every answer, moved along with the face. With I the still, F the motion, A what is added to the
    moved still, and F(own) and A(own) the same for the still's own landmarks:

        F' = F - F(own)      O = I moved by F' + A - A(own) moved by F'

    so that such a still comes back bit for bit, and F' carries it to any size.
    """

    def __init__(
        self, checkpoint: Path | str | BoundaryNetwork, *, device: str = "auto", anchored: bool = True
    ) -> None:
        """
        Args:
            checkpoint: a boundary_vae checkpoint, or a network that is already there.
            anchored: False gives the network's own answers; without motion it changes nothing.

        Raises:
            CheckpointError: not a boundary_vae network's weights.
            OptionError: the device is not there.
        """
        network = checkpoint if isinstance(checkpoint, BoundaryNetwork) else load_network(checkpoint)
        self.device = choose_device(device)
        # Always float32: motion is stretched with the still, and bf16's steps would be seen.
        self.network = _plain(network.eval().requires_grad_(False).float())
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = network.settings
        self.anchored = anchored and network.settings.motion
        self.size = self.settings.size
        self.signals = frozenset({"landmarks"})
        self.expressions: tuple[str, ...] = ()
        self.oval_share = self.settings.oval_share

    @torch.inference_mode()
    def animate(self, still: np.ndarray, drive: Drive) -> AnimateResult:
        """(size, size, 3) float32 RGB in [0, 1] -> one crop, and motion where the network moves, for every row of ``drive``.

        Rows without strength, and rows that ask an anchored still for its own landmarks, are the still itself, bit for bit.

        Raises:
            OptionError: the still has another size, or the drive lacks landmarks, the target's or the still's.
        """
        picture = self._picture(still)
        if drive.landmarks is None or drive.still_landmarks is None:
            raise OptionError(
                "this network is driven by landmarks, and the drive lacks the target's or the still's; give both."
            )
        own, wanted = self._points(drive.still_landmarks), self._points(drive.landmarks)
        strength = np.asarray(drive.strength, np.float32)
        if len(wanted) != len(strength):
            raise OptionError(
                f"the drive has {len(strength)} strengths and {len(wanted)} rows of landmarks; give one a frame."
            )
        rows = own + strength[:, None, None] * (wanted - own)
        asked = strength != 0
        if self.anchored:
            asked &= (rows != own).any((1, 2))

        own_maps = self._maps(own[None])
        z, _ = self.network.appearance(picture, own_maps)
        rest = self._answer(z, picture, own, own_maps, own[None]) if self.anchored else None
        crops = np.repeat(np.asarray(still, np.float32)[None], len(rows), 0)
        motion = np.zeros((len(rows), self.size, self.size, 2), np.float32) if self.settings.motion else None
        places = np.flatnonzero(asked)
        for first in range(0, len(places), CHUNK):
            # The last place fills a chunk up; its answer is the same each time.
            chunk = places[np.minimum(np.arange(first, first + CHUNK), len(places) - 1)]
            answer = self._answer(z, picture, own, own_maps, rows[chunk])
            made, moves = answer.picture, answer.motion
            if rest is not None:
                assert answer.added is not None and moves is not None
                assert rest.added is not None and rest.motion is not None
                moves = moves - rest.motion
                if self.settings.paints == "mouth":
                    change = answer.added - carried(rest.added.expand(len(chunk), -1, -1, -1), moves)
                    made = carried(picture.expand(len(chunk), -1, -1, -1), moves) + change * self._mouth(rows[chunk])
                else:
                    made = carried((picture - rest.added).expand(len(chunk), -1, -1, -1), moves) + answer.added
            crops[chunk] = _unit(made)
            if motion is not None and moves is not None:
                motion[chunk] = moves.permute(0, 2, 3, 1).cpu().numpy()
        return AnimateResult(crops=crops, motion=motion)

    @torch.inference_mode()
    def encode(self, still: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Appearance and structure of a still, two float32 vectors to be mixed with another's and given to :meth:`decode`.

        As in the paper: µ_φ, and all that the structure encoder says. A network with motion needs a picture to move and says
        nothing of structure that could be mixed but where the points are: µ_φ and the still with its points brought to the mean
        face, and the points.

        Args:
            still: (size, size, 3) float32 RGB in [0, 1].
            landmarks: (N, 2 or 3) of it, in the unit square.
        """
        picture, points = self._picture(still), self._points(landmarks)
        maps = self._maps(points[None])
        z, _ = self.network.appearance(picture, maps)
        if not self.settings.motion:
            structure = self.network.structure(maps)
            return _flat(z), np.concatenate([_flat(part) for part in (structure.lines, *structure.features)])
        home = self._home(points)
        answer = self._answer(z, picture, points, maps, home[None])
        return np.concatenate([_flat(z), _flat(answer.picture), home.ravel()]), points.ravel()

    @torch.inference_mode()
    def decode(self, appearance: np.ndarray, structure: np.ndarray) -> np.ndarray:
        """The crop of an appearance in a structure, (size, size, 3) float32 RGB in [0, 1].

        Raises:
            OptionError: vectors of another network.
        """
        settings = self.settings
        parts = self._shapes()
        sizes = [int(np.prod(shape)) for shape in parts]
        pixels, points = 3 * self.size**2, 2 * settings.topology.points
        due = (settings.latent + settings.motion * (pixels + points), points if settings.motion else sum(sizes))
        if (appearance.size, structure.size) != due:
            raise OptionError(
                f"appearance and structure have {appearance.size} and {structure.size} numbers, this network's {due[0]} and "
                f"{due[1]}; encode both stills with it."
            )
        z = torch.from_numpy(np.asarray(appearance[: settings.latent], np.float32))[None].to(self.device)
        if settings.motion:
            held = np.asarray(appearance[settings.latent : settings.latent + pixels], np.float32)
            picture = torch.from_numpy(held.reshape(1, 3, self.size, self.size)).to(self.device)
            home = np.asarray(appearance[settings.latent + pixels :], np.float32).reshape(-1, 2)
            wanted = np.asarray(structure, np.float32).reshape(1, -1, 2)
            return _unit(self._answer(z, picture, home, self._maps(home[None]), wanted).picture)[0]
        flat = torch.from_numpy(np.asarray(structure, np.float32)).to(self.device).split(sizes)
        lines, *features = (part.reshape(1, *shape) for part, shape in zip(flat, parts, strict=True))
        return _unit(self.network.decode(z, Structure(lines=lines, features=tuple(features))).picture)[0]

    def _answer(self, z: Tensor, picture: Tensor, own: np.ndarray, own_maps: Tensor, rows: np.ndarray) -> Answer:
        """The network's answers to (B, N, 2) target points of one still."""
        count = len(rows)
        many = lambda tensor: tensor.expand(count, *tensor.shape[1:])  # noqa: E731
        structure = self.network.structure(self._maps(rows), many(own_maps))
        points, targets = (torch.from_numpy(np.ascontiguousarray(p)).to(self.device) for p in (own[None], rows))
        return self.network.decode(many(z), structure, many(picture), many(points), targets)

    def _picture(self, still: np.ndarray) -> Tensor:
        still = np.asarray(still, np.float32)
        if still.shape != (self.size, self.size, 3):
            raise OptionError(f"the still is {still.shape} and this network takes ({self.size}, {self.size}, 3).")
        return (torch.from_numpy(still).permute(2, 0, 1)[None] * 2 - 1).to(self.device)

    def _points(self, landmarks: np.ndarray) -> np.ndarray:
        count = self.settings.topology.points
        if landmarks.ndim < 2 or landmarks.shape[-2] != count or landmarks.shape[-1] < 2:
            raise OptionError(
                f"this network ({self.settings.topology.name}) takes {count} landmarks, x and y; these are {landmarks.shape}."
            )
        return np.asarray(landmarks[..., :2], np.float32)

    def _maps(self, points: np.ndarray) -> Tensor:
        settings = self.settings
        drawn = boundary_maps(points.astype(np.float64) * self.size, settings.topology, self.size, sigma=settings.sigma)
        return torch.from_numpy(drawn).to(self.device, memory_format=torch.channels_last)

    def _mouth(self, rows: np.ndarray) -> Tensor:
        """(B, 1, s, s) in [0, 1]: 1 between parted lips and at their rims, falling to 0 around them."""
        settings = self.settings
        masks = opening_masks(rows.astype(np.float64) * self.size, settings.topology, self.size, openings=MOUTH)
        reach = 2 * round(_RIM * self.size) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        soft = [cv2.GaussianBlur(cv2.dilate(mask, disc), (0, 0), _RIM * self.size) for mask in masks]
        return torch.from_numpy(np.stack(soft)[:, None]).to(self.device)

    def _home(self, points: np.ndarray) -> np.ndarray:
        """Where the points of every still go to be mixed: the mean face, or for another markup where they are."""
        if self.settings.topology.points != NUM_POINTS:
            return points
        return (mean_mesh()[:, :2] * self.oval_share + np.array(OVAL_CENTRE)).astype(np.float32)

    def _shapes(self) -> list[tuple[int, ...]]:
        settings = self.settings
        sides = [(width, settings.size >> level) for level, width in enumerate(settings.widths, 1)]
        return [(settings.curves, self.size, self.size), *((width, side, side) for width, side in sides)]


def _plain(network: BoundaryNetwork) -> BoundaryNetwork:
    """With every normalised weight worked out once."""
    for module in network.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    return network


def _flat(tensor: Any) -> np.ndarray:
    return tensor.float().cpu().contiguous().numpy().ravel()


def _unit(pictures: Tensor) -> np.ndarray:
    """(B, 3, s, s) in [-1, 1] to (B, s, s, 3) in [0, 1]."""
    return ((pictures.clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).cpu().numpy()
