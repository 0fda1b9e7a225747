# SPDX-License-Identifier: Apache-2.0
"""The rows of the HTTP contract, 1a to 1e, and where those are that are no row or scene."""
from conformance.rows import ROWS
from conformance.scenes import SCENES

IDS = ([f"R{n}" for n in range(1, 17)] + [f"I{n}" for n in range(1, 7)] + ["C1", "C2"]
       + [f"Y{n}" for n in range(1, 7)] + [f"P{n}" for n in range(1, 11)]
       + [f"T{n}" for n in range(1, 6)] + [f"N{n}" for n in range(1, 6)]
       + [f"D{n}" for n in range(1, 12)]
       + ["H1", "H2", "H3", "L1", "B1", "B2", "X1", "X2", "G1", "G2", "V1", "U1", "F1"])

# Where the others are: (file, what stands in it, remark). What belongs to each answer of a kind is
# compared in all of them; some cannot be brought about from outside, or only in one of the two.
PLACES = {
    "I3": ("shape.py", "index.link", "in each index page"),
    "I4": ("shape.py", "index.text", "in each index page"),
    "I5": ("../unit/serve/test_pages.c", "index_escapes_names",
           "names that need it; others: shape.py"),
    "I6": ("shape.py", "index.word", "in each index page"),
    "H2": ("shape.py", "text.tail", "in each text of heap and allocs"),
    "H3": ("test_conformance.py", "test_pprof_shows_the_default_view", "by go tool pprof"),
    "L1": ("protos.py", "proto.default", "in each proto"),
    "P1": ("../e2e/test_pprof.py", "test_bare_host_asks_for_the_cpu_profile", ""),
    "P9": ("scenes.py", "labels are texts", "in P8"),
    "P10": ("../unit/proto/test_encode.c", "pprofagent.lostEvents",
            "Go cannot be made to lose any; its name for them is runtime/pprof.lostProfileEvent"),
    "T4": ("shape.py", "trace.head", "in each trace"),
    "D11": ("../unit/serve/test_profile_endpoints.c", "failed to collect profile",
            "Go cannot be made to fail"),
}


def asked_ids():
    return {item.id for item in (*ROWS, *SCENES)}


def missing():
    return [one for one in IDS if one not in asked_ids() | set(PLACES)]
