from __future__ import annotations

import hashlib
import os
import random
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from datasets import example, same

from pipeline import _sidecar, store


def test_what_is_written_is_read_back_with_its_types_labels_and_attributes(tmp_path: Path) -> None:
    store.write(example(), tmp_path / "a.nc", "key")
    back = store.read(tmp_path / "a.nc")
    assert same(example(), back)
    assert back["stimulus_id"].dtype.kind == "U"
    assert back["bad"].dtype == bool
    assert "coordinates" not in back.attrs
    assert back.attrs == {
        "origin": "simulated", "rate": 2.5, "count": 3, "list": '[1, "x"]', "nothing": "null", "flag": 1,
    }  # fmt: skip


def test_plain_xarray_reads_the_same(tmp_path: Path) -> None:
    store.write(example().drop_vars(["phase", "none", "half"]), tmp_path / "a.nc", "key")
    with xr.open_dataset(tmp_path / "a.nc") as opened:
        assert same(opened.load(), store.read(tmp_path / "a.nc"))


def test_every_variable_is_under_fletcher32_and_what_compresses_is_compressed(tmp_path: Path) -> None:
    import netCDF4

    store.write(example(), tmp_path / "a.nc", "key")
    with netCDF4.Dataset(tmp_path / "a.nc") as file:
        for name, variable in file.variables.items():
            assert variable.filters()["fletcher32"], name
            assert variable.filters()["zlib"] is (variable.dtype.kind in "iuS"), name
            assert variable.ndim > 0
            assert variable.dtype is not str


@pytest.mark.parametrize(
    "how", ["again", "read back", "chunked", "streamed", "streamed in other chunks", "threads"]
)
def test_r07_bytes_depend_on_nothing_but_the_dataset(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CHUNK", 4096)
    first = store.write(example(size=60), tmp_path / "a.nc", "key")
    dataset = example(size=60)
    if how == "read back":
        dataset = store.read(tmp_path / "a.nc")
    if how in ("chunked", "threads"):
        dataset = dataset.chunk({"presentation": 7, "time": 5})
    if how.startswith("streamed"):
        monkeypatch.setattr(store, "FIT", 1)
        monkeypatch.setattr(store, "SLAB", 6000)
        dataset = dataset.chunk({"presentation": 11} if how == "streamed" else {"time": 5, "neuroid": 2})
    if how == "threads":
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda n: store.write(dataset, tmp_path / f"{n}.nc", "key"), range(12)))
        assert set(made) == {first}
    else:
        assert store.write(dataset, tmp_path / "b.nc", "key") == first


def test_large_variables_are_lazy_and_hold_no_file_open(tmp_path: Path) -> None:
    dataset = example(size=4000)
    store.write(dataset, tmp_path / "a.nc", "key")
    before = len(os.listdir("/proc/self/fd"))
    back = store.read(tmp_path / "a.nc")
    assert back["response"].chunks is not None
    assert back["stimulus_id"].chunks is None
    assert same(dataset, back)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lazy_variable_is_not_read_from_a_file_that_was_replaced(tmp_path: Path) -> None:
    store.write(example(size=4000), tmp_path / "a.nc", "key")
    back = store.read(tmp_path / "a.nc")
    store.write(example(1, size=4000), tmp_path / "a.nc", "key")
    with pytest.raises(OSError, match="was replaced while it was read"):
        back["response"].values  # noqa: B018
    assert same(example(1, size=4000), store.read(tmp_path / "a.nc"))


