//! [`Pids`] against a naive model: which tasks are on which list, in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Tasks by number, and lists by kind and head.
#[derive(Default)]
struct Model {
    tasks: BTreeSet<i32>,
    lists: BTreeMap<(usize, i32), Vec<i32>>,
}

impl Model {
    fn list(&mut self, kind: PidType, head: i32) -> &mut Vec<i32> {
        self.lists.entry((kind as usize, head)).or_default()
    }

    fn leave(&mut self, kind: PidType, pid: i32) {
        for (key, list) in &mut self.lists {
            if key.0 == kind as usize {
                list.retain(|&other| other != pid);
            }
        }
    }

    fn is_in_use(&self, pid: i32) -> bool {
        let is_head = |(key, list): (&(usize, i32), &Vec<i32>)| key.1 == pid && !list.is_empty();
        self.tasks.contains(&pid) || self.lists.iter().any(is_head)
    }
}

fn numbers(pids: &Pids<i32>, kind: PidType, head: i32) -> Vec<i32> {
    pids.each(kind, head).map(|(pid, _)| pid).collect()
}

/// Returns a table with tasks 1 to `count`, each its own process.
fn table(count: i32) -> Box<Pids<i32>> {
    let mut pids = Box::new(Pids::new());
    for expected in 1..=count {
        let pid = pids.alloc_pid().unwrap();
        assert_eq!(pid, expected);
        pids.insert(pid, pid);
        pids.attach_pid(PidType::Process, pid, 0);
    }
    pids
}

proptest! {
    #[test]
    fn lists_are_what_the_model_says(steps in prop::collection::vec((0..8u8, 0..64usize, 0..64usize), 1..300)) {
        const KINDS: [PidType; 3] = [PidType::Child, PidType::Pgid, PidType::Sid];
        let (mut pids, mut model) = (Box::new(Pids::new()), Model::default());
        for (what, a, b) in steps {
            let nth = |n: usize| model.tasks.iter().copied().nth(n % model.tasks.len().max(1));
            let kind = KINDS[b % KINDS.len()];
            match (what, nth(a), nth(b)) {
                (0..=2, ..) => {
                    let pid = pids.alloc_pid().unwrap();
                    prop_assert!(!model.is_in_use(pid), "{pid} given out twice");
                    pids.insert(pid, pid * 3);
                    model.tasks.insert(pid);
                }
                (3..=5, Some(pid), Some(head)) => {
                    pids.detach_pid(kind, pid);
                    model.leave(kind, pid);
                    pids.attach_pid(kind, pid, head);
                    model.list(kind, head).push(pid);
                }
                (6, Some(pid), _) => {
                    pids.detach_pid(kind, pid);
                    model.leave(kind, pid);
                }
                (7, Some(pid), _) => {
                    prop_assert_eq!(pids.remove(pid), Some(pid * 3));
                    KINDS.into_iter().for_each(|kind| model.leave(kind, pid));
                    model.tasks.remove(&pid);
                }
                _ => {}
            }
            prop_assert_eq!(pids.len(), model.tasks.len());
            for ((kind, head), list) in &model.lists {
                let kind = TYPES[*kind];
                prop_assert_eq!(&numbers(&pids, kind, *head), list);
                for pid in list {
                    prop_assert_eq!(pids.head_of(kind, *pid), Some(*head));
                }
            }
        }
        prop_assert!(pids.all().map(|(pid, _)| pid).eq(model.tasks.iter().copied()));
        // Once all tasks have gone, every leaf has gone except that of number 0.
        for pid in model.tasks {
            pids.remove(pid);
        }
        prop_assert!(pids.leaves[1..].iter().all(Vec::is_empty));
        prop_assert_eq!(pids.pidmap.iter().map(|word| word.count_ones()).sum::<u32>(), 1);
    }

    /// A walk visits each task that stays on the list exactly once, and no task twice.
    #[test]
    fn a_walk_misses_nobody(leaving in prop::collection::vec((1..20i32, 1..30i32), 0..40)) {
        let mut pids = table(20);
        let walk = pids.walk(PidType::Process, 0).unwrap();
        let (mut seen, mut step, mut gone) = (Vec::new(), 0, BTreeSet::new());
        while let Some(pid) = pids.walk_next(&walk) {
            seen.push(pid);
            step += 1;
            for (_, pid) in leaving.iter().filter(|(at, _)| *at == step) {
                if pids.remove(*pid).is_some() {
                    gone.insert(*pid);
                }
            }
        }
        pids.end_walk(walk);
        prop_assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
        prop_assert!((1..=20).all(|pid| seen.contains(&pid) || gone.contains(&pid)));
        prop_assert_eq!(pids.walks, 0);
    }
}

