# SPDX-License-Identifier: Apache-2.0
# Flags of the user and of distributions that do not fit code in other programs, on their threads
# and in their signal handlers; included by the Makefile at the top. They are left out: calls of a
# profiler or a sanitizer in each function (SAN= is for tests), stacks that grow, and a constructor
# that changes the floating-point mode of the process (crtfastmath.o, gcc before 13).

UNFIT := -p -pg -finstrument-functions% -fsplit-stack -fsanitize% -fprofile-generate% \
	-fprofile-arcs -fprofile-instr-generate% -fcoverage-mapping -ftest-coverage -coverage \
	--coverage -Ofast -ffast-math -funsafe-math-optimizations
override OPT      := $(filter-out $(UNFIT),$(OPT))
override CPPFLAGS := $(filter-out $(UNFIT),$(CPPFLAGS))
override CFLAGS   := $(filter-out $(UNFIT),$(CFLAGS))
override LDFLAGS  := $(filter-out $(UNFIT),$(LDFLAGS))

# Others are taken back. Stacks are walked through both objects by their unwind tables. Both define
# mmap and mmap64, or stat and stat64: with 64-bit file offsets by macro, headers make one name of
# the two.
PLAIN := -fasynchronous-unwind-tables -U_FILE_OFFSET_BITS -U_TIME_BITS

# The preloaded object: last calls are jumps from -O1 on with gcc, from -O2 on with clang; with -Os
# gcc copies by string instructions.
TOO_LOW := -O0 -Og -Os -Oz $(if $(findstring clang,$(CC)),-O -O1)
LEVEL_AGENT := $(if $(filter $(TOO_LOW),$(OPT) $(CPPFLAGS) $(CFLAGS)),-O2)

# Dynamic tags that an older ld.so does not know: without DT_RELR (glibc 2.36) relocations are left
# out, and in a marked PLT their addends are taken for offsets. Distributions have these flags in
# LDFLAGS, joined with others. The linker takes the last of two; one that does not know them warns.
comma := ,
taken_back = $(if $(findstring $(1),$(CC) $(LDFLAGS)),-Wl$(comma)$(2))
PLAIN_LD := $(call taken_back,pack-relative-relocs,-z$(comma)nopack-relative-relocs) \
	$(call taken_back,--pack-dyn-relocs,--pack-dyn-relocs=none) \
	$(call taken_back,mark-plt,-z$(comma)nomark-plt)
