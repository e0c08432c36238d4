#![forbid(unsafe_code)]
//! The texts of `/proc`, in Linux's order and spelling.
//!
//! Linux: 5.4 `fs/proc/array.c`, `fs/proc/stat.c`; proc(5).

use alloc::string::String;
use core::fmt::{self, Display, Formatter};
use core::ops::Range;

use crate::base::errno::Errno;
use crate::mm::fallible::Text;
use crate::task::comm::Comm;

/// Ticks per second in every figure that programs see.
pub const USER_HZ: u64 = 100;

/// The fields of `/proc/PID/stat` that this kernel knows; the rest is 0.
#[derive(Clone, Debug, Default)]
pub struct TaskStat {
    pub pid: i32,
    pub comm: Comm,
    pub state: char,
    pub ppid: i32,
    pub pgrp: i32,
    pub session: i32,
    pub flags: u32,
    pub min_flt: u32,
    /// Faults of the process's children, as `cutime` and `cstime` are their times.
    pub cmin_flt: u32,
    /// In units of 1 / [`USER_HZ`] s, as are `stime` and `start_time`.
    pub utime: u64,
    pub stime: u64,
    pub cutime: u64,
    pub cstime: u64,
    /// 0 is the best priority of the normal policy; lower values are real-time.
    pub priority: i32,
    pub nice: i32,
    pub num_threads: u32,
    pub start_time: u64,
    /// Size of the address space in bytes.
    pub vsize: u64,
    /// Resident memory in pages.
    pub rss: u32,
    pub start_code: u32,
    pub end_code: u32,
    pub start_stack: u32,
    pub signal: u64,
    pub blocked: u64,
    pub sigignore: u64,
    pub sigcatch: u64,
    /// 1 if the task sleeps in a known function, otherwise 0.
    pub wchan: u32,
    /// Exit signal; -1 for a thread that does not lead its process.
    pub exit_signal: i32,
    pub processor: u32,
    pub rt_priority: u32,
    pub policy: u32,
    pub start_data: u32,
    pub end_data: u32,
    pub start_brk: u32,
    pub arg_start: u32,
    pub arg_end: u32,
    pub env_end: u32,
    pub exit_code: i32,
}

impl TaskStat {
    /// Returns the line, with 52 fields.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn line(&self) -> Result<Text, Errno> {
        let mut out = Text::new();
        write!(out, "{} (", self.pid)?;
        out.put_bytes(self.comm.bytes())?;
        write!(out, ") {}", self.state)?;
        let mut put = |words: &[i64]| words.iter().try_for_each(|word| write!(out, " {word}"));
        fn of(number: impl Into<i64>) -> i64 {
            number.into()
        }
        // ppid to cmajflt
        put(&[of(self.ppid), of(self.pgrp), of(self.session), 0, -1])?;
        put(&[of(self.flags), of(self.min_flt), of(self.cmin_flt), 0, 0])?;
        // utime to starttime
        put(&[self.utime as i64, self.stime as i64])?;
        put(&[self.cutime as i64, self.cstime as i64])?;
        put(&[of(self.priority), of(self.nice), of(self.num_threads), 0])?;
        put(&[self.start_time as i64])?;
        // vsize to kstkeip
        put(&[self.vsize as i64, of(self.rss), of(u32::MAX)])?;
        put(&[of(self.start_code), of(self.end_code), of(self.start_stack)])?;
        // kstkesp, kstkeip: 0 for a live task, since they change while they are read.
        put(&[0, 0])?;
        // As in Linux, these words have 31 bits: the others are in `status`.
        let set = |set: u64| (set & 0x7fff_ffff) as i64;
        put(&[set(self.signal), set(self.blocked)])?;
        put(&[set(self.sigignore), set(self.sigcatch)])?;
        put(&[of(self.wchan), 0, 0, of(self.exit_signal)])?;
        put(&[of(self.processor), of(self.rt_priority), of(self.policy)])?;
        // delayacct_blkio_ticks, guest_time, cguest_time
        put(&[0, 0, 0, of(self.start_data), of(self.end_data)])?;
        put(&[of(self.start_brk), of(self.arg_start), of(self.arg_end)])?;
        // env_start to exit_code
        put(&[of(self.arg_end), of(self.env_end), of(self.exit_code)])?;
        out.put("\n")?;
        Ok(out)
    }
}

/// A line of `/proc/PID/maps`.
pub struct Area<'a> {
    pub range: Range<u32>,
    /// Letters for readable, writable, executable, and private or shared.
    pub rights: [char; 4],
    /// Offset in the file, in bytes.
    pub offset: u32,
    /// Name of the contents, in two pieces; both empty if it has no name.
    pub name: [&'a [u8]; 2],
}

