//! The queue against a sorted set, and its shape.

use super::*;
use proptest::prelude::*;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec::Vec;

type Node = NonNull<TimerqueueNode<(u32, usize)>>;

fn node(expires: (u32, usize)) -> Node {
    NonNull::from(Box::leak(Box::new(TimerqueueNode::new(expires))))
}

fn free(node: Node) {
    // SAFETY: from `node`, and in no queue.
    drop(unsafe { Box::from_raw(node.as_ptr()) });
}

/// Nodes below and with `link`, and its rank; each is found to be in its place.
fn check(link: Link<(u32, usize)>, parent: Link<(u32, usize)>) -> (usize, u32) {
    let Some(it) = link else { return (0, 0) };
    // SAFETY: in the queue, so in place.
    let it = unsafe { it.as_ref() };
    assert_eq!(it.parent, parent);
    if let Some(parent) = parent {
        // SAFETY: as above.
        assert!(unsafe { parent.as_ref() }.expires < it.expires);
    }
    let ((left, left_rank), (right, right_rank)) = (check(it.left, link), check(it.right, link));
    assert!(left_rank >= right_rank);
    assert_eq!(it.rank, right_rank + 1);
    (left + right + 1, it.rank)
}

proptest! {
    /// What is added and taken out anywhere comes out in the order of its times.
    #[test]
    fn it_is_a_sorted_set(steps in prop::collection::vec((0u8..4, 0u32..40, any::<prop::sample::Index>()), 0..300)) {
        let mut queue = TimerqueueHead::new();
        let mut model: BTreeMap<(u32, usize), Node> = BTreeMap::new();
        for (step, (what, expires, index)) in steps.into_iter().enumerate() {
            if what < 2 || model.is_empty() {
                let new = node((expires, step));
                // SAFETY: new, and freed only when it is out.
                unsafe { queue.add(new) };
                model.insert((expires, step), new);
            } else {
                let keys: Vec<_> = model.keys().copied().collect();
                let key = if what == 2 { keys[0] } else { *index.get(&keys) };
                let old = model.remove(&key).unwrap();
                // SAFETY: in the queue.
                unsafe { queue.del(old) };
                free(old);
            }
            prop_assert_eq!(queue.first(), model.first_key_value().map(|(_, node)| *node));
            prop_assert_eq!(check(queue.first(), None).0, model.len());
        }
        model.into_values().for_each(free);
    }
}

/// However they come, the way to the right is no longer than the logarithm.
#[test]
fn the_way_down_stays_short() {
    const MANY: usize = 10_000;
    let orders: [fn(u32) -> u32; 3] = [|n| n, |n| u32::MAX - n, |n| n.wrapping_mul(0x9e37_79b9)];
    for order in orders {
        let mut queue = TimerqueueHead::new();
        for n in 0..MANY {
            // SAFETY: new, and freed only when it is out.
            unsafe { queue.add(node((order(n as u32), n))) };
        }
        let mut last = (0, 0);
        for left in (1..=MANY).rev() {
            let first = queue.first().unwrap();
            // SAFETY: in the queue.
            let it = unsafe { first.as_ref() };
            assert!(it.rank <= (left + 1).ilog2() && last <= it.expires);
            last = it.expires;
            // SAFETY: as above.
            unsafe { queue.del(first) };
            free(first);
        }
        assert!(queue.first().is_none());
    }
}
