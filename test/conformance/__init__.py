# SPDX-License-Identifier: Apache-2.0
"""The agent's answers beside those of Go's net/http/pprof."""
