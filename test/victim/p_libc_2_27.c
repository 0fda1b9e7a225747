/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded before the agent: an older libc, as far as it says. */
const char *gnu_get_libc_version(void);

const char *gnu_get_libc_version(void)
{
	return "2.27";
}
