/* SPDX-License-Identifier: Apache-2.0 */
#include "assert.h"

#ifdef PA_DEBUG
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../arch/arch.h"
#include "decimal.h"

#define PIECE_MAX_BYTES 256

static void write_piece(const char *text)
{
	pa_arch_syscall6(SYS_write, STDERR_FILENO, (long)text, (long)strnlen(text, PIECE_MAX_BYTES),
		0, 0, 0);
}

static void write_number(int number)
{
	char digits[PA_DECIMAL_DIGITS + 1] = "";
	write_piece(pa_decimal_before(digits + PA_DECIMAL_DIGITS, (uint64_t)number));
}

void pa_assert_failed(const char *file, int line, const char *condition)
{
	write_piece("pprofagent: ");
	write_piece(file);
	write_piece(":");
	write_number(line);
	write_piece(": assertion failed: ");
	write_piece(condition);
	write_piece("\n");
	pa_arch_syscall(SYS_tgkill, pa_arch_syscall(SYS_getpid, 0, 0, 0, 0),
		pa_arch_syscall(SYS_gettid, 0, 0, 0, 0), SIGABRT, 0);
	__builtin_trap(); /* it is blocked, or a handler returned */
}
#endif
