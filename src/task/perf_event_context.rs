#![forbid(unsafe_code)]
//! `perf_event_context`: the events of one task, and what each has counted.
//!
//! Times are counts of the time-stamp counter; who reads them converts. An event is *enabled* or
//! not by its owner's word, and *active* while it is enabled, its group's leader is, the task runs,
//! and runs on the CPU that the event asks for. Only active events count.
//!
//! ```text
//!              sched_out                    sched_in
//!   on a CPU -------------> on no CPU ------------------> on a CPU
//!    clocks go               clocks stand                  clocks go
//!    a switch is counted                                   a migration is, if the CPU is another
//! ```
//! The switch counts for the task, not for each of its events: it costs the same however many there are. An
//! event remembers the task's sums of the moment when it began to count, and takes the difference when it is
//! read, or ends to count.
//!
//! Generic over what stands for the event, so that it is the same on a host.
//!
//! Called by the switch, by page faults and by who reads, with the task's own lock held.
//!
//! Linux: 5.4 `struct perf_event_context`, `kernel/events/core.c`.

use alloc::vec::Vec;

use super::perf_attr::{PerfEventAttr, SwEvent};
use crate::base::errno::Errno;

/// What an event has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Occurrences; cycles, for a clock.
    pub count: u64,
    /// Cycles that the task ran while the event was enabled.
    pub time_enabled: u64,
    /// Cycles that the event was active.
    pub time_running: u64,
}

impl Counts {
    /// Adds what another event has counted. What is full goes on at 0.
    pub fn add(&mut self, other: Self) {
        self.count = self.count.wrapping_add(other.count);
        self.time_enabled = self.time_enabled.wrapping_add(other.time_enabled);
        self.time_running = self.time_running.wrapping_add(other.time_running);
    }
}

/// One event of a task.
#[derive(Clone)]
pub struct Slot<E> {
    /// What stands for it.
    pub event: E,
    /// Its number, and that of its group's leader.
    pub id: u64,
    /// Its own number if it leads.
    pub leader: u64,
    /// Counts by its owner's word.
    pub enabled: bool,
    /// The next exec enables it.
    pub enable_on_exec: bool,
    what: SwEvent,
    cpu: Option<u32>,
    exclude_user: bool,
    exclude_kernel: bool,
    /// Until the sums were as `seen`.
    counts: Counts,
    seen: Seen,
    /// Enabled, and so is the leader of its group.
    is_counting: bool,
}

/// What concerns an event of the sums of its task.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Time that the task ran.
    time: u64,
    /// Time that it ran where the event counts.
    time_here: u64,
    /// Occurrences there; time, for a clock.
    count: u64,
}

/// What has happened to a task, on one CPU or on all.
#[derive(Clone, Copy, Default)]
struct Sums {
    time: u64,
    /// By event: in the kernel, in ring 3.
    events: [[u64; 2]; SwEvent::COUNT],
}

/// CPUs that there may be.
const CPUS: usize = 8;
/// All of them, and each.
const PLACES: usize = CPUS + 1;

/// Where the sums of a CPU are; those of all are first.
fn place_of(cpu: u32) -> usize {
    (cpu as usize).saturating_add(1)
}

impl<E> Slot<E> {
    /// An event that has counted nothing yet; with `cpu`, it counts on that one only.
    pub fn new(
        event: E,
        id: u64,
        leader: u64,
        attr: &PerfEventAttr,
        what: SwEvent,
        cpu: Option<u32>,
    ) -> Self {
        Self {
            event,
            id,
            leader,
            enabled: !attr.disabled(),
            enable_on_exec: attr.enable_on_exec(),
            what,
            cpu,
            exclude_user: attr.exclude_user(),
            exclude_kernel: attr.exclude_kernel(),
            counts: Counts::default(),
            seen: Seen::default(),
            is_counting: false,
        }
    }

    /// Which of the sums it counts.
    fn place(&self) -> usize {
        self.cpu.map_or(0, place_of)
    }

    /// What the sums are for this event.
    fn look(&self, sums: &[Sums]) -> Seen {
        let of = |at: usize| sums.get(at).copied().unwrap_or_default();
        let here = of(self.place());
        let [kernel, user] = here.events[self.what as usize];
        let occurrences = match (self.exclude_kernel, self.exclude_user) {
            (false, false) => kernel.wrapping_add(user),
            (false, true) => kernel,
            (true, false) => user,
            (true, true) => 0,
        };
        Seen {
            time: of(0).time,
            time_here: here.time,
            count: match self.what.is_clock() {
                true => here.time,
                false => occurrences,
            },
        }
    }

    /// Takes what has been counted since the last look.
    fn settle(&mut self, sums: &[Sums]) {
        let now = self.look(sums);
        let before = core::mem::replace(&mut self.seen, now);
        if self.is_counting {
            self.counts.add(Counts {
                count: now.count.wrapping_sub(before.count),
                time_enabled: now.time.wrapping_sub(before.time),
                time_running: now.time_here.wrapping_sub(before.time_here),
            });
        }
    }

    /// Begins at 0 again; the times stay.
    pub fn reset(&mut self) {
        self.counts.count = 0;
    }
}

/// All events of a task.
pub struct PerfEventContext<E> {
    /// In the order of their numbers.
    slots: Vec<Slot<E>>,
    /// Of all CPUs, then of each. Empty until the first event came.
    sums: Vec<Sums>,
    /// Where the task runs, if it does.
    cpu: Option<u32>,
    /// Until when all times are counted.
    since: u64,
    /// `nr_migrations` of the task when it was last looked at; none if it has never run.
    migrations: Option<u32>,
}