/// Appends the line to `out`. Files have no device number here.
///
/// # Errors
/// ENOMEM.
pub fn put_area_line(out: &mut Text, area: &Area<'_>) -> Result<(), Errno> {
    let Range { start, end } = area.range;
    let [r, w, x, p] = area.rights;
    let begin = out.len();
    write!(
        out,
        "{start:08x}-{end:08x} {r}{w}{x}{p} {:08x} 00:00 0 ",
        area.offset
    )?;
    if area.name.iter().any(|piece| !piece.is_empty()) {
        // Names are aligned in a column.
        let missing = 49usize.saturating_sub(out.len().saturating_sub(begin));
        write!(out, "{:missing$}", "")?;
        for piece in area.name {
            write!(out, "{}", piece.escape_ascii())?;
        }
    }
    out.put("\n")
}

/// Appends a task's name to `out`, on one line, in the form of `Name:`.
///
/// # Errors
/// ENOMEM.
pub fn put_escaped_name(out: &mut Text, name: &[u8]) -> Result<(), Errno> {
    name.iter().try_for_each(|byte| match byte {
        b'\\' => out.put("\\\\"),
        b'\n' => out.put("\\n"),
        _ => out.put_bytes(&[*byte]),
    })
}

/// Returns the text of `State:` for a state letter.
pub fn state_name(letter: char) -> &'static str {
    match letter {
        'R' => "R (running)",
        'S' => "S (sleeping)",
        'D' => "D (disk sleep)",
        'T' => "T (stopped)",
        't' => "t (tracing stop)",
        'Z' => "Z (zombie)",
        'X' => "X (dead)",
        'W' => "W (waking)",
        _ => "? (unknown)",
    }
}

/// A mask of CPUs in the form of `Cpus_allowed_list`: `0-2,5`.
pub struct CpuList(pub u32);

impl Display for CpuList {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut cpu = 0u32;
        let mut comma = "";
        while cpu < u32::BITS {
            let run = (self.0 >> cpu).trailing_ones();
            let last = cpu.saturating_add(run).saturating_sub(1);
            match run {
                0 => {}
                1 => write!(f, "{comma}{cpu}")?,
                _ => write!(f, "{comma}{cpu}-{last}")?,
            }
            if run != 0 {
                comma = ",";
            }
            cpu = cpu.saturating_add(run.max(1));
        }
        Ok(())
    }
}

/// A number of hundredths, shown with two decimal places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hundredths(u64);

