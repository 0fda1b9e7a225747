# pprofagent: two shared objects, their tests, and what measures them.
#
#   make            build/libpprofagent.so and build/libpprofagent-core.so
#   make test       unit tests (cmocka), then end-to-end tests (pytest)
#   make unit       only the unit tests         make e2e    only the end-to-end tests
#   make faults     each way in which agents break programs, bare against the agent, as a table
#   make soak       programs under load for MINUTES=10, all profiles all the time: what grows
#   make asan       unit tests under the address and undefined-behaviour sanitizers
#   make asan-e2e   end-to-end tests with an agent that is built so
#   make tsan       unit tests that have threads, under the thread sanitizer
#   make fuzz       FUZZ_SECONDS=60 of each fuzz target, with sanitizers; FUZZ='elf maps' only those
#   make conformance  Go's net/http/pprof and the agent, asked the same; ROWS=1 shows each row
#   make lint       layers, exports, undefined symbols, headers, shell scripts
#   make demo       a redis-server under the agent, profiled
#   make bench      what the agent costs, against the bare program
#   make install    PREFIX=/usr/local DESTDIR=: the two objects, and pprofagent.h
#   make clean      not what scripts/third_party has built: that is in ~/.cache/pprofagent
#
# V=1 shows the commands; TESTS='test_ring test_env' runs only those unit tests;
# PYTEST='-k heap' goes to pytest, E2E=test/e2e/test_cpu.py names files.
# Sources are found by wildcard: a new one needs no change here.

B      ?= build
CC     ?= gcc
CXX    ?= g++
CLANG  ?= clang
PREFIX ?= /usr/local
V      ?= 0
PYTHON ?= /usr/bin/python3
OPT    ?= -O2 -g

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

# ---------------------------------------------------------------- sources

