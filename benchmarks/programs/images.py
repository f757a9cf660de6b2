"""Pictures, with scipy.ndimage."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def filters(steps: int) -> float:
    """Sharpened pictures, each channel by itself, and their edges."""
    photo = np.random.default_rng(4).random((3, 800, 1200), dtype="f4")
    strength = 0.0
    for _ in range(steps):
        blurred = np.stack([ndimage.gaussian_filter(channel, 2) for channel in photo])
        sharp = np.clip(photo + 0.7 * (photo - blurred), 0, 1)
        grey = sharp.mean(axis=0)
        strength += float(np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1)).mean())
    return strength


def segmentation(steps: int) -> float:
    """Bright spots: smoothed, thresholded, cleaned, labelled and weighed."""
    random = np.random.default_rng(5)
    noise = random.random((1000, 1000), dtype="f4")
    found = 0.0
    for step in range(steps):
        smooth = ndimage.uniform_filter(noise, 9 + 2 * (step % 3))
        mask = ndimage.binary_opening(smooth > smooth.mean() + smooth.std())
        labels, count = ndimage.label(mask)
        found += float(ndimage.sum_labels(noise, labels, np.arange(1, count + 1)).max())
    return found
