# seismic-lightning. `make` alone lists what there is.
DATASET ?= FlatVel-A
PRESET  ?=
WAVE_SPEED ?= overthrust
SOURCE  ?= Llaima
TARGET  ?= Deception
METHOD  ?= cubism
SEED    ?= 0
DEVICES ?=
NODES   ?=
VARIANT ?=
GRID    ?= baselines
SEEDS   ?=
RUN     ?=
DATA    ?=
CACHE   ?= cache
RUNS    ?= runs
PICKS   ?=
STATIONS ?=
VELOCITY ?=
REFERENCE ?=
OUT     ?=
SWEEP   ?=
PAPER   ?= harpa
ARGS    ?=

PYTHON  ?= python3
VENV    := .venv
PY      := $(VENV)/bin/python
STAMP   := $(VENV)/.installed

# Options that a variable stands for; an empty variable stands for none.
OPTIONS = --seed $(SEED) --cache_root $(CACHE) --run_root $(RUNS) \
          $(if $(PRESET),--preset $(PRESET)) $(if $(VARIANT),--variant $(VARIANT)) $(if $(DEVICES),--devices $(DEVICES)) $(if $(NODES),--nodes $(NODES)) $(if $(DATA),--data_root $(DATA)) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow smoke lint bench exp-ubdiff ablate-ubdiff exp-harpa exp-cubism table-cubism figures-cubism data-volcano figures-harpa bench-association associate report reproduce sweep-ubdiff sweep-harpa sweep-cubism agent data clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' Makefile
	@echo "  variables: DATASET=$(DATASET) WAVE_SPEED=overthrust|grf|gaussian SOURCE=$(SOURCE) TARGET=$(TARGET) METHOD=$(METHOD)"
	@echo "             PRESET=tiny|small|paper SEED=$(SEED) DEVICES=1 NODES=1"
	@echo "             VARIANT=ub_diff|without_two_step|joint|unpaired"
	@echo "             DATA=folder CACHE=$(CACHE) RUNS=$(RUNS) GRID=$(GRID) SEEDS=0,1,2 ARGS='--dotted.name value'"

setup: $(STAMP)  ## build .venv (does nothing when nothing changed)

