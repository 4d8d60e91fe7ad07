# SPDX-License-Identifier: GPL-2.0-or-later
# Short names for what meson does. Options of the build: ./configure --help

BUILD ?= build

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@./configure --builddir=$(BUILD)

build-asan/build.ninja:
	@./configure --builddir=build-asan --enable-sanitizers --enable-fuzzing --cc=clang

# Makes an image with snapshots and bitmaps, and shows a check of it.
demo:
	@scripts/install-deps build
	@$(MAKE) --no-print-directory all
	@scripts/demo $(BUILD)/qemu-img

build-tsan/build.ninja:
	@./configure --builddir=build-tsan --enable-thread-sanitizer

# All tests, twice: as users build it, and by the other compiler with sanitizers. What has threads a third time.
check:
	@scripts/install-deps check
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja build-asan/build.ninja build-tsan/build.ninja
	@scripts/run-tests $(BUILD) build-asan build-tsan:threads

# Measures ours and the stock tool on large images, some ten minutes, and writes docs/devel/performance.rst.
bench:
	@scripts/install-deps check
	@$(MAKE) --no-print-directory all
	@tests/bench/run --build $(BUILD)

# Tries broken inputs of every kind, with sanitizers, each target for SECONDS; docs/devel/testing.rst.
SECONDS ?= 60
fuzz:
	@scripts/install-deps check
	@$(MAKE) --no-print-directory build-asan/build.ninja
	@ninja -C build-asan
	@tests/fuzz/fuzz-schema --seconds $(SECONDS) --keep build-asan/tests/fuzz/found
	@tests/fuzz/run --libfuzzer --seconds $(SECONDS) build-asan/tests/fuzz

install: all
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) build-asan build-tsan

.PHONY: all demo check bench fuzz install clean
