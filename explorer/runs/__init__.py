"""Runs: what training and importing leave on disk, read back; none of it imports torch but what loads a model."""

from explorer.runs.axes import (
    Grouping,
    Held,
    Variant,
    axes_of,
    datasets_of,
    group_runs,
    label_of,
    labels_of,
    select_runs,
    settings_of,
    title_of,
)
from explorer.runs.card import SPLITS, Card, DamagedRun
from explorer.runs.folder import (
    HISTORY_COLUMNS,
    HISTORY_METRICS,
    Problem,
    Run,
    dataset_folder,
    list_runs,
    read_run,
    write_run,
)
from explorer.runs.predictions import ImageIds, Predictions, StoredPredictions, StoredProbabilities
from explorer.runs.spec import IMPORTED, TRAINED, Choice, DatasetRef, InputSpec, RunSpec, safe_name
from explorer.runs.tables import curves_table, runs_table, variants_table

__all__ = [
    "HISTORY_COLUMNS",
    "HISTORY_METRICS",
    "IMPORTED",
    "SPLITS",
    "TRAINED",
    "Card",
    "Choice",
    "DamagedRun",
    "DatasetRef",
    "Grouping",
    "Held",
    "ImageIds",
    "InputSpec",
    "Predictions",
    "Problem",
    "Run",
    "RunSpec",
    "StoredPredictions",
    "StoredProbabilities",
    "Variant",
    "axes_of",
    "curves_table",
    "dataset_folder",
    "datasets_of",
    "group_runs",
    "label_of",
    "labels_of",
    "list_runs",
    "read_run",
    "runs_table",
    "safe_name",
    "select_runs",
    "settings_of",
    "title_of",
    "variants_table",
    "write_run",
]
