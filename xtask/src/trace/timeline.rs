//! The timeline of a run as a picture: an SVG with a lane for each CPU and each task.
//!
//! Time runs to the right. Long stretches are cut short, and marked where they are cut. A switch of each of
//! the four kinds has a mark of its own shape; an arrow leads from the task that wakes another to the one
//! that is woken. Below them one switch is enlarged, to scale in instructions.
//!
//! Nothing is told by colour. The colours are a light or a dark page's, as the reader's system asks for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use switch_to::mm::active_mm::{MmSwitch, mm_switch};
use switch_to::trace::record::{Event, FLAG_NEXT_MM, FLAG_PREV_MM, Record};

use super::stream::{Trace, name};
use crate::picture::escaped;

/// Most switches that one picture shows.
pub const MOST_SWITCHES: usize = 80;
/// Pixels: names at the left, a lane, and a stretch of time at least and at most.
const LEFT: usize = 130;
const LANE: usize = 34;
const STRETCH: std::ops::RangeInclusive<u64> = 12..=30;
/// Nanoseconds of one pixel.
const NS: u64 = 2000;
/// Width of the enlarged switch.
const ENLARGED: usize = 600;

const STYLE: &str = "text{font:12px monospace;fill:#1a1a1a;white-space:pre}.head{font-weight:bold}\
rect,path,line{stroke:#555;fill:none}.page{fill:#fff;stroke:none}.runs{fill:#ddd}.lane{stroke:#bbb}\
.mark{fill:#fff;stroke-width:1.5}.new{stroke-dasharray:4 3}.a{fill:#eee}.b{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#eee}rect,path,line{stroke:#bbb}\
.page{fill:#1c1c1c;stroke:none}.runs{fill:#444}.lane{stroke:#555}.mark,.b{fill:#1c1c1c}.a{fill:#333}}";

/// A lane of the picture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Lane {
    Cpu(u8),
    Task(i32),
}

/// Draws the part of a trace that has the last switches, and one recorded switch below it.
///
/// # Errors
/// The trace has no switch, or `scene` is no recording.
pub fn svg(trace: &Trace, scene: &Value) -> Result<String> {
    let records = last_switches(&trace.records);
    ensure!(!records.is_empty(), "the run has no switch");
    let lanes = lanes(records);
    let y = |lane: Lane| lanes.get(&lane).map(|(index, _)| 46 + LANE * index);
    let (places, cuts, end) = places(trace, records);
    let mut out = String::new();
    for (lane, (_, label)) in &lanes {
        let y = y(*lane).unwrap_or(0);
        text(&mut out, "", 8, y + 4, label);
        let _ = writeln!(
            out,
            "<line class=\"lane\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>"
        );
    }
    runs(&mut out, records, &places, end, &y);
    for x in &cuts {
        text(&mut out, "", x - 4, 24, "//");
    }
    for (record, x) in records.iter().zip(&places) {
        match record.event {
            Event::SchedSwitch { .. } => {
                let y = y(Lane::Cpu(record.cpu)).unwrap_or(0);
                mark(&mut out, kind(record), *x, y);
            }
            Event::SchedWaking(woken) => arrow(&mut out, record, woken.pid, "", *x, &y),
            Event::SchedWakeupNew(woken) => arrow(&mut out, record, woken.pid, " new", *x, &y),
            _ => {}
        }
    }
    let mut bottom = 46 + LANE * lanes.len();
    legend(&mut out, &mut bottom);
    enlarged(&mut out, scene, &mut bottom)?;
    let width = end.max(LEFT + ENLARGED) + 20;
    let switches = records
        .iter()
        .filter(|it| matches!(it.event, Event::SchedSwitch { .. }))
        .count();
    let title = format!("Timeline of {switches} switches on {} CPU(s)", trace.cpus());
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {bottom}\" width=\"{width}\" \
         height=\"{bottom}\" role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">{title}</title>\n\
         <style>{STYLE}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{bottom}\"/>\n\
         {out}</svg>\n"
    ))
}

