/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f_jail FOLDER: keeps 1000 blocks; after a line of stdin it goes into the folder (chroot), gives
 * up root for an unprivileged user and prints "jailed"; after another line it keeps 1000 blocks
 * more, prints "worked", and lives until stdin ends.
 */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *kept[2000];

__attribute__((noinline)) static void kept_outside(void)
{
	for (int i = 0; i < 1000; i++)
		kept[i] = malloc(64);
}

__attribute__((noinline)) static void kept_in_jail(void)
{
	for (int i = 1000; i < 2000; i++)
		kept[i] = malloc(64);
}

int main(int argc, char **argv)
{
	char line[16];
	kept_outside();
	if (argc < 2 || !fgets(line, sizeof(line), stdin))
		return 1;
	if (chroot(argv[1]) || chdir("/") || setgroups(0, NULL) || setgid(65534) || setuid(65534))
		return 2;
	puts("jailed");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 3;
	kept_in_jail();
	puts("worked");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	return 0;
}
