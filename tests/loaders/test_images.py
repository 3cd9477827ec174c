"""Images: every container gives the same stimuli, values in [0, 1], and hostile archives are refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from loaders import images

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Readers run without their child, which costs seconds; one test below takes this back."""
    monkeypatch.setenv("NEUROLOOP_CHILD", "1")


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


def folder(path, pixels=PIXELS, names=NAMES):
    path.mkdir()
    for name, one in zip(names, pixels, strict=True):
        (path / f"{name}.png").write_bytes(png(one))
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_folder_zip_and_npz_are_the_same_stimuli(tmp_path):
    np.savez(tmp_path / "s.npz", images=PIXELS, stimulus_id=np.array(NAMES))
    paths = [
        folder(tmp_path / "in"),
        zipped(
            tmp_path / "s.zip", {f"{n}.png": png(p) for n, p in zip(NAMES[::-1], PIXELS[::-1], strict=True)}
        ),
        tmp_path / "s.npz",
    ]
    for path in paths:
        found = images.stimuli(path)
        assert found["image"].dims == ("stimulus", "channel", "y", "x")
        assert found["image"].dtype == np.float32
        assert np.array_equal(found["image"], PIXELS.transpose(0, 3, 1, 2) / np.float32(255))
        assert found["stimulus_id"].values.tolist() == NAMES
        assert found["content"].equals(images.stimuli(paths[0])["content"])


def test_content_is_the_pixels_and_not_the_name(tmp_path):
    pixels = PIXELS[[0, 1, 0]]
    content = images.stimuli(folder(tmp_path / "in", pixels, ["x", "y", "z"]))["content"].values
    assert content[0] == content[2] != content[1]
    scaled = pixels.astype(np.float32) / np.float32(255)
    np.savez(tmp_path / "f.npz", images=scaled)
    assert images.stimuli(tmp_path / "f.npz", range="0-1")["content"].values.tolist() == content.tolist()
    turned = pixels.transpose(0, 2, 1, 3)
    np.savez(tmp_path / "t.npz", images=turned)
    assert not set(images.stimuli(tmp_path / "t.npz")["content"].values) & set(content)


def test_folders_are_labels(tmp_path):
    names = {f"{label}/{k}.png": png(PIXELS[k]) for k, label in enumerate(["cat", "cat", "dog", "dog"])}
    found = images.stimuli(zipped(tmp_path / "s.zip", names))
    assert found["label"].values.tolist() == ["cat", "cat", "dog", "dog"]
    assert found["stimulus_id"].values.tolist() == ["0", "1", "2", "3"]


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_and_its_labels(ending, tmp_path):
    pack = gzip.compress if ending else bytes
    grey, labels = PIXELS[..., 0], np.array([3, 1, 2, 0], np.uint8)
    path = tmp_path / f"t10k-images-idx3-ubyte{ending}"
    path.write_bytes(pack(idx(grey)))
    assert "label" not in images.stimuli(path).coords
    (tmp_path / f"t10k-labels-idx1-ubyte{ending}").write_bytes(pack(idx(labels)))
    found = images.stimuli(path)
    assert np.array_equal(found["image"][:, 0], grey / np.float32(255))
    assert found["label"].values.tolist() == [3, 1, 2, 0]
    path.write_bytes(pack(idx(grey)[:-1]))
    with pytest.raises(ValueError, match="cut: 135 bytes, header promises 136"):
        images.stimuli(path)
    path.write_bytes(pack(idx(grey[:3])))
    with pytest.raises(ValueError, match=r"labels-idx1-ubyte.*: holds \(4,\) labels for 3 images"):
        images.stimuli(path)


def test_tiles_of_a_sprite(tmp_path):
    sheet = np.concatenate(
        [np.concatenate(list(PIXELS[:2]), axis=1), np.concatenate(list(PIXELS[2:]), axis=1)]
    )
    (tmp_path / "sheet.png").write_bytes(png(sheet))
    found = images.stimuli(tmp_path / "sheet.png", tile=[6, 5])
    assert np.array_equal(found["image"], PIXELS.transpose(0, 3, 1, 2) / np.float32(255))
    assert found["row"].values.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="12 x 10 pixels are not a whole number of 7 x 5 tiles"):
        images.stimuli(tmp_path / "sheet.png", tile=[7, 5])


