/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All keys of thread-specific data are the program's, by either name, and what it puts there stays
 * its own while threads wait for contended locks and end.
 *
 *   f_keys pthread|c11    prints the number of keys, and the destructors that ran
 *   f_keys keep           says how many it has, and has them until the end of stdin
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t keys[PTHREAD_KEYS_MAX + 1];
static int destroyed;
static int count;

static void destroy(void *value)
{
	(void)value;
	__atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
}

static void *work(void *how)
{
	for (int i = 0; i < count; i++)
		pthread_setspecific(keys[i], &keys[i]);
	for (int i = 0; i < 20; i++) {
		pthread_mutex_lock(&mutex);
		usleep(100);
		pthread_mutex_unlock(&mutex);
	}
	for (int i = 0; i < count; i++)
		if (pthread_getspecific(keys[i]) != &keys[i])
			return how;
	if (how)
		pthread_exit(NULL);
	return NULL;
}

static int one_more(const char *how, pthread_key_t *key)
{
	if (!strcmp(how, "pthread"))
		return pthread_key_create(key, destroy) == 0;
	tss_t tss;
	if (tss_create(&tss, destroy) != thrd_success)
		return 0;
	*key = tss;
	return 1;
}

static int keep(void)
{
	while (pthread_key_create(&keys[count], NULL) == 0)
		count++;
	printf("%d keys\n", count);
	fflush(stdout);
	return getchar() != EOF;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];
	pthread_key_t key;
	void *result;
	int wrong = 0;
	const char *how = argc > 1 ? argv[1] : "pthread";
	if (!strcmp(how, "keep"))
		return keep();
	while (one_more(how, &key))
		keys[count++] = key;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, work, i % 2 ? &mutex : NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		wrong += result != NULL;
	}
	printf("%d keys, %d destroyed, %d wrong\n", count, destroyed, wrong);
	return 0;
}
