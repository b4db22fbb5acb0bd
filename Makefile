# SPDX-License-Identifier: MIT
# `make help` lists the targets. CC, CFLAGS, LDFLAGS, PREFIX, LIBDIR, DESTDIR and BUILD are honoured; V=1 shows commands.

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
BUILD ?= build
KGEN ?= ./kgen
V ?= 0
Q := $(if $(filter 0,$(V)),@,)

# Debian's packages: to build and run kgen, and what its tests use besides.
PACKAGES := gcc make libc6-dev pkg-config libjansson-dev libtcc-dev libzydis-dev libpcre2-dev
TEST_PACKAGES := tcc valgrind libxml2-utils libcmocka-dev clang binutils gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user parallel openmpi-bin cmake g++

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Werror
KGEN_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -I. -DKGEN_DATA_FOLDER='"$(PREFIX)/share/kgen"' $(WARNINGS) -pthread \
	-fPIC -fvisibility=hidden -MMD -MP
LIBRARIES := -ltcc -lZydis -ljansson -lpcre2-8 -lm -ldl

VERSION := $(shell sed -n 's/^\#define KGEN_VERSION "\(.*\)"/\1/p' gen/base/base.h)
API_MAJOR := $(shell sed -n 's/^\#define KGEN_API_MAJOR //p' runtime/kgen.h)
OBJCOPY ?= objcopy

# One folder a step, lowest first; tests/arrows.sh holds that includes point downwards only.
GEN := $(wildcard gen/base/*.c gen/ops/*.c gen/ops/*/*.c gen/spec/*.c gen/spec/*/*.c gen/template/*.c gen/target/*.c gen/target/*/*.c gen/emit/*.c)
RUNTIME := $(wildcard $(patsubst %,runtime/%/*.c,process machine jit prove cache tune model model/tokenizer api))
COMMAND := $(wildcard runtime/command/*.c runtime/command/*/*.c)
TEMPLATES := $(wildcard templates/*/*.c.in templates/*/*.h.in templates/*/*.inc)
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
TEST_SUPPORT := $(filter-out $(wildcard tests/test_*.c tests/fuzz_*.c) tests/failing_memory.c,$(wildcard tests/*.c))

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIBRARY_OBJECTS := $(call objects,$(GEN) $(RUNTIME)) $(BUILD)/templates.o

.PHONY: all help run-tests demo demo-text check test tests check-gen sanitize thread-sanitizer valgrind fuzz bench bench-peers bench-plans bench-isolation bench-cache deps test-deps install records uninstall format clean
.SECONDARY:

all: kgen libkgen.a $(BUILD)/kgen $(BUILD)/lib/libkgen.a $(BUILD)/lib/libkgen.so.$(API_MAJOR) ## build ./kgen and the library

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: deps ## install what is missing, build, and tune the kernels of Qwen3-8B
	@$(MAKE) --no-print-directory all
	./kgen specs/qwen.json

MODEL ?=
PROMPT ?= What is the capital of France, and what is it known for?
demo-text: deps ## install what is missing, build, fetch a small model (or MODEL=FILE.gguf), and let it answer PROMPT
	@$(MAKE) --no-print-directory all
	@model='$(MODEL)'; [ -n "$$model" ] || model=$$(sh tests/fetch-model.sh $(BUILD)/model) || exit 1; \
		set -x; ./kgen generate "$$model" --chat -p '$(PROMPT)'

check: test-deps ## install what is missing, build, and run every test
	@$(MAKE) --no-print-directory test

deps: ## install the missing Debian packages that kgen needs
	@sh tests/install-packages.sh $(PACKAGES)

test-deps: ## install the missing Debian packages that kgen and its tests need
	@sh tests/install-packages.sh $(PACKAGES) $(TEST_PACKAGES)

test: all run-tests ## run every test, installing nothing

run-tests: tests
	@KGEN_BIN=$(KGEN) RUNNER='$(RUNNER)' REPORTS='$(REPORTS)' sh tests/run.sh $(TESTS)

tests: $(TESTS) ## build the tests

check-gen: test-deps all ## generate every spec twice: byte-identical, no warnings under gcc, clang, tcc and for aarch64
	@sh tests/check-gen.sh ./kgen specs/*.json

sanitize: test-deps ## run every test under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory BUILD=build/sanitize CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
		KGEN=build/sanitize/kgen LSAN_OPTIONS=suppressions=$(CURDIR)/tests/leak-suppressions.txt:print_suppressions=0 ASAN_OPTIONS=allow_user_segv_handler=1:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:detect_stack_use_after_return=0 \
		build/sanitize/kgen run-tests

# What has threads, or processes that share something, and plants no races of its own (test_verify_broken does). With clang, as
# gcc 12's sanitizer leaves the lock of its allocator as it is in a child that a thread has forked, which then waits for ever.
# The child that loads kernels starts a thread, which the sanitizer takes for an error in a child of several threads unless told not to.
THREAD_TESTS := $(wildcard tests/test_api*.c tests/test_cache*.c tests/test_tune*.c) $(patsubst %,tests/test_%.c,bandwidth decoder decoder_times fleet team verify worker)
thread-sanitizer: test-deps ## run the tests that have threads under ThreadSanitizer (clang)
	@$(MAKE) --no-print-directory CC=clang BUILD=build/thread-sanitizer CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=thread" \
		KGEN=build/thread-sanitizer/kgen REPORTS=build/thread-sanitizer/report TSAN_OPTIONS="log_path=build/thread-sanitizer/report die_after_fork=0" \
		TESTS='$(THREAD_TESTS:%.c=build/thread-sanitizer/%)' build/thread-sanitizer/kgen run-tests

# What compiles with nothing but TinyCC, in AVX2: tests/valgrind.sh says why. The others run compilers or many processes, or
# (test_machine) compare the processor with what the kernel says of it.
VALGRIND_TESTS := $(filter-out tests/test_api_process.c,$(wildcard tests/test_api*.c)) \
	$(filter-out tests/test_cache_commands.c,$(wildcard tests/test_cache*.c)) $(wildcard tests/test_checkpoint*.c tests/test_gguf*.c tests/test_safetensors*.c tests/test_spec*.c tests/test_template*.c) \
	$(filter-out tests/test_tokenizer_files.c,$(wildcard tests/test_tokenizer_*.c tests/test_tune*.c)) $(patsubst %,tests/test_%.c,bandwidth chat device expression generators lower lower_count problem reference variant verify verify_broken worker)
valgrind: test-deps ## run the tests of the API, the cache, the specs and more under valgrind, leaks included
	@$(MAKE) --no-print-directory REPORTS=build/valgrind-report RUNNER="sh tests/valgrind.sh" \
		TESTS='$(VALGRIND_TESTS:%.c=build/%)' all run-tests

FUZZ_SECONDS ?= 600
FUZZERS := $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/fuzz_*.c))
fuzz: test-deps $(FUZZERS) ## fuzz what reads specs, templates, checkpoints, tokenizers and text, FUZZ_SECONDS each (default 600)
	$(Q)for fuzzer in $(FUZZERS); do \
		mkdir -p $$fuzzer.corpus; seeds=tests/$${fuzzer##*/}.seeds; [ -d $$seeds ] || seeds=; \
		$$fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 $$fuzzer.corpus $$seeds || exit 1; \
	done

