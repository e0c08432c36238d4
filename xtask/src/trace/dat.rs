//! A trace as `trace.dat`, version 6: what trace-cmd and KernelShark open.
//!
//! ```text
//!   magic, version, byte order, size of a long, size of a page
//!   header_page, header_event       how a page and an event begin
//!   ftrace's events, other events   their fields, as text
//!   symbols, formats, names of tasks
//!   number of CPUs, options, "flyrecord", place and size of each CPU's data
//!   pages of each CPU               a time, a length, events
//! ```
//! trace-cmd: trace-cmd.dat.v6(5). Linux: `kernel/trace/ring_buffer.c`.

use std::collections::BTreeMap;

use switch_to::trace::record::{
    Event, FLAG_HARDIRQ, FLAG_IRQS_OFF, FLAG_NEED_RESCHED, NAME_BYTES, Record, Woken,
};

use super::format::{
    EXEC, EXIT, FORK, FORMATS, Format, MIGRATE, PRINT, SWITCH, WAKEUP_NEW, WAKING,
};
use super::ftrace::path;
use super::stream::{Trace, name};

const PAGE_BYTES: usize = 4096;
/// Time (8 bytes) and length (a long).
const PAGE_HEADER_BYTES: usize = 12;
/// Of a page's length: events are missing before it, and their number stands behind its last.
const MISSED_EVENTS: u32 = 1 << 31;
const MISSED_STORED: u32 = 1 << 30;
/// Bits of the time between two events.
const DELTA_BITS: u32 = 27;
const TYPE_TIME_EXTEND: u32 = 30;
/// Longest payload whose length fits beside the time, in words.
const MAX_WORDS: usize = 28;

/// Where texts of programs come from: the only symbol.
const MARK_WRITE: u32 = 0xc000_0000;
const SYMBOLS: &str = "c0000000 t tracing_mark_write\n";

/// The whole file.
pub fn bytes(trace: &Trace) -> Vec<u8> {
    let mut out = head(trace);
    let pages: Vec<Vec<u8>> = (0..trace.cpus()).map(|cpu| pages(trace, cpu)).collect();
    let table = out.len() + pages.len() * 16;
    let mut at = table.next_multiple_of(PAGE_BYTES);
    for data in &pages {
        out.extend((at as u64).to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        at += data.len();
    }
    out.resize(table.next_multiple_of(PAGE_BYTES), 0);
    out.extend(pages.concat());
    out
}

fn head(trace: &Trace) -> Vec<u8> {
    let mut out = b"\x17\x08\x44tracing6\0\x00\x04".to_vec();
    out.extend((PAGE_BYTES as u32).to_le_bytes());
    for (name, text) in [
        ("header_page", header_page()),
        ("header_event", HEADER_EVENT.to_owned()),
    ] {
        out.extend(name.bytes().chain([0]));
        text_64(&mut out, &text);
    }
    let (ftrace, sched): (Vec<&Format>, Vec<&Format>) =
        FORMATS.iter().partition(|format| format.name == "print");
    formats(&mut out, &ftrace);
    out.extend(1u32.to_le_bytes());
    out.extend(b"sched\0");
    formats(&mut out, &sched);
    for text in [SYMBOLS, ""] {
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.bytes());
    }
    text_64(&mut out, &names(trace));
    out.extend((trace.cpus() as u32).to_le_bytes());
    out.extend(b"options  \0\0\0flyrecord\0");
    out
}

fn formats(out: &mut Vec<u8>, formats: &[&Format]) {
    out.extend((formats.len() as u32).to_le_bytes());
    for format in formats {
        text_64(out, &format.text());
    }
}

fn text_64(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.bytes());
}

/// Number and last name of each task.
fn names(trace: &Trace) -> String {
    let mut names = BTreeMap::new();
    for record in &trace.records {
        names.insert(record.pid, name(&record.comm));
    }
    names.remove(&0);
    names
        .iter()
        .map(|(pid, name)| format!("{pid} {name}\n"))
        .collect()
}

fn header_page() -> String {
    let data = PAGE_BYTES - PAGE_HEADER_BYTES;
    format!(
        "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
         \tfield: local_t commit;\toffset:8;\tsize:4;\tsigned:1;\n\
         \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\
         \tfield: char data;\toffset:{PAGE_HEADER_BYTES};\tsize:{data};\tsigned:1;\n"
    )
}

