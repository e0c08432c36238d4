//! Perf events: counts of the events of a task, for a caller of `perf_event_open`.
//!
//! An event belongs to its file and to the context of the task that it counts for. When the task
//! ends, the event leaves the context and keeps its counts. An event with `inherit` gets a child
//! event in each child of the task; the child's counts are added to the opened event.
//!
//! ```text
//!   locks, outermost first:  children -> home -> (pi_lock -> run queue ->) the task's perf_events
//! ```
//! The switch calls the first two functions with the run-queue lock held; everything else runs in
//! process context.
//!
//! Linux: 5.4 `perf_event_task_sched_out`, `perf_event_task_sched_in`, `perf_event_init_task`,
//! `perf_event_exit_task`.

extern crate alloc;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::x86::current::Current;
use crate::base::errno::Errno;
use crate::base::insn::rdtsc;
use crate::base::percpu::smp_processor_id;
use crate::mm::fallible::{TryVec, try_arc, try_collect};
use crate::sched::rq::task_rq_lock;
use crate::sync::{LockClass, SpinLock};
use crate::task::hooks::HOOK_PERF_EVENTS;
use crate::task::perf_attr::{PerfEventAttr, SwEvent};
use crate::task::perf_event_context::{Counts, Slot};
use crate::task::state::PF_EXITING;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// One perf event.
pub struct PerfEvent {
    /// The event's number; readers of a child's counts see the number of the opened event.
    pub id: u64,
    /// The attributes passed to `perf_event_open`.
    pub attr: PerfEventAttr,
    what: SwEvent,
    cpu: Option<u32>,
    /// The opened event, if this one counts for it in a child.
    parent: Weak<PerfEvent>,
    home: SpinLock<Home>,
    children: SpinLock<Children>,
    group: SpinLock<Group>,
}

/// The task that the event counts for, or its final counts.
struct Home {
    task: Option<TaskRef>,
    at_end: Counts,
}

/// The event's children, which count for it in the children of its task.
struct Children {
    events: Vec<Arc<PerfEvent>>,
    /// Counts of children that have ended.
    gone: Counts,
    is_closed: bool,
}

/// The event's leader, if it has one, and the events that it leads.
struct Group {
    leader: Weak<PerfEvent>,
    siblings: Vec<Weak<PerfEvent>>,
}

static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// Stops counting for `prev`, which leaves this CPU.
pub fn perf_event_task_sched_out(prev: &TaskStruct) {
    if prev.hooks.contains(HOOK_PERF_EVENTS) {
        let migrations = prev.nr_migrations.get();
        prev.perf_events.lock().sched_out(rdtsc(), migrations);
    }
}

/// Starts counting for `curr`, which has come onto this CPU.
pub fn perf_event_task_sched_in(curr: &TaskStruct) {
    if curr.hooks.contains(HOOK_PERF_EVENTS) {
        let migrations = curr.nr_migrations.get();
        curr.perf_events
            .lock()
            .sched_in(rdtsc(), smp_processor_id(), migrations);
    }
}

impl PerfEvent {
    /// Opens an event that counts for `task`, only on `cpu` if that is given, in the group of
    /// `leader`.
    ///
    /// # Errors
    /// ESRCH if the task is ending, ENOMEM, EINVAL for a leader that belongs to another task or CPU
    /// or that cannot lead, and those of [`PerfEventAttr::event`].
    pub fn open(
        task: &TaskRef,
        attr: PerfEventAttr,
        cpu: Option<u32>,
        leader: Option<&Arc<PerfEvent>>,
    ) -> Result<Arc<Self>, Errno> {
        let task_now = Some(task.clone());
        let event = try_arc(Self::new(task_now, attr, attr.event()?, cpu, Weak::new()))?;
        if let Some(leader) = leader {
            let leads = leader.group.lock().leader.strong_count() == 0;
            let same_task = leader.home.lock().task.as_ref() == Some(task);
            if !leads || !same_task || leader.cpu != cpu || attr.exclusive() || attr.pinned() {
                return Err(Errno::EINVAL);
            }
        }
        if let Some(leader) = leader {
            let sibling = Arc::downgrade(&event);
            leader.group.lock().siblings.try_push(sibling)?;
            event.group.lock().leader = Arc::downgrade(leader);
        }
        event
            .install(task, leader.map_or(event.id, |leader| leader.id))
            .inspect_err(|_| event.release())?;
        Ok(event)
    }

