"""Things known by name: one way to say which names there are, and one to complete a thing's arguments."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def check_name(kind: str, name: object, registry: Iterable[str]) -> None:
    """Nothing. Raises ValueError, naming those that there are, for a name that is not in the registry."""
    known = list(registry)
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}; expected one of: {', '.join(known)}")


def arguments_of(entry: Callable[..., Any], ignore: Iterable[str] = ()) -> dict[str, Any]:
    """The arguments of a registry's entry that have a default, and their defaults, without the ignored ones.

    What an entry is always given (a model, the number of classes) has no default and is not an argument.
    """
    parameters = inspect.signature(entry).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty and p.name not in set(ignore)}


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
        ValueError: no entry or argument of that name, or a number where the default is none or the other way round.
    """
    check_name(kind, name, registry)
    defaults = arguments_of(registry[str(name)], ignore)
    for key, value in given.items():
        if key not in defaults:
            expected = f"expected one of: {', '.join(defaults)}" if defaults else "it takes no arguments"
            raise ValueError(f"unknown argument {key!r} of {kind} {name!r}; {expected}")
        _check_kind(f"argument {key!r} of {kind} {name!r}", value, defaults[key])
    return defaults | dict(given)


def _check_kind(what: str, value: object, default: object) -> None:
    """Raises ValueError where the default is a number and the value is none, or not a whole one where it is whole."""
    if isinstance(default, bool) or not isinstance(default, int | float):
        return
    kinds, wanted = ((int,), "a whole number") if isinstance(default, int) else ((int, float), "a number")
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ValueError(f"{what} wants {wanted}, like {default}; got {value!r}")
