/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds the encoders (proto/, agent/base/utf8.c) with strings of any bytes: names
 * of functions, files, modules, threads, labels, comments; and with any numbers. May not happen: an
 * encoder that fails; a profile that does not unpack or parse, or has a string that is no UTF-8 or
 * too long; a text with bytes that are not UTF-8 or control anything but lines and columns.
 */
#include "fuzz.h"

#include "test/lib/c/fake_symbols.h"

#include <zlib.h>

#include "agent/base/utf8.h"
#include "agent/symbols/symbols_names.h"
#include "proto/folded.h"
#include "proto/text.h"
#include "proto/top.h"

enum { MODULES = 2, FUNCTIONS = 3, LOCS = 4, SAMPLES = 4, LABELS = 3, COMMENTS = 2 };
enum { STRING = 6, TEXT_LIMIT_BYTES = 65535 };

/* One of each text, and one without; four values are the most that there are. */
#define VALUES \
	.values = { { "a", "count" }, { "b", "nanoseconds" }, { "c", "bytes" }, { "d", "e" } }
static const struct pa_profile_ops kinds[] = {
	{ .name = "profile", .value_count = 2, VALUES },
	{ .name = "heap",
		.value_count = 4,
		VALUES,
		.scaled = true,
		.text = PA_PROFILE_OPS_TEXT_HEAP },
	{ .name = "block", .value_count = 2, VALUES, .text = PA_PROFILE_OPS_TEXT_BLOCK },
	{ .name = "mutex", .value_count = 2, VALUES, .text = PA_PROFILE_OPS_TEXT_MUTEX },
	{ .name = "threadcreate", .value_count = 1, VALUES, .text = PA_PROFILE_OPS_TEXT_COUNT },
	{ .name = "goroutine", .value_count = 1, VALUES, .text = PA_PROFILE_OPS_TEXT_THREADS },
};

static struct {
	struct pa_module modules[MODULES];
	struct pa_function functions[FUNCTIONS];
	struct pa_loc locs[LOCS];
	struct pa_frame frames[LOCS][2];
	uint32_t frame_counts[LOCS];
	char *texts[64]; /* to be freed */
	size_t text_count;
} program;

uint32_t pa_maps_count(void)
{
	return MODULES;
}

struct pa_module *pa_maps_get(uint32_t id)
{
	return id - 1 < MODULES ? &program.modules[id - 1] : NULL;
}

const struct pa_loc *pa_stack_table_loc(uint32_t id)
{
	return &program.locs[id % LOCS];
}

uint32_t pa_stack_table_loc_count(void)
{
	return LOCS;
}

uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames, uint32_t max)
{
	size_t i = (size_t)(loc - program.locs);

	must(max >= 2);
	memcpy(frames, program.frames[i], sizeof(program.frames[i]));
	return program.frame_counts[i];
}

/* ---- what comes out ---- */

static struct {
	uint8_t *bytes;
	size_t count, room;
} out;

static bool write_out(void *arg, const void *bytes, size_t count)
{
	(void)arg;
	if (out.count + count > out.room) {
		out.room = 2 * (out.count + count);
		out.bytes = realloc(out.bytes, out.room);
		must(out.bytes);
	}
	memcpy(out.bytes + out.count, bytes, count);
	out.count += count;
	return true;
}

/* Written once more, simpler than in utf8.c: by the number that the bytes mean. */
static size_t utf8_at(const uint8_t *at, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t count = *at < 0x80 ? 1 :
		*at >> 5 == 6     ? 2 :
		*at >> 4 == 14    ? 3 :
		*at >> 3 == 30    ? 4 :
				    0;
	uint32_t rune = count == 1 ? *at : *at & (0x7fu >> count);

	if (!count || count > left)
		return 0;
	for (size_t i = 1; i < count; i++) {
		if (at[i] >> 6 != 2)
			return 0;
		rune = rune << 6 | (at[i] & 63);
	}
	return rune < least[count] || rune > 0x10ffff || rune >> 11 == 27 ? 0 : count;
}

