/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value of a profile summed by function: what pprof's report of functions is made of. Functions
 * of the same name are one. A location without a name is its file.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). No lock. Order of calls: open, sum,
 * calls. close always.
 */
#ifndef PA_CALL_GRAPH_H
#define PA_CALL_GRAPH_H

#include "encode.h"
#include "id_table.h"
#include "strtab.h"

/* A function. */
struct pa_call_graph_node {
	const char *text; /* its name; NULL: no function */
	bool is_file;     /* text is the name of the file, there is no function */
	int64_t flat;     /* of samples in it */
	int64_t cum;      /* of samples whose stack contains it */
	uint32_t last;    /* sample counted last, plus 1 */
	bool kept;        /* calls of it are looked at; set by the owner */
	bool inlined;     /* set by calls: a caller has it inlined, */
	bool called;      /* another does not */
};

struct pa_call_graph {
	const struct pa_snapshot *snapshot;
	uint32_t value; /* index of the value */
	struct pa_id_table ids;
	struct pa_strtab names;    /* a node each: names of functions, paths of files */
	struct pa_scratch nodes;   /* struct pa_call_graph_node, by index of the name */
	struct pa_scratch frames;  /* uint32_t: nodes of all locations, innermost first */
	struct pa_scratch firsts;  /* uint32_t, by id of a location: its first in frames, and so the
				    * end of the one before */
	struct pa_hash_table arcs; /* calls between nodes */
	uint64_t total;            /* of the absolute values of all samples */
	int64_t flat_total;        /* of flat of all nodes */
	int64_t lacking;           /* locations without lines */
};

/* *graph must be zeroed. Symbolizes all locations. Returns 0 or -ENOMEM. */
PA_AGENT int pa_call_graph_open(struct pa_call_graph *graph, const struct pa_snapshot *snapshot,
	uint32_t value, const struct pa_sink *sink);
PA_AGENT void pa_call_graph_close(struct pa_call_graph *graph);

/* Fills flat and cum: a function that is in a stack several times counts once. */
PA_AGENT void pa_call_graph_sum(struct pa_call_graph *graph);

/* Fills inlined and called, by calls between kept nodes of at least that absolute value; a node
 * that is not kept is skipped. Returns 0 or -ENOMEM. */
PA_AGENT int pa_call_graph_calls(struct pa_call_graph *graph, uint64_t least);

#define PA_CALL_GRAPH_FILE_BYTES 300 /* a name, NAME_MAX, in brackets */

/* The node's name as it is shown, which may be in buffer. */
PA_AGENT const char *pa_call_graph_name(const struct pa_call_graph_node *node,
	char buffer[PA_CALL_GRAPH_FILE_BYTES]);

/* Nodes 1, 2 ... below names.count. */
PA_AGENT struct pa_call_graph_node *pa_call_graph_node(const struct pa_call_graph *graph,
	uint32_t index);

#endif
