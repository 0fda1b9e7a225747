/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for pa_symbols_prepare of agent/symbols/symbols.c: nothing is read. */
#ifndef FAKE_SYMBOLS_H
#define FAKE_SYMBOLS_H

#include "agent/symbols/symbols.h"

/* How many locations the next profile lacks, as pa_symbols_prepare returns it. */
extern uint32_t fake_symbols_lacking;

#endif
