/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files written at the end of the program: complete or absent.
 *
 * A path of a regular file, or of nothing, is written to a temporary file beside it, which is
 * renamed when complete: concurrent writers of one name leave one complete file. Anything else (a
 * device, a FIFO, a symbolic link, /dev/stdout) is never replaced but written through, as by Go's
 * os.Create.
 *
 * Context: PA_APP with the guard raised; pa_output_file_check PA_BOOT. No lock: one file at a time.
 */
#ifndef PA_OUTPUT_FILE_H
#define PA_OUTPUT_FILE_H

#include "base/base.h"

#define PA_OUTPUT_FILE_PATH_BYTES 4096

struct pa_output_file {
	int fd;
	const char *path; /* the caller's; valid until the close */
	bool through;     /* written in place; else renamed at the close */
	int64_t end_ns;   /* deadline for a FIFO or terminal whose reader does not read */
	char beside[PA_OUTPUT_FILE_PATH_BYTES + sizeof(".XXXXXX")]; /* the temporary name */
};

/* 0 when the file can probably be written, else -errno. Creates and opens nothing. */
PA_BOOT int pa_output_file_check(const char *path);

/* 0 or -errno; then do not close. -ENXIO: a FIFO without a reader. */
PA_APP int pa_output_file_open(struct pa_output_file *file, const char *path);

/*
 * Writes all bytes. False: failed; call pa_output_file_close with good = false. Waits for a slow
 * reader, PA_OUTPUT_FILE_WAIT_NS in total. file: a struct pa_output_file.
 */
PA_APP bool pa_output_file_write(void *file, const void *bytes, size_t count);

/* good: moves the file into place; else removes it. 0 or -errno. */
PA_APP int pa_output_file_close(struct pa_output_file *file, bool good);

#define PA_OUTPUT_FILE_WAIT_NS (2 * PA_NS_PER_S)

#endif