static void check_utf8(const uint8_t *bytes, size_t count, bool text)
{
	for (size_t at = 0, step; at < count; at += step) {
		step = utf8_at(bytes + at, count - at);
		must(step);
		must(!text || (bytes[at] >= 0x20 && bytes[at] != 0x7f) || bytes[at] == '\n' ||
			bytes[at] == '\t');
	}
}

static uint64_t varint(struct input *in)
{
	uint64_t value = 0;

	for (int shift = 0;; shift += 7) {
		must(in->left && shift < 64);
		uint8_t byte = (uint8_t)input_number(in, 1);
		value |= (uint64_t)(byte & 127) << shift;
		if (!(byte & 128))
			return value;
	}
}

static void check_profile(struct input in)
{
	size_t strings = 0;

	while (in.left) {
		uint64_t head = varint(&in), value = varint(&in);

		must((head & 7) == 0 || (head & 7) == 2);
		if ((head & 7) == 0)
			continue;
		must(value <= in.left);
		if (head >> 3 == STRING) {
			must(value <= TEXT_LIMIT_BYTES && (strings++ || value == 0));
			check_utf8(in.at, value, false);
		}
		in.at += value;
		in.left -= value;
	}
	must(strings > 0);
}

static void check_gzip(void)
{
	size_t room = 1 << 20;
	uint8_t *raw = malloc(room);
	z_stream stream = { .next_in = out.bytes, .avail_in = (uInt)out.count };

	must(raw && inflateInit2(&stream, 15 + 16) == Z_OK);
	for (int result = Z_OK; result != Z_STREAM_END;) {
		if (stream.total_out == room)
			raw = realloc(raw, room *= 2);
		stream.next_out = raw + stream.total_out;
		stream.avail_out = (uInt)(room - stream.total_out);
		result = inflate(&stream, Z_NO_FLUSH);
		must(result == Z_OK || result == Z_STREAM_END);
	}
	check_profile((struct input){ raw, stream.total_out });
	inflateEnd(&stream);
	free(raw);
}

static void check_forms(const struct pa_snapshot *snapshot)
{
	const struct pa_sink sink = { .write = write_out };

	out.count = 0;
	must(pa_encode_profile(snapshot, &sink) == 0);
	check_gzip();
	for (int64_t debug = 1; debug <= 2 && snapshot->kind->text != PA_PROFILE_OPS_NO_TEXT;
		debug++) {
		out.count = 0;
		must(pa_text_profile(snapshot, debug, &sink) == 0);
		check_utf8(out.bytes, out.count, true);
	}
	for (uint32_t value = 0; value < snapshot->kind->value_count; value++) {
		out.count = 0;
		must(pa_folded_write(snapshot, value, &sink) == 0);
		must(pa_top_write(snapshot, value, (uint32_t)snapshot->time_ns % 4, &sink) == 0);
		check_utf8(out.bytes, out.count, true);
	}
}

/* ---- what goes in ---- */

static char *take_text(struct input *input)
{
	must(program.text_count < PA_COUNT(program.texts));
	return program.texts[program.text_count++] = input_text(input);
}

static void take_program(struct input *input)
{
	for (size_t i = 0; i < MODULES; i++)
		program.modules[i] = (struct pa_module){ .id = (uint32_t)i + 1,
			.is_main = i == 0,
			.start = 0x1000 * (i + 1),
			.limit = 0x1000 * (i + 2),
			.segment_count = 1,
			.segments = { { 0x1000 * (i + 1), 0x1000 * (i + 2), 0 } },
			.path = take_text(input),
			.is_elf = true,
			.build_id_bytes = (uint32_t)input_number(input, 1) % PA_BUILD_ID_BYTES };
	for (size_t i = 0; i < FUNCTIONS; i++)
		program.functions[i] = (struct pa_function){ .name = take_text(input),
			.system_name = take_text(input),
			.file = take_text(input),
			.start_line = (uint32_t)input_number(input, 4),
			.entry = input_number(input, 2) };
	for (size_t i = 0; i < LOCS; i++) {
		uint8_t how = (uint8_t)input_number(input, 1);

		program.locs[i].pc = input_number(input, 2);
		program.locs[i].raw_pc = program.locs[i].pc + 1;
		program.locs[i].module = how & 1 ? &program.modules[how >> 1 & 1] : NULL;
		program.frame_counts[i] = (how >> 2) % 3;
		for (size_t f = 0; f < 2; f++)
			program.frames[i][f] =
				(struct pa_frame){ &program.functions[(i + f + how) % FUNCTIONS],
					(uint32_t)input_number(input, 4) };
	}
}

