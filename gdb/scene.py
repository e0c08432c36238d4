"""A scene: all of a switch, from `context_switch` to the end of `finish_task_switch`, as one JSON object
for the book's stepper.

Inside `switch_to` and `__switch_to` each instruction is a step; around them each instruction that
changes anything shown is one. A step has only what has changed since the one before.
"""

import functools
import json
import os
import re

import gdb

import machine
import stacks
import switch
import why

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONTEXT_SWITCH = "src/sched/context_switch.rs"
# A line of `context_switch` at which next is known and nothing has been switched yet.
BEGINS = "prepare_task_switch(&prev, &next)"
SEQUENCE = "src/arch/x86/switch/switch_to.rs"
HALF = "src/arch/x86/switch/__switch_to.rs"
# Bits of `thread.work` that are shown.
WORK = ((1 << 0, "TS_USEDFPU"), (1 << 21, "TIF_DEBUG"), (1 << 22, "TIF_IO_BITMAP"))
ACCESSED = 1 << 40
CR0_TS = 1 << 3
IF = 1 << 9
TASK_DEAD = 64
# Fields that change with nearly each instruction: alone they make no step outside of the switch.
RESTLESS = ("insn", "at", "line", "source", "step", "esp", "ebp", "eax", "eflags")
# Fields that may change in a step behind the switch; the others tell of locks that are taken there.
BEHIND = ("usage", "mm_count", "active_mm", "rq.prev_mm", "on_cpu", "run-queue lock")
# Instructions of one switch; a scene that has more has gone astray.
MOST = 6000


def of_mm(address, name):
    """Returns a word of an mm_struct."""
    return machine.field("switch_to::mm::mm_struct::MmStruct", address, name)


def run_queue():
    """Returns the address of this CPU's run queue."""
    return machine.u32(machine.area() + machine.offset(machine.PER_CPU, "this_rq"))


class Cast:
    """The tasks of a scene, and their letters."""

    def __init__(self):
        self.tasks, self.stacks, self.names = [], {}, []

    def add(self, task, ebp=None):
        """Gives a task that is new in the scene a letter, and its stack names."""
        if task not in self.tasks:
            self.tasks.append(task)
            self.names.append(str(task))
        self.stacks[task] = stacks.Stack(task, ebp)

    def letter(self, address):
        """Returns the letter of the task at an address."""
        for letter, task in zip("ABCDEFGH", self.tasks):
            if task.address == address:
                return letter
        return "another"

    def owner(self, address):
        """Returns the task whose kernel stack has an address."""
        return next((task for task in self.tasks if task.owns(address)), None)

    def whose_mm(self, address):
        """Returns whose address space this is, in words."""
        if address == 0:
            return "none"
        users = [letter for letter, task in zip("ABCDEFGH", self.tasks)
                 if task.word("mm") == address]
        return "of " + " and ".join(users) if users else "%08x" % address