impl<E> PerfEventContext<E> {
    /// No events.
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            sums: Vec::new(),
            cpu: None,
            since: 0,
            migrations: None,
        }
    }

    /// Room for one more. ENOMEM.
    pub fn reserve(&mut self) -> Result<(), Errno> {
        let sums = PLACES.saturating_sub(self.sums.len());
        let reserved = self
            .slots
            .try_reserve(1)
            .and(self.sums.try_reserve_exact(sums));
        reserved.map_err(|_| Errno::ENOMEM)
    }

    /// The events.
    pub fn slots(&self) -> &[Slot<E>] {
        &self.slots
    }

    /// The task leaves its CPU.
    pub fn sched_out(&mut self, now: u64, migrations: u32) {
        debug_assert!(
            self.slots.is_empty() || self.cpu.is_some(),
            "BUG: perf_event_task_sched_out of a task that is out"
        );
        self.update(now);
        self.sw_event(SwEvent::ContextSwitches, 1, false);
        self.cpu = None;
        self.migrations = Some(migrations);
    }

    /// The task comes onto `cpu`.
    pub fn sched_in(&mut self, now: u64, cpu: u32, migrations: u32) {
        debug_assert!(
            self.slots.is_empty() || self.cpu.is_none(),
            "BUG: perf_event_task_sched_in of a task that is in"
        );
        self.since = now;
        self.cpu = Some(cpu);
        // Where a new task begins is no migration.
        let before = self.migrations.replace(migrations).unwrap_or(migrations);
        let moved = migrations.wrapping_sub(before);
        self.sw_event(SwEvent::CpuMigrations, u64::from(moved), false);
    }

    /// `what` has happened `times` to the task, which runs; in ring 3 if `user`.
    pub fn sw_event(&mut self, what: SwEvent, times: u64, user: bool) {
        self.add(|sums| {
            let count = &mut sums.events[what as usize][usize::from(user)];
            *count = count.wrapping_add(times);
        });
    }

    /// Counts all times until `now`.
    pub fn update(&mut self, now: u64) {
        let passed = now.saturating_sub(self.since);
        self.since = now;
        self.add(|sums| sums.time = sums.time.wrapping_add(passed));
    }

    /// Adds to the sums of all CPUs and of the one that the task runs on, if it runs.
    fn add(&mut self, add: impl Fn(&mut Sums)) {
        let Some(cpu) = self.cpu else { return };
        for at in [0, place_of(cpu)] {
            if let Some(sums) = self.sums.get_mut(at) {
                add(sums);
            }
        }
    }

    /// Adds an event. With the first one, `cpu` and `migrations` say what the task does now.
    pub fn install(
        &mut self,
        mut slot: Slot<E>,
        now: u64,
        cpu: Option<u32>,
        migrations: Option<u32>,
    ) {
        if self.slots.is_empty() {
            (self.cpu, self.migrations, self.since) = (cpu, migrations, now);
            self.sums.resize(PLACES, Sums::default());
        }
        self.update(now);
        slot.is_counting = false;
        slot.settle(&self.sums);
        let at = self.slots.partition_point(|other| other.id < slot.id);
        self.slots.insert(at, slot);
        self.decide(at);
    }

    /// Takes an event out, and says what it has counted. If it led a group, the others go on alone.
    pub fn remove(&mut self, id: u64, now: u64) -> Option<(Slot<E>, Counts)> {
        self.update(now);
        let at = self.find(id)?;
        let mut slot = self.slots.remove(at);
        slot.settle(&self.sums);
        self.each_member(id, |member| member.leader = member.id);
        if self.slots.is_empty() {
            self.cpu = None;
        }
        let counts = slot.counts;
        Some((slot, counts))
    }

    /// What an event has counted until `now`.
    pub fn read(&mut self, id: u64, now: u64) -> Option<Counts> {
        self.update(now);
        let at = self.find(id)?;
        let slot = self.slots.get_mut(at)?;
        slot.settle(&self.sums);
        Some(slot.counts)
    }

    /// Lets `change` change an event, after its times until `now` were counted.
    pub fn change(&mut self, id: u64, now: u64, change: impl FnOnce(&mut Slot<E>)) {
        self.update(now);
        let Some(at) = self.find(id) else { return };
        let slot = &mut self.slots[at];
        slot.settle(&self.sums);
        let was_enabled = slot.enabled;
        change(slot);
        let leads = slot.leader == id && slot.enabled != was_enabled;
        self.decide(at);
        if leads {
            self.each_member(id, |_| ());
        }
    }

    /// The task has executed a program.
    pub fn exec(&mut self, now: u64) {
        self.update(now);
        for slot in &mut self.slots {
            slot.settle(&self.sums);
            slot.enabled |= core::mem::take(&mut slot.enable_on_exec);
        }
        (0..self.slots.len()).for_each(|at| self.decide(at));
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.slots.binary_search_by_key(&id, |slot| slot.id).ok()
    }

    /// Changes each other event of the group of `leader`, which has changed, after it was settled.
    fn each_member(&mut self, leader: u64, change: impl Fn(&mut Slot<E>)) {
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            if slot.leader == leader && slot.id != leader {
                slot.settle(&self.sums);
                change(slot);
                self.decide(at);
            }
        }
    }

    /// Whether an event that is settled counts from now on: it is enabled, and so is the leader of its group.
    fn decide(&mut self, at: usize) {
        let Some(slot) = self.slots.get(at) else {
            return;
        };
        let leader = self
            .find(slot.leader)
            .and_then(|leader| self.slots.get(leader));
        let is_counting = slot.enabled && leader.is_none_or(|leader| leader.enabled);
        self.slots[at].is_counting = is_counting;
    }
}

impl<E> Default for PerfEventContext<E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "perf_event_context_tests.rs"]
mod tests;
