# Everything that a newcomer, a developer and CI run. `make demo` and `make test` set up what they need.
PYTHON ?= python3.11
MAIN   := .venv
MODERN := .venv-modern
TORCH  := torch==2.13.0
RUN    := $(MAIN)/bin/python -m pipeline
STUDIES := face_house seven_objects timing onset_calibration it_92 it_dynamics \
           v4_scores v4_attack guo_sensitivity comment_controls geometry_it geometry_layers \
           codes_it categories_mnist dropout_sites landscapes gerum_spectrum gerum_deep pirlot_dcca \
           safarani_cotraining loop
WIDE   := -n 2 --dist loadfile
ONE    := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1  # thread in each of two processes

.PHONY: demo test test-main test-modern lint replicate bench clean
.DELETE_ON_ERROR:

demo: $(MAIN)/.ready
	$(RUN) run familiarity
	$(RUN) draw familiarity
	$(RUN) report familiarity
	@echo "The figure is results/familiarity/group.png, the report results/familiarity/report.html"

test: lint test-main test-modern
	$(MAKE) demo

lint: $(MAIN)/.ready
	$(MAIN)/bin/ruff check .
	$(MAIN)/bin/ruff format --check .
	$(MAIN)/bin/mypy

test-main: $(MAIN)/.ready
	$(ONE) $(MAIN)/bin/python -m pytest $(WIDE)

test-modern: $(MODERN)/.ready
	$(ONE) $(MODERN)/bin/python -m pytest $(WIDE) -m "not slow and not timing and not brainscore"

replicate: $(MAIN)/.ready
	$(MAIN)/bin/python -m pytest -m slow
	for study in $(STUDIES); do \
		$(RUN) run $$study && $(RUN) draw $$study && $(RUN) report $$study || exit 1; \
	done

bench: $(MAIN)/.ready
	$(MAIN)/bin/python -m pip install -q -c constraints.txt -e ".[bench]"
	$(MAIN)/bin/python -m pytest tests/benchmarks -m timing -s

# torch first and by pip: an unpinned torch would bring several GB of CUDA packages
$(MAIN)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(MAIN)
	$(MAIN)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt uv $(TORCH)
	$(MAIN)/bin/uv pip install -q --python $(MAIN)/bin/python -c constraints.txt -e ".[brainscore,notebooks,test]"
	touch $@

$(MODERN)/.ready: pyproject.toml constraints-modern.txt
	$(PYTHON) -m venv $(MODERN)
	$(MODERN)/bin/python -m pip install -q --disable-pip-version-check -c constraints-modern.txt uv $(TORCH)
	$(MODERN)/bin/uv pip install -q --python $(MODERN)/bin/python -c constraints-modern.txt -e ".[notebooks,test]"
	touch $@

clean:
	rm -rf $(MAIN) $(MODERN) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .snakemake .benchmarks