const HEADER_EVENT: &str = "# compressed entry header\n\
    \ttype_len    :    5 bits\n\
    \ttime_delta  :   27 bits\n\
    \tarray       :   32 bits\n\
    \n\
    \tpadding     : type == 29\n\
    \ttime_extend : type == 30\n\
    \ttime_stamp : type == 31\n\
    \tdata max type_len  == 28\n";

/// All pages of a CPU.
fn pages(trace: &Trace, cpu: usize) -> Vec<u8> {
    let mut pages = Pages::default();
    for (index, record) in trace.records.iter().enumerate() {
        if usize::from(record.cpu) != cpu {
            continue;
        }
        match record.event {
            Event::Lost { count } => pages.missed(count),
            _ => {
                if let Some(payload) = payload(trace, index) {
                    pages.event(trace.ns(record), &payload);
                }
            }
        }
    }
    pages.finish()
}

/// The common fields and the event's own; none for what goes on with an earlier event.
fn payload(trace: &Trace, index: usize) -> Option<Vec<u8>> {
    let record = &trace.records[index];
    let mut out = Payload(Vec::new());
    match &record.event {
        Event::Start { .. } | Event::Lost { .. } => return None,
        Event::SchedSwitch {
            prev_prio,
            prev_state,
            next_pid,
            next_prio,
            next_comm,
        } => out
            .common(SWITCH, record)
            .comm(&record.comm)
            .words(&[record.pid as u32, *prev_prio, *prev_state])
            .comm(next_comm)
            .words(&[*next_pid as u32, *next_prio]),
        Event::SchedWaking(it) => out.common(WAKING, record).woken(it),
        Event::SchedWakeupNew(it) => out.common(WAKEUP_NEW, record).woken(it),
        Event::SchedMigrateTask {
            pid,
            prio,
            orig_cpu,
            dest_cpu,
            comm,
        } => out.common(MIGRATE, record).comm(comm).words(&[
            *pid as u32,
            *prio,
            *orig_cpu,
            *dest_cpu,
        ]),
        Event::SchedProcessFork {
            child_pid,
            child_comm,
        } => out
            .common(FORK, record)
            .comm(&record.comm)
            .words(&[record.pid as u32])
            .comm(child_comm)
            .words(&[*child_pid as u32]),
        Event::SchedProcessExec { old_pid, filename } => {
            let text = path(filename) + "\0";
            // Where the text lies, and how long it is.
            let place = 20 | (text.len() as u32) << 16;
            out.common(EXEC, record)
                .words(&[place, record.pid as u32, *old_pid as u32])
                .text(text.as_bytes())
        }
        Event::SchedProcessExit { prio } => out
            .common(EXIT, record)
            .comm(&record.comm)
            .words(&[record.pid as u32, *prio]),
        Event::Print { .. } => {
            let text = trace.print_at(index)?;
            out.common(PRINT, record)
                .words(&[MARK_WRITE])
                .text(&text)
                .text(b"\n\0")
        }
    };
    out.0.resize(out.0.len().next_multiple_of(4), 0);
    Some(out.0)
}

struct Payload(Vec<u8>);

impl Payload {
    fn common(&mut self, id: u16, record: &Record) -> &mut Self {
        let flags = [
            (FLAG_IRQS_OFF, 1),
            (FLAG_NEED_RESCHED, 4),
            (FLAG_HARDIRQ, 8),
        ];
        let is_set = |flag: &&(u8, u8)| record.flags & flag.0 != 0;
        let flags: u8 = flags.iter().filter(is_set).map(|flag| flag.1).sum();
        self.0.extend(id.to_le_bytes());
        self.0.extend([flags, record.preempt_count]);
        self.words(&[record.pid as u32])
    }

    fn words(&mut self, words: &[u32]) -> &mut Self {
        self.0
            .extend(words.iter().flat_map(|word| word.to_le_bytes()));
        self
    }

    fn text(&mut self, text: &[u8]) -> &mut Self {
        self.0.extend(text);
        self
    }

    fn comm(&mut self, comm: &[u8; NAME_BYTES]) -> &mut Self {
        let mut bytes = name(comm).into_bytes();
        bytes.resize(NAME_BYTES, 0);
        self.text(&bytes)
    }

    fn woken(&mut self, it: &Woken) -> &mut Self {
        self.comm(&it.comm)
            .words(&[it.pid as u32, it.prio, it.target_cpu])
    }
}

