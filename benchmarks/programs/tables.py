"""Tables, with pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd


def arithmetic(steps: int) -> float:
    """Columns made of columns, rows picked, and a description of them."""
    random = np.random.default_rng(8)
    orders = pd.DataFrame(
        {name: random.random(1_000_000) for name in ("price", "amount", "tax", "discount")}
    )
    total = 0.0
    for _ in range(steps):
        sold = orders.assign(net=orders.price * orders.amount * (1 - orders.discount / 10))
        sold["gross"] = sold.net * (1 + sold.tax / 4)
        sold["share"] = sold.gross / sold.gross.sum()
        large = sold[(sold.gross > 0.4) & (sold.amount < 0.9)]
        total += float(large.gross.mean() + (large - large.mean()).std().sum())
    return total


def rolling(steps: int) -> float:
    """Moving averages and bands of prices."""
    random = np.random.default_rng(9)
    prices = pd.Series(100 + random.standard_normal(500_000).cumsum() / 100)
    total = 0.0
    for step in range(steps):
        window = prices.rolling(20 + step)
        middle, width = window.mean(), 2 * window.std()
        outside = (prices > middle + width) | (prices < middle - width)
        total += float(outside.mean() + prices.ewm(span=50).mean().diff().abs().mean())
    return total


def group_and_merge(steps: int) -> float:
    """What each customer spent, beside each order."""
    random = np.random.default_rng(10)
    orders = pd.DataFrame(
        {"customer": random.integers(0, 20_000, 500_000), "spent": random.random(500_000)}
    )
    customers = pd.DataFrame({"customer": np.arange(20_000), "region": np.arange(20_000) % 50})
    total = 0.0
    for _ in range(steps):
        merged = orders.merge(customers, on="customer")
        spent = merged.groupby(["region", "customer"]).spent.agg(["sum", "mean", "max"])
        total += float(spent["sum"].groupby(level="region").max().mean())
    return total