    fn new(
        task: Option<TaskRef>,
        attr: PerfEventAttr,
        what: SwEvent,
        cpu: Option<u32>,
        parent: Weak<PerfEvent>,
    ) -> Self {
        Self {
            id: LAST_ID.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
            attr,
            what,
            cpu,
            parent,
            home: SpinLock::new(
                LockClass::PerfHome,
                Home {
                    task,
                    at_end: Counts::default(),
                },
            ),
            children: SpinLock::new(
                LockClass::PerfChildren,
                Children {
                    events: Vec::new(),
                    gone: Counts::default(),
                    is_closed: false,
                },
            ),
            group: SpinLock::new(
                LockClass::PerfGroup,
                Group {
                    leader: Weak::new(),
                    siblings: Vec::new(),
                },
            ),
        }
    }

    fn slot(self: &Arc<Self>, leader: u64) -> Slot<Arc<Self>> {
        let event = self.clone();
        Slot::new(event, self.id, leader, &self.attr, self.what, self.cpu)
    }

    /// Puts the event into the context of its task, which may be running, here or elsewhere.
    fn install(self: &Arc<Self>, task: &TaskRef, leader: u64) -> Result<(), Errno> {
        let slot = self.slot(leader);
        task.perf_events.lock().reserve()?;
        // This lock prevents switches to the task and away from it.
        let locked = task_rq_lock(task);
        let runs = locked.rq.curr() == task.as_ptr();
        let cpu = runs.then(|| task.cpu());
        let migrations = task.nr_migrations.get();
        let mut context = task.perf_events.lock();
        if task.has_flags(PF_EXITING) {
            return Err(Errno::ESRCH);
        }
        context.install(slot, rdtsc(), cpu, Some(migrations))?;
        task.hooks.insert(HOOK_PERF_EVENTS);
        Ok(())
    }

    /// Returns the counts so far, including those of children.
    pub fn read(&self) -> Counts {
        let mut sum = self.read_own();
        let children = self.children.lock();
        sum.add(children.gone);
        for child in &children.events {
            sum.add(child.read_own());
        }
        sum
    }

    fn read_own(&self) -> Counts {
        let home = self.home.lock();
        let now = |task: &TaskRef| task.perf_events.lock().read(self.id, rdtsc());
        home.task.as_ref().and_then(now).unwrap_or(home.at_end)
    }

    /// Returns whether the event counts time.
    pub fn is_clock(&self) -> bool {
        self.what.is_clock()
    }

    /// Enables or disables the event and its children.
    pub fn set_enabled(&self, enabled: bool) {
        self.for_each_child(|slot| slot.enabled = enabled);
    }

    /// Resets the count to 0; the counts of ended children stay, as in Linux.
    pub fn reset(&self) {
        self.for_each_child(Slot::reset);
        let mut home = self.home.lock();
        home.at_end.count = 0;
    }

    fn for_each_child(&self, change: impl Fn(&mut Slot<Arc<Self>>)) {
        self.change(&change);
        let children = self.children.lock();
        for child in &children.events {
            child.change(&change);
        }
    }

    fn change(&self, change: impl Fn(&mut Slot<Arc<Self>>)) {
        let home = self.home.lock();
        if let Some(task) = &home.task {
            task.perf_events.lock().change(self.id, rdtsc(), change);
        }
    }

    /// Returns all events of the group, the leader first.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn group(self: &Arc<Self>) -> Result<Vec<Arc<Self>>, Errno> {
        let leader = self.group.lock().leader.upgrade();
        let leader = leader.unwrap_or_else(|| self.clone());
        let siblings = {
            let group = leader.group.lock();
            try_collect(group.siblings.iter().filter_map(Weak::upgrade))?
        };
        try_collect([leader].into_iter().chain(siblings))
    }

    /// Detaches the event and its children from their tasks, after the last close.
    pub fn release(self: &Arc<Self>) {
        let children = {
            let mut children = self.children.lock();
            children.is_closed = true;
            core::mem::take(&mut children.events)
        };
        children.iter().for_each(Self::end);
        let leader = core::mem::take(&mut self.group.lock().leader).upgrade();
        if let Some(leader) = leader {
            let me = Arc::as_ptr(self);
            let is_other = |sibling: &Weak<Self>| sibling.as_ptr() != me;
            leader.group.lock().siblings.retain(is_other);
        }
        let siblings = core::mem::take(&mut self.group.lock().siblings);
        for sibling in siblings.iter().filter_map(Weak::upgrade) {
            sibling.group.lock().leader = Weak::new();
        }
        self.end();
    }

    /// Removes the event from the context of its task and keeps its counts. The counts of a child
    /// are added to the opened event, in one step for readers.
    fn end(self: &Arc<Self>) {
        let parent = self.parent.upgrade();
        let mut children = parent.as_ref().map(|parent| parent.children.lock());
        let mut home = self.home.lock();
        let task = home.task.take();
        let slot = task.as_ref().and_then(|task| remove(task, self.id));
        if let Some((_, counts)) = &slot {
            home.at_end = *counts;
        }
        let at_end = home.at_end;
        drop(home);
        let listed = children.as_mut().and_then(|children| {
            let at = children.events.iter().position(|it| Arc::ptr_eq(it, self));
            at.map(|at| {
                children.gone.add(at_end);
                children.events.swap_remove(at)
            })
        });
        // This may be the last reference, so it is dropped without a lock.
        drop(children);
        drop((slot, listed, task));
    }
}

fn remove(task: &TaskStruct, id: u64) -> Option<(Slot<Arc<PerfEvent>>, Counts)> {
    let mut context = task.perf_events.lock();
    let removed = context.remove(id, rdtsc());
    if context.slots().is_empty() {
        task.hooks.remove(HOOK_PERF_EVENTS);
    }
    removed
}

/// Gives a task in the making, which nobody can find yet, children of its parent's inherited events.
///
/// # Errors
/// ENOMEM. Then, and if the task is not made after all, [`perf_event_free_task`] is due.
pub fn perf_event_init_task(me: Current, task: &TaskStruct) -> Result<(), Errno> {
    if !me.hooks.contains(HOOK_PERF_EVENTS) {
        return Ok(());
    }
    let slots = {
        let context = me.perf_events.lock();
        let inherited = context.slots().iter().filter(|it| it.event.attr.inherit());
        try_collect(inherited.cloned())?
    };
    let mut ids: Vec<(u64, u64)> = Vec::new();
    for slot in &slots {
        let event = &slot.event;
        let opened = event.parent.upgrade().unwrap_or_else(|| event.clone());
        let (attr, parent) = (event.attr, Arc::downgrade(&opened));
        let new = try_arc(PerfEvent::new(None, attr, event.what, event.cpu, parent))?;
        ids.try_push((slot.id, new.id))?;
        // The events are in the order of their numbers.
        let leader = ids.binary_search_by_key(&slot.leader, |(old, _)| *old);
        let mut its = new.slot(leader.map_or(new.id, |at| ids[at].1));
        (its.enabled, its.enable_on_exec) = (slot.enabled, slot.enable_on_exec);
        let mut children = opened.children.lock();
        if !children.is_closed {
            task.perf_events.lock().install(its, rdtsc(), None, None)?;
            task.hooks.insert(HOOK_PERF_EVENTS);
            children.events.try_push(new)?;
        }
    }
    Ok(())
}

/// The task is made: its events are told whose they are. Those that were closed meanwhile leave it.
pub fn perf_event_task_made(child: &TaskRef) {
    let mut at = 0;
    while let Some(event) = nth_event(child, at) {
        let opened = event.parent.upgrade();
        let children = opened.as_ref().map(|opened| opened.children.lock());
        if event.parent.strong_count() == 0 && event.home.lock().task.is_some() {
            at = at.saturating_add(1); // opened for the child, by somebody who found it at once
        } else if children.as_ref().is_none_or(|children| children.is_closed) {
            drop(children);
            drop(remove(child, event.id));
        } else {
            event.home.lock().task = Some(child.clone());
            at = at.saturating_add(1);
        }
    }
}

/// The task is not made: the events that were meant for it go.
pub fn perf_event_free_task(task: &TaskStruct) {
    while let Some(event) = last_event(task) {
        drop(remove(task, event.id));
        event.end();
    }
}

fn last_event(task: &TaskStruct) -> Option<Arc<PerfEvent>> {
    let context = task.perf_events.lock();
    context.slots().last().map(|slot| slot.event.clone())
}

fn nth_event(task: &TaskStruct, at: usize) -> Option<Arc<PerfEvent>> {
    let context = task.perf_events.lock();
    context.slots().get(at).map(|slot| slot.event.clone())
}

/// Enables the events of the running task that wait for exec, after it has executed a program.
pub fn perf_event_enable_on_exec(me: Current) {
    if me.hooks.contains(HOOK_PERF_EVENTS) {
        me.perf_events.lock().exec(rdtsc());
    }
}

/// Detaches the running task's events, when it ends or may no longer be observed. The last comes
/// first, so that no other has to move.
pub fn perf_event_exit_task(me: Current) {
    while let Some(event) = last_event(&me) {
        event.end();
    }
}
