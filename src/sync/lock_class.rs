#![forbid(unsafe_code)]
//! The table of all locks: the data that each guards, its context, and the order of the locks.
//!
//! A lock belongs to a *class*, which its creation names. The table lists the classes in the only
//! order in which their locks may be taken: while a CPU holds a lock, it may wait only for locks of
//! classes further down. So no circle of CPUs can form in which each waits for the next one's lock.
//!
//! ```text
//!   Task   a `SpinLock`: waited for with interrupts on, never in an interrupt
//!   Any    an `IrqSpinLock`: interrupts are off while it is held; for whatever an interrupt wants,
//!          and for whatever is taken while such a lock is held
//! ```
//! The second half of the last line is easy to overlook. A lock that no interrupt takes may still
//! stop an interrupt, if the holder of the interrupt's lock waits for it. This cannot happen, since
//! CPUs wait for `Task` locks only with interrupts on. The lock checker compares every lock that is
//! taken with this table; `docs/locks.md` shows the table.
//!
//! Linux: 2.6.38 `kernel/lockdep.c` learns the order at run time; here a table fixes it.

/// The context in which locks of a class may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Context {
    /// Outside of interrupts, with interrupts on: a `SpinLock`.
    Task,
    /// Anywhere but in an NMI: an `IrqSpinLock`, or a lock word with interrupts off.
    Any,
}

/// Whether a CPU may hold several locks of one class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Several {
    /// A CPU holds at most one.
    No,
    /// A CPU may hold several, taken in the order of their addresses.
    ByAddress,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name of the class in the source.
    pub name: &'static str,
    /// The context in which its locks may be taken.
    pub context: Context,
    /// Whether a CPU may hold several.
    pub several: Several,
    /// The files or folders that create locks of the class.
    pub files: &'static [&'static str],
    /// The data that its locks guard.
    pub guards: &'static str,
}

macro_rules! lock_classes {
    ($($name:ident $context:ident $several:ident $files:expr, $guards:literal;)*) => {
        /// The class of a lock. A class further down has a greater number.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum LockClass {
            $(#[doc = $guards] $name,)*
        }

        /// All classes, in their order.
        pub const LOCK_CLASSES: &[LockClass] = &[$(LockClass::$name,)*];

        const ROWS: &[Row] = &[
            $(Row {
                name: stringify!($name),
                context: Context::$context,
                several: Several::$several,
                files: &$files,
                guards: $guards,
            },)*
        ];
    };
}

