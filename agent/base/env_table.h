/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings: a row for each variable, with its default, its parser and its text.
 *
 * Context: PA_BOOT to parse, any thread to show. No memory, no lock.
 */
#ifndef PA_ENV_TABLE_H
#define PA_ENV_TABLE_H

#include "env.h"

#define PA_ENV_TABLE_PREFIX "PPROFAGENT_"
#define PA_ENV_TABLE_MAX 32 /* rows */

/*
 * One setting. parse: false when text is invalid, with why filled, or untouched when the row's rule
 * is the whole reason. show: the resolved value as text, PA_ENV_TEXT_BYTES of room. The members
 * between them serve parsers that several rows share.
 */
struct pa_env_table_row {
	const char *variable;
	const char *preset;  /* the default, as a user would write it */
	const char *rule;    /* valid values, for the message about an invalid one */
	const char *instead; /* end of that message; NULL: "using" and the preset */
	bool closes_port;    /* an invalid value keeps the port closed */
	const char *empty;   /* meaning of the empty string; NULL: as if not set */
	bool secret;         /* no message shows the value */

	size_t field;             /* offset in struct pa_settings */
	const char *const *words; /* NULL-terminated */
	unsigned lowest, highest;

	bool (*parse)(const struct pa_env_table_row *row, struct pa_settings *settings,
		const char *text, char *why);
	void (*show)(const struct pa_env_table_row *row, const struct pa_settings *settings,
		char *out);
};

/* The first row is the address. */
extern const struct pa_env_table_row pa_env_table[] PA_HIDDEN;
extern const size_t pa_env_table_rows PA_HIDDEN;

#endif
