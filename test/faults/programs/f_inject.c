/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strace -e inject=CALL:error=ERROR:when=FIRST..LAST for the calls of the agent alone: those of its
 * own threads, and those that its code makes on a thread of the program. What the program asks for,
 * also by way of a hook, is left as it is.
 *
 *   f_inject REPORT CODE CALL[,CALL] ERROR FIRST LAST PROGRAM ARGUMENTS...
 *
 * REPORT: a file that gets "CALL seen" for each call, at the end. CODE: a file with a line "library
 * begin end" for each function that is the agent's and no hook. ERROR 0: only counts. The calls of
 * all processes and threads that the program starts count together, of futex those that wait. Ends
 * as the program ends.
 */
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <libunwind-ptrace.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAMES_MAX 64
#define CODE_MAX 4096

static const struct {
	const char *name;
	long number;
	/* clang-format off */
} names[] = {
#define CALL(name) { #name, SYS_##name }
	CALL(mmap), CALL(munmap), CALL(mprotect), CALL(madvise), CALL(brk), CALL(mremap),
	CALL(socket), CALL(bind), CALL(listen), CALL(accept4), CALL(accept), CALL(getsockname),
	CALL(getpeername), CALL(setsockopt), CALL(recvfrom), CALL(sendto), CALL(shutdown),
	CALL(clone3), CALL(clone), CALL(set_robust_list), CALL(rseq), CALL(prctl),
	CALL(sched_getaffinity), CALL(sched_getscheduler), CALL(sched_setscheduler),
	CALL(timer_create), CALL(timer_settime), CALL(timer_delete), CALL(clock_nanosleep),
	CALL(clock_gettime), CALL(openat), CALL(open), CALL(read), CALL(pread64), CALL(write),
	CALL(writev), CALL(close), CALL(newfstatat), CALL(fstat), CALL(lseek), CALL(readlink),
	CALL(getdents64), CALL(getcwd), CALL(dup3), CALL(rename), CALL(unlink), CALL(ftruncate),
	CALL(pipe2), CALL(eventfd2), CALL(fcntl), CALL(poll), CALL(ppoll), CALL(close_range),
	CALL(unshare), CALL(process_vm_readv), CALL(rt_sigaction), CALL(rt_sigprocmask),
	CALL(rt_sigpending), CALL(rt_sigtimedwait), CALL(rt_tgsigqueueinfo), CALL(tgkill),
	CALL(futex), CALL(sysinfo), CALL(getrusage), CALL(getrlimit), CALL(prlimit64),
	CALL(getrandom), CALL(uname), CALL(statfs), CALL(access), CALL(membarrier),
#undef CALL
};
/* clang-format on */
#define NAMES (sizeof(names) / sizeof(*names))

static const struct {
	const char *name;
	int number;
} errors[] = { { "0", 0 }, { "ENOMEM", ENOMEM }, { "EAGAIN", EAGAIN }, { "EMFILE", EMFILE },
	{ "EPERM", EPERM }, { "ENOSYS", ENOSYS }, { "EIO", EIO }, { "EINTR", EINTR },
	{ "EACCES", EACCES }, { "EINVAL", EINVAL }, { "ESRCH", ESRCH }, { "EBADF", EBADF },
	{ "EADDRINUSE", EADDRINUSE }, { "ENFILE", ENFILE }, { "ECONNABORTED", ECONNABORTED },
	{ "EPIPE", EPIPE }, { "ECONNRESET", ECONNRESET }, { "ENOENT", ENOENT },
	{ "EFAULT", EFAULT }, { "ENOBUFS", ENOBUFS }, { "ENOTDIR", ENOTDIR } };
#define ERRORS (sizeof(errors) / sizeof(*errors))

static struct code {
	char library[64];
	unsigned long begin, end;
} code[CODE_MAX];
static size_t code_count;

static char chosen[NAMES];
static unsigned long seen[NAMES], total;
static unw_addr_space_t space;

static void die(const char *what)
{
	fprintf(stderr, "f_inject: %s: %s\n", what, strerror(errno));
	exit(99);
}

static void read_code(const char *path)
{
	FILE *file = fopen(path, "r");
	if (!file)
		die(path);
	while (code_count < CODE_MAX &&
		fscanf(file, "%63s %lx %lx", code[code_count].library, &code[code_count].begin,
			&code[code_count].end) == 3)
		code_count++;
	fclose(file);
}

static void choose(char *list)
{
	int all = strcmp(list, "all") == 0;
	for (size_t i = 0; all && i < NAMES; i++)
		chosen[i] = 1;
	for (char *word = strtok(list, ","); word && !all; word = strtok(NULL, ",")) {
		size_t i = 0;
		while (i < NAMES && strcmp(names[i].name, word))
			i++;
		if (i == NAMES)
			die(word);
		chosen[i] = 1;
	}
}

/* ---- whose call ---- */

static int is_agent_thread(pid_t tid)
{
	char path[64], comm[32] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	FILE *file = fopen(path, "r");
	if (file && !fgets(comm, sizeof(comm), file))
		comm[0] = '\0';
	if (file)
		fclose(file);
	return strncmp(comm, "pprof", 5) == 0;
}

struct image {
	char library[64];
	unsigned long base, begin, end;
};

/* Code of the agent's libraries as it is mapped. */
static size_t find_images(pid_t tid, struct image *images, size_t max)
{
	char path[64], line[4400], name[4200], rights[8];
	size_t count = 0;
	unsigned long base = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	FILE *file = fopen(path, "r");
	while (file && count < max && fgets(line, sizeof(line), file)) {
		unsigned long begin, end, offset;
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %4199s", &begin, &end, rights, &offset,
			    name) != 5)
			continue;
		const char *slash = strrchr(name, '/');
		if (!slash || strncmp(slash + 1, "libpprofagent", 13))
			continue;
		if (!offset)
			base = begin;
		if (!strchr(rights, 'x'))
			continue;
		struct image *image = &images[count++];
		snprintf(image->library, sizeof(image->library), "%.63s", slash + 1);
		image->base = base;
		image->begin = begin;
		image->end = end;
	}
	if (file)
		fclose(file);
	return count;
}

