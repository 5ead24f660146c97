"""Arithmetic on whole batches of images: augmentation, and mean and std of a data set."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

PAD = 4  # pixels added on each side of an image before "shift" crops it
CHUNK = 1 << 20  # pixels per part when mean and std are computed


def draw_augmentation(b: int, augment: str, generator: torch.Generator) -> Tensor:
    """Draws row offset and column offset (0 to 2 PAD) and flip (0 or 1) of b images: (3, b)."""
    if generator.device.type != "cpu":
        raise ValueError(
            f"generator must be on the CPU, got one on {generator.device}. "
            "Use torch.Generator(), or the generator that BatchOrder.next() returns."
        )
    offsets = torch.full(
        (2, b), PAD, dtype=torch.int64, device="cpu"
    )  # the crop that is the image itself
    if "shift" in augment:
        offsets = torch.randint(2 * PAD + 1, (2, b), generator=generator, device="cpu")
    flip = torch.zeros(1, b, dtype=torch.int64, device="cpu")
    if "flip" in augment:
        flip = torch.randint(2, (1, b), generator=generator, device="cpu")
    return torch.cat([offsets, flip])


def augment_images(images: Tensor, draws: Tensor) -> Tensor:
    """Pads (b, c, h, w) images, crops and perhaps flips them, all in one gather."""
    b, c, h, w = images.shape
    down, right, flip = draws[:, :, None]  # each (b, 1)
    y = torch.arange(h, device=images.device) + down  # (b, h)
    x = torch.arange(w, device=images.device) + right  # (b, w)
    x = torch.where(flip == 1, x.flip(1), x)
    where = y[:, :, None] * (w + 2 * PAD) + x[:, None, :]  # (b, h, w)
    padded = F.pad(images, (PAD,) * 4).flatten(2)  # (b, c, pixels)
    return padded.gather(2, where.view(b, 1, h * w).expand(b, c, h * w)).view(b, c, h, w)


def measure_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (c, 1, 1) of each channel, computed on parts of the images.

    uint8 values are scaled to 0 to 1. A constant channel gets the standard deviation 1, so that
    normalising it gives 0.
    """
    n, c, h, w = images.shape
    parts = images.split(max(1, CHUNK // (c * h * w)))
    if images.dtype == torch.uint8:  # counting the 256 values is exact and fast
        counts = torch.zeros(c, 256, dtype=torch.int64, device="cpu")
        for part in parts:
            for channel in range(c):
                counts[channel] += part[:, channel].flatten().bincount(minlength=256)
        values, share = (
            torch.arange(256, dtype=torch.float64, device="cpu") / 255,
            counts.double() / (n * h * w),
        )
        mean = (share * values).sum(1)  # (c,)
        var = (share * (values - mean[:, None]) ** 2).sum(1)
    else:
        mean, var = torch.zeros(2, c, dtype=torch.float64, device="cpu")
        for part in parts:
            mean += part.sum((0, 2, 3), dtype=torch.float64) / (n * h * w)
        for part in parts:
            var += ((part - mean[:, None, None]) ** 2).sum((0, 2, 3)) / (n * h * w)
    std = var.sqrt()
    # A spread below float32's resolution comes from rounding, not from the images.
    std = torch.where(std > 1e-6 * mean.abs() + 1e-30, std, 1.0)
    return mean.float()[:, None, None], std.float()[:, None, None]
