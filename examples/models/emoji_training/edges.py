"""Canny's edges (Canny 1986) as OpenCV finds them, for many pictures at once."""

import numpy as np


def sobel(x):
    """Derivatives of int32 [N, H, W] along x and y; the border is repeated."""
    p = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]  # summed along y
    along = p[:, :, :-2] + 2 * p[:, :, 1:-1] + p[:, :, 2:]  # summed along x
    return across[:, :, 2:] - across[:, :, :-2], along[:, 2:] - along[:, :-2]


def neighbours(x, dy, dx):
    """x[i + dy, j + dx], zero outside."""
    p = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    height, width = x.shape[1:]
    return p[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]


def canny(pictures, low=100, high=200):
    """uint8 [N, H, W, 3] to bool [N, H, W]: local maxima of the gradient |dx| + |dy| of the channel in which it
    is greatest, above `high` or joined to such by ones above `low`."""
    channels = [sobel(pictures[..., c].astype(np.int32)) for c in range(3)]
    strengths = np.stack([abs(dx) + abs(dy) for dx, dy in channels])
    best = strengths.argmax(0)[None]
    dx, dy = (np.take_along_axis(np.stack([c[i] for c in channels]), best, 0)[0] for i in range(2))
    m = abs(dx) + abs(dy)
    slope = abs(dy) / np.maximum(abs(dx), 1e-9)
    flat, steep = slope < np.tan(np.pi / 8), slope > np.tan(3 * np.pi / 8)
    maximum = lambda y, x: (m > neighbours(m, -y, -x)) & (m >= neighbours(m, y, x))
    strict = lambda y, x: (m > neighbours(m, -y, -x)) & (m > neighbours(m, y, x))
    falling = np.where(dx * dy < 0, strict(1, -1), strict(1, 1))
    kept = np.where(flat, maximum(0, 1), np.where(steep, maximum(1, 0), falling)) & (m > low)
    edges = kept & (m > high)
    while True:
        near = np.zeros_like(edges)
        for y in (-1, 0, 1):
            for x in (-1, 0, 1):
                near |= neighbours(edges, y, x)
        grown = edges | (near & kept)
        if (grown == edges).all():
            return edges
        edges = grown
