/* SPDX-License-Identifier: Apache-2.0 */
#include "demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#include "../base/arena.h"

/* Names up to this length are demangled on the thread's own stack: libiberty's own limit, too. */
#define SHORT_NAME 1024
/* 450 bytes a character are needed at most. Only what is used is memory. */
#define LONG_STACK_BYTES ((size_t)8 << 20)

static const char rest[] = "...";

/*
 * Output of the demangler. A short name can expand without bound (each substitution may double the
 * one before), so the demangler is left by longjmp() as soon as the result is too long. It holds
 * nothing but stack, so nothing leaks.
 */
struct output {
	char *text;
	size_t length, size;
	bool cut;
	jmp_buf full;
};

/* A name that is demangled on another stack. */
struct long_name {
	const char *name;
	struct output *output;
	bool done;
	ucontext_t caller, own;
};

typedef int demangler(const char *name, int options, demangle_callbackref take, void *arg);

static struct long_name *current; /* of the one thread that does it */

static void take_part(const char *part, size_t bytes, void *arg)
{
	struct output *output = arg;
	size_t room = output->size - output->length;

	output->cut = bytes > room;
	if (output->cut)
		bytes = room;
	if (bytes) /* part may be NULL if bytes is 0: memcpy() requires valid pointers (C11 7.24.1).
		    */
		memcpy(output->text + output->length, part, bytes);
	output->length += bytes;
	if (output->cut)
		_longjmp(output->full, 1);
}

static bool run_demangler(demangler *demangle, const char *name, int options, struct output *output)
{
	output->length = 0;
	output->cut = false;
	if (_setjmp(output->full))
		return true;
	return demangle(name, options, take_part, output) && output->length > 0;
}

static bool run_demanglers(const char *name, int more_options, struct output *output)
{
	int options = DMGL_PARAMS | DMGL_ANSI | more_options;

	/* Rust's legacy scheme is a C++ name with a hash at the end, so the Rust demangler comes
	 * first. */
	return run_demangler(rust_demangle_callback, name, options, output) ||
		run_demangler(cplus_demangle_v3_callback, name, options, output);
}

static void run_long(void)
{
	current->done = run_demanglers(current->name, DMGL_NO_RECURSE_LIMIT, current->output);
}

static bool run_on_long_stack(const char *name, struct output *output)
{
	struct long_name task = { .name = name, .output = output };
	void *stack = pa_map_table(LONG_STACK_BYTES);

	if (!stack || getcontext(&task.own) != 0)
		return false;
	task.own.uc_stack.ss_sp = stack;
	task.own.uc_stack.ss_size = LONG_STACK_BYTES;
	task.own.uc_link = &task.caller;
	makecontext(&task.own, run_long, 0);
	current = &task;
	swapcontext(&task.caller, &task.own);
	pa_unmap_table(stack, LONG_STACK_BYTES);
	return task.done;
}

/* Other names are not mangled: libiberty would read "i" as the type int. */
static bool looks_mangled(const char *name)
{
	return strncmp(name, "_Z", 2) == 0 || strncmp(name, "_R", 2) == 0;
}

PA_AGENT bool pa_demangle(const char *name, char *out, size_t size)
{
	char text[4096];
	struct output output = { .text = text,
		.size = size - 1 < sizeof(text) ? size - 1 : sizeof(text) };
	size_t length = strnlen(name, PA_DEMANGLE_MAX + 1);

	if (!looks_mangled(name) || length > PA_DEMANGLE_MAX || size < PA_DEMANGLE_LEAST)
		return false;
	if (!(length > SHORT_NAME ? run_on_long_stack(name, &output) :
				    run_demanglers(name, 0, &output)))
		return false;
	if (output.cut)
		memcpy(text + output.size - (sizeof(rest) - 1), rest, sizeof(rest) - 1);
	memcpy(out, text, output.length);
	out[output.length] = '\0';
	return true;
}
