# `make` alone lists what there is. Only Python 3.11 or newer and make are needed beforehand.

VENV ?= .venv
PYTHON ?= python3
PORT ?= 8888
BROWSER ?= yes
WORKERS ?= 2
BENCH ?= speed
ARGS ?=

# Threads that wait for one another give their core away after a short while (some 0.1 ms; libgomp
# only). Where others want it too (the browser, the server), the usual long waiting makes a training
# step several times slower, and no waiting at all half as slow again where nobody does.
export GOMP_SPINCOUNT ?= 20000
# Memory of large tensors is kept for the next step, not given back and asked for again (glibc only):
# a step of vgg_small on two threads takes about a tenth less.
export MALLOC_MMAP_THRESHOLD_ ?= 1073741824
export MALLOC_TRIM_THRESHOLD_ ?= 4294967296

# Always `python -m …`: the scripts in bin/ name the place where the environment was made.
PY := "$(VENV)/bin/python"
# A copy of what was installed, and from where, written last: there only if the install went through.
STAMP := $(VENV)/snnviz-installed

.PHONY: help setup lab quick test check format lesson bench dist docs clean

help:
	@echo 'make lab      open the quickstart notebook in JupyterLab     PORT=8888 BROWSER=no'
	@echo 'make quick    the tests that need no browser, notebook, killed process or Ray'
	@echo 'make test     every test: unit, notebooks, browser           ARGS="tests/test_house.py -x" WORKERS=2'
	@echo 'make check    lint, format, types, no outputs in notebooks'
	@echo 'make format   fix what make check finds, where ruff can'
	@echo 'make bench    run benchmarks/speed.py                        BENCH=quickstart ARGS="…"'
	@echo 'make dist     the wheel and the source archive, in dist/'
	@echo 'make docs     the site, in docs/_build/html'
	@echo 'make lesson   the lesson for students, from the one with the answers'
	@echo 'make clean    remove the environment and caches'
	@echo
	@echo 'The first one of them sets up the environment: some minutes, and on Linux 3.5 GB to download.'
	@echo 'VENV=folder puts it elsewhere than .venv; PYTHON=python3.12 picks the Python to make it with.'

setup:
	@set -eu; \
	wanted=$$(pwd; cat pyproject.toml); \
	if [ -x $(PY) ] && [ -f "$(STAMP)" ] && [ "$$(cat "$(STAMP)")" = "$$wanted" ]; then exit 0; fi; \
	rm -f "$(STAMP)"; \
	if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  command -v "$(PYTHON)" >/dev/null || { \
	    echo 'snnviz needs Python 3.11 or newer; $(PYTHON) was not found. Install it, or name another: make PYTHON=python3.12' >&2; exit 1; }; \
	  "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "snnviz needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Name a newer one: make PYTHON=python3.12" >&2; exit 1; }; \
	  can_make="import ensurepip, venv"; \
	  if ! "$(PYTHON)" -c "$$can_make" 2>/dev/null && command -v apt-get >/dev/null; then \
	    package=$$("$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	    if [ "$$(id -u)" = 0 ]; then root=; else root='sudo -n'; fi; \
	    if $$root true 2>/dev/null; then \
	      echo "$(PYTHON) cannot make virtual environments: installing $$package with apt-get …"; \
	      $$root apt-get --quiet update && $$root apt-get --quiet --yes install "$$package" || true; \
	    fi; \
	  fi; \
	  "$(PYTHON)" -c "$$can_make" 2>/dev/null || { \
	    echo '$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv' >&2; exit 1; }; \
	  case "$$(uname -s)" in \
	    Linux) size='about 3.5 GB to download and 7 GB on disk, most of it PyTorch with CUDA' ;; \
	    *) size='about 500 MB to download' ;; \
	  esac; \
	  echo "Making the environment in $(VENV): $$size …"; \
	  "$(PYTHON)" -m venv "$(VENV)"; \
	fi; \
	echo 'Installing snnviz and what it needs …'; \
	$(PY) -m pip install --disable-pip-version-check --editable '.[lab,dev,onnx,sweep]'; \
	printf '%s\n' "$$wanted" > "$(STAMP)"

