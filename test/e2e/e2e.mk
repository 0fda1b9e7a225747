# SPDX-License-Identifier: Apache-2.0
# Victims, programs of the fault matrix, and end-to-end tests; included by the Makefile at the top,
# which has its variables.

##@ Test
E2E_MK := Makefile test/e2e/e2e.mk
VICTIM_C   := $(patsubst test/victim/%.c,$(B)/victim/%,$(sort $(wildcard test/victim/v_*.c)))
VICTIM_CXX := $(patsubst test/victim/%.cpp,$(B)/victim/%,$(sort $(wildcard test/victim/v_*.cpp)))
VICTIM_SO  := $(patsubst test/victim/%.c,$(B)/victim/%.so,$(sort $(wildcard test/victim/p_*.c)))
VICTIM_RS  := $(if $(shell command -v rustc),$(patsubst test/victim/%.rs,$(B)/victim/%,\
	$(sort $(wildcard test/victim/v_*.rs))))
# Victims that have an allocator inside: v_NAME_ALLOCATOR.
VICTIM_INNER := $(foreach allocator,jemalloc tcmalloc,$(patsubst %,$(B)/victim/v_%_$(allocator),\
	inner threads fork smallstack exit errno))
VICTIMS    := $(VICTIM_C) $(VICTIM_CXX) $(VICTIM_SO) $(VICTIM_RS) $(VICTIM_INNER)
# As a distribution builds programs, but no call may be optimised away: what they do is the test.
VICTIM_FLAGS := -O2 -g -Wall -Wextra -D_GNU_SOURCE -pthread -fno-builtin \
	-fno-optimize-sibling-calls
FAULT_FLAGS := -O1 -g -Wall -Wextra -D_GNU_SOURCE -pthread -fno-builtin

E2E ?= test/e2e test/faults test/browser
.PHONY: victims e2e faults test_programs
victims: $(VICTIMS)

$(B)/victim/%: test/victim/%.c $(E2E_MK) | setup_test
	$(say) VICTIM $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -o $@ $< -ldl -lm

define victim_inner
$(say) VICTIM $(@F)
$(Q)mkdir -p $(@D)
$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -o $@ $< $(1) -lstdc++ -lm -ldl
endef
$(B)/victim/%_jemalloc: test/victim/%.c $(E2E_MK) | setup_test
	$(call victim_inner,-l:libjemalloc.a)
$(B)/victim/%_tcmalloc: test/victim/%.c $(E2E_MK) | setup_test
	$(call victim_inner,-l:libtcmalloc_minimal.a)

$(B)/victim/%: test/victim/%.cpp $(E2E_MK) | setup_test
	$(say) VICTIM $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -std=gnu++20 $(VICTIM_FLAGS) -o $@ $<

$(B)/victim/%.so: test/victim/%.c $(E2E_MK) | setup_test
	$(say) VICTIM $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(VICTIM_FLAGS) -fPIC -shared -o $@ $<

$(B)/victim/%: test/victim/%.rs $(E2E_MK) | setup_test
	$(say) VICTIM $<
	$(Q)mkdir -p $(@D)
	$(Q)MAKEFLAGS= rustc -C opt-level=2 -g -C prefer-dynamic=no -o $@ $<

$(B)/e2e/profile_pb2.py: proto/profile.proto $(E2E_MK) | setup_test
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
	$(sort $(wildcard test/faults/programs/p_*.cpp))) $(B)/faults/naive.so \
	$(B)/brief/libpprofagent.so

# An agent whose HTTP server ends soon after its last client.
BRIEF := agent/serve/core_main
$(B)/brief/libpprofagent.so: $(LIB_AGENT) $(B)/brief/libpprofagent-core.so
	$(Q)cp $(LIB_AGENT) $@
$(B)/brief/libpprofagent-core.so: $(LIB_CORE) $(BRIEF).c $(E2E_MK)
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(CODE_CORE) '-DPA_IDLE_TIMEOUT_NS=(300 * PA_NS_PER_MS)' -c \
		-o $(@D)/core.o $(BRIEF).c
	$(Q)$(CC) $(SAN) $(LDFLAGS) $(LD_CORE) -o $@ \
		$(filter-out $(B)/core/$(BRIEF).o,$(OBJ_CORE)) $(@D)/core.o $(LIBS_CORE) \
		$(call LINK_LIBC,$(LIBC_CORE),)

$(B)/faults/%: test/faults/programs/%.c $(wildcard test/faults/programs/*.h) $(E2E_MK) | setup_test
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(FAULT_FLAGS) -o $@ $< -Wl,--as-needed -ldl -lm

$(B)/faults/%: test/faults/programs/%.cpp $(wildcard test/faults/programs/*.h) $(E2E_MK) | setup_test
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(FAULT_FLAGS) -o $@ $<

$(B)/faults/%.so: test/faults/programs/%.c $(E2E_MK) | setup_test
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(FAULT_FLAGS) -fPIC -shared -o $@ $<

$(B)/faults/%.so: test/faults/programs/%.cpp $(E2E_MK) | setup_test
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(FAULT_FLAGS) -fPIC -shared -o $@ $<

# Unwinds the program that it traces.
$(B)/faults/f_inject: test/faults/programs/f_inject.c $(E2E_MK) | setup_test
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(FAULT_FLAGS) -o $@ $< -lunwind-ptrace -lunwind-x86_64 -lunwind

$(B)/faults/naive.so: test/faults/naive.c $(E2E_MK) | setup_test
	$(say) FAULT $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(FAULT_FLAGS) -fPIC -shared -o $@ $< -lcivetweb -lunwind -ldl

FOR_E2E := all victims $(FAULTS) $(addprefix $(B)/bench/,b_create b_idle b_mutex b_pairs) \
	$(B)/e2e/profile_pb2.py $(B)/e2e/go_tools
test_programs: $(FOR_E2E) unit_programs

# Some versions of Go compile pprof and trace at their first use, which takes a minute.
$(B)/e2e/go_tools: | setup_test
	$(say) GO "tool pprof, tool trace"
	$(Q)mkdir -p $(@D)
	$(Q)PYTHONPATH=test $(PYTHON) -B -m lib.go_tools
	$(Q)touch $@

# What tests share is in test/lib, which pytest.ini has pytest find.
PYTEST_ENV = PPROFAGENT_BUILD=$(abspath $(B)) PYTHONPYCACHEPREFIX=$(abspath $(B))/pycache

## end-to-end tests (pytest); E2E=test/e2e/test_cpu.py: only that file,
## PYTEST='-k heap' goes to pytest; E2E_JOBS=1: one after the other
e2e: $(FOR_E2E)
	$(Q)$(PYTEST_ENV) PYTHON=$(PYTHON) $(if $(E2E_JOBS),JOBS=$(E2E_JOBS)) \
		scripts/e2e $(PYTEST) $(E2E)

## each way in which agents break programs, bare against the agent
faults: $(FOR_E2E)
ifneq ($(SETUP_DONE),1)
	$(Q)scripts/setup --check faults
endif
	$(Q)$(PYTEST_ENV) $(PYTHON) -m pytest -q $(PYTEST) --faults=all test/faults