# What a target needs besides gen/.
CHECKPOINTS := $(filter $(patsubst %,runtime/model/%.c,gguf% checkpoint% safetensors% file_map llama2c package),$(RUNTIME)) tests/gguf_exercise.c
$(BUILD)/fuzz_gguf: $(CHECKPOINTS) tests/gguf_fixture.c tests/ggml_blocks.c
$(BUILD)/fuzz_safetensors: $(CHECKPOINTS) tests/safetensors_fixture.c
$(BUILD)/fuzz_tokenizer $(BUILD)/fuzz_tokenizer_json: $(filter-out %_gguf.c %_file.c,$(filter runtime/model/tokenizer/%.c,$(RUNTIME)))

$(BUILD)/fuzz_%: tests/fuzz_%.c $(GEN) $(BUILD)/templates.c
	@echo "  FUZZ    $@"
	$(Q)clang -g -O1 -fsanitize=fuzzer,address,undefined -std=c11 -D_POSIX_C_SOURCE=200809L -I. -o $@ $^ $(LIBRARIES)

bench: deps $(BUILD)/bench/bench ## time every qmv of SPEC (default specs/qwen.json) against cc and plain C; JSON to build/bench.json
	$(Q)$(BUILD)/bench/bench $(or $(SPEC),specs/qwen.json) --json $(BUILD)/bench.json

