/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/futex_kind.h"
#include "agent/symbols/symbols.h"

/* ---------------------------------------------------------------- a made-up program */

static struct pa_module glib = { .path = "/usr/lib/libglib-2.0.so.0.7400.6" };
static struct pa_function lock = {
	.name = "<std::sys::sync::mutex::futex::Mutex>::lock_contended"
};
static struct pa_function futex_wait = { .name = "std::sys::pal::unix::futex::futex_wait" };
static struct pa_function work = { .name = "app::work" };
static const struct pa_loc locs[] = { { .pc = 0x1000 }, { .pc = 0x2000 },
	{ .pc = 0x3000, .module = &glib }, { .pc = 0x4000 } };
enum { LOC_INLINED, LOC_WORK, LOC_GLIB, LOC_NOWHERE };

static int look_ups;

const struct pa_loc *pa_stack_table_loc(uint32_t id)
{
	return &locs[id];
}

uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames, uint32_t max)
{
	assert_true(max >= 2);
	look_ups++;
	if (loc == &locs[LOC_INLINED]) {
		frames[0].function = &futex_wait;
		frames[1].function = &lock;
		return 2;
	}
	frames[0].function = &work;
	return loc == &locs[LOC_WORK];
}

static union {
	struct pa_stack stack;
	char room[sizeof(struct pa_stack) + 8 * sizeof(uint32_t)];
} memory;

static const struct pa_stack *stack_of(uint16_t depth, const uint32_t *ids)
{
	memset(&memory, 0, sizeof(memory));
	memory.stack.depth = depth;
	memcpy(memory.stack.locs, ids, depth * sizeof(*ids));
	look_ups = 0;
	return &memory.stack;
}

#define STACK(...) stack_of(sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (uint32_t[]){ __VA_ARGS__ })

/* ---------------------------------------------------------------- names */

#define NAMES_MAX 8

static void assert_kind(enum pa_futex_kind kind, const char *const *names)
{
	size_t count = 0;

	while (count < NAMES_MAX && names[count])
		count++;
	if (pa_futex_kind_of(names, count) != kind)
		fail_msg("%s ...: not %d but %d", names[0], kind, pa_futex_kind_of(names, count));
}

/* As these runtimes were seen to wait: functions of the symbol table alone, and inlined ones. */
static const struct {
	enum pa_futex_kind kind;
	const char *names[NAMES_MAX];
} rows[] = {
	{ PA_FUTEX_LOCK, { "std::sys::unix::locks::futex_mutex::Mutex::lock_contended" } },
	{ PA_FUTEX_LOCK,
		{ "std::sys::unix::futex::futex_wait",
			"std::sys::unix::locks::futex::Mutex::lock_contended" } },
	{ PA_FUTEX_LOCK,
		{ "syscall", "<std::sys::sync::mutex::futex::Mutex>::lock_contended", "app::f" } },
	{ PA_FUTEX_LOCK, { "<std::sys::sync::rwlock::futex::RwLock>::read_contended" } },
	{ PA_FUTEX_LOCK, { "std::sys::unix::locks::futex_rwlock::RwLock::write_contended" } },
	{ PA_FUTEX_LOCK, { "<std::sys::sync::once::futex::Once>::call" } },
	{ PA_FUTEX_LOCK, { "std::thread::park", "std::sync::once::Once::call_inner" } },
	{ PA_FUTEX_CONDITION, { "std::sys::unix::locks::futex_condvar::Condvar::wait" } },
	{ PA_FUTEX_CONDITION, { "<std::sys::sync::condvar::futex::Condvar>::wait_timeout" } },
	{ PA_FUTEX_PARK,
		{ "<std::thread::thread::Thread>::park", "std::thread::functions::park" } },
	{ PA_FUTEX_PARK,
		{ "std::thread::park", "crossbeam_channel::context::Context::wait_until",
			"app::receive" } },
	{ PA_FUTEX_LOCK,
		{ "<parking_lot_core::thread_parker::imp::ThreadParker>::park",
			"parking_lot_core::parking_lot::park::{{closure}}",
			"parking_lot::raw_mutex::RawMutex::lock_slow" } },
	{ PA_FUTEX_LOCK, { "parking_lot::raw_rwlock::RawRwLock::lock_shared_slow" } },
	{ PA_FUTEX_CONDITION, { "parking_lot::condvar::Condvar::wait_until_internal" } },
	{ PA_FUTEX_LOCK, { "syscall", "__cxa_guard_acquire", "app()" } },
	{ PA_FUTEX_CONDITION, { "void std::__detail::__platform_wait<int>(int const*, int)" } },
	{ PA_FUTEX_CONDITION,
		{ "std::__atomic_futex_unsigned_base::_M_futex_wait_until(unsigned int*)" } },
	{ PA_FUTEX_LOCK,
		{ "absl::debian3::synchronization_internal::Waiter::Wait(absl::T)",
			"AbslInternalPerThreadSemWait_debian3",
			"absl::debian3::Mutex::Block(absl::P*)",
			"absl::debian3::Mutex::LockSlowLoop(absl::S*, int)",
			"absl::debian3::Mutex::Lock()", "operator()" } },
	{ PA_FUTEX_CONDITION,
		{ "AbslInternalPerThreadSemWait_lts_20230802",
			"absl::lts_20230802::Mutex::Block(absl::P*)",
			"absl::lts_20230802::Mutex::AwaitCommon(absl::C const&)" } },
	{ PA_FUTEX_CONDITION,
		{ "AbslInternalPerThreadSemWait", "absl::Mutex::LockSlowLoop(absl::S*, int)",
			"absl::Mutex::LockWhen(absl::Condition const&)" } },
	{ PA_FUTEX_LOCK, { "tbb::detail::r1::wait_on_address(void*)", "main" } },
	{ PA_FUTEX_CONDITION, { "tbb::detail::r1::wait_bounded_queue_monitor(tbb::M*)" } },
	{ PA_FUTEX_LOCK, { "g_mutex_lock_slowpath", "main" } },
	{ PA_FUTEX_LOCK, { "syscall", "[libglib-2.0.so.0.7400.6", "main" } },
	{ PA_FUTEX_CONDITION, { "g_cond_wait_until", "[libglib-2.0.so.0.7400.6" } },
	{ PA_FUTEX_LOCK, { "futex_wait", "__lll_lock_wait_private", "flockfile" } },
	{ PA_FUTEX_LOCK, { "futex_wait", "futex_wait_simple", "__pthread_once_slow" } },
};

