# The short way to everything: `make help`.

.DEFAULT_GOAL := help
.PHONY: help deps deps-vm build demo check check-vm check-deep bench format lint clean install

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DEEP_SECONDS ?= 1800
WEIR := build/release/cli/weir
PACKAGES = $(shell sed 's/\#.*//' cmake/packages.txt)
VM_KERNEL := build/vm-kernel
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
SOURCES = $(shell git ls-files '*.c' '*.h')

help:
	@echo "make demo        build and run the demonstration (one minute, no root)"
	@echo "make build       build the release preset: $(WEIR)"
	@echo "make check       build with warnings as errors and run every test"
	@echo "make check-vm    real DAX and power cuts in virtual machines (installs qemu)"
	@echo "make check-deep  the crash tests for DEEP_SECONDS=$(DEEP_SECONDS); all under sanitizers, clang, -fanalyzer"
	@echo "make bench       measure the index, and compare with other systems"
	@echo "make lint        layer rule, sizes, public comments; clang-tidy"
	@echo "make format      clang-format all sources"
	@echo "make install     install the release build (PREFIX=$(PREFIX), DESTDIR)"
	@echo "make deps        install missing Debian packages"
	@echo "make clean       remove build/"

# Only what is missing, and no package lists are fetched when nothing is.
deps:
	@missing=""; \
	for package in $(PACKAGES); do \
		dpkg -s $$package 2>/dev/null | grep -q '^Status: .* installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "installing$$missing"; \
		$(SUDO) apt-get update -q && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; \
	fi

deps-vm: PACKAGES = $(shell sed 's/\#.*//' cmake/packages.txt cmake/packages-vm.txt)
deps-vm: deps
	tests/vm/fetch_kernel.sh $(VM_KERNEL)

build: deps
	cmake --preset release
	cmake --build --preset release -j $(JOBS)

# Only the command: the tests would take most of the time.
demo: deps
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target weir_command
	$(WEIR) demo

bench: build
	build/release/tests/engine/bench_index
	$(WEIR) bench peers --dir .

check: deps
	cmake --preset dev
	cmake --build --preset dev -j $(JOBS)
	ctest --preset dev -j2 -LE vm --output-log build/dev/check.log
	@echo "skipped here: $$(grep -c '^[[:space:]]*[0-9]* - .*(Skipped)$$' build/dev/check.log)"
	@grep 'tests passed' build/dev/check.log

# What needs a virtual machine: not a part of check, which installs no qemu.
check-vm: deps-vm
	cmake --preset dev
	cmake --build --preset dev -j $(JOBS)
	ctest --preset dev -L vm --verbose

# The crash tests first, for DEEP_SECONDS; what they did goes into docs/TESTING.md.
check-deep: check check-vm
	cmake --preset release
	cmake --build --preset release -j $(JOBS)
	tests/crash/deep.py build/release $(DEEP_SECONDS)
	set -e; for preset in dev-clang asan tsan; do \
		cmake --preset $$preset; \
		cmake --build --preset $$preset -j $(JOBS); \
		ctest --preset $$preset -j2 -LE vm; \
	done
	cmake --preset analyze
	cmake --build --preset analyze -j $(JOBS)

lint: deps
	cmake --preset dev
	cmake --build --preset dev -j $(JOBS)
	ctest --preset dev -L lint
	clang-tidy -p build/dev --quiet $$(git ls-files 'base/*.c' 'wal/*.c' 'pmem/*.c' 'iouring/*.c' 'engine/*.c' 'derived/*.c')

format:
	clang-format -i $(SOURCES)

install: build
	cmake --install build/release --prefix $(PREFIX)

clean:
	rm -rf build
