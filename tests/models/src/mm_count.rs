//! The page directory is freed once, after the last processor has stopped using it.
//!
//! CPU 0 runs the only user of an address space, which dies. CPU 1 idles on it: a kernel task has
//! borrowed it (`mmgrab`), and gives it back in `finish_task_switch` (`mmdrop`).

use loom::sync::Arc;
use loom::thread;

use crate::private::Private;

macro_rules! model {
    ($version:ident) => {{
        use crate::$version::mm_count::MmCount;
        loom::model(|| {
            let mm = Arc::new((MmCount::new(), Private::new("page directory")));
            mm.0.grab();
            let lazy = {
                let mm = mm.clone();
                thread::spawn(move || {
                    mm.1.get();
                    if mm.0.drop_count() {
                        mm.1.set("free");
                    }
                })
            };
            mm.1.get();
            // exit_mm: the last user; all users together hold one count.
            assert!(mm.0.put_user());
            if mm.0.drop_count() {
                mm.1.set("free");
            }
            lazy.join().unwrap();
            assert_eq!(mm.0.count(), 0);
        });
    }};
}

#[test]
fn the_last_holder_frees_alone() {
    model!(real);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_ordering_it_frees_under_the_other() {
    model!(weak);
}
