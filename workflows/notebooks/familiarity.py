# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# When does the (simulated) brain tell a familiar face from an unfamiliar one?
# Run `neuroloop run familiarity` first: this page only reads `results/` and draws.

# %%
from analyses import statistics
from pipeline import store

group = store.read("results/familiarity/group.nc")
figure = statistics.plot(group)
figure