static void functions_of_runtimes_are_known(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(rows); i++)
		assert_kind(rows[i].kind, rows[i].names);
}

static void functions_of_the_program_are_not(void **unused)
{
	(void)unused;
	assert_kind(PA_FUTEX_UNKNOWN, (const char *[]){ "my_wait", NULL });
	assert_kind(PA_FUTEX_UNKNOWN, (const char *[]){ NULL });
	assert_kind(PA_FUTEX_UNKNOWN, (const char *[]){ "mutex::lock_contended", NULL });
	assert_kind(PA_FUTEX_UNKNOWN, (const char *[]){ "g_cond", "[app", NULL });
	assert_kind(PA_FUTEX_UNKNOWN, (const char *[]){ "std::spark", NULL });
}

/* They wait, and not the lock or the guard inside which they do. */
static void functions_of_the_program_end_the_search(void **unused)
{
	(void)unused;
	assert_kind(PA_FUTEX_UNKNOWN,
		(const char *[]){ "my_wait", "<std::sys::sync::once::futex::Once>::call", NULL });
	assert_kind(PA_FUTEX_PARK,
		(const char *[]){ "std::thread::park", "app::f",
			"parking_lot::raw_mutex::RawMutex::lock_slow", NULL });
}

/* What a name says in its parameters and generic arguments is another's. */
static void only_the_name_itself_counts(void **unused)
{
	(void)unused;
	assert_kind(PA_FUTEX_UNKNOWN,
		(const char *[]){ "std::thread::spawn::<app::park>", "main", NULL });
	assert_kind(PA_FUTEX_UNKNOWN,
		(const char *[]){ "absl::f(absl::Mutex::LockSlow)", "main", NULL });
	assert_kind(PA_FUTEX_UNKNOWN,
		(const char *[]){ "(anonymous namespace)::g_mutex_lock(int)", NULL });
}

/* ---------------------------------------------------------------- stacks */

static void stack_is_decided_once_by_inlined_functions_too(void **unused)
{
	const struct pa_stack *stack = STACK(LOC_INLINED, LOC_WORK);

	(void)unused;
	assert_int_equal(pa_futex_kind_of_stack(stack), PA_FUTEX_LOCK);
	assert_int_equal(look_ups, 2);
	assert_int_equal(pa_futex_kind_of_stack(stack), PA_FUTEX_LOCK);
	assert_int_equal(look_ups, 2);
}

static void stack_that_is_not_known_is_asked_again(void **unused)
{
	const struct pa_stack *stack = STACK(LOC_WORK);

	(void)unused;
	assert_int_equal(pa_futex_kind_of_stack(stack), PA_FUTEX_UNKNOWN);
	assert_int_equal(pa_load_relaxed(&stack->futex_kind), PA_FUTEX_UNKNOWN);
	assert_int_equal(pa_futex_kind_of_stack(stack), PA_FUTEX_UNKNOWN);
	assert_int_equal(look_ups, 2);
}

static void code_without_a_name_is_called_by_its_file(void **unused)
{
	char text[PA_FUTEX_KIND_FILE_BYTES];

	(void)unused;
	assert_int_equal(pa_futex_kind_of_stack(STACK(LOC_GLIB, LOC_WORK)), PA_FUTEX_LOCK);
	assert_int_equal(pa_futex_kind_of_stack(STACK(LOC_NOWHERE)), PA_FUTEX_UNKNOWN);
	assert_string_equal(pa_futex_kind_file(&locs[LOC_GLIB], text), "[libglib-2.0.so.0.7400.6");
	assert_string_equal(pa_futex_kind_file(&locs[LOC_NOWHERE], text), "[");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_of_runtimes_are_known),
		cmocka_unit_test(functions_of_the_program_are_not),
		cmocka_unit_test(functions_of_the_program_end_the_search),
		cmocka_unit_test(only_the_name_itself_counts),
		cmocka_unit_test(stack_is_decided_once_by_inlined_functions_too),
		cmocka_unit_test(stack_that_is_not_known_is_asked_again),
		cmocka_unit_test(code_without_a_name_is_called_by_its_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
