/* SPDX-License-Identifier: Apache-2.0 */
#include "wake_word.h"

#include <limits.h>

#include "lock.h"

static void bump_word(struct pa_wake_word *word, int how_many)
{
	pa_add_acq_rel(&word->changes, 1);
	pa_fence_full(); /* pairs with wait: it is counted here, or sees the change */
	if (pa_load_relaxed(&word->waiters))
		pa_futex_wake(&word->changes, how_many);
}

PA_APP void pa_wake_word_bump(struct pa_wake_word *word)
{
	bump_word(word, INT_MAX); /* a single one might have given up just now */
}

PA_APP void pa_wake_word_bump_one(struct pa_wake_word *word)
{
	bump_word(word, 1);
}

PA_APP void pa_wake_word_wait(struct pa_wake_word *word, uint32_t seen, int64_t timeout_ns)
{
	pa_add_relaxed(&word->waiters, 1);
	pa_fence_full();
	pa_futex_wait(&word->changes, seen, timeout_ns);
	pa_sub_relaxed(&word->waiters, 1);
}
