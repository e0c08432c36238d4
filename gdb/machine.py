"""CPUs, tasks and stacks, read from memory and registers.

Each call reads everything afresh, so the result is right wherever the machine is
stopped, even in the middle of a switch.
"""

import functools
import re
import struct

import gdb

THREAD_SIZE = 8192
TASK_STRUCT = "switch_to::task::task_struct::TaskStruct"
TASKLIST = "switch_to::process::tasklist::TASKLIST"
PER_CPU = "switch_to::base::percpu::PerCpu"
RQ = "switch_to::sched::rq::Rq"
GDT_ENTRY_TLS_MIN = 6
TASK_STATES = {0: "R", 1: "S", 2: "D"}


class Unready(gdb.GdbError):
    """The kernel has not booted far enough to answer."""


class Command(gdb.Command):
    """A command whose errors are one sentence."""

    def invoke(self, argument, from_tty):
        try:
            self.act(argument)
        except gdb.error as error:
            if gdb.selected_thread() is None:
                raise gdb.GdbError(GONE)
            raise gdb.GdbError(str(error))


GONE = "no machine is attached, or it has ended: `just debug` starts one, `just gdb` attaches to it"


_symbols = {}


def symbol(name):
    """Returns the value of a symbol, from the ELF file's own table: gdb's expressions take
    `switch_to` for the crate of that name, and do not fully support absolute symbols."""
    filename = gdb.current_progspace().filename
    if filename is None:
        raise Unready("no kernel is loaded: `file target/i686-kernel/debug/switch_to`")
    if filename not in _symbols:
        _symbols[filename] = _read_symbols(filename)
    if name not in _symbols[filename]:
        raise gdb.GdbError("the kernel has no symbol %s" % name)
    return _symbols[filename][name]


def _read_symbols(filename):
    with open(filename, "rb") as file:
        elf = file.read()
    headers, = struct.unpack_from("<I", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 46)
    sections = [struct.unpack_from("<10I", elf, headers + size * index) for index in range(count)]
    symbols = {}
    for _, kind, _, _, offset, length, link, _, _, entry in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        strings = sections[link][4]
        for at in range(offset, offset + length, entry):
            name, value = struct.unpack_from("<II", elf, at)
            name = elf[strings + name:elf.index(b"\0", strings + name)].decode()
            symbols[name] = value
    return symbols


@functools.lru_cache(maxsize=None)
def place(address):
    """Returns an address as `function+0x12`, as a step of the switch, or as a number."""
    text = gdb.execute("info symbol 0x%x" % address, to_string=True)
    if text.startswith("No symbol"):
        return "0x%08x" % address
    text = text.split(" in section")[0].replace(" + ", "+").strip()
    if text.startswith("switch_to+"):
        # gdb prefers a symbol with a size to the symbols inside it.
        text = _steps().get(address, text)
    return re.sub(r"\[[0-9a-f]{16}\]", "", text)


def word(value):
    """Returns a word of a stack as text: its value, and the name of its target if there is one."""
    name = place(value)
    return "%08x" % value if name.startswith("0x") else "%08x %s" % (value, name)


def _steps():
    """Returns the symbols of the sequence by their addresses."""
    symbol("switch_to")
    symbols = _symbols[gdb.current_progspace().filename]
    return {at: name for name, at in symbols.items() if name.startswith("switch_to_")}


# Blocks of memory by address, as they are until the machine goes on: each read of its own is a packet.
BLOCK = 1024
_blocks = {}


def read(address, length):
    """Returns bytes of linear memory."""
    first = address // BLOCK
    if address // BLOCK == (address + length - 1) // BLOCK:
        if first not in _blocks:
            try:
                _blocks[first] = _read(first * BLOCK, BLOCK)
            except gdb.MemoryError:
                _blocks[first] = None
        if _blocks[first] is not None:
            at = address - first * BLOCK
            return _blocks[first][at:at + length]
    try:
        return _read(address, length)
    except gdb.MemoryError:
        raise Unready("nothing is mapped at %08x: has the kernel come so far?" % address)


def _read(address, length):
    return bytes(gdb.selected_inferior().read_memory(address, length))


def _forget(_):
    _blocks.clear()