def test_the_sidecar_is_what_sha256sum_checks(tmp_path: Path) -> None:
    digest = store.write(example(), tmp_path / "a.nc", "0123")
    assert digest == hashlib.sha256((tmp_path / "a.nc").read_bytes()).hexdigest()
    subprocess.run(
        ["sha256sum", "-c", "--strict", "a.nc.sha256"], cwd=tmp_path, check=True, capture_output=True
    )
    assert store.verify(tmp_path / "a.nc") == (digest, "0123", store.SCHEMA, "")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.assign(x=3.0), "is a scalar"),
        (lambda d: d.rename(count="a/b"), "cannot be stored under that name"),
        (lambda d: d.rename(label="a b"), "with a space in its name"),
        (lambda d: d.assign_attrs(coordinates="x"), "'coordinates' cannot be stored under that name"),
        (lambda d: d.assign_attrs({3: "x"}), "attribute 3"),
        (lambda d: d.assign_attrs(x=object()), "attribute 'x' is a object"),
        (lambda d: d.assign(x=("time", np.arange(12).astype("M8[ns]"))), "has type datetime64"),
        (lambda d: d.assign(x=("time", np.arange(12).astype("f16"))), "has type float128"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(change: Callable, why: str, tmp_path: Path) -> None:
    store.write(example(), tmp_path / "a.nc", "key")
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    with pytest.raises(ValueError, match=why):
        store.write(change(example()), tmp_path / "a.nc", "key")
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


# Damage


def refused(path: Path) -> bool:
    """Whether the store says in one line that it will not have a file; else it must give what was written."""
    if store.status(path, "key") == "done":
        assert same(example(), store.read(path))
        return False
    with pytest.raises(ValueError) as caught:
        store.read(path)
    line = str(caught.value)
    return str(path) in line and ("digest differs" in line or "unverified" in line) and "\n" not in line


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "a.nc"
    store.write(example(), path, "key")
    return path


def copied(good: Path, folder: Path, content: bytes) -> Path:
    path = folder / "a.nc"
    path.write_bytes(content)
    (folder / "a.nc.sha256").write_bytes((good.parent / "a.nc.sha256").read_bytes())
    return path


@pytest.mark.parametrize("seed", range(10))
def test_r04_two_hundred_truncations_are_all_refused(seed: int, good: Path, tmp_path: Path) -> None:
    raw = good.read_bytes()
    for cut in random.Random(seed).sample(range(len(raw)), 20):
        assert refused(copied(good, tmp_path, raw[:cut])), cut
    assert not refused(copied(good, tmp_path, raw))


@pytest.mark.parametrize("seed", range(10))
def test_r05_two_hundred_bit_flips_and_zero_blocks_are_all_refused(
    seed: int, good: Path, tmp_path: Path
) -> None:
    raw = good.read_bytes()
    dice = random.Random(seed)
    for number in range(20):
        bad = bytearray(raw)
        if number % 4 == 3:
            start = dice.randrange(0, len(raw) - 512)
            bad[start : start + 512] = bytes(512)
        else:
            for _ in range(1 + 7 * (number % 2)):
                bad[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        if bytes(bad) != raw:
            assert refused(copied(good, tmp_path, bytes(bad))), number
    assert not refused(copied(good, tmp_path, raw))


@pytest.mark.parametrize("seed", range(4))
def test_r05_fletcher32_alone_finds_what_changes_after_the_digest(
    seed: int, good: Path, tmp_path: Path
) -> None:
    """The same flips with the digest made to fit: the file's own checksums, or its structure, must say so."""
    raw, dice = good.read_bytes(), random.Random(seed)
    import netCDF4

    with netCDF4.Dataset(good) as file:
        values = file["response"][:].tobytes()
    start = raw.index(values[:64])
    for _ in range(10):
        bad = bytearray(raw)
        bad[start + dice.randrange(len(values))] ^= 1 << dice.randrange(8)
        path = copied(good, tmp_path, bytes(bad))
        _sidecar.vouch(path, [_sidecar.Entry(_sidecar.digest(path), "key", store.SCHEMA, "")])
        with pytest.raises(RuntimeError, match="HDF error"):
            store.read(path)


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"<html>no such file</html>", b"# schema 1\n# key k\n", b"\xff\xfe"]
)
def test_a_damaged_sidecar_vouches_for_nothing(content: bytes, good: Path, tmp_path: Path) -> None:
    path = copied(good, tmp_path, good.read_bytes())
    (tmp_path / "a.nc.sha256").write_bytes(content)
    assert refused(path)
    (tmp_path / "a.nc.sha256").unlink()
    assert refused(path)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    assert store.status(tmp_path / "a.nc", "key") == "missing"
    with pytest.raises(FileNotFoundError):
        store.read(tmp_path / "a.nc")


@pytest.mark.parametrize("year", [1990, 2090])
def test_f49_time_decides_nothing(year: int, good: Path, tmp_path: Path) -> None:
    raw = good.read_bytes()
    path = copied(good, tmp_path, raw)
    then = time.mktime((year, 1, 1, 0, 0, 0, 0, 0, 0))
    os.utime(path, (then, then))
    assert store.status(path, "key") == "done"
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    os.utime(path, (then, then))
    assert store.status(path, "key") == "damaged"


def test_f50_a_newer_schema_is_left_alone_with_advice_and_an_older_one_is_stale(
    good: Path, tmp_path: Path
) -> None:
    path = copied(good, tmp_path, good.read_bytes())
    side = tmp_path / "a.nc.sha256"
    side.write_text(side.read_text().replace(f"# schema {store.SCHEMA}", f"# schema {store.SCHEMA + 1}"))
    for act in (lambda: store.read(path), lambda: store.status(path, "key")):
        with pytest.raises(ValueError, match=r"made by a newer version .*; update the software"):
            act()
    assert store.status(path.with_name("b.nc"), "key") == "missing"