# Python is no dependency of kgen's: this development check alone needs it, as the peers come from its package index.
PEERS ?=
bench-peers: deps all $(BUILD)/bench/full_context ## time kernels, and MODEL=FILE.gguf, beside llama.cpp (PEERS=DIR: a build of it) and MLX (MLX=no: not); JSON to build/peers.json
	@command -v python3 >/dev/null || { echo "error: bench-peers needs python3, as nothing else of kgen does." >&2; exit 1; }; \
		llama='$(PEERS)'; [ -n "$$llama" ] || llama=$$(sh bench/peers.sh llama $(BUILD)/peers) || exit 1; \
		mlx=; [ '$(MLX)' = no ] || mlx=$$(sh bench/peers.sh mlx $(BUILD)/peers) || mlx=; \
		python3 bench/peers.py --kgen $(KGEN) --full-context $(BUILD)/bench/full_context --llama "$$llama" --mlx "$$mlx" \
			--folder $(BUILD)/peers --json $(BUILD)/peers.json --model '$(MODEL)' $(if $(TYPES),--types '$(TYPES)') \
			$(if $(ROWS),--rows '$(ROWS)') $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(TUNE_SECONDS),--tune-seconds '$(TUNE_SECONDS)') $(PEERS_OPTIONS)

bench-plans: deps $(BUILD)/bench/plans ## time what PLANS (default patient measure measure:2 estimate) find for SPEC, and start-ups
	$(Q)$(BUILD)/bench/plans $(or $(SPEC),specs/qwen.json) $(or $(PLANS),patient measure measure:2 estimate)

bench-cache: deps $(BUILD)/bench/cache_load ## time the opening of a cache of RECORDS (default 100000) records
	$(Q)$(BUILD)/bench/cache_load $(RECORDS)

bench-isolation: deps $(BUILD)/bench/isolation ## candidates a second for SPEC (default specs/qwen3-0.6b.json), and what worker processes cost
	$(Q)$(BUILD)/bench/isolation $(or $(SPEC),specs/qwen3-0.6b.json)

$(BUILD)/bench/isolation: LDFLAGS += -Wl,--wrap=kgen_workers_run,--wrap=kgen_worker_stage,--wrap=kgen_worker_guards
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/libkgen.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS) -pthread $(LDFLAGS) -o $@ $^ $(LIBRARIES)

# The man page and what completes command lines, from the command's own tables.
SCRIPTS := $(BUILD)/kgen.1 $(BUILD)/kgen.bash $(BUILD)/_kgen
$(BUILD)/kgen.1: $(BUILD)/kgen
	$(Q)$< help --man >$@.tmp && mv $@.tmp $@
$(BUILD)/kgen.bash: $(BUILD)/kgen
	$(Q)$< completion bash >$@.tmp && mv $@.tmp $@
$(BUILD)/_kgen: $(BUILD)/kgen
	$(Q)$< completion zsh >$@.tmp && mv $@.tmp $@

