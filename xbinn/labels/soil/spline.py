"""Equal-area quadratic splines through layer means (Bishop et al. 1999).

Of layers with tops u, bottoms v and means y the spline f minimises

    1/n sum_i (y_i - fbar_i)^2 + lam integral f'(z)^2 dz,

where fbar_i is the mean of f over layer i. f is quadratic within layers, linear between them and
has a continuous slope, which is 0 at the top of the first and the bottom of the last layer. With s
a sixth of the slope at the bottoms of all layers but the last,

    (R + 6 n lam Q Q') s = Q y,    fbar = y - 6 n lam Q' s,

Q the first differences and R tridiagonal: one banded solve, in place of the dense inverse of
I + 6 n lam Q' R^-1 Q that the paper states; both are the same by the identity of Woodbury.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_banded


@dataclass(frozen=True, eq=False)
class Spline:
    """A fitted spline: f(z) = a + b (z - top) + c (z - top)^2 on each piece.

    Attributes
    ----------
    edge : ndarray (piece + 1,)
        Depths between the pieces, layers and the gaps between them.
    a, b, c : ndarray (piece,)
    mean : ndarray (layer,)
        Means over the layers, which lam > 0 draws together.
    """

    edge: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    mean: np.ndarray

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Evaluate at depths within the edges."""
        piece = np.clip(np.searchsorted(self.edge, z, side="right") - 1, 0, self.a.size - 1)
        x = z - self.edge[piece]
        return np.asarray(self.a[piece] + x * (self.b[piece] + x * self.c[piece]))

    def integral(self, z: np.ndarray) -> np.ndarray:
        """Integrate exactly from the first edge to depths within the edges."""
        thickness = np.diff(self.edge)
        whole = thickness * (self.a + thickness * (self.b / 2.0 + thickness * self.c / 3.0))
        before = np.concatenate([[0.0], np.cumsum(whole)])
        piece = np.clip(np.searchsorted(self.edge, z, side="right") - 1, 0, self.a.size - 1)
        x = z - self.edge[piece]
        inside = x * (self.a[piece] + x * (self.b[piece] / 2.0 + x * self.c[piece] / 3.0))
        return np.asarray(before[piece] + inside)


def fit_spline(top: np.ndarray, bottom: np.ndarray, value: np.ndarray, lam: float) -> Spline:
    """Fit the spline of one profile.

    Parameters
    ----------
    top, bottom, value : ndarray (layer,)
        Layers from above, none reaching into the next; any unit of depth.
    lam : float
        Of the unit of depth; 0 keeps all means.
    """
    n = value.size
    thickness, gap = bottom - top, top[1:] - bottom[:-1]
    slope = np.zeros(n + 1)
    mean = np.asarray(value, dtype=np.float64)
    if n > 1:
        weight = 6.0 * n * lam
        banded = np.zeros((3, n - 1))
        banded[1] = 2.0 * (thickness[:-1] + thickness[1:]) + 6.0 * gap + 2.0 * weight
        banded[0, 1:] = banded[2, :-1] = thickness[1:-1] - weight
        s = solve_banded((1, 1), banded, np.diff(mean))
        mean = mean + weight * np.diff(np.concatenate([[0.0], s, [0.0]]))
        slope[1:-1] = 6.0 * s
    curve = np.diff(slope) / (2.0 * thickness)
    level = mean - thickness * (slope[:-1] / 2.0 + thickness * curve / 3.0)
    end = level + thickness * (slope[:-1] + thickness * curve)

    edge = np.empty(2 * n)
    edge[0::2], edge[1::2] = top, bottom
    a, b, c = (np.zeros(2 * n - 1) for _ in range(3))
    a[0::2], b[0::2], c[0::2] = level, slope[:-1], curve
    a[1::2], b[1::2] = end[:-1], slope[1:-1]
    return Spline(edge, a, b, c, mean)