/// Pages as they fill.
#[derive(Default)]
struct Pages {
    done: Vec<u8>,
    /// Events of the page that is being filled.
    data: Vec<u8>,
    /// Time of its first, and of its last.
    first_ns: u64,
    last_ns: u64,
    missed: u32,
}

impl Pages {
    /// So many events are missing before the next.
    fn missed(&mut self, count: u32) {
        self.close();
        self.missed = count;
    }

    fn event(&mut self, ns: u64, payload: &[u8]) {
        let words = payload.len() / 4;
        // An extended time, two words of header, the payload, a number of missed events.
        let room = PAGE_BYTES - PAGE_HEADER_BYTES - self.data.len();
        if room < 8 + 8 + payload.len() + 4 {
            self.close();
        }
        if self.data.is_empty() {
            (self.first_ns, self.last_ns) = (ns, ns);
        }
        let mut delta = ns - self.last_ns;
        if delta >> DELTA_BITS != 0 {
            let low = delta as u32 & ((1 << DELTA_BITS) - 1);
            self.word(TYPE_TIME_EXTEND | low << 5);
            self.word((delta >> DELTA_BITS) as u32);
            delta = 0;
        }
        match words {
            1..=MAX_WORDS => self.word(words as u32 | (delta as u32) << 5),
            _ => {
                self.word((delta as u32) << 5);
                self.word(payload.len() as u32 + 4);
            }
        }
        self.data.extend(payload);
        self.last_ns = ns;
    }

    fn word(&mut self, word: u32) {
        self.data.extend(word.to_le_bytes());
    }

    fn close(&mut self) {
        if self.data.is_empty() {
            return;
        }
        let mut commit = self.data.len() as u32;
        if self.missed != 0 {
            commit |= MISSED_EVENTS | MISSED_STORED;
            self.word(self.missed);
            self.missed = 0;
        }
        let end = self.done.len() + PAGE_BYTES;
        self.done.extend(self.first_ns.to_le_bytes());
        self.done.extend(commit.to_le_bytes());
        self.done.append(&mut self.data);
        self.done.resize(end, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::toolchain::tool;
    use crate::trace::stream::tests::{prints, record, stream};

    /// What trace-cmd makes of these records, without the line that counts CPUs.
    fn report(records: &[Record]) -> Vec<String> {
        let trace = Trace::read(&stream(records)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trace.dat");
        fs::write(&file, bytes(&trace)).unwrap();
        let output = tool("trace-cmd")
            .unwrap()
            .args(["report", "-t", "-i"])
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter(|line| !line.starts_with("cpus="))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn times_far_apart_are_kept() {
        let exit = Event::SchedProcessExit { prio: 120 };
        assert_eq!(
            report(&[
                record(5, 0, 7, exit),
                record(10_000_000_006, 0, 7, exit),
                record(10_134_217_734, 0, 7, exit),
            ]),
            [
                "task_7-7 [000] 0.000000005: sched_process_exit: comm=task_7 pid=7 prio=120",
                "task_7-7 [000] 10.000000006: sched_process_exit: comm=task_7 pid=7 prio=120",
                "task_7-7 [000] 10.134217734: sched_process_exit: comm=task_7 pid=7 prio=120",
            ]
        );
    }

    #[test]
    fn many_events_fill_many_pages() {
        let exit = Event::SchedProcessExit { prio: 1 };
        let records: Vec<Record> = (0..1000)
            .map(|n| record(n * 1000, (n % 3) as u8, n as i32 + 1, exit))
            .collect();
        let lines = report(&records);
        assert_eq!(lines.len(), 1000);
        assert!(lines[999].starts_with("task_1000-1000 [000] 0.000999000:"));
    }

    #[test]
    fn a_loss_is_told_where_it_was() {
        let exit = Event::SchedProcessExit { prio: 1 };
        let lines = report(&[
            record(1, 0, 7, exit),
            record(2, 0, 7, Event::Lost { count: 12 }),
            record(3, 0, 8, exit),
        ]);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "CPU:0 [12 EVENTS DROPPED]");
    }

    #[test]
    fn texts_of_any_length_come_through() {
        let long = "x".repeat(1024);
        let mut records = prints(10, 0, 7, "short");
        records.extend(prints(100, 0, 7, &long));
        let lines = report(&records);
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].ends_with("print: tracing_mark_write: short"),
            "{}",
            lines[0]
        );
        assert!(lines[1].ends_with(&long), "{}", lines[1]);
    }
}
