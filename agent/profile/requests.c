/* SPDX-License-Identifier: Apache-2.0 */
#include "requests.h"

#include <errno.h>

#include "../base/thread_slot.h"
#include "../base/clock.h"
#include "snapshot_build.h"
#include "tables_lock.h"

static int begin_kind(const struct pa_mailbox_request *request)
{
	PA_ASSERT(request->kind->begin);
	pa_tables_lock();
	int error = request->kind->begin(request->kind, request->argument);
	pa_tables_unlock();
	return error;
}

static void end_kind(const struct pa_profile_ops *kind)
{
	PA_ASSERT(kind->end);
	pa_tables_lock();
	kind->end(kind);
	pa_tables_unlock();
}

static int copy_profile(const struct pa_profile_ops *kind, int64_t end_ns,
	PA_ATOMIC(struct pa_snapshot *) *copy)
{
	struct pa_snapshot *snapshot = pa_snapshot_build_new(kind);
	if (!snapshot)
		return -ENOMEM;
	pa_store_release(copy, snapshot);
	pa_snapshot_build_fill(snapshot, end_ns);
	return 0;
}

int pa_requests_perform(const struct pa_mailbox_request *request,
	PA_ATOMIC(struct pa_snapshot *) *snapshot)
{
	PA_ASSERT_AGENT();
	PA_ASSERT(request->kind || request->op == PA_MAILBOX_SYNC);
	const struct pa_profile_ops *kind = request->kind;
	int error = 0;
	switch (request->op) {
	case PA_MAILBOX_COPY: return copy_profile(kind, pa_clock_mono_ns(), snapshot);
	case PA_MAILBOX_BEGIN: return begin_kind(request);
	case PA_MAILBOX_END: end_kind(kind); return 0;
	case PA_MAILBOX_COPY_AND_END:
		error = copy_profile(kind, request->argument.end_ns, snapshot);
		end_kind(kind);
		return error;
	case PA_MAILBOX_SYNC: return 0;
	}
	return -EINVAL;
}
