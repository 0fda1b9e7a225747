/* SPDX-License-Identifier: Apache-2.0 */
#include "futex_kind.h"

#include <stdio.h>
#include <string.h>

#include "../agent/symbols/symbols.h"

/*
 * Prefixes of demangled names; '*' stands for any text in the middle. Without the '<' in front that
 * Rust's names may have (<std::sys::sync::mutex::futex::Mutex>::lock_contended) and without the
 * type that a C++ template returns.
 */
static const struct {
	const char *prefix;
	enum pa_futex_kind kind;
	bool means; /* of those that wait further out */
} functions[] = {
	/* Rust's standard library, from 1.62 on */
	{ "std::sys*::Mutex*::lock_contended", PA_FUTEX_LOCK, false },
	{ "std::sys*::RwLock*::read_contended", PA_FUTEX_LOCK, false },
	{ "std::sys*::RwLock*::write_contended", PA_FUTEX_LOCK, false },
	{ "std::sys*::Once*::call", PA_FUTEX_LOCK, false },
	{ "std::sys*::Once*::wait", PA_FUTEX_LOCK, false },
	{ "std::sync::once::Once::call_inner", PA_FUTEX_LOCK, false },
	{ "std::sync::once::WaiterQueue", PA_FUTEX_LOCK, false },
	{ "std::sys*::Condvar*::wait", PA_FUTEX_CONDITION, false },
	{ "std::sys*::Parker*::park", PA_FUTEX_PARK, true },
	{ "std::thread::*park", PA_FUTEX_PARK, true },
	/* parking_lot */
	{ "parking_lot::raw_mutex::RawMutex*::lock_slow", PA_FUTEX_LOCK, false },
	{ "parking_lot::raw_rwlock::RawRwLock", PA_FUTEX_LOCK, false },
	{ "parking_lot::once::Once*::call_once_slow", PA_FUTEX_LOCK, false },
	{ "parking_lot::condvar::Condvar", PA_FUTEX_CONDITION, false },
	{ "parking_lot_core::word_lock::WordLock", PA_FUTEX_LOCK, false },
	{ "parking_lot_core::", PA_FUTEX_PARK, true },
	/* C++: libstdc++ */
	{ "__cxa_guard_acquire", PA_FUTEX_LOCK, false },
	{ "std::__detail::__platform_wait", PA_FUTEX_CONDITION, false },
	{ "std::__detail::__waiter", PA_FUTEX_CONDITION, false },
	{ "std::__atomic_wait_address", PA_FUTEX_CONDITION, false },
	{ "std::__atomic_semaphore", PA_FUTEX_CONDITION, false },
	{ "std::__atomic_futex_unsigned", PA_FUTEX_CONDITION, false },
	/* Abseil, as a library and inside others */
	{ "AbslInternalPerThreadSemWait", PA_FUTEX_PARK, true },
	{ "absl::*Mutex::AwaitCommon", PA_FUTEX_CONDITION, false },
	{ "absl::*Mutex::LockWhen", PA_FUTEX_CONDITION, false },
	{ "absl::*Mutex::ReaderLockWhen", PA_FUTEX_CONDITION, false },
	{ "absl::*CondVar::Wait", PA_FUTEX_CONDITION, false },
	{ "absl::*Mutex::LockSlow", PA_FUTEX_LOCK, true },
	{ "absl::*Mutex::Lock", PA_FUTEX_LOCK, false },
	{ "absl::*Mutex::ReaderLock", PA_FUTEX_LOCK, false },
	{ "absl::*SpinLock::SlowLock", PA_FUTEX_LOCK, false },
	{ "SpinLock::SlowLock", PA_FUTEX_LOCK, false }, /* gperftools */
	{ "nsync::nsync_mu_lock_slow", PA_FUTEX_LOCK, false },
	{ "nsync::nsync_cv_wait", PA_FUTEX_CONDITION, false },
	/* TBB */
	{ "tbb::detail::d1::mutex::lock", PA_FUTEX_LOCK, false },
	{ "tbb::detail::d1::rw_mutex::", PA_FUTEX_LOCK, false },
	{ "tbb::detail::r1::wait_on_address", PA_FUTEX_LOCK, false },
	{ "tbb::detail::r1::wait_bounded_queue_monitor", PA_FUTEX_CONDITION, false },
	/* GLib: g_mutex_lock jumps to a function that stripped libraries have no name for, and that
	 * is the only such function that waits. */
	{ "g_mutex_lock", PA_FUTEX_LOCK, false },
	{ "g_bit_lock", PA_FUTEX_LOCK, false },
	{ "g_pointer_bit_lock", PA_FUTEX_LOCK, false },
	{ "g_cond_wait", PA_FUTEX_CONDITION, false },
	{ "[libglib-2.0.so", PA_FUTEX_LOCK, true },
	/* folly, MariaDB, Chromium */
	{ "folly::*SharedMutex", PA_FUTEX_LOCK, false },
	{ "folly::MicroLock", PA_FUTEX_LOCK, false },
	{ "folly::detail::distributed_mutex", PA_FUTEX_LOCK, false },
	{ "srw_mutex_impl<", PA_FUTEX_LOCK, false },
	{ "ssux_lock_impl<", PA_FUTEX_LOCK, false },
	{ "srw_lock", PA_FUTEX_LOCK, false },
	{ "partition_alloc::*SpinningMutex::LockSlow", PA_FUTEX_LOCK, false },
	/* libc and libgomp make the system call themselves: these are in dumps of threads only */
	{ "__pthread_once_slow", PA_FUTEX_LOCK, false },
	{ "pthread_once", PA_FUTEX_LOCK, false },
	{ "__lll_lock_wait", PA_FUTEX_LOCK, false },
	{ "flockfile", PA_FUTEX_LOCK, false },
	{ "gomp_mutex_lock_slow", PA_FUTEX_LOCK, false },
	{ "GOMP_critical", PA_FUTEX_LOCK, false },
	{ "gomp_set_lock", PA_FUTEX_LOCK, false },
	{ "omp_set_lock", PA_FUTEX_LOCK, false },
	{ "gomp_barrier_wait", PA_FUTEX_CONDITION, false },
	{ "gomp_team_barrier_wait", PA_FUTEX_CONDITION, false },
	{ "GOMP_barrier", PA_FUTEX_CONDITION, false },
};

