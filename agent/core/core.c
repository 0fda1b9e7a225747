/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

struct pa_bridge *pa_core_bridge;
