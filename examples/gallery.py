"""Pictures of all sizes, developed with NumPy alone: run it with `python` and `numpool run`."""

import time

import numpy as np

random = np.random.default_rng(0)
negatives = random.integers(0, 4096, 24_000_000, dtype=np.uint16)
sizes = random.uniform(0.02, 1, 100) * negatives.size
light = 0.0

start = time.perf_counter()
for size in sizes:
    picture = (negatives[: int(size)].astype(np.float32) - 64) / 4032
    picture = np.minimum(1.2 * picture, 1)
    developed = (255 * picture * (2 - picture)).astype(np.uint8)
    light += developed[::1000].mean()
elapsed = time.perf_counter() - start

print(f"mean light {light / len(sizes):.1f}; {sizes.sum() / elapsed / 1e6:.0f} megapixels a second")
