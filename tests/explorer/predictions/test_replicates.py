"""Several seeds against a table worked by hand."""

import numpy as np
import pandas as pd
import pytest

from explorer.predictions.replicates import seed_summary


class TestSeedSummary:
    def test_worked_by_hand(self):
        table = pd.DataFrame(
            {"norm": ["layer", "batch", "batch", "batch"], "seed": [0, 0, 1, 2], "accuracy": [0.5, 0.80, 0.82, 0.84]}
        )
        found = seed_summary(table)
        assert found["norm"].tolist() == ["layer", "batch"]
        assert found["n"].tolist() == [1, 3]
        assert found["mean"].to_numpy() == pytest.approx([0.5, 0.82])
        assert found["std"][1] == pytest.approx(0.02)
        assert np.isnan(found["std"][0])

    def test_a_seed_twice(self):
        table = pd.DataFrame({"norm": ["batch", "batch"], "seed": [1, 1], "loss": [0.3, 0.4]})
        with pytest.raises(ValueError, match="norm 'batch' has seed 1 twice"):
            seed_summary(table, "loss")

    def test_a_missing_column(self):
        with pytest.raises(ValueError, match="wanted the columns norm, seed and loss; seed, loss missing"):
            seed_summary(pd.DataFrame({"norm": ["batch"]}), "loss")
