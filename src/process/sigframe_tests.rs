#![forbid(unsafe_code)]
//! Signal frames field by field: each field has a different value.

use super::*;
use proptest::prelude::*;

fn regs(seed: u32) -> PtRegs {
    PtRegs {
        bx: seed,
        cx: seed ^ 1,
        dx: seed ^ 2,
        si: seed ^ 3,
        di: seed ^ 4,
        bp: seed ^ 5,
        ax: seed ^ 6,
        ds: 0x0f,
        es: 0x17,
        fs: 0x1f,
        gs: 0,
        orig_ax: 5,
        ip: seed ^ 7,
        cs: 0x73,
        flags: 0x202,
        sp: 0xbfff_8000,
        ss: 0x7b,
    }
}

fn altstack(sp: u32, size: u32) -> AltStack {
    let new = StackT { sp, flags: 0, size };
    AltStack::NONE.changed_to(&new, 0).unwrap()
}

fn interrupted(regs: &PtRegs) -> Interrupted<'_> {
    Interrupted {
        regs,
        gs: 0x33,
        trap: TrapInfo {
            trap_no: 14,
            error_code: 6,
            cr2: 0x1234,
        },
        blocked: SigSet(0x1_0000_0004),
        altstack: altstack(0x5000_0000, 0x4000),
    }
}

fn words<T: IntoBytes + Immutable>(frame: &T) -> Vec<u32> {
    let bytes = frame.as_bytes().chunks_exact(4);
    bytes
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

const PLACE: Place = Place {
    frame: 0xbfff_0000,
    fpstate: 0xbfff_1000,
};

/// The words of `regs(0x1000)`'s sigcontext, as i386 has always had them.
const SIGCONTEXT: [u32; 22] = [
    0x33,
    0x1f,
    0x17,
    0x0f,
    0x1004,
    0x1003,
    0x1005,
    0xbfff_8000,
    0x1000,
    0x1002,
    0x1001,
    0x1006,
    14,
    6,
    0x1007,
    0x73,
    0x202,
    0xbfff_8000,
    0x7b,
    0xbfff_1000,
    4,
    0x1234,
];

#[test]
fn each_word_of_a_frame_is_where_linux_has_it() {
    let regs = regs(0x1000);
    let frame = words(&interrupted(&regs).sigframe(PLACE, None, 11));
    assert_eq!(frame[..2], [0xbfff_0000 + 724, 11]);
    assert_eq!(frame[2..24], SIGCONTEXT);
    assert_eq!(frame[180..], [1, 0x0077_b858, 0x80cd_0000]);

    let info = SigInfo::fault(11, 1, 0x1234);
    let frame = words(&interrupted(&regs).rt_sigframe(PLACE, Some(77), &info));
    assert_eq!(frame[..4], [77, 11, 0xbfff_0010, 0xbfff_0090]);
    assert_eq!(frame[4..36], words(&info));
    assert_eq!(frame[36..41], [0, 0, 0x5000_0000, 0, 0x4000]);
    assert_eq!(frame[41..63], SIGCONTEXT);
    assert_eq!(frame[63..], [4, 1, 0x0000_adb8, 0x0080_cd00]);
    let frame = interrupted(&regs).rt_sigframe(PLACE, None, &info);
    assert_eq!(frame.pretcode, 0xbfff_0000 + 260);
}

#[test]
fn a_program_cannot_choose_ring_or_privileged_flags() {
    let evil = Sigcontext {
        cs: 0xffff_0060,
        ss: 0xffff_0068,
        ds: 0xffff_0068,
        flags: 0xffff_ffff,
        ..Sigcontext::default()
    };
    let restored = evil.restore(&regs(2));
    assert_eq!((restored.cs, restored.ss, restored.ds), (0x63, 0x6b, 0x68));
    let privileged = Eflags::IOPL | Eflags::NT | Eflags::VM | Eflags::IF | Eflags::ID;
    assert_eq!(restored.flags & privileged.bits(), Eflags::IF.bits());
    assert_eq!(restored.flags & Eflags::USER.bits(), Eflags::USER.bits());
}

proptest! {
    #[test]
    fn what_was_saved_comes_back(seed: u32) {
        let before = regs(seed);
        let info = SigInfo::kernel(10);
        let frame = interrupted(&before).rt_sigframe(PLACE, None, &info);
        let restored = frame.uc.mcontext.restore(&regs(!seed));
        prop_assert_eq!(restored, PtRegs { orig_ax: u32::MAX, ..before });
        prop_assert_eq!(sigset(frame.uc.sigmask[0], frame.uc.sigmask[1]), SigSet(0x1_0000_0004));
    }

    /// For any stack pointer: no overflow, the right order on the stack, and the alignment.
    #[test]
    fn a_frame_lies_below_its_fpu_state(sp: u32, onstack: bool, legacy: u32, has_fpu: bool, ss: u16) {
        let regs = PtRegs { sp, ss: ss.into(), ..regs(1) };
        let choice = StackChoice { onstack, legacy };
        let Some(place) = interrupted(&regs).place(choice, has_fpu, 268) else {
            prop_assert!(interrupted(&regs).altstack.contains(sp));
            return Ok(());
        };
        prop_assert_eq!(place.frame & 15, 12);
        if has_fpu {
            prop_assert_eq!(place.fpstate & 15, 0);
            prop_assert!(place.fpstate.wrapping_sub(place.frame) >= 268);
            prop_assert!(place.fpstate.wrapping_sub(place.frame) < 268 + 16);
        }
    }
}

#[test]
fn the_action_and_the_interrupted_code_choose_the_stack() {
    const END: u32 = 0x5000_4000;
    let plain = StackChoice {
        onstack: false,
        legacy: 0,
    };
    let onstack = StackChoice {
        onstack: true,
        legacy: 0x6000_0000,
    };
    let legacy = StackChoice {
        onstack: false,
        legacy: 0x6000_0000,
    };
    let place = |sp, ss, choice| {
        let regs = PtRegs { sp, ss, ..regs(1) };
        let place = interrupted(&regs).place(choice, true, 732)?;
        // The stack end from which the place was computed.
        Some(place.fpstate.wrapping_add(624 + 15) & !15)
    };
    assert_eq!(place(0xbfff_8000, 0x7b, plain), Some(0xbfff_8000));
    assert_eq!(place(0xbfff_8000, 0x7b, onstack), Some(END));
    assert_eq!(place(0xbfff_8000, 0x7b, legacy), Some(0xbfff_8000));
    assert_eq!(place(0x8000, 0x0f, legacy), Some(0x6000_0000));
    assert_eq!(place(0x8000, 0x0f, onstack), Some(END));
    // Already on it: the frame goes below, whatever the action says, until the stack is used up.
    assert_eq!(place(END - 0x100, 0x7b, plain), Some(END - 0x100));
    assert_eq!(place(END - 0x100, 0x0f, onstack), Some(END - 0x100));
    assert_eq!(place(0x5000_0400, 0x7b, onstack), None);
    assert_eq!(place(0x5000_0400, 0x7b, plain), None);
}
