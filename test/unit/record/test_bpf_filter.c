/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/record/bpf_filter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linux/audit.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(verdict) BPF_STMT(BPF_RET | BPF_K, (verdict))

static uint32_t ask(const struct sock_filter *code, uint32_t count, int number, uint64_t first)
{
	const uint64_t arguments[6] = { first };
	return pa_bpf_filter_verdict(code, count, number, arguments);
}

static void filter_by_number_and_architecture(void **unused)
{
	(void)unused;
	const struct sock_filter code[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
	};
	assert_int_equal(ask(code, 8, SYS_read, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(code, 8, SYS_write, 0), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(ask(code, 8, 0x40000001, 0), SECCOMP_RET_ERRNO | EPERM);
}

static void filter_by_argument_of_64_bits(void **unused)
{
	(void)unused;
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 7, 1, 0),
		RETURN(SECCOMP_RET_TRAP),
		RETURN(SECCOMP_RET_ALLOW),
	};
	assert_int_equal(ask(code, 7, 1, 0x100000307), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(code, 7, 1, 0x307), SECCOMP_RET_TRAP);
	assert_int_equal(ask(code, 7, 1, 0x100000308), SECCOMP_RET_TRAP);
}

static void filter_that_calculates_its_verdict(void **unused)
{
	(void)unused;
	const struct sock_filter code[] = {
		LOAD(nr),
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LDX | BPF_MEM, 3),
		BPF_STMT(BPF_LD | BPF_IMM, 10),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 1),
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	assert_int_equal(ask(code, 8, 4, 0), SECCOMP_RET_ERRNO | 20);
}

static void filters_without_an_end_and_by_zero_kill(void **unused)
{
	(void)unused;
	const struct sock_filter no_end[] = { LOAD(nr) };
	const struct sock_filter far[] = { BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0) };
	const struct sock_filter by_zero[] = {
		LOAD(nr),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0),
		RETURN(SECCOMP_RET_ALLOW),
	};
	assert_int_equal(ask(no_end, 1, 0, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(ask(far, 1, 0, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(ask(by_zero, 3, 0, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(ask(by_zero, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
}

/* Calls of the kernel that know no such thing, under a filter that gives the number's low bits. */
static int count_differences(const struct sock_filter *code, uint16_t count)
{
	struct sock_fprog program = { count, (struct sock_filter *)code };
	int differences = 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 1;
	for (long number = 2000; number < 2200; number++)
		for (uint64_t first = 0; first < 5; first++) {
			uint32_t verdict = ask(code, count, (int)number, first * 0x123456789);
			int wanted = verdict == SECCOMP_RET_ALLOW ?
				ENOSYS :
				(int)(verdict & SECCOMP_RET_DATA);
			errno = 0;
			syscall(number, first * 0x123456789);
			differences += errno != wanted;
		}
	return differences;
}

static void the_kernel_says_the_same(void **unused)
{
	(void)unused;
	const struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 2000, 1, 0),
		RETURN(SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x3f),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, SECCOMP_RET_ERRNO | 1),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	pid_t child = fork();
	if (child == 0)
		_exit(count_differences(code, PA_COUNT(code)) != 0);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_by_number_and_architecture),
		cmocka_unit_test(filter_by_argument_of_64_bits),
		cmocka_unit_test(filter_that_calculates_its_verdict),
		cmocka_unit_test(filters_without_an_end_and_by_zero_kill),
		cmocka_unit_test(the_kernel_says_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
