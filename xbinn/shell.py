"""Between a function and a shell: options from a signature, exit codes from results and errors."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from types import UnionType
from typing import Any, Final, Literal, Never, TypeVar, Union, get_args, get_origin, get_type_hints

import click

from xbinn.errors import XbinnError
from xbinn.labels.reports import Report

Result = tuple[Mapping[str, Any] | Report, bool]
"""What a command has to say, and whether all is well."""
INTERRUPTED: Final = 130
"""Exit code of what Ctrl-C ended, as shells have it: 128 and the number of the signal."""

_NONE: Final = "none"
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_FunctionT = TypeVar("_FunctionT", bound=Callable[..., Any])


def command(function: Callable[..., Result]) -> Callable[..., None]:
    """Print what a command returns, as text or JSON, and turn its errors into exit codes."""

    @_JSON
    @wraps(function)
    def run(*, as_json: bool, **arguments: Any) -> None:
        try:
            said, well = function(**arguments)
        except KeyboardInterrupt:
            what = "interrupted: the same command begins again, or goes on where tiles are stored"
            _complain("KeyboardInterrupt", what, as_json)
            raise SystemExit(INTERRUPTED) from None
        except (XbinnError, OSError) as error:
            _complain(type(error).__name__, str(error), as_json)
            raise SystemExit(1) from error
        if as_json:
            plain = said.to_dict() if isinstance(said, Report) else said
            click.echo(json.dumps(plain, default=str))
        elif isinstance(said, Report):
            click.echo(repr(said))
        else:
            width = max(map(len, said))
            for name, value in said.items():
                click.echo(f"{name:<{width}}  {value}")
        raise SystemExit(0 if well else 1)

    return run


def _complain(kind: str, message: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": {"type": kind, "message": message}}))
    else:
        click.echo(f"Error: {message}", err=True)


class Sizes(click.ParamType):  # type: ignore[type-arg]
    """Sizes of dimensions, as in lat=90,lon=180."""

    name = "DIM=N,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Turn text into a dict."""
        try:
            parts = (part.split("=") for part in str(value).split(","))
            return {dim.strip(): int(size) for dim, size in parts}
        except ValueError:
            self.fail(f"{value!r} is not of the form lat=90,lon=180", param, ctx)


class _Widths(click.ParamType):  # type: ignore[type-arg]
    name = "N,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not of the form 128,128", param, ctx)


class _NumberOrText(click.ParamType):  # type: ignore[type-arg]
    name = "NUMBER|TEXT"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            return float(value)
        except ValueError:
            return value


def options_of(
    function: Callable[..., Any], *, without: Sequence[str]
) -> Callable[[_FunctionT], _FunctionT]:
    """Offer the keyword arguments of a function as options, with their choices.

    An option that is not given is not passed on, so that defaults stand in the function alone.
    ``none`` is None where that is no default.

    Parameters
    ----------
    function : callable
        Annotated with literals, numbers, texts and sequences of them.
    without : sequence of str
        Keywords that are no options.
    """
    # A network cannot be named in a shell; neither is loaded to find that out.
    hints = get_type_hints(function, localns={"Module": Never, "Model": Any})
    keywords = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name not in without
    ]

    def decorate(decorated: _FunctionT) -> _FunctionT:
        for p in reversed(keywords):
            name = f"--{p.name.replace('_', '-')}"
            decorated = click.option(name, **_attributes(hints[p.name], p.default))(decorated)
        return decorated

    return decorate


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, None for ``none``."""
    return {n: None if v == _NONE else v for n, v in arguments.items() if v not in (None, ())}


def _attributes(hint: Any, default: Any) -> dict[str, Any]:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    choices = [v for m in members if get_origin(m) is Literal for v in get_args(m)]
    if choices and type(None) in members and default is not None:
        choices.append(_NONE)
    several = Sequence[str] in members
    kind: Any
    if choices:
        kind = click.Choice(choices)
    elif Sequence[int] in members:
        kind = _Widths()
    elif float in members and str in members:
        kind = _NumberOrText()
    else:
        kind = next(t for t in (int, float, str) if t in members or several)
    if several:
        return {"type": str, "multiple": True, "help": "May be repeated."}
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return {"type": kind, "help": "" if default is None else f"Default: {shown}."}
