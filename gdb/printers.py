"""How values print: what an atomic or a cell holds, names, flags, descriptors, selectors, lists.

`print/r` shows a value as it lies in memory."""

import os
import re

import gdb

import machine

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")


class Inside:
    """What has one thing in it prints as that thing."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        value = self.value
        # As deep as nothing else is beside it: an atomic holds a cell, that a number.
        while gdb.default_visualizer(value) is None or _is_wrapper(value.type):
            inner = _only_field(value)
            if inner is None:
                break
            value = inner
        return value


def _only_field(value):
    kind = value.type.strip_typedefs()
    if kind.code != gdb.TYPE_CODE_STRUCT:
        return None
    fields = [field for field in kind.fields() if field.type.sizeof == kind.sizeof]
    return value[fields[0]] if len(fields) == 1 else None


def _is_wrapper(kind):
    return WRAPPERS.match(str(kind.strip_typedefs())) is not None


class Comm:
    """The name of a task."""

    def __init__(self, value):
        self.value = value

    def display_hint(self):
        return "string"

    def to_string(self):
        name = machine.read(int(self.value.address), 16).split(b"\0")[0]
        return name.decode("ascii", "replace")


class Flags:
    """A word of flags, by the names that its source gives them."""

    def __init__(self, value, kind):
        self.value, self.kind = value, kind

    def to_string(self):
        number = machine.scalar(self.value)
        names, rest = [], number
        for name, bits in names_of(self.kind):
            if bits and number & bits == bits and rest & bits:
                names.append(name)
                rest &= ~bits
        if rest or not names:
            names.append("0x%x" % rest)
        return " | ".join(names)


_names = {}


def names_of(kind):
    """The constants of a type of flags, from the file that its path leads to."""
    if kind not in _names:
        *room, name = kind.split("::")[1:]
        try:
            with open(os.path.join(SOURCES, *room) + ".rs") as file:
                text = file.read()
        except OSError:
            text = ""
        body = re.search(r"pub struct %s: u\d+ \{(.*?)\n    \}" % name, text, re.DOTALL)
        found = re.findall(r"const (\w+) = ([0-9a-fxb_<| ()]+);", body.group(1) if body else "")
        found += re.findall(
            r"const (\w+): %s = %s::from_bits\w*\(([0-9a-fxb_<| ()]+)\);" % (name, name), text
        )
        _names[kind] = [(constant, eval(number, {})) for constant, number in found if constant != "_"]
    return _names[kind]


class Descriptor:
    """A segment descriptor."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return str(machine.Descriptor(machine.read(int(self.value.address), 8)))


class Selector:
    """A segment selector: its entry, its table, its privilege level."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        number = machine.scalar(self.value)
        table = "LDT" if number & 4 else "GDT"
        return "0x%x (%s %d, ring %d)" % (number, table, number >> 3, number & 3)


class List:
    """A list of tasks or others: how many links it has, and where they lie."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        first = int(self.value["first"])
        links, at = [], first
        while at and len(links) < 64:
            links.append("0x%x" % at)
            at = machine.u32(at)
            if at == first:
                break
        return "%d links: %s" % (len(links), " ".join(links)) if links else "empty"


WRAPPERS = re.compile(
    r"^core::(sync::atomic::Atomic|cell::(Unsafe|SyncUnsafe)?Cell<|ptr::non_null::NonNull<"
    r"|mem::manually_drop::ManuallyDrop<|num::niche_types::|num::nonzero::NonZero<)"
)
ATOMIC_FLAGS = re.compile(r"^switch_to::base::flags::AtomicFlags<(.*)>$")
BY_NAME = {
    "switch_to::task::comm::TaskComm": Comm,
    "switch_to::task::comm::Comm": Comm,
    "switch_to::hw::desc::DescStruct": Descriptor,
    "switch_to::hw::desc::Selector": Selector,
    "switch_to::sync::list::List": List,
}


def printer(value):
    """The printer of a value, if it has one."""
    kind = value.type.strip_typedefs()
    if kind.code != gdb.TYPE_CODE_STRUCT:
        return None
    name = str(kind)
    if name in BY_NAME:
        return BY_NAME[name](value)
    if WRAPPERS.match(name):
        return Inside(value)
    atomic = ATOMIC_FLAGS.match(name)
    flags = atomic.group(1) if atomic else name
    if flags.startswith("switch_to::") and names_of(flags):
        return Flags(value, flags)
    return None


gdb.pretty_printers.insert(0, printer)
