/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread for each call that can block, blocked in it for a minute or for ever, and called
 * like it. A call that comes back before it should (EINTR, or a sleep that was too short) is
 * counted and made again.
 *
 *   v_eintr          prints "ready N IPC..." when all N are asleep; IPC: a semaphore set and two
 *                    queues, to be removed should we be killed
 *   v_eintr MS       those that have a limit, with this one and again and again: as above
 *
 * Then it obeys lines on stdin:
 *
 *   asleep      waits until all are asleep again: "asleep"
 *   poke N      sends a signal with an SA_RESTART handler N times to each: "poked"
 *   end         ends all calls: "end", then a line "NAME EARLY of CALLS" for each, and ends
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define MINUTE 60

static struct {
	int pipe[2], full[2], pair[2], timeo[2], full_timeo[2], listener, listener_timeo;
	int epoll, event, timer;
	int held, wanted, sems, queue, full_queue;
	mqd_t mq;
	pid_t child[3];
	char fifo[64];
	aio_context_t aio;
	pthread_t joinee;
} own;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, of_cond = PTHREAD_MUTEX_INITIALIZER,
		       until_end = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static _Atomic int ending;
static _Atomic unsigned word;

static struct timespec length = { .tv_sec = MINUTE };
static int length_ms = MINUTE * 1000;

