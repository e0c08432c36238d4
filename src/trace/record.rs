#![forbid(unsafe_code)]
//! A record of the trace: sixteen words for every event.
//!
//! ```text
//!   word 0, 1    time-stamp counter, low and high half
//!        2       event, CPU << 8, flags << 16, preemption count << 24
//!        3       pid of the task that ran
//!        4 … 7   its name
//!        8 … 15  by event, in the order of its fields
//! ```
//! The kernel writes a record when the event occurs, and the tool on the host reads it: both use
//! this file.
//!
//! Linux: the names and fields of 5.4 `include/trace/events/sched.h`; the flags of `ftrace`'s
//! "latency format".

/// Size of a record in words.
pub const RECORD_WORDS: usize = 16;
/// Size of a record in the stream in bytes, each word little-endian.
pub const RECORD_BYTES: usize = RECORD_WORDS * 4;
/// Size of a name in bytes.
pub const NAME_BYTES: usize = 16;
/// Bytes of text in one record; a longer text continues in the next.
pub const TEXT_BYTES: usize = 28;
/// First words of `Event::Start`: the text "swtrace1".
pub const MAGIC: [u32; 2] = [u32::from_le_bytes(*b"swtr"), u32::from_le_bytes(*b"ace1")];

/// Bit of `Record::flags`: interrupts were off.
pub const FLAG_IRQS_OFF: u8 = 1 << 0;
/// Bit of `Record::flags`: a switch was due.
pub const FLAG_NEED_RESCHED: u8 = 1 << 1;
/// Bit of `Record::flags`: the event occurred in an interrupt handler.
pub const FLAG_HARDIRQ: u8 = 1 << 2;
/// Bit of `Record::flags` at a switch: the task that leaves has an address space of its own.
pub const FLAG_PREV_MM: u8 = 1 << 3;
/// Bit of `Record::flags` at a switch: the task that comes has an address space of its own.
pub const FLAG_NEXT_MM: u8 = 1 << 4;

/// Value of `prev_state`: the task was preempted and is still runnable. Linux: TASK_REPORT_MAX.
pub const STATE_PREEMPTED: u32 = 0x100;

/// An event, with its time, its CPU and the task that ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Value of the time-stamp counter.
    pub tsc: u64,
    /// Number of the CPU.
    pub cpu: u8,
    /// Bits `FLAG_*`.
    pub flags: u8,
    /// Preemption count, without PREEMPT_ACTIVE.
    pub preempt_count: u8,
    /// Number of the task that ran; 0 for an idle task.
    pub pid: i32,
    /// Name of the task that ran.
    pub comm: [u8; NAME_BYTES],
    /// The event.
    pub event: Event,
}

/// The events of the trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The beginning of the stream: the first record, once.
    Start {
        /// Counts of the time-stamp counter in a millisecond.
        tsc_khz: u32,
        /// The counter at boot.
        boot_tsc: u64,
    },
    /// Events of this CPU were lost while its ring was full.
    Lost {
        /// Number of lost events.
        count: u32,
    },
    /// The CPU switches from the task of the record to another.
    SchedSwitch {
        /// Priority of the task that leaves, 0 the best, 139 the last.
        prev_prio: u32,
        /// State of the task that leaves: 0 if runnable, or [`STATE_PREEMPTED`].
        prev_state: u32,
        /// Number of the task that comes.
        next_pid: i32,
        /// Priority of the task that comes.
        next_prio: u32,
        /// Name of the task that comes.
        next_comm: [u8; NAME_BYTES],
    },
    /// The task of the record wakes another.
    SchedWaking(Woken),
    /// The task of the record has created another, which becomes runnable.
    SchedWakeupNew(Woken),
    /// A task moves to another CPU.
    SchedMigrateTask {
        /// Number of the task.
        pid: i32,
        /// Priority of the task.
        prio: u32,
        /// The CPU that the task leaves.
        orig_cpu: u32,
        /// The CPU to which the task moves.
        dest_cpu: u32,
        /// Name of the task.
        comm: [u8; NAME_BYTES],
    },
    /// The task of the record has created a child.
    SchedProcessFork {
        /// Number of the child.
        child_pid: i32,
        /// Name of the child.
        child_comm: [u8; NAME_BYTES],
    },
    /// The task of the record has executed another program.
    SchedProcessExec {
        /// Former number of the task, which differs if it was a thread that did not lead its
        /// process.
        old_pid: i32,
        /// End of the program's path, padded with zeroes.
        filename: [u8; TEXT_BYTES],
    },
    /// The task of the record ends.
    SchedProcessExit {
        /// Priority of the task.
        prio: u32,
    },
    /// Text from a program or the kernel.
    Print {
        /// Number of bytes of the text; if it exceeds [`TEXT_BYTES`], the text continues in the
        /// next record.
        len: u32,
        /// The text, padded with zeroes.
        text: [u8; TEXT_BYTES],
    },
}

