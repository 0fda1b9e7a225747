/*
 * A file that is written at the end of the program: whole, or not there.
 *
 * A path that names a regular file, or nothing, gets its bytes by a temporary file beside it, which
 * is renamed when it is complete: several writers of one name leave one whole file. Anything else
 * (a device, a FIFO, a symbolic link, /dev/stdout) is never replaced: the bytes go through it, as
 * with Go's os.Create.
 *
 * Context: PA_APP with the guard raised, but for pa_outfile_check (PA_BOOT). One file at a time.
 */
#ifndef PA_OUTFILE_H
#define PA_OUTFILE_H

#include "base/base.h"

#define PA_OUTFILE_PATH_BYTES 4096

struct pa_outfile {
	int fd;
	const char *path; /* the caller's; stays valid until the close */
	bool through;     /* written through; else it is renamed at the close */
	int64_t end_ns;   /* for a reader of a FIFO or terminal that does not read */
	char beside[PA_OUTFILE_PATH_BYTES + sizeof(".XXXXXX")]; /* the temporary name */
};

/* 0 when the file can probably be written, else -errno. Creates and opens nothing. */
PA_BOOT int pa_outfile_check(const char *path);

/* 0 or -errno; then there is nothing to close. -ENXIO: a FIFO without a reader. */
PA_APP int pa_outfile_open(struct pa_outfile *file, const char *path);

/*
 * Writes all of the bytes. False: it could not, and pa_outfile_close gets good = false. Waits for a
 * slow reader PA_OUTFILE_WAIT_NS in all at most. The first argument is a struct pa_outfile.
 */
PA_APP bool pa_outfile_write(void *file, const void *bytes, size_t count);

/* Puts the file in its place, or takes it away when it is not good. 0 or -errno. */
PA_APP int pa_outfile_close(struct pa_outfile *file, bool good);

#define PA_OUTFILE_WAIT_NS (2 * PA_NS_PER_S)

#endif