static struct timespec limit(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_sec += length.tv_sec;
	t.tv_nsec += length.tv_nsec;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* ---------------------------------------------------------------- the calls */

/* clang-format off */
#define CALL(name, call) static void name##_call(void) { call; }
#define UNTIL(name, clock, call) \
	static void name##_call(void) { struct timespec t = limit(clock); call; }
#define WITH(name, declare, call) static void name##_call(void) { declare; call; }

static struct timeval interval(void)
{
	return (struct timeval){ .tv_sec = length.tv_sec, .tv_usec = length.tv_nsec / 1000 };
}

static char bytes[65536];
static struct { long type; char text[8192]; } message = { .type = 1 };

CALL(read, read(own.pipe[0], bytes, 1))
CALL(read_eventfd, read(own.event, bytes, 8))
CALL(read_timerfd, read(own.timer, bytes, 8))
CALL(write, write(own.full[1], bytes, 1))
CALL(recv, recv(own.pair[0], bytes, 1, 0))
CALL(recv_timeout, recv(own.timeo[0], bytes, 1, 0))
CALL(send_timeout, send(own.full_timeo[0], bytes, sizeof(bytes), 0))
CALL(read_timeout, read(own.timeo[0], bytes, 1))
WITH(recvmsg_timeout, struct msghdr m = { 0 }, recvmsg(own.timeo[0], &m, 0))
CALL(accept, accept(own.listener, NULL, NULL))
CALL(accept_timeout, accept(own.listener_timeo, NULL, NULL))
CALL(open_fifo, open(own.fifo, O_RDONLY))
WITH(poll, struct pollfd p = { .fd = own.pipe[0] }, poll(&p, 1, -1))
WITH(poll_timed, struct pollfd p = { .fd = own.pipe[0] }, poll(&p, 1, length_ms))
WITH(ppoll, struct pollfd p = { .fd = own.pipe[0] }, ppoll(&p, 1, &length, NULL))
CALL(select, select(0, NULL, NULL, NULL, NULL))
WITH(select_timed, struct timeval t = interval(), select(0, NULL, NULL, NULL, &t))
CALL(pselect, pselect(0, NULL, NULL, NULL, &length, NULL))
WITH(epoll_wait, struct epoll_event e, epoll_wait(own.epoll, &e, 1, -1))
WITH(epoll_wait_timed, struct epoll_event e, epoll_wait(own.epoll, &e, 1, length_ms))
WITH(epoll_pwait, struct epoll_event e, epoll_pwait(own.epoll, &e, 1, -1, NULL))
WITH(epoll_pwait2, struct epoll_event e, epoll_pwait2(own.epoll, &e, 1, &length, NULL))
CALL(nanosleep, nanosleep(&length, NULL))
CALL(clock_nanosleep, clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL))
UNTIL(clock_nanosleep_abs, CLOCK_MONOTONIC,
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
CALL(usleep, usleep((useconds_t)length_ms * 1000))
CALL(sleep, sleep(MINUTE))
CALL(thrd_sleep, thrd_sleep(&length, NULL))
CALL(sem_wait, sem_wait(&sem))
UNTIL(sem_timedwait, CLOCK_REALTIME, sem_timedwait(&sem, &t))
UNTIL(sem_clockwait, CLOCK_MONOTONIC, sem_clockwait(&sem, CLOCK_MONOTONIC, &t))
CALL(mutex_lock, pthread_mutex_lock(&mutex); pthread_mutex_unlock(&mutex))
UNTIL(mutex_timedlock, CLOCK_REALTIME,
      if (!pthread_mutex_timedlock(&mutex, &t)) pthread_mutex_unlock(&mutex))
CALL(rwlock_rdlock, pthread_rwlock_rdlock(&rwlock); pthread_rwlock_unlock(&rwlock))
UNTIL(rwlock_timedwrlock, CLOCK_REALTIME,
      if (!pthread_rwlock_timedwrlock(&rwlock, &t)) pthread_rwlock_unlock(&rwlock))
CALL(cond_wait, pthread_mutex_lock(&of_cond);
     pthread_cond_wait(&cond, &of_cond); pthread_mutex_unlock(&of_cond))
UNTIL(cond_timedwait, CLOCK_REALTIME, pthread_mutex_lock(&of_cond);
      pthread_cond_timedwait(&cond, &of_cond, &t); pthread_mutex_unlock(&of_cond))
CALL(join, pthread_join(own.joinee, NULL))
CALL(barrier, pthread_barrier_wait(&barrier))
CALL(wait4, wait4(own.child[0], NULL, 0, NULL))
CALL(waitpid, waitpid(own.child[1], NULL, 0))
WITH(waitid, siginfo_t i, waitid(P_PID, (id_t)own.child[2], &i, WEXITED))
CALL(flock, flock(own.wanted, LOCK_EX))
WITH(fcntl_setlkw, struct flock l = { .l_type = F_WRLCK }, fcntl(own.wanted, F_SETLKW, &l))

static sigset_t user2(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return set;
}

WITH(sigwait, sigset_t s = user2(); int number, sigwait(&s, &number))
WITH(sigwaitinfo, sigset_t s = user2(), sigwaitinfo(&s, NULL))
WITH(sigtimedwait, sigset_t s = user2(), sigtimedwait(&s, NULL, &length))
WITH(sigsuspend, sigset_t s = user2(), sigsuspend(&s))
CALL(pause, pause())
WITH(semop, struct sembuf op = { .sem_op = -1 }, semop(own.sems, &op, 1))
WITH(semtimedop, struct sembuf op = { .sem_op = -1 }, semtimedop(own.sems, &op, 1, &length))
CALL(msgrcv, msgrcv(own.queue, &message, 1, 0, 0))
CALL(msgsnd, msgsnd(own.full_queue, &message, sizeof(message.text), 0))
CALL(mq_receive, mq_receive(own.mq, bytes, sizeof(bytes), NULL))
UNTIL(mq_timedreceive, CLOCK_REALTIME,
      mq_timedreceive(own.mq, bytes, sizeof(bytes), NULL, &t))
WITH(io_getevents, struct io_event e, syscall(SYS_io_getevents, own.aio, 1, 1, &e, NULL))
CALL(syscall_futex, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL))
CALL(syscall_futex_timed, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &length))
CALL(syscall_nanosleep, syscall(SYS_nanosleep, &length, NULL))
/* clang-format on */