gdb.events.cont.connect(_forget)
gdb.events.memory_changed.connect(_forget)
gdb.events.new_objfile.connect(_forget)


def u32(address):
    """Returns a word of linear memory."""
    return struct.unpack("<I", read(address, 4))[0]


def register(name):
    """Returns a register of the selected CPU."""
    if gdb.selected_thread() is None:
        raise Unready(GONE)
    return int(gdb.selected_frame().read_register(name)) & 0xFFFFFFFF


def _rust(expression):
    """Returns the value of a Rust expression."""
    language = gdb.parameter("language")
    gdb.execute("set language rust", to_string=True)
    try:
        return gdb.parse_and_eval(expression)
    finally:
        gdb.execute("set language " + language, to_string=True)


def find_field(value, name):
    """Returns the field with a name, in `value` or in a structure inside it; in an enum, only its
    present variant counts."""
    if value.type.strip_typedefs().code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return None
    fields = [field for field in value.type.fields() if field.name is not None]
    for field in fields:
        if field.name == name:
            return value[field]
    for field in fields:
        try:
            found = find_field(value[field], name)
        except gdb.error:
            continue  # not the present variant
        if found is not None:
            return found
    return None


def scalar(value):
    """Returns the number inside an atomic, a cell, or any type with one field that is not empty."""
    kind = value.type.strip_typedefs()
    while kind.code == gdb.TYPE_CODE_STRUCT:
        fields = [field for field in kind.fields() if field.type.sizeof == kind.sizeof]
        if not fields:
            raise gdb.GdbError("%s holds no single number" % value.type)
        value = value[fields[0]]
        kind = value.type.strip_typedefs()
    return int(value)


@functools.lru_cache(maxsize=None)
def offset(kind, *names):
    """Returns the offset of a field in a type, by the names on the way to it."""
    at = 0xC0000000
    value = gdb.Value(at).cast(gdb.lookup_type(kind).pointer()).dereference()
    for name in names:
        value = find_field(value, name)
        if value is None:
            raise gdb.GdbError("%s has no field %s" % (kind, ".".join(names)))
    return int(value.address) - at


def field(kind, address, *names):
    """Returns a word of a structure in memory."""
    return u32(address + offset(kind, *names))


def area(number=None):
    """Returns the address of a CPU's own area."""
    number = cpu() if number is None else number
    address = u32(symbol("__per_cpu_offset") + 4 * number)
    if address == 0:
        raise Unready("CPU %d has no per-CPU area yet" % number)
    return address


def cpu():
    """Returns the number of the selected CPU; to gdb each CPU is a thread."""
    thread = gdb.selected_thread()
    if thread is None:
        raise Unready(GONE)
    return thread.num - 1


def per_cpu(number=None):
    """Returns a CPU's own area."""
    pointer = gdb.lookup_type(PER_CPU).pointer()
    return gdb.Value(area(number)).cast(pointer).dereference()


class Descriptor:
    """The parts of a segment descriptor."""

    def __init__(self, raw):
        low, high = struct.unpack("<II", raw)
        self.raw = raw.hex()
        self.base = low >> 16 | (high & 0xFF) << 16 | high & 0xFF000000
        self.limit = low & 0xFFFF | high & 0xF0000
        if high & 1 << 23:
            self.limit = self.limit << 12 | 0xFFF
        self.present = bool(high & 1 << 15)

    def without_accessed(self):
        """Returns the raw bytes with the accessed bit clear."""
        raw = bytearray.fromhex(self.raw)
        raw[5] &= ~1
        return bytes(raw)

    def __str__(self):
        if not self.present:
            return "empty"
        return "base %08x limit %x" % (self.base, self.limit)


def tls(number=None):
    """Returns descriptors 6, 7 and 8 of a CPU's GDT."""
    gdt = area(number) + offset(PER_CPU, "gdt_page")
    return [Descriptor(read(gdt + 8 * (GDT_ENTRY_TLS_MIN + slot), 8)) for slot in range(3)]


def tss_sp0(number=None):
    """Returns `sp0` of a CPU's TSS."""
    return field(PER_CPU, area(number), "tss", "sp0")