DOCUMENTS := README.md CHANGELOG.md CONTRIBUTING.md LICENSE specs/README.md templates/README.md bench/README.md gen/emit/README.md $(wildcard runtime/*.md)
install: $(BUILD)/kgen $(BUILD)/lib/libkgen.a $(BUILD)/lib/libkgen.so.$(API_MAJOR) $(SCRIPTS) ## install the command, the library, the man page, the specs and the documents under PREFIX (default /usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(LIBDIR)/pkgconfig
	install -d $(DESTDIR)$(PREFIX)/share/kgen/specs $(DESTDIR)$(PREFIX)/share/kgen/examples $(DESTDIR)$(PREFIX)/share/kgen/records
	install -m 755 $(BUILD)/kgen $(DESTDIR)$(PREFIX)/bin/kgen
	install -D -m 644 $(BUILD)/kgen.1 $(DESTDIR)$(PREFIX)/share/man/man1/kgen.1
	install -D -m 644 $(BUILD)/kgen.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/kgen
	install -D -m 644 $(BUILD)/_kgen $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_kgen
	install -m 644 runtime/kgen.h $(DESTDIR)$(PREFIX)/include/kgen.h
	install -m 644 $(BUILD)/lib/libkgen.a $(DESTDIR)$(LIBDIR)/libkgen.a
	install -m 755 $(BUILD)/lib/libkgen.so.$(API_MAJOR) $(DESTDIR)$(LIBDIR)/libkgen.so.$(API_MAJOR)
	ln -sf libkgen.so.$(API_MAJOR) $(DESTDIR)$(LIBDIR)/libkgen.so
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' runtime/kgen.pc.in >$(BUILD)/kgen.pc
	install -m 644 $(BUILD)/kgen.pc $(DESTDIR)$(LIBDIR)/pkgconfig/kgen.pc
	install -m 644 tests/examples/*.c $(DESTDIR)$(PREFIX)/share/kgen/examples
	install -m 644 specs/*.json specs/README.md $(DESTDIR)$(PREFIX)/share/kgen/specs
	for file in $(DOCUMENTS); do install -D -m 644 $$file $(DESTDIR)$(PREFIX)/share/doc/kgen/$$file; done
	for file in runtime/records/*.jsonl; do [ ! -e $$file ] || install -m 644 $$file $(DESTDIR)$(PREFIX)/share/kgen/records; done
	@grep -q -F '$(PREFIX)/share/kgen/records' $(BUILD)/kgen || echo "note: $(BUILD)/ was built with another PREFIX, and looks for shipped records there;" \
		"to have those of $(PREFIX) used: make clean && make install PREFIX=$(PREFIX)" >&2

records: all ## tune the specs that ship on this machine, patiently, and keep the winners in runtime/records
	sh runtime/records/update.sh ./kgen

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/kgen $(DESTDIR)$(PREFIX)/include/kgen.h $(DESTDIR)$(LIBDIR)/pkgconfig/kgen.pc
	rm -f $(DESTDIR)$(LIBDIR)/libkgen.a $(DESTDIR)$(LIBDIR)/libkgen.so $(DESTDIR)$(LIBDIR)/libkgen.so.$(API_MAJOR)
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/kgen.1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions/kgen
	rm -f $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_kgen
	rm -rf $(DESTDIR)$(PREFIX)/share/kgen $(DESTDIR)$(PREFIX)/share/doc/kgen

kgen: $(BUILD)/kgen
	$(Q)cp $< $@

$(BUILD)/kgen: $(call objects,$(COMMAND)) $(BUILD)/libkgen.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS) -pthread $(LDFLAGS) -o $@ $^ $(LIBRARIES)

libkgen.a: $(BUILD)/lib/libkgen.a
	$(Q)cp $< $@

$(BUILD)/libkgen.a: $(LIBRARY_OBJECTS)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) qcs $@ $^

# What is installed exports the functions of kgen.h alone; the tests link build/libkgen.a, which has all.
$(BUILD)/lib/libkgen.a: $(LIBRARY_OBJECTS)
	@mkdir -p $(@D)
	@echo "  AR      $@"
	$(Q)$(LD) -r -o $(BUILD)/lib/kgen.o $^
	$(Q)$(OBJCOPY) --localize-hidden $(BUILD)/lib/kgen.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(BUILD)/lib/kgen.o

# runtime/api/shared/streams.c says what is wrapped.
WRAPPED := -Wl,--wrap=stdout,--wrap=stderr,--wrap=environ
$(BUILD)/lib/libkgen.so.$(API_MAJOR): $(LIBRARY_OBJECTS) $(BUILD)/runtime/api/shared/streams.o
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS) -shared -pthread -Wl,-soname,$(@F) -Wl,--exclude-libs,ALL -Wl,-z,defs $(WRAPPED) $(LDFLAGS) \
		-o $@ $^ $(LIBRARIES)
	$(Q)ln -sf $(@F) $(@D)/libkgen.so

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CFLAGS) $(KGEN_CFLAGS) -c -o $@ $<

# Some tests put functions of their own in the place of the C library's.
FAILING_MEMORY := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=strdup,--wrap=strndup
$(BUILD)/tests/test_api_errors: LDFLAGS += $(FAILING_MEMORY),--wrap=fork
$(BUILD)/tests/test_api_model_errors: LDFLAGS += $(FAILING_MEMORY)
$(BUILD)/tests/test_cache_sharing: LDFLAGS += -Wl,--wrap=write
$(BUILD)/tests/test_file: LDFLAGS += -Wl,--wrap=getrandom
$(BUILD)/tests/test_api_errors $(BUILD)/tests/test_api_model_errors: $(BUILD)/tests/failing_memory.o
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(call objects,$(TEST_SUPPORT)) $(BUILD)/libkgen.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS) -pthread $(LDFLAGS) -o $@ $^ -lcmocka $(LIBRARIES)

# The templates travel inside the library.
$(BUILD)/embed: gen/template/embed/embed.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CFLAGS) -std=c11 $(WARNINGS) -o $@ $<

$(BUILD)/templates.c: $(BUILD)/embed $(TEMPLATES)
	@echo "  EMBED   $@"
	$(Q)$(BUILD)/embed $@ $(TEMPLATES)

$(BUILD)/templates.o: $(BUILD)/templates.c Makefile
	$(Q)$(CC) $(CFLAGS) $(KGEN_CFLAGS) -c -o $@ $<

format: ## lay the sources out with clang-format
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## remove what was built
	rm -rf $(BUILD) kgen libkgen.a

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
