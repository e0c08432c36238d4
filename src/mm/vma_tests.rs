//! Tests of [`MemoryMap`] against a naive model with one entry per page.

use super::*;
use proptest::prelude::*;

const PAGE: u32 = PAGE_SIZE;
const BASE: u32 = 0x1000_0000;
/// Number of pages in the model.
const PAGES: usize = 48;

fn vma(start: u32, end: u32, flags: VmFlags) -> Vma {
    Vma {
        start,
        end,
        flags,
        backing: Backing::Anonymous,
    }
}

fn rw() -> VmFlags {
    VmFlags::READ | VmFlags::WRITE
}

#[test]
fn neighbours_join_and_holes_split() {
    let mut map = MemoryMap::new();
    map.insert(vma(BASE, BASE + PAGE, rw())).unwrap();
    map.insert(vma(BASE + 2 * PAGE, BASE + 3 * PAGE, rw()))
        .unwrap();
    map.insert(vma(BASE + PAGE, BASE + 2 * PAGE, rw())).unwrap();
    assert_eq!(map.areas().len(), 1);
    map.remove(BASE + PAGE, BASE + 2 * PAGE).unwrap();
    assert_eq!(map.areas().len(), 2);
    assert_eq!(
        map.protect(BASE, BASE + 2 * PAGE, VmFlags::READ),
        Err(Errno::ENOMEM)
    );
    assert_eq!(map.areas()[0].flags, rw());
}

#[test]
fn protection_is_given_up_to_what_is_in_the_way() {
    let mut map = MemoryMap::new();
    map.insert(vma(BASE, BASE + 2 * PAGE, rw())).unwrap();
    let never = VmFlags::READ | VmFlags::NEVER_WRITE;
    map.insert(vma(BASE + 3 * PAGE, BASE + 4 * PAGE, never))
        .unwrap();
    let may = |first: u32, last: u32, prot| {
        let (end, result) = map.may_protect(BASE + first * PAGE, BASE + last * PAGE, prot);
        ((end - BASE) / PAGE, result)
    };
    assert_eq!(may(0, 1, rw()), (1, Ok(())));
    assert_eq!(may(1, 4, rw()), (2, Err(Errno::ENOMEM)));
    assert_eq!(may(2, 4, rw()), (2, Err(Errno::ENOMEM)));
    assert_eq!(may(3, 4, rw()), (3, Err(Errno::EACCES)));
    assert_eq!(may(3, 5, VmFlags::READ), (4, Err(Errno::ENOMEM)));
}

#[test]
fn a_file_area_splits_at_the_right_offset_and_joins_again() {
    static FILE: [u8; 16384] = [0; 16384];
    let backing = Backing::File {
        data: &FILE,
        offset: PAGE,
    };
    let mut map = MemoryMap::new();
    map.insert(Vma {
        start: BASE,
        end: BASE + 3 * PAGE,
        flags: VmFlags::READ,
        backing,
    })
    .unwrap();
    map.protect(BASE + PAGE, BASE + 2 * PAGE, rw()).unwrap();
    assert_eq!(map.areas().len(), 3);
    assert!(matches!(map.areas()[2].backing, Backing::File { offset, .. } if offset == 3 * PAGE));
    map.protect(BASE + PAGE, BASE + 2 * PAGE, VmFlags::READ)
        .unwrap();
    assert_eq!(map.areas().len(), 1);
}

#[test]
fn places_are_taken_from_the_top() {
    let mut map = MemoryMap::new();
    map.insert(vma(
        TASK_SIZE - 33 * PAGE,
        TASK_SIZE,
        rw() | VmFlags::GROWSDOWN,
    ))
    .unwrap();
    let first = map.get_unmapped_area(0, PAGE).unwrap();
    assert_eq!(first, MMAP_BASE - PAGE);
    map.insert(vma(first, first + PAGE, VmFlags::READ)).unwrap();
    assert_eq!(map.get_unmapped_area(0, 2 * PAGE), Ok(first - 2 * PAGE));
    assert_eq!(map.get_unmapped_area(BASE + 5, PAGE), Ok(BASE));
    assert_eq!(map.get_unmapped_area(first, PAGE), Ok(first - PAGE));
    assert_eq!(map.get_unmapped_area(0, TASK_SIZE), Err(Errno::ENOMEM));
    assert_eq!(map.get_unmapped_area(0, first), Err(Errno::ENOMEM));
}

#[test]
fn the_stack_grows_to_its_limit_and_not_into_others() {
    let mut map = MemoryMap::new();
    map.insert(vma(TASK_SIZE - PAGE, TASK_SIZE, rw() | VmFlags::GROWSDOWN))
        .unwrap();
    map.expand_stack(TASK_SIZE - 5 * PAGE + 7, STACK_LIMIT, u64::MAX)
        .unwrap();
    assert_eq!(map.areas()[0].start, TASK_SIZE - 5 * PAGE);
    assert_eq!(
        map.expand_stack(TASK_SIZE - STACK_LIMIT - 1, STACK_LIMIT, u64::MAX),
        Err(Errno::EFAULT)
    );
    map.expand_stack(TASK_SIZE - STACK_LIMIT, STACK_LIMIT, u64::MAX)
        .unwrap();

    let mut map = MemoryMap::new();
    let below = TASK_SIZE - STACK_GUARD_GAP - 2 * PAGE;
    map.insert(vma(below - PAGE, below, rw())).unwrap();
    assert_eq!(
        map.expand_stack(below + 1, STACK_LIMIT, u64::MAX),
        Err(Errno::EFAULT)
    );
    map.insert(vma(TASK_SIZE - PAGE, TASK_SIZE, rw() | VmFlags::GROWSDOWN))
        .unwrap();
    map.expand_stack(TASK_SIZE - 2 * PAGE, STACK_LIMIT, u64::MAX)
        .unwrap();
    assert_eq!(
        map.expand_stack(TASK_SIZE - 3 * PAGE, STACK_LIMIT, u64::MAX),
        Err(Errno::EFAULT)
    );
}

