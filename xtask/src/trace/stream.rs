//! What the kernel wrote to the debug console: records, CPU by CPU as their rings were emptied.

use std::ops::RangeInclusive;

use anyhow::{Context, Result, bail, ensure};
use switch_to::trace::record::{Event, NAME_BYTES, RECORD_BYTES, RECORD_WORDS, Record, TEXT_BYTES};

/// All of a run, in order of time.
#[derive(Debug)]
pub struct Trace {
    tsc_khz: u32,
    boot_tsc: u64,
    /// What happened; events of one time in the order of their CPUs, those of one CPU in their own.
    pub records: Vec<Record>,
}

impl Trace {
    /// Reads a whole stream.
    ///
    /// # Errors
    /// When it is empty, is no stream, breaks off in a record, or has an event that is unknown.
    pub fn read(bytes: &[u8]) -> Result<Trace> {
        ensure!(
            !bytes.is_empty(),
            "the kernel recorded nothing: did it end before its first line, or without trace=on?"
        );
        let (whole, rest) = bytes.as_chunks::<RECORD_BYTES>();
        let mut records = whole.iter().enumerate().map(|(number, bytes)| {
            let words: [u32; RECORD_WORDS] =
                std::array::from_fn(|i| u32::from_le_bytes(bytes.as_chunks().0[i]));
            Record::decode(&words)
                .with_context(|| format!("record {number} is unknown: {words:x?}"))
        });
        let first = records.next().transpose()?;
        let Some(Event::Start { tsc_khz, boot_tsc }) = first.map(|record| record.event) else {
            bail!("no trace of this kernel: it does not begin as one");
        };
        let mut records = records.collect::<Result<Vec<Record>>>()?;
        ensure!(rest.is_empty(), "the trace breaks off in a record");
        ensure!(tsc_khz != 0, "the trace has no rate of the clock");
        records.sort_by_key(|record| record.tsc);
        Ok(Trace {
            tsc_khz,
            boot_tsc,
            records,
        })
    }

    /// Reads what [`Trace::text`] has written.
    ///
    /// # Errors
    /// A word is no number, or the numbers are no stream.
    pub fn of_text(text: &str) -> Result<Trace> {
        let words = text.split_whitespace().map(|word| {
            let number = u32::from_str_radix(word, 16).with_context(|| format!("word {word:?}"))?;
            Ok(number.to_le_bytes())
        });
        Trace::read(&words.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Returns the stream of the records in `range`, one a line, each word in hexadecimal.
    pub fn text(&self, range: RangeInclusive<usize>) -> String {
        let start = Record {
            tsc: self.boot_tsc,
            cpu: 0,
            flags: 0,
            preempt_count: 0,
            pid: 0,
            comm: [0; NAME_BYTES],
            event: Event::Start {
                tsc_khz: self.tsc_khz,
                boot_tsc: self.boot_tsc,
            },
        };
        let line = |record: &Record| {
            let words = record.encode().map(|word| format!("{word:08x}"));
            words.join(" ") + "\n"
        };
        let records = std::iter::once(&start).chain(&self.records[range]);
        records.map(line).collect()
    }

    /// Nanoseconds from boot to a record.
    pub fn ns(&self, record: &Record) -> u64 {
        let counts = u128::from(record.tsc.saturating_sub(self.boot_tsc));
        (counts * 1_000_000 / u128::from(self.tsc_khz)) as u64
    }

    /// How many CPUs took part: one more than the highest.
    pub fn cpus(&self) -> usize {
        let highest = self.records.iter().map(|record| record.cpu).max();
        highest.map_or(1, |cpu| usize::from(cpu) + 1)
    }

    /// The switches of a CPU, in order.
    pub fn switches(&self, cpu: usize) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| {
            usize::from(record.cpu) == cpu && matches!(record.event, Event::SchedSwitch { .. })
        })
    }

    /// Events that found no room.
    pub fn lost(&self) -> u64 {
        let lost = |record: &Record| match record.event {
            Event::Lost { count } => u64::from(count),
            _ => 0,
        };
        self.records.iter().map(lost).sum()
    }

    /// What it has, in a line.
    pub fn summary(&self) -> String {
        let switches: Vec<String> = (0..self.cpus())
            .map(|cpu| self.switches(cpu).count().to_string())
            .collect();
        let length = self.records.last().map_or(0, |last| self.ns(last));
        let lost = match self.lost() {
            0 => "none lost".to_owned(),
            lost => format!("{lost} LOST"),
        };
        format!(
            "{} events in {}.{:03} s, {lost}; switches by CPU: {}",
            self.records.len(),
            length / 1_000_000_000,
            length / 1_000_000 % 1000,
            switches.join(" ")
        )
    }

