/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the page at /debug/pprof/ui. scripts/ui makes them from agent/ui/ at build time:
 * comments and white space are removed, and each file is stored plain and compressed.
 *
 * Context: PA_AGENT. Constants; no lock.
 */
#ifndef PA_UI_FILES_H
#define PA_UI_FILES_H

#include "../base/base.h"

struct pa_ui_files_file {
	const char *type; /* Content-Type */
	const unsigned char *plain, *gzip;
	size_t plain_bytes, gzip_bytes;
};

extern const struct pa_ui_files_file pa_ui_files_page PA_HIDDEN;
extern const struct pa_ui_files_file pa_ui_files_style PA_HIDDEN;
extern const struct pa_ui_files_file pa_ui_files_script PA_HIDDEN;

#endif