lock_classes! {
    SelftestFirst Task No ["src/selftest"], "nothing: the first lock of the checker's own cases";
    SelftestSecond Task No ["src/selftest"], "nothing: the second lock of the checker's own cases";
    Selftest Task No ["src/selftest", "src/tour"], "data that the tasks of a self-test or of the tour pass to each other";
    OutOfMemory Task No ["src/process/oom_kill.rs"], "the choice of the process that ends when memory is out";
    TaskFiles Task No ["src/task/task_struct.rs"], "a task's reference to its table of open files";
    TaskFs Task No ["src/task/task_struct.rs"], "a task's reference to its directory and mask";
    FilesTable Task No ["src/fs/files_struct.rs"], "a table of open files";
    FsInner Task No ["src/fs/files_struct.rs"], "a working directory and a mask";
    FilePosition Task No ["src/fs/file.rs"], "the position of an open file";
    TmpfsNames Task No ["src/fs/tmpfs/node.rs"], "the names in a directory of the tmpfs, and its place";
    FileLocks Task No ["src/fs/locks.rs"], "the locks on a file";
    FileLockWaits Task No ["src/fs/locks.rs"], "the tasks that wait for locks on files, and whose locks those are";
    TmpfsAttributes Task No ["src/fs/tmpfs/node.rs"], "owner, permissions and times of a node of the tmpfs";
    ProcText Task No ["src/fs/proc_file.rs"], "the text that an open file of /proc shows";
    Epoll Task No ["src/fs/epoll.rs"], "the files that an epoll list watches";
    EventCount Task No ["src/fs/eventfd.rs"], "the counter of an eventfd, and the tasks that wait";
    TimerFd Task No ["src/fs/timerfd.rs"], "the timer of a timerfd, and the tasks that wait";
    PipeState Task No ["src/fs/pipe.rs"], "a pipe's bytes, its ends, and the tasks that wait";
    PerfChildren Task No ["src/sched/hooks/perf_event.rs"], "the events that children of a counted task have inherited";
    PerfHome Task No ["src/sched/hooks/perf_event.rs"], "the task of a perf event, or its final counts";
    PerfGroup Task No ["src/sched/hooks/perf_event.rs"], "leader and siblings of a perf event";
    KcovState Task No ["src/fs/kcov.rs"], "the buffer of an open kcov file";
    TaskKcov Task No ["src/task/task_struct.rs"], "a task's reference to its coverage file";
    AllocLock Task No ["src/task/task_struct.rs"], "a task's reference to its address space, for others";
    MmLdt Task No ["src/mm/mm_struct.rs"], "an address space's LDT";
    MmMap Task No ["src/mm/mm_struct.rs"], "the areas and page tables of an address space";
    TmpfsPages Task No ["src/fs/tmpfs/pages.rs"], "size and pages of a file of the tmpfs";
    SmpCall Task No ["src/arch/x86/irq/smp.rs"], "the one call that other CPUs must run, until they have";
    TlbSlot Task No ["src/arch/x86/tlb_flush.rs"], "the one TLB flush that other CPUs must do, until they have";
    TraceOutput Any No ["src/trace/rings.rs"], "the port for trace records";
    TtyWindow Any No ["src/fs/tty.rs"], "the size of the terminal's window";
    TtyDiscipline Any No ["src/fs/tty.rs"], "the terminal's line, settings and input";
    MigrationRequests Any No ["src/sched/migration.rs"], "the tasks that a CPU's migration thread has to move";
    FutexBucket Any ByAddress ["src/syscall/futex_queue.rs"], "the sleepers of the futexes of one bucket";
    PosixTimers Any No ["src/process/process_timers.rs"], "a process's POSIX timers";
    Itimers Any No ["src/process/process_timers.rs"], "one of a process's interval timers";
    Tasklist Any No ["src/process/tasklist.rs"], "all tasks, by number, and their kinship, groups and sessions";
    Usage Any No ["src/process/signal.rs"], "the usage of ended threads and children of a process";
    Sighand Any No ["src/process/signal.rs"], "a process's reference to its table of signal actions";
    SigActions Any No ["src/process/signal.rs"], "a table of signal actions";
    TaskSignals Any No ["src/task/task_struct.rs"], "a task's blocked and pending signals, and its alternate stack";
    SharedPending Any No ["src/process/signal.rs"], "the pending signals of a process";
    LastSiginfo Any No ["src/task/traced.rs"], "the facts about the signal for which a traced task has stopped";
    Cred Any No ["src/task/task_struct.rs"], "a task's credentials";
    WaitQueue Any No ["src/sched/wait_queue.rs"], "the sleepers of a wait queue";
    PiLock Any No ["src/task/task_struct.rs"], "a task's wake-up, and the CPUs that it may run on";
    RunQueue Any ByAddress ["src/sched/rq.rs"], "a CPU's run queue, and the scheduler's part of its tasks; goes from prev to next";
    PerfEvents Any No ["src/task/task_struct.rs"], "a task's perf events";
    Timers Any No ["src/sched/timer.rs"], "a CPU's timers, or those by a CPU time";
    ThreadStacks Any No ["src/mm/thread_stack.rs"], "free kernel stacks";
    Heap Any No ["src/mm/heap.rs"], "the heap";
    Ioremap Any No ["src/mm/ioremap.rs"], "free addresses for device registers";
    Quicklist Any No ["src/mm/quicklist.rs"], "cleared page tables for the next use";
    Zone Any No ["src/mm/frame.rs"], "free page frames";
    IoApic Any No ["src/arch/x86/irq/ioapic.rs"], "the registers of the I/O APIC";
    Pic Any No ["src/drivers/pic.rs"], "the registers of the 8259s";
    Keyboard Any No ["src/drivers/i8042.rs"], "the keyboard and its controller";
    Port Any No ["src/drivers/serial.rs"], "the serial port";
    Screen Any No ["src/drivers/vga.rs"], "the text screen and the terminal that it shows";
}

impl LockClass {
    /// Returns the table's row for the class.
    pub const fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}
