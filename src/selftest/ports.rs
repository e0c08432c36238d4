//! Cases of the I/O bitmap: which task may use which ports, and how much a switch copies.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, Verdict, expect, expect_true};
use super::crew::{Crew, Slot, pass};
use super::probe::{counts, gdt, my_thread, thread_of, with_tss};
use crate::arch::x86::switch::io_bitmap;
use crate::arch::x86::switch::io_bitmap::{fill_lazy_io_bitmap, tss_update_io_bitmap};
use crate::base::cmdline::IoBitmapMode;
use crate::base::errno::Errno;
use crate::hw::desc::GDT_ENTRY_TSS;
use crate::hw::tss::IO_BITMAP_OFFSET;
use crate::sync::IrqGuard;
use crate::syscall::ioport::sys_ioperm;

pub const CASES: &[Case] = &[
    Case {
        name: "io_bitmap_max_of_prev_and_next_copied",
        run: io_bitmap_max_of_prev_and_next_copied,
    },
    Case {
        name: "io_bitmap_follows_task",
        run: io_bitmap_follows_task,
    },
    Case {
        name: "io_bitmap_all_ones_when_next_has_none",
        run: io_bitmap_all_ones_when_next_has_none,
    },
    Case {
        name: "io_bitmap_last_port",
        run: io_bitmap_last_port,
    },
    Case {
        name: "io_bitmap_copied_when_it_is_needed",
        run: io_bitmap_copied_when_it_is_needed,
    },
    Case {
        name: "io_bitmap_exit_revokes",
        run: io_bitmap_exit_revokes,
    },
    Case {
        name: "io_bitmap_fork_copies",
        run: io_bitmap_fork_copies,
    },
];

/// Returns whether ring 3 may access `width` ports from `port` on, once the return to ring 3 and
/// the #GP handler have done what they do about it.
fn permitted(port: u16, width: u8) -> bool {
    tss_update_io_bitmap();
    let limit = gdt(GDT_ENTRY_TSS).limit_bytes();
    let look = || with_tss(|tss| tss.io_permitted(limit, port, width));
    look() || {
        let _irq = IrqGuard::new();
        fill_lazy_io_bitmap() && look()
    }
}

/// Skips cases that count the bytes that the switch itself copies, where it copies none.
fn needs_copy() -> Outcome {
    match io_bitmap::mode() {
        IoBitmapMode::Copy => Ok(()),
        _ => Err(Verdict::Skipped("needs io_bitmap=copy")),
    }
}

fn all_ones() -> Outcome {
    if io_bitmap::mode() != IoBitmapMode::Copy {
        let first = (0..=0xffff).find(|&port| permitted(port, 1));
        return expect("first port that is permitted", first, None);
    }
    let zeroes = with_tss(|tss| tss.io_bitmap.iter().position(|&byte| byte != 0xff));
    expect("first byte of the bitmap that grants a port", zeroes, None)?;
    expect("the byte of ones", with_tss(|tss| tss.end[0]), 0xff)
}

/// A has a bitmap of 128 bytes, B one of 20; C and D have none.
fn io_bitmap_max_of_prev_and_next_copied() -> Outcome {
    needs_copy()?;
    let before = AtomicU32::new(0);
    let play = |ports: Option<(u32, u32)>, expected: [u32; 2]| {
        let before = &before;
        move || {
            if let Some((from, num)) = ports {
                sys_ioperm(from, num, 1)?;
            }
            pass();
            for bytes in expected {
                let copied = counts().io_bitmap_bytes - before.load(Ordering::Relaxed);
                expect("bytes copied by the switch to this task", copied, bytes)?;
                before.store(counts().io_bitmap_bytes, Ordering::Relaxed);
                pass();
            }
            Ok(())
        }
    };
    let start = || {
        pass();
        before.store(counts().io_bitmap_bytes, Ordering::Relaxed);
        pass();
        Ok(())
    };
    // In the second round `start` is gone, and A follows D.
    Crew::new()
        .actor("start", start)
        .actor("to 0x3ff", play(Some((0x3f8, 8)), [128, 128]))
        .actor("0x80", play(Some((0x80, 1)), [128, 128]))
        .actor("none", play(None, [20, 20]))
        .actor("none too", play(None, [0, 0]))
        .run()
}

/// One task is granted 0x80 alone, the other 0x3f8 to 0x3ff; each has its own ports only.
fn io_bitmap_follows_task() -> Outcome {
    let one = || {
        sys_ioperm(0x80, 1, 1)?;
        for _ in 0..3 {
            expect_true("byte at 0x80", permitted(0x80, 1))?;
            expect("byte at 0x81", permitted(0x81, 1), false)?;
            expect("word at 0x80", permitted(0x80, 2), false)?;
            expect("the other's byte at 0x3f8", permitted(0x3f8, 1), false)?;
            pass();
        }
        Ok(())
    };
    let two = || {
        sys_ioperm(0x3f8, 8, 1)?;
        for _ in 0..3 {
            expect_true("double word at 0x3fc", permitted(0x3fc, 4))?;
            expect("byte at 0x400", permitted(0x400, 1), false)?;
            expect("the other's byte at 0x80", permitted(0x80, 1), false)?;
            pass();
        }
        sys_ioperm(0x3f8, 8, 0)?;
        expect("a revoked byte", permitted(0x3f8, 1), false)
    };
    Crew::new().actor("one", one).actor("two", two).run()
}

