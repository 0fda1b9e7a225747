# SPDX-License-Identifier: Apache-2.0
# pprofagent: two shared objects, their tests and benchmarks. `make help` lists the targets: a
# comment with ## directly above a target is its help, one with ##@ a heading. Sources are found by
# wildcard: a new file needs no change here.

B      ?= build
CC     ?= gcc
CXX    ?= g++
CLANG  ?= clang
PREFIX ?= /usr/local
V      ?= 0
PYTHON ?= /usr/bin/python3
OPT    ?= -O2 -g
ARCH   ?= x86_64
DEPS   ?= test
WERROR ?= 0

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

##@ Start here
.PHONY: help deps
## this list
help:
	$(Q)awk -f scripts/help.awk $(filter Makefile %.mk,$(MAKEFILE_LIST))
	$(Q)echo
	$(Q)echo 'V=1 shows commands; CC, CFLAGS, OPT are yours; WERROR=1: warnings are errors.'

## installs missing Debian packages (apt-get, sudo), and fetches
## third-party sources; DEPS=build|test|faults|truth|fuzz|dist|deb
deps:
ifneq ($(SETUP_DONE),1)
	$(Q)scripts/setup $(DEPS)
	$(Q)scripts/third_party --fetch $(B)/third_party
endif

# ---------------------------------------------------------------- sources

