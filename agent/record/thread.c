/* SPDX-License-Identifier: Apache-2.0 */
#include "thread.h"

#include "../base/clock.h"

#include "../base/banned.h"

PA_TLS struct pa_thread pa_thread_self;

static uint64_t mix_random(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t pa_thread_random(struct pa_thread *thread)
{
	if (pa_unlikely(!thread->random))
		thread->random =
			mix_random((uint64_t)pa_clock_mono_ns() ^ (uintptr_t)thread << 20) | 1;
	thread->random += 0x9e3779b97f4a7c15u; /* splitmix64: any state is valid */
	return mix_random(thread->random);
}