# Jupyter takes each option once, so one of ARGS replaces ours: $(call unless,its names,ours).
unless = $(if $(filter $(1) $(addsuffix =%,$(1)),$(ARGS)),,$(2))

# BROWSER may also come from the surroundings, as the name of a program; then Jupyter opens that one.
# Jupyter would ask whether to fetch news, in front of the notebook, and fetch them from the internet.
lab: setup
	@set -eu; \
	settings="$(VENV)/share/jupyter/lab/settings/overrides.json"; \
	if [ ! -e "$$settings" ]; then \
	  mkdir -p "$${settings%/*}"; \
	  echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' \
	    > "$$settings"; \
	fi; \
	set -- $(call unless,--ip --ServerApp.ip,--ip=localhost) \
	  $(call unless,--port --ServerApp.port,--port="$(PORT)") \
	  $(call unless,--notebook-dir --ServerApp.root_dir,--ServerApp.root_dir=.) \
	  $(call unless,--LabApp.default_url,--LabApp.default_url=/lab/tree/notebooks/00_quickstart.ipynb); \
	case "$(BROWSER)" in \
	  no) set -- "$$@" --no-browser ;; \
	  yes) unset BROWSER ;; \
	esac; \
	if [ "$$(id -u)" = 0 ]; then set -- "$$@" --allow-root; fi; \
	exec $(PY) -m jupyterlab "$$@" $(ARGS)

# Whole files, the slowest first (tests/tiers.py), each by a worker process. Compiled modules are kept
# whatever the surroundings say, for a hundred processes are started that would compile all again.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(PY) -m pytest -n $(WORKERS) --dist loadfile --durations=25

quick: setup
	$(PYTEST) -m "not slow" $(ARGS)

# What cannot be installed is said first, and fails the tests that need it after the others have run.
test: setup
	@$(PY) -m tests.browser.chromium
	@$(PY) -m tests.lab.kernels
	$(PYTEST) $(ARGS)

check: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright --pythonpath $(PY)
	$(PY) -m tests.biome check
	$(PY) -m nbstripout --keep-id --verify notebooks/*.ipynb notebooks/class/*.ipynb

format: setup
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(PY) -m tests.biome check --write
	$(PY) -m nbstripout --keep-id notebooks/*.ipynb notebooks/class/*.ipynb

# Cells with the tag `instructor` are left out.
lesson: setup
	$(PY) -m nbconvert --to notebook --log-level WARN --TagRemovePreprocessor.enabled=True \
	  --TagRemovePreprocessor.remove_cell_tags=instructor \
	  --output lesson notebooks/class/instructor.ipynb

bench: setup
	$(PY) "benchmarks/$(BENCH).py" $(ARGS)

dist: setup
	rm -rf dist
	$(PY) -m build $(ARGS)

# Its packages come on demand: nothing else needs them. Warnings, such as a link to nothing, fail it.
# So would pages that an earlier build made for a name that has gone from the reference.
docs: setup
	@$(PY) -c 'import latex2mathml, myst_nb, pydata_sphinx_theme, sphinx_design, sphinx_gallery' 2>/dev/null || \
	  $(PY) -m pip install --disable-pip-version-check --editable '.[docs]'
	rm -rf docs/generated
	$(PY) -m sphinx -W --keep-going -b html -c docs . docs/_build/html $(ARGS)

# Only the default place of the environment is removed: VENV= may name one that others use.
clean:
	rm -rf .venv build dist docs/_build docs/gallery docs/generated docs/examples/runs docs/_static/replay.html .hypothesis .pytest_cache .ruff_cache tests/artefacts
	find snnviz tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
