/* SPDX-License-Identifier: Apache-2.0 */
#include "own_stacks.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch/arch.h"
#include "base/arena.h"
#include "base/atomic.h"
#include "record/switches.h"
#include "record/thread.h"

#define STACKS 64

enum stack_use { STACK_FREE, STACK_CHANGING, STACK_USED, STACK_LEFT };

struct pa_own_stack {
	PA_ATOMIC(uint32_t) use;     /* acq_rel by CAS; the owner of the entry stores */
	PA_ATOMIC(int32_t) tid;      /* of the thread; release before STACK_LEFT */
	PA_ATOMIC(uintptr_t) thread; /* pthread_t of one that will be joined, or 0; acq_rel */
	char *memory;                /* NULL: none; kept for the next thread */
	size_t bytes;
};

/* On one page: a forked child goes through all of them. */
static PA_LARGE struct pa_own_stack stacks[STACKS]
	__attribute__((aligned(STACKS * sizeof(struct pa_own_stack))));

/* The kernel does not know the thread any more: it has left its memory (tgkill(2)). */
static bool is_thread_gone(const struct pa_own_stack *stack)
{
	return pa_arch_syscall(SYS_tgkill, pa_record.pid, pa_load_acquire(&stack->tid), 0, 0) ==
		-ESRCH;
}

/* Without a load before: a page that is read before it is written costs two faults. */
static bool claim_stack(struct pa_own_stack *stack)
{
	uint32_t use = STACK_FREE;
	if (pa_cas_acq_rel(&stack->use, &use, STACK_CHANGING))
		return true;
	return use == STACK_LEFT && is_thread_gone(stack) &&
		pa_cas_acq_rel(&stack->use, &use, STACK_CHANGING);
}

static void unmap_stack(struct pa_own_stack *stack)
{
	char *memory = stack->memory;
	stack->memory = NULL;
	if (memory)
		pa_unmap_table(memory, stack->bytes);
}

static bool have_memory(struct pa_own_stack *stack, size_t bytes)
{
	if (stack->memory && stack->bytes == bytes)
		return true;
	unmap_stack(stack);
	stack->bytes = bytes; /* in this order: a fork may come in between */
	stack->memory = pa_map_table(bytes);
	if (stack->memory && mprotect(stack->memory, PA_PAGE_BYTES, PROT_NONE) != 0)
		unmap_stack(stack);
	return stack->memory;
}

struct pa_own_stack *pa_own_stacks_take(pthread_attr_t *attr)
{
	size_t bytes = 0;
	struct pa_own_stack *stack = NULL;
	pthread_attr_getstacksize(attr, &bytes);
	for (size_t i = 0; i < STACKS && !stack; i++)
		if (claim_stack(&stacks[i]))
			stack = &stacks[i];
	if (!stack)
		return NULL;
	pa_store_relaxed(&stack->thread, 0);
	if (!have_memory(stack, PA_ALIGN_UP(bytes, PA_PAGE_BYTES)) ||
		pthread_attr_setstack(attr, stack->memory + PA_PAGE_BYTES,
			stack->bytes - PA_PAGE_BYTES) != 0) {
		pa_own_stacks_give_back(stack);
		return NULL;
	}
	pa_store_release(&stack->use, STACK_USED);
	return stack;
}

void pa_own_stacks_give_back(struct pa_own_stack *stack)
{
	if (!stack)
		return;
	unmap_stack(stack);
	pa_store_release(&stack->use, STACK_FREE);
}

void pa_own_stacks_created(struct pa_own_stack *stack, pthread_t thread)
{
	if (stack)
		pa_store_release(&stack->thread, (uintptr_t)thread);
}

void pa_own_stacks_joined(pthread_t thread)
{
	for (size_t i = 0; i < STACKS; i++)
		if (pa_load_acquire(&stacks[i].use) == STACK_USED &&
			pa_load_acquire(&stacks[i].thread) == (uintptr_t)thread)
			pa_own_stacks_give_back(&stacks[i]);
}

void pa_own_stacks_enter(struct pa_own_stack *stack)
{
	if (stack)
		pa_store_release(&stack->tid, pa_thread_self.tid);
}

void pa_own_stacks_leave(struct pa_own_stack *stack)
{
	if (stack)
		pa_store_release(&stack->use, STACK_LEFT);
}

void pa_own_stacks_atfork_child(void)
{
	for (size_t i = 0; i < STACKS; i++)
		if (pa_load_relaxed(&stacks[i].use) != STACK_FREE)
			pa_store_relaxed(&stacks[i].use, STACK_FREE);
}
