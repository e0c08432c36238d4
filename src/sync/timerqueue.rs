//! Timers by the time at which they end, through nodes that lie in what they are for: nothing is allocated,
//! and however many there are, each step costs their logarithm at most.
//!
//! ```text
//!             first                a leftist heap: a node ends before those below it, and of its
//!            /     \               two subtrees the right one is the one whose way down to the
//!         ...       ...            right is shorter: so that way is never long, and two heaps
//!                                  are merged along it
//! ```
//! Called under the lock that guards the queue.
//!
//! Book: ch. 6, "Dynamic timers" (there by lists of a tick each, which a tick walks).
//! Linux: 2.6.38 `lib/timerqueue.c` (there a red-black tree).

use core::mem::swap;
use core::ptr::NonNull;

type Link<K> = Option<NonNull<TimerqueueNode<K>>>;

/// The place of a timer in a queue.
#[derive(Debug)]
pub struct TimerqueueNode<K> {
    /// When it ends.
    pub expires: K,
    parent: Link<K>,
    left: Link<K>,
    right: Link<K>,
    /// Nodes on the way down to the right, this one included.
    rank: u32,
}

impl<K> TimerqueueNode<K> {
    /// The place of a timer that ends at `expires`, in no queue.
    pub const fn new(expires: K) -> Self {
        Self {
            expires,
            parent: None,
            left: None,
            right: None,
            rank: 1,
        }
    }
}

/// A queue.
#[derive(Debug)]
pub struct TimerqueueHead<K>(Link<K>);

// SAFETY: what it points at is touched only by whoever has the queue for itself.
unsafe impl<K: Send> Send for TimerqueueHead<K> {}

impl<K: Ord> TimerqueueHead<K> {
    /// A queue with nothing in it.
    pub const fn new() -> Self {
        Self(None)
    }

    /// The node that ends first.
    #[doc(alias = "timerqueue_getnext")]
    pub fn first(&self) -> Link<K> {
        self.0
    }

    /// Puts `node` in its place.
    ///
    /// # Safety
    /// 1. `node` is as [`TimerqueueNode::new`] has made it, in no queue, and stays where it is until it is
    ///    taken out.
    #[doc(alias = "timerqueue_add")]
    pub unsafe fn add(&mut self, node: NonNull<TimerqueueNode<K>>) {
        // SAFETY: the queue's nodes are in place, and `node` is by 1.
        self.0 = unsafe { merge(self.0, Some(node)) };
    }

    /// Takes `node` out.
    ///
    /// # Safety
    /// 1. `node` is in this queue.
    #[doc(alias = "timerqueue_del")]
    pub unsafe fn del(&mut self, node: NonNull<TimerqueueNode<K>>) {
        // SAFETY: by 1 it is in place, and so are those around it. What is below it takes its place.
        unsafe {
            let (parent, left, right) = {
                let node = node.as_ref();
                (node.parent, node.left, node.right)
            };
            let below = merge(left, right);
            if let Some(mut below) = below {
                below.as_mut().parent = parent;
            }
            let Some(mut above) = parent else {
                self.0 = below;
                return;
            };
            let above = above.as_mut();
            match above.left == Some(node) {
                true => above.left = below,
                false => above.right = below,
            }
            settle(parent, false);
        }
    }
}

impl<K: Ord> Default for TimerqueueHead<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// One heap of two; its root has no parent.
///
/// # Safety
/// 1. Both are roots of heaps, apart from each other, whose nodes are in place and the caller's.
unsafe fn merge<K: Ord>(mut one: Link<K>, mut two: Link<K>) -> Link<K> {
    let (mut root, mut above): (Link<K>, Link<K>) = (None, None);
    loop {
        if let (Some(a), Some(b)) = (one, two)
            // SAFETY: by 1.
            && unsafe { b.as_ref().expires < a.as_ref().expires }
        {
            swap(&mut one, &mut two);
        }
        let Some(mut top) = one.or(two) else {
            return root;
        };
        // SAFETY: by 1; no reference to a node outlives its statement.
        unsafe {
            match above {
                None => root = Some(top),
                Some(mut above) => above.as_mut().right = Some(top),
            }
            top.as_mut().parent = above;
            if one.is_none() || two.is_none() {
                settle(above, true);
                return root;
            }
            (above, one) = (Some(top), top.as_ref().right);
        }
    }
}

/// From `at` upward: the shorter way down is on the right, and the ranks are right. Unless `all` of them may
/// be wrong, that ends where one is as it was.
///
/// # Safety
/// 1. `at` and the nodes above and below it are in place and the caller's.
unsafe fn settle<K>(mut at: Link<K>, all: bool) {
    // SAFETY: by 1, here and below.
    let rank = |link: Link<K>| link.map_or(0, |node| unsafe { node.as_ref().rank });
    while let Some(mut node) = at {
        // SAFETY: by 1; `rank` looks at other nodes.
        let node = unsafe { node.as_mut() };
        if rank(node.left) < rank(node.right) {
            swap(&mut node.left, &mut node.right);
        }
        let new = rank(node.right).saturating_add(1);
        if new == node.rank && !all {
            return;
        }
        (node.rank, at) = (new, node.parent);
    }
}

#[cfg(test)]
#[path = "timerqueue_tests.rs"]
mod tests;
