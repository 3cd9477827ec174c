"""Bad recordings and trees: each fault is told in one line by name, and its sound twin passes."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import xarray as xr

from loaders import _child, _events, _meg_files, meg

SFREQ = 250.0
NAMES = ["MEG0111", "MEG0112", "MEG0113", "EEG001", "EEG002"]
KINDS = ["mag", "grad", "grad", "eeg", "eeg"]
SIZE = np.array([[3e-13], [4e-12], [4e-12], [1e-5], [1e-5]])
ONSETS = np.arange(1, 11) * 0.9
KIND = np.array(["known", "strange"] * 5)
STEM = "sub-01_task-faces_run-{:02d}"


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_child.INSIDE, "1")


def recording(
    seed: int = 0, names: list[str] = NAMES, change: Callable[[np.ndarray], Any] = lambda data: None
) -> Any:
    data = SIZE * np.random.default_rng(seed).standard_normal((5, round(11 * SFREQ)))
    if change is not None:
        change(data)
    raw = mne.io.RawArray(data, mne.create_info(NAMES, SFREQ, KINDS), verbose="error")
    return raw.reorder_channels(names)


def rows(columns: str = "onset duration trial_type stim_file", start: int = 0) -> list[list[str]]:
    table = [columns.split(" ")]
    for k, (onset, kind) in enumerate(zip(ONSETS, KIND, strict=True)):
        table.append([f"{onset:.4f}", "0.3", kind, f"{(start + k) % 4}.png"])
    return table


def save_table(path: Path, table: list[list[str]]) -> None:
    path.write_text("\n".join("\t".join(row) for row in table) + "\n")


def save_run(root: Path, run: int, raw: Any = None, table: list[list[str]] | None = None) -> Path:
    folder = root / "sub-01" / "meg"
    folder.mkdir(parents=True, exist_ok=True)
    stem = STEM.format(run)
    (raw or recording(run)).save(folder / f"{stem}_meg.fif", overwrite=True, verbose="error")
    save_table(folder / f"{stem}_events.tsv", table or rows(start=run))
    types = [{"mag": "MEGMAG", "grad": "MEGGRADPLANAR", "eeg": "EEG"}[kind] for kind in KINDS]
    channels = [
        ["name", "type", "status"],
        *([name, kind, "good"] for name, kind in zip(NAMES, types, strict=True)),
    ]
    save_table(folder / f"{stem}_channels.tsv", channels)
    return folder / f"{stem}_meg.fif"


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    root = tmp_path / "bids"
    for run in (1, 2):
        save_run(root, run)
    describe(root)
    save_table(root / "participants.tsv", [["participant_id"], ["sub-01"]])
    return root


def describe(root: Path, **more: Any) -> None:
    told = {"Name": "x", "BIDSVersion": "1.9.0"} | more
    (root / "dataset_description.json").write_text(json.dumps(told))


def fif_of(root: Path, run: int = 1) -> Path:
    return root / "sub-01" / "meg" / f"{STEM.format(run)}_meg.fif"


def events_of(root: Path, run: int = 1) -> Path:
    return root / "sub-01" / "meg" / f"{STEM.format(run)}_events.tsv"


def load(path: Path, **options: Any) -> xr.Dataset:
    return meg.epochs(path, **{"trigger_delay_s": 0, **options})


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ValueError) as told:
        load(path, **options)
    assert "\n" not in str(told.value)
    return str(told.value)


def manifest(root: Path) -> xr.Dataset:
    files = sorted(item for item in root.rglob("*") if item.is_file())
    digests = [hashlib.sha256(item.read_bytes()).hexdigest() for item in files]
    names = [item.relative_to(root).as_posix() for item in files]
    return xr.Dataset(coords={"name": ("file", names), "sha256": ("file", digests)})


def tags(data: bytes) -> list[int]:
    ends, position = [], 0
    while position < len(data):
        position += 16 + struct.unpack(">4i", data[position : position + 16])[2]
        ends.append(position)
    return ends


def test_the_sound_tree_is_silent(bids: Path) -> None:
    found = load(bids)
    assert found.sizes["presentation"] == 20
    assert found.attrs["verified"] == "unverified"
    xr.testing.assert_identical(load(bids / "sub-01"), found)


def test_f01_fif_cut_at_any_byte(bids: Path, tmp_path: Path) -> None:
    data = fif_of(bids).read_bytes()
    assert _meg_files.scan_fif(fif_of(bids)).blocks >= {100, 102}
    boundaries = tags(data)[:-1]
    random = np.random.default_rng(0).integers(1, len(data), 200).tolist()
    cut = tmp_path / "cut_raw.fif"
    for size in [*boundaries, *random, len(data) - 1]:
        cut.write_bytes(data[:size])
        with pytest.raises(ValueError, match=rf"cut_raw.fif: cut: {size} bytes, header promises \d+"):
            _meg_files.scan_fif(cut)
    cut.write_bytes(b"")
    assert "is empty (0 bytes)" in refusal(cut)


def test_f01_cut_fif_in_a_tree_and_gzipped(bids: Path, tmp_path: Path) -> None:
    data = fif_of(bids).read_bytes()
    packed = tmp_path / "x_raw.fif.gz"
    packed.write_bytes(gzip.compress(data))
    assert _meg_files.scan_fif(packed).blocks >= {100, 102}
    packed.write_bytes(gzip.compress(data)[:-1000])
    assert "x_raw.fif.gz: cut: " in refusal(packed)
    packed.write_bytes(gzip.compress(data[:-1000]))
    assert re.search(rf"cut: {len(data) - 1000} bytes, header promises", refusal(packed))
    fif_of(bids, 2).write_bytes(data[:-1000])
    assert re.search(
        rf"run-02_meg.fif: cut: {len(data) - 1000} bytes, header promises", refusal(bids / "sub-01")
    )


def flip(data: bytearray, at: int) -> None:
    data[at] ^= 1 << at % 8


def blank(data: bytearray, at: int) -> None:
    data[at : at + 512] = bytes(len(data[at : at + 512]))


@pytest.mark.parametrize("harm", [flip, blank])
def test_f02_changed_bytes_with_a_manifest(bids: Path, harm: Callable[[bytearray, int], None]) -> None:
    listed = manifest(bids)
    assert load(bids / "sub-01", manifest=listed).attrs["verified"] == "sha256 manifest"
    sound = fif_of(bids).read_bytes()
    for at in np.random.default_rng(1).integers(20000, len(sound) - 600, 20).tolist():
        data = bytearray(sound)
        harm(data, at)
        fif_of(bids).write_bytes(data)
        assert "run-01_meg.fif: digest differs from the manifest" in refusal(bids / "sub-01", manifest=listed)
    fif_of(bids).write_bytes(sound)
    events_of(bids).write_text(events_of(bids).read_text().replace("known", "knows", 1))
    assert "run-01_events.tsv: digest differs" in refusal(bids / "sub-01", manifest=listed)


def test_f02_a_file_that_the_manifest_does_not_list(bids: Path) -> None:
    listed = manifest(bids).isel(file=slice(0, -1))
    assert "run-02_meg.fif: is not in the manifest" in refusal(bids, manifest=listed)


@pytest.mark.parametrize("way", ["SHA256E", "MD5E", "SHA256"])
def test_f02_changed_bytes_with_an_annex_link(bids: Path, tmp_path: Path, way: str) -> None:
    annex(bids, fif_of(bids), way)
    annex(bids, fif_of(bids, 2), way)
    assert load(bids).attrs["verified"] == "unverified"  # the tables are not annexed
    one = tmp_path / "task_raw.fif"
    one.symlink_to(fif_of(bids).resolve())
    assert load(one, window=None).attrs["verified"] == "annex key"
    assert load(one, window=None).attrs["sources"] == "task_raw.fif"
    stored = fif_of(bids).resolve()
    data = bytearray(stored.read_bytes())
    flip(data, 30000)
    stored.write_bytes(data)
    assert "run-01_meg.fif: digest differs from its annex key; run 'datalad get" in refusal(bids)


def annex(root: Path, path: Path, way: str) -> None:
    data = path.read_bytes()
    digest = (hashlib.md5 if way.startswith("MD5") else hashlib.sha256)(data).hexdigest()
    stored = (
        root
        / ".git"
        / "annex"
        / "objects"
        / f"{way}-s{len(data)}--{digest}{'.fif' if way.endswith('E') else ''}"
    )
    stored.parent.mkdir(parents=True, exist_ok=True)
    path.rename(stored)
    path.symlink_to(os.path.relpath(stored, path.parent))


def split_tree(root: Path) -> Path:
    raw = recording(1)
    long = mne.io.RawArray(np.tile(raw.get_data(), 60), raw.info, verbose="error")
    table = rows()
    table += [[f"{float(row[0]) + 11 * k:.4f}", *row[1:]] for k in range(1, 60) for row in table[1:]]
    folder = save_run(root, 1, table=table).parent
    fif_of(root).unlink()
    long.save(fif_of(root), split_size=2_500_000, split_naming="bids", buffer_size_sec=1, verbose="error")
    describe(root)
    assert len(list(folder.glob("*split*"))) > 1
    return folder


@pytest.mark.parametrize("way", ["delete", "rename"])
def test_f03_later_part_of_a_split_fif_is_missing(tmp_path: Path, way: str) -> None:
    folder = split_tree(tmp_path)
    assert load(tmp_path).sizes["presentation"] == 600
    parts = sorted(folder.glob("*split*.fif"))
    if way == "delete":
        parts[1].unlink()
    else:
        parts[1].rename(folder / "later.fif")
    assert f"the part {parts[1].name} is missing or renamed" in refusal(tmp_path)
    with pytest.warns(UserWarning, match=rf"the part {parts[1].name} is missing: \d+ trials are lost"):
        found = load(tmp_path, allow_partial=True)
    assert 0 < found.sizes["presentation"] < 600
    with pytest.warns(UserWarning, match=rf"the part {parts[1].name} is missing: the recording ends"):
        load(tmp_path, allow_partial=True, window=None)
    assert found.attrs["n_lost"] + found.attrs["n_events"] == 600
    if way == "delete":
        parts[0].unlink()
        assert "the part split-01 is missing or was renamed" in refusal(tmp_path)


@pytest.mark.parametrize("which", [fif_of, events_of])
@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (None, "content not fetched: run 'datalad get "),
        (b"/annex/objects/SHA256E-s99--" + b"0" * 64 + b".fif\n", "content not fetched: run 'datalad get "),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "run 'git lfs pull"),
    ],
    ids=["broken link", "annex pointer", "lfs pointer"],
)
def test_f04_content_is_not_fetched(
    bids: Path, which: Callable[[Path], Path], content: bytes | None, advice: str
) -> None:
    path = which(bids)
    path.unlink()
    if content is None:
        path.symlink_to("../../.git/annex/objects/SHA256E-s99--00.fif")
    else:
        path.write_bytes(content)
    told = refusal(bids)
    assert told.startswith(f"{path}: ")
    assert advice in told


def test_f05_nothing_is_written_beside_the_input(bids: Path) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        items = [bids, *bids.rglob("*")]
        return {
            str(item): (item.stat().st_mtime_ns, b"" if item.is_dir() else item.read_bytes())
            for item in items
        }

    before = state()
    for item in [bids, *bids.rglob("*")]:
        item.chmod(0o555 if item.is_dir() else 0o444)
    load(bids, l_freq=1, h_freq=30)
    meg.events(bids)
    assert state() == before


def test_cut_brainvision_and_edf_samples(tmp_path: Path) -> None:
    raw = recording().pick("eeg")
    raw.set_annotations(mne.Annotations(ONSETS, 0.1, KIND))
    for name in ("x.edf", "x.vhdr"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mne.export.export_raw(tmp_path / name, raw, verbose="error")
        assert load(tmp_path / name).sizes["presentation"] == 10
    for name, samples, lost in (
        ("x.edf", "x.edf", 999),
        ("x.vhdr", "x.eeg", 3),
        ("x.vhdr", "x.eeg", 8 * 1000 - 3),
    ):
        path = tmp_path / samples
        path.write_bytes(path.read_bytes()[:-lost])
        assert re.search(r"x\.\w+: cut: ", refusal(tmp_path / name))


@pytest.mark.parametrize(
    "names",
    [
        ["meg/readers/kit/MQKIT_125_2sec.con"],
        ["meg/audvis_evoked/kit_test.sqd"],
        ["eeg/visual_attention/test_raw.set", "eeg/visual_attention/test_raw.fdt"],
        ["eeg/visual_attention/test_raw.fdt", "eeg/visual_attention/test_raw.set"],
    ],
    ids=["con", "sqd", "set", "fdt"],
)
def test_cut_vendor_files_are_told_in_one_line(neuro_data: Path, tmp_path: Path, names: list[str]) -> None:
    copies = [tmp_path / Path(name).name for name in names]
    for name, copy in zip(names, copies, strict=True):
        shutil.copyfile(neuro_data / name, copy)
    asked = next(copy for copy in copies if copy.suffix != ".fdt")
    assert load(asked, window=None).sizes["presentation"] == 1
    sound = copies[0].read_bytes()
    for size in np.random.default_rng(0).integers(1, len(sound), 10).tolist():
        copies[0].write_bytes(sound[:size])
        assert refusal(asked, window=None).startswith((f"{asked}: cannot be read: ", f"{asked}: all "))


@pytest.mark.parametrize("lost", ["sample", "block"])
@pytest.mark.filterwarnings("ignore:.*(flat|saturated) channels:UserWarning")
def test_f06_ctf_size_does_not_fit_its_header(neuro_data: Path, tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "x.ds"
    shutil.copytree(neuro_data / "meg/readers/ctf/somMDYO-18av.ds", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    for item in folder.iterdir():
        item.rename(folder / item.name.replace("somMDYO-18av", "x"))
    samples = folder / "x.meg4"
    full = samples.stat().st_size
    assert load(folder, window=(-0.01, 0.05)).sizes["presentation"] > 0
    less = 4 * 181 if lost == "sample" else (full - 8) // 2
    samples.write_bytes(samples.read_bytes()[:-less])
    numbers = rf"x.meg4: cut: {full - 8 - less} bytes of samples, the header promises {full - 8} "
    assert re.search(numbers, refusal(folder, window=None))
    if lost == "block":
        assert load(folder, window=None, allow_partial=True).sizes["time"] == 313


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "run-01_events.tsv: is missing"),
        ("", "run-01_events.tsv: is empty"),
        ("onset\tduration\ttrial_type\n", "run-01_events.tsv: has a header and no trials"),
    ],
    ids=["missing", "empty", "header only"],
)
def test_f07_events_table_has_no_trials(bids: Path, text: str | None, message: str) -> None:
    events_of(bids).unlink()
    if text is not None:
        events_of(bids).write_text(text)
    assert message in refusal(bids)


@pytest.mark.parametrize("cell", ["n/a", "nan", "soon", "", "inf", "1_0"])
def test_f08_onset_is_not_a_number(bids: Path, cell: str) -> None:
    table = rows()
    table[6][0] = cell
    save_table(events_of(bids), table)
    assert f"run-01_events.tsv:7: onset {cell!r} is not a number" in refusal(bids)


def test_f08_onset_column_is_missing(bids: Path) -> None:
    save_table(events_of(bids), rows("onsets duration trial_type stim_file"))
    assert "run-01_events.tsv:1: no column 'onset' among onsets, duration" in refusal(bids)
    assert "did you mean 'onsets'?" in refusal(bids)


@pytest.mark.parametrize("factor", [500, 1000])
def test_f09_durations_in_samples_or_ms(bids: Path, factor: int) -> None:
    table = rows()
    for row in table[1:]:
        row[1] = f"{0.3 * factor:g}"
    save_table(events_of(bids), table)
    told = refusal(bids)
    assert re.search(
        rf"column duration: 100% last longer than the gap .* {0.3 * factor / 0.9:.3g} times", told
    )
    assert "in ms (x 1000) or samples (x 250)?" in told


def test_f09_a_block_design_passes_and_overlap_is_remarked(bids: Path) -> None:
    blocks = [["0.5000", "4.5", "block", "n/a"], ["5.0000", "4.5", "block", "n/a"]]
    table = rows()
    save_table(events_of(bids), [table[0], *sorted(table[1:] + blocks, key=lambda row: float(row[0]))])
    assert load(bids, events=["known", "strange"]).sizes["presentation"] == 20
    for row in table[1:]:
        row[1] = "1.2"
    save_table(events_of(bids), table)
    with pytest.warns(UserWarning, match=r"duration: 100% last longer than the gap .*; trials overlap"):
        load(bids)


def test_f10_unsorted_onsets_are_sorted(bids: Path) -> None:
    sound, table = load(bids), rows(start=1)
    shuffled = [table[0], *(table[1:][k] for k in np.random.default_rng(0).permutation(10))]
    save_table(events_of(bids), shuffled)
    with pytest.warns(UserWarning, match=r"events.tsv:\d+: onset .* follows a later one; rows were sorted"):
        found = load(bids)
    xr.testing.assert_identical(found, sound)


@pytest.mark.parametrize(
    ("line", "onset", "message"),
    [
        (3, "-0.5", r"events.tsv:3: onset '-0.5' is negative"),
        (
            11,
            "11.2",
            r"events.tsv:11: onset 11.2 s: 1 onsets are after the end .* lasts 11 s",
        ),
        (6, "3.6000", r"events.tsv: 3.6 s: .* share a sample"),
    ],
    ids=["negative", "past the end", "duplicated"],
)
def test_f10_impossible_onsets(bids: Path, line: int, onset: str, message: str) -> None:
    table = rows()
    table[line - 1][0] = onset
    save_table(events_of(bids), table)
    assert re.search(message, refusal(bids))


def test_f10_one_row_twice(bids: Path) -> None:
    table = rows()
    table.insert(5, list(table[4]))
    save_table(events_of(bids), table)
    assert "events.tsv:6: onset 3.6 'strange' stands in line 5 too" in refusal(bids)


def test_f11_nothing_is_dropped_silently(bids: Path) -> None:
    table = rows("onset duration trial_type value")
    for k, row in enumerate(table[1:]):
        row[2:] = ["n/a", str(k % 3)]
    save_table(events_of(bids), table)
    save_table(events_of(bids, 2), table)
    found = load(bids)
    assert found.attrs["condition_column"] == "value"
    assert found.attrs["condition_counts"] == "0 8, 1 6, 2 6"
    part = load(bids, events={"first": 0, "second": 1})
    assert part.attrs["n_events"] == 20
    assert part.attrs["n_selected"] == part.sizes["presentation"] == 14


def test_f11_a_column_of_some_runs_is_not_dropped_silently(bids: Path) -> None:
    table = [[*row, "extra" if k == 0 else "1"] for k, row in enumerate(rows(start=1))]
    save_table(events_of(bids), table)
    with pytest.warns(UserWarning, match="columns extra: do not stand in every run; left out"):
        assert "extra" not in load(bids).coords
    save_table(events_of(bids, 2), [[*row, "extra" if k == 0 else "n/a"] for k, row in enumerate(rows())])
    assert load(bids).extra.values.tolist() == ["1"] * 10 + ["n/a"] * 10


@pytest.mark.parametrize(
    "change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")], ids=["BOM", "CRLF"]
)
def test_f12_byte_order_marks_and_line_ends_do_not_matter(bids: Path, change: Callable[[str], str]) -> None:
    sound = load(bids)
    events_of(bids).write_bytes(change(events_of(bids).read_text()).encode())
    xr.testing.assert_identical(load(bids), sound)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("strange", "fremd\xe4", 1).encode("latin-1"),
            r":3: byte 0xe4: is not UTF-8",
        ),
        (lambda text: text.replace("\t", "  ").encode(), r":1: looks separated by spaces"),
        (
            lambda text: text.replace("\tstrange\t", " strange ", 1).encode(),
            r":3: has 2 cells the header 4 .*spaces",
        ),
        (
            lambda text: text.replace("\tstrange", '\t"a\tb"', 1).encode(),
            r":3: has 5 cells the header 4 .*quoted tab",
        ),
    ],
    ids=["Latin-1", "all spaces", "spaces in a line", "quoted tab"],
)
def test_f12_other_encodings_are_told_by_line(
    bids: Path, change: Callable[[str], bytes], message: str
) -> None:
    events_of(bids).write_bytes(change(events_of(bids).read_text()))
    assert re.search(f"run-01_events.tsv{message}", refusal(bids))


def test_f13_commas_between_columns(bids: Path) -> None:
    events_of(bids).write_text(events_of(bids).read_text().replace("\t", ","))
    assert "run-01_events.tsv:1: looks comma separated" in refusal(bids)


@pytest.mark.parametrize(("column", "cell"), [(0, "2,7"), (1, "0,3")])
def test_f13_decimal_commas(bids: Path, column: int, cell: str) -> None:
    table = rows()
    table[3][column] = cell
    save_table(events_of(bids), table)
    word = ["onset", "duration"][column]
    assert f"run-01_events.tsv:4: {word} {cell!r} has a decimal comma" in refusal(bids)


def test_f14_channels_are_aligned_by_name(bids: Path) -> None:
    sound = load(bids)
    save_run(bids, 2, recording(2, names=NAMES[::-1]), rows(start=2))
    xr.testing.assert_identical(load(bids), sound)


def test_f14_runs_differ(bids: Path) -> None:
    save_run(bids, 2, recording(2).drop_channels(["EEG002"]))
    assert "run 2: channels differ from the first run's: EEG002" in refusal(bids)
    assert load(bids, kinds=["mag", "grad"]).sizes["neuroid"] == 3
    save_run(bids, 2, recording(2).resample(200, verbose="error"))
    assert "run 2: 200 Hz and the first 250 Hz; give resample_hz" in refusal(bids)
    assert load(bids, resample_hz=100).attrs["sampling_rate_hz"] == 100


def test_f14_a_channel_bad_in_one_run_is_left_out_of_all(bids: Path) -> None:
    path = bids / "sub-01" / "meg" / f"{STEM.format(2)}_channels.tsv"
    path.write_text(path.read_text().replace("EEG001\tEEG\tgood", "EEG001\tEEG\tbad"))
    found = load(bids)
    assert "EEG001" not in found.neuroid_id.values
    assert "EEG001" in found.attrs["bad_channels"]


def test_f15_two_channels_have_one_name(bids: Path) -> None:
    table = bids / "sub-01" / "meg" / f"{STEM.format(1)}_channels.tsv"
    sound = table.read_text()
    table.write_text(sound.replace("EEG002", "EEG001"))
    assert f"{table}: EEG001 stand more than once" in refusal(bids)
    table.write_text(sound)
    data = fif_of(bids).read_bytes()
    assert data.count(b"MEG0113\0") == 1
    fif_of(bids).write_bytes(data.replace(b"MEG0113\0", b"MEG0112\0"))
    assert re.search(r"run-01_meg.fif: channel names .*MEG0112.* stand twice", refusal(bids))


@pytest.mark.parametrize("power", [-9, -6, -3, 3, 6, 9, 12, 15])
@pytest.mark.parametrize("kind", ["mag", "grad", "eeg"])
def test_f16_wrong_units(bids: Path, kind: str, power: int) -> None:
    def scale(data: np.ndarray) -> None:
        data[[k for k, item in enumerate(KINDS) if item == kind]] *= 10.0**power

    save_run(bids, 1, recording(1, change=scale))
    told = refusal(bids)
    assert re.search(rf"run-01_meg.fif: {kind}: typical deviation .* a factor of about 1e{power};", told)
    others = [item for item in ("mag", "grad", "eeg") if item != kind]
    assert load(bids, kinds=others).sizes["presentation"] == 20
    assert load(bids, check_units=False).sizes["presentation"] == 20


def harmed(what: str) -> Callable[[np.ndarray], None]:
    def change(data: np.ndarray) -> None:
        if what in ("flat", "all"):
            data[1] = 0.0
        if what in ("saturated", "all"):
            data[3] = np.clip(data[3], -1e-5, 1e-5)
        if what in ("NaN", "all"):
            data[4, 700] = np.nan
        if what == "Inf":
            data[0, 50:60] = np.inf

    return change


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("NaN", r"run-01_meg.fif: channel EEG002: nan at sample 700, 1 in all"),
        ("Inf", r"run-01_meg.fif: channel MEG0111: inf at sample 50, 10 in all"),
        ("all", r"run-01_meg.fif: channel EEG002: nan at sample 700, 1 in all"),
    ],
)
def test_f17_not_numbers_are_told_by_channel_and_sample(bids: Path, what: str, message: str) -> None:
    save_run(bids, 1, recording(1, change=harmed(what)))
    assert re.search(message, refusal(bids))


@pytest.mark.parametrize(("what", "name"), [("flat", "MEG0112"), ("saturated", "EEG001")])
def test_f17_flat_and_saturated_channels_are_remarked(bids: Path, what: str, name: str) -> None:
    assert load(bids).attrs[f"{what}_channels"] == "none"
    save_run(bids, 1, recording(1, change=harmed(what)))
    with pytest.warns(UserWarning, match=rf"run-01_meg.fif: 1 {what} channels: {name}; mark them bad"):
        found = load(bids)
    assert name in found.attrs[f"{what}_channels"]
    assert name in found.neuroid_id.values


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.04])
def test_f18_a_planted_delay_moves_the_onset_by_itself(bids: Path, delay: float) -> None:
    def plant(data: np.ndarray) -> None:
        for onset in ONSETS:
            data[0, round((onset + delay + 0.1) * SFREQ) :] += (
                5e-12  # the answer, 100 ms after the true onset
            )

    save_run(bids, 1, recording(1, change=plant))
    (bids / "sub-01" / "meg" / f"{STEM.format(2)}_meg.fif").unlink()

    def onset(stated: float) -> float:
        found = load(bids, trigger_delay_s=stated, baseline=(-0.2, 0))
        mean = found.response.values[:, 0].mean(axis=0)
        assert found.attrs["trigger_delay_s"] == stated
        return float(found.time.values[np.argmax(mean > 2.5e-12)])

    assert onset(0.0) == pytest.approx(0.1 + delay, abs=1e-9)
    assert onset(delay) == pytest.approx(0.1, abs=1e-9)


def test_f18_an_absent_delay_is_refused(bids: Path) -> None:
    with pytest.raises(TypeError, match="trigger_delay_s"):
        meg.epochs(bids)  # type: ignore[call-arg]


def test_f19_one_subject_under_two_names(bids: Path) -> None:
    shutil.copytree(bids / "sub-01", bids / "sub-1")
    for path in (bids, bids / "sub-01", bids / "sub-1"):
        assert re.search(r"sub-01, sub-1", refusal(path))
    shutil.rmtree(bids / "sub-1")
    assert "no subject '1'; candidates are sub-01" in refusal(bids, subject="1")
    assert load(bids, subject="01").sizes["presentation"] == 20


def test_f19_several_subjects_and_none_is_picked(bids: Path) -> None:
    shutil.copytree(bids / "sub-01", bids / "sub-02")
    assert "holds 2 subjects (sub-01, sub-02); give the path of one" in refusal(bids)


def test_f19_two_files_are_one_run(bids: Path) -> None:
    for item in sorted((bids / "sub-01" / "meg").glob("*run-01*")):
        shutil.copy(item, item.with_name(item.name.replace("run-01", "run-1")))
    told = refusal(bids)
    assert "run-01_meg.fif" in told
    assert "run-1_meg.fif are one run; keep one, none is picked" in told


def test_f19_sessions_and_tasks_are_not_picked(bids: Path) -> None:
    inner = bids / "sub-01" / "ses-b" / "meg"
    inner.mkdir(parents=True)
    for item in sorted((bids / "sub-01" / "meg").glob("*run-02*")):
        shutil.move(item, inner / item.name.replace("sub-01_", "sub-01_ses-b_"))
    assert "holds ses b, none; give session, none is picked" in refusal(bids)
    assert load(bids, session="b").session.values.tolist() == ["b"] * 10
    assert load(bids / "sub-01" / "ses-b").sizes["presentation"] == 10
    assert "holds neither a recording nor an events table" in refusal(bids, session="c")
    for item in sorted((bids / "sub-01" / "meg").iterdir()):
        shutil.copy(item, item.with_name(item.name.replace("task-faces", "task-rest")))
    shutil.rmtree(bids / "sub-01" / "ses-b")
    assert "holds task faces, rest; give task, none is picked" in refusal(bids)
    assert load(bids, task="faces").sizes["presentation"] == 10


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (None, "dataset_description.json: is missing or not JSON"),
        ({"BIDSVersion": "2.0"}, "BIDSVersion '2.0' is not 1.x"),
        ({"BIDSVersion": None}, "BIDSVersion None is not 1.x"),
        ({"DatasetType": "derivative"}, "a derivative without GeneratedBy"),
    ],
    ids=["missing", "version", "no version", "derivative"],
)
def test_f20_the_description_is_lacking(bids: Path, told: dict[str, Any] | None, message: str) -> None:
    sound = load(bids / "sub-01")
    (bids / "dataset_description.json").unlink()
    if told is not None:
        describe(bids, **told)
    with pytest.warns(UserWarning, match=message):
        found = load(bids / "sub-01")
    np.testing.assert_array_equal(found.response.values, sound.response.values)
    assert found.attrs["sources"] == sound.attrs["sources"]


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (["sub-01", "sub-02", "sub-03"], "rows without a folder: sub-02, sub-03$"),
        ([], "folders without a row: sub-01$"),
    ],
    ids=["row without folder", "folder without row"],
)
def test_f21_participants_and_folders_differ(bids: Path, listed: list[str], message: str) -> None:
    sound = load(bids)
    save_table(bids / "participants.tsv", [["participant_id"], *([name] for name in listed)])
    with pytest.warns(UserWarning, match=rf"participants.tsv: {message}"):
        found = load(bids)
    xr.testing.assert_identical(found, sound)


def images(root: Path) -> Path:
    (root / "stimuli").mkdir()
    for k in range(4):
        (root / "stimuli" / f"{k}.png").write_bytes(bytes([k]) * 50)
    return root / "stimuli"


def test_f22_a_stimulus_is_its_content(bids: Path) -> None:
    folder = images(bids)
    sound = load(bids)
    assert sound.stimulus_id.values[:3].tolist() == ["1.png", "2.png", "3.png"]
    one = hashlib.sha256((folder / "1.png").read_bytes()).hexdigest()
    assert set(sound.stimulus_hash.values[sound.stimulus_id.values == "1.png"].tolist()) == {one}
    (folder / "3.png").write_bytes((folder / "1.png").read_bytes())
    with pytest.warns(UserWarning, match=r"stimulus_id 3.png: another name has the same image"):
        found = load(bids)
    assert len(np.unique(found.stimulus_id.values)) == 3
    assert len(np.unique(found.stimulus_hash.values)) == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", r"run-01_events.tsv:2: stim_file '1.png': is not in "),
        ("outside", r"run-01_events.tsv:4: stim_file '../../secret.png': lies outside "),
        ("symlink", r"run-01_events.tsv:2: stim_file '1.png': lies outside "),
        ("two places", r"run-01_events.tsv:2: stim_file '1.png': is two different images"),
        ("two images", r"bids: stimulus_id 'face': names two different images"),
    ],
)
def test_f22_stimuli_that_cannot_be_trusted(bids: Path, fault: str, message: str) -> None:
    folder = images(bids)
    (bids.parent / "secret.png").write_bytes(b"secret")
    table = rows(start=1)
    if fault in ("missing", "symlink"):
        (folder / "1.png").unlink()
    if fault == "symlink":
        (folder / "1.png").symlink_to(bids.parent / "secret.png")
    if fault == "outside":
        table[3][3] = "../../secret.png"
    if fault == "two places":
        (bids / "1.png").write_bytes(b"another")
    if fault == "two images":
        table = [[*row, "stimulus_id" if k == 0 else "face"] for k, row in enumerate(table)]
    save_table(events_of(bids), table)
    assert re.search(message, refusal(bids))


def test_f23_no_trial_is_left(bids: Path) -> None:
    told = refusal(bids, reject={"eeg": 1e-7})
    assert "run-01_meg.fif: all 10 trials were left out (0 at the edges, 0 in bad segments, 10 above" in told
    assert load(bids, reject={"eeg": 1e-3}).attrs["n_rejected"] == 0


@pytest.mark.parametrize("name", ["sub-emptyroom_task-noise_meg.fif", "x_erm_raw.fif", "empty_room_raw.fif"])
def test_f24_an_empty_room_recording(bids: Path, name: str) -> None:
    path = bids.parent / name
    shutil.copy(fif_of(bids), path)
    assert f"{name}: is an empty-room recording" in refusal(path)
    assert load(
        path.with_name("x_raw.fif") if path.rename(path.with_name("x_raw.fif")) else path, window=None
    )


def test_f24_an_empty_room_subject(bids: Path) -> None:
    (bids / "sub-emptyroom").mkdir()
    assert "sub-emptyroom: is an empty-room recording" in refusal(bids / "sub-emptyroom")
    assert load(bids).sizes["presentation"] == 20


def test_f24_raw_maxshield_data(neuro_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "faces_raw.fif"
    shutil.copyfile(neuro_data / "meg/readers/neuromag_fif/test_move_anon_erm_raw.fif", path)
    assert f"{path}: is raw MaxShield data, which needs Maxwell filtering" in refusal(path)


def test_faults_cross_the_child_process(bids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_child.INSIDE)
    table = rows()
    table[6][0] = "n/a"
    save_table(events_of(bids), table)
    assert "run-01_events.tsv:7: onset 'n/a' is not a number" in refusal(bids)
    save_table(events_of(bids), [rows()[0], *rows()[:0:-1]])
    with pytest.warns(UserWarning, match="rows were sorted"):
        assert load(bids).sizes["presentation"] == 20
    assert _events.table(events_of(bids, 2)).sizes["presentation"] == 10
