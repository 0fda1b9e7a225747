#include "core.h"

struct pa_bridge *pa_core_bridge;
