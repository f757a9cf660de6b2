"""Prices of options."""

from __future__ import annotations

import numpy as np


def options(steps: int) -> float:
    """Black-Scholes: a million calls and puts at once."""
    from scipy.special import ndtr

    random = np.random.default_rng(11)
    spot, strike = random.uniform(80, 120, (2, 1_000_000))
    years = random.uniform(0.1, 2, 1_000_000)
    total = 0.0
    for step in range(steps):
        rate, volatility = 0.02, 0.15 + 0.01 * step
        spread = volatility * np.sqrt(years)
        d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * years) / spread
        d2 = d1 - spread
        paid = strike * np.exp(-rate * years)
        call = spot * ndtr(d1) - paid * ndtr(d2)
        put = paid * ndtr(-d2) - spot * ndtr(-d1)
        total += float(np.mean(call + put))
    return total


def paths(steps: int) -> float:
    """An Asian option: 20 000 paths of 64 steps, by their mean."""
    random = np.random.default_rng(12)
    total = 0.0
    for _ in range(steps):
        noise = random.standard_normal((20_000, 64), dtype="f4")
        price = 100 * np.exp(np.cumsum(0.0001 + 0.02 * noise, axis=1))
        total += float(np.maximum(price.mean(axis=1) - 100, 0).mean())
    return total