/// Returns the records from the first of the last switches on.
fn last_switches(records: &[Record]) -> &[Record] {
    let is_switch = |record: &Record| matches!(record.event, Event::SchedSwitch { .. });
    let switches = (0..records.len()).filter(|at| is_switch(&records[*at]));
    let first = switches.rev().take(MOST_SWITCHES).last();
    first.map_or(&[], |first| &records[first..])
}

/// Returns which kind of switch a record tells of.
fn kind(record: &Record) -> MmSwitch {
    let has = |flag| record.flags & flag != 0;
    mm_switch(has(FLAG_PREV_MM), has(FLAG_NEXT_MM))
}

/// Returns the lanes in their order, with their labels.
fn lanes(records: &[Record]) -> BTreeMap<Lane, (usize, String)> {
    let mut labels = BTreeMap::new();
    for record in records {
        labels.insert(Lane::Cpu(record.cpu), format!("CPU {}", record.cpu));
        if record.pid != 0 {
            labels.insert(
                Lane::Task(record.pid),
                format!("{}[{}]", name(&record.comm), record.pid),
            );
        }
        match record.event {
            Event::SchedSwitch {
                next_pid,
                next_comm,
                ..
            } if next_pid != 0 => {
                labels
                    .entry(Lane::Task(next_pid))
                    .or_insert_with(|| format!("{}[{next_pid}]", name(&next_comm)));
            }
            _ => {}
        }
    }
    let numbered = labels.into_iter().enumerate();
    numbered
        .map(|(index, (lane, label))| (lane, (index, label)))
        .collect()
}

/// Returns the x of each record, those of the cuts, and the right end.
fn places(trace: &Trace, records: &[Record]) -> (Vec<usize>, Vec<usize>, usize) {
    let (mut x, mut cuts, mut places) = (LEFT + 20, Vec::new(), Vec::new());
    let mut before = trace.ns(&records[0]);
    for record in records {
        let ns = trace.ns(record);
        let wide = ns.saturating_sub(before) / NS;
        let drawn = wide.clamp(*STRETCH.start(), *STRETCH.end());
        if wide > drawn {
            cuts.push(x + drawn as usize / 2);
        }
        x += drawn as usize;
        places.push(x);
        before = ns;
    }
    (places, cuts, x + 40)
}

/// Draws on each CPU's lane which task runs, and on each task's when it runs.
fn runs(
    out: &mut String,
    records: &[Record],
    places: &[usize],
    end: usize,
    y: &impl Fn(Lane) -> Option<usize>,
) {
    let mut running: BTreeMap<u8, (i32, usize)> = BTreeMap::new();
    let mut draw = |cpu: u8, pid: i32, from: usize, to: usize| {
        let lane = if pid == 0 {
            Lane::Cpu(cpu)
        } else {
            Lane::Task(pid)
        };
        if let Some(y) = y(lane).filter(|_| pid != 0) {
            let _ = writeln!(
                out,
                "<rect class=\"runs\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"16\"/>",
                y - 8,
                to - from
            );
            text(out, "", from + 2, y + 4, &cpu.to_string());
        }
    };
    for (record, &x) in records.iter().zip(places) {
        let (pid, from) = *running.entry(record.cpu).or_insert((record.pid, LEFT));
        if let Event::SchedSwitch { next_pid, .. } = record.event {
            draw(record.cpu, pid, from, x);
            running.insert(record.cpu, (next_pid, x));
        }
    }
    for (cpu, (pid, from)) in running {
        draw(cpu, pid, from, end);
    }
}

/// Draws the mark of a switch: a circle, a triangle that points down to a kernel thread or up to a
/// program, or a square.
fn mark(out: &mut String, kind: MmSwitch, x: usize, y: usize) {
    let path = match kind {
        MmSwitch::Switch => format!("M{} {y}a6 6 0 1 0 12 0a6 6 0 1 0 -12 0", x - 6),
        MmSwitch::Borrow => format!("M{} {}h12l-6 11z", x - 6, y - 5),
        MmSwitch::Return => format!("M{} {}h12l-6 -11z", x - 6, y + 5),
        MmSwitch::HandOver => format!("M{} {}h11v11h-11z", x - 5, y - 5),
    };
    let _ = writeln!(out, "<path class=\"mark\" d=\"{path}\"/>");
}

