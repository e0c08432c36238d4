"""The switch, one instruction at a time.

QEMU masks interrupts while gdb steps, and they are off in the switch anyway, so
nothing comes in between. To let a step run into an interrupt:
`maintenance packet Qqemu.sstep=0x1`.
"""

import json

import gdb

import machine
import stacks

# Name and symbol of each instruction of the sequence, in order, and its effect.
STEPS = [
    ("save_flags", "switch_to_save_flags", "pushfl: prev's EFLAGS onto prev's stack"),
    ("save_bp", "switch_to_save_bp", "pushl %ebp: prev's frame pointer, the last word saved"),
    ("save_sp", "switch_to_save_sp", "prev->thread.sp = esp"),
    ("load_sp", "switch_to_load_sp", "esp = next->thread.sp: the process switch happens here"),
    ("save_ip", "switch_to_save_ip", "prev->thread.ip = label 1"),
    ("push_ip", "switch_to_push_ip", "next->thread.ip onto next's stack: a return address"),
    ("jmp", "switch_to_jmp", "jmp __switch_to: its ret will go where was just pushed"),
    ("label_1", "switch_to_1", "label 1. popl %ebp: next's frame pointer"),
    ("restore_flags", "switch_to_restore_flags", "popfl: next's EFLAGS"),
    ("end", "switch_to_end", "the book's sequence ends; eax = last"),
]
# More instructions than this in __switch_to: the switch has gone astray.
MOST_STEPS = 4000
# Number of switches to look at for one of the wanted kind.
MOST_SWITCHES = 2000


class Moment:
    """All that matters about the machine between two instructions."""

    def __init__(self, name, prev, next_):
        self.name, self.prev, self.next = name, prev, next_
        self.eip, self.esp = machine.register("eip"), machine.register("esp")
        self.eax = machine.register("eax")
        self.owner = machine.stack_owner(self.esp, (prev, next_))
        self.top = machine.u32(self.esp)
        self.current = machine.current()
        self.by_stack = machine.thread_info_task(self.esp)
        self.sp0 = machine.tss_sp0()
        self.tls = machine.tls()
        self.gs, self.gs_base = machine.register("gs"), machine.register("gs_base")
        self.cr3 = machine.register("cr3")
        self.cr0 = machine.register("cr0")
        self.eflags = machine.register("eflags")
        self.sp = (prev.sp, next_.sp)
        self.ip = (prev.ip, next_.ip)
        self.stacks = ()

    def who(self, task):
        """Returns `prev`, `next`, or the name of another task."""
        if task is None:
            return "nobody"
        for name, known in (("prev", self.prev), ("next", self.next)):
            if task == known:
                return name
        return str(task)

    def draw(self, what, before=None):
        """Prints the moment for a person. `*` ends a line that is not as it was at the moment
        `before`. Returns the lines."""
        lines = list(self.lines())
        old = before or lines
        print("--- %s: %s" % (self.name, what))
        print("    eip %08x %s" % (self.eip, machine.place(self.eip)))
        for line in lines:
            print("    " + line.rstrip() + ("" if line in old else "  *"))
        return lines

    def lines(self):
        """Yields the lines of the drawing, but for the address of the instruction."""
        yield (
            "esp %08x on the stack of %s; top word %s"
            % (self.esp, self.who(self.owner), machine.word(self.top))
        )
        for name, task, sp, ip in zip(
            ("prev", "next"), (self.prev, self.next), self.sp, self.ip
        ):
            yield (
                "%s %-16s thread.sp %08x  thread.ip %s"
                % (name, task, sp, machine.place(ip))
            )
        yield (
            "current %s; by esp %s; eax %s"
            % (
                self.who(self.current),
                self.who(self.by_stack),
                self.who(machine.Task(self.eax))
                if self.eax in (self.prev.address, self.next.address)
                else "%08x" % self.eax,
            )
        )
        owner = {self.prev.sp0: "prev's", self.next.sp0: "next's"}.get(self.sp0, "another's")
        yield ("sp0 %08x (%s)  cr3 %08x  gs %04x base %08x"
              % (self.sp0, owner, self.cr3, self.gs, self.gs_base))
        for slot, descriptor in enumerate(self.tls):
            if descriptor.present:
                yield "GDT %d %s" % (machine.GDT_ENTRY_TLS_MIN + slot, descriptor)
        if self.stacks:
            yield "%-41s%s" % ("prev's kernel stack", "next's kernel stack")
            left, right = (list(stack.drawn(self.esp)) for stack in self.stacks)
            for row in range(max(len(left), len(right))):
                texts = [side[row] if row < len(side) else "" for side in (left, right)]
                yield "%-41s%s" % tuple(texts)

    def record(self):
        """Prints the moment for a program."""
        print(
            "switch-record "
            + json.dumps(
                {
                    "at": self.name,
                    "eip": self.eip,
                    "esp": self.esp,
                    "eax": self.eax,
                    "top": self.top,
                    "owner": self.who(self.owner),
                    "current": self.who(self.current),
                    "by_stack": self.who(self.by_stack),
                    "prev": self.prev.address,
                    "next": self.next.address,
                    "prev_sp": self.sp[0],
                    "next_sp": self.sp[1],
                    "prev_ip": self.ip[0],
                    "next_ip": self.ip[1],
                    "prev_sp0": self.prev.sp0,
                    "next_sp0": self.next.sp0,
                    "sp0": self.sp0,
                    "tls": [descriptor.raw for descriptor in self.tls],
                    "next_tls": wanted_tls(self.next),
                    "gs": self.gs,
                    "gs_base": self.gs_base,
                    "prev_gs": self.prev.gs,
                    "next_gs": self.next.gs,
                    "cr3": self.cr3,
                    "eflags": self.eflags,
                }
            )
        )

    def differences(self, before):
        """Yields the changes since another moment, by the numbers of the steps in `__switch_to`."""
        if self.sp0 != before.sp0:
            yield "2. load_sp0: sp0 = %08x" % self.sp0
        for slot, (now, was) in enumerate(zip(self.tls, before.tls)):
            # The processor sets the accessed bit when a selector is loaded: no step of the switch.
            if now.without_accessed() != was.without_accessed():
                yield "4. load_TLS: GDT %d = %s" % (machine.GDT_ENTRY_TLS_MIN + slot, now)
        if self.prev.gs != before.prev_gs:
            yield "3. lazy_save_gs: prev->thread.gs = %04x" % self.prev.gs
        if (self.gs, self.gs_base) != (before.gs, before.gs_base):
            yield "8. lazy_load_gs: gs = %04x, base %08x" % (self.gs, self.gs_base)
        if (self.cr0 ^ before.cr0) & 8:
            yield "1. or 7. FPU: CR0.TS = %d" % (self.cr0 >> 3 & 1)
        if self.current != before.current:
            yield "9. current_task = %s" % self.who(self.current)


