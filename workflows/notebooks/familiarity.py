# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # When does the (simulated) brain tell a familiar face from an unfamiliar one?
# Run `neuroloop run familiarity` first: this page reads `results/`, draws, and asks one question more.

# %%
import numpy as np
import xarray as xr

from analyses import decoding, statistics
from pipeline import notebook, store

notebook.load()
group = store.read("results/familiarity/group.nc")
figure = statistics.plot(group)
figure

# %% [markdown]
# One of the 16 recordings that it was made from:

# %%
recordings = [store.read(f"results/familiarity/recording/{n:02}.nc") for n in range(1, 17)]
recordings[0]

# %% [markdown]
# ## Which sensors tell more?
# Same people, same folds: AUC of gradiometers minus AUC of magnetometers from 120 to 200 ms, with the 95 %
# confidence interval for its mean over people. It describes this simulation, and no brain.

# %%
late = [one.sel(time=slice(0.12, 0.2)) for one in recordings]
kinds = [[one.isel(neuroid=one["kind"].values == kind) for one in late] for kind in ("grad", "mag")]
aucs = [[float(decoding.time_resolved(one, "familiar")["auc"].mean()) for one in kind] for kind in kinds]
gain = xr.Dataset({"auc": ("subject", np.subtract(*aucs), {"units": "1"})})
statistics.across(gain)