/// Draws the arrow of a wake-up, from the lane of the task that wakes to that of the one that is woken.
fn arrow(
    out: &mut String,
    by: &Record,
    pid: i32,
    class: &str,
    x: usize,
    y: &impl Fn(Lane) -> Option<usize>,
) {
    let from = match by.pid {
        0 => Lane::Cpu(by.cpu),
        pid => Lane::Task(pid),
    };
    if let (Some(from), Some(to)) = (y(from), y(Lane::Task(pid))) {
        let back = if to > from { -6 } else { 6 };
        let _ = writeln!(
            out,
            "<path class=\"wake{class}\" d=\"M{x} {from}V{to}m-4 {back}l4 {}l4 {back}\"/>",
            -back
        );
    }
}

fn legend(out: &mut String, y: &mut usize) {
    *y += 10;
    let kinds = [
        (MmSwitch::Switch, "program to program"),
        (
            MmSwitch::Borrow,
            "program to kernel thread, which borrows the address space",
        ),
        (MmSwitch::Return, "kernel thread to program"),
        (
            MmSwitch::HandOver,
            "kernel thread to kernel thread. A program that has ended is one of them",
        ),
    ];
    for (kind, meaning) in kinds {
        mark(out, kind, 20, *y);
        text(out, "", 36, *y + 4, meaning);
        *y += 20;
    }
    let told = [
        "A bar: the task runs, on the CPU whose number is in it. An idle CPU has no bar.",
        "An arrow: a wake-up, dashed for a new task. //: time is cut short here.",
    ];
    for line in told {
        text(out, "", 8, *y + 4, line);
        *y += 20;
    }
}

/// Draws the parts of one switch as boxes, each as wide as it has instructions.
fn enlarged(out: &mut String, scene: &Value, y: &mut usize) -> Result<()> {
    let parts = parts(scene)?;
    let all: usize = parts.iter().map(|(_, count)| count).sum();
    ensure!(all > 0, "the recorded switch has no instruction");
    *y += 16;
    let head = format!(
        "One switch, to scale: {all} instructions of the kernel with its checks ({})",
        scene["title"].as_str().unwrap_or_default()
    );
    text(out, "head", 8, *y, &head);
    *y += 12;
    let mut x = 8;
    for (number, (_, count)) in (1..).zip(&parts) {
        let width = (count * ENLARGED / all).max(2);
        let class = if number % 2 == 1 { "a" } else { "b" };
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"26\"/>"
        );
        if width > 10 {
            text(out, "", x + 3, *y + 17, &number.to_string());
        }
        x += width;
    }
    *y += 46;
    for (number, (part, count)) in (1..).zip(&parts) {
        text(out, "", 8, *y, &format!("{number}  {part}: {count}"));
        *y += 18;
    }
    Ok(())
}

/// Returns the parts of a recorded switch in order, each with its number of instructions.
fn parts(scene: &Value) -> Result<Vec<(&'static str, usize)>> {
    let mut parts: Vec<(&str, usize)> = Vec::new();
    let (mut at, mut is_over) = (String::new(), false);
    for step in scene["steps"].as_array().context("no steps")? {
        if !at.is_empty() {
            let place = at.split('+').next().unwrap_or_default();
            is_over |= ["switch_to_1", "ret_from_fork"].contains(&place);
            let around = match is_over {
                false => "context_switch: the address space, and checks",
                true => "finish_task_switch",
            };
            let part = match place {
                place if place.starts_with("switch_to") && is_over => "switch_to, from label 1 on",
                place if place.starts_with("switch_to") => "switch_to, up to the jmp",
                place if place.starts_with("__switch_to") => "__switch_to",
                _ => around,
            };
            // The sequence is recorded whole: what was skipped behind its `ret` is not in it.
            let skipped = step["skipped"].as_u64().unwrap_or(0) as usize;
            let skipped_in = match place.starts_with("switch_to") {
                true => around,
                false => part,
            };
            for (part, count) in [(part, 1), (skipped_in, skipped)] {
                match parts.last_mut() {
                    Some((last, sum)) if *last == part => *sum += count,
                    _ if count == 0 => {}
                    _ => parts.push((part, count)),
                }
            }
        }
        if let Some(next) = step["set"]["at"].as_str() {
            next.clone_into(&mut at);
        }
    }
    Ok(parts)
}

