/*
 * Demangling of C++ (Itanium ABI) and Rust (v0 and legacy) names. The only file behind it that
 * knows libiberty (its callback demanglers: they need no malloc and cannot exit).
 *
 * Context: PA_AGENT with a stack of at least 1 MiB (a 500-character name needs 211 KB).
 */
#ifndef PA_DEMANGLE_H
#define PA_DEMANGLE_H

#include "../base/base.h"

/* Names longer than this stay mangled. */
#define PA_DEMANGLE_MAX 1024

/*
 * The demangled form of name into out (size bytes with NUL). False, out untouched, when name is not
 * mangled, is too long, or the result does not fit.
 */
PA_AGENT bool pa_demangle(const char *name, char *out, size_t size);

#endif
