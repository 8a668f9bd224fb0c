"""The 3x3 blocks of the soil pools: factored, inverted and solved without a subtraction.

A block has positive diagonal and non-positive rest. It is held as the magnitudes off its diagonal
and the excess of each column: column sum, which is what leaves the three pools for good. Pivots
are then sums (Grassmann, Taksar and Heyman 1985, doi:10.1287/opre.33.5.1107). Every function
writes into tensors it is given.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Block(NamedTuple):
    """Views of the factors of one D_j.

    Made all at once: taking a view costs half as much as an operation on a few thousand columns.
    """

    d1: Tensor
    d2: Tensor
    d3: Tensor
    m21: Tensor
    m31: Tensor
    m32: Tensor
    u12: Tensor
    u13: Tensor
    u23: Tensor
    ratios: Tensor
    offsets: Tensor


class Vector(NamedTuple):
    """Three numbers per column: together (3, n), and each (n)."""

    all: Tensor
    first: Tensor
    second: Tensor
    third: Tensor


def vectors(t: Tensor) -> list[Vector]:
    """Views of (any, 3, n)."""
    rows = t.flatten(0, 1).unbind(0)
    return [Vector(whole, *rows[3 * j : 3 * j + 3]) for j, whole in enumerate(t.unbind(0))]


def factorise(
    off: list[Vector],  # magnitudes off the diagonal, by row
    first_column: Tensor,  # (2, n), its entries (2,1) and (3,1)
    first_row: Tensor,  # (2, n), its entries (1,2) and (1,3)
    excess: Vector,  # consumed
    excess_rest: Tensor,  # (2, n), its second and third
    out: Block,
) -> None:
    """LU factors of the block whose column q is excess_q + sum of its off-diagonal magnitudes."""
    torch.add(excess.first, off[1].first, out=out.d1).add_(off[2].first)
    torch.div(first_column, out.d1, out=out.ratios)
    out.offsets.copy_(first_row)
    excess_rest.addcmul_(excess.first.div_(out.d1), first_row)
    torch.addcmul(off[1].third, out.m21, out.u13, out=out.u23)
    below = torch.addcmul(off[2].second, out.m31, out.u12)
    torch.add(excess.second, below, out=out.d2)
    torch.div(below, out.d2, out=out.m32)
    torch.addcmul(excess.third, excess.second.div_(out.d2), out.u23, out=out.d3)


def solve_block(block: Block, rhs: Vector, out: Vector) -> None:
    """Solve D_j x = rhs into ``out``; ``rhs`` is consumed."""
    second = rhs.second.addcmul_(block.m21, rhs.first)
    third = rhs.third.addcmul_(block.m31, rhs.first).addcmul_(block.m32, second)
    torch.div(third, block.d3, out=out.third)
    torch.div(second.addcmul_(block.u23, out.third), block.d2, out=out.second)
    first = rhs.first.addcmul_(block.u12, out.second).addcmul_(block.u13, out.third)
    torch.div(first, block.d1, out=out.first)


def solve_block_transposed(block: Block, rhs: Vector, out: Vector) -> None:
    """Solve D_j^T x = rhs into ``out``; ``rhs`` is consumed."""
    torch.div(rhs.first, block.d1, out=out.first)
    torch.div(rhs.second.addcmul_(block.u12, out.first), block.d2, out=out.second)
    third = rhs.third.addcmul_(block.u13, out.first).addcmul_(block.u23, out.second)
    torch.div(third, block.d3, out=out.third)
    out.second.addcmul_(block.m32, out.third)
    out.first.addcmul_(block.m21, out.second).addcmul_(block.m31, out.third)


def carry(block: Block, up: Tensor, out: list[Vector]) -> None:
    """Form up_j D_j^{-1}, by row: scaled before it is inverted, as D_j may be subnormal."""
    first, second, third = out
    torch.div(up, block.d3, out=third.third)
    torch.mul(third.third, block.m32, out=third.second)
    torch.addcmul(block.m31, block.m32, block.m21, out=third.first).mul_(third.third)
    torch.mul(third.all, block.u23, out=second.all)
    second.first.addcmul_(up, block.m21)
    second.second.add_(up)
    second.all.div_(block.d2)
    torch.mul(second.all, block.u12, out=first.all).addcmul_(third.all, block.u13)
    first.first.add_(up)
    first.all.div_(block.d1)
