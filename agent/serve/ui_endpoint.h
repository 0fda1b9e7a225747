/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /debug/pprof/ui, ui.css and ui.js: a page that fetches profiles from this port, decodes them in
 * the browser and draws them. Its three files are constants and contain nothing of the program.
 *
 * Context: PA_AGENT, the worker of the request. No lock.
 */
#ifndef PA_UI_ENDPOINT_H
#define PA_UI_ENDPOINT_H

#include "http.h"

/* 200 with one of the files: compressed if the client accepts gzip; the page itself with a
 * Content-Security-Policy that allows scripts, styles and requests of this port only. */
PA_AGENT void pa_ui_endpoint_page(struct pa_http *http, const struct pa_request *request);
PA_AGENT void pa_ui_endpoint_style(struct pa_http *http, const struct pa_request *request);
PA_AGENT void pa_ui_endpoint_script(struct pa_http *http, const struct pa_request *request);

#endif