fn io_bitmap_all_ones_when_next_has_none() -> Outcome {
    needs_copy()?;
    let some = || {
        sys_ioperm(0, 0x10000, 1)?;
        for _ in 0..2 {
            expect_true("each port", (0..=0xffff).all(|port| permitted(port, 1)))?;
            pass();
        }
        Ok(())
    };
    let none = || {
        for _ in 0..2 {
            all_ones()?;
            expect(
                "I/O map base",
                with_tss(|tss| tss.x86_tss.io_bitmap_base),
                IO_BITMAP_OFFSET,
            )?;
            pass();
        }
        Ok(())
    };
    Crew::new().actor("some", some).actor("none", none).run()
}

fn io_bitmap_last_port() -> Outcome {
    let play = || {
        expect(
            "an impossible range",
            sys_ioperm(65535, 2, 1),
            Err(Errno::EINVAL),
        )?;
        sys_ioperm(65535, 1, 1)?;
        for _ in 0..2 {
            expect_true("byte at 65535", permitted(65535, 1))?;
            expect("word at 65535", permitted(65535, 2), false)?;
            expect(
                "bytes that matter",
                my_thread(|thread| thread.io_bitmap_max()),
                8192,
            )?;
            pass();
        }
        Ok(())
    };
    Crew::new()
        .actor("a", play)
        .actor("none", || {
            pass();
            all_ones()
        })
        .run()
}

/// The switch copies nothing; the first access of a slice does, and only if the TSS has held
/// another task's bytes meanwhile.
fn io_bitmap_copied_when_it_is_needed() -> Outcome {
    if io_bitmap::mode() == IoBitmapMode::Copy {
        return Err(Verdict::Skipped("needs io_bitmap=lazy or invalidate"));
    }
    let bytes = || counts().io_bitmap_bytes;
    let one = || {
        sys_ioperm(0x80, 1, 1)?;
        expect_true("byte at 0x80", permitted(0x80, 1))?;
        for _ in 0..2 {
            let before = bytes();
            pass(); // to the task without a bitmap
            let base = with_tss(|tss| tss.x86_tss.io_bitmap_base);
            expect_true("the base points nowhere, or the bytes are there", {
                base != IO_BITMAP_OFFSET || with_tss(|tss| tss.io_bitmap[0x10] == 0xfe)
            })?;
            expect_true("byte at 0x80", permitted(0x80, 1))?;
            expect("bytes copied: they were still there", bytes() - before, 0)?;
        }
        pass();
        let before = bytes();
        expect_true("byte at 0x80", permitted(0x80, 1))?;
        expect("the other's byte at 0x3f8", permitted(0x3f8, 1), false)?;
        expect("bytes copied after the other's", bytes() - before, 128)
    };
    let none = || {
        for _ in 0..2 {
            expect("byte at 0x80", permitted(0x80, 1), false)?;
            pass();
        }
        sys_ioperm(0x3f8, 8, 1)?;
        expect_true("byte at 0x3f8", permitted(0x3f8, 1))?;
        pass();
        Ok(())
    };
    Crew::new().actor("one", one).actor("none", none).run()
}

/// `do_exit` takes the bitmap away before the dead task is switched away from.
fn io_bitmap_exit_revokes() -> Outcome {
    let dying = || {
        sys_ioperm(0x80, 16, 1)?;
        expect_true("byte at 0x80", permitted(0x80, 1))
    };
    Crew::new()
        .actor("dying", dying)
        .actor("next", all_ones)
        .run()
}

/// The child has the same ports, in a bitmap of its own.
fn io_bitmap_fork_copies() -> Outcome {
    let slot = Slot::new();
    let parent = || {
        slot.enter();
        sys_ioperm(0x80, 1, 1)?;
        let child = crate::process::kthread::new_kernel_thread(look_at_port, 0, "child")?;
        let grants = |thread: &mut crate::task::thread_struct::ThreadStruct| {
            thread
                .io_bitmap
                .as_ref()
                .map(|bitmap| (bitmap.grants(0x80), bitmap.grants(0x81)))
        };
        let copy = thread_of(&child, grants);
        sys_ioperm(0x80, 1, 0)?;
        let kept = thread_of(&child, grants);
        crate::sched::wake_up::wake_up_new_task(&child);
        pass();
        expect("ports of the child", copy, Some((true, false)))?;
        expect(
            "ports of the child when the parent has none",
            kept,
            Some((true, false)),
        )?;
        expect(
            "what the child found at 0x80",
            FOUND.swap(0, Ordering::Relaxed),
            2,
        )?;
        expect("the parent's byte at 0x80", permitted(0x80, 1), false)
    };
    Crew::new().actor("parent", parent).run()
}

/// What the new program found: 1 for denied, 2 for permitted.
static FOUND: AtomicU32 = AtomicU32::new(0);

extern "C" fn look_at_port(_: u32) -> i32 {
    FOUND.store(1 + u32::from(permitted(0x80, 1)), Ordering::Relaxed);
    0
}
