"""Records with one condition broken each: the sentence changes and never holds the word not earned."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from analyses import claims, power, statistics
from loaders import schema
from pipeline import store, study

Records = dict[str, xr.Dataset]

TEST = {
    "label": "familiar", "classes": "0, 1", "origin": "simulated", "n": 16, "over": "subject",
    "test": "sign flip", "correction": "max-t", "tail": "greater", "alpha": 0.05, "permutations": 4999,
    "smallest_p": 0.0002, "p_peak": 0.0002, "peak": 0.648, "peak_low": 0.62, "peak_high": 0.676,
    "peak_time_s": 0.17, "baseline_score": 0.502, "baseline_p": 0.61, "chance": 0.5, "estimator": "lda",
    "kept_apart": "identity, stimulus_id, run", "shared": "subject", "trigger_delay_s": 0.0345,
    "filter": "none", "smear_before_s": 0.01, "smear_after_s": 0.01, "l_freq": 0.0,
}  # fmt: skip
ONSET = {
    "withheld": "", "confidence": 0.95, "n": 16, "over": "subject", "trigger_delay_s": 0.0345,
}  # fmt: skip
IMAGE = {
    "verdict": "survives", "loss": 0.02, "loss_low": -0.01, "loss_high": 0.05, "image_score": 0.51,
    "image_p": 0.4, "families": "luminance, gabor",
}  # fmt: skip
PREVALENCE = {
    "prevalence": 0.94, "prevalence_low": 0.74, "prevalence_high": 1.0, "n": 16, "significant": 15,
    "alpha": 0.05,
}  # fmt: skip
POWER = {"smallest_effect": 0.0312, "smallest_effect_low": 0.028, "smallest_effect_high": 0.035}
TIMES = {
    "change point": (0.085, 0.078, 0.093), "first max-T crossing": (0.092, 0.085, 0.101),
    "fraction of peak": (0.11, 0.104, 0.117),
}  # fmt: skip
WORDS = {  # what the unbroken record says, and a broken one must not
    "decodable": ("decodable",), "onset": ("onset", "begins at"), "population": ("in the population",),
    "label": ("familiar", "category"), "image": ("survives",), "channels": ("none of the other channels",),
    "exposure": ("equally often",),
}  # fmt: skip
ABSENT, NAN = object(), float("nan")


def attrs(values: dict[str, Any]) -> xr.Dataset:
    return xr.Dataset(attrs=values)


def onset(times: dict[str, tuple[float, float, float]], **more: Any) -> xr.Dataset:
    table = np.array(list(times.values()))
    names = ("onset", "onset_low", "onset_high")
    variables = {name: ("method", table[:, place], {"units": "s"}) for place, name in enumerate(names)}
    return xr.Dataset(variables, {"method": list(times)}, ONSET | more)


def records(**changes: Any) -> Records:
    """Sound records, but for fields given as record__field=value; ABSENT leaves one out."""
    made = {
        "test": xr.Dataset({"auc": ("time", [0.5, 0.648])}, {"time": [-0.1, 0.17]}, dict(TEST)),
        "onset": onset(TIMES),
        "image": attrs(dict(IMAGE)),
        "channels": attrs({"flagged": "", "tested": "eog, ecg"}),
        "exposure": attrs({"verdict": "equal"}),
        "prevalence": attrs(dict(PREVALENCE)),
    }
    for key, value in changes.items():
        record, _, field = key.partition("__")
        if not field:
            made[record] = value
        elif value is ABSENT:
            del made[record].attrs[field]
        else:
            made[record].attrs[field] = value
    return {name: record for name, record in made.items() if record is not ABSENT}


def weighed(found: Records, **more: Any) -> dict[str, tuple[str, str, int]]:
    made = schema.check(claims.weigh(**found, **more))
    rows = made.to_dataframe().iterrows()
    return {str(claim): (row["sentence"], row["because"], int(row["allowed"])) for claim, row in rows}


TEST_BROKEN = [
    ("decodable", {"test__p_peak": 0.05}), ("decodable", {"test__p_peak": 0.2}),
    ("decodable", {"test__p_peak": NAN}), ("decodable", {"test__p_peak": ABSENT}),
    ("decodable", {"test__p_peak": 0.0}), ("decodable", {"test__p_peak": "small"}),
    ("decodable", {"test__smallest_p": 0.0625, "test__p_peak": 0.0625}),
    ("decodable", {"test__smallest_p": NAN}),
    ("decodable", {"test__alpha": ABSENT}), ("decodable", {"test__correction": "none"}),
    ("decodable", {"test__correction": ABSENT}), ("decodable", {"test__n": ABSENT}),
    ("decodable", {"test__n": 0}), ("decodable", {"test__over": ""}), ("decodable", {"test__test": ABSENT}),
    ("decodable", {"test__baseline_p": 0.01}), ("decodable", {"test__baseline_p": NAN}),
    ("decodable", {"test__baseline_p": ABSENT}), ("decodable", {"test__baseline_score": NAN}),
    ("decodable", {"test__peak_low": NAN}), ("decodable", {"test__peak_high": ABSENT}),
    ("decodable", {"test__peak": 0.47, "test__peak_low": 0.46}), ("decodable", {"test__chance": ABSENT}),
    ("decodable", {"test__origin": ABSENT}), ("decodable", {"test__origin": ""}),
]  # fmt: skip
ONSET_BROKEN = [
    ("onset", {"onset": ABSENT}), ("onset", {"onset__withheld": "power below .8"}),
    ("onset", {"onset__withheld": ABSENT}), ("onset", {"onset__confidence": NAN}),
    ("onset", {"onset__n": ABSENT}),
    ("onset", {"onset__trigger_delay_s": ABSENT, "test__trigger_delay_s": ABSENT}),
    ("onset", {"onset__trigger_delay_s": NAN}), ("onset", {"test__kept_apart": ABSENT}),
    ("onset", {"test__smear_before_s": NAN}),
    ("onset", {"test__smear_after_s": ABSENT, "test__filter": "causal"}),
    ("onset", {"onset": onset({"first significant cluster": (0.085, 0.078, 0.093)})}),
    ("onset", {"onset": onset({"first max-T crossing": (0.092, 0.085, 0.1)})}),
    ("onset", {"onset": onset({"change point": (0.085, NAN, 0.093)})}),
    ("onset", {"onset": onset({"change point": (NAN, 0.078, 0.093)})}),
    ("onset", {"onset": onset({"change point": (0.085, -0.02, 0.093)})}),
    ("onset", {"onset": onset({"change point": (0.085, 0.09, 0.093)})}),
    ("onset", {"onset": attrs(ONSET)}), ("onset", {"test__origin": "real, raw"}),
    ("onset", {"test__delay_known": 0}),
]  # fmt: skip
POPULATION_BROKEN = [
    ("population", {"prevalence": ABSENT}), ("population", {"prevalence__prevalence_low": 0.5}),
    ("population", {"prevalence__prevalence_low": 0.12, "prevalence__prevalence": 0.31}),
    ("population", {"prevalence__prevalence_low": NAN}), ("population", {"prevalence__significant": ABSENT}),
    ("population", {"prevalence__n": 12}), ("population", {"test__n": 1, "prevalence__n": 1}),
    ("population", {"test__over": "presentation"}), ("population", {"test__over": "recording"}),
    ("population", {"test__over": "fold"}), ("population", {"prevalence__prevalence_high": 0.5}),
]  # fmt: skip
LABEL_BROKEN = [
    ("label", {"test__kept_apart": "run"}), ("label", {"test__kept_apart": "nothing"}),
    ("label", {"test__kept_apart": "as given"}), ("label", {"test__kept_apart": ABSENT}),
    ("label", {"test__shared": "stimulus_id"}), ("label", {"test__shared": "subject, identity"}),
    ("label", {"test__shared": ABSENT}), ("label", {"image": ABSENT}),
    ("label", {"image__verdict": "explained"}),
    ("label", {"image__verdict": "undecided"}), ("label", {"image__verdict": ABSENT}),
    ("label", {"image__loss": NAN}), ("label", {"image__loss_high": ABSENT}),
    ("label", {"image__image_p": NAN}),
    ("label", {"image__families": ""}), ("label", {"channels__flagged": "eog"}),
    ("label", {"channels__flagged": ABSENT}), ("label", {"exposure__verdict": "vanishes"}),
    ("label", {"exposure__verdict": "undecided"}), ("label", {"exposure__verdict": ABSENT}),
    ("label", {"test__label": ABSENT}),
    ("label", {"audit": attrs({"shared": "subject, identity"})}), ("label", {"audit": attrs({})}),
]  # fmt: skip
CONTROLS_BROKEN = [
    ("image", {"image__verdict": "explained"}), ("image", {"image__verdict": "undecided"}),
    ("image", {"image": ABSENT}), ("image", {"image__loss_low": NAN}),
    ("channels", {"channels__flagged": "eog"}), ("channels", {"channels__tested": ""}),
    ("channels", {"channels": ABSENT}), ("channels", {"channels__tested": ABSENT}),
    ("exposure", {"exposure__verdict": "vanishes"}), ("exposure", {"exposure__verdict": "undecided"}),
    ("exposure", {"exposure": ABSENT}), ("exposure", {"exposure__verdict": NAN}),
]  # fmt: skip
BROKEN = TEST_BROKEN + ONSET_BROKEN + POPULATION_BROKEN + LABEL_BROKEN + CONTROLS_BROKEN
FOLLOW = ("onset", "population", "label")  # claims that stand on "decodable"


def told(case: tuple[str, dict[str, Any]]) -> str:
    return f"{case[0]} " + ", ".join(
        f"{key} {value if isinstance(value, int | float | str) else 'changed'}"
        for key, value in case[1].items()
    )


@pytest.mark.parametrize("claim", WORDS)
def test_v31_an_unbroken_record_says_the_word(claim: str) -> None:
    sentence, because, allowed = weighed(records())[claim]
    assert allowed == 1
    assert WORDS[claim][0] in sentence
    assert because


@pytest.mark.parametrize("case", BROKEN, ids=told)
def test_one_broken_condition_changes_the_sentence_and_withholds_the_word(case: tuple[str, dict]) -> None:
    claim, change = case
    sound, broken = weighed(records()), weighed(records(**change))
    for name in (claim, *(FOLLOW if claim == "decodable" else ())):
        sentence, because, allowed = broken[name]
        assert allowed == 0
        assert sentence != sound[name][0]
        for word in WORDS[name]:
            assert word not in sentence.lower(), sentence
        assert because
    if not broken["label"][2]:  # the label's own name is claimed nowhere
        assert not any("familiar" in sentence.lower() for sentence, _, _ in broken.values())
    if not broken["decodable"][2]:
        assert not any("decodable" in sentence.lower() for sentence, _, _ in broken.values())
    if not broken["onset"][2]:
        assert not any("onset" in sentence.lower() for sentence, _, _ in broken.values())


@pytest.mark.parametrize("case", BROKEN, ids=told)
def test_the_reason_names_the_field(case: tuple[str, dict]) -> None:
    claim, change = case
    _, because, _ = weighed(records(**change))[claim]
    for key, value in change.items():
        record, _, field = key.partition("__")
        if value is ABSENT and field and not key.startswith("test__trigger"):
            named = {"test.kept_apart": "content_apart", "test.shared": "content_apart",
                     "test.smear_after_s": "smear_after_s"}  # fmt: skip
            name = f"{record}.{field}"
            assert name in because or named.get(name, name) in because


def test_sentences_of_a_sound_group_read_as_a_reviewer_would_want() -> None:
    found = {claim: sentence for claim, (sentence, _, _) in weighed(records()).items()}
    assert found["decodable"] == (
        "In simulated data 'familiar' is decodable: AUC .648 [.620, .676] at 170 ms; p = .0002 (smallest "
        "reachable .0002); sign flip over 16 subjects (4999 drawn), max-T, one-sided; chance .5; before the "
        "stimulus AUC .502, p = .61; kept apart in folds: identity, stimulus_id, run; shared by training and "
        "test: subject."
    )
    assert found["onset"].startswith(
        "In simulated data the onset of what tells 'familiar' apart is 85 ms after the stimulus "
        "[78 ms, 93 ms] (change point, 95 % CI over 16 subjects); first max-T crossing at 92 ms [85 ms, "
        "101 ms]; fraction of peak at 110 ms [104 ms, 117 ms]; stated trigger delay 34.5 ms; filter: none; "
        "filters and windows can show an effect 10 ms early and 10 ms late; AUC .648"
    )
    assert "prevalence .940 [.740, 1], 15 of 16 simulated subjects with p < .05 each" in found["population"]
    assert "taking them out costs a share of .020 [-.010, .050] of the effect" in found["label"]


@pytest.mark.parametrize("claim", ["decodable", "onset", "label", "population"])
def test_v31_every_claim_carries_n_p_interval_and_correction(claim: str) -> None:
    sentence = weighed(records())[claim][0]
    for part in ("over 16 subjects", "p = .0002 (smallest reachable .0002)", "[.620, .676]", "max-T"):
        assert part in sentence


def test_v09_an_effect_in_few_subjects_is_one_in_some() -> None:
    changes = {"prevalence": 0.31, "prevalence_low": 0.12, "prevalence_high": 0.56, "significant": 5}
    found = weighed(records(**{f"prevalence__{key}": value for key, value in changes.items()}))
    sentence, _, allowed = found["population"]
    assert allowed == 0
    assert "in some simulated subjects: prevalence .310 [.120, .560], 5 of 16" in sentence
    none = weighed(records(prevalence__prevalence_low=0.0))["population"][0]
    assert "is not established" in none
    assert "in some" not in none


def test_v14_in_some_subjects_needs_a_clean_baseline_too() -> None:
    few = {"prevalence__prevalence": 0.31, "prevalence__prevalence_low": 0.12, "prevalence__significant": 5}
    assert "in some" in weighed(records(**few, test__p_peak=0.3))["population"][0]
    assert "in some" not in weighed(records(**few, test__baseline_p=0.001))["population"][0]
    assert "in some" not in weighed(records(**few, test__origin=ABSENT))["population"][0]


def test_one_subject_claims_nothing_about_others() -> None:
    single = {"test__n": 640, "test__over": "presentation", "test__test": "permutation of labels"}
    found = weighed(records(**single, prevalence=ABSENT))
    assert found["decodable"][2] == 1
    assert "permutation of labels over 640 presentations" in found["decodable"][0]
    assert (
        "of this subject or recording; nothing is claimed about other simulated subjects"
        in found["population"][0]
    )
    pseudo = weighed(records(**single, test__simultaneous=0, prevalence=ABSENT))["population"][0]
    assert "pseudo-population" in pseudo
    assert "nothing is claimed about other" in pseudo


def test_simulated_data_are_called_simulated_and_never_a_brain() -> None:
    changes = {
        "test__filter": "of the Brain",
        "image__families": "neurons, gabor",
        "channels__tested": "cortex",
    }
    for change in ({}, changes, {"test__p_peak": 0.4}):
        for sentence, _, _ in weighed(records(**change)).values():
            assert "simulated" in sentence
            assert not re.search("brain|neuron|cort", sentence.lower())


def test_real_data_are_called_recorded_and_data_of_no_origin_claim_nothing() -> None:
    for sentence, _, _ in weighed(records(test__origin="real, raw"), delay_known=True).values():
        assert sentence.startswith("In recorded data")
        assert "simulat" not in sentence
    found = weighed(records(test__origin=ABSENT), delay_known=True)
    assert not any(found[claim][2] for claim in ("decodable", "onset", "population", "label"))
    assert all(sentence.startswith("In data of unstated origin") for sentence, _, _ in found.values())


def test_f18_a_real_delay_that_is_not_known_withholds_the_onset() -> None:
    real = {"test__origin": "real, raw"}
    assert weighed(records(**real))["onset"][2] == 0
    assert "the delay of the device is not known" in weighed(records(**real))["onset"][0]
    assert weighed(records(**real), delay_known=True)["onset"][2] == 1
    assert weighed(records(**real, onset__delay_known=1))["onset"][2] == 1
    assert weighed(records(), delay_known=False)["onset"][2] == 0


@pytest.mark.parametrize("missing", [["03", "07"], json.dumps(["03", "07"]), "03, 07"])
@pytest.mark.parametrize("where", ["test", "prevalence"])
def test_missing_units_come_first(missing: Any, where: str) -> None:
    found = weighed(records(**{f"{where}__missing": missing}))
    for sentence, _, _ in found.values():
        assert sentence.startswith("Without 03, 07 (2 missing or failed): in simulated data")
    assert found["decodable"][2] == 1


def test_v13_a_high_pass_and_a_cluster_test_are_remarked() -> None:
    early = {"test__l_freq": 1.0, "test__smear_before_s": 0.58, "test__filter": "zero-phase, FIR"}
    for claim in ("decodable", "onset"):
        sentence = weighed(records(**early))[claim][0]
        assert (
            "the high-pass at 1 Hz can make late effects appear up to 580 ms before they are there"
            in sentence
        )
    assert "as long as the time itself" in weighed(records(**early))["onset"][0]
    causal = weighed(records(**early | {"test__filter": "causal, Butterworth"}))["decodable"][0]
    assert "before they are there" not in causal
    assert "high-pass" not in weighed(records(test__l_freq=0.1))["decodable"][0]
    cluster = weighed(records(test__correction="cluster"))["decodable"]
    assert cluster[2] == 1
    assert "a cluster test speaks for presence, not for this time" in cluster[0]


def test_smear_is_taken_from_what_is_stated() -> None:
    bare = {"test__smear_before_s": ABSENT, "test__smear_after_s": ABSENT}
    assert weighed(records(**bare))["onset"][2] == 1  # filter: none
    reach = weighed(records(**bare, test__filter="zero-phase", test__filter_reach_s=0.165))["onset"]
    assert "an effect 165 ms early and 165 ms late" in reach[0]
    bins = weighed(records(**bare, test__filter=ABSENT, test__bin_width=0.02))["onset"]
    assert "an effect 10 ms early and 10 ms late" in bins[0]
    assert weighed(records(**bare, test__filter=ABSENT))["onset"][2] == 0


def test_v15_a_luminance_confound_is_explained_by_the_image() -> None:
    found = weighed(records(image__verdict="explained", image__loss=0.93))
    assert "explained by the image" in found["image"][0]
    assert found["label"][2] == 0
    assert found["decodable"][2] == 1
    assert "the labels are decodable" in found["decodable"][0]


def test_v16_v17_flagged_channels_and_exposure_are_named() -> None:
    assert "can also be told apart by: eog" in weighed(records(channels__flagged="eog"))["channels"][0]
    assert "vanishes" in weighed(records(exposure__verdict="vanishes"))["exposure"][0]
    bare = weighed(records(channels=ABSENT, exposure=ABSENT))["label"]
    assert bare[2] == 1
    assert "other channels were not examined; exposure was not examined" in bare[0]
    unrecorded = weighed(records(channels__tested=""))
    assert unrecorded["label"][2] == 1
    assert "there were no other channels" in unrecorded["channels"][0]


def test_v14_labels_in_blocks_withhold_a_test_that_exchanges_them() -> None:
    one = {"test__test": "permutation of labels", "test__over": "presentation"}
    assert weighed(records(**one, test__blocked_z=-1.0))["decodable"][2] == 1
    sentence, why, allowed = weighed(records(**one, test__blocked_z=-9.0))["decodable"]
    assert allowed == 0
    assert "decodable" not in sentence
    assert "labels come in blocks" in why
    assert weighed(records(test__blocked_z=-9.0))["decodable"][2] == 1  # signs of whole subjects were flipped


def test_v17_exposure_is_told_though_another_claim_is_withheld() -> None:
    sentence, _, allowed = weighed(records(image=ABSENT, exposure__verdict="survives"))["exposure"]
    assert allowed == 1
    assert "differ in exposure" in sentence


def test_v14_a_window_has_the_test_of_its_own_baseline() -> None:
    window = {"test__baseline_p": NAN, "test__baseline_score": NAN, "test__correction": "none"}
    found = records(**window)
    found["test"] = found["test"].isel(time=[1])
    assert weighed(found)["decodable"][2] == 0
    found["baseline"] = attrs({"baseline_score": 0.495, "baseline_p": 0.7})
    assert weighed(found)["decodable"][2] == 1
    assert "before the stimulus AUC .495, p = .7" in weighed(found)["decodable"][0]
    found["baseline"] = attrs({"baseline_score": 0.55, "baseline_p": 0.01})
    assert weighed(found)["decodable"][2] == 0


def test_v02_an_audit_vouches_for_folds_of_the_users_own() -> None:
    own = {"test__kept_apart": "as given", "test__shared": ""}
    audit = xr.Dataset(
        {"overlap": (("key", "fold"), [[0], [3]])}, {"key": ["identity", "run"]}, {"shared": "run"}
    )
    assert weighed(records(**own))["label"][2] == 0
    assert weighed(records(**own, audit=audit))["label"][2] == 1
    assert weighed(records(**own, audit=audit.isel(key=[1])))["label"][2] == 0


def test_v34_what_could_have_been_found_stands_beside_a_null_result() -> None:
    found = weighed(records(test__p_peak=0.4), power=attrs(POWER))
    assert "an effect of .031 [.028, .035] above chance is found with a power of .8" in found["decodable"][0]


@pytest.mark.parametrize("label", ["category", "face", "trial_type", "Familiarity"])
def test_no_name_of_a_label_or_class_stands_where_it_is_not_claimed(label: str) -> None:
    change = {"test__label": label, "test__classes": "face, house", "image__verdict": "explained",
              "image__families": "pixels of face, luminance", "test__filter": f"for {label}"}  # fmt: skip
    for sentence, _, _ in weighed(records(**change)).values():
        assert label.lower() not in sentence.lower()
        assert not re.search(r"\b(face|house)\b", sentence)
    assert label in weighed(records(test__label=label))["label"][0]


def test_nothing_at_all_withholds_everything() -> None:
    found = weighed({"test": xr.Dataset()})
    assert not any(allowed for _, _, allowed in found.values())
    for claim, (sentence, because, _) in found.items():
        assert not any(word in sentence.lower() for word in WORDS[claim])
        assert because


def test_the_records_are_not_changed_and_the_same_records_give_the_same_sentences() -> None:
    found = records(test__missing=["03"])
    before = {name: record.copy(deep=True) for name, record in found.items()}
    first, again = claims.weigh(**found), claims.weigh(**found)
    for name, record in found.items():
        xr.testing.assert_identical(record, before[name])
    xr.testing.assert_identical(first, again)


COURSE = (
    "label", "classes", "origin", "kept_apart", "shared", "trigger_delay_s", "filter", "smear_before_s",
    "smear_after_s", "chance",
)  # fmt: skip


def course(effect: float, n: int = 12, leak: float = 0.0, seed: int = 0) -> xr.Dataset:
    """AUC of n subjects over time, with an effect from 100 ms on, and one that leaks into the baseline."""
    time = np.arange(-0.1, 0.4, 0.02)
    noise = 0.03 * np.random.default_rng(seed).standard_normal((n, time.size))
    auc = 0.5 + noise + effect * (time >= 0.1) + leak * (time < 0)
    told = {key: value for key, value in TEST.items() if key in COURSE}
    return xr.Dataset({"auc": (("subject", "time"), auc, {"units": "1"})}, {"time": time}, told)


def test_tests_of_the_house_give_records_that_can_be_weighed() -> None:
    for correction in ("max-t", "cluster"):
        sound = statistics.sign_flip(course(0.1), correction=correction, flips=1000)
        assert weighed({"test": sound})["decodable"][2] == 1
        none = statistics.sign_flip(course(0.0), correction=correction, flips=1000)
        assert weighed({"test": none})["decodable"][2] == 0
        leaked = statistics.sign_flip(course(0.1, leak=0.1), correction=correction, flips=1000)
        assert weighed({"test": leaked})["decodable"][2] == 0
        assert (
            "it is not shown to be at chance before the stimulus" in weighed({"test": leaked})["decodable"][0]
        )


def test_v34_power_beside_a_null_result_comes_from_its_own_courses() -> None:
    none = course(0.0)
    found = power.at_own_n(none, sets=50, flips=200, window=[0.1, 0.3])
    test = statistics.sign_flip(none, correction="max-t", flips=500)
    sentence = weighed({"test": test}, power=found)
    assert "is found with a power of .8" in sentence["decodable"][0]


STUDY = """\
steps:
  meg: {use: loaders.synthetic.meg_oracle, with: {seed: 0, images: 10}}
  course: {use: analyses.decoding.time_resolved, with: {label: familiar}, from: {recording: meg}}
  test: {use: analyses.statistics.relabelled, from: {recording: course}}
  power: {use: analyses.power.at_own_n, with: {effects: [0, 0.1]}, from: {recording: course}}
  claims:
    use: analyses.claims.weigh
    with: {delay_known: true}
    from: {test: test, power: power, image: test, onset: test, channels: test, exposure: test}
