//! A trace as text: what Linux's `/sys/kernel/tracing/trace` shows, which Perfetto opens.
//!
//! Linux: Documentation/trace/ftrace.rst, "Output format"; the lines of
//! `include/trace/events/sched.h`.

use std::fmt::Write;

use switch_to::trace::record::{
    Event, FLAG_HARDIRQ, FLAG_IRQS_OFF, FLAG_NEED_RESCHED, Record, STATE_PREEMPTED, TEXT_BYTES,
    Woken,
};

use super::stream::{Trace, name};

/// The whole file.
pub fn text(trace: &Trace) -> String {
    let count = trace.records.len();
    let mut out = format!(
        "# tracer: nop\n#\n# entries-in-buffer/entries-written: {count}/{}   #P:{}\n#\n",
        count as u64 + trace.lost(),
        trace.cpus()
    );
    out += "#                                _-----=> irqs-off\n\
            #                               / _----=> need-resched\n\
            #                              | / _---=> hardirq\n\
            #                              || / _--=> preempt-depth\n\
            #                              ||| / _-=> migrate-disable\n\
            #           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n\
            #              | |         |   |||||     |         |\n";
    for index in 0..count {
        line(&mut out, trace, index);
    }
    out
}

fn line(out: &mut String, trace: &Trace, index: usize) {
    let record = &trace.records[index];
    if let Event::Lost { count } = record.event {
        // Writing to a string never fails.
        let _ = writeln!(out, "CPU:{} [LOST {count} EVENTS]", record.cpu);
        return;
    }
    let Some(event) = event(trace, index) else {
        return;
    };
    let task = match record.pid {
        0 => "<idle>".to_owned(),
        _ => name(&record.comm),
    };
    let us = trace.ns(record) / 1000;
    let _ = writeln!(
        out,
        "{task:>16}-{:<7} [{:03}] {} {:>5}.{:06}: {event}",
        record.pid,
        record.cpu,
        flags(record),
        us / 1_000_000,
        us % 1_000_000
    );
}

/// Five characters: interrupts off, switch due, in an interrupt, preemption count, and one for
/// what this kernel does not have.
fn flags(record: &Record) -> String {
    let letter = |flag, letter| match record.flags & flag {
        0 => '.',
        _ => letter,
    };
    let depth = match record.preempt_count {
        0 => '.',
        depth => char::from_digit(depth.min(15).into(), 16).unwrap_or('?'),
    };
    [
        letter(FLAG_IRQS_OFF, 'd'),
        letter(FLAG_NEED_RESCHED, 'N'),
        letter(FLAG_HARDIRQ, 'h'),
        depth,
        '.',
    ]
    .iter()
    .collect()
}

/// Name of the event and its fields; none for what goes on with an earlier line.
fn event(trace: &Trace, index: usize) -> Option<String> {
    let record = &trace.records[index];
    let comm = name(&record.comm);
    let pid = record.pid;
    Some(match &record.event {
        Event::Start { .. } | Event::Lost { .. } => return None,
        Event::SchedSwitch {
            prev_prio,
            prev_state,
            next_pid,
            next_prio,
            next_comm,
        } => format!(
            "sched_switch: prev_comm={comm} prev_pid={pid} prev_prio={prev_prio} prev_state={} ==> \
             next_comm={} next_pid={next_pid} next_prio={next_prio}",
            state(*prev_state),
            name(next_comm)
        ),
        Event::SchedWaking(it) => format!("sched_waking: {}", woken(it)),
        Event::SchedWakeupNew(it) => format!("sched_wakeup_new: {}", woken(it)),
        Event::SchedMigrateTask {
            pid,
            prio,
            orig_cpu,
            dest_cpu,
            comm,
        } => format!(
            "sched_migrate_task: comm={} pid={pid} prio={prio} orig_cpu={orig_cpu} dest_cpu={dest_cpu}",
            name(comm)
        ),
        Event::SchedProcessFork {
            child_pid,
            child_comm,
        } => format!(
            "sched_process_fork: comm={comm} pid={pid} child_comm={} child_pid={child_pid}",
            name(child_comm)
        ),
        Event::SchedProcessExec { old_pid, filename } => format!(
            "sched_process_exec: filename={} pid={pid} old_pid={old_pid}",
            path(filename)
        ),
        Event::SchedProcessExit { prio } => {
            format!("sched_process_exit: comm={comm} pid={pid} prio={prio}")
        }
        Event::Print { .. } => {
            let text = trace.print_at(index)?;
            format!(
                "print: {}",
                String::from_utf8_lossy(&text).replace('\n', " ")
            )
        }
    })
}

