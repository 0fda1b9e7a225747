# SPDX-License-Identifier: Apache-2.0
"""The result as text. Pure: runs in, lines out."""
import statistics

HEAD = ("system", "CPU/bare", "wall/bare", "RSS MiB", "samples", "worst share")


def median_of(runs, field):
    values = [getattr(run, field) for run in runs if getattr(run, field) is not None]
    return statistics.median(values) if values else None


def ratio(runs, base, field):
    """Median over the rounds of the ratio to the reference of the same round."""
    return statistics.median(getattr(run, field) / getattr(bare, field)
                             for run, bare in zip(runs, base))


def shown(value, form):
    return "" if value is None else form.format(value)


def row(name, runs, base):
    failed = next((run.failed for run in runs if run.failed), "")
    if failed == "late":
        bare = statistics.median(run.wall for run in base)
        return [name, "", f"> {max(run.wall for run in runs) / bare:.0f}", "", "", ""]
    if failed:
        return [name, failed, "", "", "", ""]
    return [name, f"{ratio(runs, base, 'cpu'):.2f}", f"{ratio(runs, base, 'wall'):.2f}",
            f"{median_of(runs, 'rss'):.1f}", shown(median_of(runs, "got"), "{:.3f}"),
            shown(median_of(runs, "share"), "{:.1%}")]


def aligned(rows):
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) if i else cell.ljust(width)
                      for i, (cell, width) in enumerate(zip(cells, widths))).rstrip()
            for cells in rows]


def of_best_exact(results, base, ours, exact):
    """A line with our CPU time at rate 1 as a part of the best other system that records every
    allocation; none without such a system."""
    others = {name: ratio(runs, base, "cpu") for name, runs in results.items()
              if name in exact and name != ours and not any(run.failed for run in runs)}
    if ours not in results or not others or any(run.failed for run in results[ours]):
        return []
    best = min(others, key=others.get)
    part = ratio(results[ours], base, "cpu") / others[best]
    return [f"{ours}: {part:.2f} of the best that records every allocation, {best}"]


def work_lines(name, results, ours="", exact=()):
    """results: system -> its runs, one a round, bare first. A Go program has its own bare one."""
    bare = next(iter(results))
    base = results[bare]
    go = results.get("Go, no profile", base)
    seconds = statistics.median(run.cpu for run in base)
    lines = [f"{name}: bare {seconds * 1e3:.0f} ms CPU"]
    rows = [row(system, runs, go if system.startswith("Go, ") else base)
            for system, runs in results.items()]
    lines += ["  " + line for line in aligned([list(HEAD), *rows])]
    natives = {system: runs for system, runs in results.items() if not system.startswith("Go, ")}
    return lines + ["  " + line for line in of_best_exact(natives, base, ours, exact)]
