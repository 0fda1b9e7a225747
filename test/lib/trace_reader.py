# SPDX-License-Identifier: Apache-2.0
"""Reading of execution traces (format v1, header "go 1.19 trace"): the bytes, what each goroutine
did, who woke whom. Whatever readers refuse is refused here as well."""

HEADER = b"go 1.19 trace\0\0\0"
BEGUN = 1003  # until then: what was there before the trace

BATCH, FREQUENCY, STACK, STRING, LOG, SAMPLE = 1, 2, 3, 37, 48, 49
# name and arguments behind the time
EVENTS = {
    4: ("Gomaxprocs", "n stack"), 5: ("ProcStart", "tid"), 6: ("ProcStop", ""),
    13: ("GoCreate", "g newstack stack"), 14: ("GoStart", "g seq"), 15: ("GoEnd", ""),
    17: ("GoSched", "stack"), 18: ("GoPreempt", "stack"), 19: ("GoSleep", "stack"),
    20: ("GoBlock", "stack"), 25: ("GoBlockSync", "stack"), 26: ("GoBlockCond", "stack"),
    27: ("GoBlockNet", "stack"), 21: ("GoUnblock", "g seq stack"), 28: ("GoSysCall", "stack"),
    30: ("GoSysBlock", ""), 29: ("GoSysExit", "g seq real"), 33: ("HeapAlloc", "bytes"),
    41: ("GoStartLabel", "g seq label"), 45: ("UserTaskCreate", "task parent title stack"),
    46: ("UserTaskEnd", "task stack"), 47: ("UserRegion", "task mode title stack"),
    LOG: ("UserLog", "task key stack"), SAMPLE: ("CPUSample", "real p g stack"),
}
WAITS = {"GoSleep": "sleep", "GoBlockSync": "sync", "GoBlockCond": "cond", "GoBlockNet": "net",
         "GoSysBlock": "syscall"}


class Invalid(AssertionError):
    pass


def need(condition, text):
    if not condition:
        raise Invalid(text)


class Event:
    """One event: ts, name, p, g (who did it, 0: nobody in particular) and its arguments."""

    def __init__(self, ts, name, p, g, arguments):
        self.ts, self.name, self.p, self.g = ts, name, p, g
        self.__dict__.update({k: v for k, v in arguments.items() if k not in ("g", "p")})
        self.target = arguments.get("g")

    def __repr__(self):
        return f"Event({self.__dict__})"


class Wait:
    """kind: a value of WAITS; stack: names of functions, innermost first; waker: a goroutine or
    None; the time until it ran again, None at the end of the trace."""

    def __init__(self, kind, stack, begin):
        self.kind, self.stack, self.begin = kind, stack, begin
        self.unblocked = self.end = self.waker = None
        self.waker_stack = []

    @property
    def ns(self):
        return self.end - self.begin

    def __repr__(self):
        return f"Wait({self.__dict__})"


class Goroutine:
    def __init__(self, number, created, entry, by):
        self.number, self.created, self.entry, self.by = number, created, entry, by
        self.seq, self.state, self.p = 1, "runnable", None
        self.label = self.tid = self.ended = None
        self.waits, self.regions, self.samples = [], [], []

    def __repr__(self):
        return f"Goroutine({self.number} {self.label} {self.entry})"


