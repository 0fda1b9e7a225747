/*
 * Always the last include of a file of hooks/ or record/: what may not be used there. These
 * functions lock, allocate, cancel or print, and the program's thread may be anywhere.
 */
#ifndef PA_BANNED_H
#define PA_BANNED_H

#pragma GCC poison printf fprintf vprintf vfprintf puts fputs fopen fdopen fclose fread fwrite
#pragma GCC poison sprintf strcpy strcat strtok strerror setlocale localtime gmtime ctime
#pragma GCC poison system popen abort longjmp siglongjmp setjmp sigsetjmp
#pragma GCC poison backtrace unw_backtrace dl_iterate_phdr_locked asprintf vasprintf strdup

#endif
