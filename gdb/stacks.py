"""What each word of a kernel stack is."""

import machine

# What lies at `thread.sp` of a task that has left by `switch_to`.
LEFT = ("ebp", "eflags", "edi", "esi", "ebx")
# What lies at `thread.sp` of a new task: `pt_regs`, as `copy_thread` made it.
PT_REGS = ("bx", "cx", "dx", "si", "di", "bp", "ax", "ds", "es", "fs", "gs", "orig_ax", "ip", "cs",
           "flags", "sp", "ss")
# Words above the frame of the function that switches, which are not shown.
MOST_WORDS = 40


class Stack:
    """A task's kernel stack, with a name for each word. `ebp` is that of the task's own frame: the
    register for a task that runs."""

    def __init__(self, task, ebp=None):
        self.task = task
        self.names = {}
        self.lowest = None
        if ebp is not None:
            self._frame(machine.register("esp"), ebp)
        elif task.ip == machine.symbol("switch_to_1"):
            for index, name in enumerate(LEFT):
                self.names[task.sp + 4 * index] = name
            above = task.sp + 4 * len(LEFT)
            self.names[above] = "return to " + _function(machine.u32(above))
            self._frame(above + 4, machine.u32(task.sp))
        else:
            for index, name in enumerate(PT_REGS):
                self.names[task.sp + 4 * index] = "pt_regs." + name
            self.end = task.sp + 4 * len(PT_REGS)

    def _frame(self, first, ebp):
        """Names the words of the function that switches."""
        if not self.task.owns(ebp) or ebp < first:
            self.end = first
            return
        function = _function(machine.u32(ebp + 4))
        for address in range(first, ebp, 4):
            self.names[address] = "of the caller's frame"
        self.names[ebp] = "the caller's ebp"
        self.names[ebp + 4] = "return to " + function
        self.end = min(ebp + 8, first + 4 * MOST_WORDS)

    def pushed(self, address, name):
        """Notes the name of a word that was pushed just now."""
        self.names[address] = name

    def popped(self, esp):
        """Forgets the names of words below the top."""
        for address in [address for address in self.names if address < esp]:
            del self.names[address]

    def words(self, low):
        """Yields the words from `low` on: address, value, name."""
        if not self.task.owns(low) or low >= self.end:
            return
        raw = machine.read(low, self.end - low)
        for at in range(0, len(raw), 4):
            value = int.from_bytes(raw[at:at + 4], "little")
            yield low + at, value, self.names.get(low + at, "in a callee's frame")


class Short:
    """The words of a kernel stack that concern the switch, as `switch-step` draws them: the registers
    saved by `switch_to` and what lies below them. `entry` is esp at the entry to `switch_to`, for the
    task that leaves."""

    def __init__(self, task, entry=None):
        self.task = task
        if entry is None and task.ip != machine.symbol("switch_to_1"):
            self.top, names = task.sp + 8, ("cx", "bx")
            self.names = {self.top - 4 * at: "pt_regs." + name for at, name in enumerate(names, 1)}
        else:
            self.top = (task.sp + 4 * len(LEFT) if entry is None else entry) + 4
            self.names = {self.top - 4: "return to " + _function(machine.u32(self.top - 4))}
            for at, name in enumerate(reversed(LEFT), 2):
                self.names[self.top - 4 * at] = name

    def drawn(self, esp):
        """Yields a text for each word, the highest first, as far down as the stack goes now."""
        low = esp if self.task.owns(esp) else self.task.sp
        if not self.task.owns(low) or self.top - low > 4 * MOST_WORDS:
            return
        if self.top <= low:
            yield "  %08x <- esp: all is popped" % low
            return
        for address in range(self.top - 4, low - 4, -4):
            value = machine.u32(address)
            name = self.names.get(address) or machine.place(value)
            text = "  %08x %s" % (address, name if name.startswith("return to ")
                                   else "%-8s %08x" % (name, value))
            points = [point for point, at in (("esp", esp), ("thread.sp", self.task.sp))
                      if at == address]
            yield text + (" <- " + ", ".join(points) if points else "")


def _function(address):
    return machine.place(address).split("+")[0].split("::")[-1]