/* What may stand between the call and a function of the table. */
static const char *const passed_over[] = {
	"syscall",
	"futex_",
	"[",
	"std::",
	"core::",
	"parking_lot",
	"lock_api::",
	"crossbeam",
	"tokio::",
	"absl::",
	"base_internal::",
	"tbb::detail::",
	"folly::",
	"g_",
};

/* ---------------------------------------------------------------- names */

#define NAME_BYTES 256

/* Without what stands in front of the name proper, its parameters and its generic arguments. */
static void cut_name(const char *name, char out[NAME_BYTES])
{
	size_t bytes, least;

	while (*name == '<')
		name++;
	if (strncmp(name, "void ", 5) == 0 || strncmp(name, "bool ", 5) == 0)
		name += 5;
	least = *name == '('; /* (anonymous namespace) */
	for (bytes = 0; bytes < NAME_BYTES - 1 && name[bytes]; bytes++)
		if ((name[bytes] == '(' && bytes >= least) || strncmp(name + bytes, "::<", 3) == 0)
			break;
	memcpy(out, name, bytes);
	out[bytes] = '\0';
}

/* Of a part between stars the first place where it stands. NULL: nowhere. */
static const char *find_part(const char *name, const char *part, size_t bytes)
{
	for (; *name || !bytes; name++)
		if (strncmp(name, part, bytes) == 0)
			return name;
	return NULL;
}

/* Bytes in front of the first star. */
static size_t part_bytes(const char *prefix)
{
	const char *star = strchr(prefix, '*');

	return star ? (size_t)(star - prefix) : strlen(prefix);
}

static bool has_prefix(const char *name, const char *prefix)
{
	size_t bytes = part_bytes(prefix);

	if (strncmp(name, prefix, bytes) != 0)
		return false;
	while (prefix[bytes]) {
		name += bytes;
		prefix += bytes + 1;
		bytes = part_bytes(prefix);
		name = find_part(name, prefix, bytes);
		if (!name)
			return false;
	}
	return true;
}

static bool is_passed_over(const char *name)
{
	size_t i;

	for (i = 0; i < PA_COUNT(passed_over); i++)
		if (has_prefix(name, passed_over[i]))
			return true;
	return false;
}

PA_AGENT enum pa_futex_kind pa_futex_kind_of(const char *const *names, size_t count)
{
	enum pa_futex_kind kind = PA_FUTEX_UNKNOWN;
	char name[NAME_BYTES];
	size_t i, j;

	for (i = 0; i < count; i++) {
		cut_name(names[i], name);
		for (j = 0; j < PA_COUNT(functions); j++)
			if (has_prefix(name, functions[j].prefix))
				break;
		if (j == PA_COUNT(functions) && !is_passed_over(name))
			break;
		if (j == PA_COUNT(functions))
			continue;
		if (!functions[j].means)
			return functions[j].kind;
		if (kind == PA_FUTEX_UNKNOWN)
			kind = functions[j].kind;
	}
	return kind;
}

/* ---------------------------------------------------------------- stacks */

PA_AGENT const char *pa_futex_kind_file(const struct pa_loc *loc,
	char text[PA_FUTEX_KIND_FILE_BYTES])
{
	const char *name = loc->module ? loc->module->path : "";
	const char *slash;

	while ((slash = strchr(name, '/')))
		name = slash + 1;
	snprintf(text, PA_FUTEX_KIND_FILE_BYTES, "[%s", name);
	return text;
}

static enum pa_futex_kind kind_by_names(const struct pa_stack *stack)
{
	char files[PA_FUTEX_KIND_NAMES][PA_FUTEX_KIND_FILE_BYTES];
	struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
	const char *names[PA_FUTEX_KIND_NAMES];
	size_t count = 0;
	uint32_t i, j, found;

	for (i = 0; i < stack->depth && count < PA_FUTEX_KIND_NAMES; i++) {
		const struct pa_loc *loc = pa_stack_table_loc(stack->locs[i]);
		found = pa_symbols_lookup(loc, frames, PA_SYMBOLS_INLINE_MAX);
		if (!found) {
			names[count] = pa_futex_kind_file(loc, files[count]);
			count++;
		}
		for (j = 0; j < found && count < PA_FUTEX_KIND_NAMES; j++)
			names[count++] = frames[j].function->name;
	}
	return pa_futex_kind_of(names, count);
}

/* What is not known now may be known later: names of a file can take their time. */
PA_AGENT enum pa_futex_kind pa_futex_kind_of_stack(const struct pa_stack *stack)
{
	enum pa_futex_kind kind = (enum pa_futex_kind)pa_load_relaxed(&stack->futex_kind);

	if (kind > PA_FUTEX_UNKNOWN)
		return kind;
	kind = kind_by_names(stack);
	pa_stack_set_futex_kind(stack, kind);
	return kind;
}
