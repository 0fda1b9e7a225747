/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks without known bounds, and registers with invalid addresses: each mode allocates and
 * computes where a stack walk is next to memory that cannot be read, or is about to be unmapped.
 *
 *   f_gone MODE SECONDS      prints "MODE alive"
 *
 *   unmapped   code without unwind information has the address of a buffer in rbp, which another
 *              thread unmaps; none: of a page without access; data: of data that looks like frames;
 *              other: of the stack of a thread that ends
 *   neighbours fibres next to each other, each of them unmapped by another thread
 *   carved     a coroutine on part of main's stack, with guard pages around, whose outermost frame
 *              has a return address that leads on; pthread: of a thread's
 *   given      the same on memory that was given to a thread as its stack
 *   default    coroutines below threads that are smaller than threads were at the start
 *   handler    signal handlers on alternate stacks, with a guard page right above
 *   execute    code that may be executed and not read
 *   grown      a coroutine where main's stack could grow to, since its limit was raised
 *   clone      children that share memory, on stacks of their own
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define STACK (16 << 10)

/*
 * allocate(pointer): a pointer in rbp, and malloc, free and a loop. Without unwind information. By
 * way of pointers, since a copy of it is called as well.
 */
__asm__(".text\n.globl allocate\n.type allocate,@function\nallocate:\n"
	"push %rbp\npush %rbx\npush %r12\nmov %rsi,%rbx\nmov %rdx,%r12\nmov %rdi,%rbp\n"
	"mov $64,%edi\ncall *%rbx\nmov %rax,%rdi\ncall *%r12\n"
	"mov $2000,%ecx\n1:dec %ecx\njnz 1b\n"
	"pop %r12\npop %rbx\npop %rbp\nret\n.globl allocate_end\nallocate_end:\n"
	".size allocate,.-allocate\n");
extern void allocate(const void *pointer, void *(*make)(size_t), void (*drop)(void *));
extern const char allocate_end[];

static void (*volatile call)(const void *, void *(*)(size_t), void (*)(void *)) = allocate;
static volatile unsigned long work;
static time_t end;

static int is_over(void)
{
	return time(NULL) >= end;
}

__attribute__((noinline)) static void use(void)
{
	void *volatile block = malloc(100);

	for (int i = 0; i < 1000; i++)
		work++;
	free(block);
}

static char *map(size_t bytes, int protection)
{
	char *memory = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		exit(3);
	return memory;
}

/* ------------------------------------------------------------------ registers that lead nowhere */

static char *volatile pointer;

static void *allocate_for_ever(void *arg)
{
	while (!is_over())
		for (int i = 0; i < 100; i++)
			call(pointer, malloc, free);
	return arg;
}

static void unmapped(void)
{
	const size_t bytes = 16 * PAGE;
	pthread_t thread;

	pointer = map(bytes, PROT_READ | PROT_WRITE);
	pthread_create(&thread, NULL, allocate_for_ever, NULL);
	while (!is_over()) {
		char *old = pointer;

		mprotect(old, bytes, PROT_NONE);
		mprotect(old, bytes, PROT_READ | PROT_WRITE);
		pointer = map(bytes, PROT_READ | PROT_WRITE);
		pointer[8] = 0;
		munmap(old, bytes);
	}
	pthread_join(thread, NULL);
}

static void none(void)
{
	pointer = map(PAGE, PROT_NONE);
	allocate_for_ever(NULL);
	pointer = (char *)-1;
	end++;
	allocate_for_ever(NULL);
}

/* Frames that lead to themselves, to functions, and to places behind calls. */
static void data(void)
{
	static uintptr_t frames[1024];
	uintptr_t code[] = { (uintptr_t)qsort, (uintptr_t)use + 9, (uintptr_t)allocate + 15,
		(uintptr_t)allocate_for_ever + 30, 0, (uintptr_t)-1, 16 };

	for (int i = 0; i < 1024; i += 2) {
		frames[i] = (uintptr_t)&frames[(i * 7 + 2) % 1024 & ~1];
		frames[i + 1] = code[(unsigned)i / 2 % (sizeof(code) / sizeof(*code))];
	}
	while (!is_over())
		for (int i = 0; i < 1024; i += 2)
			call(&frames[i], malloc, free);
}

