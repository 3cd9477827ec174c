"""Epochs equal mne's own on the same file, whatever the format; real files load or are refused by name."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import xarray as xr
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from loaders import _child, meg
from loaders._meg_files import kind as kind_of

SFREQ = 250.0
SIZE = {"mag": 3e-13, "grad": 4e-12, "eeg": 1e-5, "eog": 5e-5}
KINDS = ["mag", "grad", "grad", "eeg", "eeg", "eog"]
NAMES = ["MEG0111", "MEG0112", "MEG0113", "EEG001", "EEG002", "EOG061"]
GOOD = [name for name in NAMES[:5] if name != "EEG002"]  # which `fif` marks bad
ONSETS = np.arange(1, 19) * 250 + np.arange(18) % 7  # samples
CODES = np.tile([5, 13, 17], 6)
EXPORTED = 0.25  # of a sample: mne's BrainVision export cuts onsets to whole samples, where 501 may be 500.99


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_child.INSIDE, "1")


def noise(seed: int = 0, kinds: list[str] = KINDS, seconds: float = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((len(kinds), round(seconds * SFREQ))) * np.array(
        [[SIZE[kind]] for kind in kinds]
    )


def recording(seed: int = 0, stim: bool = True) -> mne.io.RawArray:
    info = mne.create_info([*NAMES, "STI101"] if stim else NAMES, SFREQ, [*KINDS, "stim"] if stim else KINDS)
    trigger = np.zeros((1, 5000))
    for offset in range(5):
        trigger[0, ONSETS + offset] = CODES
    data = noise(seed)
    raw = mne.io.RawArray(np.concatenate([data, trigger]) if stim else data, info, verbose="error")
    with raw.info._unlock():
        for k, item in enumerate(raw.info["chs"]):
            item["loc"][:3] = [0.01 * k, 0.02, 0.1]
    return raw


@pytest.fixture(scope="module")
def fif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fif") / "faces_raw.fif"
    raw = recording()
    raw.info["bads"] = ["EEG002"]
    raw.save(path, verbose="error")
    return path


def peer(path: Path, window: tuple[float, float] = (-0.2, 0.6), delay: int = 0, **options: Any) -> mne.Epochs:
    raw = mne.io.read_raw(path, preload=True, verbose="error")
    samples = np.stack([ONSETS + raw.first_samp + delay, 0 * ONSETS, CODES], axis=1)
    options = {"baseline": None, "proj": False, "preload": True, "picks": GOOD} | options
    return mne.Epochs(raw, samples, None, *window, verbose="error", **options)


def test_epochs_equal_those_of_mne(fif: Path) -> None:
    ours, theirs = meg.epochs(fif, trigger_delay_s=0), peer(fif)
    np.testing.assert_array_equal(ours.response.values, theirs.get_data(copy=False))
    np.testing.assert_array_equal(ours.time.values, theirs.times)
    assert ours.neuroid_id.values.tolist() == theirs.ch_names == GOOD
    assert ours.response.dtype == np.float64
    assert ours.kind.values.tolist() == ["mag", "grad", "grad", "eeg"]
    assert ours.si_unit.values.tolist() == ["T", "T/m", "T/m", "V"]
    assert ours.response.attrs["units"] == "SI by kind"
    assert ours.attrs["bad_channels"] == "EEG002"
    np.testing.assert_allclose(ours.position_x.values, [0, 0.01, 0.02, 0.03], atol=1e-7)
    np.testing.assert_array_equal(ours["value"].values, CODES)
    np.testing.assert_allclose(ours.onset.values, ONSETS / SFREQ, rtol=1e-12)
    assert ours.repetition.values.tolist() == np.repeat(np.arange(6), 3).tolist()
    assert ours.attrs["origin"] == "real, raw"
    assert ours.attrs["verified"] == "unverified"
    assert ours.attrs["sources"] == "faces_raw.fif"


def test_the_child_process_gives_the_same(fif: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = meg.epochs(fif, trigger_delay_s=0)
    monkeypatch.delenv(_child.INSIDE)
    xr.testing.assert_identical(meg.epochs(str(fif), trigger_delay_s=0), here)
    with pytest.raises(ValueError, match=r"not_there.fif: does not exist"):
        meg.epochs(fif.with_name("not_there.fif"), trigger_delay_s=0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"baseline": (-0.2, 0)}, {"baseline": (-0.2, 0)}),
        ({"baseline": (None, 0)}, {"baseline": (None, 0)}),
        ({"reject": {"eeg": 5.6e-5}}, {"reject": {"eeg": 5.6e-5}}),
        ({"reject": {"mag": 1.8e-12, "grad": 2.4e-11}}, {"reject": {"mag": 1.8e-12, "grad": 2.4e-11}}),
        ({"window": (0, 0.3)}, {"window": (0, 0.3)}),
        ({"kinds": ["grad"]}, {"picks": ["grad"]}),
        ({"kinds": ["eog", "mag"]}, {"picks": ["MEG0111", "EOG061"]}),
        ({"trigger_delay_s": 0.0345}, {"delay": round(0.0345 * SFREQ)}),
    ],
    ids=["baseline", "baseline open", "reject", "reject two", "window", "kind", "kinds", "delay"],
)
def test_options_mean_what_they_mean_in_mne(fif: Path, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    mine, epochs = meg.epochs(fif, **{"trigger_delay_s": 0, **ours}), peer(fif, **theirs)
    np.testing.assert_array_equal(mine.response.values, epochs.get_data(copy=False))
    assert mine.attrs["n_rejected"] == len(ONSETS) - len(epochs)
    if "reject" in ours:
        assert 0 < len(epochs) < len(ONSETS)
        np.testing.assert_array_equal(mine["value"].values, epochs.events[:, 2])


@pytest.mark.parametrize("way", ["zero-phase", "causal"])
def test_filters_equal_those_of_mne(fif: Path, way: str) -> None:
    ours = meg.epochs(fif, trigger_delay_s=0, l_freq=1, h_freq=20, filter=way, decimate=4, baseline=(-0.2, 0))
    raw = mne.io.read_raw(fif, preload=True, verbose="error")
    causal = {
        "method": "iir",
        "iir_params": {"order": 4, "ftype": "butter", "output": "sos"},
        "phase": "forward",
    }
    raw.filter(1, 20, verbose="error", **(causal if way == "causal" else {}))
    samples = np.stack([ONSETS + raw.first_samp, 0 * ONSETS, CODES], axis=1)
    theirs = mne.Epochs(
        raw, samples, None, -0.2, 0.6, baseline=(-0.2, 0), decim=4, picks=GOOD, preload=True, verbose="error"
    )
    np.testing.assert_array_equal(ours.response.values, theirs.get_data(copy=False))
    np.testing.assert_array_equal(ours.time.values, theirs.times)
    assert 0.0 in ours.time.values
    assert ours.attrs["filter"].startswith(way)
    assert ours.attrs["sampling_rate_hz"] == SFREQ / 4


def test_a_causal_filter_leaves_the_past_alone_and_a_zero_phase_one_reaches_back_as_far_as_it_says(
    tmp_path: Path,
) -> None:
    raw = recording()
    raw._data[:6] *= 1e-6
    step = np.arange(2500, 2750)
    raw._data[0, step] += 1e-11
    raw.save(tmp_path / "step_raw.fif", verbose="error")
    both = {
        way: meg.epochs(
            tmp_path / "step_raw.fif", trigger_delay_s=0, window=None, h_freq=20, filter=way, kinds=["mag"],
            check_units=False,
        )
        for way in ("causal", "zero-phase")
    }  # fmt: skip
    past = {way: np.abs(item.response.values[0, 0, :2500]) for way, item in both.items()}
    reach = round(both["zero-phase"].attrs["filter_reach_s"] * SFREQ)
    assert past["causal"].max() < 1e-15
    assert past["zero-phase"][2500 - reach :].max() > 1e-13
    assert past["zero-phase"][: 2500 - reach].max() < 1e-15


def test_resampling_keeps_the_trials_at_their_times(fif: Path) -> None:
    slow = meg.epochs(fif, trigger_delay_s=0, resample_hz=125)
    assert slow.attrs["sampling_rate_hz"] == 125
    assert slow.sizes["time"] == 101
    raw = mne.io.read_raw(fif, preload=True, verbose="error").resample(125, verbose="error")
    at = round(ONSETS[4] / 2)
    x = raw.get_data(picks="MEG0111")[0, at - 25 : at + 76]
    np.testing.assert_allclose(slow.response.values[4, 0], x, rtol=1e-6, atol=1e-16)


def test_the_whole_recording_is_one_presentation(fif: Path) -> None:
    whole = meg.epochs(fif, trigger_delay_s=0, window=None)
    raw = mne.io.read_raw(fif, verbose="error")
    np.testing.assert_array_equal(whole.response.values[0], raw.get_data(picks=GOOD))
    assert whole.stimulus_id.values.tolist() == ["continuous"]


@pytest.mark.parametrize(
    ("events", "names", "n"),
    [
        ({"face": 5, "house": 13}, {"face", "house"}, 12),
        (["5", "17"], {"5", "17"}, 12),
        ({"scrambled": "17"}, {"scrambled"}, 6),
        (None, {"5", "13", "17"}, 18),
    ],
)
def test_events_are_named_by_code(fif: Path, events: Any, names: set[str], n: int) -> None:
    found = meg.epochs(fif, trigger_delay_s=0, events=events)
    assert set(found.trial_type.values.tolist()) == names
    assert found.sizes["presentation"] == n
    assert found.attrs["n_events"] == 18
    assert found.attrs["n_selected"] == n


def test_a_stim_channel_can_be_named(fif: Path) -> None:
    found = meg.epochs(fif, trigger_delay_s=0, stim_channel="STI101")
    assert found.sizes["presentation"] == 18
    with pytest.raises(ValueError, match=r"stim_channel 'STI014': not in the recording; it has STI101"):
        meg.epochs(fif, trigger_delay_s=0, stim_channel="STI014")


def annotated() -> mne.io.RawArray:
    raw = recording(stim=False).pick("eeg")
    words = np.array(["face", "house", "other"])[np.arange(18) % 3]
    return raw.set_annotations(mne.Annotations((ONSETS + EXPORTED) / SFREQ, 0.1, words))


def save_set(raw: mne.io.BaseRaw, path: Path) -> None:
    mne.export.export_raw(path, raw, fmt="eeglab", verbose="error")


def save_edf(raw: mne.io.BaseRaw, path: Path) -> None:
    mne.export.export_raw(path, raw, fmt="edf", verbose="error")


def save_vhdr(raw: mne.io.BaseRaw, path: Path) -> None:
    mne.export.export_raw(path, raw, fmt="brainvision", verbose="error")


def save_fif(raw: mne.io.BaseRaw, path: Path) -> None:
    raw.save(path, verbose="error")


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("x_raw.fif", save_fif), ("x_raw.fif.gz", save_fif), ("x.set", save_set), ("x.edf", save_edf),
        ("x.vhdr", save_vhdr),
    ],
)  # fmt: skip
def test_every_format_gives_the_samples_and_trials_that_were_written(
    tmp_path: Path, name: str, save: Any
) -> None:
    raw = annotated()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(raw, tmp_path / name)
    found = meg.epochs(tmp_path / name, trigger_delay_s=0)
    truth = np.stack([raw.get_data()[:, at - 50 : at + 151] for at in ONSETS])
    np.testing.assert_allclose(found.response.values, truth, atol=2e-8 if name == "x.edf" else 1e-9)
    assert [word.rsplit("/")[-1] for word in found.trial_type.values] == ["face", "house", "other"] * 6
    assert found.response.attrs["units"] == "V"
    part = meg.epochs(tmp_path / name, trigger_delay_s=0, events=[found.trial_type.values[0]])
    np.testing.assert_array_equal(part.response.values, found.response.values[::3])


def test_brainvision_markers_are_found_by_number(tmp_path: Path) -> None:
    raw = recording(stim=False).pick("eeg")
    raw.set_annotations(
        mne.Annotations((ONSETS + EXPORTED) / SFREQ, 0.004, [f"Stimulus/S{code:3d}" for code in CODES])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_vhdr(raw, tmp_path / "x.vhdr")
    found = meg.epochs(tmp_path / "x.vhdr", trigger_delay_s=0, events={"face": 5})
    assert found.trial_type.values.tolist() == ["face"] * 6
    np.testing.assert_allclose(found.onset.values, ONSETS[::3] / SFREQ)


def test_a_recording_that_starts_late_keeps_its_trials(tmp_path: Path) -> None:
    raw = annotated().crop(tmin=2.0)
    raw.save(tmp_path / "late_raw.fif", verbose="error")
    found = meg.epochs(tmp_path / "late_raw.fif", trigger_delay_s=0)
    late = mne.io.read_raw(tmp_path / "late_raw.fif", verbose="error")
    samples, _ = mne.events_from_annotations(late, verbose="error")
    theirs = mne.Epochs(late, samples, None, -0.2, 0.6, baseline=None, preload=True, verbose="error")
    np.testing.assert_array_equal(found.response.values, theirs.get_data(copy=False))
    np.testing.assert_allclose(found.onset.values[0], ONSETS[2] / SFREQ - 2.0)


def test_bad_segments_are_left_out_and_counted(tmp_path: Path) -> None:
    raw = annotated()
    raw.set_annotations(raw.annotations + mne.Annotations([3.0], [2.0], ["BAD_jump"]))
    raw.save(tmp_path / "x_raw.fif", verbose="error")
    found = meg.epochs(tmp_path / "x_raw.fif", trigger_delay_s=0)
    assert found.attrs["n_bad_segment"] == 3
    assert found.sizes["presentation"] == 15


def test_trials_at_the_edges_are_left_out_and_counted(fif: Path) -> None:
    found = meg.epochs(fif, trigger_delay_s=0, window=(-1.5, 0.5))
    assert found.attrs["n_at_edge"] == 1
    assert found.attrs["n_selected"] == found.sizes["presentation"] + 1


def test_epochs_files_load_with_their_metadata(fif: Path, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    raw = mne.io.read_raw(fif, preload=True, verbose="error")
    table = pd.DataFrame({"familiar": CODES == 5, "stim_file": [f"{code}.png" for code in CODES]})
    samples = np.stack([ONSETS, 0 * ONSETS, CODES], axis=1)
    kept = mne.Epochs(
        raw, samples, {"known": 5, "strange": 13, "noise": 17}, -0.2, 0.6, metadata=table, baseline=None,
        picks=GOOD, preload=True, verbose="error",
    )  # fmt: skip
    kept.save(tmp_path / "x-epo.fif", fmt="double", verbose="error")
    found = meg.epochs(tmp_path / "x-epo.fif", trigger_delay_s=0, window=(-0.1, 0.5), baseline=(-0.1, 0))
    theirs = kept.copy().crop(-0.1, 0.5).apply_baseline((-0.1, 0), verbose="error")
    np.testing.assert_allclose(found.response.values, theirs.get_data(copy=False), rtol=1e-12, atol=1e-25)
    assert found.trial_type.values[:3].tolist() == ["known", "strange", "noise"]
    assert found.stimulus_id.values[0] == "5.png"
    assert found.familiar.values.sum() == 6
    late = meg.epochs(tmp_path / "x-epo.fif", trigger_delay_s=0.02, window=None)
    np.testing.assert_allclose(late.time.values, kept.times - 0.02)
    few = meg.epochs(
        tmp_path / "x-epo.fif", trigger_delay_s=0, window=None, events=["noise"], reject={"eeg": 5.6e-5}
    )
    rejected = kept["noise"].copy().drop_bad({"eeg": 5.6e-5}, verbose="error")
    assert 0 < few.sizes["presentation"] == len(rejected) < 6
    with pytest.raises(ValueError, match=r"l_freq: is for continuous recordings"):
        meg.epochs(tmp_path / "x-epo.fif", trigger_delay_s=0, l_freq=1)
    with pytest.raises(ValueError, match=r"is not inside the file, which has -0.2 to 0.6 s"):
        meg.epochs(tmp_path / "x-epo.fif", trigger_delay_s=0, window=(-0.5, 0.5))


def test_a_split_recording_is_read_to_its_end(tmp_path: Path) -> None:
    one = recording()
    raw = mne.io.RawArray(np.tile(one.get_data(), 36), one.info, verbose="error")
    raw.save(tmp_path / "x_raw.fif", split_size=2_500_000, buffer_size_sec=1, verbose="error")
    assert len(list(tmp_path.iterdir())) == 4
    found = meg.epochs(tmp_path / "x_raw.fif", trigger_delay_s=0)
    assert found.sizes["presentation"] == 18 * 36
    last = one.get_data()[0, ONSETS[17] - 50 : ONSETS[17] + 151]
    np.testing.assert_allclose(found.response.values[-1, 0], last, rtol=1e-6)
    assert found.attrs["sources"] == "x_raw.fif, x_raw-1.fif, x_raw-2.fif, x_raw-3.fif"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (0.5, 0.1)}, "window: .* must begin before it ends"),
        ({"filter": "casual"}, "filter: 'casual': unknown; did you mean 'causal'"),
        (
            {"kinds": ["meg"]},
            "kind 'meg': unknown; did you mean 'eeg'|kind 'meg': unknown; did you mean 'mag'",
        ),
        ({"reject": {"eeeg": 1.0}}, "kind 'eeeg': unknown; did you mean 'eeg'"),
        ({"reject": {"eeg": 1.0}, "kinds": ["mag"]}, "reject: 'eeg': is not among the kinds"),
        ({"reject": {"seeg": 1.0}}, "no channel of kind seeg; it has eeg, eog, grad, mag, stim"),
        ({"decimate": 1.5}, "decimate: 1.5: is not a whole number"),
        (
            {"decimate": 5},
            "decimate 5: leaves 50 Hz for content up to 125 Hz, which would alias; give h_freq <= 20",
        ),
        ({"decimate": 3, "h_freq": 40}, "decimate 3: .* would alias; give h_freq <= 33.3"),
        ({"l_freq": -1}, "l_freq: -1: must be above 0"),
        ({"l_freq": 30, "h_freq": 20}, "l_freq: 30: must be below h_freq"),
        ({"h_freq": 125}, "h_freq 125: is not below half of 250"),
        ({"l_freq": 0.01}, "a zero-phase filter .* lasts 330 s and the recording 20 s"),
        ({"baseline": (-0.3, 0)}, "baseline: .* does not lie inside the window"),
        ({"trigger_delay_s": float("nan")}, "trigger_delay_s: nan: is not a time"),
        ({"condition": "trial_type"}, "condition: names a column, and no events table is read here"),
        ({"events": {"face": 6}}, "events: no face among 13 6, 17 6, 5 6"),
        ({"manifest": xr.Dataset()}, "manifest: has no coordinate name, sha256"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(fif: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as told:
        meg.epochs(fif, **{"trigger_delay_s": 0, **options})
    assert "\n" not in str(told.value)


def bids_by_mne(root: Path) -> None:
    mne_bids = pytest.importorskip("mne_bids")
    for run, seed in (("01", 1), ("02", 2)):
        raw = recording(seed)
        raw.info["line_freq"] = 50
        raw.info["bads"] = ["MEG0113"]
        samples = np.stack([ONSETS, 0 * ONSETS, CODES], axis=1)
        where = mne_bids.BIDSPath(
            subject="07", session="meg", task="faces", run=run, datatype="meg", root=root
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mne_bids.write_raw_bids(
                raw, where, events=samples, event_id={"famous": 5, "strange": 13, "scrambled": 17},
                allow_preload=True, format="FIF", overwrite=True, verbose="error",
            )  # fmt: skip


def test_a_bids_tree_by_mne_bids_reads_as_mne_bids_reads_it(tmp_path: Path) -> None:
    mne_bids = pytest.importorskip("mne_bids")
    bids_by_mne(tmp_path)
    ours = meg.epochs(tmp_path / "sub-07", trigger_delay_s=0, kinds=["mag", "grad"])
    theirs, names = [], []
    for run in ("01", "02"):
        where = mne_bids.BIDSPath(
            subject="07", session="meg", task="faces", run=run, datatype="meg", root=tmp_path
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = mne_bids.read_raw_bids(where, verbose="error")
            samples, codes = mne.events_from_annotations(raw, verbose="error")
        words = {code: name for name, code in codes.items()}
        epochs = mne.Epochs(
            raw,
            samples,
            None,
            -0.2,
            0.6,
            baseline=None,
            picks=["MEG0111", "MEG0112"],
            preload=True,
            verbose="error",
        )
        theirs.append(epochs.get_data(copy=False))
        names += [words[code] for code in epochs.events[:, 2].tolist()]
    np.testing.assert_array_equal(ours.response.values, np.concatenate(theirs))
    assert ours.trial_type.values.tolist() == names
    assert ours.neuroid_id.values.tolist() == ["MEG0111", "MEG0112"]
    assert ours.run.values.tolist() == [1] * 18 + [2] * 18
    assert set(ours.subject.values.tolist()) == {"07"}
    assert set(ours.session.values.tolist()) == {"meg"}
    assert ours.repetition.values.max() == 11
    assert ours.attrs["n_events"] == 36
    xr.testing.assert_identical(meg.epochs(tmp_path, trigger_delay_s=0, kinds=["mag", "grad"]), ours)
    one = meg.epochs(next(tmp_path.rglob("*run-02_meg.fif")), trigger_delay_s=0, kinds=["mag", "grad"])
    np.testing.assert_array_equal(one.response.values, theirs[1])
    both = meg.events(tmp_path / "sub-07")
    assert both.sizes["presentation"] == 36
    assert both.trial_type.values.tolist() == names


def test_simulated_datasets_say_so(tmp_path: Path) -> None:
    bids_by_mne(tmp_path)
    assert meg.epochs(tmp_path, trigger_delay_s=0).attrs["origin"] == "real, raw"
    told = json.loads((tmp_path / "dataset_description.json").read_text())
    (tmp_path / "dataset_description.json").write_text(json.dumps(told | {"Keywords": ["Simulated"]}))
    assert meg.epochs(tmp_path, trigger_delay_s=0).attrs["origin"] == "simulated"
    derived = {"DatasetType": "derivative", "GeneratedBy": [{"Name": "x"}]}
    (tmp_path / "dataset_description.json").write_text(json.dumps(told | derived))
    assert meg.epochs(tmp_path, trigger_delay_s=0).attrs["origin"] == "real, denoised"


REAL = {  # what each real file is: a window or None (the whole recording), else the words of its refusal
    "meg/audvis_evoked/exported4D_linux_raw.fif": {"window": (-0.02, 0.02)},
    "meg/audvis_evoked/kit_test.sqd": {"window": (-0.1, 0.1)},
    "meg/audvis_evoked/kit_test_bin_raw.fif": {"window": (-0.1, 0.1)},
    "meg/audvis_evoked/test-ave.fif.gz": {"window": (-0.19, 0.49)},
    "meg/audvis_evoked/test_ctf_comp_raw.fif": "holds no events",
    "meg/audvis_evoked/test-cov.fif": "is a covariance, not a recording",
    "meg/audvis_evoked/test-eve.fif": "is an event list, not a recording",
    "meg/audvis_evoked/test_raw-eve.fif": "is an event list, not a recording",
    "meg/readers/ctf/somMDYO-18av.ds": {"window": (-0.01, 0.05)},
    "meg/readers/kit/010409_Motor_task_coregist-export_tiny_1s.con": "holds no events",
    "meg/readers/kit/Example_RICOH160-1_10020-export_anonymyze.con": {"window": (-0.01, 0.01)},
    "meg/readers/kit/MQKIT_125_2sec.con": "holds no events",
    "meg/readers/neuromag_fif/neuromag122_test_file-raw.fif": "holds no events",
    "meg/readers/neuromag_fif/sample_audvis_trunc_raw_sss.fif": "holds no events",
    "meg/readers/neuromag_fif/test_move_anon_erm_raw.fif": "is an empty-room recording",
    "meg/readers/neuromag_fif/triux_bmlhus_erm_raw_sss.fif": "is an empty-room recording",
    "meg/ds000117_events": "content missing: 6 events tables and no recording; run 'datalad get",
    "eeg/face_house": {"window": (-0.1, 0.6)},
    "eeg/visual_attention/test_raw.set": {"window": (-0.2, 0.8)},
}
FLAWED = ("010409", "neuromag122", "somMDYO")  # flat or saturated channels, which are remarked


@pytest.mark.filterwarnings("ignore:.*(flat|saturated) channels:UserWarning")
@pytest.mark.parametrize("name", REAL)
def test_real_recordings_load_or_say_why_not(neuro_data: Path, name: str) -> None:
    want = REAL[name]
    if isinstance(want, str):
        with pytest.raises(ValueError, match=want) as told:
            meg.epochs(neuro_data / name, trigger_delay_s=0)
        assert Path(name).name in str(told.value)
        assert "\n" not in str(told.value)
    else:
        found = meg.epochs(neuro_data / name, trigger_delay_s=0, **want)
        assert found.sizes["presentation"] > 0
        assert np.isfinite(found.response.values).all()
    if want == "holds no events":
        whole = meg.epochs(neuro_data / name, trigger_delay_s=0, window=None)
        assert whole.sizes["presentation"] == 1
        assert np.isfinite(whole.position_x.values).all()


@pytest.mark.filterwarnings("ignore:.*(flat|saturated) channels:UserWarning")
def test_every_other_real_file_is_refused_by_what_it_is(neuro_data: Path) -> None:
    files = [item for folder in ("meg", "eeg") for item in (neuro_data / folder).rglob("*") if item.is_file()]
    known = {neuro_data / name for name in REAL}
    rest = [item for item in files if item not in known and item.suffix != ".csv"]
    assert len(files) > len(rest) > 20
    for item in rest:
        with pytest.raises(ValueError, match=r": is .*[;,] |not a recording") as told:
            meg.epochs(item, trigger_delay_s=0)
        assert item.name in str(told.value)
    for item in (neuro_data / "eeg" / "face_house").glob("*.csv"):
        assert kind_of(item) == "tables"


def test_p3_of_the_visual_attention_recording(neuro_data: Path) -> None:
    found = meg.epochs(
        neuro_data / "eeg/visual_attention/test_raw.set", trigger_delay_s=0, events=["square"],
        window=(-0.2, 1.0), l_freq=0.5, h_freq=20, baseline=(-0.2, 0),
    )  # fmt: skip
    assert found.sizes["presentation"] == 80
    mean = found.response.values.mean(axis=0)[found.neuroid_id.values.tolist().index("EEG 021")]
    assert mean.max() == pytest.approx(29.7e-6, abs=0.05e-6)
    assert found.time.values[mean.argmax()] == pytest.approx(0.430, abs=0.004)


def test_faces_and_houses_decode_as_the_source_says(neuro_data: Path) -> None:
    found = meg.epochs(
        neuro_data / "eeg/face_house", trigger_delay_s=0, window=(-0.1, 0.6), events={"house": 1, "face": 2},
        l_freq=1, h_freq=30, reject={"eeg": 75e-6},
    )  # fmt: skip
    assert found.sizes["presentation"] == 1123
    assert found.attrs["n_events"] == 1174
    assert found.attrs["timestamp_jitter_s"] < 0.031
    face, run = found.trial_type.values == "face", found.run.values

    def auc(start: float, stop: float) -> float:
        x = found.response.sel(time=slice(start, stop)).values
        x = x[:, :, : x.shape[2] // 4 * 4].reshape(len(x), 4, -1, 4).mean(axis=3).reshape(len(x), -1)
        scores = []
        for left in np.unique(run):
            model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
                x[run != left], face[run != left]
            )
            scores.append(roc_auc_score(face[run == left], model.decision_function(x[run == left])))
        return float(np.mean(scores))

    assert auc(0.05, 0.45) == pytest.approx(0.701, abs=0.02)
    assert auc(-0.1, 0.0) == pytest.approx(0.493, abs=0.03)


def test_ds000117_tells_its_design_without_signals(neuro_data: Path) -> None:
    found = meg.events(neuro_data / "meg/ds000117_events")
    assert found.attrs["condition_counts"] == "Famous 295, Scrambled 297, Unfamiliar 295"
    assert len(np.unique(found.stimulus_id.values)) == 450
    np.testing.assert_allclose(found.onset.values * 1100, found.onset_sample.values, atol=1)
    first = found.repetition.values == 0
    for word in ("Famous", "Unfamiliar"):
        assert (first & (found.trial_type.values == word)).sum() == 150
    assert found.attrs["condition_column"] == "stim_type"
    assert set(found.run.values.tolist()) == {1, 2, 3, 4, 5, 6}