SRC_HOOKS   := $(sort $(wildcard hooks/*.c))
SRC_BASE    := $(sort $(wildcard agent/base/*.c))
SRC_ARCH    := $(sort $(wildcard agent/arch/$(ARCH)/*.c))
SRC_RECORD  := $(sort $(wildcard agent/record/*.c))
SRC_PROFILE := $(sort $(wildcard $(addsuffix /*.c,$(addprefix agent/,\
	core modules stacks unwind symbols profile))))
SRC_PROTO   := $(sort $(wildcard proto/*.c))
SRC_SERVE   := $(sort $(wildcard agent/serve/*.c))
SRC_BOOT    := $(sort $(wildcard agent/*.c))
PROTOS      := $(wildcard proto/*.proto)

# Sources that both objects contain are compiled twice: one object uses static TLS and runs on the
# program's threads, the other does neither.
obj  = $(patsubst %.c,$(B)/obj/%.o,$(1))
core = $(patsubst %.c,$(B)/core/%.o,$(1))
OBJ_PB    := $(patsubst proto/%.proto,$(B)/proto/%.pb.o,$(PROTOS))
HDR_PB    := $(OBJ_PB:.o=.h)
OBJ_UI    := $(B)/ui/ui_files.o
OBJ_AGENT := $(call obj,$(SRC_HOOKS) $(SRC_BASE) $(SRC_RECORD) $(SRC_BOOT))
# Stateless code for memory that both objects share.
SRC_MEET  := agent/record/ring.c agent/record/frame_cache.c agent/record/tasks.c \
	agent/record/copy_size.c agent/record/unwind_tables.c agent/record/alloc_counts.c
OBJ_CORE  := $(call core,$(SRC_BASE) $(SRC_ARCH) $(SRC_MEET) $(SRC_PROFILE) $(SRC_PROTO) \
	$(SRC_SERVE)) $(OBJ_PB) $(OBJ_UI)
OBJ_UNITS := $(call obj,$(SRC_BASE) $(SRC_RECORD)) \
	$(call core,$(SRC_ARCH) $(SRC_PROFILE) $(SRC_PROTO) $(SRC_SERVE)) $(OBJ_PB) $(OBJ_UI)

LIB_AGENT := $(B)/libpprofagent.so
LIB_CORE  := $(B)/libpprofagent-core.so

# ---------------------------------------------------------------- flags

# Warnings are errors in .ci/run only: a newer compiler may have new ones.
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	$(if $(filter 1,$(WERROR)),-Werror)
SAN ?=
# Debian 13 has the headers of nanopb in a folder of their own.
NANOPB := $(addprefix -isystem ,$(wildcard /usr/include/nanopb))
include agent/unfit_flags.mk
# CODE comes last: flags of a distribution (dpkg-buildflags) and of the command line cannot override
# what the two objects depend on.
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) -I$(B)/proto \
	$(NANOPB) -isystem $(B)/third_party/include -MMD -MP $(SAN) $(CPPFLAGS) $(CFLAGS) $(CODE)
PIC := -fPIC -fvisibility=hidden -fno-lto $(PLAIN)

# The preloaded object. initial-exec: it lives in static TLS, and __tls_get_addr may allocate.
# No stack protector and no fortified calls: the canary is in TLS, which a thread created by raw
# clone() may not have when our signal handler runs; and a failed check would end the program.
# No PLT: where an auditor (rtld-audit(7)) looks at calls, the loader makes them, and
# dlsym(RTLD_NEXT) crashes, as it finds no object that called it.
# Integers only on the program's threads: a floating-point instruction would raise exception flags,
# or SIGFPE if they are trapped; vector and x87 registers may hold values of the program.
# gcc: copies by loops, because string instructions have a start-up cost that exceeds our copies of
# structs. A function that aligns its stack must not store a second return address there (see
# PA_SLOW); clang stores none.
# hooks/ defines malloc: the compiler must not make assumptions about it. Hot hooks have no frame,
# so that a stack begins in their caller; cold functions that need their caller request one.
CODE_AGENT := $(PIC) -fno-plt -ftls-model=initial-exec -fno-stack-protector -U_FORTIFY_SOURCE
CODE = $(CODE_AGENT)
CODE_GCC := $(if $(findstring clang,$(CC)),,-mstringop-strategy=unrolled_loop \
	-maccumulate-outgoing-args)
$(OBJ_AGENT): CODE += -fdata-sections -mgeneral-regs-only $(CODE_GCC) $(LEVEL_AGENT)
$(B)/obj/hooks/%.o: CODE += -fno-builtin -foptimize-sibling-calls

# The core. No initial-exec: it is opened while the program runs, and the remaining static TLS is
# left to the program. A failed check stops one thread of the agent (serve/libc_checks.c).
HARDEN := -fstack-protector-strong -U_FORTIFY_SOURCE \
	$(if $(SAN)$(filter -O0,$(OPT) $(CFLAGS)),,-D_FORTIFY_SOURCE=2)
CODE_CORE := $(PIC) -ftls-model=global-dynamic $(HARDEN) \
	$(if $(findstring clang,$(CC)),,-mtls-dialect=gnu)
$(B)/core/%.o $(B)/proto/%.pb.o $(OBJ_UI): CODE = $(CODE_CORE)
$(B)/core/agent/serve/libc_checks.o: CODE += -U_FORTIFY_SOURCE -fno-builtin

# Linked against the symbol versions of an old glibc (scripts/libc_floor): both objects run where
# they were not built. The preloaded one goes lower: where libc is too old for the core, it says so
# and the program runs on; ld.so would not start the program.
FLOOR := 2.28
FLOOR_AGENT := 2.17
LIBC_CORE  := $(B)/libc-$(FLOOR)/libc.so
LIBC_AGENT := $(B)/libc-$(FLOOR_AGENT)/libc.so
# Before 2.34 threads and dlopen were libraries of their own. Later they are empty, and cost 40 us
# at the start of each program: only `make dist` names them.
OLD_LIBC ?= 0
LD_OLD_1 := -Wl,--no-as-needed -lpthread -ldl -Wl,--as-needed
# A sanitizer's library needs the installed libc.
LINK_LIBC = $(if $(SAN),,-nodefaultlibs -L$(dir $(1)) $(LD_OLD_$(OLD_LIBC))) $(2) \
	$(if $(SAN),,-lc -lgcc)

# -Bno-symbolic: our own calls of exported functions resolve as the program's do.
LD_COMMON := -shared $(if $(SAN),-pthread) -Wl,--build-id=sha1 -Wl,-z,defs -Wl,-z,now -Wl,-z,relro \
	-Wl,--as-needed $(PLAIN_LD)
# Saves two segments to map at the start of every program.
LD_AGENT  := $(LD_COMMON) -Wl,-Bno-symbolic -Wl,-z,nodelete -Wl,-z,noseparate-code \
	-Wl,--sort-section=name \
	-Wl,-soname,libpprofagent.so -Wl,--version-script=hooks/exports.map
LD_CORE   := $(LD_COMMON) -Wl,-z,separate-code -Wl,--gc-sections \
	-Wl,-soname,libpprofagent-core.so \
	-Wl,--version-script=agent/serve/core.map -Wl,--exclude-libs,ALL
# All static and private to the core: a shared library that it needed would satisfy the same SONAME
# for objects that the program loads later.
THIRD_PARTY := $(patsubst %,$(B)/third_party/lib/lib%.a,\
	civetweb unwind-x86_64 unwind dw dwelf ebl elf eu lzma)
LIBS_CORE := $(THIRD_PARTY) -l:libprotobuf-nanopb.a -l:libz.a -l:libiberty.a

# ---------------------------------------------------------------- the two objects

include command/command.mk

.PHONY: all debug compile_commands setup setup_test third_party clean install uninstall dist deb
##@ Build
## build/libpprofagent.so, build/libpprofagent-core.so and the command
## build/pprofagent (the default)
all: $(LIB_AGENT) $(LIB_CORE) $(COMMAND)

## the same in build/debug, with asserts: -O1 -g -DPA_DEBUG
debug: setup
	$(Q)$(MAKE) --no-print-directory all B=$(B)/debug SETUP_DONE=1 OPT='$(DEBUG_OPT)'
# Not -Og, which refuses to inline the functions of a hash table.
DEBUG_OPT ?= -O1 -g -DPA_DEBUG

# No path of this machine is in the objects: the same sources give the same bytes anywhere.
## what runs on other machines, as build/pprofagent-VERSION-...tar.gz:
## glibc 2.28 and newer, stripped, debug files apart
dist: setup
	$(Q)$(MAKE) --no-print-directory all B=$(B)/dist SETUP_DONE=1 OLD_LIBC=1 \
		CFLAGS='$(CFLAGS) -ffile-prefix-map=$(CURDIR)=.'
	$(Q)+scripts/dist $(B)/dist $(B)

## Debian packages in build/deb, checked by lintian: pprofagent, its debug
## symbols, libpprofagent-dev (make deps DEPS=deb)
deb: third_party
ifneq ($(SETUP_DONE),1)
	$(Q)scripts/setup --check deb
endif
	$(Q)scripts/deb $(B)/deb

# Dry run; nothing is built.
## build/compile_commands.json, for clangd and the like
compile_commands:
	$(Q)mkdir -p $(B)
	$(Q)$(MAKE) --no-print-directory -nB V=1 SETUP_DONE=1 B=$(B) $(COMMANDS) | \
		$(PYTHON) scripts/compile_commands >$(B)/compile_commands.json
COMMANDS = all $(B)/libunits.a $(UNIT_PLAIN:$(B)/unit/%=$(B)/unit/obj/%.o) victims \
	$(FAULTS) $(BENCH) $(BENCH_SO) $(FUZZ:%=$(B)/fuzz/obj/fuzz_%.o)

# Order-only prerequisites below: run each time (and fast), but cause no rebuild. They report
# missing packages and install nothing; SETUP_DONE=1 skips them.
setup:
ifneq ($(SETUP_DONE),1)
	$(Q)scripts/setup --check build
endif

setup_test:
ifneq ($(SETUP_DONE),1)
	$(Q)scripts/setup --check test
endif

# Builds versions that have not been built yet.
third_party: setup
	$(Q)scripts/third_party $(B)/third_party
$(THIRD_PARTY): | third_party

$(LIB_AGENT): $(OBJ_AGENT) hooks/exports.map $(LIBC_AGENT)
	$(say) LINK $@
	$(Q)$(CC) $(SAN) $(LDFLAGS) $(LD_AGENT) -o $@ $(OBJ_AGENT) $(call LINK_LIBC,$(LIBC_AGENT))

$(LIB_CORE): $(OBJ_CORE) agent/serve/core.map $(THIRD_PARTY) $(LIBC_CORE)
	$(say) LINK $@
	$(Q)$(CC) $(SAN) $(LDFLAGS) $(LD_CORE) -o $@ $(OBJ_CORE) $(LIBS_CORE) \
		$(call LINK_LIBC,$(LIBC_CORE),)

$(B)/libc-%/libc.so: scripts/libc_floor | setup
	$(say) LIBC $*
	$(Q)$(PYTHON) scripts/libc_floor '$(CC)' $* $(@D)

$(B)/obj/%.o: %.c Makefile | setup
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/core/%.o: %.c Makefile | third_party $(HDR_PB)
	$(say) CC "$< (core)"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The generator wants the distribution's python: another one on PATH may lack protobuf.
$(B)/proto/%.pb.c $(B)/proto/%.pb.h: proto/%.proto Makefile $(wildcard proto/*.options) | setup
	$(say) NANOPB $<
	$(Q)mkdir -p $(B)/proto
	$(Q)$(PYTHON) /usr/bin/nanopb_generator.py -q -I proto -D $(B)/proto $*.proto

$(B)/proto/%.pb.o: $(B)/proto/%.pb.c Makefile
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-error -c -o $@ $<

$(B)/ui/ui_files.c: scripts/ui $(wildcard agent/ui/*) | setup
	$(say) UI agent/ui
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) scripts/ui agent/ui $@

$(OBJ_UI): $(B)/ui/ui_files.c Makefile
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) -I. -c -o $@ $<

.PHONY: arch-none objects
objects: $(OBJ_AGENT) $(OBJ_CORE)
## compiles the agent for an unknown architecture (agent/arch/none)
arch-none: setup
	$(Q)$(MAKE) --no-print-directory objects B=$(B)/none ARCH=none SETUP_DONE=1 \
		CPPFLAGS='$(CPPFLAGS) -DPA_ARCH_NONE'

# ---------------------------------------------------------------- unit tests

# The folders mirror those of the sources. Programs and objects have the bare name of the test,
# which is unique (lint).
SRC_TESTS := $(sort $(wildcard test/unit/*/test_*.c))
vpath test_%.c $(sort $(dir $(SRC_TESTS)))
TESTS ?= $(notdir $(basename $(SRC_TESTS)))
# Tests of record/ run a second time from inside a malloc call.
INSIDE := $(filter $(patsubst agent/record/%.c,test_%,$(SRC_RECORD)),$(TESTS))
UNIT_PLAIN  := $(TESTS:%=$(B)/unit/%)
UNIT_INSIDE := $(INSIDE:%=$(B)/unit/inside_%)
UNIT_LIBS := -Wl,--as-needed -lcmocka $(LIBS_CORE) -lm -ldl

