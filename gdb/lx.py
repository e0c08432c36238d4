"""Commands and functions with the names that Linux's own gdb scripts use."""

import gdb

import machine


class LxPs(machine.Command):
    """lx-ps: every task, by number.

    `*` marks what runs on a CPU. STATE is R, S, D, Z or X; SP and IP are thread.sp and
    thread.ip, which mean something only for a task that does not run."""

    def __init__(self):
        super().__init__("lx-ps", gdb.COMMAND_DATA)

    def act(self, argument):
        print("    TASK        PID  TGID STATE STACK     SP        IP                  COMM")
        for task in machine.tasks():
            print(
                "  %s %08x %5d %5d   %s   %08x  %08x  %-18s  %s"
                % (
                    "*" if task.on_cpu else " ",
                    task.address,
                    task.pid,
                    task.tgid,
                    task.state,
                    task.stack,
                    task.sp,
                    machine.place(task.ip),
                    task.comm,
                )
            )


class LxBt(machine.Command):
    """lx-bt PID: back-trace of a task: from its saved ebp if it does not run; as `bt` does if it
    runs here."""

    def __init__(self):
        super().__init__("lx-bt", gdb.COMMAND_STACK)

    def act(self, argument):
        try:
            pid = int(argument)
        except ValueError:
            raise gdb.GdbError("lx-bt PID")
        task = next((task for task in machine.tasks() if task.pid == pid), None)
        if task is None:
            raise gdb.GdbError("no task has the number %d" % pid)
        if task == machine.current():
            gdb.execute("bt")
            return
        if any(task == other for other in machine.running()):
            raise gdb.GdbError("%s runs on another CPU: choose its thread, then `bt`" % task)
        for number, address in enumerate(machine.frames(task)):
            print("#%-2d %08x in %s" % (number, address, machine.place(address)))


class LxCurrent(gdb.Function):
    """$lx_current([CPU]): the task_struct of the task on a CPU, from the per-CPU current_task."""

    def __init__(self):
        super().__init__("lx_current")

    def invoke(self, cpu=-1):
        return machine.current(None if int(cpu) < 0 else int(cpu)).value


class LxPerCpu(gdb.Function):
    """$lx_per_cpu("FIELD"[, CPU]): a field of a CPU's own area.

    Write b"FIELD" in the language Rust, which `just gdb` selects: gdb would store a plain string in
    the machine."""

    def __init__(self):
        super().__init__("lx_per_cpu")

    def invoke(self, name, cpu=-1):
        area = machine.per_cpu(None if int(cpu) < 0 else int(cpu))
        name = text(name)
        field = machine.find_field(area, name)
        if field is None:
            raise gdb.GdbError("the per-CPU area has no field %s" % name)
        return field


def text(value):
    """Returns a string that was typed, in the syntax of C or of Rust."""
    try:
        return value.string()
    except gdb.error:
        return value.format_string().lstrip("b").strip('"')


class LxThreadInfo(gdb.Function):
    """$lx_thread_info([TASK]): the thread_info at the foot of a task's stack; without TASK, of
    the stack that esp is on."""

    def __init__(self):
        super().__init__("lx_thread_info")

    def invoke(self, task=None):
        if task is None:
            foot = machine.register("esp") & ~(machine.THREAD_SIZE - 1)
        else:
            foot = int(task["stack"])
        kind = gdb.lookup_type("switch_to::base::thread_info::ThreadInfo")
        return gdb.Value(foot).cast(kind.pointer()).dereference()


class LxTaskByPid(gdb.Function):
    """$lx_task_by_pid(PID): the task_struct with a number."""

    def __init__(self):
        super().__init__("lx_task_by_pid")

    def invoke(self, pid):
        for task in machine.tasks():
            if task.pid == int(pid):
                return task.value
        raise gdb.GdbError("no task has the number %d" % int(pid))


LxPs()
LxBt()
LxCurrent()
LxPerCpu()
LxThreadInfo()
LxTaskByPid()
