# SPDX-License-Identifier: Apache-2.0
"""`make bench PEERS=1`: the agent beside what a user would take instead.

systems: how a program is run under each profiler; works: the programs; runs: one run and its cost;
samples: what CPU profiles hold; table: the result as text. Profilers are found on PATH, as
libraries of the loader, or by variables; none of them is needed.
"""