static struct caller {
	const char *name;
	void (*call)(void);
	int timed; /* ends when it has lasted as long as it should, and not before */
	pthread_t thread;
	_Atomic int tid, early, calls, ended;
} callers[] = {
#define TIMED(what)                                            \
	{                                                      \
		.name = #what, .call = what##_call, .timed = 1 \
	}
#define ROW(what)                                  \
	{                                          \
		.name = #what, .call = what##_call \
	}
	TIMED(recv_timeout),
	TIMED(send_timeout),
	TIMED(read_timeout),
	TIMED(recvmsg_timeout),
	TIMED(accept_timeout),
	TIMED(poll_timed),
	TIMED(ppoll),
	TIMED(select_timed),
	TIMED(pselect),
	TIMED(epoll_wait_timed),
	TIMED(epoll_pwait2),
	TIMED(nanosleep),
	TIMED(clock_nanosleep),
	TIMED(clock_nanosleep_abs),
	TIMED(usleep),
	TIMED(thrd_sleep),
	TIMED(sem_timedwait),
	TIMED(sem_clockwait),
	TIMED(mutex_timedlock),
	TIMED(rwlock_timedwrlock),
	TIMED(cond_timedwait),
	TIMED(sigtimedwait),
	TIMED(semtimedop),
	TIMED(mq_timedreceive),
	TIMED(syscall_futex_timed),
	TIMED(syscall_nanosleep),
	ROW(read),
	ROW(read_eventfd),
	ROW(read_timerfd),
	ROW(write),
	ROW(recv),
	ROW(accept),
	ROW(open_fifo),
	ROW(poll),
	ROW(select),
	ROW(epoll_wait),
	ROW(epoll_pwait),
	ROW(sleep),
	ROW(sem_wait),
	ROW(mutex_lock),
	ROW(rwlock_rdlock),
	ROW(cond_wait),
	ROW(join),
	ROW(barrier),
	ROW(wait4),
	ROW(waitpid),
	ROW(waitid),
	ROW(flock),
	ROW(fcntl_setlkw),
	ROW(sigwait),
	ROW(sigwaitinfo),
	ROW(sigsuspend),
	ROW(pause),
	ROW(semop),
	ROW(msgrcv),
	ROW(msgsnd),
	ROW(mq_receive),
	ROW(io_getevents),
	ROW(syscall_futex),
};

#define TIMED_CALLERS 26
static size_t caller_count = sizeof(callers) / sizeof(callers[0]);

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *run(void *arg)
{
	struct caller *self = arg;
	char name[16];
	int64_t length_ns = length.tv_sec * 1000000000LL + length.tv_nsec, start;

	snprintf(name, sizeof(name), "%s", self->name);
	pthread_setname_np(pthread_self(), name);
	self->tid = (int)syscall(SYS_gettid);
	while (!ending) {
		start = now_ns();
		self->call();
		self->calls++;
		self->early += !ending && (!self->timed || now_ns() - start < length_ns);
	}
	self->ended = 1;
	return NULL;
}

/* ---------------------------------------------------------------- what they wait for */

static void *ends_last(void *arg)
{
	pthread_mutex_lock(&until_end);
	pthread_mutex_unlock(&until_end);
	return arg;
}

static pid_t make_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void fill(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while (write(fd, bytes, 4096) > 0)
		;
	while (write(fd, bytes, 1) > 0)
		;
	fcntl(fd, F_SETFL, flags);
}

static int make_listener(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t));
	listen(fd, 1);
	return fd;
}

