# SPDX-License-Identifier: Apache-2.0
"""Programs of many processes, and the lists of them."""
import json
from pathlib import Path

from lib.harness import PREFIX, until, victim

PYTHON = "/usr/bin/python3"


class Family:
    """v_generations under the agent."""

    def __init__(self, start, **settings):
        self.target = start([victim("v_generations")], **settings)
        self.target.expect("ready")
        self.pid, self.port = self.target.pid, self.target.port

    def more(self, word, count):
        """The pids of the new children."""
        self.target.tell(f"{word} {count}")
        return [int(self.target.expect("child").split()[1]) for _ in range(count)]

    def serving(self, word, count):
        """The same, once all of them serve."""
        pids = self.more(word, count)
        wait_for_agents(pids)
        fresh_list(self.target)
        return pids

    def get(self, path, **kwargs):
        return self.target.get(path, **kwargs)


def thread_names(pid):
    names = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            names.append((task / "comm").read_bytes().decode(errors="replace").rstrip("\n"))
        except OSError:
            continue
    return sorted(names)


def port_of(pid):
    """From the name of its thread; None: it does not serve."""
    ports = [int(name[6:]) for name in thread_names(pid) if name.startswith("pprof:")]
    return ports[0] if ports else None


def wait_for_agents(pids):
    for pid in pids:
        until(f"process {pid} serves", lambda: port_of(pid))


def processes(target, query=""):
    """The list: {pid: entry}, in its order."""
    answer = target.get(f"/processes?format=json{query}")
    assert answer.status == 200, answer
    return {entry["pid"]: entry for entry in json.loads(answer.body)["processes"]}


def start_inert_parent(start):
    """(target, pid of a child of it that is inert and has a child that serves)."""
    code = ("import subprocess;p=subprocess.Popen(['timeout','--foreground','60','sleep','60']);"
            "print('ready',flush=True);input()")
    target = start([PYTHON, "-c", code])
    target.expect("ready")
    return target, until("it is there", lambda: next((p for p, e in processes(target).items()
                         if e["state"] == "inert"), None))


def fresh_list(target):
    """Waits until the list that is kept for a second has all processes that serve now."""
    wanted = {pid for pid in descendants(target.pid) if port_of(pid)}
    until("the list is new", lambda: wanted <= {
        pid for pid, entry in processes(target).items() if entry["state"] == "serving"})


def descendants(pid):
    """Of that process, by /proc, without itself."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_bytes()
            except OSError:
                continue
            parents[int(folder.name)] = int(stat[stat.rindex(b")") + 2:].split()[1])
    found, last = set(), {pid}
    while last:
        last = {child for child, parent in parents.items() if parent in last} - found
        found |= last
    return found


def url_of(target, pid, path):
    mark = "&" if "?" in path else "?"
    return f"http://127.0.0.1:{target.port}{PREFIX}{path}{mark}pid={pid}"
