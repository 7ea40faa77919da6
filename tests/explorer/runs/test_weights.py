"""From a run to its model, and from a model to probabilities."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from explorer.models import ARCHITECTURES
from explorer.models.norms import NORMS
from explorer.predictions.metrics import compute_metrics
from explorer.runs import Choice, DamagedRun, read_run, write_run
from explorer.runs.weights import build_model_of, predict
from tests.explorer.runs.making import COUNTS, HISTORY, SPEC, card_of, made_images, made_predictions, write

Tensors = dict[str, Tensor]


@pytest.mark.parametrize(("split", "count"), COUNTS.items())
def test_stored_predictions_are_those_of_the_loaded_model(tmp_path: Path, split: str, count: int) -> None:
    run = write(tmp_path)
    stored, model = run.predictions(split), run.load_model()
    assert tuple(stored.ids) == tuple(f"{split}/{number}" for number in range(count))
    assert stored.outcomes.labels.tolist() == [number % 3 for number in range(count)]
    found = predict(model, made_images(count), SPEC.input)
    assert stored.probabilities is not None
    np.testing.assert_allclose(np.concatenate(list(stored.probabilities.blocks())), found, atol=1e-6)
    assert stored.outcomes.wrong.sum() == compute_metrics(found, stored.outcomes.labels).misclassified
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name in ("resnet8", "compact", "vgg11")])
@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_is_loaded_as_it_was_trained(tmp_path: Path, architecture: str, norm: str) -> None:
    card = card_of(architecture=Choice(architecture), norm=Choice(norm))
    torch.manual_seed(0)
    model = build_model_of(card).train()
    model(SPEC.input.normalise(made_images(4)))  # moves the running statistics
    run = write_run(tmp_path, card, model.state_dict(), HISTORY, made_predictions(COUNTS, 3))
    loaded = run.load_model()
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    wanted = predict(model, made_images(5), SPEC.input)
    np.testing.assert_array_equal(predict(loaded, made_images(5), SPEC.input), wanted)


def test_half_precision_weights_are_read_as_float32(tmp_path: Path) -> None:
    run = write(tmp_path)
    path = run.path / "weights.safetensors"
    whole = load_file(path)
    save_file({key: value.half() for key, value in whole.items()}, path)
    state = read_run(run.path).load_model().state_dict()
    for key, value in whole.items():
        assert state[key].dtype == value.dtype
        assert torch.equal(state[key], value.half().to(value.dtype))


def test_the_model_keeps_its_weights_when_the_file_is_written_over(tmp_path: Path) -> None:
    run = write(tmp_path)
    model, path = run.load_model(), run.path / "weights.safetensors"
    before = {key: value.clone() for key, value in model.state_dict().items()}
    path.write_bytes(bytes(path.stat().st_size))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def first_of(tensors: Tensors) -> str:
    return next(iter(sorted(tensors)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: {}, r"\S+ is missing"),
        (lambda tensors: tensors | {"more": torch.zeros(1)}, "more is none of its tensors"),
        (lambda tensors: tensors | {first_of(tensors): torch.zeros(7)}, r"is of shape \(7,\), wanted \("),
        (
            lambda tensors: {key: value.int() for key, value in tensors.items()},
            "holds torch.int32, wanted torch.float32",
        ),
        (lambda tensors: {key: value.to(torch.complex64) for key, value in tensors.items()}, "holds torch.complex64"),
        (lambda tensors: {key: value / 0 for key, value in tensors.items()}, "holds numbers that are not finite"),
        (lambda tensors: {key: value.double() + 1e300 for key, value in tensors.items()}, "that are not finite"),
    ],
)
def test_weights_of_another_model_are_named(tmp_path: Path, change: Callable[[Tensors], Tensors], message: str) -> None:
    run = write(tmp_path)
    path = run.path / "weights.safetensors"
    save_file(change(load_file(path)), path)
    wanted = rf"weights\.safetensors does not fit card\.json \(.*{message}.*\); train the run again"
    with pytest.raises(DamagedRun, match=wanted):
        read_run(run.path).load_model()


def test_weights_that_vanish_after_the_first_look(tmp_path: Path) -> None:
    run = write(tmp_path)
    (run.path / "weights.safetensors").unlink()
    with pytest.raises(DamagedRun, match=r"weights\.safetensors cannot be read"):
        run.load_model()


def test_batches_and_progress_do_not_change_predictions(tmp_path: Path) -> None:
    model = write(tmp_path).load_model()
    seen: list[tuple[int, int]] = []
    whole = predict(model, made_images(7), SPEC.input)
    parts = predict(model.train(), made_images(7), SPEC.input, batch_size=3, progress=lambda *done: seen.append(done))
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    np.testing.assert_allclose(whole.sum(1), 1, atol=1e-5)
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert model.training
