"""Published RDMs: matrices and triangles, names, means, and files that are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from loaders import rdms


def written(path: Path, **variables: object) -> Path:
    file = path / "rdms.mat"
    scipy.io.savemat(file, variables)
    return file


def square(count: int = 5, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).random((count, count))
    return (found + found.T) * (1 - np.eye(count))


def struct(*members: dict) -> np.ndarray:
    made = np.empty((1, len(members)), dtype=[(name, object) for name in members[0]])
    for place, member in enumerate(members):
        made[0, place] = tuple(member.values())
    return made


def test_matrices_and_triangles_are_the_same(tmp_path: Path) -> None:
    whole = square()
    members = [{"RDM": whole, "name": "a | one"}, {"RDM": whole[np.triu_indices(5, 1)], "name": "b"}]
    found = rdms.rdms(written(tmp_path, Models=struct(*members)))
    assert found["dissimilarity"].dims == ("model", "condition", "other_condition")
    assert found["model"].values.tolist() == ["a one", "b"]
    assert found["condition"].values.tolist() == ["1", "2", "3", "4", "5"]
    for one in found["dissimilarity"].values:
        np.testing.assert_array_equal(one, whole)
    kept = rdms.rdms(tmp_path / "rdms.mat", names=["b"], dim="subject", origin="made up")
    assert kept.sizes["subject"] == 1
    assert kept.attrs["origin"] == "made up"


def test_rdms_of_one_subject_are_averaged(tmp_path: Path) -> None:
    grid = np.empty((2, 2), dtype=[("RDM", object), ("name", object)])
    for i, j in np.ndindex(2, 2):
        grid[i, j] = (square(seed=2 * i + j), f"hIT | P{i} | Session: {j}")
    found = rdms.rdms(written(tmp_path, RDMs=grid), dim="subject", average=["P0", "P1"])
    assert found["subject"].values.tolist() == ["P0", "P1"]
    np.testing.assert_allclose(found["dissimilarity"][1], (square(seed=2) + square(seed=3)) / 2)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"other": np.eye(3)}, "0 variables hold RDMs"),
        ({"a": struct({"RDM": np.eye(4), "name": "a"})}, "is not 0 on the diagonal"),
        ({"a": struct({"RDM": np.arange(7.0), "name": "a"})}, "fill no triangle"),
        ({"a": struct({"RDM": np.full((3, 3), np.nan), "name": "a"})}, "9 are no numbers"),
        ({"a": struct({"RDM": square(4), "name": "a"}, {"RDM": square(3), "name": "b"})}, "different sizes"),
    ],
)
def test_what_is_no_rdm_is_named(tmp_path: Path, variables: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rdms.rdms(written(tmp_path, **variables))


def test_names_that_are_not_there_are_named(tmp_path: Path) -> None:
    file = written(tmp_path, a=struct({"RDM": square(), "name": "animacy"}))
    with pytest.raises(ValueError, match=r"no RDM called 'animcy'; did you mean 'animacy'"):
        rdms.rdms(file, names=["animcy"])
    with pytest.raises(ValueError, match=r"average: no RDM is called 'P7'"):
        rdms.rdms(file, average=["P7"])
    with pytest.raises(ValueError, match="variable 'b' is missing"):
        rdms.rdms(file, variable="b")
    with pytest.raises(ValueError, match="lacks"):
        rdms.categories(file, variable="a")


def test_a_file_that_is_no_matlab_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rdms.mat"
    file.write_bytes(b"not a matlab file" * 100)
    with pytest.raises(ValueError, match="not a readable MATLAB file"):
        rdms.rdms(file)


def test_the_92_images_have_categories(neuro_data: Path) -> None:
    file = neuro_data / "macaque" / "it_92_images" / "Kriegeskorte_Neuron2008_supplementalData.mat"
    found = rdms.categories(file)
    assert found.sizes["condition"] == 92
    assert (found["animal"].values == "1").sum() == 48
    assert (found["face"].values == "1").sum() == 24
    behaviour = rdms.rdms(file.with_name("92_behavRDMs.mat"), dim="subject")
    assert behaviour["dissimilarity"].shape == (16, 92, 92)
