/* SPDX-License-Identifier: Apache-2.0 */
/* This program has an allocator inside: the functions that begin with fake_ make it jemalloc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/core/core.h"
#include "agent/profile/allocator_hooks.h"
#include "agent/profile/allocator_notes.h"
#include "agent/profile/mailbox.h"

#define KEEP __attribute__((used, noinline, visibility("default")))

static struct {
	int installs, removes, epochs, refuse; /* refuse: the error number of an install */
	bool held, busy, unknown;              /* of the destructor */
	void *extra;
	bool hooked, session;
	int syncs;
} seen;

static int handle;

KEEP int fake_mallctl(const char *name, void *old, size_t *old_bytes, void *fresh,
	size_t fresh_bytes);
KEEP int fake_mallctlnametomib(void);
KEEP void cold_part(void *tsd) __asm__("fake_tsd_cleanup.cold");
KEEP void *fake_malloc(size_t bytes);

int fake_mallctl(const char *name, void *old, size_t *old_bytes, void *fresh, size_t fresh_bytes)
{
	if (!strcmp(name, "experimental.hooks.install")) {
		if (seen.refuse)
			return seen.refuse;
		assert_true(seen.hooked && seen.session); /* before the first event */
		assert_true(seen.held);
		assert_int_equal(fresh_bytes, 4 * sizeof(void *));
		assert_int_equal(*old_bytes, sizeof(void *));
		seen.extra = ((void **)fresh)[3];
		*(void **)old = &handle;
		seen.installs++;
	} else if (!strcmp(name, "experimental.hooks.remove")) {
		assert_ptr_equal(*(void **)fresh, &handle);
		assert_true(seen.held);
		seen.removes++;
	} else if (!strcmp(name, "epoch")) {
		seen.epochs++;
	} else if (!strcmp(name, "stats.allocated")) {
		assert_true(seen.epochs); /* otherwise the value is an old one */
		*(size_t *)old = 123456;
	} else {
		return ENOENT;
	}
	return 0;
}

/* Local symbols stand before global ones: the last one of both names is not it. */
static __attribute__((used, noinline)) void fake_tsd_cleanup(void *tsd)
{
	*(int *)tsd = 0;
}

void cold_part(void *tsd)
{
	*(int *)tsd = 1;
}

int fake_mallctlnametomib(void)
{
	return 0;
}

void *fake_malloc(size_t bytes)
{
	return bytes ? &handle : NULL;
}

int pa_mailbox_ask(const struct pa_mailbox_request *request, struct pa_snapshot **snapshot)
{
	(void)snapshot;
	seen.syncs += request->op == PA_MAILBOX_SYNC;
	return 0;
}

static void *begin_session(bool has_pvalloc)
{
	assert_false(has_pvalloc);
	seen.session = true;
	return &seen;
}

static void end_session(void)
{
	seen.session = false;
}

static bool has_destructor(uintptr_t destructor)
{
	assert_int_equal(destructor, (uintptr_t)fake_tsd_cleanup);
	return !seen.unknown;
}

static bool hold_destructor(uintptr_t destructor, int64_t timeout_ns)
{
	assert_true(destructor && timeout_ns > 0 && !seen.held);
	seen.held = !seen.busy;
	return seen.held;
}

static void release_destructor(uintptr_t destructor, pa_destructors_mallctl *mallctl)
{
	assert_true(destructor && seen.held && mallctl == fake_mallctl);
	seen.held = false;
}

static const struct pa_inner_alloc_ops ops = {
	.begin = begin_session,
	.end = end_session,
	.has_destructor = has_destructor,
	.hold_destructor = hold_destructor,
	.release_destructor = release_destructor,
};

static int spawn_at_once(void *(*run)(void *), void *arg, const char *name)
{
	(void)name;
	run(arg);
	return 0;
}

static struct pa_settings settings = { .heap_rate_bytes = 524288 };
static struct pa_bridge bridge = {
	.settings = &settings, .inner_alloc = &ops, .spawn = spawn_at_once
};