static void *show_stack(void *to)
{
	char here[256];

	memset(here, 1, sizeof(here));
	*(char *volatile *)to = here;
	use();
	return NULL;
}

static void *come_and_go(void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	while (!is_over())
		for (size_t i = 0; i < 40; i++) {
			pthread_attr_setstacksize(&attr, (256 << 10) << i % 8);
			pthread_create(&thread, &attr, show_stack, (void *)&pointer);
			pthread_join(thread, NULL);
		}
	return arg;
}

static void other(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, come_and_go, NULL);
	allocate_for_ever(NULL);
	pthread_join(thread, NULL);
}

/* ------------------------------------------------------------------ coroutines */

static __thread ucontext_t home, inner;

/* The outermost frame of a coroutine that was not made by makecontext: it "returns" into code whose
 * frame would go on above. */
__attribute__((noinline)) static void run(void)
{
	uintptr_t *frame = __builtin_frame_address(0);

	frame[1] = (uintptr_t)allocate + 21; /* behind a call */
	for (;;) {
		use();
		call(frame, malloc, free);
		frame[1] = (uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0));
		swapcontext(&inner, &home);
	}
}

__attribute__((noinline)) static void start_on(char *stack, size_t bytes, void (*function)(void))
{
	getcontext(&inner);
	inner.uc_stack.ss_sp = stack;
	inner.uc_stack.ss_size = bytes;
	inner.uc_link = &home;
	makecontext(&inner, function, 0);
	for (int i = 0; i < 50; i++)
		swapcontext(&home, &inner);
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char *stacks[64];
	int count;
} used = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* Unmaps them from above, as they are used from below. */
static void *unmap_used(void *arg)
{
	while (!is_over()) {
		pthread_mutex_lock(&used.lock);
		char *stack = used.count ? used.stacks[--used.count] : NULL;
		pthread_mutex_unlock(&used.lock);
		if (stack)
			munmap(stack, STACK);
		else
			sched_yield();
	}
	return arg;
}

static void *use_neighbours(void *arg)
{
	while (!is_over()) {
		char *memory = map(16 * STACK, PROT_READ | PROT_WRITE);

		for (int i = 15; i >= 0; i--) {
			start_on(memory + i * STACK, STACK, run);
			pthread_mutex_lock(&used.lock);
			int full = used.count == 64;
			if (!full)
				used.stacks[used.count++] = memory + i * STACK;
			pthread_mutex_unlock(&used.lock);
			if (full)
				munmap(memory + i * STACK, STACK);
		}
	}
	return arg;
}

