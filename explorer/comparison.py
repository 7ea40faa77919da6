"""Runs on the same images: how sure a figure is."""

from scipy.stats import binomtest


def accuracy_interval(misclassified: int, count: int) -> tuple[float, float]:
    """The 95 % Wilson interval of an accuracy, as fractions: test-set noise only, not that of another training."""
    interval = binomtest(count - misclassified, count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