def now(cast, with_ports):
    """Returns all that is shown of the machine: a text by the name of each field."""
    esp, area, rq = machine.register("esp"), machine.area(), run_queue()
    per_cpu = functools.partial(machine.field, machine.PER_CPU, area)
    shown = instruction()
    shown["esp"] = "%08x" % esp
    shown["ebp"] = "%08x" % machine.register("ebp")
    eax = machine.register("eax")
    letter = cast.letter(eax)
    shown["eax"] = "%08x" % eax if letter == "another" else "%08x %s" % (eax, letter)
    eflags = machine.register("eflags")
    shown["eflags"] = "%08x" % eflags
    shown["IF"] = str(eflags // IF & 1)
    shown["current"] = cast.letter(per_cpu("current_task"))
    by_stack = machine.thread_info_task(esp)
    shown["current by esp"] = cast.letter(by_stack.address if by_stack else 0)
    sp0 = per_cpu("tss", "sp0")
    owner = next((task for task in cast.tasks if task.sp0 == sp0), None)
    shown["sp0"] = "%08x %s" % (sp0, cast.letter(owner.address) if owner else "another")
    gdt = area + machine.offset(machine.PER_CPU, "gdt_page")
    for slot in range(3):
        raw = machine.read(gdt + 8 * (machine.GDT_ENTRY_TLS_MIN + slot), 8)
        shown["GDT %d" % (machine.GDT_ENTRY_TLS_MIN + slot)] = str(machine.Descriptor(raw))
    shown["%gs"] = "%04x base %08x" % (machine.register("gs"), machine.register("gs_base"))
    cr3 = machine.register("cr3")
    spaces = {of_mm(mm, "pgd"): mm for mm in
              (task.word("mm") for task in cast.tasks) if mm}
    shown["CR3"] = "%08x %s" % (cr3, cast.whose_mm(spaces[cr3]) if cr3 in spaces else "")
    shown["CR0.TS"] = str(machine.register("cr0") // CR0_TS & 1)
    foot = esp & ~(machine.THREAD_SIZE - 1)
    count = machine.field("switch_to::base::thread_info::ThreadInfo", foot, "preempt_count")
    shown["preempt_count"] = "%d" % (count & 0xFFFFFFF)
    locked = machine.field(machine.RQ, rq, "locked")
    shown["run-queue lock"] = "held by this CPU" if locked else "free"
    shown["rq.prev_mm"] = cast.whose_mm(machine.field(machine.RQ, rq, "prev_mm"))
    if with_ports:
        shown["TSS ports"] = ports(area)
    for letter, task in zip("ABCDEFGH", cast.tasks):
        for name, text in task_fields(cast, task, esp):
            shown[letter + "." + name] = text
    return {name: text.strip() for name, text in shown.items()}


def ports(area):
    """Returns how many ports the TSS opens to ring 3, and the first."""
    bits = machine.read(area + machine.offset(machine.PER_CPU, "tss", "io_bitmap"), 8192)
    zeroes = [8 * at + bit for at, byte in enumerate(bits) if byte != 0xFF
              for bit in range(8) if not byte >> bit & 1]
    return "%d open, from %#x" % (len(zeroes), zeroes[0]) if zeroes else "none open"


def task_fields(cast, task, esp):
    """Yields the fields of a task, and the words of its stack."""
    if task.word("usage") == 0:
        yield "usage", "0: freed"
        return
    yield "thread.sp", "%08x" % task.sp
    yield "thread.ip", machine.place(task.ip).split("::")[-1]
    yield "thread.sp0", "%08x" % task.word("thread", "sp0")
    yield "thread.gs", "%04x" % task.word("thread", "gs")
    tls = task.address + machine.offset(machine.TASK_STRUCT, "thread", "tls_array")
    for slot in range(3):
        raw = machine.read(tls + 8 * slot, 8)
        yield "thread.tls_array[%d]" % slot, str(machine.Descriptor(raw))
    work = task.word("thread", "work")
    yield "thread.work", " ".join(name for bit, name in WORK if work & bit) or "-"
    yield "thread.fpu_counter", str(task.word("thread", "fpu_counter"))
    state = task.word("state")
    yield "state", "TASK_DEAD" if state & TASK_DEAD else machine.TASK_STATES.get(state, str(state))
    yield "on_cpu", str(task.word("on_cpu") & 1)
    yield "usage", str(task.word("usage"))
    mm, active_mm = task.word("mm"), task.word("active_mm")
    yield "mm", cast.whose_mm(mm)
    yield "active_mm", cast.whose_mm(active_mm)
    if active_mm or mm:
        yield "active_mm.mm_count", str(of_mm(active_mm or mm, "count"))
    low = esp if task.owns(esp) else task.sp
    for address, value, name in cast.stacks[task].words(low):
        letter = cast.letter(value)
        what = letter if letter != "another" else machine.place(value).split("::")[-1]
        what = "" if what.startswith("0x") else what
        yield "stack.%08x" % address, "%08x|%s|%s" % (value, name, what)


def instruction():
    """Returns the instruction that comes next, and its line of our source."""
    eip = machine.register("eip")
    return dict(instruction_at(eip))


def decoded(address):
    """Returns an instruction as gdb decodes it."""
    return gdb.selected_inferior().architecture().disassemble(address)[0]


@functools.lru_cache(maxsize=None)
def instruction_at(eip):
    """Returns the same of an address: the kernel's code does not change."""
    text = re.sub(r"\s+", " ", decoded(eip)["asm"]).strip()
    line = sequence_lines().get(eip) or rust_line(eip)
    shown = {"insn": re.sub(r"<[^>]*>", "", text).strip(), "at": machine.place(eip).split("::")[-1]}
    if line:
        shown["line"] = "%s:%d" % line
        shown["source"] = source(line[0])[line[1] - 1].strip()
        shown["step"] = numbered(*line)
    return shown


def rust_line(eip):
    """Returns file and line of a compiled instruction at which the machine has stopped: the innermost
    line that is ours, as much of the library is compiled into our functions."""
    if machine.register("eip") != eip:
        return None
    frame = gdb.newest_frame()
    while frame is not None:
        found = frame.find_sal()
        path = found.symtab.filename if found.symtab else ""
        at = path.find("src/")
        if found.line and at >= 0 and os.path.exists(os.path.join(ROOT, path[at:])):
            return path[at:], found.line
        if frame.type() != gdb.INLINE_FRAME:
            return None
        frame = frame.older()
    return None


def numbered(path, line):
    """Returns the comment above a line of `__switch_to` that tells which step it belongs to."""
    if path != HALF:
        return ""
    lines = source(path)
    for first in range(line - 1, 0, -1):
        if re.match(r" +// [1-9]\. ", lines[first]):
            told = [lines[first]]
            while lines[first + len(told)].strip().startswith("// ") and "SAFETY" not in (
                    lines[first + len(told)]):
                told.append(lines[first + len(told)])
            return "Step " + " ".join(text.strip()[3:].strip() for text in told)
        if lines[first].startswith(("}", "unsafe fn", "pub unsafe")):
            break
    return ""


@functools.lru_cache(maxsize=None)
def source(path):
    """Returns the lines of a file of ours."""
    with open(os.path.join(ROOT, path)) as file:
        return file.read().split("\n")


@functools.lru_cache(maxsize=None)
def sequence_lines():
    """Returns file and line of each instruction of `switch_to`, which carries no line numbers."""
    inside, skipped, found = False, False, []
    for number, text in enumerate(source(SEQUENCE), 1):
        code = text.split("#")[0].strip()
        if code == "switch_to:":
            inside = True
        elif code.startswith(".size switch_to"):
            break
        elif code.startswith(".if"):
            skipped = True
        elif code.startswith(".endif"):
            skipped = False
        elif inside and not skipped and code and not code.startswith(".") and not code.endswith(":"):
            found.append(number)
    at, lines = machine.symbol("switch_to"), {}
    for number in found:
        lines[at] = (SEQUENCE, number)
        at += decoded(at)["length"]
    return lines


class Recorder:
    """Collects the steps of a scene."""

    def __init__(self, with_ports):
        self.cast, self.steps, self.with_ports = Cast(), [], with_ports
        self.before, self.skipped, self.is_over = {}, 0, False

    def look(self, is_step, why_=None):
        """Looks at the machine, and keeps a step if this is one, or if anything shown has changed."""
        shown = now(self.cast, self.with_ports)
        changed = {name: text for name, text in shown.items() if self.before.get(name) != text}
        gone = [name for name in self.before if name not in shown]
        matters = [name for name in list(changed) + gone
                   if name not in RESTLESS and ".stack." not in name]
        if self.is_over:
            matters = [name for name in matters if name.endswith(BEHIND)]
        if not (is_step or matters):
            self.skipped += 1
            return
        # The sentence has the comment already.
        step = {"set": {name: text for name, text in changed.items() if name != "step"}}
        gone = [name for name in gone if name != "step"]
        if gone:
            step["gone"] = gone
        if self.skipped:
            step["skipped"] = self.skipped
        done = self.before if self.before else shown
        step["why"] = why_ or why.sentence(done, shown, matters)
        self.steps.append(step)
        # From here on next may be interrupted and take other locks.
        self.is_over = shown["run-queue lock"] == "free" and shown["IF"] == "1"
        self.before, self.skipped = shown, 0

    def switch(self, prev, next_):
        """Records one switch, from `context_switch` on."""
        self.cast.add(prev, machine.register("ebp"))
        self.cast.add(next_)
        begun = "context_switch: %s is to be switched to %s." % (
            self.cast.letter(prev.address), self.cast.letter(next_.address))
        self.is_over = False
        self.look(True, begun)
        self.until_returned(next_)

    def until_returned(self, next_):
        """Steps on until the function that switches returns on next's stack."""
        start, half = machine.symbol("switch_to"), machine.symbol("__switch_to")
        ends = max(sequence_lines())
        fine, target, seen, frame = False, None, set(), None
        for _ in range(MOST):
            eip, esp = machine.register("eip"), machine.register("esp")
            push = instruction()["insn"]
            switch.stepi()
            self.name_push(push, esp)
            eip = machine.register("eip")
            if eip == half:
                fine, target = True, machine.u32(machine.register("esp"))
            elif fine and eip == target and machine.register("esp") > esp:
                fine = False
            in_sequence = start <= eip <= ends
            is_new = eip not in seen
            seen.add(eip)
            is_ours = machine.place(eip).startswith("__switch_to")
            self.look(in_sequence or (fine and is_new and is_ours))
            if frame is None and not fine and target is not None:
                frame = self.frame(next_, target)
            if frame is not None and not fine and machine.register("esp") > frame:
                self.look(True, "The switch is over: %s goes on." % self.cast.letter(next_.address))
                return
        raise gdb.GdbError("the switch did not end in %d instructions" % MOST)

    def frame(self, next_, target):
        """Returns the address above which next's esp lies when all is done."""
        if target != machine.symbol("switch_to_1"):
            return machine.register("esp") - 1 if self.is_tail_done() else None
        ebp = machine.register("ebp")
        if machine.register("eip") in sequence_lines() or not next_.owns(ebp):
            return None
        return ebp + 4

    def is_tail_done(self):
        """Returns whether a new task has come back from `schedule_tail`."""
        free = self.before.get("run-queue lock") == "free"
        return free and machine.place(machine.register("eip")).startswith("ret_from_fork+")

    def name_push(self, insn, esp):
        """Names the word that an instruction has pushed, and forgets those that were popped."""
        after = machine.register("esp")
        owner = self.cast.owner(after)
        if owner is None:
            return
        self.cast.stacks[owner].popped(after)
        if after != (esp - 4) & 0xFFFFFFFF:
            return
        whose = self.cast.letter(machine.current().address)
        name = insn.split(" ", 1)
        if name[0].startswith("pushf"):
            text = "eflags of " + whose
        elif name[0].startswith("push") and "%" in name[1] and "(" not in name[1]:
            text = "%s of %s" % (name[1].lstrip("%"), whose)
        elif name[0].startswith("push") and machine.register("eip") == machine.symbol("switch_to_jmp"):
            text = "thread.ip of %s: __switch_to returns there" % self.cast.letter(owner.address)
        elif name[0].startswith("call"):
            text = "return address"
        else:
            text = "pushed"
        self.cast.stacks[owner].pushed(after, text)


def begins():
    """Runs to the next `context_switch`; returns prev and next."""
    line = next(n for n, text in enumerate(source(CONTEXT_SWITCH), 1) if BEGINS in text)
    if not _stops:
        _, places = gdb.decode_line("%s:%d" % (CONTEXT_SWITCH, line))
        for place in places:
            stop = gdb.Breakpoint("*0x%x" % place.pc, gdb.BP_HARDWARE_BREAKPOINT, internal=True)
            stop.silent = True
            _stops.append(stop)
    try:
        # QEMU translates everything anew when a breakpoint comes or goes.
        gdb.execute("set breakpoint always-inserted on")
        for stop in _stops:
            stop.enabled = True
        for _ in range(8):
            switch.quietly("continue")
            prev, next_ = machine.current(), machine.Task(machine.field(machine.RQ, run_queue(), "curr"))
            if prev != next_:
                return prev, next_
    except gdb.error as error:
        raise gdb.GdbError("the machine ended before that: %s" % error)
    raise gdb.GdbError("no switch begins")


def steps_only():
    """Takes the breakpoints out: each instruction that follows is a stop."""
    for stop in _stops:
        stop.enabled = False


_stops = []


def is_user(task):
    """Returns whether a task has an address space of its own."""
    return task.word("mm") != 0


def work(task):
    """Returns a task's `thread.work`."""
    return task.word("thread", "work")


PF_KTHREAD = 0x200000

# The scenes by name: title, test of prev and next, whether the TSS's ports are shown.
SCENES = {
    "old": ("Two tasks that ran before", lambda p, n, h: old(n) and is_user(p) and is_user(n)),
    "new": ("To a new task", lambda p, n, h: not old(n) and is_user(n)),
    "last": ("A, B, C, and back to A", lambda p, n, h: (
        len(h) > 1 and old(n) and h[-1][1] == p and h[-2] == (n, h[-1][0]) and h[-1][0] != p
        and len({p, n, h[-1][0]}) == 3)),
    "tls": ("TLS and %gs on both sides", lambda p, n, h: (
        old(n) and n.word("thread", "gs") == machine.register("gs") != 0
        and switch.wanted_tls(p) != switch.wanted_tls(n))),
    "fpu": ("The FPU saved, and loaded ahead of time", lambda p, n, h: (
        old(n) and work(p) & 1 and n.word("thread", "fpu_counter") > 5)),
    "kernel": ("From a program to a kernel thread, and on to a program", lambda p, n, h: (
        is_user(p) and is_kernel_thread(n) and old(n))),
    "death": ("The death of a task", lambda p, n, h: p.word("state") & TASK_DEAD and old(n)),
    "ports": ("The I/O bitmap is copied", lambda p, n, h: (
        old(n) and (work(p) | work(n)) & 1 << 22 and is_user(n))),
}


def old(task):
    """Returns whether a task has run before."""
    return task.ip == machine.symbol("switch_to_1")


def is_kernel_thread(task):
    """Returns whether a task never had an address space: one that is ending has none either."""
    return not is_user(task) and task.word("flags") & PF_KTHREAD


class SwitchScene(machine.Command):
    """switch-scene NAME: records the next switch of a kind from `context_switch` to its end, as one
    JSON object for the book's stepper. NAME is old, new, last, tls, fpu, kernel, death or ports."""

    def __init__(self):
        super().__init__("switch-scene", gdb.COMMAND_RUNNING)

    def act(self, argument):
        if argument not in SCENES:
            raise gdb.GdbError("which scene? " + ", ".join(SCENES))
        title, is_it = SCENES[argument]
        recorder = Recorder(argument == "ports")
        history, looks = [], []
        for _ in range(switch.MOST_SWITCHES):
            prev, next_ = begins()
            if is_it(prev, next_, history):
                break
            history = history[-1:] + [(prev, next_)]
            if argument == "last":
                looks = looks[-1:] + [Glance(prev, next_)]
        else:
            raise gdb.GdbError("no such switch among %d" % switch.MOST_SWITCHES)
        steps_only()
        for glance in looks:
            glance.tell(recorder)
        recorder.switch(prev, next_)
        if argument == "kernel":
            while True:
                prev, next_ = begins()
                steps_only()
                recorder.switch(prev, next_)
                if is_user(next_):
                    break
        names = recorder.cast.names
        scene = {"name": argument, "title": title, "tasks": names, "steps": recorder.steps}
        print("switch-scene " + json.dumps(scene))


class Glance:
    """The machine as a switch began that later turns out to belong to the scene."""

    def __init__(self, prev, next_):
        self.prev, self.next = prev, next_
        cast = Cast()
        cast.add(prev, machine.register("ebp"))
        cast.add(next_)
        self.stacks = cast.stacks
        self.shown = now(cast, False)

    def tell(self, recorder):
        """Keeps it as a step, with the scene's letters."""
        for task in (self.prev, self.next):
            if task not in recorder.cast.tasks:
                recorder.cast.tasks.append(task)
                recorder.cast.names.append(str(task))
            recorder.cast.stacks[task] = self.stacks[task]
        letters = {"A": recorder.cast.letter(self.prev.address),
                   "B": recorder.cast.letter(self.next.address)}
        shown = {}
        for name, text in self.shown.items():
            if name[1:2] == "." and name[0] in letters:
                name = letters[name[0]] + name[1:]
            text = re.sub(r"\b([AB])$", lambda it: letters[it.group(1)], text)
            shown[name] = text
        known = {**recorder.before, **shown}
        changed = {name: text for name, text in known.items()
                   if recorder.before.get(name) != text and name != "step"}
        text = "An earlier switch begins: %s leaves for %s." % (letters["A"], letters["B"])
        recorder.steps.append({"set": changed, "why": text})
        recorder.before = known


SwitchScene()
