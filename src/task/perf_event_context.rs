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
//! Generic over what stands for the event, so that it is the same on a host.
//!
//! Called by the switch, by page faults and by who reads, with the task's own lock held.
//!
//! Linux: 5.4 `struct perf_event_context`, `kernel/events/core.c`.

use alloc::vec::Vec;

use super::perf_attr::{PerfEventAttr, SwEvent};
use crate::syscall::errno::Errno;

/// `TaskStruct::hooks`: the task has perf events.
pub const HOOK_PERF_EVENTS: u32 = 1 << 2;

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
    fn add_count(&mut self, more: u64) {
        self.count = self.count.wrapping_add(more);
    }

    /// Adds what another event has counted. What is full goes on at 0.
    pub fn add(&mut self, other: Self) {
        self.add_count(other.count);
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
    counts: Counts,
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
        }
    }

    /// Begins at 0 again; the times stay.
    pub fn reset(&mut self) {
        self.counts.count = 0;
    }
}

/// All events of a task.
pub struct PerfEventContext<E> {
    slots: Vec<Slot<E>>,
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
            cpu: None,
            since: 0,
            migrations: None,
        }
    }

    /// Room for one more. ENOMEM.
    pub fn reserve(&mut self) -> Result<(), Errno> {
        self.slots.try_reserve(1).map_err(|_| Errno::ENOMEM)
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
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            let excluded = if user {
                slot.exclude_user
            } else {
                slot.exclude_kernel
            };
            if slot.what == what && !excluded && self.is_active(slot) {
                self.slots[at].counts.add_count(times);
            }
        }
    }

    /// Counts all times until `now`.
    pub fn update(&mut self, now: u64) {
        let passed = now.saturating_sub(self.since);
        self.since = now;
        if self.cpu.is_none() {
            return;
        }
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            let (enabled, active) = (self.is_enabled(slot), self.is_active(slot));
            let slot = &mut self.slots[at];
            if enabled {
                slot.counts.time_enabled = slot.counts.time_enabled.wrapping_add(passed);
            }
            if active {
                slot.counts.time_running = slot.counts.time_running.wrapping_add(passed);
                if slot.what.is_clock() {
                    slot.counts.add_count(passed);
                }
            }
        }
    }

    /// Adds an event. With the first one, `cpu` and `migrations` say what the task does now.
    pub fn install(&mut self, slot: Slot<E>, now: u64, cpu: Option<u32>, migrations: Option<u32>) {
        if self.slots.is_empty() {
            (self.cpu, self.migrations, self.since) = (cpu, migrations, now);
        }
        self.update(now);
        self.slots.push(slot);
    }

    /// Takes an event out, and says what it has counted. If it led a group, the others go on alone.
    pub fn remove(&mut self, id: u64, now: u64) -> Option<(Slot<E>, Counts)> {
        self.update(now);
        let at = self.slots.iter().position(|slot| slot.id == id)?;
        let slot = self.slots.remove(at);
        for other in &mut self.slots {
            if other.leader == id {
                other.leader = other.id;
            }
        }
        if self.slots.is_empty() {
            self.cpu = None;
        }
        let counts = slot.counts;
        Some((slot, counts))
    }

    /// What an event has counted until `now`.
    pub fn read(&mut self, id: u64, now: u64) -> Option<Counts> {
        self.update(now);
        self.slots
            .iter()
            .find(|slot| slot.id == id)
            .map(|slot| slot.counts)
    }

    /// Lets `change` change an event, after its times until `now` were counted.
    pub fn change(&mut self, id: u64, now: u64, change: impl FnOnce(&mut Slot<E>)) {
        self.update(now);
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == id) {
            change(slot);
        }
    }

    /// The task has executed a program.
    pub fn exec(&mut self, now: u64) {
        self.update(now);
        for slot in &mut self.slots {
            slot.enabled |= core::mem::take(&mut slot.enable_on_exec);
        }
    }

    /// Enabled, and so is the leader of its group.
    fn is_enabled(&self, slot: &Slot<E>) -> bool {
        let leads = |other: &&Slot<E>| other.id == slot.leader;
        slot.enabled && self.slots.iter().find(leads).is_none_or(|it| it.enabled)
    }

    fn is_active(&self, slot: &Slot<E>) -> bool {
        let here = match (self.cpu, slot.cpu) {
            (Some(cpu), Some(wanted)) => cpu == wanted,
            (Some(_), None) => true,
            (None, _) => false,
        };
        here && self.is_enabled(slot)
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
