#![forbid(unsafe_code)]
//! `perf_event_context`: the events of one task, and their counts.
//!
//! Times are counts of the time-stamp counter, which readers convert. The owner *enables* an event.
//! An event is *active* while it and its group's leader are enabled and the task runs, on the CPU
//! that the event names, if any. Only active events count.
//!
//! ```text
//!              sched_out                    sched_in
//!   on a CPU -------------> on no CPU ------------------> on a CPU
//!    clocks go               clocks stand                  clocks go
//!    a switch is counted                                   a migration is, if the CPU is another
//! ```
//! The switch counts for the task, not for each of its events, so its cost does not depend on their
//! number. An event remembers the task's sums from the moment when it began to count, and takes the
//! difference when it is read or stops counting.
//!
//! Generic over the type of the event, so that it also runs on a host.
//!
//! The switch, page faults and readers call it, with the task's own lock held.
//!
//! Linux: 5.4 `struct perf_event_context`, `kernel/events/core.c`.

use alloc::vec::Vec;

use super::perf_attr::{PerfEventAttr, SwEvent};
use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;

/// The counts of an event.
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
    /// Adds the counts of another event. Sums wrap to 0.
    pub fn add(&mut self, other: Self) {
        self.count = self.count.wrapping_add(other.count);
        self.time_enabled = self.time_enabled.wrapping_add(other.time_enabled);
        self.time_running = self.time_running.wrapping_add(other.time_running);
    }
}

/// One event of a task.
#[derive(Clone)]
pub struct Slot<E> {
    /// The event itself.
    pub event: E,
    /// The number of the event.
    pub id: u64,
    /// The number of the group's leader, which may be the event itself.
    pub leader: u64,
    /// Whether the owner has enabled the event.
    pub enabled: bool,
    /// Whether the next exec enables the event.
    pub enable_on_exec: bool,
    what: SwEvent,
    cpu: Option<u32>,
    exclude_user: bool,
    exclude_kernel: bool,
    /// The counts at the time of `seen`.
    counts: Counts,
    seen: Seen,
    /// Whether both the event and the leader of its group are enabled.
    is_counting: bool,
}

/// The part of a task's sums that concerns one event.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Time that the task ran, on any CPU.
    time: u64,
    /// Time that the task ran on a CPU where the event counts.
    time_here: u64,
    /// Occurrences on such a CPU; time, for a clock.
    count: u64,
}

/// The sums of a task, on one CPU or on all.
#[derive(Clone, Copy, Default)]
struct Sums {
    time: u64,
    /// For each kind of event: occurrences in the kernel, and in ring 3.
    events: [[u64; 2]; SwEvent::COUNT],
}

/// Greatest number of CPUs.
const CPUS: usize = 8;
/// Number of sums: one for all CPUs, and one for each.
const PLACES: usize = CPUS + 1;

/// Returns the index of the sums of a CPU; those of all CPUs come first.
fn place_of(cpu: u32) -> usize {
    (cpu as usize).saturating_add(1)
}

impl<E> Slot<E> {
    /// Returns an event that has counted nothing yet; with `cpu`, it counts only on that CPU.
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

    /// Returns the index of the sums that the event counts.
    fn place(&self) -> usize {
        self.cpu.map_or(0, place_of)
    }

    /// Returns the part of the sums that concerns this event.
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

    /// Adds the sums' growth since the last look to the counts.
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

    /// Resets the count to 0; the times stay.
    pub fn reset(&mut self) {
        self.counts.count = 0;
    }
}

/// All events of a task.
pub struct PerfEventContext<E> {
    /// The events in the order of their numbers.
    slots: Vec<Slot<E>>,
    /// The sums of all CPUs, then of each. Empty until the first event.
    sums: Vec<Sums>,
    /// The CPU on which the task runs, if it runs.
    cpu: Option<u32>,
    /// The time up to which all times are counted.
    since: u64,
    /// `nr_migrations` of the task at the last look; `None` if it has never run.
    migrations: Option<u32>,
}

