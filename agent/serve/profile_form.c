/* SPDX-License-Identifier: Apache-2.0 */
#include "profile_form.h"

#include <stdio.h>
#include <string.h>

#include "../../proto/sample_values.h"
#include "../core/core.h"
#include "../record/custom_set.h"
#include "query.h"

#define ROWS 40

/* A type of the program's own has the name of its profile. */
#define VALUE_BYTES PA_CUSTOM_SET_NAME_BYTES

static const char *const formats[] = {
	[PA_RENDER_PPROF] = "pprof",
	[PA_RENDER_FOLDED] = "folded",
	[PA_RENDER_TOP] = "top",
	NULL,
};

static const char *const labels[] = {
	[PA_ENV_THREAD_LABEL_NAME] = "name",
	[PA_ENV_THREAD_LABEL_POOL] = "pool",
	[PA_ENV_THREAD_LABEL_OFF] = "off",
	NULL,
};

/* Index of the parameter's value in words, or preset if it has none; -1: another word. */
static int read_word(const char *query, const char *name, const char *const *words, int preset)
{
	char value[VALUE_BYTES];

	pa_query_get(query, name, value, sizeof(value));
	for (int i = 0; value[0] && words[i]; i++)
		if (strcmp(value, words[i]) == 0)
			return i;
	return value[0] ? -1 : preset;
}

static const char *explain_types(const struct pa_profile_ops *kind,
	char why[PA_PROFILE_FORM_WHY_BYTES])
{
	size_t length = (size_t)snprintf(why, PA_PROFILE_FORM_WHY_BYTES, "unknown type: there %s ",
		kind->value_count > 1 ? "are" : "is");

	for (uint32_t i = 0; i < kind->value_count && length < PA_PROFILE_FORM_WHY_BYTES; i++) {
		const char *after = i + 2 < kind->value_count ? ", " :
			i + 1 < kind->value_count             ? " and " :
								"";

		length += (size_t)snprintf(why + length, PA_PROFILE_FORM_WHY_BYTES - length, "%s%s",
			kind->values[i].type, after);
	}
	return why;
}

static const char *read_form_type(const char *query, const struct pa_profile_ops *kind,
	struct pa_render_form *form, char why[PA_PROFILE_FORM_WHY_BYTES])
{
	char type[VALUE_BYTES];

	pa_query_get(query, "type", type, sizeof(type));
	int index = pa_sample_values_index(kind, type[0] ? type : NULL);
	if (index < 0)
		return explain_types(kind, why);
	form->value = (uint32_t)index;
	return NULL;
}

static const char *read_row_count(const char *query, struct pa_render_form *form)
{
	char text[VALUE_BYTES];
	int64_t rows = ROWS;

	pa_query_get(query, "n", text, sizeof(text));
	if (text[0] && (!pa_query_int(text, &rows) || rows < 0))
		return "invalid value for \"n\" - must be an integer >= 0";
	form->rows = rows < UINT32_MAX ? (uint32_t)rows : UINT32_MAX;
	return NULL;
}

const char *pa_profile_form_read(const char *query, const struct pa_profile_ops *kind,
	struct pa_render_form *form, char why[PA_PROFILE_FORM_WHY_BYTES])
{
	int format = read_word(query, "format", formats, PA_RENDER_PPROF);
	int threads =
		read_word(query, "thread", labels, (int)pa_core_bridge->settings->thread_label);

	if (format < 0)
		return "unknown format: there are pprof, folded and top";
	if (threads < 0)
		return "invalid value for \"thread\" - must be name, pool or off";
	form->format = (enum pa_render_format)format;
	form->threads = (enum pa_env_thread_label)threads;
	const char *wrong = read_form_type(query, kind, form, why);
	return wrong ? wrong : read_row_count(query, form);
}