def wanted_tls(task):
    """Returns a task's three descriptors, from its `thread.tls_array`."""
    address = task.address + machine.offset(machine.TASK_STRUCT, "thread", "tls_array")
    return [machine.read(address + 8 * slot, 8).hex() for slot in range(3)]


def stop_at(address, most=1):
    """Runs until this CPU is at an address."""
    breakpoint_ = gdb.Breakpoint("*0x%x" % address, gdb.BP_HARDWARE_BREAKPOINT, internal=True)
    breakpoint_.silent = True
    breakpoint_.thread = gdb.selected_thread().global_num if gdb.selected_thread() else None
    try:
        for _ in range(most):
            try:
                quietly("continue")
            except gdb.error as error:
                raise gdb.GdbError("the machine ended before that: %s" % error)
            if machine.register("eip") == address:
                return
    finally:
        if breakpoint_.is_valid():
            breakpoint_.delete()
    raise gdb.GdbError("the machine did not come to %s" % machine.place(address))


def stepi():
    """Executes one instruction. QEMU sometimes stops without having executed it."""
    before = machine.register("eip")
    for _ in range(4):
        quietly("stepi")
        if machine.register("eip") != before:
            break


def quietly(command):
    """Runs a command without announcing its stops."""
    gdb.execute("set suppress-cli-notifications on")
    try:
        gdb.execute(command, to_string=True)
    finally:
        gdb.execute("set suppress-cli-notifications off")


# The kinds of switch: each has a name and a test whether `next_` makes it one.
KINDS = {
    "any": lambda prev, next_, left_for: True,
    "new": lambda prev, next_, left_for: next_.ip != machine.symbol("switch_to_1"),
    "old": lambda prev, next_, left_for: next_.ip == machine.symbol("switch_to_1"),
    # Next ran before; it has prev's selector in gs, but other TLS descriptors.
    "tls": lambda prev, next_, left_for: (
        next_.gs == machine.register("gs") != 0
        and wanted_tls(prev) != wanted_tls(next_)
        and KINDS["old"](prev, next_, left_for)
    ),
    # Next once switched to a task other than the one that it comes back from. A new task may lie where
    # one that has ended lay.
    "last": lambda prev, next_, left_for: (
        left_for.get(next_.address, prev.address) != prev.address
        and KINDS["old"](prev, next_, left_for)
    ),
}
USAGE = "which switch? [%s [SKIP]]" % " | ".join(KINDS)