#[test]
fn a_group_keeps_its_number_after_its_leader() {
    let mut pids = table(3);
    pids.attach_pid(PidType::Pgid, 2, 2);
    pids.attach_pid(PidType::Pgid, 3, 2);
    pids.remove(2);
    assert!(pids.get(2).is_none());
    pids.last_pid = 1;
    assert_eq!(pids.alloc_pid(), Ok(4), "2 is the group's, 3 a task's");
    pids.remove(3);
    pids.last_pid = 1;
    assert_eq!(pids.alloc_pid(), Ok(2));
}

#[test]
fn numbers_begin_again_at_300_and_end() {
    let mut pids = table(PID_MAX - 1);
    assert_eq!(pids.alloc_pid(), Err(Errno::EAGAIN));
    pids.remove(7);
    assert_eq!(
        pids.alloc_pid(),
        Err(Errno::EAGAIN),
        "7 is for what starts at boot"
    );
    pids.remove(301);
    assert_eq!(pids.alloc_pid(), Ok(301));
    assert_eq!(pids.last_pid(), 301);
}

#[test]
fn so_many_walks_and_no_more() {
    let mut pids = table(1);
    let mut walks: Vec<Walk> = (0..CURSORS)
        .map(|_| pids.walk(PidType::Process, 0).unwrap())
        .collect();
    assert_eq!(pids.walk(PidType::Process, 0), None);
    pids.end_walk(walks.pop().unwrap());
    assert!(pids.walk(PidType::Process, 0).is_some());
}

#[test]
fn numbers_from_any_integer_are_looked_up() {
    let pids = table(40);
    for wild in [
        i32::MIN,
        -1,
        0,
        41,
        PID_MAX - 1,
        PID_MAX,
        PID_MAX + 1,
        0x1_0001,
        i32::MAX,
    ] {
        assert!(pids.get(wild).is_none(), "{wild}");
        assert_eq!(pids.first(PidType::Pgid, wild), None);
        assert_eq!(pids.head_of(PidType::Child, wild), None);
    }
    assert_eq!(pids.get(40), Some(&40));
    assert_eq!(pids.find_ge_pid(i32::MIN, 99), Ok((1, &1)));
    assert_eq!(pids.find_ge_pid(5, 99), Ok((5, &5)));
    assert_eq!(pids.find_ge_pid(41, 10_000), Err(PID_MAX));
}

#[test]
fn a_search_begins_with_what_it_found() {
    let mut pids = table(5);
    for pid in 1..=5 {
        pids.attach_pid(PidType::Pgid, pid, 1);
    }
    let is = |wanted: i32| move |_: &Pids<i32>, pid, _: &i32| pid == wanted;
    assert!(pids.any_in_pgrp(1, is(4)));
    let looked = core::cell::Cell::new(0);
    let four = |_: &Pids<i32>, pid, _: &i32| {
        looked.set(looked.get() + 1);
        pid == 4
    };
    assert!(pids.any_in_pgrp(1, four));
    assert_eq!(looked.get(), 1);
    pids.remove(4);
    assert!(pids.any_in_pgrp(1, is(2)), "round about");
    assert!(!pids.any_in_pgrp(1, is(4)));
}

#[test]
fn groups_wait_once_and_in_order() {
    let mut pids = table(3);
    for pid in [1, 2, 3] {
        pids.attach_pid(PidType::Pgid, pid, pid);
    }
    for group in [2, 3, 2, 0] {
        pids.queue_pgrp(group);
    }
    pids.remove(2);
    assert_eq!(pids.next_queued_pgrp(), Some(2));
    assert_eq!(pids.next_queued_pgrp(), Some(3));
    assert_eq!(pids.next_queued_pgrp(), None);
    assert_eq!(pids.pidmap[0], 0b1011, "2 is free");
}

#[test]
fn a_leaf_that_comes_again_is_as_new() {
    let mut pids = table(1);
    // Every role that a number in a leaf can have: a task, a head, a neighbour on a list, a queued
    // group.
    for round in 0..3 {
        let (a, b) = (40 + 64 * round, 41 + 64 * round);
        for pid in [a, b] {
            pids.last_pid = pid - 1;
            assert_eq!(pids.alloc_pid(), Ok(pid));
            let leaf = &pids.leaves[pid as usize / LEAF];
            assert_eq!(
                leaf.iter().filter(|pid| !pid.is_free()).count(),
                (pid - a) as usize
            );
            assert!(leaf.iter().all(|pid| pid.found == 0 || !pid.is_free()));
            pids.insert(pid, pid);
            for kind in TYPES {
                pids.attach_pid(kind, pid, a);
            }
        }
        pids.queue_pgrp(a);
        assert!(pids.any_in_pgrp(a, |_, pid, _| pid == b));
        for pid in [a, b] {
            pids.remove(pid);
        }
        assert!(
            !pids.leaves[a as usize / LEAF].is_empty(),
            "the group is queued"
        );
        assert_eq!(pids.next_queued_pgrp(), Some(a));
        assert!(pids.leaves[a as usize / LEAF].is_empty());
        let links = pids.spare.iter().flat_map(|pid| pid.links);
        assert!(links.into_iter().all(|link| link.head == NOWHERE));
    }
}
