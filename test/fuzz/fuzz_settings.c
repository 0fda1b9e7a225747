/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds agent/base/env.c and parse.c: an environment, one variable a line. May not happen: settings
 * outside their limits, a value that does not survive being shown and read again, a token that is
 * shown.
 */
#include "fuzz.h"

#include <signal.h>

#include "agent/base/env.h"
#include "agent/base/parse.h"

#define ENTRIES_MAX 64

static void check_limits(const struct pa_settings *settings)
{
	must(settings->cpu_hz >= 1 && settings->cpu_hz <= 1000);
	must(settings->stack_depth >= 1 && settings->stack_depth <= 512);
	must(settings->heap_rate_bytes <= (uint64_t)1 << 40);
	must(settings->buffer_bytes >= 65536 && settings->buffer_bytes <= (size_t)1 << 30);
	must(!(settings->buffer_bytes & (settings->buffer_bytes - 1)));
	must(settings->block_rate_ns <= INT64_MAX && settings->mutex_fraction <= INT64_MAX);
	must(settings->signal > 0 && settings->signal <= SIGRTMAX);
	must(settings->signal != SIGKILL && settings->signal != SIGSTOP);
	must(settings->log <= PA_ENV_LOG_INFO && settings->symbols <= PA_ENV_SYMBOLS_NONE);
	must(strnlen(settings->token, PA_ENV_TEXT_BYTES) < PA_ENV_TEXT_BYTES);
	must(!settings->serving || !strpbrk(settings->host, " ,/[]:%\"\r\n"));
}

/* As lines of an environment again. */
struct listing {
	char *entries[ENTRIES_MAX + 1];
	size_t count;
	const struct pa_settings *settings;
};

static void list(void *arg, const char *variable, const char *value, const char *preset)
{
	struct listing *listing = arg;
	size_t bytes = strlen(variable) + strlen(value) + 2;
	const char *token = listing->settings->token;

	(void)preset;
	if (strcmp(variable, "PPROFAGENT_TOKEN") == 0) {
		must(strcmp(value, *token ? "set" : "") == 0);
		value = token;
		bytes += strlen(token);
	}
	must(listing->count < ENTRIES_MAX);
	listing->entries[listing->count] = malloc(bytes);
	snprintf(listing->entries[listing->count++], bytes, "%s=%s", variable, value);
}

static void check_again(const struct pa_settings *settings)
{
	struct listing listing = { .settings = settings };
	struct pa_settings again;

	pa_env_list(settings, list, &listing);
	pa_env_read(&again, listing.entries, "program");
	must(again.cpu_hz == settings->cpu_hz && again.stack_depth == settings->stack_depth);
	must(again.heap_rate_bytes == settings->heap_rate_bytes);
	must(again.block_rate_ns == settings->block_rate_ns);
	must(again.mutex_fraction == settings->mutex_fraction);
	must(again.buffer_bytes == settings->buffer_bytes && again.signal == settings->signal);
	must(again.log == settings->log && again.symbols == settings->symbols);
	must(again.serving == settings->serving);
	must(!again.serving || again.port == settings->port);
	must(strcmp(again.token, settings->token) == 0);
	must(strcmp(again.hosts, settings->hosts) == 0);
	for (size_t i = 0; i < listing.count; i++)
		free(listing.entries[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	char *text = input_copy(bytes, count), *entries[ENTRIES_MAX + 1] = { NULL }, *at = text;
	struct pa_settings settings;

	for (size_t i = 0; i < ENTRIES_MAX && *at; i++) {
		size_t length = strcspn(at, "\n");

		entries[i] = at;
		at += length + (at[length] != '\0');
		entries[i][length] = '\0';
	}
	pa_env_read(&settings, entries, entries[0] ? entries[0] : "");
	check_limits(&settings);
	check_again(&settings);
	pa_parse_listed(text, entries[1] ? entries[1] : "x");
	free(text);
	return 0;
}
