/*
 * What may stand in a setting: numbers, sizes, signals, addresses, globs; and which name a misspelt
 * one meant. Pure functions on strings.
 *
 * Context: PA_BOOT and PA_AGENT. No allocation, no state.
 */
#ifndef PA_VALUE_H
#define PA_VALUE_H

#include "base.h"

/* Room for what is wrong with a value, in words. */
#define PA_VALUE_WHY_BYTES 160

/* True for decimal digits alone (no sign, no space) whose value is in lowest..highest. */
PA_BOOT bool pa_value_number(const char *text, uint64_t lowest, uint64_t highest, uint64_t *out);

/* True for decimal digits and at most one of k, M, G in either case (powers of 1024). */
PA_BOOT bool pa_value_size(const char *text, uint64_t *out);

/* The size with the largest unit that divides it: "4M". */
PA_AGENT void pa_value_show_size(uint64_t bytes, char *out, size_t size);

/*
 * "USR1", "SIGUSR1", "RTMIN+3", "SIGRTMAX-3" or a number as the number of a signal that a program
 * can catch for itself; 0: no such signal, or KILL, STOP, the signals of faults and libc's own.
 */
PA_BOOT int pa_value_signal(const char *text);

/* "SIGUSR1", "SIGRTMIN+3", "SIGRTMAX-3". */
PA_AGENT void pa_value_show_signal(int signal_number, char *out, size_t size);

/*
 * True when text is host:port or :port (host "", all interfaces), IPv4 or a name, as CoreDNS and
 * Go's net.SplitHostPort read it. Else what is wrong is in why, PA_VALUE_WHY_BYTES long. host has
 * room for all of text.
 */
PA_BOOT bool pa_value_address(const char *text, char *host, uint16_t *port, char *why);

/*
 * True when one of the globs (comma list, spaces around them do not count) matches name as
 * fnmatch(3) does. Globs of more than 255 bytes match nothing.
 */
PA_BOOT bool pa_value_listed(const char *globs, const char *name);

/*
 * How many letters are wrong in name if known was meant; SIZE_MAX when that is unlikely (more than
 * one letter in three, and no part of the other).
 */
PA_BOOT size_t pa_value_slips(const char *name, const char *known);

/* False, with why (PA_VALUE_WHY_BYTES) filled. */
PA_BOOT bool pa_value_refuse(char *why, const char *format, ...) PA_PRINTF(2, 3);

#endif
