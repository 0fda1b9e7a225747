#include "demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

/*
 * A short name can stand for text without end (each substitution twice the one before), so the
 * demangler is left as soon as the result is too long. It holds nothing but stack, so it may be.
 */
struct output {
	char text[PA_DEMANGLE_MAX * 4];
	size_t length;
	jmp_buf full;
};

typedef int demangler(const char *name, int options, demangle_callbackref take, void *arg);

static void take(const char *part, size_t bytes, void *arg)
{
	struct output *output = arg;

	if (bytes >= sizeof(output->text) - output->length)
		_longjmp(output->full, 1);
	if (bytes) /* Of nothing it may be NULL. */
		memcpy(output->text + output->length, part, bytes);
	output->length += bytes;
}

static bool run(demangler *demangle, const char *name, struct output *output)
{
	if (_setjmp(output->full))
		return false;
	output->length = 0;
	return demangle(name, DMGL_PARAMS | DMGL_ANSI, take, output) && output->length > 0;
}

/* Anything else is no mangled name: libiberty would read "i" as the type int. */
static bool looks_mangled(const char *name)
{
	return strncmp(name, "_Z", 2) == 0 || strncmp(name, "_R", 2) == 0;
}

PA_AGENT bool pa_demangle(const char *name, char *out, size_t size)
{
	struct output output;

	if (!looks_mangled(name) || strnlen(name, PA_DEMANGLE_MAX + 1) > PA_DEMANGLE_MAX)
		return false;
	/* Rust's old scheme is C++'s with a hash at the end: it must be asked first. */
	if (!run(rust_demangle_callback, name, &output) &&
			!run(cplus_demangle_v3_callback, name, &output))
		return false;
	if (output.length >= size)
		return false;
	memcpy(out, output.text, output.length);
	out[output.length] = '\0';
	return true;
}
