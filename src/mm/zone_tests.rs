#![forbid(unsafe_code)]
//! Tests of the page allocator: against a set of frames, and against its own initial state.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn zone(frames: usize) -> Zone {
    let mem_map: Vec<Page> = (0..frames).map(|_| Page::reserved()).collect();
    Zone::new(mem_map.leak())
}

/// Returns every free block (first frame and order), after the ready frames have joined.
fn blocks(zone: &mut Zone) -> BTreeSet<(u32, usize)> {
    zone.drain_hot(zone.nr_hot);
    let lists = zone.free_area.iter().enumerate();
    lists
        .flat_map(|(order, list)| list.iter(zone.mem_map).map(move |first| (first, order)))
        .collect()
}

/// Drops the only reference to each frame, as `mm::frame` does.
fn put(zone: &mut Zone, first: u32, frames: u32) {
    for frame in first..first + frames {
        assert!(zone.mem_map[frame as usize].put_testzero());
    }
    match frames {
        1 => zone.free(first),
        _ => zone.free_range(first, first + frames),
    }
}

#[test]
fn a_range_becomes_the_largest_aligned_blocks() {
    let mut zone = zone(64);
    zone.add_range(3, 20);
    assert_eq!(
        blocks(&mut zone),
        BTreeSet::from([(3, 0), (4, 2), (8, 3), (16, 2)])
    );
    assert_eq!(zone.nr_free(), 17);
}

#[test]
fn freed_frames_make_a_large_block_again() {
    let mut zone = zone(64);
    zone.add_range(0, 64);
    let frames: Vec<u32> = (0..64).map(|_| zone.alloc().unwrap()).collect();
    assert_eq!((zone.alloc(), zone.alloc_contiguous(2)), (None, None));
    // Every second one: nothing can join.
    frames
        .iter()
        .filter(|f| **f % 2 == 0)
        .for_each(|f| put(&mut zone, *f, 1));
    assert_eq!((zone.nr_free(), zone.alloc_contiguous(2)), (32, None));
    frames
        .iter()
        .filter(|f| **f % 2 == 1)
        .for_each(|f| put(&mut zone, *f, 1));
    assert_eq!(zone.alloc_contiguous(64), Some(0));
}

#[test]
fn ready_frames_are_not_many() {
    let mut zone = zone(1024);
    zone.add_range(0, 1024);
    let frames: Vec<u32> = (0..1024).map(|_| zone.alloc().unwrap()).collect();
    for frame in frames {
        put(&mut zone, frame, 1);
        assert!(zone.nr_hot <= HOT_HIGH);
    }
    assert_eq!(zone.nr_free(), 1024);
}

#[test]
fn more_than_there_can_be_is_refused() {
    let mut zone = zone(8);
    zone.add_range(0, 8);
    assert_eq!(zone.alloc_contiguous(9), None);
    assert_eq!(zone.alloc_contiguous(1 << 20), None);
    assert_eq!(zone.alloc_contiguous(u32::MAX), None);
    assert_eq!(zone.nr_free(), 8);
}

proptest! {
    /// No frame is handed out twice, none is lost, blocks are aligned, and when all frames are back
    /// the blocks are the initial ones.
    #[test]
    fn every_frame_has_one_owner(steps in prop::collection::vec((0u8..4, 0u32..9), 0..200)) {
        let mut zone = zone(64);
        zone.add_range(3, 20);
        zone.add_range(30, 61);
        let at_first = blocks(&mut zone);
        let mut held: BTreeMap<u32, u32> = BTreeMap::new();
        for (action, n) in steps {
            let new = match action {
                0 => zone.alloc().map(|frame| (frame, 1)),
                1 => zone.alloc_contiguous(n + 1).map(|first| (first, n + 1)),
                _ => None,
            };
            if let Some((first, frames)) = new {
                let end = first + frames;
                prop_assert!(first >= 3 && end <= 20 || first >= 30 && end <= 61);
                prop_assert_eq!(first % frames.next_power_of_two(), 0);
                prop_assert!(held.iter().all(|(f, n)| end <= *f || f + n <= first));
                held.insert(first, frames);
            } else if action > 1 && let Some((&first, &frames)) = held.iter().nth(n as usize) {
                held.remove(&first);
                put(&mut zone, first, frames);
            }
            prop_assert_eq!(zone.nr_free() + held.values().sum::<u32>(), 17 + 31);
        }
        for (first, frames) in held {
            put(&mut zone, first, frames);
        }
        prop_assert_eq!(zone.nr_free(), 48);
        prop_assert_eq!(blocks(&mut zone), at_first);
    }
}