"""


def test_a_study_binds_the_records_that_it_has_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "try.yaml"
    path.write_text(STUDY)
    assert study.check(path).steps["claims"].sources["power"] == "power"
    path.write_text(STUDY.replace("power: power,", "powr: power,"))
    with pytest.raises(study.StudyError, match="has no argument 'powr'; did you mean 'power'"):
        study.check(path)
    path.write_text(STUDY.replace("test: test, power", "power"))
    with pytest.raises(study.StudyError, match="needs 'test'; give it in 'from'"):
        study.check(path)
    path.write_text(STUDY.replace("true", "often"))
    with pytest.raises(study.StudyError, match="wants true or false or null for 'delay_known'"):
        study.check(path)


def test_sentences_survive_the_store(tmp_path: Path) -> None:
    made = claims.weigh(**records(test__missing=["03"]))
    store.write(made, tmp_path / "claims.nc", "key", "")
    found = store.read(tmp_path / "claims.nc")
    for name in ("claim", "sentence", "because", "allowed"):
        assert found[name].values.tolist() == made[name].values.tolist()
    again = records()
    store.write(again["test"].assign_attrs(missing=["03"]), tmp_path / "test.nc", "key", "")
    again["test"] = store.read(tmp_path / "test.nc")
    assert weighed(again)["decodable"][0] == str(made["sentence"].values[0])
