/* SPDX-License-Identifier: Apache-2.0 */
/* The older functions that set what a signal does, each read back by sigaction(). */

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

extern int __sigaction(int number, const struct sigaction *action, struct sigaction *old);
extern sighandler_t bsd_signal(int number, sighandler_t what);
extern sighandler_t ssignal(int number, sighandler_t what);
extern sighandler_t __sysv_signal(int number, sighandler_t what);

/* Rows may run one after the other in one process: ignored, what is pending goes. */
static long done(long result)
{
	sigset_t one;
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR2);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	signal(SIGUSR2, SIG_DFL);
	return result;
}

static bool is_set_to(sighandler_t wanted)
{
	struct sigaction now;
	return sigaction(SIGUSR2, NULL, &now) == 0 && now.sa_handler == wanted;
}

static bool is_held(void)
{
	sigset_t now;
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, SIGUSR2) == 1;
}

static long set_by(void *function)
{
	done(0);
	long first = CALL(function, SIGUSR2, handler);
	bool is_set = is_set_to(handler);
	long second = CALL(function, SIGUSR2, SIG_DFL);
	return first || !is_set || second != (long)handler || !is_set_to(SIG_DFL);
}

static long do_bsd_signal(void)
{
	return set_by(bsd_signal);
}
static long do_ssignal(void)
{
	return set_by(ssignal);
}
static long do_sysv_signal(void)
{
	return set_by(sysv_signal);
}
static long do___sysv_signal(void)
{
	return set_by(__sysv_signal);
}
static long do_sigset(void)
{
	return set_by(sigset);
}

static long do___sigaction(void)
{
	struct sigaction action = { .sa_handler = handler };
	long result = (int)CALL(__sigaction, SIGUSR2, &action, NULL);
	return done(result || !is_set_to(handler));
}

static long do_sigignore(void)
{
	return done((int)CALL(sigignore, SIGUSR2) || !is_set_to(SIG_IGN));
}

static long do_siginterrupt(void)
{
	signal(SIGUSR2, handler);
	return done((int)CALL(siginterrupt, SIGUSR2, 1) || !is_set_to(handler));
}

static long do_sighold(void)
{
	return done((int)CALL(sighold, SIGUSR2) || !is_held());
}

static long do_sigrelse(void)
{
	sighold(SIGUSR2);
	return done((int)CALL(sigrelse, SIGUSR2) || is_held());
}

static long do_sigpending(void)
{
	sigset_t waiting;
	sighold(SIGUSR2);
	raise(SIGUSR2);
	return done((int)CALL(sigpending, &waiting) || sigismember(&waiting, SIGUSR2) != 1);
}

/* ---- senders: the agent's signal, to the thread or the process, with all signals blocked ---- */

#define SENT_NUMBER (SIGRTMAX - 3)

static sigset_t before_sent;

static void block_all(void)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before_sent);
}

/* The one that was sent is there. */
static long sent(long result)
{
	sigset_t all;
	sigfillset(&all);
	int number = sigtimedwait(&all, NULL, &(struct timespec){ 0, 0 });
	pthread_sigmask(SIG_SETMASK, &before_sent, NULL);
	return (int)result != 0 || number != SENT_NUMBER;
}

#define SENDER(name, ...)                             \
	static long do_##name(void)                   \
	{                                             \
		block_all();                          \
		return sent(CALL(name, __VA_ARGS__)); \
	}

SENDER(kill, getpid(), SENT_NUMBER)
SENDER(raise, SENT_NUMBER)
SENDER(gsignal, SENT_NUMBER)
SENDER(tgkill, getpid(), gettid(), SENT_NUMBER)
SENDER(pthread_kill, pthread_self(), SENT_NUMBER)
SENDER(sigqueue, getpid(), SENT_NUMBER, 1)
SENDER(pthread_sigqueue, pthread_self(), SENT_NUMBER, 1)

/* Of a group of its own. */
static long do_killpg(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		block_all();
		_exit((int)sent(CALL(killpg, 0, SENT_NUMBER)));
	}
	return status_of(pid);
}

static void *pause_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static long do_pthread_cancel(void)
{
	pthread_t thread;
	void *result;
	if (pthread_create(&thread, NULL, pause_for_ever, NULL))
		return 1;
	long error = CALL(pthread_cancel, thread);
	return error || pthread_join(thread, &result) || result != PTHREAD_CANCELED;
}
