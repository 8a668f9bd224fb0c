"""Columns side by side in vector registers, on which kernels compute as on one number.

Arrays hold them along their last axis, of size `WIDTH`. Inside a compiled function `load` gives
a row, the operators, comparisons and functions below take it like a scalar, and `store` puts it
back. No lane ever sees another. A product and a sum may be contracted into one rounding where the
processor can; nothing else is reordered, so that what a column gives does not depend on its lane.
"""

import operator
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

WIDTH: Final = 16
"""Columns in a vector: a cache line in float32, so that rows far apart are moved in whole lines."""

Lanes: TypeAlias = Any
"""Annotation of a vector of columns: the type exists inside compiled functions only."""

_FLAGS: Final = ("contract",)
_ELEMENTS: Final = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.boolean: ir.IntType(1),
}


class LanesType(types.Type):
    """Type of a vector of `WIDTH` columns of float32, float64 or booleans."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"Lanes({element})")

    @property
    def vector(self) -> ir.VectorType:
        """What it is to the compiler."""
        return ir.VectorType(_ELEMENTS[self.element], WIDTH)


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: LanesType) -> None:
        super().__init__(manager, lanes, lanes.vector)


def _splat(builder: Any, value: Any) -> Any:
    """The same value in all lanes."""
    vector = ir.VectorType(value.type, WIDTH)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), first)


@lower_cast(types.Float, LanesType)
def _broadcast(context: Any, builder: Any, given: Any, lanes: LanesType, value: Any) -> Any:
    return _splat(builder, context.cast(builder, value, given, lanes.element))


# --- arithmetic -------------------------------------------------------------------------------


def _operator(function: Any, build: Callable[..., Any], *, compares: bool = False) -> None:
    """Teach the compiler an operator, between lanes and between lanes and a number."""

    @infer_global(function)
    class _Template(AbstractTemplate):
        def generic(self, args: tuple[Any, ...], kws: Any) -> Any:
            lanes = {a for a in args if isinstance(a, LanesType)}
            others = [a for a in args if not isinstance(a, LanesType)]
            if len(lanes) != 1 or not all(isinstance(a, types.Float) for a in others):
                return None
            (given,) = lanes
            result = LanesType(types.boolean) if compares else given
            return signature(result, *(given,) * len(args))

    def lower(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        return build(builder, *args)

    lower_builtin(function, LanesType, LanesType)(lower)
    lower_builtin(function, LanesType)(lower)


_operator(operator.add, lambda builder, a, b: builder.fadd(a, b, flags=_FLAGS))
_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=_FLAGS))
_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=_FLAGS))
_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
_operator(operator.neg, lambda builder, a: builder.fneg(a))
for _comparison, _sign in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _operator(
        _comparison,
        lambda builder, a, b, sign=_sign: builder.fcmp_ordered(sign, a, b),
        compares=True,
    )


@intrinsic
def where(typingctx: Any, chosen: Any, yes: Any, no: Any) -> Any:
    """Lane by lane ``yes`` where ``chosen``, else ``no``; one of the two may be a number."""
    lanes = yes if isinstance(yes, LanesType) else no

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        return builder.select(*args)

    return lanes(chosen, lanes, lanes), build


@intrinsic
def power_of_two(typingctx: Any, exponent: Any) -> Any:
    """2^k for lanes that hold small integers k, those of normal numbers."""
    double = exponent.element == types.float64
    digits, bias, bits = (52, 1023, 64) if double else (23, 127, 32)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        (k,) = args
        integer = ir.IntType(bits)
        # Added to 1.5 x 2^digits, k stands in the last bits: shifted, it is an exponent.
        shifter = ir.Constant(_ELEMENTS[exponent.element], 1.5 * 2.0**digits)
        as_integer = builder.bitcast(
            builder.fadd(k, _splat(builder, shifter)), ir.VectorType(integer, WIDTH)
        )
        raised = builder.shl(as_integer, _splat(builder, integer(digits)))
        raised = builder.add(raised, _splat(builder, integer(bias << digits)))
        return builder.bitcast(raised, k.type)

    return exponent(exponent), build


# --- memory -----------------------------------------------------------------------------------


def _pointer(
    context: Any, builder: Any, sig: Any, args: tuple[Any, ...], *row: int
) -> tuple[Any, int]:
    """Address of a row as a vector, and its alignment; the first arguments are array and index.

    ``row`` goes behind the indices given, and the first lane where none is named.
    """
    array = context.make_array(sig.args[0])(context, builder, args[0])
    index = [
        context.cast(builder, value, given, types.intp)
        for value, given in zip(cgutils.unpack_tuple(builder, args[1]), sig.args[1], strict=True)
    ]
    named = len(index) + len(row) == sig.args[0].ndim
    index += [context.get_constant(types.intp, i) for i in (row if named else (*row, 0))]
    address = cgutils.get_item_pointer(context, builder, sig.args[0], array, index)
    element = sig.args[0].dtype
    kept = ir.IntType(8) if element == types.boolean else _ELEMENTS[element]
    return builder.bitcast(address, ir.VectorType(kept, WIDTH).as_pointer()), _size(element)


def _size(element: Any) -> int:
    """Size of a number in memory."""
    return 1 if element == types.boolean else int(element.bitwidth) // 8


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Read the row ``index``, a tuple; or as many numbers from the one on that it names."""
    lanes = LanesType(array.dtype)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        address, align = _pointer(context, builder, sig, args)
        values = builder.load(address, align=align)
        if array.dtype == types.boolean:
            values = builder.icmp_unsigned("!=", values, _splat(builder, ir.IntType(8)(0)))
        return values

    return lanes(array, index), build


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write as `load` reads; a number is written to all lanes."""
    lanes = LanesType(array.dtype)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        address, align = _pointer(context, builder, sig, args)
        values = args[2]
        if array.dtype == types.boolean:
            values = builder.zext(values, ir.VectorType(ir.IntType(8), WIDTH))
        builder.store(values, address, align=align)
        return context.get_dummy_value()

    return types.void(array, index, lanes), build


@intrinsic
def load_rows(typingctx: Any, array: Any, index: Any, kind: Any) -> Any:
    """Fill a named tuple ``kind`` from the rows below ``index``, which leaves out their axis."""
    cls = kind.instance_class
    lanes = types.NamedUniTuple(LanesType(array.dtype), len(cls._fields), cls)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        values = []
        for row in range(len(cls._fields)):
            address, align = _pointer(context, builder, sig, args, row)
            values.append(builder.load(address, align=align))
        return context.make_tuple(builder, lanes, values)

    return lanes(array, index, kind), build


@intrinsic
def store_rows(typingctx: Any, array: Any, index: Any, values: Any) -> Any:
    """Write a tuple of lanes as `load_rows` reads it."""

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        for row, value in enumerate(cgutils.unpack_tuple(builder, args[2])):
            address, align = _pointer(context, builder, sig, args, row)
            builder.store(value, address, align=align)
        return context.get_dummy_value()

    return types.void(array, index, values), build


@intrinsic
def full(typingctx: Any, array: Any, value: Any) -> Any:
    """Lanes of the dtype of ``array`` that all hold a number."""
    lanes = LanesType(array.dtype)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        return _broadcast(context, builder, value, lanes, args[1])

    return lanes(array, value), build


@intrinsic
def rounded(typingctx: Any, array: Any, value: Any) -> Any:
    """Lanes in the precision of ``array``."""
    lanes = LanesType(array.dtype)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        if value.element == array.dtype:
            return args[1]
        if array.dtype == types.float64:
            return builder.fpext(args[1], lanes.vector)
        return builder.fptrunc(args[1], lanes.vector)

    return lanes(array, value), build