fn text(out: &mut String, class: &str, x: usize, y: usize, text: &str) {
    let class = if class.is_empty() {
        String::new()
    } else {
        format!(" class=\"{class}\"")
    };
    let _ = writeln!(
        out,
        "<text{class} x=\"{x}\" y=\"{y}\">{}</text>",
        escaped(text)
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use switch_to::trace::record::Woken;

    use super::*;
    use crate::trace::stream::tests::{record, stream};

    fn switch(ns: u64, cpu: u8, from: i32, to: i32, flags: u8) -> Record {
        let event = Event::SchedSwitch {
            prev_prio: 120,
            prev_state: 0,
            next_pid: to,
            next_prio: 120,
            next_comm: *b"next\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        Record {
            flags,
            ..record(ns, cpu, from, event)
        }
    }

    fn scene() -> Value {
        json!({ "title": "old", "steps": [
            { "set": { "at": "schedule+3" } },
            { "set": { "at": "switch_to" }, "skipped": 8 },
            { "set": { "at": "__switch_to" } },
            { "set": { "at": "switch_to_1" } },
            { "set": { "at": "schedule+9" }, "skipped": 2 },
            { "set": {} },
        ] })
    }

    #[test]
    fn each_kind_of_switch_and_each_wake_up_is_drawn() {
        let woken = Woken {
            pid: 7,
            prio: 120,
            target_cpu: 0,
            comm: [0; 16],
        };
        let both = FLAG_PREV_MM | FLAG_NEXT_MM;
        let records = [
            switch(1000, 0, 0, 7, FLAG_NEXT_MM),
            switch(2000, 0, 7, 8, both),
            record(2500, 0, 8, Event::SchedWaking(woken)),
            record(2600, 0, 8, Event::SchedWakeupNew(woken)),
            switch(9_000_000, 0, 8, 3, FLAG_PREV_MM),
            switch(9_001_000, 0, 3, 0, 0),
        ];
        let trace = Trace::read(&stream(&records)).unwrap();
        let svg = svg(&trace, &scene()).unwrap();
        for part in [
            "Timeline of 4 switches",
            ">CPU 0<",
            ">task_7[7]<",
            "class=\"wake\"",
            "class=\"wake new\"",
            ">//<",
            "15 instructions",
            "1  context_switch: the address space, and checks: 9",
            "3  __switch_to: 1",
            "4  switch_to, from label 1 on: 1",
            "5  finish_task_switch: 3",
        ] {
            assert!(svg.contains(part), "{part:?} is not in {svg}");
        }
        // Four switches and the legend's four marks.
        assert_eq!(svg.matches("class=\"mark\"").count(), 8);
        // Tasks 7, 8 and 3 run once each; the idle CPU has no bar.
        assert_eq!(svg.matches("class=\"runs\"").count(), 3);
    }

    #[test]
    fn only_the_last_switches_are_drawn() {
        let records: Vec<Record> = (0..200)
            .map(|at| switch(at * 1000, 0, 7 + (at % 2) as i32, 8 - (at % 2) as i32, 0))
            .collect();
        let trace = Trace::read(&stream(&records)).unwrap();
        let svg = svg(&trace, &scene()).unwrap();
        assert_eq!(svg.matches("class=\"mark\"").count(), MOST_SWITCHES + 4);
        assert!(svg_of_nothing().is_err());
    }

    fn svg_of_nothing() -> Result<String> {
        let exit = record(1, 0, 7, Event::SchedProcessExit { prio: 120 });
        svg(&Trace::read(&stream(&[exit]))?, &scene())
    }
}
