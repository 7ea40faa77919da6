"""In what else runs differ than in what is compared, in sentences."""

from collections.abc import Mapping, Sequence

from explorer.words import listed


def fairness(
    settings: Sequence[Mapping[str, object]], runs: Sequence[str], ignore: Sequence[str] = ("norm",)
) -> list[str]:
    """One sentence for each key whose value is not the same in all runs, in order of first appearance.

    For example `Batch size: 128 for batch and layer, 64 for group.`; more than two different numbers become a range,
    `Seconds: from 31 (batch) to 58 (layer).` Empty if nothing differs.

    Args:
        settings: per run what could matter: parameters, macs, epochs, batch_size, seed, seconds, ...
        runs: the label of each.
        ignore: keys that may differ.

    Raises:
        ValueError: not as many settings as runs.
    """
    if len(settings) != len(runs):
        raise ValueError(f"wanted settings for each of {len(runs)} runs; got {len(settings)}")
    keys = dict.fromkeys(key for setting in settings for key in setting if key not in ignore)
    said = [_difference(key, [setting.get(key, "not recorded") for setting in settings], runs) for key in keys]
    return [sentence for sentence in said if sentence]


def _difference(key: str, values: Sequence[object], runs: Sequence[str]) -> str:
    holders: dict[str, list[str]] = {}
    for value, run in zip(values, runs, strict=True):
        holders.setdefault(_value_words(value), []).append(run)
    if len(holders) < 2:
        return ""
    name = {"macs": "MACs"}.get(key, key.replace("_", " ").capitalize())
    numbers = [(value, run) for value, run in zip(values, runs, strict=True) if isinstance(value, int | float)]
    if len(holders) > 2 and len(numbers) == len(runs):
        (least, least_run), (most, most_run) = (way(numbers, key=lambda pair: pair[0]) for way in (min, max))
        return f"{name}: from {_value_words(least)} ({least_run}) to {_value_words(most)} ({most_run})."
    return f"{name}: {', '.join(f'{words} for {listed(named)}' for words, named in holders.items())}."


def _value_words(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return str(value) if isinstance(value, int) else f"{value:.4g}"
