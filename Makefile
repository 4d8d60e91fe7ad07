# SPDX-License-Identifier: GPL-2.0-or-later
# Short names for what meson does. Options of the build: ./configure --help

BUILD ?= build

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@./configure --builddir=$(BUILD)

build-asan/build.ninja:
	@./configure --builddir=build-asan --enable-sanitizers --enable-fuzzing --cc=clang

# Builds the program without its tests, makes two images, one of them broken, and checks them.
demo:
	@scripts/install-deps build
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@ninja -C $(BUILD) program
	@scripts/demo $(BUILD)

build-tsan/build.ninja:
	@./configure --builddir=build-tsan --enable-thread-sanitizer

build-coverage/build.ninja:
	@./configure --builddir=build-coverage --buildtype=debug --enable-coverage --cc=clang

# All tests, twice: as users build it, and by the other compiler with sanitizers. What has threads a third time.
check:
	@scripts/install-deps check
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja build-asan/build.ninja build-tsan/build.ninja
	@scripts/run-tests $(BUILD) build-asan build-tsan:threads

# Mistakes that can be seen without running anything.
lint:
	@scripts/install-deps lint
	@$(MAKE) --no-print-directory all
	@rm -f $(BUILD)/lint.tap
	@scripts/lint $(BUILD)

# Measures ours and the stock tool, up to 30 minutes, and writes docs/devel/performance.rst; as root also cold disks.
bench:
	@scripts/install-deps check
	@scripts/install-deps bench
	@$(MAKE) --no-print-directory all
	@tests/bench/run --build $(BUILD)

# Has small images lose metadata in many ways, restores or rescues them, and writes docs/devel/recovery.rst.
bench-recovery:
	@scripts/install-deps check
	@$(MAKE) --no-print-directory all
	@tests/bench/recovery --build $(BUILD)

# Tries broken inputs of every kind, with sanitizers, each target for SECONDS; docs/devel/testing.rst.
SECONDS ?= 60
fuzz:
	@scripts/install-deps check
	@$(MAKE) --no-print-directory build-asan/build.ninja
	@ninja -C build-asan
	@tests/fuzz/fuzz-schema --seconds $(SECONDS) --keep build-asan/tests/fuzz/found
	@tests/fuzz/run --libfuzzer --seconds $(SECONDS) build-asan/tests/fuzz

# Breaks images and compares with the stock tool for SECONDS: new ones, and those that `make fuzz` found interesting.
FOUND_IMAGES = $(wildcard build-asan/tests/fuzz/found/image)
fuzz-stock:
	@scripts/install-deps check
	@$(MAKE) --no-print-directory all
	@tests/lib/compare.py --ours $(BUILD)/qemu-img --what check,repair --seconds $(SECONDS) \
	    --seed "$$(date +%s)" --keep $(BUILD)/fuzz-stock $(FOUND_IMAGES:%=--images %)

# The whole of each proof, hours: docs/devel/proof.rst. PART=I/N does one of N parts, and what is done is not done again.
PART ?= 1/1
prove:
	@scripts/install-deps check
	@scripts/install-deps prove
	@$(MAKE) --no-print-directory all
	@scripts/prove $(BUILD) --part $(PART)

# Builds for a 32-bit and for a big-endian machine, and runs the unit tests and the fuzz corpus there; docs/devel/testing.rst.
PORTS ?= i386 s390x
port-check:
	@scripts/install-deps port
	@for arch in $(PORTS); do scripts/port-check $$arch || exit 1; done

# Which lines and branches of block/ the tests and the fuzz corpus reach, some minutes.
coverage:
	@scripts/install-deps check
	@$(MAKE) --no-print-directory build-coverage/build.ninja
	@scripts/coverage build-coverage

# A release archive, build/dist/*.tar.xz; the packages made from it, build/deb/*.deb and build/rpm/RPMS/*/*.rpm.
dist:
	@scripts/make-dist $(BUILD)/dist

deb:
	@scripts/install-deps deb
	@scripts/make-deb "$$(scripts/make-dist $(BUILD)/dist)" $(BUILD)/deb

rpm:
	@scripts/install-deps rpm
	@scripts/make-rpm "$$(scripts/make-dist $(BUILD)/dist)" $(BUILD)/rpm

# Makes all three, and installs them in a fresh Debian; some minutes.
check-packages:
	@scripts/install-deps packages
	@mkdir -p $(BUILD)
	@tests/packages/run $(BUILD)/packages >$(BUILD)/packages.tap; status=$$?; cat $(BUILD)/packages.tap; exit $$status

install: all
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) build-asan build-tsan build-coverage build-i386 build-s390x

.PHONY: all demo check lint bench bench-recovery fuzz fuzz-stock prove port-check coverage dist deb rpm check-packages install clean
