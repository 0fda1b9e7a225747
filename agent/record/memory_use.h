/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that recording occupies, for the agent page. Context: PA_AGENT. No lock. */
#ifndef PA_MEMORY_USE_H
#define PA_MEMORY_USE_H

#include "../base/base.h"

/* Bytes mapped: ring, frame cache, sets of sampled objects, arenas. */
PA_AGENT size_t pa_memory_use_bytes(void);

#endif
