/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f_state.c: threads, processes, and what they may do.
 */
#ifndef STATE_PROCESSES_H
#define STATE_PROCESSES_H

static void *run(void *arg)
{
	uint32_t mxcsr;
	uint16_t control;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(control));
	bool aligned = ((uintptr_t)__builtin_frame_address(0) & 15) == 0;
	bool same = (mxcsr | 0x3f) == (state->mxcsr | 0x3f) && control == state->control;
	feholdexcept(&(fenv_t){ 0 });
	*(long *)arg = !aligned + 2 * !same + 4 * (errno != 0);
	return NULL;
}

static int run_c11(void *arg)
{
	run(arg);
	return 0;
}

static long do_pthread_create(void)
{
	pthread_t thread;
	long result = 99;
	if (CALL(pthread_create, &thread, NULL, run, &result) == 0)
		pthread_join(thread, NULL);
	return result;
}

static long do_thrd_create(void)
{
	thrd_t thread;
	long result = 99;
	if (CALL(thrd_create, &thread, run_c11, &result) == thrd_success)
		thrd_join(thread, NULL);
	return result;
}

static long status_of(pid_t pid)
{
	int status = -1;
	waitpid(pid, &status, 0);
	return status;
}

static long leave_by(void *function)
{
	pid_t pid = fork();
	if (pid == 0)
		CALL(function, 5);
	return status_of(pid) == 5 << 8 ? 0 : 1;
}

static long do__exit(void)
{
	return leave_by(_exit);
}
static long do__Exit(void)
{
	return leave_by(_Exit);
}

static long do_fork(void)
{
	pid_t pid = (pid_t)CALL(fork);
	if (pid == 0) {
		bool good = !*left && use(CALL(malloc, 1000), 1000) == 0 && !*left;
		_exit(good ? 6 : 7);
	}
	return status_of(pid) == 6 << 8 ? 0 : 1;
}

static long do_daemon(void)
{
	int ends[2];
	char good = 0;
	pipe(ends);
	pid_t pid = fork();
	if (pid == 0) {
		long result = CALL(daemon, 1, 1);
		good = result == 0 && !*left ? 'y' : 'n';
		write(ends[1], &good, 1);
		_exit(0);
	}
	close(ends[1]);
	bool ended = status_of(pid) == 0;
	read(ends[0], &good, 1);
	close(ends[0]);
	return !ended || good != 'y';
}

static long child_by(long pid)
{
	if (pid == 0)
		_exit(*left ? 7 : 6);
	return status_of((pid_t)pid) == 6 << 8 ? 0 : 1;
}

static long do__Fork(void)
{
	return child_by((pid_t)CALL(_Fork));
}
static long do_forkpty(void)
{
	int master;
	return child_by((pid_t)CALL(forkpty, &master, NULL, NULL, NULL));
}

static int run_copy(void *arg)
{
	return arg == left && ((uintptr_t)__builtin_frame_address(0) & 15) == 0 ? 6 : 7;
}

static long do_clone(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t pid = (pid_t)CALL(clone, run_copy, stack + sizeof(stack), SIGCHLD, left);
	return status_of(pid) == 6 << 8 ? 0 : 1;
}

static void nothing(void)
{
}

static long do___register_atfork(void)
{
	return CALL(__register_atfork, nothing, nothing, nothing, NULL);
}

static long do_pthread_key_create(void)
{
	pthread_key_t key;
	return CALL(pthread_key_create, &key, NULL) || pthread_key_delete(key);
}

static long do_tss_create(void)
{
	tss_t key;
	return CALL(tss_create, &key, NULL) != thrd_success;
}

static long do_prctl(void)
{
	char name[16] = "";
	long result = CALL(prctl, PR_SET_NAME, "f_state") | CALL(prctl, PR_GET_NAME, name);
	return result || strcmp(name, "f_state") != 0;
}

static long do_syscall(void)
{
	return CALL(syscall, SYS_prctl, PR_GET_SECCOMP) || CALL(syscall, SYS_getpid) != getpid();
}

static long do_pthread_attr_setsigmask_np(void)
{
	sigset_t set, got;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	sigfillset(&set);
	return CALL(pthread_attr_setsigmask_np, &attr, &set) ||
		pthread_attr_getsigmask_np(&attr, &got) || sigismember(&got, SIGRTMAX - 3) != 1;
}

static long do_pthread_attr_getsigmask_np(void)
{
	sigset_t set, got;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	sigfillset(&set);
	pthread_attr_setsigmask_np(&attr, &set);
	return CALL(pthread_attr_getsigmask_np, &attr, &got) || sigismember(&got, SIGUSR1) != 1;
}

#endif