@pytest.mark.parametrize(
    ("values", "span", "line"),
    [
        (PIXELS.astype(np.float32), None, "type float32 does not say its range; give range='0-255' or '0-1'"),
        (PIXELS.astype(np.float32), "0-1", "values from 0 to 255 leave the range 0-1"),
        (PIXELS / 255.0, "0-255", "do not use the range 0-255; is it '0-1'"),
        ((PIXELS / 255.0 - 0.45) / 0.22, "0-1", "leave the range 0-1; .*undo their normalisation"),
        (np.where(PIXELS.max() == PIXELS, np.nan, 0.5), "0-1", r"images \(.*\): is not a finite number"),
        (PIXELS.astype(np.int32) * 2, "0-255", "leave the range 0-255"),
        (PIXELS[..., :2], None, r"shape \(4, 6, 5, 2\); wanted is"),
        (PIXELS > 5, None, "type bool; numbers are wanted"),
    ],
)
def test_f66_the_range_of_pixels_is_declared_and_checked(values, span, line, tmp_path):
    np.savez(tmp_path / "s.npz", images=values)
    with pytest.raises(ValueError, match=line) as caught:
        images.stimuli(tmp_path / "s.npz", range=span)
    assert "\n" not in str(caught.value)


def test_f66_sound_ranges_pass(tmp_path):
    for values, span in ((PIXELS, None), (PIXELS.astype(float), "0-255"), (PIXELS / 255.0, "0-1")):
        np.savez(tmp_path / "s.npz", images=values)
        found = images.stimuli(tmp_path / "s.npz", range=span)
        assert np.allclose(found["image"], PIXELS.transpose(0, 3, 1, 2) / 255)
    with pytest.raises(ValueError, match="range: '0-2': did you mean"):
        images.stimuli(tmp_path / "s.npz", range="0-2")


def test_f66_images_of_two_sizes_or_planes(tmp_path):
    members = {"a.png": png(PIXELS[0]), "b.png": png(PIXELS[1][:4])}
    with pytest.raises(ValueError, match=r"b.png: differs in size or planes from a.png; bring all to one$"):
        images.stimuli(zipped(tmp_path / "s.zip", members))
    members["b.png"] = png(PIXELS[1][..., 0])
    with pytest.raises(ValueError, match=r"bring all to one, or give grey$"):
        images.stimuli(zipped(tmp_path / "s.zip", members))
    assert images.stimuli(tmp_path / "s.zip", grey=True).sizes["channel"] == 1


def link(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o120777 << 16
    return member


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("../../evil.png", "'../../evil.png': this member leaves the archive's folder"),
        ("/etc/evil.png", "'/etc/evil.png': this member leaves"),
        ("C:/evil.png", "'C:/evil.png': this member leaves"),
        ("sub\\..\\..\\evil.png", "this member leaves"),
        (link("evil.png"), "'evil.png': is a link, which is refused"),
    ],
    ids=["parent", "absolute", "drive", "backslash", "link"],
)
def test_f86_members_that_leave_the_archive(name, line, tmp_path):
    sound = zipped(tmp_path / "s.zip", {"a.png": png(PIXELS[0])})
    assert images.stimuli(sound).sizes["stimulus"] == 1
    with zipfile.ZipFile(sound, "a") as archive:
        archive.writestr(name, "/etc/passwd")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=line):
        images.stimuli(sound)
    with pytest.raises(ValueError, match=line):
        images.names(sound)
    assert sorted(tmp_path.rglob("*")) == before


