"""OpenCV: its results are made through NumPy's allocator, so they come from the pool."""

import cv2
import numpy as np

import numpool

pool = numpool.SlabPool(name="frames")
frame = pool.full((480, 640, 3), 100, "u1")

with numpool.use(pool):
    gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(frame, (320, 240))
print("results are in the pool:", numpool.owner(gray) is pool, numpool.owner(small) is pool)

into = pool.empty(frame.shape, "u1")
blurred = cv2.blur(frame, (3, 3), dst=into)
print("dst= uses the array that it gets:", np.shares_memory(blurred, into))
