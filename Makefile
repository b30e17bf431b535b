# The two commands: `make demo` and `make test`. Both do all their set-up (tools/setup.sh) and start
# again in seconds when nothing changed. `make help` lists everything.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DELETE_ON_ERROR:

# Yours to set on the command line or in the environment.
PYTHON ?= python3
VENV ?= .venv
BUILD ?= build
JOBS ?= $(shell nproc)
DEMO_ARGS ?=
PYTEST_ARGS ?=
PYMPF_WITH_MPI ?= AUTO
PYMPF_WITH_PETSC ?= AUTO
PYMPF_WITH_SUPERLU ?= AUTO
PYMPF_WITH_CHOLMOD ?= AUTO
PYMPF_WITH_MUMPS ?= AUTO
PYMPF_WERROR ?= OFF
PYMPF_NATIVE ?= OFF

export PYTHON VENV BUILD
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)
export CMAKE_GENERATOR ?= Unix Makefiles

OPTIONS := PYMPF_WITH_MPI=$(PYMPF_WITH_MPI) PYMPF_WITH_PETSC=$(PYMPF_WITH_PETSC) \
           PYMPF_WITH_SUPERLU=$(PYMPF_WITH_SUPERLU) PYMPF_WITH_CHOLMOD=$(PYMPF_WITH_CHOLMOD) \
           PYMPF_WITH_MUMPS=$(PYMPF_WITH_MUMPS) PYMPF_WERROR=$(PYMPF_WERROR) PYMPF_NATIVE=$(PYMPF_NATIVE)
SOURCES := $(shell find cpp pympf CMakeLists.txt pyproject.toml -not -path '*/__pycache__*')
CXX_SOURCES := $(shell find cpp tests bench docs -name '*.[ch]pp' -o -name '*.c')
PYTEST := $(VENV)/bin/pytest $(PYTEST_ARGS)
LOG = 2>&1 | tee $(BUILD)/logs/$@.log
_ := $(shell mkdir -p $(BUILD)/logs $(BUILD)/reports)

.PHONY: help demo test setup build cpp-test unit-test mpi-test petsc-test papers-test lint format \
        asan ubsan tsan fuzz no-petsc bench unit-costs docs docs-site docs-links wheel \
        recipes clean install cpp-build always

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

# ---- the two commands ----------------------------------------------------------------------------
demo:  ## set up, build, and solve a real system of 253 262 unknowns (DEMO_ARGS=--large: 2 million)
	@tools/setup.sh demo
	@$(MAKE) install
	$(VENV)/bin/pympf demo --output $(BUILD)/demo $(DEMO_ARGS)

TESTS := cpp-test unit-test mpi-test petsc-test papers-test
test:  ## set up, build, and run all tests
	@tools/setup.sh test
	@$(MAKE) $(TESTS)
	@echo; $(VENV)/bin/python tools/closing_lines.py $(TESTS:%=$(BUILD)/logs/%.log)

# ---- the parts -----------------------------------------------------------------------------------
setup:  ## system packages and the virtual environment for everything below
	@tools/setup.sh test
	@tools/setup.sh lint

build:  ## build the package and install it into the virtual environment
	@tools/setup.sh demo
	@$(MAKE) install

cpp-test:  ## the C++ tests
	@tools/setup.sh cpp
	@$(MAKE) cpp-build
	ctest --test-dir $(BUILD)/cpp --output-on-failure --output-junit ../reports/cpp.xml $(LOG)

unit-test:  ## the Python tests on one process
	@tools/setup.sh unit
	@$(MAKE) install
	$(PYTEST) tests/unit --junitxml=$(BUILD)/reports/unit.xml $(LOG)

mpi-test:  ## the MPI tests, C++ and Python, on 1, 2 and 3 ranks, some on 8
	@tools/setup.sh mpi
	@$(MAKE) cpp-build install
	for ranks in 1 2 3; do \
	  tests/mpi/run $$ranks $(BUILD)/cpp/pympf_tests --test-suite=mpi --no-colors=true; \
	  tests/mpi/run $$ranks $(PYTEST) tests/mpi --with-mpi -m mpi \
	    --junitxml=$(BUILD)/reports/mpi-$$ranks-rank{rank}.xml; \
	done $(LOG)
	tests/mpi/run 8 $(PYTEST) tests/mpi/test_distributed.py --with-mpi -m mpi \
	  -k "(same_bits and not random) or more_ranks or own-params0 or one_rank" \
	  --junitxml=$(BUILD)/reports/mpi-8-rank{rank}.xml 2>&1 | tee -a $(BUILD)/logs/$@.log

petsc-test:  ## the tests of the PETSc plugin
	@tools/setup.sh petsc
	@$(MAKE) install
	$(PYTEST) tests/petsc --junitxml=$(BUILD)/reports/petsc.xml $(LOG)

papers-test:  ## the tests that compare with figures of the papers
	@tools/setup.sh unit
	@$(MAKE) install
	$(PYTEST) tests/papers --junitxml=$(BUILD)/reports/papers.xml $(LOG)

no-petsc:  ## build and unit tests in an environment without PETSc, MPI and direct solvers
	@$(MAKE) VENV=$(BUILD)/no-petsc/venv BUILD=$(BUILD)/no-petsc \
	  PYMPF_WITH_MPI=OFF PYMPF_WITH_PETSC=OFF PYMPF_WITH_SUPERLU=OFF \
	  PYMPF_WITH_CHOLMOD=OFF PYMPF_WITH_MUMPS=OFF cpp-test unit-test

# The C++ tests under a sanitizer, in a build tree of their own.
define sanitized
	@tools/setup.sh cpp
	cmake -S . -B $(BUILD)/$@ -DPYMPF_SANITIZE=$(1) -DPYMPF_WITH_MPI=OFF -DPYMPF_WITH_PETSC=OFF >/dev/null
	cmake --build $(BUILD)/$@
	$(2) ctest --test-dir $(BUILD)/$@ --output-on-failure
endef

asan:  ## the C++ tests under the address sanitizer
	$(call sanitized,address)

ubsan:  ## the C++ tests under the undefined behaviour sanitizer
	$(call sanitized,undefined)

tsan:  ## the C++ tests under the thread sanitizer
	$(call sanitized,thread,TSAN_OPTIONS=ignore_noninstrumented_modules=1)

# The package with both sanitizers, in a folder of its own, before the one in the environment. Their
# runtime has to come first; OpenBLAS, Python and PETSc leak by design. (gcc warns of what it cannot
# follow through the sanitizers, so that warnings are no errors here.)
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 0
FUZZ_ARGS ?=
FUZZ_RUNTIME = $(foreach name,asan ubsan stdc++,$(shell $(CXX) -print-file-name=lib$(name).so))
$(BUILD)/fuzz/installed: $(SOURCES) $(BUILD)/native $(VENV)/options
	@echo "building pympf with sanitizers"
	@$(VENV)/bin/python -m pip --quiet install --no-build-isolation --no-deps --upgrade \
	  --target $(BUILD)/fuzz/site --config-settings=build-dir=$(BUILD)/fuzz/wheel \
	  $(patsubst %,--config-settings=cmake.define.%,$(filter-out PYMPF_WERROR=%,$(OPTIONS))) \
	  --config-settings=install.strip=false \
	  --config-settings=cmake.define.PYMPF_SANITIZE=address,undefined \
	  --config-settings=cmake.define.CMAKE_CXX_FLAGS_RELEASE=-O1 .
	@touch $@

fuzz:  ## random inputs under the sanitizers (FUZZ_SECONDS, FUZZ_SEED, FUZZ_ARGS=kinds)
	@tools/setup.sh test
	@$(MAKE) $(BUILD)/fuzz/installed
	LD_PRELOAD="$(FUZZ_RUNTIME)" PYTHONPATH=$(abspath $(BUILD)/fuzz/site) PYTHONMALLOC=malloc \
	  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:handle_abort=1 \
	  UBSAN_OPTIONS=print_stacktrace=1 PETSC_OPTIONS=-no_signal_handler \
	  $(VENV)/bin/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED) $(FUZZ_ARGS) $(LOG)

lint:  ## format (clang-format, ruff), types (mypy), dependencies between the parts
	@tools/setup.sh lint
	$(VENV)/bin/clang-format --dry-run -Werror $(CXX_SOURCES)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/python tools/check_layering.py

format:  ## format the sources in place
	@tools/setup.sh lint
	$(VENV)/bin/clang-format -i $(CXX_SOURCES)
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

bench:  ## the benchmarks (BENCH_ARGS)
	@tools/setup.sh bench
	@$(MAKE) install
	$(VENV)/bin/python bench/run.py $(BENCH_ARGS)

unit-costs:  ## the costs by which auto chooses, measured and fitted (choice/unit_costs.hpp)
	@$(MAKE) bench BENCH_ARGS=unit_costs

docs: build  ## the generated pages of docs/
	for script in $(wildcard tools/generate_*.py); do $(VENV)/bin/python $$script; done

docs-site:  ## the documentation site, checked: build/site/html/index.html
	@tools/setup.sh docs
	@$(MAKE) install
	$(VENV)/bin/python tools/build_site.py $(BUILD)/site $(LOG)
	$(VENV)/bin/python tools/check_site.py $(BUILD)/site/html $(LOG)

docs-links: docs-site  ## the links of the site to other sites, tried over the network
	$(VENV)/bin/python tools/check_site.py $(BUILD)/site/html --external $(LOG)

wheel:  ## the source distribution, and a tested manylinux wheel for each Python (PYTHONS), in dist/
	tools/packaging/wheels.sh $(PYTHONS)

recipes:  ## check the recipes of conda-forge and Spack, and the workflows of forges
	[[ -x $(BUILD)/recipes/bin/cibuildwheel ]] || $(PYTHON) -m venv $(BUILD)/recipes
	$(BUILD)/recipes/bin/pip --quiet install py-rattler-build cibuildwheel check-jsonschema
	$(BUILD)/recipes/bin/python tools/packaging/check_recipes.py

clean:  ## remove what was built; the virtual environment stays
	rm -rf $(BUILD) $(VENV)/installed

# ---- building ------------------------------------------------------------------------------------
install: $(VENV)/installed

# One pip at a time: several shells may share the environment. A change of the options rebuilds too.
$(VENV)/options: always
	@mkdir -p $(@D)
	@[[ "$$(cat $@ 2>/dev/null)" == "$(OPTIONS)" ]] || echo "$(OPTIONS)" >$@

$(VENV)/installed: $(SOURCES) $(BUILD)/native $(VENV)/options
	@echo "building and installing pympf ($(OPTIONS))"
	@flock $(VENV) $(VENV)/bin/python -m pip --quiet install --no-build-isolation --no-deps \
	  --force-reinstall --config-settings=build-dir=$(BUILD)/wheel \
	  $(OPTIONS:%=--config-settings=cmake.define.%) .
	@touch $@

cpp-build:
	cmake -S . -B $(BUILD)/cpp $(OPTIONS:%=-D%) >/dev/null
	cmake --build $(BUILD)/cpp
