/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that files of hooks/ and record/ must not use, poisoned. Always the last include. They
 * lock, allocate, print or are cancellation points; the program's thread may be inside any of them.
 */
#ifndef PA_BANNED_H
#define PA_BANNED_H

#pragma GCC poison printf fprintf vprintf vfprintf puts fputs fopen fdopen fclose fread fwrite
#pragma GCC poison sprintf strcpy strcat strtok strerror setlocale localtime gmtime ctime
#pragma GCC poison system popen abort longjmp siglongjmp setjmp sigsetjmp
#pragma GCC poison backtrace unw_backtrace dl_iterate_phdr_locked asprintf vasprintf strdup

#endif
