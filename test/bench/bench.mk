# SPDX-License-Identifier: Apache-2.0
# Programs of `make bench`; included by the Makefile at the top, which has its variables.

##@ Check, show, measure
.PHONY: bench bench-fleet bench-requests
BENCH := $(patsubst test/bench/%.c,$(B)/bench/%,$(sort $(wildcard test/bench/b_*.c)))
BENCH += $(B)/bench/b_new $(B)/bench/b_containers
BENCH_PEERS = $(B)/e2e/profile_pb2.py $(if $(shell command -v go),$(B)/bench/work_go)
BENCH_SO := $(patsubst test/bench/%.c,$(B)/bench/%.so,$(sort $(wildcard test/bench/p_*.c)))

$(B)/bench/%.so: test/bench/%.c Makefile | setup_test
	$(say) BENCH $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -foptimize-sibling-calls -fPIC -shared -o $@ $< -ldl

# Measures our own code from within and is linked with it; the others are programs.
$(B)/bench/b_walk: test/bench/b_walk.c $(B)/libunits.a Makefile | setup_test
	$(say) BENCH $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I. -pthread -o $@ $< -Wl,--no-as-needed -lc $(B)/libunits.a \
		$(UNIT_LIBS)

$(B)/bench/%: test/bench/%.cpp Makefile | setup_test
	$(say) BENCH $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -std=gnu++20 $(VICTIM_FLAGS) -o $@ $<

$(B)/bench/%: test/bench/%.c Makefile | setup_test
	$(say) BENCH $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -o $@ $< -ldl -lm

## what the agent costs, against the bare program and against an interposer
## that does nothing; goals: test/bench/budgets.json. PEERS=1: beside other profilers
bench: all $(BENCH) $(BENCH_SO) $(B)/victim/v_stacks $(if $(PEERS),$(BENCH_PEERS))
	$(Q)$(PYTEST_ENV) PYTHONPATH=test B=$(B) $(PYTHON) $(if $(PEERS),-m bench.peers,scripts/bench) \
		$(BENCH_ARGS)

# Addresses in its profiles are those of its symbols.
$(B)/bench/b_spin: test/bench/b_spin.c Makefile | setup_test
	$(say) BENCH $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -no-pie -fno-pie -o $@ $<

# Debian's go, or a newer one on PATH: the standard library is all that it needs.
$(B)/bench/%_go: test/bench/%.go Makefile | setup_test
	$(say) GO $<
	$(Q)mkdir -p $(@D)
	$(Q)GOFLAGS=-mod=mod GOTOOLCHAIN=local go build -o $@ $<

$(B)/bench/big: test/bench/debug_unit.cpp scripts/bench_debug Makefile | setup_test
	$(say) BENCH $<
	$(Q)mkdir -p $(@D)
	$(Q)scripts/bench_debug '$(CXX)' $< $@

## what large requests cost (130 MiB of debug information, 10,000 threads),
## and how long the program waits for them: longest malloc and fork
bench-requests: all $(addprefix $(B)/bench/,b_waits b_crowd big) $(B)/e2e/profile_pb2.py
	$(Q)$(PYTEST_ENV) PYTHONPATH=test $(PYTHON) scripts/bench_requests $(REQUESTS_ARGS)

N      ?= 200
ROUNDS ?= 3
LOADS  ?= 2,40
## what scrapes of a fleet cost, and whether all are answered, beside as many
## Go programs; N=20 ROUNDS=2 LOADS=0,40: smaller
bench-fleet: all $(B)/bench/b_fleet $(B)/bench/fleet_go
	$(Q)B=$(B) $(PYTHON) scripts/bench_fleet --programs $(N) --rounds $(ROUNDS) --loads $(LOADS) \
		$(FLEET_ARGS)
