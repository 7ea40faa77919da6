"""Things known by name: one way to say which names there are, and one to complete a thing's arguments."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def check_name(kind: str, name: object, registry: Iterable[str]) -> None:
    """Nothing. Raises ValueError, naming those that there are, for a name that is not in the registry."""
    known = list(registry)
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}; expected one of: {', '.join(known)}")


def complete_arguments(
    kind: str,
    name: object,
    registry: Mapping[str, Callable[..., Any]],
    given: Mapping[str, Any],
    ignore: Iterable[str] = (),
) -> dict[str, Any]:
    """Every argument of the entry of that name, those not given at their defaults: a spec stays right when one changes.

    Args:
        kind: what the registry holds, for messages: `norm`, `optimizer`, ...
        name: the entry's name.
        registry: name -> what is called with the arguments.
        given: the arguments that are to differ from their defaults.
        ignore: arguments that cannot be given.

    Raises:
        ValueError: no entry or argument of that name, or a value of another kind than the default.
    """
    check_name(kind, name, registry)
    known = _with_default(registry[str(name)], ignore)
    for key, value in given.items():
        if key not in known:
            expected = f"expected one of: {', '.join(known)}" if known else "it takes no arguments"
            raise ValueError(f"unknown argument {key!r} of {kind} {name!r}; {expected}")
        if wanted := _wanted_instead(value, known[key]):
            like = known[key].default
            raise ValueError(f"argument {key!r} of {kind} {name!r} wants {wanted}, like {like}; got {value!r}")
    return {key: parameter.default for key, parameter in known.items()} | dict(given)


def _with_default(entry: Callable[..., Any], ignore: Iterable[str]) -> dict[str, inspect.Parameter]:
    """The parameters that are arguments: what an entry is always given (a model, how many classes) has no default."""
    ignored = set(ignore)
    parameters = inspect.signature(entry).parameters
    return {name: p for name, p in parameters.items() if p.default is not p.empty and name not in ignored}


def _wanted_instead(value: object, parameter: inspect.Parameter) -> str:
    """The kind of value that was wanted, in words; empty for a value of that kind or where the default is no number.

    PyTorch writes `momentum: float = 0`: a number is whole only where its annotation does not say otherwise.
    """
    default = parameter.default
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, int) and parameter.annotation is not float:
        return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if isinstance(default, int | float):
        return "" if _is_finite(value) else "a number"
    if isinstance(default, tuple):
        fits = isinstance(value, tuple | list) and len(value) == len(default) and all(map(_is_finite, value))
        return "" if fits else f"{len(default)} numbers with a comma between"
    return ""


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