fn woken(it: &Woken) -> String {
    format!(
        "comm={} pid={} prio={} target_cpu={:03}",
        name(&it.comm),
        it.pid,
        it.prio,
        it.target_cpu
    )
}

/// A path as text, as far as the record had room for it.
pub fn path(filename: &[u8; TEXT_BYTES]) -> String {
    let end = filename.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&filename[..end.unwrap_or(TEXT_BYTES)]).into_owned()
}

/// States of a task that leaves, by bit.
pub const STATES: [(u32, &str); 7] = [
    (0x01, "S"),
    (0x02, "D"),
    (0x04, "T"),
    (0x08, "t"),
    (0x10, "Z"),
    (0x20, "X"),
    (0x40, "x"),
];

fn state(state: u32) -> String {
    let letters: Vec<&str> = STATES
        .iter()
        .filter(|(bit, _)| state & bit != 0)
        .map(|(_, letter)| *letter)
        .collect();
    let letters = match letters[..] {
        [] => "R".to_owned(),
        _ => letters.join("|"),
    };
    let preempted = if state & STATE_PREEMPTED != 0 {
        "+"
    } else {
        ""
    };
    letters + preempted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::stream::tests::{prints, record, stream};

    fn lines(records: &[Record]) -> Vec<String> {
        let trace = Trace::read(&stream(records)).unwrap();
        text(&trace)
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_switch_is_a_line_of_ftrace() {
        let event = Event::SchedSwitch {
            prev_prio: 120,
            prev_state: 1,
            next_pid: 0,
            next_prio: 140,
            next_comm: *b"swapper\0\0\0\0\0\0\0\0\0",
        };
        let mut switch = record(2_345_678, 1, 42, event);
        switch.flags = FLAG_IRQS_OFF;
        switch.preempt_count = 2;
        assert_eq!(
            lines(&[switch]),
            [
                "         task_42-42      [001] d..2.     0.002345: sched_switch: prev_comm=task_42 \
              prev_pid=42 prev_prio=120 prev_state=S ==> next_comm=swapper next_pid=0 next_prio=140"
            ]
        );
    }

    #[test]
    fn states_have_their_letters() {
        assert_eq!(state(0), "R");
        assert_eq!(state(STATE_PREEMPTED), "R+");
        assert_eq!(state(2), "D");
        assert_eq!(state(0x10), "Z");
        assert_eq!(state(0x40), "x");
    }

    #[test]
    fn an_idle_task_and_losses_are_named_as_there() {
        let lines = lines(&[
            record(1_000_000_000, 0, 0, Event::SchedProcessExit { prio: 140 }),
            record(1_000_000_001, 3, 0, Event::Lost { count: 17 }),
        ]);
        assert!(lines[0].starts_with("          <idle>-0       [000] .....     1.000000: "));
        assert_eq!(lines[1], "CPU:3 [LOST 17 EVENTS]");
    }

    #[test]
    fn a_long_text_is_one_line() {
        let text = "a text that is much longer\nthan one record has room for";
        let lines = lines(&prints(5000, 0, 7, text));
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].ends_with(
                "0.000005: print: a text that is much longer than one record has room for"
            )
        );
    }
}