class Reader:
    def __init__(self, body):
        self.body, self.at = body, 0

    def byte(self):
        need(self.at < len(self.body), "cut off in a record")
        self.at += 1
        return self.body[self.at - 1]

    def number(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            need(shift < 70, "a number of more than 10 bytes")

    def text(self):
        size = self.number()
        need(self.at + size <= len(self.body), "cut off in a text")
        self.at += size
        return self.body[self.at - size:self.at].decode()


class Trace:
    """events: in the order of time. goroutines: {number: Goroutine}."""

    def __init__(self, body):
        need(body[:16] == HEADER, f"header {body[:16]!r}")
        self.size, self.records = len(body), 0
        self.strings, self.stacks, self.raw = {0: ""}, {0: []}, []
        self.events, self.goroutines, self.running, self.started = [], {}, {}, {}
        self.comments, self.tasks = [], {}
        reader = Reader(body)
        reader.at = 16
        self._read(reader)
        self._resolve()
        for event in self.raw:
            self._follow(*event)
        need(not any(self.running.values()), f"still running at the end: {self.running}")
        for g in self.goroutines.values():
            need(g.created == 1000 or not g.samples or g.created < g.samples[0].real,
                 "a sample of one that is not there yet")

    # ------------------------------------------------------------ bytes

    def _read(self, reader):
        p = ts = frequencies = 0
        in_batch, last = False, 0
        while reader.at < len(reader.body):
            first = reader.byte()
            kind, count = first & 63, (first >> 6) + 1
            self.records += 1
            if kind == STRING:
                need(in_batch, "a string before the first batch")
                number, text = reader.number(), reader.text()
                need(number and text and number not in self.strings, f"string {number} {text!r}")
                self.strings[number] = text
                continue
            if count == 4:
                size = reader.number()
                need(size <= 2048, f"{size} bytes of arguments")
                end, args = reader.at + size, []
                while reader.at < end:
                    args.append(reader.number())
                need(reader.at == end, "length of a record")
            else:
                args = [reader.number() for _ in range(count)]
            need(in_batch or kind == BATCH, f"record {kind} before the first batch")
            if kind == BATCH:
                p, ts = args
                in_batch = True
            elif kind == FREQUENCY:
                frequencies += 1
                need(args == [1000000000], f"frequency {args}")
            elif kind == STACK:
                number, frames = args[0], args[2:]
                need(len(frames) == 4 * args[1] and 1 <= args[1] <= 128, f"stack {args}")
                need(number not in self.stacks, f"stack {number} twice")
                self.stacks[number] = [tuple(frames[i:i + 4]) for i in range(0, len(frames), 4)]
            else:
                need(kind in EVENTS, f"record of type {kind}")
                ts += args[0]
                name, fields = EVENTS[kind]
                fields = fields.split()
                need(len(args) == 1 + len(fields), f"{name} {args}")
                arguments = dict(zip(fields, args[1:]))
                if kind == LOG:
                    arguments["message"] = reader.text()
                if kind == SAMPLE:
                    need(args[0] == 0, "a sample with a time")
                need(ts >= last, f"time goes back: {name} at {ts}, after {last}")
                last = ts
                self.raw.append((ts, name, p, arguments))
        need(frequencies == 1, f"{frequencies} frequencies")
        self.end = last

    def _resolve(self):
        pcs = {}
        for number, frames in self.stacks.items():
            for pc, function, file, line in frames:
                need(function in self.strings and file in self.strings, f"stack {number}")
                name = self.strings[function]
                need(pcs.setdefault(pc, name) == name,
                     f"pc {pc:#x} is {name} and {pcs.get(pc)}")
            self.stacks[number] = [self.strings[f[1]] for f in frames]
        for _, name, _, arguments in self.raw:
            for field in ("stack", "newstack"):
                if field in arguments:
                    need(arguments[field] in self.stacks, f"{name}: no such stack")
                    arguments[field] = self.stacks[arguments[field]]
            for field in ("title", "label", "key"):
                if field in arguments:
                    need(arguments[field] in self.strings, f"{name}: no such string")
                    arguments[field] = self.strings[arguments[field]]

    # ------------------------------------------------------------ what goroutines do

    def _of(self, number, state):
        g = self.goroutines.get(number)
        need(g, f"no goroutine {number}")
        need(g.state == state, f"{g} is {g.state}, not {state}")
        return g

    def _turn(self, g, event):
        need(event.seq == g.seq, f"{event}: not in turn, which is {g.seq}")
        g.seq += 1

    def _follow(self, ts, name, p, arguments):
        current = self.running.get(p)
        event = Event(ts, name, p, current.number if current else 0, arguments)
        self.events.append(event)
        handler = getattr(self, "_on_" + name, None)
        if handler:
            handler(event, current)
        elif name in WAITS:
            self._block(event, current)

    def _on_ProcStart(self, event, current):
        need(event.p not in self.started, f"{event}: started already")
        self.started[event.p] = event.tid

    def _on_ProcStop(self, event, current):
        need(event.p in self.started and not current, f"{event}: {current}")
        del self.started[event.p]

    def _on_GoCreate(self, event, current):
        need(event.target and event.target not in self.goroutines, f"{event}: twice")
        need(event.newstack, f"{event}: no entry")
        self.goroutines[event.target] = Goroutine(event.target, event.ts, event.newstack[0],
                                                  current)

    def _on_GoStart(self, event, current):
        g = self._of(event.target, "runnable")
        need(event.p in self.started and not current, f"{event}: {current} runs there")
        self._turn(g, event)
        g.state, g.p, g.tid = "running", event.p, self.started[event.p]
        self.running[event.p] = g
        if g.waits and g.waits[-1].end is None:
            g.waits[-1].end = event.ts

    def _on_GoStartLabel(self, event, current):
        self._on_GoStart(event, current)
        self.goroutines[event.target].label = event.label

    def _leave(self, event, current, state):
        need(current, f"{event}: nobody runs there")
        current.state = state
        self.running[event.p] = None

    def _on_GoEnd(self, event, current):
        self._leave(event, current, "dead")
        current.ended = event.ts

    def _on_GoPreempt(self, event, current):
        self._leave(event, current, "runnable")

    def _on_GoSysCall(self, event, current):
        need(current, f"{event}: nobody runs there")
        current.call = event.stack

    def _block(self, event, current):
        self._leave(event, current, "waiting")
        stack = current.call if event.name == "GoSysBlock" else event.stack
        current.waits.append(Wait(WAITS[event.name], stack, event.ts))

    def _on_GoUnblock(self, event, current):
        g = self._of(event.target, "waiting")
        self._turn(g, event)
        g.state = "runnable"
        wait = g.waits[-1]
        wait.unblocked, wait.waker, wait.waker_stack = event.ts, current, event.stack

    def _on_GoSysExit(self, event, current):
        g = self._of(event.target, "waiting")
        need(event.p in self.started and not current and event.real == 0, f"{event}: {current}")
        self._turn(g, event)
        g.state = "runnable"
        g.waits[-1].unblocked = event.ts

    def _on_CPUSample(self, event, current):
        need(event.target in self.goroutines, f"{event}: of nobody")
        self.goroutines[event.target].samples.append(event)

    def _on_UserTaskCreate(self, event, current):
        need(event.stack and event.task not in self.tasks, f"{event}")
        self.tasks[event.task] = event

    def _on_UserTaskEnd(self, event, current):
        need(event.stack, f"{event}: no stack")

    def _on_UserRegion(self, event, current):
        need(current and event.stack, f"{event}: {current}")
        if event.mode == 0:
            current.regions.append((event.task, event.title, event.ts))
        else:
            need(current.regions and current.regions[-1][:2] == (event.task, event.title),
                 f"{event}: not the innermost of {current.regions}")
            current.regions.pop()

    def _on_UserLog(self, event, current):
        if event.key == "pprofagent":
            self.comments.append(event.message)

    # ------------------------------------------------------------ questions

    def named(self, label):
        """The one goroutine that is called so."""
        found = [g for g in self.goroutines.values() if g.label == label]
        need(len(found) == 1, f"{len(found)} of {label!r}: "
             f"{sorted(str(g.label) for g in self.goroutines.values())}")
        return found[0]

    def waits(self):
        return [wait for g in self.goroutines.values() for wait in g.waits]

    def functions(self):
        return {name for stack in self.stacks.values() for name in stack}

    def history(self, *names):
        """Events after the beginning, of these names."""
        return [e for e in self.events if e.ts > BEGUN and e.name in names]
