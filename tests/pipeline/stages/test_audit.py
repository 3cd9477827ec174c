"""The masking audit: 8 networks that hide their gradient are caught, 3 clean ones are not; and refusals."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from analyses import robustness
from loaders import schema
from pipeline.attacks import classify, respond
from pipeline.attacks.apgd import apgd
from pipeline.models import _weights, cornet, masked
from pipeline.stages import _audit_active, _audit_forward, _audit_gradient, audit

EPSILONS = (12 / 255,)
RIGHT = {  # the flag that must be among those raised, for classes and for responses
    "softplus": ("zero gradient", "zero gradient"),
    "quantised": ("zero gradient", "zero gradient"),
    "threshold": ("zero gradient", "zero gradient"),
    "noisy": ("randomised", "randomised"),
    "shattered": ("gradient", "gradient"),
    "softmax": ("softmax", "zero gradient"),
    "detached": ("zero gradient", "zero gradient"),
    "optimised": ("optimisation", "optimisation"),
}
SOME = ("softplus", "softmax")  # of responses, in the quick run


@functools.lru_cache(maxsize=64)
def audited(base="smooth", mask="none", task="classes", seed=0, count=16, thorough=False):
    stimuli = masked.stimuli(count=count, task=task, seed=seed)
    module = masked.build(base=base, mask=mask, task=task, seed=seed)
    numbers = dict(audit.QUICK)
    epsilons = EPSILONS
    if thorough:
        epsilons = (6 / 255, 12 / 255)
        numbers |= {"steps": 15, "restarts": 2, "queries": 100, "learning": 60, "batch": 24, "draws": 10}
    if task == "regression":
        numbers["neuroid"] = seed % 4
    return audit.battery(stimuli, module, epsilons=epsilons, seed=seed, **numbers)


def raised(result):
    return {str(name) for name, up in zip(result["flag"].values, result["raised"].values, strict=True) if up}


def strength(result):
    text, allowed = result["sentence"].values[0], result["allowed"].values[0]
    return str(text), bool(allowed)


@pytest.mark.parametrize("base", masked.BASES)
def test_v26_no_flag_for_a_clean_classifier(base):
    result = audited(base)
    assert raised(result) == set()
    assert not (result["state"] == "not examined").any()
    assert result["union"].values[-1] == 0
    assert strength(result)[1]


@pytest.mark.parametrize("mask", masked.MASKS)
def test_v26_every_masked_classifier_is_flagged(mask):
    result = audited(mask=mask)
    assert RIGHT[mask][0] in raised(result)
    text, allowed = strength(result)
    assert not allowed
    assert text.startswith("Robustness not established")
    assert "robust" not in text.removeprefix("Robustness not established").lower()


@pytest.mark.parametrize("base", masked.BASES)
def test_v26_no_flag_for_a_clean_predictor(base):
    result = audited(base, task="regression")
    assert raised(result) == set()
    assert result["state"].sel(flag="loss-sensitive").item() == "does not apply"
    assert not (result["state"] == "not examined").any()
    change = result["change"].sel(attack="apgd").values
    assert change[1] > change[0] > 0
    assert change[0] > 5 * abs(result["change"].sel(attack="noise").values[0])


@pytest.mark.parametrize("mask", SOME)
def test_v26_masked_predictors_are_flagged(mask):
    assert RIGHT[mask][1] in raised(audited(mask=mask, task="regression"))


@pytest.mark.slow
@pytest.mark.parametrize("task", masked.TASKS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_v26_8_of_8_and_0_of_3_over_seeds(seed, task):
    where = masked.TASKS.index(task)
    clean = {base: raised(audited(base, "none", task, seed, 24, True)) for base in masked.BASES}
    bases = ("smooth", "relu", "smooth")
    hidden = {mask: raised(audited(bases[seed], mask, task, seed, 24, True)) for mask in masked.MASKS}
    for name, found in {**clean, **hidden}.items():
        print(f"{task} seed {seed} {name}: {', '.join(sorted(found)) or 'no flag'}")
    assert [base for base, found in clean.items() if found] == []
    assert [mask for mask, found in hidden.items() if RIGHT[mask][where] not in found] == []


def test_v25_the_linear_predictor_moves_by_its_closed_form():
    result = audited("linear", task="regression")
    stimuli = masked.stimuli(count=16, task="regression")
    module = masked.build(base="linear", task="regression")
    with torch.no_grad():
        clean = module(torch.from_numpy(stimuli["image"].values))[:, 0].double()
    for place, epsilon in enumerate(EPSILONS):
        known = masked.worst(module, stimuli, epsilon=epsilon, neuroid=0) / float(clean.std())
        found = result["value"].sel(attack="apgd").values[place]
        np.testing.assert_allclose(found, known, rtol=1e-4, atol=1e-4)
        gain = known - result["clean"].values
        np.testing.assert_allclose(result["change"].sel(attack="pgd").values[place], gain.mean(), rtol=1e-4)


def test_v25_what_the_record_holds():
    result = audited()
    schema.check(result)
    robustness.complete(result)
    assert result.sizes["attack"] == 9
    assert result.attrs["range"] == result["epsilon"].values[-1] == 1
    assert result.attrs["epsilon"] == EPSILONS[-1]
    assert (result["union"] <= result["accuracy"].min("attack")).all()
    assert result["accuracy"].sel(attack="apgd").values[-1] == 0  # the floor
    assert set(result["knowledge"].values) == {"none", "white box", "score", "transfer"}
    assert result["surface"].shape == (21, 21)
    assert "simulated" in result.attrs["origin"]
    for name in ("model", "weights_sha256", "chance", "draws"):
        assert name in result.attrs
    noise = result["accuracy"].sel(attack="noise").values
    assert noise[0] > result["accuracy"].sel(attack="apgd").values[0]


def test_v28_the_sentence_on_a_predictor_is_fixed():
    for mask in ("none", "softplus"):
        assert "not the brain" in str(audited(mask=mask, task="regression")["sentence"].values[1])


def test_f69_an_unusable_gradient_shows_the_black_box_result():
    result = audited(mask="detached")
    reason = str(result["reason"].sel(flag="zero gradient").item())
    assert "gradient unusable" in reason
    assert result["measured"].sel(flag="zero gradient").item() == 1
    lost = 1 - result["accuracy"].isel(epsilon=0)
    assert (
        lost.sel(attack=["square", "transfer"]).max() > lost.sel(attack=["fgsm", "pgd", "apgd"]).max() + 0.1
    )
    assert not strength(result)[1]


def test_f70_probabilities_are_attacked_on_their_logarithm():
    stimuli = masked.stimuli(count=16)
    module = masked.build(mask="softmax", strength=0.15)
    result = audit.battery(stimuli, module, epsilons=EPSILONS, **audit.QUICK | {"learning": 1})
    assert "softmax" in raised(result)
    plain, logits = (1 - result["accuracy"].sel(attack=name).values[:-1] for name in ("apgd", "apgd, logits"))
    assert logits.sum() > plain.sum() + 0.3
    assert "outputs sum to 1" in str(result["reason"].sel(flag="softmax").item())


def test_same_seed_same_bytes_and_nothing_of_the_callers_is_changed():
    stimuli = masked.stimuli(count=4)
    module = masked.build(mask="noisy").train()
    module.requires_grad_(True)
    before, state = _weights.digest(module), torch.get_rng_state()
    numbers = {**audit.QUICK, "steps": 2, "queries": 5, "learning": 4, "batch": 4}
    one, two = (audit.battery(stimuli, module, epsilons=[0.03], **numbers) for _ in range(2))
    assert one.identical(two)
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert _weights.digest(module) == before
    assert torch.equal(torch.get_rng_state(), state)
    other = audit.battery(stimuli, module, epsilons=[0.03], **numbers | {"seed": 1})
    assert not other.equals(one)


class Stochastic(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.core, self.kind = masked.build(), kind
        self.norm = nn.BatchNorm2d(1, track_running_stats=False)

    def forward(self, x):
        if self.kind == "dropout":
            return self.core(nn.functional.dropout(x, 0.1, training=True))
        if self.kind == "noise":
            return self.core(x + 0.05 * torch.randn_like(x))
        return self.core(0.5 + 0.1 * self.norm(x))


@pytest.mark.parametrize(("kind", "averaged"), [("dropout", 3), ("noise", 3), ("batch norm", 1)])
def test_f68_passes_that_differ_are_seen(kind, averaged):
    numbers = {**audit.QUICK, "steps": 2, "queries": 5, "learning": 4, "batch": 8}
    result = audit.battery(masked.stimuli(count=8), Stochastic(kind), epsilons=[0.03], **numbers)
    assert "randomised" in raised(result)
    assert result.attrs["draws"] == averaged
    if kind == "batch norm":
        assert "the others in its batch" in str(result["reason"].sel(flag="randomised").item())


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm2d(1)])
def test_f68_layers_in_training_mode_are_put_into_evaluation(layer):
    module = nn.Sequential(layer, masked.build()).train()
    assert _audit_forward.randomness(module.eval(), torch.rand(8, 1, 12, 12))[1] <= 1e-4
    numbers = {**audit.QUICK, "steps": 2, "queries": 5, "learning": 4, "batch": 8}
    result = audit.battery(masked.stimuli(count=8), module.train(), epsilons=[0.03], **numbers)
    assert "randomised" not in raised(result)
    assert layer.training


def broken(value):
    return lambda x: torch.full((len(x), 4), value)


class Wrong(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, x):
        return self.outputs(x)


@pytest.mark.parametrize(
    ("model", "numbers", "why"),
    [
        (Wrong(broken(float("nan"))), {}, "model: gives nan"),
        (Wrong(broken(float("inf"))), {}, "model: gives inf"),
        (Wrong(lambda x: x), {}, "wanted one row of numbers"),
        (masked.build(), {"neuroid": 7}, "neuroid: is 7 at picture 0, and the model has 4"),
        (masked.build(outputs=3), {}, "label: is 3 at picture"),
        (masked.build(), {"label": "class"}, "label: the stimuli have no 'class'"),
        (masked.build(), {"target": "drve", "neuroid": 0}, "target: 'drve'; did you mean 'drive'"),
        (masked.build(), {"norm": "l3"}, "norm: 'l3'"),
        (masked.build(), {"norm": "l0"}, "norm: 'l0'"),
        (masked.build(), {"norm": "l1"}, "norm: 'l1'"),
        (masked.build(), {"epsilons": [-0.1]}, "epsilons: is -0.1 at 0"),
        (masked.build(), {"epsilons": [float("nan")]}, "epsilons: is nan at 0"),
        (masked.build(), {"epsilons": []}, "epsilons: are empty"),
        (masked.build(), {"epsilons": [0.0]}, "epsilons: none lies between 0 and the range"),
        (masked.build(), {"steps": 0}, "steps: 0; wanted a whole number"),
    ],
)
def test_f70_f71_what_cannot_be_audited_is_refused(model, numbers, why):
    given = {"epsilons": [0.03], **audit.QUICK, **numbers}
    with pytest.raises(ValueError, match=why):
        audit.battery(masked.stimuli(count=16), model, **given)


def test_f67_pictures_and_weights_that_are_no_numbers_are_refused():
    stimuli = masked.stimuli(count=4)
    stimuli["image"].values[1, 0, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"image: is nan at \(1, 0, 2, 3\)"):
        audit.battery(stimuli, masked.build(), epsilons=[0.03], **audit.QUICK)
    module = masked.build()
    module.head.weight[0, 0] = torch.inf
    with pytest.raises(ValueError, match=r"weights: 'head.weight' is inf"):
        audit.battery(masked.stimuli(count=4), module, epsilons=[0.03], **audit.QUICK)


def test_f71_a_budget_beyond_the_range_is_clipped_and_said():
    numbers = {**audit.QUICK, "steps": 2, "queries": 5, "learning": 4, "batch": 4}
    with pytest.warns(UserWarning, match="epsilons: 3: wider than the range"):
        result = audit.battery(masked.stimuli(count=4), masked.build(), epsilons=[0, 0.03, 3], **numbers)
    assert result["epsilon"].values.tolist() == [0.03, 1]
    assert result.attrs["clipped"] == "3"


def test_f73_all_wrong_at_the_start():
    stimuli = masked.stimuli(count=4)
    stimuli["label"] = ("stimulus", (stimuli["label"].values + 1) % 4)
    numbers = {**audit.QUICK, "steps": 2, "queries": 5, "learning": 4, "batch": 4}
    result = audit.battery(stimuli, masked.build(), epsilons=[0.03], **numbers)
    assert (result["accuracy"] == 0).all()
    assert np.isnan(result["success"]).all()
    with pytest.raises(ValueError, match="stimuli: 1; an audit compares two"):
        audit.battery(stimuli.isel(stimulus=[0]), masked.build(), epsilons=[0.03], **numbers)


def test_a_budget_in_l2():
    numbers = {**audit.QUICK, "norm": "l2", "batch": 8}
    numbers |= {"steps": 10, "learning": 5}
    result = audit.battery(masked.stimuli(count=8), masked.build(), epsilons=[0.5], **numbers)
    assert raised(result) == set()
    assert result.attrs["range"] == 12


def test_a_surrogate_that_is_given_is_used():
    numbers = {**audit.QUICK, "steps": 10, "learning": 1}
    given = {"surrogate": functools.partial(masked.build, seed=0), "epsilons": EPSILONS}
    result = audit.battery(masked.stimuli(count=16), masked.build(mask="quantised"), **given, **numbers)
    assert "transfer" in raised(result)
    assert result["accuracy"].sel(attack="transfer").values[0] < 0.5


def test_displacement_of_a_response_goes_either_way():
    stimuli = masked.stimuli(count=16, task="regression").isel(stimulus=slice(8))
    module = masked.build(task="regression")
    numbers = {**audit.QUICK, "neuroid": 0, "target": "displace", "queries": 5, "learning": 3, "batch": 8}
    result = audit.battery(stimuli, module, epsilons=EPSILONS, **numbers)
    assert raised(result) == set()
    with torch.no_grad():
        spread = float(module(torch.from_numpy(stimuli["image"].values))[:, 0].std())
    alone = audited(task="regression")  # driven, in SD of 16 pictures
    driven = (alone["value"].sel(attack="apgd").values[0] - alone["clean"].values)[:8]
    with torch.no_grad():
        whole = masked.stimuli(count=16, task="regression")["image"].values
        driven = driven * float(module(torch.from_numpy(whole))[:, 0].std()) / spread
    moved = result["value"].sel(attack="apgd").values[0]
    assert (moved >= driven - 0.02).all()


def test_any_other_number_is_audited_in_its_own_units():
    stimuli, module = masked.stimuli(count=8, task="regression"), masked.build(task="regression")
    numbers = {**audit.QUICK, "queries": 5, "learning": 3, "batch": 8}
    result = audit.battery(stimuli, module, objective=respond.population, epsilons=EPSILONS, **numbers)
    assert raised(result) == set()
    assert result.attrs["target"] == "population"
    assert result["change"].attrs["units"] == "1"
    assert (result["clean"] == 0).all()


class Iterative(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        if self.how == "func":
            return x - torch.func.grad(lambda y: (y**2).sum())(x)
        with torch.enable_grad():
            leaf = nn.Parameter(x.detach().clone())
            energy = (leaf**2).sum()
            if self.how == "backward":
                energy.backward()
                return x - leaf.grad
            return x - torch.autograd.grad(energy, leaf)[0]


@pytest.mark.parametrize("how", ["func", "backward", "grad"])
def test_v26_optimisation_inside_a_pass_is_counted(how):
    assert _audit_forward.optimisation(Iterative(how), torch.rand(2, 1, 4, 4)) > 0


@pytest.mark.parametrize(
    "module", [masked.build(), masked.build(mask="noisy"), masked.build(mask="detached")], ids=str
)
def test_v26_a_plain_pass_takes_no_gradient(module):
    assert _audit_forward.optimisation(module, torch.rand(2, 1, 12, 12)) == 0


def test_v26_a_recurrent_network_is_no_optimisation():
    assert _audit_forward.optimisation(cornet.build(width=4).eval(), torch.rand(2, 3, 32, 32)) == 0


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_v26_a_smooth_number_agrees_with_its_differences(norm):
    x = masked.stimuli(count=6)
    label = torch.from_numpy(x["label"].values)
    pictures = torch.from_numpy(x["image"].values)
    epsilon = {"linf": 0.03, "l2": 0.5}[norm]
    for mask, wrong in (("none", False), ("shattered", True), ("quantised", True)):
        objective = classify.margin(masked.build(mask=mask), pictures, label=label)
        error, _ = _audit_gradient.mismatch(objective, pictures, epsilon, norm, 20, 0)
        assert (error > 0.1) == wrong, f"{mask}: {error}"


def test_v26_what_is_planted_is_found_where_the_gradient_is_sound():
    x = torch.from_numpy(masked.stimuli(count=12)["image"].values)
    search = functools.partial(apgd, norm="linf", steps=15)
    for mask, least, most in (("none", 0.95, 1), ("quantised", 0, 0.2), ("detached", 0, 0.2)):
        share, told = _audit_active.planted(masked.build(mask=mask), x, 0.03, "linf", search, 0)
        assert least <= share <= most, f"{mask}: {share}"
        assert "12 planted" in told


def test_the_figure_of_an_audit():
    for result in (audited(mask="shattered"), audited(task="regression")):
        figure = audit.plot(result)
        assert len(figure.axes) == 3
        assert ("gradient" in figure.get_suptitle()) == ("broken" in result)


def test_a_file_holds_the_whole_audit(tmp_path):
    result = audited(task="regression")
    result.to_netcdf(tmp_path / "audit.nc")
    with xr.open_dataset(tmp_path / "audit.nc") as again:
        found = again.load()
    np.testing.assert_array_equal(found["measured"], result["measured"])
    assert str(robustness.weigh(found)["sentence"].values[0]) == str(result["sentence"].values[0])


@pytest.mark.slow
def test_v26_no_flag_for_a_small_network_trained_on_digits(neuro_data):
    from loaders import images
    from pipeline import tasks
    from pipeline.models import cnn
    from pipeline.stages import train

    digits = images.stimuli(neuro_data / "images" / "mnist_t10k" / "t10k-images-idx3-ubyte.gz")
    build = functools.partial(cnn.build, channels=1, width=8)
    told = {"task": tasks.classify, "label": "label", "epochs": 6, "rate": 0.01, "optimizer": "adamw"}
    weights = train.fit(digits.isel(stimulus=slice(0, 4000)), build, **told)
    few = digits.isel(stimulus=slice(4000, 4032))
    result = audit.battery(few, weights=weights, epsilons=[0.05, 0.1, 0.2], batch=32)
    print(result["measured"].to_series())
    assert raised(result) == set()
    assert result["union"].values[2] < 0.1