def test_f86_bombs(tmp_path, monkeypatch):
    path = zipped(tmp_path / "s.zip", {f"{k}.png": png(PIXELS[k]) for k in range(4)})
    for name, value, line in (
        ("MOST_FILES", 3, "holds 4 members, more than 3"),
        ("MOST_BYTES", 100, "would unpack to more than 100 bytes"),
        ("MOST_PIXELS", 29, "0.png: is not a readable image: 5 x 6 pixels, more than 29"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(images, name, value)
            with pytest.raises(ValueError, match=line):
                images.stimuli(path)
    assert images.stimuli(path).sizes["stimulus"] == 4
    promise = struct.pack("<I", len(png(PIXELS[0])))
    data = path.read_bytes()
    small = data.replace(promise, struct.pack("<I", 10))
    path.write_bytes(small)  # a member that promises ten bytes and holds more
    with pytest.raises(ValueError, match=r"^[^\n]*s\.zip: [^\n]*$"):
        images.stimuli(path)
    bomb = zipped(tmp_path / "bomb.zip", {"a.png": bytes(2**22)})
    with pytest.raises(ValueError, match=r"a.png: is not a readable image"):
        images.stimuli(bomb)


def test_f86_a_tar_is_not_opened(tmp_path):
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("../evil.png")
        archive.addfile(member, io.BytesIO(b""))
    with pytest.raises(ValueError, match=r".tar: images are read from folders, .zip, .npz, idx"):
        images.stimuli(path)
    path.rename(tmp_path / "s.zip")
    with pytest.raises(ValueError, match="not a readable zip"):
        images.stimuli(tmp_path / "s.zip")


def test_f86_an_encrypted_member_is_refused(tmp_path):
    path = zipped(tmp_path / "s.zip", {"a.png": png(PIXELS[0])})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"'a.png': is encrypted"):
        images.stimuli(path)


def test_f22_two_images_of_one_name_and_links_out(tmp_path):
    path = folder(tmp_path / "in")
    (path / "a.jpg").write_bytes((path / "a.png").read_bytes())
    with pytest.raises(ValueError, match=r"a.jpg: two images have this name"):
        images.stimuli(path)
    (path / "a.jpg").unlink()
    outside = tmp_path / "secret.png"
    outside.write_bytes(png(PIXELS[0]))
    (path / "e.png").symlink_to(outside)
    with pytest.raises(ValueError, match=r"e.png: is a link out of the folder"):
        images.stimuli(path)
    outside.unlink()
    with pytest.raises(ValueError, match=r"e.png: content not fetched: run 'datalad get"):
        images.stimuli(path)


class Payload:
    """Runs when unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_f35_pickles_in_image_archives_are_never_run(tmp_path):
    evil = np.array([Payload(str(tmp_path / "ran"))], dtype=object)
    np.savez(tmp_path / "s.npz", images=PIXELS, labels=evil)
    with pytest.raises(ValueError, match=r"array 'labels': holds Python objects \(pickle\)"):
        images.stimuli(tmp_path / "s.npz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["s.zip", "s.npz", "idx3.gz"])
def test_r04_no_container_passes_when_cut(name, tmp_path):
    path = tmp_path / name
    if name == "s.zip":
        zipped(path, {"a.png": png(PIXELS[0])})
    elif name == "s.npz":
        np.savez(path, images=PIXELS)
    else:
        path.write_bytes(gzip.compress(idx(PIXELS[..., 0])))
    whole = path.read_bytes()
    images.stimuli(path)
    for end in np.random.default_rng(0).integers(0, len(whole) - 1, 40):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=rf"^[^\n]*{name}: [^\n]*$"):
            images.stimuli(path)


def test_the_real_sets(neuro_data):
    mnist = images.stimuli(neuro_data / "images" / "mnist_t10k" / "t10k-images-idx3-ubyte.gz")
    assert np.bincount(mnist["label"].values).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    cifar = images.stimuli(neuro_data / "images" / "cifar10_subset" / "cifar10_test_subset.npz")
    assert dict(cifar.sizes) == {"stimulus": 2000, "channel": 3, "y": 32, "x": 32}
    names = cifar["label_name"].values
    assert all(
        path.split("/")[1] == name for path, name in zip(cifar["source_path"].values, names, strict=True)
    )
    sprite = neuro_data / "images" / "fashion_sprite" / "fashion-mnist-sprite.png"
    tiles = images.stimuli(sprite, tile=[28, 28], grey=True)
    by_hand = np.asarray(Image.open(sprite).convert("L")).reshape(30, 28, 30, 28).transpose(0, 2, 1, 3)
    assert np.array_equal(tiles["image"], by_hand.reshape(900, 1, 28, 28) / np.float32(255))
    textures = images.stimuli(neuro_data / "images" / "textures_cc0")
    assert textures["stimulus_id"].values.tolist() == ["brick", "grass", "gravel"]
    for day, number in (("210325", 640), ("201025", 1200)):
        path = neuro_data / "macaque" / "v4_natural_images" / "images" / f"images_{day}.zip"
        found = images.stimuli(path)
        assert dict(found.sizes) == {"stimulus": number, "channel": 3, "y": 112, "x": 112}
        assert 0 <= float(found["image"].min()) < float(found["image"].max()) <= 1


def test_a_manifest_is_compared_before_reading(tmp_path):
    path = folder(tmp_path / "in")
    names = [f"in/{name}.png" for name in NAMES]
    digests = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names]
    manifest = xr.Dataset(coords={"name": ("file", names), "sha256": ("file", digests)})
    assert images.stimuli(path, manifest=manifest).attrs["verified"] == "sha256 manifest"
    (path / "b.png").write_bytes(png(PIXELS[0]))
    with pytest.raises(ValueError, match=r"b\.png: digest differs"):
        images.stimuli(path, manifest=manifest)


def test_the_child_gives_the_same(tmp_path, monkeypatch):
    here = images.stimuli(folder(tmp_path / "in"))
    monkeypatch.delenv("NEUROLOOP_CHILD")
    assert images.stimuli(tmp_path / "in").identical(here)
