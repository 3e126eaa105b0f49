"""Light, weather and camera: photometric variation of a batch of crops.

Labels do not move here. All images are float32, 0 to 1, shape (n, band, h, w); each
image of a batch draws its own numbers.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    """Strength of the variation; 0 turns a kind off."""

    gain: float = 0.4
    """Largest |ln| of the gain that all bands share."""
    band_gain: float = 0.25
    """Largest |ln| of the gain of one band."""
    gamma: float = 0.35
    """Largest |ln| of the exponent."""
    contrast: float = 0.35
    """Largest |ln| of the stretch around the image's mean."""
    haze: float = 0.15
    """Largest share of an even veil."""
    shadow_share: float = 0.4
    """Share of images with a soft shadow or a patch of light."""
    blur_share: float = 0.35
    """Share of images that are blurred."""
    blur_px: float = 1.8
    """Largest sigma of the blur, px."""
    shift_share: float = 0.15
    """Share of images whose bands are shifted by one or two pixels (ghosting)."""
    noise: float = 0.03
    """Largest standard deviation of the noise."""
    jpeg_share: float = 0.15
    """Share of images that go through JPEG of quality 40 to 90."""


def augment(
    images: NDArray[np.float32], options: AugmentOptions, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a varied copy of a batch, 0 to 1."""
    out = torch.from_numpy(images)
    out = _light(out, options, rng)
    out = _shadow(out, options, rng)
    out = _shift_bands(out, options, rng)
    out = _blur(out, options, rng)
    level = torch.from_numpy(_uniform(rng, 0, options.noise, len(images)))
    # Generator(seed) and not the global one: a batch depends on the given rng only.
    noise = torch.empty_like(out).normal_(
        generator=torch.Generator().manual_seed(int(rng.integers(2**62)))
    )
    out = (out + level * noise).clamp_(0, 1)
    varied: NDArray[np.float32] = out.numpy()
    for index in np.flatnonzero(rng.random(len(images)) < options.jpeg_share):
        varied[index] = jpeg(varied[index], int(rng.integers(40, 91)))
    return varied


def _uniform(
    rng: np.random.Generator, low: float, high: float, *shape: int
) -> NDArray[np.float32]:
    """Return numbers shaped to multiply a batch: (n,) or (n, band) to (n, ., 1, 1)."""
    values = rng.uniform(low, high, size=shape).astype(np.float32)
    return values.reshape(*shape, *(1,) * (4 - len(shape)))


def _light(images: Tensor, options: AugmentOptions, rng: np.random.Generator) -> Tensor:
    count, bands = images.shape[:2]

    def draw(limit: float, *shape: int) -> Tensor:
        return torch.from_numpy(np.exp(_uniform(rng, -limit, limit, *shape)))

    gain = draw(options.gain, count) * draw(options.band_gain, count, bands)
    out = images.clamp(1e-4, 1).pow(draw(options.gamma, count)) * gain
    mean = out.mean(dim=(2, 3), keepdim=True)
    out = (out - mean) * draw(options.contrast, count) + mean
    veil = torch.from_numpy(_uniform(rng, 0, options.haze, count))
    colour = torch.from_numpy(_uniform(rng, 0.3, 0.9, count, bands))
    return out * (1 - veil) + colour * veil


def _shadow(
    images: Tensor, options: AugmentOptions, rng: np.random.Generator
) -> Tensor:
    """Return images with a smooth patch darker, or, one time in four, brighter."""
    count, _, height, width = images.shape
    nodes = torch.from_numpy(rng.normal(size=(count, 1, 5, 5)).astype(np.float32))
    field = functional.interpolate(nodes, (height, width), mode="bicubic")
    edge = torch.from_numpy(np.exp(_uniform(rng, np.log(2), np.log(40), count)))
    level = torch.from_numpy(_uniform(rng, -0.8, 0.8, count))
    inside = torch.sigmoid((field - level) * edge)
    factor = _uniform(rng, 0.25, 0.8, count)
    factor = np.where(_uniform(rng, 0, 1, count) < 0.25, 1.8 - factor, factor)
    used = _uniform(rng, 0, 1, count) < options.shadow_share
    strength = torch.from_numpy(np.where(used, factor - 1, 0).astype(np.float32))
    return images * (1 + strength * inside)


def _shift_bands(
    images: Tensor, options: AugmentOptions, rng: np.random.Generator
) -> Tensor:
    out = images.clone()
    for index in np.flatnonzero(rng.random(len(images)) < options.shift_share):
        for band in range(images.shape[1]):
            shift = rng.integers(-2, 3, size=2).tolist()
            out[index, band] = torch.roll(images[index, band], shift, dims=(0, 1))
    return out


def _blur(images: Tensor, options: AugmentOptions, rng: np.random.Generator) -> Tensor:
    out = images.clone()
    for index in np.flatnonzero(rng.random(len(images)) < options.blur_share):
        sigma = float(rng.uniform(0.3, max(options.blur_px, 0.3)))
        out[index] = gaussian_blur(images[index], sigma)
    return out


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Return one image (band, h, w) blurred; the rim is repeated outwards."""
    reach = int(np.ceil(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = functional.pad(image[:, None], (reach,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel.view(1, 1, -1, 1))
    return functional.conv2d(rows, kernel.view(1, 1, 1, -1))[:, 0]


def jpeg(image: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    """Return an image (3 bands, h, w) after JPEG; other band counts are unchanged."""
    if image.shape[0] != 3:
        return image
    bytes_ = np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(bytes_).save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:
        back = np.asarray(opened, np.float32) / 255
    return np.ascontiguousarray(back.transpose(2, 0, 1))
