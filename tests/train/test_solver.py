"""The solver against torch's own loops and schedules, scikit-learn, and what a recipe promises."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss
from torch import nn
from torch.optim import lr_scheduler

from explorer.datasets import Split
from explorer.models import build_model
from explorer.models.norms import NORMS
from explorer.predictions.metrics import Metrics
from explorer.runs import HISTORY_COLUMNS, InputSpec
from explorer.runs.weights import predict
from train.recipes import Recipe
from train.solver import LOSSES, OPTIMIZERS, SCHEDULERS, Solver, TrainingDiverged, complete_recipe, parameter_groups

SPEC = InputSpec(32, 32, (0.25, 0.25, 0.25), (0.2, 0.2, 0.2))
RECIPE = Recipe(
    epochs=3, batch_size=16, learning_rate=0.02, scheduler="constant", scheduler_arguments={}, precision="fp32"
)
MakeSplit = Callable[..., Split]


def build_solver(make_split: MakeSplit, recipe: Recipe = RECIPE, *, norm: str = "none", classes: int = 2) -> Solver:
    torch.manual_seed(0)
    model = build_model("simplecnn", norm, classes=classes)
    return Solver(model, make_split(48, 1, classes), make_split(24, 2, classes), SPEC, recipe)


def plain_sgd(**changes: Any) -> Recipe:
    return replace(RECIPE, optimizer_arguments={}, weight_decay=0.0, **changes)


class TestLearning:
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_plain_classes_are_learned(self, make_split: MakeSplit, optimizer: str) -> None:
        rate = 0.02 if optimizer == "sgd" else 0.002
        recipe = replace(RECIPE, epochs=8, optimizer=optimizer, optimizer_arguments={}, learning_rate=rate)
        solver = build_solver(make_split, recipe)
        solver.train(quiet=True)
        assert solver.test(make_split(60, 3)) > 95

    @pytest.mark.parametrize("loss", LOSSES)
    def test_every_loss_falls(self, make_split: MakeSplit, loss: str) -> None:
        solver = build_solver(make_split, replace(RECIPE, epochs=6, loss=loss))
        solver.train(quiet=True)
        losses = solver.history["train_loss"].tolist()
        assert losses[-1] < 0.7 * losses[0]

    @pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS.keys() - {"muon"}))
    def test_one_batch_an_epoch_is_the_loop_written_by_hand(self, make_split: MakeSplit, optimizer: str) -> None:
        recipe = plain_sgd(batch_size=48, epochs=3, optimizer=optimizer, learning_rate=0.001)
        solver = build_solver(make_split, recipe)
        solver.train(quiet=True)
        torch.manual_seed(0)
        model = build_model("simplecnn", "none", classes=2)
        step = {
            "sgd": torch.optim.SGD,
            "adam": torch.optim.Adam,
            "adamw": torch.optim.AdamW,
            "rmsprop": torch.optim.RMSprop,
        }
        by_hand = step[optimizer](model.parameters(), lr=0.001, weight_decay=0.0)
        split = make_split(48, 1)
        assert solver.best is not None
        for _ in range(solver.best.epoch):
            by_hand.zero_grad()
            nn.functional.cross_entropy(model((split.images / 255 - 0.25) / 0.2), split.labels).backward()
            by_hand.step()
        for name, value in solver.model.state_dict().items():
            torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-3, atol=1e-5)

    def test_an_epoch_is_cut_into_equal_batches(self, make_split: MakeSplit) -> None:
        solver = build_solver(make_split, replace(RECIPE, batch_size=10, epochs=1))
        sizes: list[int] = []
        solver.model.register_forward_hook(
            lambda model, inputs, _: sizes.append(len(inputs[0])) if model.training else None
        )
        solver.train(quiet=True)
        assert sizes == [12, 12, 12, 12]

    def test_every_image_is_seen_once_an_epoch_in_another_order(
        self, make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        solver = build_solver(make_split, replace(RECIPE, epochs=2, batch_size=48))
        seen: list[list[int]] = []
        watched = lambda images, generator: seen.append(images.sum((1, 2, 3)).tolist()) or images  # noqa: E731
        monkeypatch.setattr(solver, "_augmented", watched)
        solver.train(quiet=True)
        wanted = make_split(48, 1).images.sum((1, 2, 3)).tolist()
        assert sorted(seen[0]) == sorted(seen[1]) == sorted(wanted)
        assert seen[0] != seen[1] != wanted

    def test_a_seed_fixes_the_training(self, make_split: MakeSplit) -> None:
        recipe = replace(RECIPE, epochs=2, augmentations=("flip_horizontal", "shift"))
        solvers = [build_solver(make_split, recipe) for _ in range(3)]
        solvers[2].seed = 1
        for solver in solvers:
            solver.train(quiet=True)
        first, same, other = (solver.model.state_dict()["head.2.weight"] for solver in solvers)
        assert torch.equal(first, same)
        assert not torch.equal(first, other)

    def test_infinite_loss_stops_with_advice(self, make_split: MakeSplit) -> None:
        solver = build_solver(make_split, plain_sgd(learning_rate=1e30))
        with pytest.raises(TrainingDiverged, match=r"not finite in epoch 1; lower the learning rate \(it is 1e\+30\)"):
            solver.train(quiet=True)


class TestMuon:
    def test_steps_are_those_of_pytorch_on_weights_as_matrices_and_of_adamw_on_the_rest(self) -> None:
        model = build_model("compact", "layer", classes=4)
        weights, others = parameter_groups(model, 0.1)
        ours = OPTIMIZERS["muon"]([weights, others], lr=0.05, adamw_share=0.2)
        matrices = [p.detach().flatten(1).clone() for p in weights["params"]]
        vectors = [p.detach().clone() for p in others["params"]]
        muon = torch.optim.Muon(matrices, lr=0.05, weight_decay=0.1)
        adamw = torch.optim.AdamW(vectors, lr=0.01, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)
        for _ in range(3):
            for parameter, copy in zip(weights["params"] + others["params"], matrices + vectors, strict=True):
                parameter.grad = torch.randn_like(parameter)
                copy.grad = parameter.grad.reshape(copy.shape).clone()
            for optimizer in (ours, muon, adamw):
                optimizer.step()
        for parameter, copy in zip(weights["params"], matrices, strict=True):
            largest_step = 0.05 * max(1, len(copy) / copy.shape[1]) ** 0.5
            assert (parameter.flatten(1) - copy).norm(2) < 0.05 * 3 * largest_step * len(copy) ** 0.5  # bf16 inside
        for parameter, copy in zip(others["params"], vectors, strict=True):
            torch.testing.assert_close(parameter.detach(), copy)

    def test_its_momentum_stays_while_the_learning_rate_goes_up_and_down(self, make_split: MakeSplit) -> None:
        recipe = replace(RECIPE, optimizer="muon", optimizer_arguments={"momentum": 0.8}, scheduler="one_cycle")
        solver = build_solver(make_split, recipe)
        before = solver.optimizer.param_groups[0]["lr"]
        solver.train(epochs=1, quiet=True)
        weights, others = solver.optimizer.param_groups
        assert weights["momentum"] == 0.8
        assert weights["lr"] > before
        assert others["lr"] == pytest.approx(0.1 * weights["lr"])


class TestWeightDecay:
    @pytest.mark.parametrize("norm", NORMS)
    def test_only_weights_of_convs_and_linear_layers_decay(self, norm: str) -> None:
        model = build_model("compact", norm, classes=4)
        layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        weights = {id(layer.weight) for layer in layers}
        decayed, others = parameter_groups(model, 0.01)
        assert {id(p) for p in decayed["params"]} == weights
        assert {id(p) for p in others["params"]} == {id(p) for p in model.parameters()} - weights
        assert (decayed["weight_decay"], others["weight_decay"]) == (0.01, 0.0)

    def test_one_step_without_gradient_shrinks_the_weights_alone(self, make_split: MakeSplit) -> None:
        solver = build_solver(make_split, replace(plain_sgd(learning_rate=0.1), weight_decay=0.5), norm="batch")
        before = {name: p.detach().clone() for name, p in solver.model.named_parameters()}
        for parameter in solver.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        solver.optimizer.step()
        for name, parameter in solver.model.named_parameters():
            factor = 1 - 0.1 * 0.5 if parameter.ndim >= 2 else 1
            torch.testing.assert_close(parameter.detach(), factor * before[name])


class TestSchedules:
    def rates(self, name: str, steps: int, steps_per_epoch: int = 1, **arguments: Any) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4, momentum=0.9)
        scheduler = SCHEDULERS[name](optimizer, steps, steps_per_epoch, **arguments)
        return follow(optimizer, scheduler, steps)

    def test_constant(self) -> None:
        assert self.rates("constant", 5) == [0.4] * 5

    def test_step_counts_epochs(self) -> None:
        found = self.rates("step", 12, 2, every=2, gamma=0.5)
        assert found == pytest.approx([0.4] * 4 + [0.2] * 4 + [0.1] * 4)

    def test_cosine_is_the_formula(self) -> None:
        wanted = [0.01 + (0.4 - 0.01) * (1 + math.cos(math.pi * t / 20)) / 2 for t in range(20)]
        assert self.rates("cosine", 20, eta_min=0.01) == pytest.approx(wanted)

    def test_one_cycle_is_torchs_own(self) -> None:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4, momentum=0.9)
        wanted = follow(optimizer, lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=41, pct_start=0.25), 40)
        found = self.rates("one_cycle", 40, pct_start=0.25)
        assert found == pytest.approx(wanted)
        assert found[0] == pytest.approx(0.4 / 25)
        assert max(found) == pytest.approx(0.4, rel=0.01)
        assert found[-1] < 0.01

    @pytest.mark.parametrize("steps", range(1, 10))
    @pytest.mark.parametrize("pct_start", [0, 0.25, 0.5, 1])
    def test_one_cycle_of_any_length_stays_between_nothing_and_the_peak(self, steps: int, pct_start: float) -> None:
        found = self.rates("one_cycle", steps, pct_start=pct_start)
        assert all(0 <= rate <= 0.4 + 1e-9 for rate in found)

    def test_the_history_holds_the_rate_each_epoch_began_with(self, make_split: MakeSplit) -> None:
        recipe = replace(RECIPE, epochs=4, scheduler="cosine")
        solver = build_solver(make_split, recipe)
        solver.train(quiet=True)
        wanted = [0.02 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
        assert solver.history["learning_rate"].tolist() == pytest.approx(wanted)


def follow(optimizer: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


class TestWrongRecipes:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"loss": "hinge"}, "unknown loss 'hinge'; expected one of: cross_entropy, multi_margin"),
            ({"optimizer": "lion"}, "unknown optimizer 'lion'; expected one of: sgd, adam, adamw, rmsprop"),
            ({"scheduler": "warm"}, "unknown scheduler 'warm'; expected one of: one_cycle, cosine, step, constant"),
            ({"precision": "fp8"}, "unknown precision 'fp8'; expected one of: fp32, bf16"),
            ({"augmentations": ("spin",)}, "unknown augmentation 'spin'; expected one of: flip_horizontal, "),
            ({"loss_arguments": {"smooth": 1}}, "'smooth' of loss 'cross_entropy'; expected one of: .*label_smoothing"),
            ({"optimizer_arguments": {"betas": 1}}, "'betas' of optimizer 'sgd'; expected one of: momentum, "),
            ({"optimizer_arguments": {"lr": 1}}, "unknown argument 'lr' of optimizer 'sgd'"),
            ({"optimizer_arguments": {"weight_decay": 1}}, "unknown argument 'weight_decay' of optimizer 'sgd'"),
            ({"scheduler_arguments": {"every": 1}}, "'every' of scheduler 'constant'; it takes no arguments"),
            (
                {"scheduler": "cosine", "scheduler_arguments": {"gamma": 1}},
                "'gamma' .*'cosine'; expected one of: eta_min",
            ),
            ({"epochs": 0}, "epochs must be at least 1; got 0"),
            ({"batch_size": 0}, "batch size must be at least 1; got 0"),
            ({"learning_rate": math.nan}, "learning rate must be at least 0; got nan"),
            ({"weight_decay": -1.0}, "weight decay must be at least 0; got -1"),
        ],
    )
    def test_names_arguments_and_numbers_get_the_valid_ones(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            complete_recipe(replace(RECIPE, **changes))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"loss_arguments": {"label_smoothing": "much"}},
                "'label_smoothing' .* wants a number, like 0.0; got 'much'",
            ),
            ({"optimizer_arguments": {"momentum": "high"}}, "'momentum' .* wants a number, like 0; got 'high'"),
            ({"optimizer_arguments": {"momentum": math.inf}}, "'momentum' .* wants a number, like 0; got inf"),
            ({"optimizer_arguments": {"nesterov": 1}}, "'nesterov' .* wants true or false, like False; got 1"),
            ({"scheduler": "step", "scheduler_arguments": {"every": 1.5}}, "'every' .* wants a whole number, like 10"),
            (
                {"optimizer": "adam", "optimizer_arguments": {"betas": 1}},
                r"'betas' .* wants 2 numbers with a comma between, like \(0.9, 0.999\); got 1",
            ),
            ({"optimizer": "adam", "optimizer_arguments": {"fused": True}}, "unknown argument 'fused' of optimizer"),
        ],
    )
    def test_values_of_another_kind_are_told_which(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            complete_recipe(replace(RECIPE, **changes))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"loss_arguments": {"label_smoothing": 2.0}}, "label_smoothing must be between"),
            ({"loss": "multi_margin", "loss_arguments": {"p": 3}}, "p == 1"),
            ({"optimizer_arguments": {"nesterov": True}}, "Nesterov"),
            ({"optimizer": "muon", "optimizer_arguments": {"adamw_share": -1}}, "adamw_share must be at least 0"),
            ({"scheduler": "step", "scheduler_arguments": {"every": 0}}, "at least 1, as 'every'; got 0"),
            ({"scheduler": "one_cycle", "scheduler_arguments": {"pct_start": 2.0}}, "pct_start"),
            ({"scheduler": "one_cycle", "scheduler_arguments": {"div_factor": 0}}, "'one_cycle' does not take these"),
        ],
    )
    def test_values_that_torch_refuses_are_value_errors(
        self, make_split: MakeSplit, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            build_solver(make_split, replace(RECIPE, **changes))


class TestCompleteRecipe:
    def test_every_argument_is_spelled_out_as_torch_has_it(self) -> None:
        sgd = complete_recipe(replace(RECIPE, optimizer_arguments={"momentum": 0.9}, scheduler="one_cycle"))
        assert sgd.optimizer_arguments == {"momentum": 0.9, "dampening": 0, "nesterov": False}
        assert sgd.scheduler_arguments == {"pct_start": 0.3, "div_factor": 25, "final_div_factor": 1e4}
        assert sgd.loss_arguments == {"ignore_index": -100, "label_smoothing": 0}
        muon = complete_recipe(replace(RECIPE, optimizer="muon", optimizer_arguments={}, loss="multi_margin"))
        assert muon.optimizer_arguments == {"momentum": 0.95, "nesterov": True, "adamw_share": 0.1}
        assert muon.loss_arguments == {"p": 1, "margin": 1}
        assert muon.scheduler_arguments == {}

    def test_nothing_else_changes_and_nothing_a_second_time(self) -> None:
        whole = complete_recipe(RECIPE)
        kept = {"loss_arguments": {}, "optimizer_arguments": {}, "scheduler_arguments": {}}
        assert replace(whole, **kept) == replace(RECIPE, **kept)
        assert complete_recipe(whole) == whole

    def test_as_json_tuples_are_lists(self) -> None:
        plain = complete_recipe(replace(RECIPE, optimizer="adam", optimizer_arguments={})).to_json()
        assert plain["augmentations"] == []
        assert plain["optimizer_arguments"]["betas"] == [0.9, 0.999]
        assert json.loads(json.dumps(plain)) == plain

    @pytest.mark.parametrize("key", ["learning_rate", "weight_decay", "clip_norm"])
    def test_no_card_can_hold_what_is_not_finite(self, key: str) -> None:
        with pytest.raises(ValueError, match=f"{key.replace('_', ' ')} must be .*; got inf"):
            complete_recipe(replace(RECIPE, **{key: math.inf}))


class TestBestEpoch:
    def train_with(self, make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch, found: list[tuple[float, float]]):
        """A solver trained with these validation accuracies and losses, and its weights after each epoch."""
        solver = build_solver(make_split, replace(RECIPE, epochs=len(found)))
        weights = []

        def validate() -> Metrics:
            weights.append({name: value.clone() for name, value in solver.model.state_dict().items()})
            accuracy, loss = found[len(weights) - 1]
            return Metrics(accuracy, accuracy, accuracy, loss, 0, 24)

        monkeypatch.setattr(solver, "_validate", validate)
        solver.train(quiet=True)
        return solver, weights

    @pytest.mark.parametrize(
        ("found", "best"),
        [
            ([(0.5, 1.0), (0.9, 0.5), (0.7, 0.4)], 2),
            ([(0.9, 0.6), (0.9, 0.5), (0.9, 0.7)], 2),  # of equal accuracies the lowest loss
            ([(0.9, 0.5), (0.9, 0.5), (0.1, 0.1)], 1),  # of equal epochs the first
        ],
    )
    def test_its_weights_are_loaded_at_the_end(
        self, make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch, found: list[tuple[float, float]], best: int
    ) -> None:
        solver, weights = self.train_with(make_split, monkeypatch, found)
        assert solver.best is not None
        assert solver.best.epoch == best
        for name, value in solver.model.state_dict().items():
            assert torch.equal(value, weights[best - 1][name])

    def test_training_goes_on_from_the_last_epoch_not_from_the_best(
        self, make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        worse_and_worse = [Metrics(0.9 - 0.1 * epoch, 0, 0, 1.0, 0, 24) for epoch in range(4)]
        solvers = [build_solver(make_split, replace(RECIPE, epochs=4)) for _ in range(2)]
        for solver in solvers:
            monkeypatch.setattr(solver, "_validate", lambda solver=solver: worse_and_worse[solver.epoch])
        solvers[0].train(quiet=True)
        solvers[1].train(2, quiet=True)
        solvers[1].train(2, state=tmp_path / "state", quiet=True)
        for solver, name in zip(solvers, ("straight", "parts"), strict=True):
            solver.save(tmp_path / name)
        # the state saved while training, after two calls, is the same as well
        assert_same_tensors(tmp_path / "straight", tmp_path / "parts")
        assert_same_tensors(tmp_path / "straight", tmp_path / "state")


def assert_same_tensors(one: Path, other: Path) -> None:
    from safetensors.torch import load_file

    first, second = load_file(one), load_file(other)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


class TestFigures:
    def test_history_is_scikit_learns_when_the_weights_stand_still(self, make_split: MakeSplit) -> None:
        solver = build_solver(make_split, plain_sgd(learning_rate=0.0, epochs=2), classes=3)
        solver.train(quiet=True)
        history = solver.history
        assert tuple(history.columns) == HISTORY_COLUMNS
        assert history["epoch"].tolist() == [1, 2]
        assert (np.diff(history["seconds"].to_numpy()) > 0).all()
        for name, split in (("train", make_split(48, 1, 3)), ("val", make_split(24, 2, 3))):
            probabilities = predict(solver.model, split.images, SPEC).astype(np.float64)
            predicted, labels = probabilities.argmax(1), split.labels.numpy()
            wanted = {
                "loss": log_loss(labels, probabilities / probabilities.sum(1, keepdims=True)),
                "accuracy": accuracy_score(labels, predicted),
                "micro_f1": f1_score(labels, predicted, average="micro"),
                "macro_f1": f1_score(labels, predicted, average="macro"),
            }
            for metric, value in wanted.items():
                assert history[f"{name}_{metric}"].tolist() == pytest.approx([value] * 2, rel=1e-4)

    def test_test_is_scikit_learns_accuracy_in_percent(self, make_split: MakeSplit) -> None:
        solver = build_solver(make_split, classes=3)
        split = make_split(50, 5, 3)
        predicted = predict(solver.model, split.images, SPEC).argmax(1)
        assert solver.test(split) == pytest.approx(100 * accuracy_score(split.labels, predicted))
        assert solver.test(split, num_samples=50) == pytest.approx(solver.test(split))

    def test_a_random_subset_is_drawn_without_repeats(
        self, make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        solver, split, drawn = build_solver(make_split), make_split(50, 5), []
        monkeypatch.setattr(
            "train.solver.predict", lambda model, images, _: drawn.append(images) or np.eye(2)[[0] * len(images)]
        )
        share = solver.test(split, num_samples=20)
        sums = drawn[0].sum((1, 2, 3)).tolist()
        everything = split.images.sum((1, 2, 3)).tolist()
        assert len(set(sums)) == 20
        assert set(sums) < set(everything)
        assert sums != everything[:20]
        chosen = [split.labels[everything.index(value)].item() for value in sums]
        assert share == pytest.approx(100 * chosen.count(0) / 20)

    @pytest.mark.parametrize("count", [0, 51])
    def test_a_subset_of_impossible_size(self, make_split: MakeSplit, count: int) -> None:
        with pytest.raises(ValueError, match=f"num_samples must be from 1 to 50; got {count}"):
            build_solver(make_split).test(make_split(50, 5), num_samples=count)

    def test_the_bar_shows_epoch_and_validation_accuracy(
        self, make_split: MakeSplit, capsys: pytest.CaptureFixture[str]
    ) -> None:
        solver = build_solver(make_split, replace(RECIPE, epochs=2))
        solver.train()
        shown = capsys.readouterr().err
        assert "epoch 2/2" in shown
        assert f"val accuracy {solver.history['val_accuracy'].iloc[-1]:.1%}" in shown
        solver.train(quiet=True)
        assert capsys.readouterr().err == ""
