# SPDX-License-Identifier: Apache-2.0
"""Asks both programs everything, and compares.

Each lane is a pair of programs that is started for it: what one of them is asked must not disturb
what another one counts. Within a lane rows come one after the other, then the scenes, then the rows
that wait, some at a time. All lanes, and both sides of each, run at the same time.
"""
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from conformance import consumers, decided, programs, shape
from conformance.programs import AGENT, Side
from conformance.rows import CUSTOM, ROWS
from conformance.scenes import SCENES
from lib.go_tools import go_tools

MIB = 1 << 20
AT_ONCE = 4  # requests that wait; the agent lets six
RECORDED = {"block_rate": 1, "mutex_fraction": 1}
ODD = ["%s %n %", "", "zwölf €", "x" * 5000, "a b", "&<>\"'"]


@dataclass(frozen=True)
class Lane:
    arguments: tuple = ()
    settings: dict = field(default_factory=dict)  # of the agent
    commands: tuple = ()


LANES = {
    "main": Lane(settings=RECORDED, commands=(
        (f"keep 8 {MIB}", "kept"), (f"churn 8 {MIB}", "churned"),
        ("contend first 20 2", "contended"), ("park 3", "parked"))),
    "quiet": Lane(arguments=("quiet", *ODD)),
    "cpu": Lane(),
    "half": Lane(settings=RECORDED),
    "thirty": Lane(),
    "deadline": Lane(arguments=("write-timeout-ms=500",)),
    "custom": Lane(arguments=("quiet", f"custom={CUSTOM}")),
    "exact": Lane(arguments=("heap-rate=1",), settings=dict(RECORDED, heap_rate=1)),
}

# A first GC publishes Go's allocations.
SETTLED = {"main": "heap?gc=1", "exact": "heap?gc=1"}


class Ears:
    """Keeps the answers of one side of one lane: (row or scene key, facts), and what the agent
    sent, for the consumers."""

    def __init__(self, side):
        self.side = side
        self.facts, self.answers = {}, []

    def ask(self, row):
        answer = self.side.get(row.path, row.method, headers=row.headers, body=row.body,
                               version=row.version)
        self.answers.append((row, answer))
        self.facts[row.key] = shape.facts(answer, self.side.program)

    def play(self, scene):
        try:
            self.facts[scene.key] = scene.play(self.side)
        except Exception:  # pylint: disable=broad-except  (a scene that breaks is a difference)
            self.facts[scene.key] = {"broke": traceback.format_exc()}


def run_lane(name, side):
    lane, ears = LANES[name], Ears(side)
    for command, word in lane.commands:
        side.tell(command, word)
    if name in SETTLED:
        side.get(SETTLED[name])
    mine = [row for row in ROWS if row.lane == name]
    for row in mine:
        if not row.seconds:
            ears.ask(row)
    for scene in SCENES:
        if scene.lane == name:
            ears.play(scene)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(ears.ask, [row for row in mine if row.seconds]))
    return ears


def run_side(name, program, lane, start, results):
    given = LANES[lane]
    side = Side(name, program, given.arguments, given.settings, start)
    try:
        results[name, lane] = run_lane(lane, side)
    except Exception:  # pylint: disable=broad-except  (reported with what did not come)
        results[name, lane] = traceback.format_exc()
    finally:
        side.end()


def ask_all(built, start):
    """{(side, lane): Ears}"""
    results = {}
    threads = [threading.Thread(target=run_side, args=(name, program, lane, start, results))
               for name, program in built.items() for lane in LANES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (name, lane), result in results.items():
        assert isinstance(result, Ears), f"{name} in lane {lane}: {result}"
    return results


# ------------------------------------------------------------------ comparing

EQUAL, DECIDED, DIFFERENT = "equal", "decided", "DIFFERENT"


@dataclass
class Verdict:
    key: str
    go: str
    state: str = EQUAL
    differences: dict = field(default_factory=dict)  # {fact: (Go's, the agent's)} not decided
    decisions: list = field(default_factory=list)
    explained: dict = field(default_factory=dict)


# What an empty profile, or one record, cannot tell.
IF_KNOWN = {"proto.labels", "text.order"}


def differences(theirs, ours):
    return {name: (theirs.get(name), ours.get(name)) for name in {**theirs, **ours}
            if theirs.get(name) != ours.get(name)
            and not (name in IF_KNOWN and None in (theirs.get(name), ours.get(name)))}


def detailed(theirs, ours):
    """What is known of a form counts only where both have that form."""
    if theirs.get("body") == ours.get("body"):
        return theirs, ours
    return tuple({k: v for k, v in side.items() if "." not in k} for side in (theirs, ours))


def judge(key, go, theirs, ours):
    verdict = Verdict(key, go)
    for name, (its, own) in sorted(differences(*detailed(theirs, ours)).items()):
        decision = decided.find(key, go, name, its, own)
        if decision:
            verdict.explained[name] = (its, own)
            if decision not in verdict.decisions:
                verdict.decisions.append(decision)
        else:
            verdict.differences[name] = (its, own)
    if verdict.differences:
        verdict.state = DIFFERENT
    elif verdict.explained:
        verdict.state = DECIDED
    return verdict


@dataclass
class Outcome:
    gos: list
    verdicts: dict      # {(key, go): Verdict}
    answers: list       # [(row, Answer)] of the agent, all lanes
    main_answers: list  # those of the main lane
    programs: dict      # {side: path}
    took_s: float

    def of(self, state):
        return [v for v in self.verdicts.values() if v.state == state]

    def stale(self):
        """Decisions that explained nothing: [(decision, go)]."""
        used = {(id(d), v.go) for v in self.verdicts.values() for d in v.decisions}
        return [(d, go) for d in decided.DECISIONS for go in self.gos
                if d.is_for(go) and not d.maybe and (id(d), go) not in used]

    def complaints(self):
        return consumers.complaints(self.answers, str(self.programs[AGENT]), self.main_answers)


def run(victim=None, start=programs.start_here):
    """victim, start: the agent's program and how it begins, where it is not one of this build."""
    gos = list(go_tools())
    assert gos, "no go here: make deps installs one"
    built = {**programs.build_references(), AGENT: victim or programs.build_victim()}
    start_s = time.monotonic()
    results = ask_all(built, start)
    took_s = time.monotonic() - start_s
    verdicts = {(key, go): judge(key, go, facts, results[AGENT, lane].facts[key])
                for lane in LANES for go in gos
                for key, facts in results[go, lane].facts.items()}
    answers = [one for lane in LANES for one in results[AGENT, lane].answers]
    return Outcome(gos, verdicts, answers, results[AGENT, "main"].answers, built, took_s)


def all_items():
    return [*ROWS, *SCENES]