static void note_hooked(bool on)
{
	seen.hooked = on;
}

static bool is_in(void)
{
	return pa_allocator_hooks_stats().in;
}

/* Nothing is installed, and no watch runs. */
static int begin_anew(void **unused)
{
	(void)unused;
	settings.allocator_hooks = PA_ENV_HOOKS_SECONDS;
	if (!pa_core_bridge) {
		pa_core_bridge = &bridge;
		pa_allocator_hooks_init(note_hooked);
		if (pa_maps_refresh() != 0)
			return -1;
	}
	pa_allocator_hooks_suspended();
	pa_allocator_hooks_begin();
	memset(&seen, 0, sizeof(seen));
	return is_in();
}

static void watch_puts_the_hooks_in_and_takes_them_out(void **unused)
{
	(void)unused;
	pa_allocator_hooks_watch(true);
	assert_true(is_in());
	assert_int_equal(seen.installs, 1);
	assert_ptr_equal(seen.extra, &seen);
	assert_int_equal(pa_allocator_hooks_stats().before_bytes, 123456);
	pa_allocator_hooks_watch(false);
	assert_false(is_in() || seen.hooked || seen.session);
	assert_int_equal(seen.removes, 1);
	assert_int_equal(seen.syncs, 1); /* what was reported before is handled as such */
}

static void the_last_of_several_watches_takes_them_out(void **unused)
{
	(void)unused;
	pa_allocator_hooks_watch(true);
	pa_allocator_hooks_watch(true);
	pa_allocator_hooks_watch(false);
	assert_true(is_in());
	pa_allocator_hooks_watch(false);
	assert_false(is_in());
	assert_int_equal(seen.installs, 1);
	assert_int_equal(seen.removes, 1);
}

static void setting_on_puts_them_in_at_the_start_and_for_good(void **unused)
{
	(void)unused;
	settings.allocator_hooks = PA_ENV_HOOKS_ON;
	pa_allocator_hooks_begin();
	assert_true(is_in());
	pa_allocator_hooks_watch(true);
	pa_allocator_hooks_watch(false);
	assert_true(is_in());
	assert_int_equal(seen.installs, 1);
	assert_int_equal(seen.removes, 0);
}

static void setting_off_and_a_rate_of_0_leave_the_allocator_alone(void **unused)
{
	(void)unused;
	settings.allocator_hooks = PA_ENV_HOOKS_OFF;
	pa_allocator_hooks_watch(true);
	pa_allocator_hooks_watch(false);
	settings.allocator_hooks = PA_ENV_HOOKS_ON;
	settings.heap_rate_bytes = 0;
	pa_allocator_hooks_begin();
	pa_allocator_hooks_watch(true);
	pa_allocator_hooks_watch(false);
	settings.heap_rate_bytes = 524288;
	assert_int_equal(seen.installs, 0);
}

static void hooks_stay_as_they_are_while_a_thread_is_in_the_destructor(void **unused)
{
	(void)unused;
	seen.busy = true;
	pa_allocator_hooks_watch(true);
	assert_false(is_in() || seen.hooked || seen.session || seen.installs);
	pa_allocator_hooks_watch(false);
	seen.busy = false;
	pa_allocator_hooks_watch(true);
	assert_true(is_in());
	seen.busy = true;
	pa_allocator_hooks_watch(false);
	assert_true(is_in() && seen.hooked && seen.session && !seen.removes);
	seen.busy = false;
	pa_allocator_hooks_watch(true);
	pa_allocator_hooks_watch(false);
	assert_false(is_in() || seen.hooked || seen.session);
	assert_int_equal(seen.installs, 1);
	assert_int_equal(seen.removes, 1);
}

static char last_note[PA_ALLOCATOR_NOTES_BYTES];

static void take_note(void *arg, const char *text)
{
	(void)arg;
	strcpy(last_note, text);
}

