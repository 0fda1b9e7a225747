/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread waits for on a futex: a lock, a condition, or to be unparked. The kernel does not
 * know; the innermost functions of the stack do, in a table of those of known runtimes.
 *
 * Context: PA_AGENT; pure functions of what is given, but pa_futex_kind_of_stack, which
 * symbolizes: the render thread only.
 */
#ifndef PA_FUTEX_KIND_H
#define PA_FUTEX_KIND_H

#include "../agent/stacks/stack_table.h"

/* So many functions from the innermost one are looked at. */
#define PA_FUTEX_KIND_NAMES 24

/*
 * names: demangled, innermost first, inlined ones too; of code without a name the file that it is
 * in, in brackets ("[libglib-2.0.so.0"). The first that the table has decides, unless it is only
 * the means by which those further out wait (parking, semaphores). Functions of the program itself
 * end the search: what they are called from is not what waits. PA_FUTEX_UNKNOWN or a kind.
 */
PA_AGENT enum pa_futex_kind pa_futex_kind_of(const char *const *names, size_t count);

/* The same by the names of a stack. Once it is known the stack keeps it. */
PA_AGENT enum pa_futex_kind pa_futex_kind_of_stack(const struct pa_stack *stack);

/* The name that the above wants for code without one. */
#define PA_FUTEX_KIND_FILE_BYTES 64
PA_AGENT const char *pa_futex_kind_file(const struct pa_loc *loc,
	char text[PA_FUTEX_KIND_FILE_BYTES]);

#endif
