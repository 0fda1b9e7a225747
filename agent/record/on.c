#include "on.h"

#include <sys/mman.h>

#include "../base/banned.h"

static struct pa_on all_off;
struct pa_on *pa_on = &all_off;
struct pa_record pa_record;

bool pa_on_boot(void)
{
	void *page = mmap(NULL, PA_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	if (page == MAP_FAILED)
		return false;
	if (madvise(page, PA_PAGE_BYTES, MADV_WIPEONFORK) != 0) {
		/* A kernel before 4.14: children of raw clone would go on recording as if they
		 * were us. */
		munmap(page, PA_PAGE_BYTES);
		return false;
	}
	pa_on = page;
	return true;
}