.PHONY: test unit unit_programs asan tsan coverage
##@ Test
# One after the other: pytest's summary is the end of the output.
## installs what is missing, then unit and end-to-end tests
test: deps
	$(Q)$(MAKE) --no-print-directory $(ALL_CPUS) test_programs SETUP_DONE=1
	$(Q)$(MAKE) --no-print-directory unit SETUP_DONE=1
	$(Q)$(MAKE) --no-print-directory e2e SETUP_DONE=1
ALL_CPUS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# With asserts, in a separate build: the release has none.
ifneq ($(findstring -DPA_DEBUG,$(OPT)),)
## unit tests (cmocka); TESTS='test_ring test_env': only those
unit: unit_programs
	$(Q)scripts/unit $(UNIT_PLAIN) $(UNIT_INSIDE)
unit_programs: $(UNIT_PLAIN) $(UNIT_INSIDE)
else
unit unit_programs: setup_test
	$(Q)$(MAKE) --no-print-directory $@ B=$(B)/checked SETUP_DONE=1 OPT='$(OPT) -DPA_DEBUG'
endif

# Tests of properties that depend on these flags.
$(B)/unit/obj/test_arch.o $(B)/unit/obj/main_test_arch.o: CODE += $(CODE_GCC)

# A new archive each time: ar would keep members of deleted files.
$(B)/libunits.a: $(OBJ_UNITS)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $(OBJ_UNITS)

