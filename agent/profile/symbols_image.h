/*
 * A small ELF file in memory that has only the sections that lines and inlined functions need.
 *
 * Context: PA_AGENT, the render thread only.
 */
#ifndef PA_SYMBOLS_IMAGE_H
#define PA_SYMBOLS_IMAGE_H

#include "symbols_elf.h"

struct pa_symbols_image {
	char *at;          /* pa_map's */
	size_t bytes;
	uint64_t unpacked; /* what its compressed sections will take besides */
};

/*
 * Copies the sections out of the file. 0; -ENODATA: it has none; -EFBIG: more than there is room
 * for; -ENOMEM; -EIO; -ETIME: not done at deadline_ns.
 */
PA_AGENT int pa_symbols_image_make(struct pa_symbols_image *image,
	const struct pa_symbols_elf *file, int64_t deadline_ns);
PA_AGENT void pa_symbols_image_free(struct pa_symbols_image *image);

#endif
