"""Several trainings of the same thing: what another seed changes."""

import pandas as pd


def seed_summary(table: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """One row per norm, in order of appearance: norm, mean, std, n over its seeds.

    `std` is the sample standard deviation (n - 1), NaN for one seed.

    Args:
        table: one row per run with the columns norm, seed and the metric.

    Raises:
        ValueError: a column is missing, or a norm has a seed twice, so that the runs differ in more than the seed.
    """
    if missing := [column for column in ("norm", "seed", metric) if column not in table]:
        raise ValueError(f"wanted the columns norm, seed and {metric}; {', '.join(missing)} missing")
    twice = table.duplicated(["norm", "seed"]).to_numpy()
    if twice.any():
        first = int(twice.argmax())
        norm, seed = table["norm"].iloc[first], table["seed"].iloc[first]
        raise ValueError(f"norm {norm!r} has seed {seed} twice; summarise runs that differ in norm and seed only")
    return (
        table.groupby("norm", sort=False)[metric]
        .agg(["mean", "std", "count"])
        .reset_index()
        .rename(columns={"count": "n"})
    )
