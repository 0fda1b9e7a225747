/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/arch/arch.h"
#include "agent/base/arena.h"
#include "agent/serve/client_budget.h"
#include "agent/serve/render_buffer.h"

static size_t budget_used(void)
{
	return pa_client_budget_stats().used[PA_CLIENT_BUDGET_JOBS];
}

/* As a job does. Returns the buffer's address. */
static char *use_one(size_t bytes)
{
	struct pa_render_buffer buffer = { 0 };

	assert_true(pa_render_buffer_take(&buffer));
	assert_non_null(buffer.at);
	assert_int_equal(budget_used(), PA_RENDER_BUFFER_BYTES);
	memset(buffer.at, 1, bytes);
	pa_render_buffer_cut(&buffer, bytes);
	assert_int_equal(budget_used(), PA_ALIGN_UP(bytes, PA_PAGE_BYTES));
	pa_render_buffer_cut(&buffer, 0);
	assert_int_equal(budget_used(), 0);
	return buffer.at;
}

static int trim(void **unused)
{
	(void)unused;
	pa_render_buffer_trim();
	assert_int_equal(pa_map_bytes(), 0);
	return 0;
}

static void a_buffer_of_a_small_output_is_kept(void **unused)
{
	(void)unused;
	char *first = use_one(1000);
	assert_int_equal(pa_map_bytes(), PA_RENDER_BUFFER_BYTES);
	assert_ptr_equal(use_one(PA_RENDER_BUFFER_KEPT_BYTES), first);
	assert_int_equal(pa_map_bytes(), PA_RENDER_BUFFER_BYTES);
}

static void a_buffer_of_a_large_output_is_not(void **unused)
{
	(void)unused;
	use_one(1000);
	use_one(PA_RENDER_BUFFER_KEPT_BYTES + 1);
	assert_int_equal(pa_map_bytes(), 0);
	use_one(PA_RENDER_BUFFER_BYTES);
	assert_int_equal(pa_map_bytes(), 0);
	use_one(1000);
	assert_int_equal(pa_map_bytes(), PA_RENDER_BUFFER_BYTES);
}

static void one_is_kept_and_no_more(void **unused)
{
	struct pa_render_buffer buffers[3] = { 0 };

	(void)unused;
	for (int i = 0; i < 3; i++)
		assert_true(pa_render_buffer_take(&buffers[i]));
	for (int i = 0; i < 3; i++)
		pa_render_buffer_cut(&buffers[i], 1);
	assert_int_equal(pa_map_bytes(), PA_RENDER_BUFFER_BYTES + 2 * PA_PAGE_BYTES);
	for (int i = 0; i < 3; i++)
		pa_render_buffer_cut(&buffers[i], 0);
	assert_int_equal(pa_map_bytes(), PA_RENDER_BUFFER_BYTES);
	assert_int_equal(budget_used(), 0);
}

static void a_job_without_output_gives_all_back(void **unused)
{
	(void)unused;
	use_one(0);
	assert_int_equal(pa_map_bytes(), 0);
	char *first = use_one(1);
	assert_ptr_equal(use_one(0), first);
	assert_ptr_equal(use_one(1), first);
}

/* The parent's job had the buffer: it is lost, and another one can be kept. */
static void a_forked_child_keeps_one_of_its_own(void **unused)
{
	struct pa_render_buffer of_parent = { 0 };

	(void)unused;
	use_one(1);
	assert_true(pa_render_buffer_take(&of_parent));
	pa_render_buffer_reset();
	pa_client_budget_forget(PA_CLIENT_BUDGET_JOBS);
	char *first = use_one(1);
	assert_ptr_not_equal(first, of_parent.at);
	assert_int_equal(pa_map_bytes(), 2 * PA_RENDER_BUFFER_BYTES);
	pa_unmap(of_parent.at, PA_RENDER_BUFFER_BYTES);
	assert_ptr_equal(use_one(1), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_buffer_of_a_small_output_is_kept, trim),
		cmocka_unit_test_teardown(a_buffer_of_a_large_output_is_not, trim),
		cmocka_unit_test_teardown(one_is_kept_and_no_more, trim),
		cmocka_unit_test_teardown(a_job_without_output_gives_all_back, trim),
		cmocka_unit_test_teardown(a_forked_child_keeps_one_of_its_own, trim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
