/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Demangling of C++ (Itanium ABI) and Rust (v0 and legacy) names. demangle.c is the only file that
 * uses libiberty: its callback demanglers, which neither call malloc nor exit.
 *
 * Context: PA_AGENT with a stack of at least 1 MiB (a 500-character name needs 211 KB), the render
 * thread only: long names are demangled on a stack of their own, which is mapped meanwhile.
 */
#ifndef PA_DEMANGLE_H
#define PA_DEMANGLE_H

#include "../base/base.h"

/* Longer names stay mangled. */
#define PA_DEMANGLE_MAX 8192
/* Smallest usable output buffer. */
#define PA_DEMANGLE_LEAST 8

/* Writes the demangled form of name to out (size bytes including NUL); a result that does not fit
 * is cut and ends in "...". False: name is not mangled or is too long; out is unchanged. */
PA_AGENT bool pa_demangle(const char *name, char *out, size_t size);

#endif
