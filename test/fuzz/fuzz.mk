# SPDX-License-Identifier: Apache-2.0
# Fuzz targets; included by the Makefile at the top, which has its variables.

##@ Test
FUZZ ?= $(patsubst test/fuzz/fuzz_%.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))
FUZZ_SECONDS ?= 60
FUZZ_PROGRAMS := $(FUZZ:%=$(B)/fuzz_%)
FUZZ_CHECKS := address,undefined
# The compiler's libraries come first: a libdw that is instrumented as well can be given here.
FUZZ_LIBS ?= $(LIBS_CORE) -lm

.PHONY: fuzz fuzz_run
## FUZZ_SECONDS=60 of each fuzz target, with sanitizers;
## FUZZ='elf maps': only those
fuzz:
ifneq ($(SETUP_DONE),1)
	$(Q)scripts/setup --check fuzz
endif
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

$(B)/fuzz_%: $(B)/fuzz/obj/fuzz_%.o $(OBJ_TEST_LIB) $(B)/libunits.a
	$(say) LINK $@
	$(Q)$(CC) -fsanitize=fuzzer,$(FUZZ_CHECKS) -pthread -o $@ $< $(TEST_LIB) -Wl,--no-as-needed -lc \
		-Wl,--as-needed $(B)/libunits.a $(FUZZ_LIBS) -ldl