#[test]
fn the_heap_grows_shrinks_and_stops_at_others() {
    let mut map = MemoryMap::new();
    map.start_brk = BASE + 100;
    map.brk = BASE + 100;
    assert_eq!(map.set_brk(BASE + PAGE), Ok(None));
    assert!(map.areas().is_empty());
    assert_eq!(map.set_brk(BASE + PAGE + 1), Ok(None));
    assert_eq!(map.areas()[0].start, BASE + PAGE);
    map.insert(vma(BASE + 8 * PAGE, BASE + 9 * PAGE, VmFlags::READ))
        .unwrap();
    assert_eq!(map.set_brk(BASE + 8 * PAGE), Err(Errno::ENOMEM));
    assert_eq!(map.brk, BASE + PAGE + 1);
    assert_eq!(map.set_brk(BASE + 7 * PAGE), Ok(None));
    assert_eq!(map.set_brk(BASE + 99), Err(Errno::ENOMEM));
    assert_eq!(
        map.set_brk(BASE + 200),
        Ok(Some((BASE + PAGE, BASE + 7 * PAGE)))
    );
    assert_eq!(map.areas().len(), 1);
}

#[test]
fn covered_means_every_page() {
    let mut map = MemoryMap::new();
    map.insert(vma(BASE, BASE + PAGE, rw())).unwrap();
    map.insert(vma(BASE + PAGE, BASE + 2 * PAGE, VmFlags::READ))
        .unwrap();
    assert!(map.is_covered(BASE, BASE + 2 * PAGE));
    assert!(!map.is_covered(BASE, BASE + 2 * PAGE + 1));
    assert!(!map.is_covered(BASE - 1, BASE + PAGE));
}

/// A page: its protection, and which page of which file it shows.
type Model = [Option<(VmFlags, Option<u32>)>; PAGES];

fn check(map: &MemoryMap, model: &Model) {
    let mut got: Model = [None; PAGES];
    let mut end = 0;
    for (i, area) in map.areas().iter().enumerate() {
        assert!(
            area.start < area.end && area.start >= end,
            "sorted, no overlaps"
        );
        assert!(
            i == 0 || !map.areas()[i - 1].continues_in(area),
            "joined where possible"
        );
        end = area.end;
        for page in 0..area.length() / PAGE {
            let offset = match area.backing {
                Backing::File { offset, .. } => Some(offset / PAGE + page),
                _ => None,
            };
            got[((area.start - BASE) / PAGE + page) as usize] = Some((area.flags, offset));
        }
    }
    assert_eq!(&got, model);
}

proptest! {
    #[test]
    fn every_page_is_what_the_model_says(
        steps in prop::collection::vec((0u8..4, 0usize..PAGES, 1usize..16, 0u32..8, 0u32..3), 1..60)
    ) {
        static FILE: [u8; 8] = [0; 8];
        let mut map = MemoryMap::new();
        let mut model: Model = [None; PAGES];
        for (what, first, pages, prot, offset) in steps {
            let last = (first + pages).min(PAGES);
            let (start, end) = (BASE + first as u32 * PAGE, BASE + last as u32 * PAGE);
            let prot = VmFlags::from_bits_truncate(prot);
            match what {
                0 | 1 => {
                    map.remove(start, end).unwrap();
                    let file = Backing::File { data: &FILE, offset: (first as u32 + offset) * PAGE };
                    let backing = if what == 0 { Backing::Anonymous } else { file };
                    map.insert(Vma { start, end, flags: prot, backing }).unwrap();
                    for (page, slot) in model.iter_mut().enumerate().take(last).skip(first) {
                        *slot = Some((prot, (what == 1).then_some(page as u32 + offset)));
                    }
                }
                2 => {
                    map.remove(start, end).unwrap();
                    model[first..last].fill(None);
                }
                _ => {
                    let covered = model[first..last].iter().all(Option::is_some);
                    prop_assert_eq!(map.protect(start, end, prot).is_ok(), covered);
                    if covered {
                        model[first..last].iter_mut().flatten().for_each(|page| page.0 = prot);
                    }
                }
            }
            check(&map, &model);
            prop_assert_eq!(map.is_free(start, end), model[first..last].iter().all(Option::is_none));
        }
        for (page, slot) in model.iter().enumerate() {
            let found = map.find_containing(BASE + page as u32 * PAGE + 17).map(|vma| vma.flags);
            prop_assert_eq!(found, slot.map(|page| page.0));
        }
    }

    /// Whatever is mapped, the address range that was found is free and low enough.
    #[test]
    fn found_places_are_free(
        areas in prop::collection::vec((0u32..2000, 1u32..300), 0..20),
        hint: u32, pages in 1u32..2000,
    ) {
        let mut map = MemoryMap::new();
        for (at, pages) in areas {
            let end = MMAP_BASE - at * PAGE;
            let start = end - pages * PAGE;
            map.remove(start, end).unwrap();
            map.insert(vma(start, end, rw())).unwrap();
        }
        let start = map.get_unmapped_area(hint, pages * PAGE).unwrap();
        prop_assert!(map.is_free(start, start + pages * PAGE));
        prop_assert!(start >= MMAP_MIN_ADDR && start.is_multiple_of(PAGE));
    }
}