SRC_HOOKS   := $(sort $(wildcard hooks/*.c))
SRC_BASE    := $(sort $(wildcard agent/base/*.c))
SRC_RECORD  := $(sort $(wildcard agent/record/*.c))
SRC_PROFILE := $(sort $(wildcard agent/profile/*.c))
SRC_PROTO   := $(sort $(wildcard proto/*.c))
SRC_SERVE   := $(sort $(wildcard agent/serve/*.c))
SRC_BOOT    := $(sort $(wildcard agent/*.c))
PROTOS      := $(wildcard proto/*.proto)

# Each object has its own: what both contain is compiled twice, since one is in static TLS and runs
# on the program's threads, and the other neither.
obj  = $(patsubst %.c,$(B)/obj/%.o,$(1))
core = $(patsubst %.c,$(B)/core/%.o,$(1))
OBJ_PB    := $(patsubst proto/%.proto,$(B)/proto/%.pb.o,$(PROTOS))
HDR_PB    := $(OBJ_PB:.o=.h)
OBJ_AGENT := $(call obj,$(SRC_HOOKS) $(SRC_BASE) $(SRC_RECORD) $(SRC_BOOT))
# Where the two objects meet: code without state of its own, for memory that both see.
SRC_MEET  := agent/record/ring.c agent/record/frames.c agent/record/tasks.c
OBJ_CORE  := $(call core,$(SRC_BASE) $(SRC_MEET) $(SRC_PROFILE) $(SRC_PROTO) $(SRC_SERVE)) \
	$(OBJ_PB)
OBJ_UNITS := $(call obj,$(SRC_BASE) $(SRC_RECORD)) \
	$(call core,$(SRC_PROFILE) $(SRC_PROTO) $(SRC_SERVE)) $(OBJ_PB)

LIB_AGENT := $(B)/libpprofagent.so
LIB_CORE  := $(B)/libpprofagent-core.so

# ---------------------------------------------------------------- flags

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
SAN ?=
# What CODE says comes last: flags of a distribution (dpkg-buildflags) and of the command line are
# welcome, but cannot take away what the two objects count on.
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) -I$(B)/proto \
	-isystem $(B)/third_party/include -MMD -MP $(SAN) $(CPPFLAGS) $(CFLAGS) $(CODE)
PIC := -fPIC -fvisibility=hidden -fno-lto

# The preloaded object. initial-exec: it lives in static TLS, and __tls_get_addr may allocate.
# Neither stack protector nor fortified calls: the canary is TLS, which a thread made by a raw clone
# may not have when our signal handler comes; and both end the program when they find something.
# On the program's threads integers only: a floating-point instruction would raise its flags, and
# SIGFPE where it traps them; vector and x87 registers may hold what is its own.
# gcc: copies by loops, not by string instructions, which take longer to start than the copies of
# structs that we make. And a function that aligns its stack has no second return address there,
# see PA_SLOW; clang has none anyway. Neither holds in code that is made small.
# hooks/ defines malloc: the compiler may not reason about it. Hot hooks keep no frame; the slow
# halves that look at their caller get one by asking for it.
CODE_AGENT := $(PIC) -ftls-model=initial-exec -fno-stack-protector -U_FORTIFY_SOURCE
CODE = $(CODE_AGENT)
CODE_GCC := $(if $(findstring clang,$(CC)),,-mstringop-strategy=unrolled_loop \
	-maccumulate-outgoing-args $(if $(filter -Os -Oz,$(OPT) $(CPPFLAGS) $(CFLAGS)),-O2))
$(OBJ_AGENT): CODE += -mgeneral-regs-only $(CODE_GCC)
$(B)/obj/hooks/%.o: CODE += -fno-builtin -foptimize-sibling-calls

# The core. No initial-exec: it is opened while the program runs, and what is left of static TLS is
# the program's. What a check finds stops one thread of ours (serve/guest_checks.c).
HARDEN := -fstack-protector-strong -U_FORTIFY_SOURCE \
	$(if $(SAN)$(filter -O0,$(OPT) $(CFLAGS)),,-D_FORTIFY_SOURCE=2)
CODE_CORE := $(PIC) -ftls-model=global-dynamic $(HARDEN) \
	$(if $(findstring clang,$(CC)),,-mtls-dialect=gnu)
$(B)/core/%.o $(B)/proto/%.pb.o: CODE = $(CODE_CORE)
$(B)/core/agent/serve/guest_checks.o: CODE += -U_FORTIFY_SOURCE -fno-builtin

# -Bno-symbolic: our own calls of what we export find what the program finds.
LD_COMMON := -shared -pthread -Wl,-z,defs -Wl,-z,now -Wl,-z,relro -Wl,--as-needed
# Two segments less to map at the start of every program.
LD_AGENT  := $(LD_COMMON) -Wl,-Bno-symbolic -Wl,-z,nodelete -Wl,-z,noseparate-code \
	-Wl,-soname,libpprofagent.so -Wl,--version-script=hooks/exports.map
LD_CORE   := $(LD_COMMON) -Wl,-z,separate-code -Wl,--gc-sections \
	-Wl,-soname,libpprofagent-core.so \
	-Wl,--version-script=agent/serve/core.map -Wl,--exclude-libs,ALL
# All of them static, and private to the core: a library that it needed would be found by its name
# by whatever the program loads later, in place of the program's own.
THIRD_PARTY := $(patsubst %,$(B)/third_party/lib/lib%.a,\
	civetweb unwind-x86_64 unwind dw dwelf ebl elf eu lzma)
LIBS_CORE := $(THIRD_PARTY) -l:libprotobuf-nanopb.a -l:libz.a -l:libiberty.a -lm

# ---------------------------------------------------------------- the two objects

.PHONY: all setup third_party clean install
all: $(LIB_AGENT) $(LIB_CORE)

# Order-only below: it runs each time (and is fast), but nothing is rebuilt for it.
setup:
ifneq ($(SETUP_DONE),1)
	$(Q)scripts/setup
endif

# The same; a version that was not built before is built now.
third_party: setup
	$(Q)scripts/third_party $(B)/third_party
$(THIRD_PARTY): | third_party

$(LIB_AGENT): $(OBJ_AGENT) hooks/exports.map
	$(say) LINK $@
	$(Q)$(CC) $(SAN) $(LDFLAGS) $(LD_AGENT) -o $@ $(OBJ_AGENT)

$(LIB_CORE): $(OBJ_CORE) agent/serve/core.map $(THIRD_PARTY)
	$(say) LINK $@
	$(Q)$(CC) $(SAN) $(LDFLAGS) $(LD_CORE) -o $@ $(OBJ_CORE) $(LIBS_CORE)

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

# ---------------------------------------------------------------- unit tests

TESTS ?= $(notdir $(basename $(sort $(wildcard test/unit/test_*.c))))
# Tests of record/ run a second time from inside a malloc call.
INSIDE := $(filter $(patsubst agent/record/%.c,test_%,$(SRC_RECORD)),$(TESTS))
UNIT_PLAIN  := $(TESTS:%=$(B)/unit/%)
UNIT_INSIDE := $(INSIDE:%=$(B)/unit/inside_%)
UNIT_LIBS := -Wl,--as-needed -lcmocka $(LIBS_CORE) -ldl

.PHONY: unit asan tsan
unit: $(UNIT_PLAIN) $(UNIT_INSIDE)
	$(Q)scripts/unit $^

# Tests of what only code that is compiled in this way keeps.
$(B)/unit/obj/test_regs.o $(B)/unit/obj/main_test_regs.o: CODE += $(CODE_GCC)

# A fresh archive each time: ar would keep the members of files that are gone.
$(B)/libunits.a: $(OBJ_UNITS)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $(OBJ_UNITS)

$(B)/unit/obj/%.o: test/unit/%.c Makefile | third_party $(HDR_PB)
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I. -c -o $@ $<

$(B)/unit/obj/main_%.o: test/unit/%.c Makefile | third_party $(HDR_PB)
	$(say) CC "$< (inside)"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -I. -Dmain=pa_test_main -c -o $@ $<

# libc before the archive: serve/guest.c defines names of libc, and must be pulled in only by a
# test that asks for its pa_guest functions (or is its own test).
UNIT_LINK = $(CC) $(SAN) -pthread -o $@ $(filter %.o,$^) -Wl,--no-as-needed -lc \
	-Wl,--as-needed $(B)/libunits.a $(UNIT_LIBS)

$(B)/unit/test_guest: $(B)/core/agent/serve/guest.o
$(B)/unit/test_%: $(B)/unit/obj/test_%.o $(B)/libunits.a
	$(say) LINK $@
	$(Q)$(UNIT_LINK)

$(B)/unit/inside_test_%: $(B)/unit/obj/main_test_%.o $(B)/unit/obj/inside_hook.o $(B)/libunits.a
	$(say) LINK $@
	$(Q)$(UNIT_LINK)

# The sanitizers' instrumentation confuses gcc's flow warnings: no -Werror here.
asan: setup
	$(Q)$(MAKE) --no-print-directory unit B=$(B)/asan SETUP_DONE=1 OPT='-O1 -g -DPA_DEBUG' \
		SAN='-fsanitize=address,undefined -fno-sanitize-recover=all' \
		CFLAGS='$(CFLAGS) -Wno-error'

# The agent itself with the sanitizers; libasan has to stand before it in LD_PRELOAD.
.PHONY: asan-agent
asan-agent: setup
	$(Q)$(MAKE) --no-print-directory all B=$(B)/asan-agent SETUP_DONE=1 \
		OPT='-O1 -g -DPA_DEBUG' SAN='-fsanitize=address,undefined' \
		CFLAGS='$(CFLAGS) -Wno-error'

# The agent of that build in programs at work: of each part tests that do not measure time, nor need
# the hooks of malloc, which is libasan's there. What the sanitizers write makes it fail, too.
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
asan-e2e: asan-agent all victims $(B)/e2e/profile_pb2.py
	$(Q)rm -rf $(B)/asan-agent/reports && mkdir -p $(B)/asan-agent/reports
	$(Q)PPROFAGENT_OBJECTS=$(abspath $(B)/asan-agent) \
		PPROFAGENT_FIRST=$$($(CC) -print-file-name=libasan.so) \
		ASAN_OPTIONS=detect_leaks=0:log_path=$(abspath $(B)/asan-agent/reports)/asan \
		UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		PPROFAGENT_BUILD=$(abspath $(B)) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) -m pytest -p no:cacheprovider -q $(PYTEST) $(ASAN_E2E:%=test/e2e/%); \
		rc=$$?; ! cat $(B)/asan-agent/reports/* 2>/dev/null && exit $$rc

# Only tests with threads: of the others that sanitizer can say nothing. And not from inside malloc:
# its own malloc cannot be entered twice.
THREADED = $(notdir $(basename $(sort $(shell \
	grep -lE 'pthread_create|"(collector|fake_profiles)\.h"' test/unit/test_*.c))))
# Handlers of tests may allocate: they are called where the program is known to be.
tsan: setup
	$(Q)TSAN_OPTIONS=report_signal_unsafe=0 \
		$(MAKE) --no-print-directory unit B=$(B)/tsan SETUP_DONE=1 OPT='-O1 -g -DPA_DEBUG' \
		SAN='-fsanitize=thread' UNIT_INSIDE= TESTS='$(filter $(THREADED),$(TESTS))' \
		CFLAGS='$(CFLAGS) -Wno-error $(if $(findstring clang,$(CC)),,-Wno-tsan)'

# ---------------------------------------------------------------- fuzz targets

FUZZ ?= $(patsubst test/fuzz/fuzz_%.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))
FUZZ_SECONDS ?= 60
FUZZ_PROGRAMS := $(FUZZ:%=$(B)/fuzz_%)
FUZZ_CHECKS := address,undefined
# The compiler's libraries come first: a libdw that is instrumented as well can be given here.
FUZZ_LIBS ?= $(LIBS_CORE)

.PHONY: fuzz fuzz_run
fuzz: setup
	$(Q)scripts/setup faults
	$(Q)$(MAKE) --no-print-directory fuzz_run B=$(B)/fuzz SETUP_DONE=1 CC=$(CLANG) \
		OPT='-O1 -g -DPA_DEBUG' CFLAGS='$(CFLAGS) -Wno-error' \
		SAN='-fsanitize=fuzzer-no-link,$(FUZZ_CHECKS) -fno-sanitize-recover=all'

# With B, CC and flags as above.
fuzz_run: $(FUZZ_PROGRAMS)
	$(Q)B=$(B) FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz $^

$(B)/fuzz/obj/%.o: test/fuzz/%.c Makefile | third_party $(HDR_PB)
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-unused-function -I. -c -o $@ $<

$(B)/fuzz_%: $(B)/fuzz/obj/fuzz_%.o $(B)/libunits.a
	$(say) LINK $@
	$(Q)$(CC) -fsanitize=fuzzer,$(FUZZ_CHECKS) -pthread -o $@ $< -Wl,--no-as-needed -lc \
		-Wl,--as-needed $(B)/libunits.a $(FUZZ_LIBS) -ldl

# ---------------------------------------------------------------- victims and end-to-end tests

VICTIM_C   := $(patsubst test/victim/%.c,$(B)/victim/%,$(sort $(wildcard test/victim/v_*.c)))
VICTIM_CXX := $(patsubst test/victim/%.cpp,$(B)/victim/%,$(sort $(wildcard test/victim/v_*.cpp)))
VICTIM_SO  := $(patsubst test/victim/%.c,$(B)/victim/%.so,$(sort $(wildcard test/victim/p_*.c)))
VICTIM_RS  := $(if $(shell command -v rustc),$(patsubst test/victim/%.rs,$(B)/victim/%,\
	$(sort $(wildcard test/victim/v_*.rs))))
VICTIMS    := $(VICTIM_C) $(VICTIM_CXX) $(VICTIM_SO) $(VICTIM_RS)
# As a distribution builds programs, but no call may be optimised away: what they do is the test.
VICTIM_FLAGS := -O2 -g -Wall -Wextra -D_GNU_SOURCE -pthread -fno-builtin \
	-fno-optimize-sibling-calls
FAULT_FLAGS := -O1 -g -Wall -Wextra -D_GNU_SOURCE -pthread -fno-builtin

E2E ?= test/e2e test/faults
.PHONY: victims e2e faults test
victims: $(VICTIMS)

$(B)/victim/%: test/victim/%.c Makefile | setup
	$(say) VICTIM $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -o $@ $< -ldl -lm

$(B)/victim/%: test/victim/%.cpp Makefile | setup
	$(say) VICTIM $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(VICTIM_FLAGS) -o $@ $<

$(B)/victim/%.so: test/victim/%.c Makefile | setup
	$(say) VICTIM $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -fPIC -shared -o $@ $<

$(B)/victim/%: test/victim/%.rs Makefile | setup
	$(say) VICTIM $<
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= rustc -C opt-level=2 -g -C prefer-dynamic=no -o $@ $<

$(B)/e2e/profile_pb2.py: proto/profile.proto Makefile | setup
	$(say) PROTOC $<
	$(Q)mkdir -p $(@D)
	$(Q)protoc --proto_path=proto --python_out=$(@D) profile.proto

# The programs of the fault matrix, and the agent that has to fail it.
FAULTS := $(patsubst test/faults/programs/%.c,$(B)/faults/%,\
	$(sort $(wildcard test/faults/programs/f_*.c))) \
	$(patsubst test/faults/programs/%.cpp,$(B)/faults/%,\
	$(sort $(wildcard test/faults/programs/f_*.cpp))) \
	$(patsubst test/faults/programs/%.c,$(B)/faults/%.so,\
	$(sort $(wildcard test/faults/programs/p_*.c))) \
	$(patsubst test/faults/programs/%.cpp,$(B)/faults/%.so,\
	$(sort $(wildcard test/faults/programs/p_*.cpp))) $(B)/faults/naive.so

$(B)/faults/%: test/faults/programs/%.c $(wildcard test/faults/programs/*.h) Makefile | setup
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(FAULT_FLAGS) -o $@ $< -ldl -lm

$(B)/faults/%: test/faults/programs/%.cpp $(wildcard test/faults/programs/*.h) Makefile | setup
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(FAULT_FLAGS) -o $@ $<

$(B)/faults/%.so: test/faults/programs/%.c Makefile | setup
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(FAULT_FLAGS) -fPIC -shared -o $@ $<

$(B)/faults/%.so: test/faults/programs/%.cpp Makefile | setup
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(FAULT_FLAGS) -fPIC -shared -o $@ $<

# Unwinds the program that it traces.
$(B)/faults/f_inject: test/faults/programs/f_inject.c Makefile | setup
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(FAULT_FLAGS) -o $@ $< -lunwind-ptrace -lunwind-x86_64 -lunwind

$(B)/faults/naive.so: test/faults/naive.c Makefile | setup
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(FAULT_FLAGS) -fPIC -shared -o $@ $< -lcivetweb -lunwind -ldl

PYTESTS = $(Q)PPROFAGENT_BUILD=$(abspath $(B)) PYTHONDONTWRITEBYTECODE=1 \
	$(PYTHON) -m pytest -p no:cacheprovider -q $(PYTEST)
e2e: all victims $(FAULTS) $(B)/e2e/profile_pb2.py
	$(PYTESTS) $(E2E)

# Every row of the fault matrix in every mode, and a table; of what is not installed, nothing.
faults: all victims $(FAULTS) $(B)/e2e/profile_pb2.py
	$(Q)scripts/setup faults
	$(PYTESTS) --faults=all test/faults

MINUTES ?= 10
.PHONY: soak
soak: all victims
	$(Q)B=$(B) $(PYTHON) scripts/soak --minutes $(MINUTES) $(SOAK_ARGS)

# One after the other: pytest's summary is the end of the output.
test: setup
	$(Q)$(MAKE) --no-print-directory unit SETUP_DONE=1
	$(Q)$(MAKE) --no-print-directory e2e SETUP_DONE=1

# ---------------------------------------------------------------- lint, demo, bench

.PHONY: lint demo bench
lint: all
	$(Q)B=$(B) CC=$(CC) CLANG=$(CLANG) scripts/lint

demo: all
	$(Q)B=$(B) scripts/demo

BENCH := $(patsubst test/bench/%.c,$(B)/bench/%,$(sort $(wildcard test/bench/b_*.c)))
BENCH_SO := $(patsubst test/bench/%.c,$(B)/bench/%.so,$(sort $(wildcard test/bench/p_*.c)))

$(B)/bench/%.so: test/bench/%.c Makefile | setup
	$(say) BENCH $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -fPIC -shared -o $@ $<

# Measures our own code from within and is linked with it; the others are programs.
$(B)/bench/b_walk: test/bench/b_walk.c $(B)/libunits.a Makefile | setup
	$(say) BENCH $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I. -pthread -o $@ $< -Wl,--no-as-needed -lc $(B)/libunits.a \
		$(UNIT_LIBS)

$(B)/bench/%: test/bench/%.c Makefile | setup
	$(say) BENCH $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -o $@ $< -ldl -lm

bench: all $(BENCH) $(BENCH_SO)
	$(Q)B=$(B) $(PYTHON) scripts/bench $(BENCH_ARGS)

# ---------------------------------------------------------------- install, clean

.PHONY: conformance
conformance: all $(B)/e2e/profile_pb2.py
	$(Q)PPROFAGENT_BUILD=$(abspath $(B)) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) test/conformance/table.py $(if $(ROWS),--rows)

install: all
	install -d $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(LIB_AGENT) $(LIB_CORE) $(DESTDIR)$(PREFIX)/lib/
	install -d $(DESTDIR)$(PREFIX)/include
	install -m 644 agent/pprofagent.h $(DESTDIR)$(PREFIX)/include/

clean:
	rm -rf $(B)

-include $(patsubst %.o,%.d,$(OBJ_AGENT) $(OBJ_CORE) $(OBJ_UNITS)) \
	$(wildcard $(B)/unit/obj/*.d $(B)/bench/*.d $(B)/fuzz/obj/*.d)
.SECONDARY:
