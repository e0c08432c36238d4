//! Unit tests of the events of a task.

use super::*;
use SwEvent::*;

fn slot(id: u64, what: SwEvent, cpu: Option<u32>) -> Slot<()> {
    Slot::new((), id, id, &PerfEventAttr::software(what, 0), what, cpu)
}

fn context(slots: impl IntoIterator<Item = Slot<()>>) -> PerfEventContext<()> {
    let mut context = PerfEventContext::new();
    for slot in slots {
        context.install(slot, 1000, Some(0), Some(7)).unwrap();
    }
    context
}

fn counts(count: u64, time_enabled: u64, time_running: u64) -> Option<Counts> {
    Some(Counts {
        count,
        time_enabled,
        time_running,
    })
}

#[test]
fn clocks_stand_while_the_task_is_out() {
    let mut c = context([slot(1, TaskClock, None), slot(2, ContextSwitches, None)]);
    c.sched_out(1030, 7);
    assert_eq!(c.read(1, 1500), counts(30, 30, 30));
    c.sched_in(2000, 0, 7);
    assert_eq!(c.read(1, 2005), counts(35, 35, 35));
    c.sched_out(2010, 7);
    assert_eq!(c.read(1, 9000), counts(40, 40, 40));
    assert_eq!(c.read(2, 9000), counts(2, 40, 40));
}

#[test]
fn migrations_are_those_between_out_and_in() {
    let mut c = context([
        slot(1, CpuMigrations, None),
        slot(2, CpuMigrations, Some(1)),
    ]);
    c.sched_out(1010, 7);
    c.sched_in(1020, 0, 7);
    assert_eq!(c.read(1, 1020), counts(0, 10, 10));
    c.sched_out(1030, 7);
    c.sched_in(1040, 1, 8);
    c.sched_out(1050, 8);
    c.sched_in(1060, 0, 10); // moved twice on the way
    assert_eq!(c.read(1, 1060), counts(3, 30, 30));
    assert_eq!(c.read(2, 1060), counts(1, 30, 10), "on CPU 1 only");
}

#[test]
fn where_a_new_task_begins_is_no_migration() {
    let mut c = PerfEventContext::new();
    c.install(slot(1, CpuMigrations, None), 1000, None, None)
        .unwrap();
    c.sched_in(1010, 3, 1);
    c.sched_out(1020, 1);
    c.sched_in(1030, 2, 2);
    assert_eq!(c.read(1, 1030), counts(1, 10, 10));
}

#[test]
fn excluded_levels_are_not_counted() {
    let attr = |flags: u64| {
        let mut bytes = [0; 112];
        (bytes[0], bytes[8]) = (1, PageFaults as u8);
        bytes[40..48].copy_from_slice(&flags.to_le_bytes());
        PerfEventAttr::from_bytes(&bytes).unwrap()
    };
    let with = |id, flags| Slot::new((), id, id, &attr(flags), PageFaults, None);
    let mut c = context([with(1, 0), with(2, 1 << 4), with(3, 1 << 5), with(4, 1)]);
    c.sw_event(PageFaults, 1, true);
    c.sw_event(PageFaults, 1, false);
    c.sw_event(PageFaults, 1, false);
    let all: Vec<u64> = (1..=4).map(|id| c.read(id, 1000).unwrap().count).collect();
    assert_eq!(all, [3, 2, 1, 0]);
}

#[test]
fn a_disabled_event_counts_neither_time_nor_occurrences() {
    let mut c = context([slot(1, ContextSwitches, None)]);
    c.change(1, 1010, |slot| slot.enabled = false);
    c.sched_out(1020, 7);
    c.sched_in(1030, 0, 7);
    c.change(1, 1040, |slot| slot.enabled = true);
    c.sched_out(1050, 7);
    assert_eq!(c.read(1, 1060), counts(1, 20, 20));
    c.change(1, 1070, Slot::reset);
    assert_eq!(c.read(1, 1070), counts(0, 20, 20));
}

#[test]
fn a_group_counts_with_its_leader() {
    let mut member = slot(2, TaskClock, None);
    member.leader = 1;
    let mut c = context([slot(1, Dummy, None), member]);
    c.change(1, 1010, |slot| slot.enabled = false);
    assert_eq!(c.read(2, 1100), counts(10, 10, 10));
    assert!(c.remove(1, 1200).is_some());
    assert_eq!(c.read(2, 1210), counts(20, 20, 20), "alone it goes on");
}

#[test]
fn exec_enables_once() {
    let mut waits = slot(1, Dummy, None);
    (waits.enabled, waits.enable_on_exec) = (false, true);
    let mut c = context([waits]);
    c.exec(1100);
    assert_eq!(c.read(1, 1110), counts(0, 10, 10));
    c.change(1, 1110, |slot| slot.enabled = false);
    c.exec(1200);
    assert_eq!(c.read(1, 1300), counts(0, 10, 10));
}

#[test]
fn what_is_taken_out_keeps_its_counts() {
    let mut c = context([slot(1, TaskClock, None)]);
    let (_, kept) = c.remove(1, 1040).unwrap();
    assert_eq!(Some(kept), counts(40, 40, 40));
    assert!(c.remove(1, 1040).is_none() && c.read(1, 1040).is_none());
    // An empty context ignores switches; the next event begins anew.
    c.sched_out(1050, 7);
    c.install(slot(3, CpuMigrations, None), 1060, None, Some(9))
        .unwrap();
    c.sched_in(1070, 0, 9);
    assert_eq!(c.read(3, 1075), counts(0, 5, 5));
}