def find_switch(wanted, skip):
    """Runs to the start of a switch of this kind, after `skip` others; returns prev and next."""
    start = machine.symbol("switch_to")
    left_for = {}
    for number in range(MOST_SWITCHES):
        if number or machine.register("eip") != start:
            stop_at(start)
        prev, next_ = machine.Task(machine.register("eax")), machine.Task(machine.register("edx"))
        if KINDS[wanted](prev, next_, left_for):
            if skip == 0:
                return prev, next_
            skip -= 1
        left_for[prev.address] = next_.address
    raise gdb.GdbError("no such switch among %d" % MOST_SWITCHES)


def walk(wanted, skip, tell):
    """Steps through one switch, from its first instruction to the return, and reports each moment
    by `tell(moment, what)`."""
    prev, next_ = find_switch(wanted, skip)
    both = (stacks.Short(prev, machine.register("esp")), stacks.Short(next_))
    tell_plainly = tell

    def tell(moment, what):
        moment.stacks = both
        tell_plainly(moment, what)

    symbols = [(name, machine.symbol(symbol), what) for name, symbol, what in STEPS]
    tell(Moment("entry", prev, next_), "switch_to(%s, %s)" % (prev, next_))
    stop_at(symbols[0][1])
    for (name, address, what), (_, following, _) in zip(symbols, symbols[1:8]):
        if machine.register("eip") != address:
            raise gdb.GdbError("at %s, not at %s" % (machine.place(machine.register("eip")), name))
        stepi()
        tell(Moment(name, prev, next_), what)
        if name == "jmp":
            break
        if machine.register("eip") != following:
            raise gdb.GdbError("after %s: at %s" % (name, machine.place(machine.register("eip"))))
    inside(prev, next_, tell)
    arrived = machine.register("eip")
    if arrived != machine.symbol("switch_to_1"):
        tell(Moment("arrived", prev, next_), "a new task begins at %s" % machine.place(arrived))
        return
    tell(Moment("arrived", prev, next_), "ret went to label 1; eax = last")
    for name, _, what in symbols[7:9]:
        stepi()
        tell(Moment(name, prev, next_), what)
    for _ in range(3):
        stepi()
    tell(Moment("unspilled", prev, next_), "ebx, esi, edi are next's; ret goes to its caller")
    stepi()
    tell(Moment("returned", prev, next_), "back in %s" % machine.place(machine.register("eip")))


def inside(prev, next_, tell):
    """Steps through `__switch_to` until its `ret` has been executed."""
    target, slot = machine.u32(machine.register("esp")), machine.register("esp")
    before = None
    for _ in range(MOST_STEPS):
        now = Moment("__switch_to", prev, next_)
        now.prev_gs = prev.gs
        for difference in now.differences(before) if before else ():
            tell(now, difference)
        before = now
        if now.eip == target and now.esp == (slot + 4) & 0xFFFFFFFF:
            return
        stepi()
    raise gdb.GdbError("__switch_to did not return in %d instructions" % MOST_STEPS)


def parse(argument):
    words = argument.split()
    wanted = words[0] if words else "any"
    if wanted not in KINDS or len(words) > 2:
        raise gdb.GdbError(USAGE)
    try:
        return wanted, int(words[1]) if len(words) == 2 else 0
    except ValueError:
        raise gdb.GdbError(USAGE)


class SwitchStep(machine.Command):
    """switch-step [any | new | old | tls | last [SKIP]]: shows one switch, step by step.

    Runs to the next switch of a kind: to a new task; to one that ran before; to one with the same
    selector in gs and another TLS descriptor; or to one that comes back from a task other than the
    one it left for. SKIP passes over that many of them. After each instruction it shows both
    stacks, both thread_structs, sp0, GDT 6 to 8, gs, CR3, the target of `ret`, and last. `*` ends a
    line that has changed since the last stop."""

    def __init__(self):
        super().__init__("switch-step", gdb.COMMAND_RUNNING)

    def act(self, argument):
        before = None

        def tell(moment, what):
            nonlocal before
            before = moment.draw(what, before)

        walk(*parse(argument), tell)


class SwitchRecord(machine.Command):
    """switch-record [KIND [SKIP]]: like switch-step, as one JSON object a line."""

    def __init__(self):
        super().__init__("switch-record", gdb.COMMAND_RUNNING)

    def act(self, argument):
        walk(*parse(argument), lambda moment, what: moment.record())


class SwitchShow(machine.Command):
    """switch-show: the machine as it is now, with the task that runs as prev and as next."""

    def __init__(self):
        super().__init__("switch-show", gdb.COMMAND_DATA)

    def act(self, argument):
        task = machine.current()
        Moment("now", task, task).draw("stopped")


SwitchStep()
SwitchRecord()
SwitchShow()
