/* SPDX-License-Identifier: Apache-2.0 */
#include "render_buffer.h"

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/atomic.h"
#include "client_budget.h"

static struct {
	PA_ATOMIC(char *) kept;       /* acq_rel by swap */
	PA_ATOMIC(uint32_t) assigned; /* one is kept, or will be; acq_rel by CAS */
} state;

bool pa_render_buffer_take(struct pa_render_buffer *buffer)
{
	if (!pa_client_budget_take(PA_CLIENT_BUDGET_JOBS, PA_RENDER_BUFFER_BYTES))
		return false;
	buffer->at = pa_swap_acq_rel(&state.kept, NULL);
	buffer->stays = buffer->at != NULL;
	if (!buffer->at)
		buffer->at = pa_map(PA_RENDER_BUFFER_BYTES);
	if (buffer->at)
		buffer->bytes = PA_RENDER_BUFFER_BYTES;
	else
		pa_client_budget_give(PA_CLIENT_BUDGET_JOBS, PA_RENDER_BUFFER_BYTES);
	return true;
}

/* Whether the buffer is the one that is kept, now that it is known how much of it is used. */
static bool becomes_kept(const struct pa_render_buffer *buffer, size_t used)
{
	uint32_t none = 0;

	if (used && used <= PA_RENDER_BUFFER_KEPT_BYTES)
		return buffer->stays || pa_cas_acq_rel(&state.assigned, &none, 1);
	if (used && buffer->stays)
		pa_store_release(&state.assigned, 0);
	return used ? false : buffer->stays;
}

void pa_render_buffer_cut(struct pa_render_buffer *buffer, size_t used)
{
	const size_t kept = PA_ALIGN_UP(used, PA_PAGE_BYTES);

	if (!buffer->bytes)
		return;
	buffer->stays = becomes_kept(buffer, used);
	if (kept >= buffer->bytes)
		return;
	pa_client_budget_give(PA_CLIENT_BUDGET_JOBS, buffer->bytes - kept);
	if (!buffer->stays)
		pa_unmap(buffer->at + kept, buffer->bytes - kept);
	else if (!kept)
		pa_store_release(&state.kept, buffer->at);
	buffer->bytes = kept;
}

void pa_render_buffer_trim(void)
{
	char *kept = pa_swap_acq_rel(&state.kept, NULL);

	if (!kept)
		return;
	pa_unmap(kept, PA_RENDER_BUFFER_BYTES);
	pa_store_release(&state.assigned, 0);
}

void pa_render_buffer_reset(void)
{
	pa_store_release(&state.assigned, pa_load_relaxed(&state.kept) != NULL);
}
