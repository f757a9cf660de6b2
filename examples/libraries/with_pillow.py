"""Pillow: an image on a pooled array without a copy, and pixels decoded into a pool."""

import io

import numpy as np
from PIL import Image

import numpool

pool = numpool.SlabPool(name="images")

pixels = pool.zeros((480, 640), "u1")
image = Image.fromarray(pixels)
pixels[0, 0] = 200
print("the image shows the array's memory:", image.getpixel((0, 0)) == 200)

file = io.BytesIO()
image.save(file, "PNG")
with numpool.use(pool), Image.open(file) as opened:
    decoded = np.array(opened)
print("decoded into the pool:", numpool.owner(decoded) is pool, decoded.shape)
