/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread-specific data without pthread keys of libc: see libc_shims.h. A process has
 * PTHREAD_KEYS_MAX (1024) of them, all of which belong to the program: a key taken here could be
 * the last one it needs, and without a free key the server could not start.
 *
 * Only civetweb uses a key, one at a time, while the server runs. Destructors are not called:
 * civetweb's only one frees something that it does not allocate where pthread_t fits into a long.
 */
#include "libc_shims.h"

#include <errno.h>
#include <pthread.h>

#include "../base/atomic.h"

static PA_ATOMIC(uint32_t) current; /* the existing key; 0: none; acq_rel by CAS */
static PA_ATOMIC(uint32_t) last;    /* acq_rel; each key gets a new number, so values set under an
				     * earlier key do not match */

static __thread struct {
	pthread_key_t key; /* key of the value; 0: none */
	void *value;
} self;

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	uint32_t none = 0;
	uint32_t number = pa_add_acq_rel(&last, 1) + 1;

	(void)destructor;
	if (!number || !pa_cas_acq_rel(&current, &none, number))
		return EAGAIN;
	*key = number;
	return 0;
}

int pthread_key_delete(pthread_key_t key)
{
	uint32_t number = key;

	return number && pa_cas_acq_rel(&current, &number, 0) ? 0 : EINVAL;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
	if (!key || key != pa_load_acquire(&current))
		return EINVAL;
	self.key = key;
	self.value = (void *)value;
	return 0;
}

void *pthread_getspecific(pthread_key_t key)
{
	return key && self.key == key ? self.value : NULL;
}