static void without_its_destructor_nothing_is_changed_and_it_is_said(void **unused)
{
	(void)unused;
	seen.unknown = true;
	pa_allocator_hooks_watch(true);
	assert_false(is_in() || seen.hooked || seen.session || seen.installs);
	pa_allocator_notes(take_note, NULL);
	assert_non_null(strstr(last_note, "its heap is not seen (its hooks are not safe here)"));
	pa_allocator_hooks_watch(false);
}

static void refused_hooks_are_given_up_and_said(void **unused)
{
	(void)unused;
	seen.refuse = EAGAIN;
	pa_allocator_hooks_watch(true);
	assert_false(is_in() || seen.hooked || seen.session);
	pa_allocator_notes(take_note, NULL);
	assert_non_null(strstr(last_note, "its heap is not seen (it refused the agent's hooks)"));
	pa_allocator_hooks_watch(false);
	assert_int_equal(seen.removes, 0);
	seen.refuse = 0;
	pa_allocator_hooks_watch(true); /* another time there may be room for them */
	assert_true(is_in());
}

static void notes_say_what_is_seen(void **unused)
{
	(void)unused;
	pa_allocator_notes(take_note, NULL);
	assert_non_null(strstr(last_note,
		"this program allocates with jemalloc, linked statically: its heap is seen only in "
		"profiles with seconds=N"));
	pa_allocator_hooks_watch(true);
	pa_allocator_notes(take_note, NULL);
	assert_non_null(strstr(last_note, "; 123456 bytes that were allocated before are not in"));
}

static void child_of_a_watched_parent_takes_them_out(void **unused)
{
	(void)unused;
	pa_allocator_hooks_watch(true);
	pa_allocator_hooks_atfork_child();
	assert_true(is_in());
	pa_allocator_hooks_begin();
	assert_false(is_in());
	assert_int_equal(seen.removes, 1);
}

static void child_with_the_setting_on_keeps_them(void **unused)
{
	(void)unused;
	settings.allocator_hooks = PA_ENV_HOOKS_ON;
	pa_allocator_hooks_begin();
	pa_allocator_hooks_atfork_child();
	pa_allocator_hooks_begin();
	assert_true(is_in());
	assert_int_equal(seen.installs, 1);
}

static void frames_of_the_allocator_are_cut(void **unused)
{
	uintptr_t inner = (uintptr_t)fake_malloc + 1, outer = (uintptr_t)begin_anew + 1;
	const uintptr_t pcs[] = { inner, inner, outer, inner, outer };
	const uintptr_t unknown[] = { outer, outer, inner, outer, outer };
	const uintptr_t far[] = { outer, outer, outer, outer, inner, outer };
	(void)unused;
	assert_int_equal(pa_allocators_cut(pcs, 5), 2);
	assert_int_equal(pa_allocators_cut(unknown, 5), 3);
	assert_int_equal(pa_allocators_cut(far, 6), 0);
	assert_int_equal(pa_allocators_cut(pcs, 2), 1); /* one stays */
	assert_int_equal(pa_allocators_cut(pcs, 0), 0);
	assert_int_equal(pa_allocators_cut(pcs + 2, 1), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin_anew)
	const struct CMUnitTest tests[] = {
		TEST(watch_puts_the_hooks_in_and_takes_them_out),
		TEST(the_last_of_several_watches_takes_them_out),
		TEST(setting_on_puts_them_in_at_the_start_and_for_good),
		TEST(setting_off_and_a_rate_of_0_leave_the_allocator_alone),
		TEST(refused_hooks_are_given_up_and_said),
		TEST(hooks_stay_as_they_are_while_a_thread_is_in_the_destructor),
		TEST(without_its_destructor_nothing_is_changed_and_it_is_said),
		TEST(notes_say_what_is_seen),
		TEST(child_of_a_watched_parent_takes_them_out),
		TEST(child_with_the_setting_on_keeps_them),
		TEST(frames_of_the_allocator_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
