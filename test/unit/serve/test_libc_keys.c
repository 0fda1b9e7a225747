/* SPDX-License-Identifier: Apache-2.0 */
/* The file under test defines names of libc: here they have other ones. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define pthread_key_create shim_key_create
#define pthread_key_delete shim_key_delete
#define pthread_setspecific shim_setspecific
#define pthread_getspecific shim_getspecific

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int pthread_key_delete(pthread_key_t key);
int pthread_setspecific(pthread_key_t key, const void *value);
void *pthread_getspecific(pthread_key_t key);

#include "agent/serve/libc_keys.c"

#undef pthread_key_create
#undef pthread_key_delete

static void *other_thread(void *key_of_main)
{
	pthread_key_t key = *(pthread_key_t *)key_of_main;
	int here;

	assert_null(pthread_getspecific(key));
	assert_int_equal(pthread_setspecific(key, &here), 0);
	assert_ptr_equal(pthread_getspecific(key), &here);
	return NULL;
}

static void each_thread_has_its_own_value(void **unused)
{
	pthread_key_t key = 0;
	pthread_t thread;
	int here;

	(void)unused;
	assert_int_equal(shim_key_create(&key, NULL), 0);
	assert_null(pthread_getspecific(key));
	assert_int_equal(pthread_setspecific(key, &here), 0);
	assert_int_equal(pthread_create(&thread, NULL, other_thread, &key), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ptr_equal(pthread_getspecific(key), &here);
	assert_int_equal(pthread_setspecific(key, NULL), 0);
	assert_null(pthread_getspecific(key));
	assert_int_equal(shim_key_delete(key), 0);
}

static void one_key_at_a_time_and_values_end_with_it(void **unused)
{
	pthread_key_t key = 0, next = 0, none = 0;
	int here;

	(void)unused;
	assert_int_equal(shim_key_create(&key, NULL), 0);
	assert_int_equal(shim_key_create(&none, NULL), EAGAIN);
	assert_int_equal(pthread_setspecific(key, &here), 0);
	assert_int_equal(shim_key_delete(key), 0);
	assert_int_equal(shim_key_delete(key), EINVAL);
	assert_int_equal(pthread_setspecific(key, &here), EINVAL);
	assert_int_equal(shim_key_create(&next, NULL), 0);
	assert_int_not_equal(next, key);
	assert_null(pthread_getspecific(next));
	assert_int_equal(shim_key_delete(next), 0);
}

static void all_keys_of_libc_may_be_taken(void **unused)
{
	static pthread_key_t keys[PTHREAD_KEYS_MAX + 1];
	pthread_key_t key = 0;
	int count = 0;

	(void)unused;
	while (pthread_key_create(&keys[count], NULL) == 0)
		count++;
	assert_int_equal(shim_key_create(&key, NULL), 0);
	assert_int_equal(pthread_setspecific(key, keys), 0);
	assert_ptr_equal(pthread_getspecific(key), keys);
	assert_int_equal(shim_key_delete(key), 0);
	while (count--)
		assert_int_equal(pthread_key_delete(keys[count]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_thread_has_its_own_value),
		cmocka_unit_test(one_key_at_a_time_and_values_end_with_it),
		cmocka_unit_test(all_keys_of_libc_may_be_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
