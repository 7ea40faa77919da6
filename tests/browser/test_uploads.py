"""Your image in a real browser: pictures, files that are none, and the bundle."""

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from tests.browser.driving import PATIENCE, App, Settled, expect_painted


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb() -> bytes:
    """A PNG of some hundred bytes that says it is 30,000 pixels wide and high."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


FILES = {
    "cut.png": (picture()[:2000], "truncated"),
    "bomb.png": (bomb(), "expected at most 40 megapixels"),
    "text.png": (b"just some text, not a picture\n" * 20, "none of these"),
    "empty.png": (b"", "got an empty file (0 bytes)"),
}


def payload(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": data}


@pytest.fixture
def your_image(page: Page, app: App, settled: Settled) -> Page:
    page.goto(app.at("your-image"))
    settled(page, PATIENCE)
    return page


def upload(page: Page, *files: FilePayload) -> None:
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(list(files))


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_picture_gets_a_reason_and_the_app_lives_on(your_image: Page, name: str):
    data, reason = FILES[name]
    upload(your_image, payload(name, data))
    expect(your_image.get_by_text("This file cannot be used.")).to_be_visible(timeout=PATIENCE)
    expect(your_image.get_by_text(f"{name}: ")).to_contain_text(reason)
    upload(your_image, payload("good.png", picture()))
    expect_painted(your_image, "good.png", 4)


def test_a_file_of_another_kind_is_refused_before_it_is_sent(your_image: Page):
    upload(your_image, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"notes"})
    expect(your_image.get_by_text("PNG, JPEG or WEBP, up to 20 MB")).to_be_visible()  # the limits, in words
    upload(your_image, payload("good.png", picture()))
    expect_painted(your_image, "good.png", 4)


def test_several_files_at_once_and_their_bundle(your_image: Page, tmp_path: Path):
    upload(
        your_image,
        payload("one.png", picture()),
        payload("cut.png", FILES["cut.png"][0]),
        payload("two.png", picture()),
    )
    expect(your_image.get_by_text("This file cannot be used.")).to_be_visible(timeout=PATIENCE)
    for name in ("one.png", "two.png"):
        expect_painted(your_image, name, 4)
    with your_image.expect_download(timeout=PATIENCE) as begun:
        your_image.get_by_role("button", name="Save bundle").click()
    begun.value.save_as(tmp_path / "bundle.zip")
    archive = zipfile.ZipFile(tmp_path / "bundle.zip")
    kinds = [Path(name).suffix for name in archive.namelist()]
    assert (kinds.count(".npy"), kinds.count(".json")) == (12, 1)  # a raw and a scaled map of each norm for each image
    assert kinds.count(".png") >= 6
    manifest = json.loads(archive.read(next(name for name in archive.namelist() if name.endswith(".json"))))
    assert {"one.png", "two.png"} <= set(json.dumps(manifest).replace('"', " ").split())
