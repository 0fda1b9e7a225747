/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsers of settings: numbers, sizes, signals, addresses, globs; and the setting that a misspelt
 * name is closest to. Pure functions on strings.
 *
 * Context: PA_BOOT and PA_AGENT. No allocation, no state.
 */
#ifndef PA_PARSE_H
#define PA_PARSE_H

#include "base.h"

/* Room for the reason why a value is invalid. */
#define PA_PARSE_WHY_BYTES 160

/* True for decimal digits only (no sign, no space) with a value in lowest..highest. */
PA_BOOT bool pa_parse_number(const char *text, uint64_t lowest, uint64_t highest, uint64_t *out);

/* True for decimal digits and at most one of k, M, G in either case (powers of 1024). */
PA_BOOT bool pa_parse_size(const char *text, uint64_t *out);

/* The size with the largest unit that divides it: "4M". */
PA_APP void pa_parse_show_size(uint64_t bytes, char *out, size_t size);

/*
 * The signal number of "USR1", "SIGUSR1", "RTMIN+3", "SIGRTMAX-3" or a decimal number; 0: no such
 * signal, or one that the agent cannot use (KILL, STOP, faults, libc's own).
 */
PA_BOOT int pa_parse_signal(const char *text);

/* "SIGUSR1", "SIGRTMIN+3", "SIGRTMAX-3". */
PA_APP void pa_parse_show_signal(int signal_number, char *out, size_t size);

/*
 * True when text is host:port, [host]:port for an IPv6 address, or :port (host "", all interfaces),
 * as CoreDNS and Go's net.SplitHostPort read it. Else why (PA_PARSE_WHY_BYTES) has the reason. host
 * has room for all of text.
 */
PA_BOOT bool pa_parse_address(const char *text, char *host, uint16_t *port, char *why);

/*
 * Checks the path of a unix socket, in which %p stands for the pid and %% for a percent sign. With
 * the longest pid, in place of %p or added to it as ".pid", it must be shorter than room.
 */
PA_BOOT bool pa_parse_socket_path(const char *path, size_t room, char *why);

/*
 * True when one of the globs (comma list, surrounding spaces ignored) matches name, as fnmatch(3).
 * Globs of more than 255 bytes match nothing.
 */
PA_BOOT bool pa_parse_listed(const char *globs, const char *name);

/*
 * Edit distance between name and known; SIZE_MAX when known is an unlikely correction (more than
 * one letter in three differs, and neither contains the other).
 */
PA_BOOT size_t pa_parse_distance(const char *name, const char *known);

/* Returns false, with why (PA_PARSE_WHY_BYTES) filled. */
PA_BOOT bool pa_parse_refuse(char *why, const char *format, ...) PA_PRINTF(2, 3);

#endif
