"""What the studies of categories and of landscapes make lies within bounds that stood before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline import run, store

ROOT = Path(__file__).resolve().parent.parent


def made(results: Path, name: str, steps: list[str]) -> dict[str, xr.Dataset]:
    run.run(ROOT / "workflows" / "studies" / f"{name}.yaml", results, steps=steps, quiet=True)
    return {path.stem: store.read(path) for path in sorted((results / name).glob("*.nc"))}


@pytest.mark.slow
def test_categories_mnist_layers_are_more_categorical_the_deeper(tmp_path: Path, neuro_data: Path) -> None:
    arms = made(tmp_path, "categories_mnist", ["arms"])["arms"]
    assert arms.attrs["n"] == 5
    trained, untrained = (arms["index"].sel(arm=name).values[1:] for name in ("trained", "untrained"))
    np.testing.assert_allclose(untrained, [0.40, 0.395, 0.38], atol=0.04)
    np.testing.assert_allclose(
        trained, [0.64, 0.935, 0.97], atol=0.06
    )  # 8000 pictures where 60,000 were used
    assert (np.diff(trained) > 0).all()
    assert float(arms["index_difference_low"].sel(arm="untrained")[1:].min()) > 0.15
    for name in arms["arm"].values:
        print(name, arms["index"].sel(arm=name).values.round(3), arms["published"].sel(arm=name).values)


@pytest.mark.slow
def test_dropout_sites_are_swept_and_the_best_of_each_is_printed(tmp_path: Path, neuro_data: Path) -> None:
    sites = made(tmp_path, "dropout_sites", ["sites"])["sites"]
    assert sites.attrs["n"] == 5
    ends = [sites[f"accuracy_difference{end}"].isel(method=0) for end in ("", "_low", "_high")]
    mean = sites["accuracy_mean"].isel(method=0)
    for arm in sites["arm"].values:
        told = " ".join(f"{float(one.sel(arm=arm)):+.4f}" for one in ends)
        print(f"\n{arm}: {float(mean.sel(arm=arm)):.4f}, less the base {told}", end="")
    for site in ("input", "hidden 1", "hidden 2"):
        best = max(
            (arm for arm in mean["arm"].values if arm.startswith(site)), key=lambda arm: mean.sel(arm=arm)
        )
        print(
            f"\nbest of {site}: {best if mean.sel(arm=best) > mean.sel(arm='all 0.2') else 'all 0.2'}", end=""
        )
    assert float(mean.min()) > 0.2  # chance is .1


def test_categories_mnist_space_expands_at_the_boundary(tmp_path: Path, neuro_data: Path) -> None:
    found = made(tmp_path, "categories_mnist", ["around"])["around"]
    trained, twin = (found.sel(arm=name) for name in ("trained", "untrained"))
    layers = ["pixels", "layer1", "layer2", "layer3", "head"]
    assert found["layer"].values.tolist() == layers
    expansion = trained["expansion"].values
    assert (np.diff(expansion) > 0).all()
    assert float(trained["expansion_low"].sel(layer="layer3")) > 1
    assert float(found["expansion_difference_low"].sel(arm="untrained", layer="layer3")) > 0.5
    assert float(twin["expansion_high"].sel(layer="layer3")) < 1
    print(expansion.round(2), twin["expansion"].values.round(2), trained["peak"].values.round(4))


@pytest.mark.slow
def test_landscapes_say_their_trend_whichever_way_it_goes(tmp_path: Path, neuro_data: Path) -> None:
    found = made(tmp_path, "landscapes", ["trend"])["trend"]
    assert found.attrs["starts"] == 5
    assert found["layer"].values.tolist() == ["conv1", "conv2", "conv3", "conv4"]
    for name in found["condition"].values:
        one = found.sel(condition=name)
        for arm in found["arm"].values:
            low, rho, high = (float(one[f"rho{end}"].sel(arm=arm)) for end in ("_low", "", "_high"))
            print(f"{name} {arm}: rho {rho:.2f} [{low:.2f}, {high:.2f}]")
            assert np.isnan(rho) or (low <= high and abs(rho) <= 1)
    assert float(found["live"].min()) >= 20


@pytest.mark.slow
def test_landscapes_of_models_of_v4_are_made(tmp_path: Path, neuro_data: Path) -> None:
    found = made(tmp_path, "landscapes", ["predicted_signatures"])["predicted_signatures"]
    assert found.sizes["neuroid"] == 50
    assert found.attrs["dead"] < 25
    live = ~found["flat"].values
    assert (found["local_r2"].values[live] <= 1 + 1e-9).all()