static void make_sockets(void)
{
	struct timeval t = interval();

	socketpair(AF_UNIX, SOCK_STREAM, 0, own.pair);
	socketpair(AF_UNIX, SOCK_STREAM, 0, own.timeo);
	socketpair(AF_UNIX, SOCK_STREAM, 0, own.full_timeo);
	setsockopt(own.timeo[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(own.full_timeo[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	fill(own.full_timeo[0]);
	own.listener = make_listener();
	own.listener_timeo = make_listener();
	setsockopt(own.listener_timeo, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

static void make_files(void)
{
	struct flock lock = { .l_type = F_WRLCK };
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char path[64];

	snprintf(own.fifo, sizeof(own.fifo), "v_eintr.%d.fifo", getpid());
	mkfifo(own.fifo, 0600);
	snprintf(path, sizeof(path), "v_eintr.%d.lock", getpid());
	own.held = open(path, O_RDWR | O_CREAT, 0600);
	own.wanted = open(path, O_RDWR);
	unlink(path);
	flock(own.held, LOCK_EX);
	fcntl(own.held, F_OFD_SETLK, &lock);
	snprintf(path, sizeof(path), "/v_eintr.%d", getpid());
	own.mq = mq_open(path, O_RDWR | O_CREAT, 0600, &attr);
	mq_unlink(path);
}

static void make_all(void)
{
	pthread_barrier_init(&barrier, NULL, 2);
	sem_init(&sem, 0, 0);
	pthread_mutex_lock(&mutex);
	pthread_rwlock_wrlock(&rwlock);
	pthread_mutex_lock(&until_end);
	for (int i = 0; i < 3; i++)
		own.child[i] = make_child();
	pipe(own.pipe);
	pipe(own.full);
	fill(own.full[1]);
	own.epoll = epoll_create1(0);
	own.event = eventfd(0, 0);
	own.timer = timerfd_create(CLOCK_MONOTONIC, 0);
	make_sockets();
	make_files();
	own.sems = semget(IPC_PRIVATE, 1, 0600);
	own.queue = msgget(IPC_PRIVATE, 0600);
	own.full_queue = msgget(IPC_PRIVATE, 0600);
	while (msgsnd(own.full_queue, &message, sizeof(message.text), IPC_NOWAIT) == 0)
		;
	syscall(SYS_io_setup, 4, &own.aio);
	pthread_create(&own.joinee, NULL, ends_last, NULL);
}

/* ---------------------------------------------------------------- main */

static int is_asleep(int tid)
{
	char path[64], text[256];
	FILE *f;
	int asleep;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	asleep = f && fgets(text, sizeof(text), f) && strstr(text, ") S ");
	if (f)
		fclose(f);
	return asleep;
}

static void wait_asleep(void)
{
	for (size_t i = 0; i < caller_count; i++)
		while (!callers[i].tid || !is_asleep(callers[i].tid))
			usleep(100);
}

static void on_signal(int number)
{
	(void)number;
}

static void poke(int count)
{
	for (int i = 0; i < count; i++) {
		for (size_t j = 0; j < caller_count; j++)
			pthread_kill(callers[j].thread, SIGRTMIN + 5);
		wait_asleep();
	}
}

/* A signal without SA_RESTART ends what nothing else ends. */
static void end_all(void)
{
	ending = 1;
	pthread_mutex_unlock(&mutex);
	pthread_rwlock_unlock(&rwlock);
	pthread_mutex_unlock(&until_end);
	if (caller_count > TIMED_CALLERS)
		pthread_barrier_wait(&barrier);
	for (size_t i = 0; i < caller_count; i++)
		while (!callers[i].ended) {
			pthread_cond_broadcast(&cond);
			pthread_kill(callers[i].thread, SIGUSR1);
			pthread_kill(callers[i].thread, SIGUSR2);
			usleep(1000);
		}
	unlink(own.fifo);
	semctl(own.sems, 0, IPC_RMID);
	msgctl(own.queue, IPC_RMID, NULL);
	msgctl(own.full_queue, IPC_RMID, NULL);
	for (int i = 0; i < 3; i++)
		kill(own.child[i], SIGKILL);
	puts("end");
	for (size_t i = 0; i < caller_count; i++)
		printf("%s %d of %d\n", callers[i].name, callers[i].early, callers[i].calls);
}

int main(int argc, char **argv)
{
	struct sigaction restart = { .sa_handler = on_signal, .sa_flags = SA_RESTART },
			 end = { .sa_handler = on_signal };
	sigset_t blocked = user2();
	char line[64];

	if (argc > 1) {
		length_ms = atoi(argv[1]);
		length = (struct timespec){ .tv_nsec = length_ms * 1000000L };
		caller_count = TIMED_CALLERS;
	}
	sigaction(SIGRTMIN + 5, &restart, NULL);
	sigaction(SIGUSR1, &end, NULL);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	make_all();
	for (size_t i = 0; i < caller_count; i++)
		if (pthread_create(&callers[i].thread, NULL, run, &callers[i]))
			return 1;
	if (caller_count > TIMED_CALLERS)
		wait_asleep();
	printf("ready %zu %d %d %d\n", caller_count, own.sems, own.queue, own.full_queue);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "end\n"))
			break;
		if (!strncmp(line, "poke ", 5)) {
			poke(atoi(line + 5));
			puts("poked");
		} else {
			wait_asleep();
			puts("asleep");
		}
		fflush(stdout);
	}
	end_all();
	return 0;
}
