/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds agent/serve/symbol_endpoint.c: what a client sends to /debug/pprof/symbol. May not happen:
 * a first line that is not the header, a line that is neither a name nor the error, names for what
 * is no known address, or more lines than words.
 */
#include "fuzz.h"

#include "agent/symbols/symbols.h"
#include "agent/serve/symbol_endpoint.h"
#include "test/lib/c/fake_http.h"
#include "test/lib/c/fake_profiles.h"

#define HEADER "num_symbols: 1\n"
#define ERROR "reading request: bufio: buffer full\n"

static struct {
	char *text;
	size_t count;
} written;

static bool write_out(void *arg, const void *bytes, size_t count)
{
	(void)arg;
	written.text = realloc(written.text, written.count + count + 1);
	must(written.text);
	memcpy(written.text + written.count, bytes, count);
	written.count += count;
	written.text[written.count] = '\0';
	return true;
}

static void check_line(const char *line, size_t length)
{
	char *end;

	if (length == strlen(ERROR) && memcmp(line, ERROR, length) == 0)
		return;
	unsigned long long address = strtoull(line, &end, 16);
	must(address >= KNOWN_FROM && address < KNOWN_TO);
	must(strncmp(end, " app::hot<int>()\n", (size_t)(line + length - end)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	const struct pa_sink sink = { .write = write_out };
	size_t lines = 0, words = 1;
	char *copy = input_copy(bytes, count);

	written.count = 0;
	must(pa_symbol_endpoint_write(copy, count, &sink) == 0);
	must(strncmp(written.text, HEADER, strlen(HEADER)) == 0);
	for (const char *at = written.text + strlen(HEADER); *at; lines++) {
		size_t length = strcspn(at, "\n") + 1;

		must(at[length - 1] == '\n');
		check_line(at, length);
		at += length;
	}
	for (size_t i = 0; i < count; i++)
		words += copy[i] == '+';
	must(lines <= words);
	free(copy);
	return 0;
}
