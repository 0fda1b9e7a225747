/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "quiet.h"
#include "utf8.h"

#define LINE_BYTES 512
#define PREFIX "pprofagent: "
#define QUOTED_INPUT_BYTES 64
#define TIMEOUT_NS (10 * PA_NS_PER_MS)

/*
 * True when descriptor 2 can take a line now. A full pipe without a reader must not block the
 * program before main; POLLOUT on a pipe means PIPE_BUF bytes of room (pipe(7)), more than a line.
 */
static bool stderr_takes(void)
{
	struct pollfd pollfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct timespec timeout = { .tv_nsec = TIMEOUT_NS };

	return syscall(SYS_ppoll, &pollfd, 1, &timeout, NULL, 0) == 1 &&
		(pollfd.revents & POLLOUT) != 0;
}

static void write_line(const char *line, size_t len)
{
	ssize_t written;

	do
		written = pa_quiet_write(STDERR_FILENO, line, len);
	while (written < 0 && errno == EINTR);
}

PA_BOOT void pa_log(const char *format, ...)
{
	int saved = errno;
	char line[LINE_BYTES] = PREFIX; /* the newline replaces the last NUL */
	size_t len = strlen(PREFIX);
	va_list args;
	int wanted;

	va_start(args, format);
	wanted = vsnprintf(line + len, LINE_BYTES - len, format, args);
	va_end(args);
	if (wanted > 0)
		len += (size_t)wanted < LINE_BYTES - len ? (size_t)wanted : LINE_BYTES - len - 1;
	line[len++] = '\n';
	if (stderr_takes())
		write_line(line, len);
	errno = saved;
}

/*
 * Length of the character at text when it is printable, else 0: UTF-8 without the C0 and C1
 * controls.
 */
static size_t plain_length(const unsigned char *text)
{
	bool is_c1_control = text[0] == 0xc2 && text[1] < 0xa0;

	return is_c1_control ? 0 : pa_utf8_char((const char *)text, SIZE_MAX, true);
}

/* most: bytes of text that are shown. */
static char *quote_text(char *out, size_t size, const char *text, size_t most)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = (const unsigned char *)text;
	size_t used = 0, read = 0;

	if (size == 0)
		return out;
	while (in[read]) {
		size_t plain = plain_length(in + read);
		size_t taken = plain ? plain : 1;
		size_t shown = plain ? plain : strlen("\\xNN");

		if (read + taken > most || shown >= size - used)
			break;
		if (plain) {
			memcpy(out + used, in + read, plain);
		} else {
			char escape[] = { '\\', 'x', digits[in[read] >> 4], digits[in[read] & 15] };

			memcpy(out + used, escape, sizeof(escape));
		}
		read += taken;
		used += shown;
	}
	out[used] = '\0';
	return out;
}

PA_BOOT char *pa_log_quote(char *out, size_t size, const char *text)
{
	return quote_text(out, size, text, QUOTED_INPUT_BYTES);
}

PA_BOOT char *pa_log_quote_all(char *out, size_t size, const char *text)
{
	return quote_text(out, size, text, SIZE_MAX);
}
