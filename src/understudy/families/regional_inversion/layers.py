"""StyleGAN2's layers: equalised rates, filtered resampling, modulated convolution (Karras and others 2020, section 2).

Weights are kept at unit variance and scaled as they are used, so that one rate suits them all. Names and shapes of parameters and
buffers are the public PyTorch port's, so that its weights fit without renaming, but for modulated weights, which the port keeps
as (1, O, I, k, k). In comments O and I are a convolution's output and input channels.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE, GAIN = 0.2, math.sqrt(2)  # of the leaky ReLU, and what gives its answer unit variance again
FILTER = (1, 3, 3, 1)
STEADY = 1e-8


def blur_kernel(gain: float = 1.0) -> Tensor:
    """(4, 4) weights [1, 3, 3, 1] x [1, 3, 3, 1] that sum to ``gain``."""
    row = torch.tensor(FILTER, dtype=torch.float32)
    kernel = torch.outer(row, row)
    return kernel * (gain / kernel.sum())


def in_float32(x: Tensor) -> AbstractContextManager[Any]:
    """Inside, nothing is cast to fewer bits where ``x`` is."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def activated(x: Tensor, bias: Tensor | None = None) -> Tensor:
    """√2 leaky_relu(x + bias), bias along the second dimension."""
    if bias is not None:
        x = x + bias.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2))
    return functional.leaky_relu(x, SLOPE) * GAIN


class EqualLinear(nn.Module):
    """A linear layer with an equalised rate; ``lr_mul`` slows both weight and bias."""

    def __init__(
        self, inputs: int, outputs: int, *, bias_init: float = 0.0, lr_mul: float = 1.0, active: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_mul)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init))
        self.scale, self.lr_mul, self.active = lr_mul / math.sqrt(inputs), lr_mul, active

    def forward(self, x: Tensor) -> Tensor:
        x = functional.linear(x, self.weight * self.scale, None if self.active else self.bias * self.lr_mul)
        return activated(x, self.bias * self.lr_mul) if self.active else x


class EqualConv(nn.Module):
    """A convolution with an equalised rate and without a bias of its own."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.stride, self.padding = 1 / math.sqrt(inputs * kernel**2), stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)


class Activation(nn.Module):
    """√2 leaky_relu(x + bias)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return activated(x, self.bias)


class Blur(nn.Module):
    """(B, C, h, w) padded with zeros and blurred by [1, 3, 3, 1] in both directions."""

    kernel: Tensor

    def __init__(self, before: int, after: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", blur_kernel(gain))
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, -1, -1)
        if self.before == self.after:
            return functional.conv2d(x, kernel, padding=self.before, groups=channels)
        x = functional.pad(x, (self.before, self.after, self.before, self.after))
        return functional.conv2d(x, kernel, groups=channels)


class Upsample(nn.Module):
    """(B, C, h, w) -> (B, C, 2 h, 2 w): zeros between the pixels, then the blur."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", blur_kernel(4.0))

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, -1, -1)
        return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


class ModulatedConv(nn.Module):
    """Convolution whose weights a style scales by input channel and, unless told otherwise, normalises by output channel.

        w'_oik = s_i w_oik            (Mod)
        w''_oik = w'_oik / sqrt(Σ_ik w'_oik² + ε)   (Demod)

    With ``up`` the answer is twice as large: a transposed convolution of stride 2, then a blur.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, latent: int, *, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(latent, inputs, bias_init=1.0)
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.demodulate, self.up, self.padding = demodulate, up, kernel // 2
        if up:
            self.blur = Blur(1, 1, gain=4.0)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """(B, I, h, w) by (B, latent) codes -> (B, O, h, w), twice that with ``up``.

        One picture is convolved with its own weights (:meth:`with_weights`). Several share the plain weights, and style and
        normalisation are applied to what goes in and comes out (:meth:`with_scales`), which is the same and cheaper.
        """
        return self.with_weights(x, codes) if len(x) == 1 else self.with_scales(x, codes)

    def style(self, codes: Tensor) -> Tensor:
        """(B, latent) -> (B, I) factors s."""
        # Their squares are summed over hundreds of weights; eight bits of mantissa are too few for that.
        with in_float32(codes):
            return self.modulation(codes.to(self.weight.dtype))

    def with_weights(self, x: Tensor, codes: Tensor) -> Tensor:
        """Every picture by weights of its own: one convolution in as many groups as there are pictures."""
        batch, _, height, width = x.shape
        weight = self.scale * self.weight * self.style(codes)[:, None, :, None, None]  # (B, O, I, k, k)
        if self.demodulate:
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + STEADY).rsqrt()
        if batch > 1:
            x = x.reshape(1, -1, height, width)
        if self.up:
            weight = weight.transpose(1, 2).flatten(0, 1).to(x.dtype)
            x = functional.conv_transpose2d(x, weight, stride=2, groups=batch)
        else:
            x = functional.conv2d(x, weight.flatten(0, 1).to(x.dtype), padding=self.padding, groups=batch)
        if batch > 1:
            x = x.reshape(batch, -1, *x.shape[2:])
        return self.blur(x) if self.up else x

    def with_scales(self, x: Tensor, codes: Tensor) -> Tensor:
        """The same: all pictures by the plain weights, scaled before and normalised after."""
        weight = self.scale * self.weight
        style, norm = self.factors(weight, codes)
        return self.convolved(x, weight, style, norm)

    def factors(self, weight: Tensor, codes: Tensor) -> tuple[Tensor, Tensor | None]:
        """Factors before and after a convolution by the plain weight: (..., latent) -> s (..., I) and 1 / sqrt(...) (..., O)."""
        style = self.style(codes)
        if not self.demodulate:
            return style, None
        with in_float32(codes):
            energy = weight.square().sum((2, 3)).t()  # (I, O)
            return style, (style.square() @ energy + STEADY).rsqrt()

    def convolved(self, x: Tensor, weight: Tensor, style: Tensor, norm: Tensor | None) -> Tensor:
        """(B, I, h, w) by the plain weight with (B, I) and (B, O) factors."""
        return self.convolved_by(
            x,
            weight,
            style[:, :, None, None].to(x.dtype),
            None if norm is None else norm[:, :, None, None].to(x.dtype),
        )

    def convolved_by(self, x: Tensor, weight: Tensor, style: Tensor, norm: Tensor | None) -> Tensor:
        """The same with factors of which each pixel may have its own: (B, I, ...) and (B, O, ...) that stretch to what goes in
        and to what comes out."""
        x = x * style
        if self.up:
            x = functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        else:
            x = functional.conv2d(x, weight, padding=self.padding)
        if norm is None:
            return self.blur(x) if self.up else x
        if not self.up:
            return x * norm
        # A factor that is the same everywhere may stand on either side of the blur; one of each pixel only where they are.
        return self.blur(x * norm) if norm.shape[-1] == 1 else self.blur(x) * norm
