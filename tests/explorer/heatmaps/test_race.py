"""Many sessions, one model: in a process of its own, so that a crash there fails a test here."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

RACE = """
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from explorer.models.staged import PoolLinear, StagedModel
from explorer.heatmaps.gradcam import heatmaps, heatmaps_all_classes
from explorer.heatmaps.methods import heatmaps_by

torch.set_num_threads(1)
torch.manual_seed(0)


def block(before, after, stride):
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU())


model = StagedModel({"a": block(3, 8, 1), "b": block(8, 16, 2), "c": block(16, 16, 1)}, PoolLinear(16, 5), (16, 16))
model.eval()
images = torch.randn(20, 3, 16, 16)


def explained(job):
    one, target, stage = images[job % 20][None], torch.tensor([job % 5]), "abc"[job % 3]
    if job % 50 == 0:  # a session that tries a method which hooks or rebuilds the model
        method = ["ablationcam", "gradcam++", "scorecam"][job // 50 % 3]
        return heatmaps_by(method, model, one, target, stage)
    return heatmaps_all_classes(model, one, stage) if job % 10 == 1 else heatmaps(model, one, target, stage)


alone = [explained(job) for job in range(1000)]
with ThreadPoolExecutor(8) as pool:
    together = list(pool.map(explained, range(1000)))
different = sum(not torch.equal(*maps) for maps in zip(alone, together, strict=True))
blank = sum(not maps.any() for maps in alone)
print(f"{different} of {len(together)} differ, {blank} are blank")
"""


def test_eight_threads_get_what_one_gets():
    command = [sys.executable, "-W", "ignore", "-c", RACE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"exit status {done.returncode} (negative: killed by that signal)\n{done.stderr}"
    outcome = done.stdout.split(", ")
    assert outcome[0] == "0 of 1000 differ"
    assert int(outcome[1].split()[0]) < 300, outcome