impl Display for Hundredths {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// Returns a load average, of which `one` stands for 1.0.
pub fn load(value: u32, one: u32) -> Hundredths {
    let (value, one) = (u64::from(value), u64::from(one));
    let rounded = value.saturating_mul(100).saturating_add(one / 2);
    Hundredths(rounded.checked_div(one).unwrap_or(0))
}

/// Converts milliseconds to seconds.
pub fn seconds(ms: u64) -> Hundredths {
    Hundredths(ms / 10)
}

/// Returns a function's path from a demangled name: without crate, generics, traits and brackets.
///
/// # Errors
/// ENOMEM.
pub fn function_path(demangled: &str) -> Result<String, Errno> {
    let mut out = Text::new();
    let demangled = demangled.trim_start_matches('<');
    let demangled = demangled.strip_prefix("switch_to::").unwrap_or(demangled);
    let mut depth = 0_u32;
    let mut rest = demangled;
    while let Some(c) = rest.chars().next() {
        // Generics follow `::<`; `<` alone begins a path.
        let is_generics = rest.starts_with("::<");
        match c {
            ':' if is_generics => {
                depth = depth.saturating_add(1);
                rest = &rest[3..];
                continue;
            }
            // `Type as Trait`: the type is enough.
            ' ' if depth == 0 && rest.starts_with(" as ") => depth = 1,
            '>' if depth > 0 => depth = depth.saturating_sub(1),
            '<' if depth > 0 => depth = depth.saturating_add(1),
            '<' | '>' => {}
            _ if depth == 0 => write!(out, "{c}")?,
            _ => {}
        }
        rest = &rest[c.len_utf8()..];
    }
    Ok(out.into_string())
}

/// Returns the function's own name, as a symbol in Linux would be; for a closure, that of the
/// enclosing function.
pub fn bare_name(path: &str) -> &str {
    let mut parts = path.rsplit("::");
    parts.find(|part| !part.starts_with('{')).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn stat_has_52_fields_in_linuxs_places() {
        let stat = TaskStat {
            pid: 7,
            comm: Comm(*b"a (b) c\0\0\0\0\0\0\0\0\0"),
            state: 'S',
            ppid: 1,
            utime: 14,
            stime: 15,
            cmin_flt: 11,
            cutime: 16,
            cstime: 17,
            priority: 20,
            num_threads: 3,
            start_time: 22,
            vsize: 23 << 32,
            blocked: 0x1_8000_0004,
            exit_signal: 17,
            processor: 2,
            policy: 1,
            exit_code: 256,
            ..TaskStat::default()
        };
        let line = stat.line().unwrap().into_string();
        // As every reader does: the name ends at the last bracket.
        let (head, tail) = line.rsplit_once(')').unwrap();
        assert_eq!(head, "7 (a (b) c");
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let field = |number: usize| fields[number - 3];
        assert_eq!(fields.len() + 2, 52);
        assert_eq!((field(3), field(4), field(8)), ("S", "1", "-1"));
        assert_eq!((field(14), field(15), field(18)), ("14", "15", "20"));
        assert_eq!((field(11), field(16), field(17)), ("11", "16", "17"));
        assert_eq!((field(20), field(22)), ("3", "22"));
        assert_eq!(field(23), (23u64 << 32).to_string());
        assert_eq!((field(32), field(38), field(39)), ("4", "17", "2"));
        assert_eq!((field(41), field(52)), ("1", "256"));
        assert!(line.ends_with('\n'));
    }

    #[test]
    fn a_name_stays_on_its_line() {
        let name = |bytes| {
            let mut text = Text::new();
            put_escaped_name(&mut text, bytes).unwrap();
            text.into_bytes()
        };
        assert_eq!(name(b"a\\b c\nd"), b"a\\\\b c\\nd");
        assert_eq!(name(b"a\\\xffb\n"), b"a\\\\\xffb\\n");
    }

    #[test]
    fn cpus_are_listed_in_runs() {
        for (mask, text) in [
            (0, ""),
            (1, "0"),
            (0b1011, "0-1,3"),
            (0xff, "0-7"),
            (u32::MAX, "0-31"),
            (1 << 31, "31"),
        ] {
            assert_eq!(CpuList(mask).to_string(), text);
        }
    }

    #[test]
    fn fractions_have_two_digits() {
        assert_eq!(load(2048, 2048).to_string(), "1.00");
        assert_eq!(load(100, 2048).to_string(), "0.05");
        assert_eq!(load(3 * 2048 + 1024, 2048).to_string(), "3.50");
        assert_eq!(load(u32::MAX, 2048).to_string(), "2097152.00");
        assert_eq!(seconds(1050).to_string(), "1.05");
        assert_eq!(seconds(9).to_string(), "0.00");
    }

    #[test]
    fn names_are_what_a_reader_looks_for() {
        for (from, path, name) in [
            (
                "<switch_to::fs::pipe::PipeReader>::pipe_wait",
                "fs::pipe::PipeReader::pipe_wait",
                "pipe_wait",
            ),
            (
                "switch_to::syscall::sched::do_nanosleep",
                "syscall::sched::do_nanosleep",
                "do_nanosleep",
            ),
            (
                "switch_to::a::f::<u32, core::option::Option<u8>>",
                "a::f",
                "f",
            ),
            (
                "switch_to::a::f::<u32>::{closure#0}",
                "a::f::{closure#0}",
                "f",
            ),
            (
                "<switch_to::a::T as core::fmt::Display>::fmt",
                "a::T::fmt",
                "fmt",
            ),
            (
                "<switch_to::a::T<u8> as core::cmp::PartialEq<u8>>::eq",
                "a::T<u8>::eq",
                "eq",
            ),
            ("schedule", "schedule", "schedule"),
        ] {
            let demangled = function_path(from).unwrap();
            assert_eq!((bare_name(&demangled), from), (name, from));
            if !path.contains('<') {
                assert_eq!(demangled, path);
            }
        }
    }

    #[test]
    fn an_area_is_a_line() {
        let mut area = Area {
            range: 0xbfff_e000..0xc000_0000,
            rights: ['r', 'w', '-', 'p'],
            offset: 0,
            name: [b"", b"[stack]"],
        };
        let line = "bfffe000-c0000000 rw-p 00000000 00:00 0          [stack]\n";
        let area_line = |area: &Area<'_>| {
            let mut text = Text::new();
            put_area_line(&mut text, area).unwrap();
            text.into_string()
        };
        assert_eq!(area_line(&area), line);
        area.name = [b""; 2];
        area.offset = 0x1000;
        assert_eq!(
            area_line(&area),
            "bfffe000-c0000000 rw-p 00001000 00:00 0 \n"
        );
    }
}
