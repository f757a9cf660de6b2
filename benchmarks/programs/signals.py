"""Sound, with scipy.signal."""

from __future__ import annotations

import numpy as np
from scipy import signal


def convolution(steps: int) -> float:
    """Reverberation: eight tracks of about ten seconds, each with the echo of a room."""
    random = np.random.default_rng(6)
    tracks = random.standard_normal((8, 441_000))
    room = random.standard_normal(30_000) * np.exp(-np.arange(30_000) / 5000)
    loud = 0.0
    for step in range(steps):
        wet = signal.fftconvolve(tracks[:, : 441_000 - 9000 * (step % 5)], room[None], axes=1)
        loud += float(np.abs(wet / np.abs(wet).max(axis=1, keepdims=True)).mean())
    return loud


def spectrograms(steps: int) -> float:
    """Thirty seconds of sound in decibels."""
    sound = np.random.default_rng(7).standard_normal(30 * 44_100)
    total = 0.0
    for _ in range(steps):
        _, _, power = signal.spectrogram(sound, 44_100, nperseg=2048, noverlap=1536)
        decibels = 10 * np.log10(power + 1e-12)
        decibels = np.maximum(decibels, decibels.max() - 80)
        total += float(decibels.mean())
    return total
