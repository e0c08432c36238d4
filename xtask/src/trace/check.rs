//! What must be true of a trace of this kernel, whatever ran: a record that cannot be is a fault of the
//! switch, or of the writer that should have written one before it.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use switch_to::trace::record::{Event, FLAG_IRQS_OFF, Record, STATE_PREEMPTED};

use super::stream::Trace;

/// State of a task that has ended. Linux: TASK_DEAD.
const TASK_DEAD: u32 = 64;

/// What must be true of every trace.
///
/// # Errors
/// The first record that cannot be, and why.
pub fn hangs_together(trace: &Trace) -> Result<()> {
    ensure!(trace.lost() == 0, "events lost: {}", trace.summary());
    let mut runs: HashMap<u8, i32> = HashMap::new();
    let mut place: HashMap<i32, u8> = HashMap::new();
    let mut dead = Vec::new();
    let mut made = Vec::new();
    let mut renamed = renamed(trace);
    for record in &trace.records {
        let at = || format!("at {} ns: {record:?}", trace.ns(record));
        // Who causes an event is who runs.
        let running = runs.entry(record.cpu).or_insert(0);
        if let Some(index) = renamed.iter().position(|it| *it == (*running, record.pid)) {
            renamed.remove(index);
            *running = record.pid;
            // Who had the number before has ended.
            dead.retain(|pid| *pid != record.pid);
            place.insert(record.pid, record.cpu);
        }
        let running = *running;
        ensure!(record.pid == running, "{running} runs, {}", at());
        match record.event {
            Event::SchedSwitch {
                next_pid,
                prev_state,
                ..
            } => {
                runs.insert(record.cpu, next_pid);
                ensure!(next_pid != record.pid, "to itself, {}", at());
                ensure!(!dead.contains(&next_pid), "to the dead, {}", at());
                if let Some(cpu) = place.get(&next_pid) {
                    ensure!(*cpu == record.cpu, "queued on CPU {cpu}, {}", at());
                }
                if prev_state == TASK_DEAD {
                    dead.push(record.pid);
                }
                ensure!(
                    record.pid != 0 || prev_state & !STATE_PREEMPTED == 0,
                    "the idle task sleeps, {}",
                    at()
                );
                check_preempt_count(record).with_context(at)?;
            }
            Event::SchedProcessFork { child_pid, .. } => {
                // A number comes again only when all have been used.
                ensure!(!made.contains(&child_pid), "made twice, {}", at());
                made.push(child_pid);
            }
            Event::SchedWakeupNew(it) => {
                ensure!(made.contains(&it.pid), "new, but not made, {}", at());
                place.insert(it.pid, it.target_cpu as u8);
            }
            Event::SchedMigrateTask { pid, dest_cpu, .. } => {
                place.insert(pid, dest_cpu as u8);
            }
            Event::SchedWaking(it) => {
                ensure!(!dead.contains(&it.pid), "wakes the dead, {}", at());
            }
            _ => {}
        }
    }
    ensure!(
        runs.values().any(|pid| *pid != 0) && !made.is_empty(),
        "nothing happened"
    );
    Ok(())
}

/// Threads that execute a program come to have their leader's number, and only later say so: the old
/// number of each, and the new one.
fn renamed(trace: &Trace) -> Vec<(i32, i32)> {
    let change = |record: &Record| match record.event {
        Event::SchedProcessExec { old_pid, .. } => Some((old_pid, record.pid)),
        _ => None,
    };
    let changes = trace.records.iter().filter_map(change);
    changes.filter(|(old, new)| old != new).collect()
}

/// One of `schedule`, one of the run queue's lock; and interrupts are off.
fn check_preempt_count(record: &Record) -> Result<()> {
    ensure!(record.preempt_count == 2, "preemption count");
    ensure!(record.flags & FLAG_IRQS_OFF != 0, "interrupts are on");
    Ok(())
}

#[cfg(test)]
mod tests {
    use switch_to::trace::record::Woken;