impl<E> PerfEventContext<E> {
    /// Returns a context without events.
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            sums: Vec::new(),
            cpu: None,
            since: 0,
            migrations: None,
        }
    }

    /// Reserves room for one more event, or returns ENOMEM.
    pub fn reserve(&mut self) -> Result<(), Errno> {
        let sums = PLACES.saturating_sub(self.sums.len());
        let reserved = self
            .slots
            .try_reserve(1)
            .and(self.sums.try_reserve_exact(sums));
        reserved.map_err(|_| Errno::ENOMEM)
    }

    /// Returns the events in the order of their numbers.
    pub fn slots(&self) -> &[Slot<E>] {
        &self.slots
    }

    /// Stops the clocks when the task leaves its CPU.
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

    /// Starts the clocks when the task comes onto `cpu`.
    pub fn sched_in(&mut self, now: u64, cpu: u32, migrations: u32) {
        debug_assert!(
            self.slots.is_empty() || self.cpu.is_none(),
            "BUG: perf_event_task_sched_in of a task that is in"
        );
        self.since = now;
        self.cpu = Some(cpu);
        // The first CPU of a new task is not a migration.
        let before = self.migrations.replace(migrations).unwrap_or(migrations);
        let moved = migrations.wrapping_sub(before);
        self.sw_event(SwEvent::CpuMigrations, u64::from(moved), false);
    }

    /// Counts `times` occurrences of `what` for the task, which runs; in ring 3 if `user`.
    pub fn sw_event(&mut self, what: SwEvent, times: u64, user: bool) {
        self.add(|sums| {
            let count = &mut sums.events[what as usize][usize::from(user)];
            *count = count.wrapping_add(times);
        });
    }

    /// Counts all times up to `now`.
    pub fn update(&mut self, now: u64) {
        let passed = now.saturating_sub(self.since);
        self.since = now;
        self.add(|sums| sums.time = sums.time.wrapping_add(passed));
    }

    /// Changes the sums of all CPUs, and of the task's CPU if it runs.
    fn add(&mut self, add: impl Fn(&mut Sums)) {
        let Some(cpu) = self.cpu else { return };
        for at in [0, place_of(cpu)] {
            if let Some(sums) = self.sums.get_mut(at) {
                add(sums);
            }
        }
    }

    /// Adds an event. For the first event, `cpu` and `migrations` give the task's present state.
    ///
    /// # Errors
    /// ENOMEM; never after [`Self::reserve`].
    pub fn install(
        &mut self,
        mut slot: Slot<E>,
        now: u64,
        cpu: Option<u32>,
        migrations: Option<u32>,
    ) -> Result<(), Errno> {
        self.reserve()?;
        if self.slots.is_empty() {
            (self.cpu, self.migrations, self.since) = (cpu, migrations, now);
            self.sums.try_resize_with(PLACES, Sums::default)?;
        }
        self.update(now);
        slot.is_counting = false;
        slot.settle(&self.sums);
        let at = self.slots.partition_point(|other| other.id < slot.id);
        self.slots.try_insert(at, slot)?;
        self.decide(at);
        Ok(())
    }

    /// Removes an event and returns it with its counts. If it led a group, the other members
    /// continue alone.
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

    /// Returns the counts of an event up to `now`.
    pub fn read(&mut self, id: u64, now: u64) -> Option<Counts> {
        self.update(now);
        let at = self.find(id)?;
        let slot = self.slots.get_mut(at)?;
        slot.settle(&self.sums);
        Some(slot.counts)
    }

    /// Calls `change` on an event, after counting its times up to `now`.
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

    /// Enables the events that wait for an exec.
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

    /// Settles each other event of the group of `leader`, which has changed, and calls `change` on
    /// it.
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

    /// Decides whether a settled event counts from now on: if both it and the leader of its group
    /// are enabled.
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
