"""Columns side by side in vector registers, on which kernels compute as on one number.

Arrays hold them along their last axis, of size `WIDTH`. Inside a compiled function `load` gives
a row, the operators, comparisons and functions below take it like a scalar, and `store` puts it
back. No lane ever sees another. A product and a sum may be contracted into one rounding where the
processor can; nothing else is reordered, so that what a column gives does not depend on its lane.

Arrays without that axis are those of one column, as a thread of a GPU has it: an index that names
a number gives one lane. What is written for lanes holds for one column without a change.
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
    """Type of so many columns of float32, float64 or booleans."""

    def __init__(self, element: Any, width: int) -> None:
        self.element = element
        self.width = width
        super().__init__(name=f"Lanes({element}, {width})")

    @property
    def native(self) -> Any:
        """What it is to the compiler."""
        return _wide(_ELEMENTS[self.element], self.width)


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: LanesType) -> None:
        super().__init__(manager, lanes, lanes.native)


def _wide(element: Any, width: int) -> Any:
    """A vector, or the element itself in place of a vector of one."""
    return element if width == 1 else ir.VectorType(element, width)


def _splat(builder: Any, value: Any, width: int) -> Any:
    """The same value in all lanes."""
    if width == 1:
        return value
    vector = _wide(value.type, width)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    first = ir.Constant(_wide(ir.IntType(32), width), [0] * width)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), first)


def _constant(native: Any, value: float) -> Any:
    """A number in all lanes."""
    width = native.count if isinstance(native, ir.VectorType) else 1
    return ir.Constant(native, value if width == 1 else [value] * width)


@lower_cast(types.Float, LanesType)
def _broadcast(context: Any, builder: Any, given: Any, lanes: LanesType, value: Any) -> Any:
    return _splat(builder, context.cast(builder, value, given, lanes.element), lanes.width)


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
            result = LanesType(types.boolean, given.width) if compares else given
            return signature(result, *(given,) * len(args))

    def lower(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        return build(builder, *args)

    lower_builtin(function, LanesType, LanesType)(lower)
    lower_builtin(function, LanesType)(lower)


_operator(operator.add, lambda builder, a, b: builder.fadd(a, b, flags=_FLAGS))
_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=_FLAGS))
_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=_FLAGS))
_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
# The compiler for GPUs knows no negation; -0 - a is the same to the last bit.
_operator(operator.neg, lambda builder, a: builder.fsub(_constant(a.type, -0.0), a))
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
_operator(operator.ne, lambda builder, a, b: builder.fcmp_unordered("!=", a, b), compares=True)


@intrinsic
def where(typingctx: Any, chosen: Any, yes: Any, no: Any) -> Any:
    """Lane by lane ``yes`` where ``chosen``, else ``no``; one of the two may be a number."""
    lanes = yes if isinstance(yes, LanesType) else no

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        return builder.select(*args)

    return lanes(chosen, lanes, lanes), build


@intrinsic
def any_lane(typingctx: Any, lanes: Any) -> Any:
    """Tell whether a comparison holds in some lane."""

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        together = ir.IntType(lanes.width)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], together), together(0))

    return types.boolean(lanes), build


@intrinsic
def power_of_two(typingctx: Any, exponent: Any) -> Any:
    """2^k for lanes that hold small integers k, those of normal numbers."""
    double = exponent.element == types.float64
    digits, bias, bits = (52, 1023, 64) if double else (23, 127, 32)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        (k,) = args
        integer, width = ir.IntType(bits), exponent.width
        # Added to 1.5 x 2^digits, k stands in the last bits: shifted, it is an exponent.
        shifter = ir.Constant(_ELEMENTS[exponent.element], 1.5 * 2.0**digits)
        as_integer = builder.bitcast(
            builder.fadd(k, _splat(builder, shifter, width)), _wide(integer, width)
        )
        raised = builder.shl(as_integer, _splat(builder, integer(digits), width))
        raised = builder.add(raised, _splat(builder, integer(bias << digits), width))
        return builder.bitcast(raised, k.type)

    return exponent(exponent), build


# --- memory -----------------------------------------------------------------------------------


def _lanes(array: Any, named: int) -> LanesType:
    """What an index of so many numbers gives: a row of lanes or, if complete, one lane."""
    return LanesType(array.dtype, 1 if named == array.ndim else WIDTH)


def _pointer(
    context: Any, builder: Any, sig: Any, args: tuple[Any, ...], lanes: LanesType, *row: int
) -> tuple[Any, int]:
    """Address of lanes, and its alignment; the first arguments are array and index.

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
    kept = ir.IntType(8) if lanes.element == types.boolean else _ELEMENTS[lanes.element]
    return builder.bitcast(address, _wide(kept, lanes.width).as_pointer()), _size(lanes.element)