/// A task that becomes runnable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Woken {
    /// Number of the task.
    pub pid: i32,
    /// Priority of the task.
    pub prio: u32,
    /// The CPU on which the task will run; when waking, the CPU where it last ran.
    pub target_cpu: u32,
    /// Name of the task.
    pub comm: [u8; NAME_BYTES],
}

const START: u32 = 1;
const LOST: u32 = 2;
const SCHED_SWITCH: u32 = 3;
const SCHED_WAKING: u32 = 4;
const SCHED_WAKEUP_NEW: u32 = 5;
const SCHED_MIGRATE_TASK: u32 = 6;
const SCHED_PROCESS_FORK: u32 = 7;
const SCHED_PROCESS_EXEC: u32 = 8;
const SCHED_PROCESS_EXIT: u32 = 9;
const PRINT: u32 = 10;

impl Record {
    /// Returns the words of the record for the ring and the stream.
    pub fn encode(&self) -> [u32; RECORD_WORDS] {
        let mut words = [0; RECORD_WORDS];
        let (id, rest) = words.split_at_mut(8);
        let number = self.event.encode(rest);
        id[0] = self.tsc as u32;
        id[1] = (self.tsc >> 32) as u32;
        id[2] = u32::from_le_bytes([number as u8, self.cpu, self.flags, self.preempt_count]);
        id[3] = self.pid as u32;
        put(&mut id[4..], &self.comm);
        words
    }

    /// Returns the record from the words of [`encode`](Self::encode), or `None` if the number of
    /// the event is unknown.
    pub fn decode(words: &[u32; RECORD_WORDS]) -> Option<Self> {
        let (id, rest) = words.split_at(8);
        let [number, cpu, flags, preempt_count] = id[2].to_le_bytes();
        Some(Self {
            tsc: u64::from(id[1]) << 32 | u64::from(id[0]),
            cpu,
            flags,
            preempt_count,
            pid: id[3] as i32,
            comm: get(&id[4..]),
            event: Event::decode(number.into(), rest)?,
        })
    }
}

impl Event {
    /// Fills the second half of a record; returns the event's number.
    fn encode(&self, words: &mut [u32]) -> u32 {
        match *self {
            Self::Start { tsc_khz, boot_tsc } => {
                words[..2].copy_from_slice(&MAGIC);
                words[2] = tsc_khz;
                words[3] = boot_tsc as u32;
                words[4] = (boot_tsc >> 32) as u32;
                START
            }
            Self::Lost { count } => {
                words[0] = count;
                LOST
            }
            Self::SchedSwitch {
                prev_prio,
                prev_state,
                next_pid,
                next_prio,
                next_comm,
            } => {
                words[..4].copy_from_slice(&[prev_prio, prev_state, next_pid as u32, next_prio]);
                put(&mut words[4..], &next_comm);
                SCHED_SWITCH
            }
            Self::SchedWaking(woken) => {
                woken.encode(words);
                SCHED_WAKING
            }
            Self::SchedWakeupNew(woken) => {
                woken.encode(words);
                SCHED_WAKEUP_NEW
            }
            Self::SchedMigrateTask {
                pid,
                prio,
                orig_cpu,
                dest_cpu,
                comm,
            } => {
                words[..4].copy_from_slice(&[pid as u32, prio, orig_cpu, dest_cpu]);
                put(&mut words[4..], &comm);
                SCHED_MIGRATE_TASK
            }
            Self::SchedProcessFork {
                child_pid,
                child_comm,
            } => {
                words[0] = child_pid as u32;
                put(&mut words[1..], &child_comm);
                SCHED_PROCESS_FORK
            }
            Self::SchedProcessExec { old_pid, filename } => {
                words[0] = old_pid as u32;
                put(&mut words[1..], &filename);
                SCHED_PROCESS_EXEC
            }
            Self::SchedProcessExit { prio } => {
                words[0] = prio;
                SCHED_PROCESS_EXIT
            }
            Self::Print { len, text } => {
                words[0] = len;
                put(&mut words[1..], &text);
                PRINT
            }
        }
    }