$(B)/unit/obj/test_%.o: test_%.c Makefile | setup_test third_party $(HDR_PB)
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I. -c -o $@ $<

$(B)/unit/obj/main_test_%.o: test_%.c Makefile | setup_test third_party $(HDR_PB)
	$(say) CC "$< (inside)"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -I. -Dmain=pa_test_main -c -o $@ $<

$(B)/unit/obj/%.o: test/lib/c/%.c Makefile | setup_test third_party $(HDR_PB)
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I. -c -o $@ $<

# The modules of test/lib/c that the test includes: each stands beside its header.
OBJ_TEST_LIB := $(patsubst test/lib/c/%.c,$(B)/unit/obj/%.o,$(wildcard test/lib/c/*.c))
TEST_LIB = $(filter $(OBJ_TEST_LIB),$(patsubst test/lib/c/%.h,$(B)/unit/obj/%.o,$(filter \
	test/lib/c/%.h,$(file <$(<:.o=.d)))))

# libc before the archive: serve/libc_shims.c defines names of libc, and must be pulled in only by a
# test that asks for its pa_libc_shims functions (or is its own test).
UNIT_LINK = $(CC) $(SAN) -pthread -o $@ $(filter-out $(OBJ_TEST_LIB),$(filter %.o,$^)) \
	$(TEST_LIB) -Wl,--no-as-needed -lc \
	-Wl,--as-needed $(B)/libunits.a $(UNIT_LIBS)

$(B)/unit/test_libc_checks: $(B)/core/agent/serve/libc_checks.o
$(B)/unit/test_libc_shims: $(B)/core/agent/serve/libc_shims.o
$(B)/unit/test_newer_libc: $(B)/obj/agent/base/newer_libc.o
$(B)/unit/test_stand_in: $(B)/obj/hooks/stand_in.o
$(B)/unit/test_next_symbols: $(B)/obj/hooks/next_symbols.o
$(B)/unit/test_%: $(B)/unit/obj/test_%.o $(OBJ_TEST_LIB) $(B)/libunits.a
	$(say) LINK $@
	$(Q)$(UNIT_LINK)

$(B)/unit/inside_test_%: $(B)/unit/obj/main_test_%.o $(OBJ_TEST_LIB) $(B)/libunits.a
	$(say) LINK $@
	$(Q)$(UNIT_LINK) $(B)/unit/obj/inside_hook.o

## coverage of the unit tests (gcov): a table, and build/coverage/coverage.info
coverage: setup_test
	$(Q)mkdir -p $(B)/coverage
	$(Q)find $(B)/coverage -name '*.gcda' -delete
	$(Q)$(MAKE) --no-print-directory unit B=$(B)/coverage SETUP_DONE=1 OPT='-O1 -g -DPA_DEBUG' \
		SAN='--coverage -fprofile-update=atomic' UNIT_INSIDE= >$(B)/coverage/unit.log || \
		{ tail -n 20 $(B)/coverage/unit.log; exit 1; }
	$(Q)$(PYTHON) scripts/coverage $(B)/coverage

# The sanitizers' instrumentation confuses gcc's flow warnings: no -Werror here.
## unit tests under the address and undefined-behaviour sanitizers
asan: setup_test
	$(Q)$(MAKE) --no-print-directory unit B=$(B)/asan SETUP_DONE=1 OPT='-O1 -g -DPA_DEBUG' \
		SAN='-fsanitize=address,undefined -fno-sanitize-recover=all' \
		CFLAGS='$(CFLAGS) -Wno-error'

# The agent itself with the sanitizers; libasan must come before it in LD_PRELOAD.
.PHONY: asan-agent
asan-agent: setup_test
	$(Q)$(MAKE) --no-print-directory all B=$(B)/asan-agent SETUP_DONE=1 \
		OPT='-O1 -g -DPA_DEBUG' SAN='-fsanitize=address,undefined' \
		CFLAGS='$(CFLAGS) -Wno-error'

# That build in running programs: for each part, tests that neither measure time nor need the malloc
# hooks (malloc is libasan's there). Output of the sanitizers is a failure.
ASAN_E2E ?= test_labels.py test_trace_calls.py \
	test_pages.py::test_paths_that_try_something_get_nothing \
	test_pages.py::test_agent_page_as_json_has_the_same \
	test_threads.py::test_dump_says_what_each_thread_waits_for \
	test_threads.py::test_threads_that_come_and_go_do_no_harm \
	test_cpu.py::test_threads_born_during_the_profile_are_sampled \
	test_custom.py::test_forked_child_keeps_the_profile \
	test_process.py::test_forked_child_holds_nothing_of_the_parents_port \
	test_process.py::test_exec_during_a_cpu_profile_does_not_kill_the_new_program \
	test_process.py::test_exit_with_busy_threads_again_and_again
.PHONY: asan-e2e
## end-to-end tests with an agent built with these sanitizers
asan-e2e: asan-agent all victims $(B)/e2e/profile_pb2.py
	$(Q)rm -rf $(B)/asan-agent/reports && mkdir -p $(B)/asan-agent/reports
	$(Q)PPROFAGENT_OBJECTS=$(abspath $(B)/asan-agent) \
		PPROFAGENT_FIRST=$$($(CC) -print-file-name=libasan.so) \
		ASAN_OPTIONS=detect_leaks=0:log_path=$(abspath $(B)/asan-agent/reports)/asan \
		UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		$(PYTEST_ENV) $(PYTHON) -m pytest -q $(PYTEST) $(ASAN_E2E:%=test/e2e/%); \
		rc=$$?; ! cat $(B)/asan-agent/reports/* 2>/dev/null && exit $$rc

# Only tests with threads. Not from inside malloc: the sanitizer's malloc is not reentrant.
THREADED = $(notdir $(basename $(sort $(shell \
	grep -lE 'pthread_create|/(collector|fake_profiles)\.h"' $(SRC_TESTS)))))
# Signal handlers of tests may allocate: they run at known points.
## unit tests that have threads, under the thread sanitizer
tsan: setup_test
	$(Q)TSAN_OPTIONS=report_signal_unsafe=0 \
		$(MAKE) --no-print-directory unit B=$(B)/tsan SETUP_DONE=1 OPT='-O1 -g -DPA_DEBUG' \
		SAN='-fsanitize=thread' UNIT_INSIDE= TESTS='$(filter $(THREADED),$(TESTS))' \
		CFLAGS='$(CFLAGS) -Wno-error $(if $(findstring clang,$(CC)),,-Wno-tsan)'

include test/e2e/e2e.mk

DIST_CHROOTS ?= $(B)/chroots
DIST_SUITES ?= bullseye bookworm trixie
.PHONY: dist-test
## the archive of `make dist` in minimal Debian 11, 12 and 13: needs root and
## debootstrap (make deps DEPS=dist); DIST_CHROOTS=DIR keeps the systems
dist-test: dist $(B)/e2e/profile_pb2.py
	$(Q)scripts/dist_chroots $(DIST_CHROOTS) $(DIST_SUITES)
	$(Q)DIST_CHROOTS=$(abspath $(DIST_CHROOTS)) DIST_SUITES='$(DIST_SUITES)' $(PYTEST_ENV) \
		$(PYTHON) -m pytest -q $(PYTEST) test/dist

DEB_SUITES ?= bookworm trixie
.PHONY: deb-test
## installs the packages of `make deb` in minimal Debian 12 and 13, and
## profiles a redis-server there; needs what dist-test needs
deb-test: deb
	$(Q)scripts/dist_chroots $(DIST_CHROOTS) $(DEB_SUITES)
	$(Q)DIST_CHROOTS=$(abspath $(DIST_CHROOTS)) DEB_SUITES='$(DEB_SUITES)' $(PYTEST_ENV) \
		$(PYTHON) -m pytest -q $(PYTEST) test/deb

MINUTES ?= 10
.PHONY: soak
## programs under load for MINUTES=10, profiled continuously: detects growth
soak: all victims
	$(Q)B=$(B) $(PYTHON) scripts/soak --minutes $(MINUTES) $(SOAK_ARGS)

# From sources outside of this tree.
LTP ?= LTP=DIR is missing
GLIBC ?= GLIBC=DIR is missing
.PHONY: posix-suite libc-suite
## LTP=DIR: the Open POSIX test suite, bare and under the agent: differences;
## SUITE_ARGS='--only mq_ --modes idle,fire' goes to scripts/suite
posix-suite: all
	$(Q)B=$(B) CC='$(CC)' $(PYTHON) scripts/suite posix '$(LTP)' $(SUITE_ARGS)

## GLIBC=DIR: the same with glibc's own tests
libc-suite: all
	$(Q)B=$(B) CC='$(CC)' $(PYTHON) scripts/suite libc '$(GLIBC)' $(SUITE_ARGS)

# ---------------------------------------------------------------- lint, demo, bench

##@ Check, show, measure
.PHONY: lint demo
## layers, exports, undefined symbols, headers, texts, shell scripts
lint: all setup_test
	$(Q)B=$(B) CC=$(CC) CLANG=$(CLANG) scripts/lint

## installs what is missing, then profiles a redis-server;
## DEMO_STAY=1 leaves it running
demo: deps
	$(Q)$(MAKE) --no-print-directory all SETUP_DONE=1
	$(Q)B=$(B) scripts/demo

.PHONY: conformance
## same requests to Go's net/http/pprof and the agent; ROWS=1 shows each row
conformance: all $(B)/e2e/profile_pb2.py
	$(Q)$(PYTEST_ENV) PYTHONPATH=test $(PYTHON) -m conformance.table $(if $(ROWS),--rows)

.PHONY: truth
## one table of how true profiles are: lines against llvm-symbolizer, stacks,
## totals against the programs' own figures (about 15 minutes);
## TRUTH_ARGS='--only lines --match clang': only those
truth: all victims $(B)/e2e/profile_pb2.py
ifneq ($(SETUP_DONE),1)
	$(Q)scripts/setup --check truth
endif
	$(Q)$(MAKE) --no-print-directory unit_programs TESTS=test_unwind_steps SETUP_DONE=1
	$(Q)$(PYTEST_ENV) PYTHONPATH=test $(PYTHON) -m truth.table $(TRUTH_ARGS)

# ---------------------------------------------------------------- install, clean

##@ Install, clean
# By its bare name ld.so finds a preloaded object in its own folders only.
LIBDIR ?= $(PREFIX)/lib
TO = $(DESTDIR)$(LIBDIR)
LINKS = libpprofagent.so libpprofagent-core.so
## the two objects (lib/pprofagent/, links in lib/), pprofagent.h, and the
## command with its pages, to PREFIX=/usr/local, below DESTDIR=
install: all install_command
	$(Q)install -d $(TO)/pprofagent $(DESTDIR)$(PREFIX)/include
	install -m 644 $(LIB_AGENT) $(LIB_CORE) $(TO)/pprofagent/
	ln -sf $(LINKS:%=pprofagent/%) $(TO)/
	install -m 644 agent/pprofagent.h $(DESTDIR)$(PREFIX)/include/
	$(Q)scripts/install_note '$(DESTDIR)' '$(LIBDIR)' libpprofagent.so

## removes what `make install` has put there, with the same PREFIX=
uninstall: uninstall_command
	rm -f $(LINKS:%=$(TO)/%) $(LINKS:%=$(TO)/pprofagent/%) \
		$(DESTDIR)$(PREFIX)/include/pprofagent.h
	$(Q)rmdir $(TO)/pprofagent 2>/dev/null || true
	$(Q)scripts/install_note '$(DESTDIR)' '$(LIBDIR)'

## removes build/; third-party libraries are in ~/.cache/pprofagent
clean:
	rm -rf $(B)

include test/fuzz/fuzz.mk test/bench/bench.mk

-include $(patsubst %.o,%.d,$(OBJ_AGENT) $(OBJ_CORE) $(OBJ_UNITS)) \
	$(wildcard $(B)/unit/obj/*.d $(B)/bench/*.d $(B)/fuzz/obj/*.d)
.SECONDARY:
