# Card Encoder Agent. Every target installs what it needs; root (or sudo) is asked for only when a Debian package is missing.

PYTHON ?= python3
BIN    := .venv/bin

# libpcsclite and a compiler build pyscard, which has no Linux wheel.
BUILD_PACKAGES := python3-venv python3-dev gcc libc6-dev libpcsclite-dev pkg-config
# The real parts that the tests run against.
# npm may have come with a Node.js that isn't Debian's, and then Debian's can't be installed beside it.
TEST_PACKAGES  := $(BUILD_PACKAGES) pcscd vsmartcard-vpcd postgresql systemd systemd-container dbus udev umockdev kmod util-linux \
                  chromium libnfc-bin gir1.2-umockdev-1.0 python3-gi $(if $(shell command -v npm),,npm)

# A file's tests stay together: many share what is slow to start. One worker more than there are cores, since a good part
# of the time is spent waiting for time-outs to be over.
PARALLEL := -n $$(($$(nproc) + 1)) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

define need
	@missing=$$(for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update -qq && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
endef

.PHONY: demo test check format bench soak promises clean

demo: .venv/.run
	@$(BIN)/card-encoder sandbox $(ARGS)

test: .venv/.test .venv-seam2/.done
	@$(call need,$(TEST_PACKAGES))
	$(BIN)/pytest $(PARALLEL) $(ARGS)

check: .venv/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.test
	@$(call need,$(TEST_PACKAGES))
	$(BIN)/python -m tests.bench $(ARGS)

# 20,000 cards with faults mixed in; figures go to soak-results.json.
soak: .venv/.test
	$(BIN)/python -m tests.soak $(ARGS)

# docs/promises.md, with the numbers of a run of all tests but the one that looks at it.
promises: OF_THESE_TESTS := test_the_document_is_of_these_tests
promises: .venv/.test .venv-seam2/.done
	@$(call need,$(TEST_PACKAGES))
	$(BIN)/pytest $(PARALLEL) --promises=docs/promises.md --deselect tests/test_promises.py::$(OF_THESE_TESTS) $(ARGS)

.venv/.run: pyproject.toml
	@$(call need,$(BUILD_PACKAGES))
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

.venv/.test: .venv/.run
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@

# The seam SDK 2.x can't share an environment with 3.x; the sandbox has to serve both.
.venv-seam2/.done: | .venv/.run
	@test -x .venv-seam2/bin/python || $(PYTHON) -m venv .venv-seam2
	@.venv-seam2/bin/python -m pip install -q --disable-pip-version-check 'seam>=2,<3'
	@touch $@

clean:
	rm -rf .venv .venv-seam2 .demo dist build
