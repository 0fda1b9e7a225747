/* SPDX-License-Identifier: Apache-2.0 */
#include "port_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define SERVING "pprof:"
#define NAME_BYTES 16
#define DIGITS_MAX 5

void pa_port_name_set(uint16_t port)
{
	char name[NAME_BYTES] = PA_PORT_NAME_NONE;

	if (port)
		snprintf(name, sizeof(name), SERVING "%u", port);
	prctl(PR_SET_NAME, name);
}

uint16_t pa_port_name_parse(const char *comm)
{
	const char *digits = comm + strlen(SERVING);

	if (strncmp(comm, SERVING, strlen(SERVING)) != 0)
		return 0;
	size_t count = strspn(digits, "0123456789");
	if (!count || count > DIGITS_MAX || digits[0] == '0' ||
		(digits[count] && digits[count] != '\n'))
		return 0;
	unsigned long port = strtoul(digits, NULL, 10);
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}