    /// The text that begins with the print record at `index`, and goes on in later ones of its CPU.
    /// `None` if the record is no print, or goes on with the one before it.
    pub fn print_at(&self, index: usize) -> Option<Vec<u8>> {
        let first = &self.records[index];
        let Event::Print { len, .. } = first.event else {
            return None;
        };
        let of_this_cpu = |record: &&Record| record.cpu == first.cpu;
        let before = self.records[..index].iter().rev().find(of_this_cpu);
        if before.is_some_and(|it| matches!(it.event, Event::Print { len, .. } if goes_on(len))) {
            return None;
        }
        let mut text = Vec::new();
        let mut left = len as usize;
        for record in self.records[index..].iter().filter(of_this_cpu) {
            let Event::Print { text: part, .. } = record.event else {
                break;
            };
            text.extend(&part[..left.min(TEXT_BYTES)]);
            left = left.saturating_sub(TEXT_BYTES);
            if left == 0 {
                break;
            }
        }
        Some(text)
    }
}

fn goes_on(len: u32) -> bool {
    len as usize > TEXT_BYTES
}

/// A name as text: what tools take for a separator becomes `_`.
pub fn name(comm: &[u8; NAME_BYTES]) -> String {
    let end = comm.iter().position(|&byte| byte == 0);
    comm[..end.unwrap_or(NAME_BYTES)]
        .iter()
        .map(|&byte| match byte {
            b'=' | b'[' | b']' => '_',
            byte if byte.is_ascii_graphic() => char::from(byte),
            _ => '_',
        })
        .collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A record of the task `pid` on `cpu`, `ns` after boot.
    pub fn record(ns: u64, cpu: u8, pid: i32, event: Event) -> Record {
        let mut comm = [0; NAME_BYTES];
        let text = format!("task {pid}");
        comm[..text.len()].copy_from_slice(text.as_bytes());
        Record {
            tsc: 5000 + ns,
            cpu,
            flags: 0,
            preempt_count: 0,
            pid,
            comm,
            event,
        }
    }

    /// Bytes of a stream of these records, with a clock of 1 GHz.
    pub fn stream(records: &[Record]) -> Vec<u8> {
        let start = Event::Start {
            tsc_khz: 1_000_000,
            boot_tsc: 5000,
        };
        [record(0, 0, 0, start)]
            .iter()
            .chain(records)
            .flat_map(Record::encode)
            .flat_map(u32::to_le_bytes)
            .collect()
    }

    /// A text in as many records as it takes.
    pub fn prints(ns: u64, cpu: u8, pid: i32, text: &str) -> Vec<Record> {
        let parts = text.as_bytes().chunks(TEXT_BYTES).enumerate();
        parts
            .map(|(n, part)| {
                let mut bytes = [0; TEXT_BYTES];
                bytes[..part.len()].copy_from_slice(part);
                let len = (text.len() - n * TEXT_BYTES) as u32;
                record(ns + n as u64, cpu, pid, Event::Print { len, text: bytes })
            })
            .collect()
    }

    #[test]
    fn records_come_in_order_of_time() {
        let exit = Event::SchedProcessExit { prio: 120 };
        let bytes = stream(&[
            record(30, 0, 1, exit),
            record(50, 0, 2, exit),
            record(40, 1, 3, exit),
        ]);
        let trace = Trace::read(&bytes).unwrap();
        let order: Vec<(i32, u64)> = trace.records.iter().map(|r| (r.pid, trace.ns(r))).collect();
        assert_eq!(order, [(1, 30), (3, 40), (2, 50)]);
        assert_eq!((trace.cpus(), trace.lost()), (2, 0));
    }

    #[test]
    fn a_part_is_the_same_as_text() {
        let exit = Event::SchedProcessExit { prio: 120 };
        let records = [30, 40, 50].map(|ns| record(ns, 0, ns as i32, exit));
        let trace = Trace::read(&stream(&records)).unwrap();
        let part = Trace::of_text(&trace.text(1..=2)).unwrap();
        assert_eq!(part.records, records[1..]);
        assert_eq!(part.ns(&part.records[0]), 40);
        assert!(Trace::of_text("0000zzzz").is_err());
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        let bytes = stream(&[]);
        let error = |bytes: &[u8]| Trace::read(bytes).unwrap_err().to_string();
        assert!(error(&[]).contains("recorded nothing"));
        assert!(error(&bytes[..40]).contains("does not begin"));
        assert!(error(&[&bytes[..], &[1, 2, 3]].concat()).contains("breaks off"));
        assert!(error(&[&bytes[..], &[0xff; 64]].concat()).contains("record 1 is unknown"));
        let event = Event::SchedProcessExit { prio: 1 };
        let no_start: Vec<u8> = record(1, 0, 1, event)
            .encode()
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert!(error(&no_start).contains("does not begin"));
    }

    #[test]
    fn a_long_text_is_one() {
        let text = "a text that is longer than one record, and even longer than two";
        let mut records = prints(10, 0, 1, text);
        // Another CPU's comes in between.
        records.extend(prints(11, 1, 2, "short"));
        records.extend(prints(50, 0, 1, "another"));
        let trace = Trace::read(&stream(&records)).unwrap();
        let texts: Vec<String> = (0..trace.records.len())
            .filter_map(|index| trace.print_at(index))
            .map(|text| String::from_utf8(text).unwrap())
            .collect();
        assert_eq!(texts, [text, "short", "another"]);
    }
}
