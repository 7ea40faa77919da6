"""What differs between settings, sentence by sentence."""

import pytest

from explorer.runs.differences import fairness


class TestFairness:
    def test_says_what_differs_besides_the_norm(self):
        shared = {"epochs": 30, "learning_rate": 0.1}
        settings = [
            shared | {"norm": "batch", "batch_size": 128, "seconds": 31.4, "macs": 41_000_000, "parameters": 1234},
            shared | {"norm": "layer", "batch_size": 128, "seconds": 58.06, "macs": 41_000_000, "parameters": 1234},
            shared | {"norm": "none", "batch_size": 64, "seconds": 29.0, "macs": 40_000_000, "parameters": 1200},
        ]
        assert fairness(settings, ["batch", "layer", "none"]) == [
            "Batch size: 128 for batch and layer, 64 for none.",
            "Seconds: from 29 (none) to 58.06 (layer).",
            "MACs: 41,000,000 for batch and layer, 40,000,000 for none.",
            "Parameters: 1,234 for batch and layer, 1,200 for none.",
        ]

    def test_words_and_what_was_not_recorded(self):
        settings = [{"optimizer": "sgd", "mixup": True}, {"optimizer": "adam"}, {"optimizer": "lamb", "mixup": True}]
        assert fairness(settings, ["a", "b", "c"]) == [
            "Optimizer: sgd for a, adam for b, lamb for c.",
            "Mixup: True for a and c, not recorded for b.",
        ]

    def test_small_differences_are_not_rounded_away(self):
        assert fairness([{"weight_decay": 5e-4}, {"weight_decay": 1e-4}], ["a", "b"]) == [
            "Weight decay: 0.0005 for a, 0.0001 for b."
        ]

    def test_nothing_differs(self):
        assert fairness([{"norm": "batch", "epochs": 3}, {"norm": "none", "epochs": 3}], ["a", "b"]) == []
        assert fairness([], []) == []

    def test_not_as_many_settings_as_runs(self):
        with pytest.raises(ValueError, match="each of 2 runs; got 1"):
            fairness([{}], ["a", "b"])
