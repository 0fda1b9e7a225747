/* SPDX-License-Identifier: Apache-2.0 */
/*
 * __register_frame and its kin of libgcc: unwind tables of code that the program makes at run time
 * (LLVM's JIT compilers, GraalVM, PyPy, wasmtime), noted for the collector.
 *
 * A table is noted before the real function gets it, and removed before the real function takes it
 * back, after which the program may free it and write other code. The frame cache then has no rule
 * of it. libgcc's functions call each other by these names; the inner calls are passed on.
 *
 * The program need not be linked with libgcc: a library that it has opened brings it, in a scope of
 * its own. So the real function is looked up for its caller.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>

#include "../agent/arch/arch.h"
#include "../agent/base/clock.h"
#include "../agent/record/alloc.h"
#include "../agent/record/switches.h"
#include "../agent/record/thread.h"
#include "real.h"

#include "../agent/base/banned.h"

/* ---- the real functions ---- */

/* The last one found, for calls from the same place while no module was unloaded. key: the place
 * and the loader's count of unloads, mixed with found, so that a torn read never matches. */
struct last_found {
	PA_ATOMIC(uintptr_t) key;   /* relaxed */
	PA_ATOMIC(uintptr_t) found; /* relaxed */
};

/* What calls of the caller's module would be bound to: its own scope, or that of what it needs. */
static void *find_for_caller(const char *name, const void *caller)
{
	Dl_info info;
	void *found = NULL;
	void *handle = dladdr(caller, &info) && info.dli_fname ?
		PA_REAL(dlopen)(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD) :
		NULL;
	if (!handle)
		return NULL;
	found = dlsym(handle, name);
	PA_REAL(dlclose)(handle);
	return found;
}

/* Of libgcc that is loaded in any scope. */
static void *find_in_libgcc(const char *name)
{
	void *handle = PA_REAL(dlopen)("libgcc_s.so.1", RTLD_LAZY | RTLD_NOLOAD);
	if (!handle)
		return NULL;
	void *found = dlsym(handle, name);
	PA_REAL(dlclose)(handle);
	return found;
}

static PA_SLOW void *find_real_slow(const char *name, const void *caller)
{
	int saved_errno = errno;
	struct pa_thread *self = &pa_thread_self;
	uint64_t left = pa_alloc_pause(self);
	/* Not by a relocation, which each start would pay. */
	const void *ours = dlsym(RTLD_DEFAULT, name);
	void *found = pa_real_find(name);
	if (!found)
		found = find_for_caller(name, caller);
	/* The scope of the program's modules begins with the program and the agent. */
	if (!found || found == ours)
		found = find_in_libgcc(name);
	pa_alloc_resume(self, left);
	errno = saved_errno;
	return found == ours ? NULL : found;
}

/* NULL: no module has it. The caller has a weak reference then, which is NULL without the agent. */
static void *find_real(struct last_found *last, const char *name, const void *caller)
{
	uintptr_t place = (uintptr_t)caller ^ (uintptr_t)pa_hooks_loader_unloads() << 48;
	uintptr_t found = pa_load_relaxed(&last->found);
	if (found && pa_load_relaxed(&last->key) == (place ^ found))
		return (void *)found;
	found = (uintptr_t)find_real_slow(name, caller);
	pa_store_relaxed(&last->found, found);
	pa_store_relaxed(&last->key, place ^ found);
	return (void *)found;
}

/* ---- tables without a real function ---- */

/*
 * libgcc may be loaded before they are taken back, and would abort for a table that it does not
 * know. 0: free. acq_rel by CAS. Full: such tables are passed on.
 */
static PA_LARGE PA_ATOMIC(uintptr_t) untold[64];

static bool swap_untold(uintptr_t from, uintptr_t to)
{
	for (size_t i = 0; i < PA_COUNT(untold); i++) {
		uintptr_t had = from;
		if (pa_load_relaxed(&untold[i]) == from && pa_cas_acq_rel(&untold[i], &had, to))
			return true;
	}
	return false;
}

/* A table that only the agent was told of; no more. */
static bool is_untold(const void *begin)
{
	return begin && swap_untold((uintptr_t)begin, 0);
}

/* ---- tables ---- */

/* The calling thread is in a real function. */
static PA_TLS bool inside;

static bool are_tables_noted(void)
{
	return !inside && !pa_load_relaxed(&pa_switches->inert) &&
		pa_thread_self.role != PA_ROLE_AGENT;
}

static void forget_table(const void *begin)
{
	if (are_tables_noted() && begin &&
		pa_unwind_tables_remove(&pa_record.unwind_tables, (uintptr_t)begin,
			pa_clock_mono_ns()) &&
		pa_record.frames)
		pa_frame_cache_new_epoch(pa_record.frames);
}

/* One that is there already was freed without being taken back. */
static void note_table(const void *begin, bool is_list)
{
	forget_table(begin);
	if (are_tables_noted() && begin &&
		!pa_unwind_tables_add(&pa_record.unwind_tables, (uintptr_t)begin, is_list,
			pa_clock_mono_ns()))
		PA_COUNT_EVENT(unwind_tables_full);
}

static bool enter_real(void)
{
	bool outer = !inside;
	inside = true;
	return outer;
}

static void leave_real(bool outer)
{
	inside = !outer;
}

/* The real function of a hook, by which calls of its caller go. */
#define FIND_REAL(name)                \
	static struct last_found last; \
	__typeof__(&name) real =       \
		(__typeof__(&name))find_real(&last, #name, __builtin_return_address(0))

#define DEFINE_REGISTER(name, is_list, parameters, ...)   \
	PA_ENTRY void name parameters                     \
	{                                                 \
		PA_CALM_FLAGS();                          \
		FIND_REAL(name);                          \
		note_table(begin, is_list);               \
		bool outer = enter_real();                \
		if (pa_likely(real != NULL))              \
			real(__VA_ARGS__);                \
		else                                      \
			swap_untold(0, (uintptr_t)begin); \
		leave_real(outer);                        \
	}

DEFINE_REGISTER(__register_frame, false, (void *begin), begin)
DEFINE_REGISTER(__register_frame_info, false, (const void *begin, void *object), begin, object)
DEFINE_REGISTER(__register_frame_info_bases, false,
	(const void *begin, void *object, void *text_base, void *data_base), begin, object,
	text_base, data_base)
DEFINE_REGISTER(__register_frame_table, true, (void *begin), begin)
DEFINE_REGISTER(__register_frame_info_table, true, (void *begin, void *object), begin, object)
DEFINE_REGISTER(__register_frame_info_table_bases, true,
	(void *begin, void *object, void *text_base, void *data_base), begin, object, text_base,
	data_base)

PA_ENTRY void __deregister_frame(void *begin)
{
	PA_CALM_FLAGS();
	FIND_REAL(__deregister_frame);
	forget_table(begin);
	bool outer = enter_real();
	if (real && !is_untold(begin))
		real(begin);
	leave_real(outer);
}

#define DEFINE_DEREGISTER_INFO(name)                                           \
	PA_ENTRY void *name(const void *begin)                                 \
	{                                                                      \
		PA_CALM_FLAGS();                                               \
		FIND_REAL(name);                                               \
		forget_table(begin);                                           \
		bool outer = enter_real();                                     \
		void *object = real && !is_untold(begin) ? real(begin) : NULL; \
		leave_real(outer);                                             \
		return object;                                                 \
	}

DEFINE_DEREGISTER_INFO(__deregister_frame_info)
DEFINE_DEREGISTER_INFO(__deregister_frame_info_bases)
