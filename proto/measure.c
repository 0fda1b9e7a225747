/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <stdio.h>
#include <string.h>

struct step {
	const char *name;
	double factor;
};

/* Steps of one unit, in increasing order. */
struct family {
	const char *unit;
	int count, of_zero;
	struct step steps[6];
};

static const struct family families[] = {
	{ "bytes", 6, 0,
		{ { "B", 1 }, { "kB", 1 << 10 }, { "MB", 1 << 20 }, { "GB", 1 << 30 },
			{ "TB", 0x1p40 }, { "PB", 0x1p50 } } },
	{ "nanoseconds", 5, 3,
		{ { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "hrs", 3600e9 } } },
	{ "", 1, 0, { { "", 1 } } },
};

static const struct family *family_of(const char *unit)
{
	const struct family *family = families;

	while (*family->unit && strcmp(family->unit, unit) != 0)
		family++;
	return family;
}

static double magnitude_of(int64_t value)
{
	return value < 0 ? -(double)value : (double)value;
}

PA_AGENT int pa_measure_step(int64_t value, const char *unit)
{
	const struct family *family = family_of(unit);

	for (int i = family->count - 1; i >= 0; i--)
		if (magnitude_of(value) / family->steps[i].factor >= 1)
			return i;
	return family->of_zero;
}

PA_AGENT void pa_measure_set_point(char *number)
{
	char *point = number + strspn(number, " -0123456789");
	char *after = point + strcspn(point, "0123456789");

	if (!*after || *point == 'e')
		return;
	*point = '.';
	memmove(point + 1, after, strlen(after) + 1);
}

PA_AGENT const char *pa_measure_label(char out[PA_MEASURE_BYTES], int64_t value, const char *unit,
	int step)
{
	const struct family *family = family_of(unit);
	const struct step *in = &family->steps[step < 0 ? pa_measure_step(value, unit) : step];
	size_t length;

	snprintf(out, PA_MEASURE_BYTES, "%.2f", (double)value / in->factor);
	pa_measure_set_point(out);
	length = strlen(out);
	if (strcmp(out + length - 3, ".00") == 0)
		out[length -= 3] = '\0';
	if (strcmp(out, "0") == 0 || strcmp(out, "-0") == 0)
		memcpy(out, "0", sizeof("0"));
	else
		snprintf(out + length, PA_MEASURE_BYTES - length, "%s", in->name);
	return out;
}

PA_AGENT const char *pa_measure_percent(char out[PA_MEASURE_BYTES], int64_t value, int64_t total)
{
	double ratio = total ? magnitude_of(value) / magnitude_of(total) * 100 : 0;
	bool is_whole = ratio >= 99.95 && ratio <= 100.05;

	if (is_whole)
		snprintf(out, PA_MEASURE_BYTES, "  100%%");
	else
		snprintf(out, PA_MEASURE_BYTES, ratio >= 1 ? "%5.2f%%" : "%5.2g%%", ratio);
	if (!is_whole)
		pa_measure_set_point(out);
	return out;
}
