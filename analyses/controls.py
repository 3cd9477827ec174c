"""What else could have told the label: the picture, the eyes, the trigger, or how often a thing was seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import xarray as xr

from analyses import _channels, _effects, _exposure, _group, _image, decoding
from analyses import folds as _folds
from analyses._decode import Estimator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = (
    "eog", "ecg", "emg", "eyegaze", "pupil", "misc", "stim", "resp", "bio", "gsr", "temperature",
    "chpi", "motion",
)  # fmt: skip
COLUMNS = ("duration", "response_time")


def image(
    recording: xr.Dataset,
    stimuli: xr.Dataset | None,
    label: str,
    *,
    families: Sequence[str] = (),
    covariates: Sequence[str] = (),
    estimator: str = "lda",
    folds: int | xr.Dataset = 5,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    window: Sequence[float | None] = (0.0, None),
    permutations: int = 1000,
    bootstraps: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> xr.Dataset:
    """Whether the picture, rather than what it shows, tells the label: four controls in the same folds.

    (a) The label is decoded from each family of `features.low_level` alone, and from all. (b) It is decoded
    from the response less what a regression on image features, compressed and fitted in the training set,
    explains of it. (c) It is decoded from stimuli paired across the classes by their features. (d)
    Dissimilarities of responses are correlated with the label's, with the features' partialled out.

    Verdict: "survives" if the mean residual AUC over `window` is above chance, by p <= alpha and by the lower
    end of its 95 % interval; else "explained" if the label is decoded from the response and from the image,
    each by p <= alpha; else "undecided". These p are of the sum over the window of squared AUC above 0.5:
    labels are exchanged between identities, or stimuli, and the cross-validation is redone with a shrunk
    discriminant whose covariance needs no labels. p of families is max-T over families, that of (d) over
    times. Intervals resample identities, or stimuli, within classes.

    Reads    response (presentation, neuroid, time); label (presentation), two values, one a stimulus; image
             (stimulus, channel, y, x) with stimulus_id, joined by it; or null, and covariates, numeric
             coordinates that stand for the image; folds and estimator as `decoding.time_resolved`
    Returns  auc, residual, matched (time), 0.5 by chance; alone, p (family); rsa, rsa_partial, rsa_p (time);
             attrs verdict, loss with loss_low and loss_high (share of the effect that the residual lost),
             raw_, residual_, matched_ and image_score and _p, families. ValueError names what is missing
    Source   Snoek et al. 2019, doi 10.1016/j.neuroimage.2018.09.074; Valente et al. 2021,
             doi 10.1016/j.neuroimage.2021.118120; Kriegeskorte et al. 2008, doi 10.3389/neuro.06.004.2008
    """
    _effects.check(permutations, bootstraps, alpha)
    inside = _effects.moments(recording, window)
    raw = decoding.time_resolved(
        recording, label, estimator=estimator, folds=folds, groups=groups, overlap=overlap, seed=seed
    )
    split = _split(recording, label, folds, groups, overlap, seed)
    told = _image.columns(recording, stimuli, families, covariates)
    asked = _image.Asked(Estimator(estimator, None, True), inside, permutations, bootstraps, alpha, seed)
    return _image.control(recording, label, raw, split, told, asked)


def image_group(
    recording: xr.Dataset, *, alpha: float = 0.05, bootstraps: int = 5000, seed: int = 0
) -> xr.Dataset:
    """The image control over subjects: is what the picture leaves above chance in the mean of subjects?

    Means over the window of the control. "survives" if the 1 - alpha interval of the mean residual AUC
    (Student's, over subjects) lies above 0.5; else "explained" if that of the raw AUC does and the image
    tells the label (median over subjects of the smallest p of a family <= alpha); else "undecided".

    Reads    auc, residual (subject, time), alone, p (subject, family), gathered from `image`
    Returns  auc, residual (time) with _low and _high; alone, p (family); attrs verdict, loss (of the mean
             effect) with loss_low, loss_high (95 % bootstrap over subjects), n. ValueError for one subject
    """
    return _group.image(recording, alpha, bootstraps, seed)


def channels(
    recording: xr.Dataset,
    label: str,
    *,
    kinds: Sequence[str] = KINDS,
    columns: Sequence[str] = COLUMNS,
    folds: int | xr.Dataset = 5,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    permutations: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> xr.Dataset:
    """Whether eyes, heart, trigger, movement or durations tell the label, in the same folds.

    Each kind of channel is decoded by itself at every time with a shrunk discriminant; a numeric coordinate
    of the presentations by itself, a missing value (NaN) counting as one more bit.

    Reads    response (presentation, neuroid, time) of all channels, kind (neuroid); label (presentation), two
             values; the coordinates that `columns` names, where they stand
    Returns  auc, p (family, time), a family being a kind or a column, whose value holds for all times; p is
             max-T over times, times the number of families; attrs flagged and tested list families, flagged
             those with p <= alpha at any time. Nothing to test gives no family
    Source   Nichols and Holmes 2002, doi 10.1002/hbm.1058 (max-T)
    """
    _effects.check(permutations, 20, alpha)
    split = _split(recording, label, folds, groups, overlap, seed)
    return _channels.control(recording, label, split, kinds, columns, permutations, alpha, seed)


def channels_group(
    recording: xr.Dataset, *, alpha: float = 0.05, permutations: int = 5000, seed: int = 0
) -> xr.Dataset:
    """The channel control over subjects, by sign flips of subjects, or Student's t where they are too few.

    Reads    auc (subject, family, time), gathered from `channels`
    Returns  auc, p (family, time); p is max-T over times, times the number of families; attrs flagged,
             tested, n. ValueError for one subject
    Source   Nichols and Holmes 2002, doi 10.1002/hbm.1058
    """
    return _group.channels(recording, alpha, permutations, seed)


def exposure(
    recording: xr.Dataset,
    label: str,
    *,
    estimator: str = "lda",
    folds: int | xr.Dataset = 5,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    window: Sequence[float | None] = (0.0, None),
    permutations: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> xr.Dataset:
    """Whether the classes were shown as often and at the same times, and if not, what is left when they are.

    The matched run keeps pairs of presentations, one of each class, of the same repetition and nearly the
    same place in the session. Verdict: "equal" if presentations, mean repetition and mean place differ
    between the classes no more than exchanged labels do (p > alpha / 3 each), or places by less than 5 % of
    the session; else "survives" if the matched
    run is above chance (p <= alpha); "vanishes" if it is not while all presentations are, and its mean AUC is
    less than half as far above 0.5 as that of as many presentations drawn without regard to exposure (mean of
    10 draws); else "undecided".

    Reads    response (presentation, neuroid, time); label (presentation), two values; stimulus_id, and
             repetition, run, onset where they stand: else the order of presentations counts
    Returns  mean (condition, family) and difference, p (family) of presentations a stimulus, repetition and
             position (0 to 1) in the session; auc, matched, unmatched (time), the latter two NaN where the
             classes are equal; attrs verdict, presentations_left, _score and _p of each run
    Source   Henson 2003, doi 10.1016/S0301-0082(03)00086-8 (repetition); Austin 2011, doi 10.1002/pst.433
    """
    _effects.check(permutations, 20, alpha / 3)
    inside = _effects.moments(recording, window)
    raw = decoding.time_resolved(
        recording, label, estimator=estimator, folds=folds, groups=groups, overlap=overlap, seed=seed
    )
    split = _split(recording, label, folds, groups, overlap, seed)
    asked = _image.Asked(Estimator(estimator, None, True), inside, permutations, 0, alpha, seed)
    return _exposure.control(recording, label, raw, split, asked)


def exposure_group(recording: xr.Dataset, *, alpha: float = 0.05) -> xr.Dataset:
    """The exposure control over subjects, each run by the 1 - alpha interval of its mean over the window.

    "equal" where no subject was matched; else "survives" if the interval of the matched AUC lies above 0.5;
    "vanishes" if only that of all presentations does, and the matched mean is less than half as far above 0.5
    as the unmatched; else "undecided".

    Reads    auc, matched, unmatched (subject, time), gathered from `exposure`
    Returns  auc, matched, unmatched (time) with _low and _high; attrs verdict, n. ValueError for one subject
    """
    return _group.exposure(recording, alpha)


def plot(result: xr.Dataset) -> Figure:
    """Bars of what was decoded beside the responses, and the curves with and without it.

    Reads    what a control of this module returned
    Returns  a matplotlib Figure
    """
    from analyses import _plots_controls

    return _plots_controls.draw(result)


def _split(
    recording: xr.Dataset,
    label: str,
    folds: int | xr.Dataset,
    groups: str | Sequence[str],
    overlap: Sequence[str],
    seed: int,
) -> xr.Dataset:
    """The folds that `decoding.time_resolved` uses for the same arguments."""
    if isinstance(folds, xr.Dataset):
        return folds
    return _folds.split(recording, label, folds=folds, groups=groups, overlap=overlap, seed=seed)