static struct pa_labels *take_labels(struct input *input)
{
	struct pa_labels *labels = malloc(sizeof(*labels) + LABELS * sizeof(labels->labels[0]));

	labels->count = (uint32_t)input_number(input, 1) % (LABELS + 1);
	for (uint32_t i = 0; i < labels->count; i++) {
		labels->labels[i].key = take_text(input);
		labels->labels[i].value = take_text(input);
	}
	return labels;
}

static struct pa_stack *take_stack(struct input *input, uint32_t id)
{
	struct pa_stack *stack = malloc(sizeof(*stack) + LOCS * sizeof(stack->locs[0]));

	stack->id = id;
	stack->depth = (uint32_t)input_number(input, 1) % (LOCS + 1);
	for (uint32_t i = 0; i < stack->depth; i++)
		stack->locs[i] = (uint32_t)input_number(input, 1) % LOCS;
	return stack;
}

static void take_thread_info(struct input *input, struct pa_thread_info *info,
	const struct pa_stack *creator)
{
	char *name = take_text(input);

	*info = (struct pa_thread_info){ .answered = input_number(input, 1) & 1,
		.state = (char)input_number(input, 1),
		.syscall = (int32_t)input_number(input, 4),
		.argument = input_number(input, 8),
		.wait = input_number(input, 1) % PA_WAIT_KINDS,
		.object = input_number(input, 8),
		.waited_ns = (int64_t)input_number(input, 8),
		.creator_tid = (int32_t)input_number(input, 4),
		.creator = creator };
	for (size_t i = 0; i < PA_COUNT(info->words); i++)
		info->words[i] = (uint32_t)input_number(input, 4);
	/* As thread_info.c does. */
	pa_symbols_names_clean(info->name, sizeof(info->name), name, strlen(name));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct input input = { bytes, count };
	struct pa_sample samples[SAMPLES];
	struct pa_thread_info infos[SAMPLES];
	char *comments[COMMENTS];

	memset(&program, 0, sizeof(program));
	const struct pa_profile_ops *kind = &kinds[input_number(&input, 1) % PA_COUNT(kinds)];
	take_program(&input);
	for (uint32_t i = 0; i < SAMPLES; i++) {
		struct pa_stack *stack = take_stack(&input, i);

		take_thread_info(&input, &infos[i], i & 1 ? stack : NULL);
		samples[i] = (struct pa_sample){ .stack = stack,
			.labels = take_labels(&input),
			.bytes_label = (int64_t)input_number(&input, 4),
			.tid = (int32_t)input_number(&input, 4),
			.thread = infos[i].name,
			.info = &infos[i] };
		/* Sums of these are not looked at for overflow: they are counts. */
		for (size_t v = 0; v < PA_PROFILE_OPS_VALUES; v++)
			samples[i].values[v] = (int64_t)input_number(&input, 7);
	}
	for (size_t i = 0; i < COMMENTS; i++)
		comments[i] = take_text(&input);
	const struct pa_snapshot snapshot = { .kind = kind,
		.time_ns = 1,
		.duration_ns = 2,
		.period = (int64_t)input_number(&input, 4),
		.fraction = 1,
		.samples = samples,
		.sample_count = input_number(&input, 1) % (SAMPLES + 1),
		.comments = comments,
		.comment_count = COMMENTS };
	check_forms(&snapshot);
	for (size_t i = 0; i < SAMPLES; i++) {
		free((void *)samples[i].stack);
		free((void *)samples[i].labels);
	}
	while (program.text_count)
		free(program.texts[--program.text_count]);
	return 0;
}