    fn decode(number: u32, words: &[u32]) -> Option<Self> {
        Some(match number {
            START if words[..2] == MAGIC => Self::Start {
                tsc_khz: words[2],
                boot_tsc: u64::from(words[4]) << 32 | u64::from(words[3]),
            },
            LOST => Self::Lost { count: words[0] },
            SCHED_SWITCH => Self::SchedSwitch {
                prev_prio: words[0],
                prev_state: words[1],
                next_pid: words[2] as i32,
                next_prio: words[3],
                next_comm: get(&words[4..]),
            },
            SCHED_WAKING => Self::SchedWaking(Woken::decode(words)),
            SCHED_WAKEUP_NEW => Self::SchedWakeupNew(Woken::decode(words)),
            SCHED_MIGRATE_TASK => Self::SchedMigrateTask {
                pid: words[0] as i32,
                prio: words[1],
                orig_cpu: words[2],
                dest_cpu: words[3],
                comm: get(&words[4..]),
            },
            SCHED_PROCESS_FORK => Self::SchedProcessFork {
                child_pid: words[0] as i32,
                child_comm: get(&words[1..]),
            },
            SCHED_PROCESS_EXEC => Self::SchedProcessExec {
                old_pid: words[0] as i32,
                filename: get(&words[1..]),
            },
            SCHED_PROCESS_EXIT => Self::SchedProcessExit { prio: words[0] },
            PRINT => Self::Print {
                len: words[0],
                text: get(&words[1..]),
            },
            _ => return None,
        })
    }
}

impl Woken {
    fn encode(&self, words: &mut [u32]) {
        words[..3].copy_from_slice(&[self.pid as u32, self.prio, self.target_cpu]);
        put(&mut words[3..], &self.comm);
    }

    fn decode(words: &[u32]) -> Self {
        Self {
            pid: words[0] as i32,
            prio: words[1],
            target_cpu: words[2],
            comm: get(&words[3..]),
        }
    }
}

/// Stores bytes in the first words.
fn put<const N: usize>(words: &mut [u32], bytes: &[u8; N]) {
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
}

/// Returns the bytes of the first words.
fn get<const N: usize>(words: &[u32]) -> [u8; N] {
    let mut bytes = [0; N];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> [u8; NAME_BYTES] {
        let mut name = [0; NAME_BYTES];
        name[..text.len()].copy_from_slice(text.as_bytes());
        name
    }

    fn events() -> Vec<Event> {
        let woken = Woken {
            pid: 7,
            prio: 120,
            target_cpu: 3,
            comm: name("woken"),
        };
        vec![
            Event::Start {
                tsc_khz: 1_000_000,
                boot_tsc: 0x1_2345_6789,
            },
            Event::Lost { count: 9 },
            Event::SchedSwitch {
                prev_prio: 120,
                prev_state: STATE_PREEMPTED,
                next_pid: -1,
                next_prio: 139,
                next_comm: name("0123456789abcde"),
            },
            Event::SchedWaking(woken),
            Event::SchedWakeupNew(woken),
            Event::SchedMigrateTask {
                pid: 8,
                prio: 1,
                orig_cpu: 0,
                dest_cpu: 7,
                comm: name("moved"),
            },
            Event::SchedProcessFork {
                child_pid: 9,
                child_comm: name("child"),
            },
            Event::SchedProcessExec {
                old_pid: 10,
                filename: *b"/a/path/of/twenty-eight/byte",
            },
            Event::SchedProcessExit { prio: 5 },
            Event::Print {
                len: 40,
                text: *b"a text that goes on later...",
            },
        ]
    }

    #[test]
    fn every_event_comes_back() {
        for event in events() {
            let record = Record {
                tsc: 0xfedc_ba98_7654_3210,
                cpu: 7,
                flags: FLAG_HARDIRQ | FLAG_IRQS_OFF,
                preempt_count: 2,
                pid: 42,
                comm: name("who ran"),
                event,
            };
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
    }

    #[test]
    fn every_event_has_a_number_of_its_own() {
        let mut words = [0; 8];
        let numbers: Vec<u32> = events().iter().map(|e| e.encode(&mut words)).collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<u32>>());
    }

    #[test]
    fn what_is_no_event_is_none() {
        let mut words = [0; RECORD_WORDS];
        assert_eq!(Record::decode(&words), None);
        words[2] = 11;
        assert_eq!(Record::decode(&words), None);
        words[2] = START;
        assert_eq!(Record::decode(&words), None, "a start without the magic");
    }
}