static void neighbours(void)
{
	pthread_t thread[3];

	pthread_create(&thread[0], NULL, unmap_used, NULL);
	pthread_create(&thread[1], NULL, use_neighbours, NULL);
	pthread_create(&thread[2], NULL, use_neighbours, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
}

/* Room for a coroutine with guard pages around, in memory that is part of a stack already. */
static void use_part(char *memory, size_t bytes)
{
	char *at = (char *)(((uintptr_t)memory + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
	char *guard = at + PAGE + STACK;

	if ((size_t)(guard + PAGE - memory) > bytes)
		exit(4);
	for (int turn = 0; !is_over(); turn++) {
		use();
		/* Each way to have a page that cannot be read. */
		if (turn % 3 == 0)
			mprotect(guard, PAGE, PROT_NONE);
		else if (turn % 3 == 1)
			munmap(guard, PAGE);
		else
			mmap(guard, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				0);
		mprotect(at, PAGE, PROT_NONE);
		start_on(at + PAGE, STACK, run);
		mmap(guard, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			-1, 0);
		mprotect(at, PAGE, PROT_READ | PROT_WRITE);
	}
}

__attribute__((noinline)) static void use_deep(void)
{
	char room[64 << 10];

	memset(room, 1, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	use();
}

static void carved(void)
{
	char memory[STACK + 4 * PAGE];

	memset(memory, 0, sizeof(memory));
	use_deep();
	use_part(memory, sizeof(memory));
}

static void *carve(void *arg)
{
	carved();
	return arg;
}

static void pthread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, carve, NULL);
	pthread_join(thread, NULL);
}

static char *given_memory;

/* The lower half of what the thread was given has guard pages already. */
static void *use_given(void *arg)
{
	for (int i = 0; i < 20; i++) {
		start_on(given_memory + PAGE, STACK, run);
		use_deep();
	}
	return arg;
}

static void given(void)
{
	const size_t bytes = 256 << 10;

	while (!is_over()) {
		pthread_attr_t attr;
		pthread_t thread;

		given_memory = map(bytes, PROT_READ | PROT_WRITE);
		mprotect(given_memory, PAGE, PROT_NONE);
		mprotect(given_memory + PAGE + STACK, PAGE, PROT_NONE);
		pthread_attr_init(&attr);
		pthread_attr_setstack(&attr, given_memory, bytes);
		pthread_create(&thread, &attr, use_given, NULL);
		pthread_join(thread, NULL);
		munmap(given_memory, bytes);
	}
}

static void *use_small(void *arg)
{
	for (int i = 0; i < 10; i++) {
		char *memory = map(STACK + 2 * PAGE, PROT_READ | PROT_WRITE);

		mprotect(memory, PAGE, PROT_NONE);
		mprotect(memory + PAGE + STACK, PAGE, PROT_NONE);
		start_on(memory + PAGE, STACK, run);
		munmap(memory, STACK + 2 * PAGE);
	}
	return arg;
}

static void defaults(void)
{
	pthread_attr_t attr;
	pthread_t thread[4];

	pthread_attr_init(&attr);
	for (int turn = 0; !is_over(); turn++) {
		pthread_attr_setstacksize(&attr, turn % 2 ? 128 << 10 : 1 << 20);
		pthread_setattr_default_np(&attr);
		for (int i = 0; i < 4; i++)
			pthread_create(&thread[i], NULL, use_small, NULL);
		for (int i = 0; i < 4; i++)
			pthread_join(thread[i], NULL);
	}
}

static void grown(void)
{
	struct rlimit limit;
	uintptr_t top = (uintptr_t)&limit & ~(uintptr_t)(PAGE - 1);
	char *memory = mmap((void *)(top - (64 << 20)), STACK + PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_STACK, &limit);
	if (memory == MAP_FAILED)
		exit(3);
	while (!is_over()) {
		start_on(memory, STACK, run);
		munmap(memory + STACK, PAGE);
		use_deep();
	}
}

/* ------------------------------------------------------------------ others */

static void on_signal(int number)
{
	(void)number;
	use();
	call(__builtin_frame_address(0), malloc, free);
}

static void handler(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	char *memory = map(64 << 10, PROT_READ | PROT_WRITE);
	stack_t stack = { .ss_sp = memory, .ss_size = (64 << 10) - PAGE };

	mprotect(memory + (60 << 10), PAGE, PROT_NONE);
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	while (!is_over())
		raise(SIGUSR1);
}

static void execute(void)
{
	char *code = map(PAGE, PROT_READ | PROT_WRITE);

	memcpy(code, (const void *)allocate, (size_t)(allocate_end - (const char *)allocate));
	mprotect(code, PAGE, PROT_EXEC);
	*(void **)&call = code;
	while (!is_over()) {
		call(code, malloc, free);
		call(__builtin_frame_address(0), malloc, free);
		call(NULL, malloc, free);
	}
}

static int be_cloned(void *arg)
{
	call(arg, malloc, free);
	use();
	return 0;
}

static void clones(void)
{
	while (!is_over()) {
		char *memory = map(STACK + PAGE, PROT_READ | PROT_WRITE);

		mprotect(memory + STACK, PAGE, PROT_NONE);
		pid_t pid = clone(be_cloned, memory + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD,
			memory + STACK);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		munmap(memory, STACK + PAGE);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} modes[] = { { "unmapped", unmapped }, { "none", none }, { "data", data },
		{ "other", other }, { "neighbours", neighbours }, { "carved", carved },
		{ "pthread", pthread }, { "given", given }, { "default", defaults },
		{ "grown", grown }, { "handler", handler }, { "execute", execute },
		{ "clone", clones } };

	if (argc < 3)
		return 2;
	end = time(NULL) + atoi(argv[2]);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (strcmp(argv[1], modes[i].name) == 0) {
			modes[i].run();
			printf("%s alive\n", argv[1]);
			return 0;
		}
	return 2;
}