static int is_own_code(const struct image *image, unsigned long pc)
{
	for (size_t i = 0; i < code_count; i++) {
		if (pc - image->base >= code[i].begin && pc - image->base < code[i].end &&
			strcmp(code[i].library, image->library) == 0)
			return 1;
	}
	return 0;
}

/* On a thread of the program the innermost function of the agent's libraries tells. */
static int is_called_by_agent(pid_t tid)
{
	struct image images[8];
	size_t count = find_images(tid, images, 8);
	unw_cursor_t cursor;
	unw_word_t pc;
	int verdict = -1;
	if (!count)
		return 0;
	void *target = _UPT_create(tid);
	/* It fails for a thread that was killed meanwhile. */
	int found = target && unw_init_remote(&cursor, space, target) == 0;
	for (int i = 0; found && verdict < 0 && i < FRAMES_MAX; i++) {
		unw_get_reg(&cursor, UNW_REG_IP, &pc);
		for (size_t j = 0; j < count; j++) {
			if (pc >= images[j].begin && pc < images[j].end)
				verdict = is_own_code(&images[j], pc - (i > 0));
		}
		if (unw_step(&cursor) <= 0)
			break;
	}
	if (target)
		_UPT_destroy(target);
	return verdict > 0;
}

/* ---- the calls ---- */

/* A futex call that waits. One that wakes never fails like that: its waiter would sleep for
 * ever. */
static int can_fail(const struct user_regs_struct *regs)
{
	int op = (int)regs->rsi & FUTEX_CMD_MASK;
	return regs->orig_rax != SYS_futex || op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET;
}

static void on_call(pid_t tid, int error, unsigned long first, unsigned long last)
{
	struct user_regs_struct regs;
	struct iovec area = { &regs, sizeof(regs) };
	size_t i = 0;
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &area) != 0)
		return;
	while (i < NAMES && names[i].number != (long)regs.orig_rax)
		i++;
	if (i == NAMES || !can_fail(&regs) || !(is_agent_thread(tid) || is_called_by_agent(tid)))
		return;
	seen[i]++;
	total++;
	if (getenv("F_INJECT_LOG"))
		fprintf(stderr, "f_inject: %lu %d %s\n", total, tid, names[i].name);
	if (!error || total < first || total > last)
		return;
	regs.orig_rax = (unsigned long long)-1;
	regs.rax = (unsigned long long)-error;
	ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &area);
}

static void install_filter(void)
{
	struct sock_filter filter[2 * NAMES + 2];
	unsigned short count = 0;
	filter[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < NAMES; i++) {
		if (!chosen[i])
			continue;
		filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			(unsigned)names[i].number, 0, 1);
		filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	}
	filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { count, filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("seccomp");
}

static pid_t start(char **argv)
{
	char word;
	int gate[2];
	if (pipe(gate) != 0)
		die("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(gate[1]);
		if (read(gate[0], &word, 1) != 1)
			_exit(99);
		close(gate[0]);
		install_filter();
		execvp(argv[0], argv);
		die(argv[0]);
	}
	long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
		PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	if (ptrace(PTRACE_SEIZE, pid, NULL, options) != 0)
		die("PTRACE_SEIZE");
	if (write(gate[1], "", 1) != 1)
		die("write");
	close(gate[0]);
	close(gate[1]);
	return pid;
}

/* One stop of one thread; the signal that it gets, or is left stopped by. */
static void go_on(pid_t tid, int status, int error, unsigned long first, unsigned long last)
{
	int event = status >> 16, stopped_by = WSTOPSIG(status);
	if (event == PTRACE_EVENT_SECCOMP)
		on_call(tid, error, first, last);
	if (event == PTRACE_EVENT_STOP && (stopped_by == SIGSTOP || stopped_by == SIGTSTP)) {
		ptrace(PTRACE_LISTEN, tid, NULL, NULL);
		return;
	}
	ptrace(PTRACE_CONT, tid, NULL, (long)(event ? 0 : stopped_by));
}

static void report(const char *path)
{
	FILE *file = fopen(path, "w");
	if (!file)
		die(path);
	for (size_t i = 0; i < NAMES; i++) {
		if (seen[i])
			fprintf(file, "%s %lu\n", names[i].name, seen[i]);
	}
	fclose(file);
}

int main(int argc, char **argv)
{
	int status, end = 0, error = -1;
	pid_t tid;
	if (argc < 8)
		return 98;
	read_code(argv[2]);
	choose(argv[3]);
	for (size_t i = 0; i < ERRORS; i++) {
		if (strcmp(errors[i].name, argv[4]) == 0)
			error = errors[i].number;
	}
	if (error < 0)
		die(argv[4]);
	unsigned long first = strtoul(argv[5], NULL, 10), last = strtoul(argv[6], NULL, 10);
	space = unw_create_addr_space(&_UPT_accessors, 0);
	pid_t pid = start(argv + 7);
	/* What the terminal or a test sends to all is for the program. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (tid == pid && !WIFSTOPPED(status))
			end = status;
		if (tid > 0 && WIFSTOPPED(status))
			go_on(tid, status, error, first, last);
	}
	report(argv[1]);
	if (!WIFSIGNALED(end))
		return WEXITSTATUS(end);
	signal(WTERMSIG(end), SIG_DFL);
	raise(WTERMSIG(end));
	return 97;
}