def _size(element: Any) -> int:
    """Size of a number in memory."""
    return 1 if element == types.boolean else int(element.bitwidth) // 8


def _loading(lanes: LanesType) -> Callable[..., Any]:
    """Code that reads lanes at an index of an array."""

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        address, align = _pointer(context, builder, sig, args, lanes)
        values = builder.load(address, align=align)
        if lanes.element == types.boolean:
            none = _splat(builder, ir.IntType(8)(0), lanes.width)
            values = builder.icmp_unsigned("!=", values, none)
        return values

    return build


def _storing(lanes: LanesType) -> Callable[..., Any]:
    """Code that writes lanes at an index of an array."""

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        address, align = _pointer(context, builder, sig, args, lanes)
        values = args[2]
        if lanes.element == types.boolean:
            values = builder.zext(values, _wide(ir.IntType(8), lanes.width))
        builder.store(values, address, align=align)
        return context.get_dummy_value()

    return build


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Read the row ``index``, a tuple; one lane where the array has no axis of lanes."""
    lanes = _lanes(array, len(index))
    return lanes(array, index), _loading(lanes)


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write as `load` reads; a number is written to all lanes."""
    lanes = _lanes(array, len(index))
    return types.void(array, index, lanes), _storing(lanes)


@intrinsic
def load_from(typingctx: Any, array: Any, index: Any) -> Any:
    """Read `WIDTH` numbers that lie side by side, from the one on that ``index`` names."""
    lanes = LanesType(array.dtype, WIDTH)
    return lanes(array, index), _loading(lanes)


@intrinsic
def store_from(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write as `load_from` reads."""
    lanes = LanesType(array.dtype, WIDTH)
    return types.void(array, index, lanes), _storing(lanes)


@intrinsic
def load_rows(typingctx: Any, array: Any, index: Any, kind: Any) -> Any:
    """Fill a named tuple ``kind`` from the rows below ``index``, which leaves out their axis."""
    cls = kind.instance_class
    lanes = _lanes(array, len(index) + 1)
    rows = types.NamedUniTuple(lanes, len(cls._fields), cls)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        values = []
        for row in range(len(cls._fields)):
            address, align = _pointer(context, builder, sig, args, lanes, row)
            values.append(builder.load(address, align=align))
        return context.make_tuple(builder, rows, values)

    return rows(array, index, kind), build


@intrinsic
def store_rows(typingctx: Any, array: Any, index: Any, values: Any) -> Any:
    """Write a tuple of lanes as `load_rows` reads it."""
    lanes = _lanes(array, len(index) + 1)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        for row, value in enumerate(cgutils.unpack_tuple(builder, args[2])):
            address, align = _pointer(context, builder, sig, args, lanes, row)
            builder.store(value, address, align=align)
        return context.get_dummy_value()

    return types.void(array, index, values), build


@intrinsic
def full(typingctx: Any, like: Any, value: Any) -> Any:
    """Lanes as ``like`` that all hold a number."""

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        return _broadcast(context, builder, value, like, args[1])

    return like(like, value), build


@intrinsic
def rounded(typingctx: Any, array: Any, value: Any) -> Any:
    """Lanes in the precision of ``array``."""
    lanes = LanesType(array.dtype, value.width)

    def build(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        if value.element == array.dtype:
            return args[1]
        if array.dtype == types.float64:
            return builder.fpext(args[1], lanes.native)
        return builder.fptrunc(args[1], lanes.native)

    return lanes(array, value), build