    use super::*;
    use crate::trace::stream::tests::{record, stream};

    fn switch(ns: u64, cpu: u8, from: i32, to: i32, prev_state: u32) -> Record {
        let event = Event::SchedSwitch {
            prev_prio: 120,
            prev_state,
            next_pid: to,
            next_prio: 120,
            next_comm: [0; 16],
        };
        Record {
            flags: FLAG_IRQS_OFF,
            preempt_count: 2,
            ..record(ns, cpu, from, event)
        }
    }

    fn made(ns: u64, cpu: u8, by: i32, pid: i32, target_cpu: u32) -> [Record; 2] {
        let fork = Event::SchedProcessFork {
            child_pid: pid,
            child_comm: [0; 16],
        };
        let new = Event::SchedWakeupNew(Woken {
            pid,
            prio: 120,
            target_cpu,
            comm: [0; 16],
        });
        [record(ns, cpu, by, fork), record(ns + 1, cpu, by, new)]
    }

    fn says(records: &[Record]) -> String {
        let trace = Trace::read(&stream(records)).unwrap();
        match hangs_together(&trace) {
            Ok(()) => "it does".to_owned(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_trace_that_can_be() {
        let [fork, new] = made(10, 0, 0, 7, 0);
        assert_eq!(
            says(&[
                fork,
                new,
                switch(20, 0, 0, 7, 0),
                switch(30, 0, 7, 0, TASK_DEAD),
                switch(25, 1, 0, 9, 0),
            ]),
            "it does"
        );
    }

    #[test]
    fn a_thread_that_executes_a_program_is_its_leader_from_then_on() {
        let [fork, new] = made(10, 0, 0, 7, 0);
        let [fork_thread, new_thread] = made(15, 0, 0, 8, 0);
        let exec = |ns, pid| {
            let filename = [0; 28];
            record(
                ns,
                0,
                pid,
                Event::SchedProcessExec {
                    old_pid: 8,
                    filename,
                },
            )
        };
        let until_leader_is_dead = [
            fork,
            new,
            fork_thread,
            new_thread,
            switch(20, 0, 0, 7, 0),
            switch(30, 0, 7, 8, TASK_DEAD),
        ];
        let with = |rest: &[Record]| says(&[&until_leader_is_dead[..], rest].concat());
        let comes_back = [switch(50, 0, 7, 0, 1), switch(60, 0, 0, 7, 0)];
        assert_eq!(with(&[&[exec(40, 7)], &comes_back[..]].concat()), "it does");
        // A switch before it says so.
        assert_eq!(with(&[&comes_back[..], &[exec(70, 7)]].concat()), "it does");
        let unsaid = with(&comes_back);
        assert!(unsaid.contains("8 runs, "), "{unsaid}");
    }

    #[test]
    fn each_that_cannot_is_noticed() {
        let [fork, new] = made(10, 0, 0, 7, 0);
        let lost = record(15, 0, 0, Event::Lost { count: 3 });
        let loud = Record {
            flags: 0,
            ..switch(20, 0, 0, 7, 0)
        };
        for (records, why) in [
            (vec![], "nothing happened"),
            (vec![fork, new, lost], "events lost"),
            (vec![fork, new, switch(20, 0, 5, 7, 0)], "0 runs, "),
            (vec![fork, new, switch(20, 1, 0, 7, 0)], "queued on CPU 0"),
            (vec![switch(20, 0, 0, 0, 0)], "to itself"),
            (vec![switch(20, 0, 0, 7, 1)], "the idle task sleeps"),
            (vec![fork, new, loud], "interrupts are on"),
            (
                vec![
                    switch(20, 0, 0, 7, 0),
                    switch(30, 0, 7, 8, TASK_DEAD),
                    switch(40, 0, 8, 7, 0),
                ],
                "to the dead",
            ),
            (vec![new], "new, but not made"),
            (vec![fork, new, fork], "made twice"),
        ] {
            let says = says(&records);
            assert!(says.contains(why), "{why}: {says}");
        }
    }
}
