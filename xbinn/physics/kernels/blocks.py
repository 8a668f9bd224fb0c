"""The 3x3 blocks of the soil pools in lanes; the equations are those of `xbinn.physics.blocks`."""

from typing import NamedTuple

from xbinn.physics.kernels.compiling import inlined
from xbinn.physics.kernels.lanes import Lanes


class Block(NamedTuple):
    """Factors of D_j: pivots, ratios below the diagonal, magnitudes above it."""

    d1: Lanes
    d2: Lanes
    d3: Lanes
    m21: Lanes
    m31: Lanes
    m32: Lanes
    u12: Lanes
    u13: Lanes
    u23: Lanes


class Matrix(NamedTuple):
    """Three by three, by row."""

    a11: Lanes
    a12: Lanes
    a13: Lanes
    a21: Lanes
    a22: Lanes
    a23: Lanes
    a31: Lanes
    a32: Lanes
    a33: Lanes


@inlined
def factorise(off: Matrix, excess1: Lanes, excess2: Lanes, excess3: Lanes) -> Block:
    """LU factors of the block whose column q is excess_q + sum of its off-diagonal magnitudes."""
    d1 = excess1 + off.a21 + off.a31
    m21, m31 = off.a21 / d1, off.a31 / d1
    lost = excess1 / d1
    u23 = off.a23 + m21 * off.a13
    below = off.a32 + m31 * off.a12
    rest = excess2 + lost * off.a12
    d2 = rest + below
    d3 = excess3 + lost * off.a13 + rest / d2 * u23
    return Block(d1, d2, d3, m21, m31, below / d2, off.a12, off.a13, u23)


@inlined
def solve_block(block: Block, r1: Lanes, r2: Lanes, r3: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """Solve D_j x = r."""
    r2 = r2 + block.m21 * r1
    x3 = (r3 + block.m31 * r1 + block.m32 * r2) / block.d3
    x2 = (r2 + block.u23 * x3) / block.d2
    x1 = (r1 + block.u12 * x2 + block.u13 * x3) / block.d1
    return x1, x2, x3


@inlined
def solve_block_transposed(
    block: Block, r1: Lanes, r2: Lanes, r3: Lanes
) -> tuple[Lanes, Lanes, Lanes]:
    """Solve D_j^T x = r."""
    x1 = r1 / block.d1
    x2 = (r2 + block.u12 * x1) / block.d2
    x3 = (r3 + block.u13 * x1 + block.u23 * x2) / block.d3
    x2 = x2 + block.m32 * x3
    x1 = x1 + block.m21 * x2 + block.m31 * x3
    return x1, x2, x3


@inlined
def scaled_inverse(block: Block, up: Lanes) -> Matrix:
    """Form up_j D_j^{-1}: scaled before it is inverted, as D_j may be subnormal."""
    a33 = up / block.d3
    a32 = a33 * block.m32
    a31 = a33 * (block.m31 + block.m32 * block.m21)
    a21 = (up * block.m21 + a31 * block.u23) / block.d2
    a22 = (up + a32 * block.u23) / block.d2
    a23 = a33 * block.u23 / block.d2
    a11 = (up + a21 * block.u12 + a31 * block.u13) / block.d1
    a12 = (a22 * block.u12 + a32 * block.u13) / block.d1
    a13 = (a23 * block.u12 + a33 * block.u13) / block.d1
    return Matrix(a11, a12, a13, a21, a22, a23, a31, a32, a33)