# torch first and at the tested version, so that nothing else decides which build of it comes.
$(STAMP): pyproject.toml constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -c constraints.txt torch
	$(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

test: setup  ## the fast tests, a few minutes
	$(PY) -m pytest -m "not slow" -n auto --dist loadfile

test-slow: setup  ## the slow tests: several processes, kill and resume
	$(PY) -m pytest -m slow -n auto --dist loadfile --no-loadscope-reorder --durations 25

smoke: setup  ## end-to-end runs on tiny synthetic data, some two minutes
	$(PY) -m experiments.ubdiff run --preset tiny --config tests/smoke.yaml --name smoke --run_root $(RUNS) --cache_root $(CACHE)
	$(PY) -m experiments.harpa run --preset tiny --config tests/smoke_harpa.yaml --name smoke --run_root $(RUNS) --cache_root $(CACHE)
	$(PY) -m experiments.harpa run --wave_speed grf --preset tiny --config tests/smoke_harpa.yaml --name smoke-grf --run_root $(RUNS) --cache_root $(CACHE)
	$(PY) -m experiments.cubism run --preset tiny --config tests/smoke_cubism.yaml --name smoke --run_root $(RUNS) --cache_root $(CACHE)

lint: setup  ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: setup  ## speed as ratios in one run: operator, sampling, data loading, Lightning, solvers
	$(PY) -m experiments.benchmark $(if $(DATA),--data_root $(DATA)) $(ARGS)

exp-ubdiff: setup  ## UB-Diff from data to generated pairs: DATASET, PRESET, SEED, DEVICES, DATA
	$(PY) -m experiments.ubdiff run --dataset $(DATASET) $(OPTIONS)

ablate-ubdiff: setup  ## a grid of UB-Diff runs and its table: DATASET, GRID, SEEDS, PRESET, DATA
	$(PY) -m experiments.ablation ubdiff --grid $(GRID) --seeds $(or $(SEEDS),0) --dataset $(DATASET) --cache_root $(CACHE) --run_root $(RUNS) \
	  $(if $(PRESET),--preset $(PRESET)) $(if $(DATA),--data_root $(DATA)) $(ARGS)

exp-harpa: setup  ## HARPA from wave speeds to associated picks: WAVE_SPEED, PRESET, SEED, DEVICES, DATA
	$(PY) -m experiments.harpa run --wave_speed $(WAVE_SPEED) $(OPTIONS)

figures-harpa: setup  ## the figures of HARPA's paper at a size for a laptop: DATA, ARGS='--only fig8'
	$(PY) -m experiments.harpa_figures --cache_root $(CACHE) --run_root $(RUNS) $(if $(DATA),--data_root $(DATA)) $(ARGS)

bench-association: setup  ## accuracy and CPU time of the association solvers: DATA
	$(PY) -m experiments.association_benchmark --cache_root $(CACHE) $(if $(DATA),--data_root $(DATA)) $(ARGS)

associate: setup  ## a catalogue of picks: PICKS, STATIONS, VELOCITY (.csv 1-D, .npy 3-D, or km/s), OUT, REFERENCE
	$(PY) -m experiments.catalogue --picks $(PICKS) --stations $(STATIONS) --velocity $(VELOCITY) --out $(OUT) \
	  --cache_root $(CACHE) $(if $(REFERENCE),--reference $(REFERENCE)) $(ARGS)

exp-cubism: setup  ## Cubism or a rival from one volcano to another: SOURCE, TARGET, METHOD (or all), PRESET, SEED, DEVICES, DATA
	$(PY) -m experiments.cubism run --source $(SOURCE) --target $(TARGET) --method $(METHOD) $(OPTIONS)

table-cubism: setup  ## Table 2 of Cubism's paper: SOURCE, TARGET, SEEDS=0-4, PRESET, DATA
	$(PY) -m experiments.cubism_table --source $(SOURCE) --target $(TARGET) --seeds $(or $(SEEDS),0-4) --cache_root $(CACHE) \
	  --run_root $(RUNS) $(if $(PRESET),--preset $(PRESET)) $(if $(DATA),--data_root $(DATA)) $(ARGS)

figures-cubism: setup  ## Fig. 2 of Cubism's paper, each volcano's classifier on both: SOURCE, TARGET, SEED, DATA
	$(PY) -m experiments.cubism_generalisation --source $(SOURCE) --target $(TARGET) --seed $(SEED) --cache_root $(CACHE) \
	  --run_root $(RUNS) $(if $(PRESET),--preset $(PRESET)) $(if $(DATA),--data_root $(DATA)) $(ARGS)

data-volcano: setup  ## write the synthetic twins of both volcanoes as files: DATA, SEED
	$(PY) -m experiments.cubism twins --out $(or $(DATA),data/volcano) --seed $(SEED)

report: setup  ## one HTML page: of RUN=runs/ubdiff/FlatVel-A-tiny-seed0, or of all runs
	$(if $(RUN),$(PY) -m experiments.report_html $(RUN),$(PY) -m experiments.report_overview $(RUNS))

reproduce: setup  ## run a paper's table and figures from nothing and compare with the reference: PAPER, PRESET
	$(PY) -m experiments.reproduce --paper $(PAPER) --preset $(or $(PRESET),tiny) $(ARGS)

sweep-ubdiff: setup  ## create a W&B sweep; `make agent SWEEP=entity/project/id` works for it
	$(VENV)/bin/wandb sweep experiments/sweeps/ubdiff.yaml

sweep-harpa: setup  ## the same for HARPA
	$(VENV)/bin/wandb sweep experiments/sweeps/harpa.yaml

sweep-cubism: setup  ## the same for Cubism
	$(VENV)/bin/wandb sweep experiments/sweeps/cubism.yaml

agent: setup  ## work for a sweep: SWEEP=entity/project/id, ARGS='--count 5'
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/wandb agent $(ARGS) $(SWEEP)

data: setup  ## prepare and verify the data of DATASET ahead of time
	$(PY) -m experiments.ubdiff data --dataset $(DATASET) $(OPTIONS)

clean:  ## remove .venv and tool caches; runs and cache stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