class Task:
    """A `task_struct`."""

    def __init__(self, address):
        self.address = address
        pointer = gdb.lookup_type(TASK_STRUCT).pointer()
        self.value = gdb.Value(address).cast(pointer).dereference()

    def __eq__(self, other):
        return isinstance(other, Task) and self.address == other.address

    def __hash__(self):
        return self.address

    def word(self, *names):
        """Returns a word of it, by the names of the fields that lead there."""
        return field(TASK_STRUCT, self.address, *names)

    @property
    def pid(self):
        return self.word("pid")

    @property
    def tgid(self):
        return self.word("tgid")

    @property
    def sp(self):
        return u32(self.address + symbol("THREAD_SP"))

    @property
    def ip(self):
        return u32(self.address + symbol("THREAD_IP"))

    @property
    def sp0(self):
        return self.word("thread", "sp0")

    @property
    def gs(self):
        return self.word("thread", "gs")

    @property
    def stack(self):
        """The lowest address of its kernel stack."""
        return self.word("stack")

    @property
    def mm(self):
        return self.word("mm")

    @property
    def active_mm(self):
        return self.word("active_mm")

    @property
    def on_cpu(self):
        return self.word("on_cpu") != 0

    @property
    def state(self):
        if self.word("exit_state"):
            return "Z"
        state = self.word("state")
        return TASK_STATES.get(state, "X" if state else "R")

    @property
    def comm(self):
        """The name of the task."""
        name = read(self.address + offset(TASK_STRUCT, "comm"), 16).split(b"\0")[0]
        return name.decode("ascii", "replace") or "?"

    def owns(self, address):
        """Returns whether an address lies in its kernel stack."""
        return self.stack <= address < self.stack + THREAD_SIZE

    def __str__(self):
        return "%s[%d]" % (self.comm, self.pid)


def current(number=None):
    """Returns the task in the per-CPU `current_task`."""
    address = field(PER_CPU, area(number), "current_task")
    if address == 0:
        raise Unready("no task runs yet")
    return Task(address)


def running():
    """Yields the task that each CPU runs."""
    for number in range(8):
        try:
            yield current(number)
        except Unready:
            pass


def thread_info_task(esp):
    """Returns the book's `current`: the task that the foot of a stack names, or None."""
    address = u32(esp & ~(THREAD_SIZE - 1))
    return Task(address) if address >= 0xC0000000 else None


def tasks():
    """Returns every task: the idle task of each CPU, then those on the task list by number."""
    seen = []
    for number in range(8):
        try:
            address = scalar(per_cpu(number)["this_rq"])
            queue = gdb.Value(address).cast(gdb.lookup_type(RQ).pointer())
            idle = scalar(find_field(queue.dereference(), "idle"))
        except (Unready, TypeError):
            continue
        if idle:
            seen.append(Task(idle))
    seen.extend(Task(address) for address in _listed(find_field(_rust(TASKLIST), "pids")))
    return seen


def _listed(pids):
    """Yields the task of each number that has one. Numbers lie in leaves: vectors, which are empty
    if no number in them is in use."""
    leaves = find_field(pids, "leaves")
    if leaves is None:
        raise gdb.GdbError("the task list is not laid out as expected")
    for index in range(leaves.type.range()[1] + 1):
        leaf = leaves[index]
        length = int(find_field(leaf, "len"))
        if length == 0:
            continue
        number = leaf.type.strip_typedefs().template_argument(0).pointer()
        numbers = gdb.Value(scalar(find_field(leaf, "ptr"))).cast(number)
        for slot in range(length):
            task = find_field(find_field(numbers[slot], "task"), "task")
            if task is not None:
                yield scalar(task)


def stack_owner(esp, known=()):
    """Returns the task whose kernel stack has an address: one of `known`, any other, or None."""
    for task in known:
        if task.owns(esp):
            return task
    return next((task for task in tasks() if task.owns(esp)), None)


def frames(task, most=32):
    """Yields the return addresses of a task that does not run. At `thread.sp` of a task that has
    run lie ebp, EFLAGS, edi, esi, ebx and the return address of `switch_to`; each frame leads to
    the one before."""
    yield task.ip
    if task.ip != symbol("switch_to_1"):
        return
    yield u32(task.sp + 20)
    ebp = u32(task.sp)
    for _ in range(most):
        if not task.owns(ebp) or ebp % 4:
            return
        yield u32(ebp + 4)
        ebp = u32(ebp)
