#![forbid(unsafe_code)]
//! What a signal handler finds on the user's stack, and what `sigreturn` reads back.
//!
//! ```text
//!   without SA_SIGINFO (732 bytes)         with SA_SIGINFO (268 bytes)
//!     0  return address: restorer            0  return address: restorer
//!     4  signal                              4  signal
//!     8  sigcontext, 88 bytes                8  pointer to siginfo, at 16 (128 bytes)
//!    96  (where old kernels had the FPU)    12  pointer to ucontext, at 144
//!   720  upper half of the blocked set     144  ucontext: flags, link, alternate stack,
//!   724  code that calls sigreturn              sigcontext at 164, blocked set at 252
//!                                          260  code that calls rt_sigreturn
//! ```
//! The FPU state lies above, 624 bytes at a multiple of 16: a header of 112 bytes as before
//! SSE, then the FXSAVE image.
//!
//! Used by `process::signal_delivery`, which copies it to and from user memory.
//!
//! Book: chapter 11, "Catching the Signal", "Setting up the frame".
//! Linux: `asm/sigframe.h`, `asm/sigcontext.h` (i386).

use super::sigset::SigSet;
use crate::hw::eflags::Eflags;
use crate::task::pt_regs::PtRegs;

/// Frame without `SA_SIGINFO`, in bytes.
pub const SIGFRAME_BYTES: usize = 732;
/// Frame with `SA_SIGINFO`, in bytes.
pub const RT_SIGFRAME_BYTES: usize = 268;
/// Room for the FPU state, in bytes.
pub const FPSTATE_BYTES: usize = 624;
/// Where the FXSAVE image begins in it.
pub const FPSTATE_FXSAVE: usize = 112;
/// Bytes of a sigcontext.
pub const SIGCONTEXT_BYTES: usize = 88;
/// Where a frame without `SA_SIGINFO` has it.
pub const SIGFRAME_SC: usize = 8;
/// Where such a frame has the upper half of the blocked set.
pub const SIGFRAME_EXTRAMASK: usize = 720;
/// Where a frame with `SA_SIGINFO` has the siginfo.
pub const RT_SIGFRAME_INFO: usize = 16;
/// Where it has the ucontext.
pub const RT_SIGFRAME_UC: usize = 144;
/// Where it has the alternate stack: pointer, flags, size.
pub const RT_SIGFRAME_STACK: usize = 152;
/// Where it has the sigcontext.
pub const RT_SIGFRAME_SC: usize = 164;
/// Where it has the blocked set.
pub const RT_SIGFRAME_MASK: usize = 252;

/// `popl %eax; movl $119, %eax; int $0x80`: for a program without restorer.
const RETCODE: [u8; 8] = [0x58, 0xb8, 119, 0, 0, 0, 0xcd, 0x80];
/// `movl $173, %eax; int $0x80`.
const RT_RETCODE: [u8; 8] = [0xb8, 173, 0, 0, 0, 0xcd, 0x80, 0];
/// Where each frame has its code.
const SIGFRAME_RETCODE: usize = 724;
const RT_SIGFRAME_RETCODE: usize = 260;

/// What is told about a signal: the part of `siginfo_t` that this kernel fills.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SigInfo {
    /// The signal.
    pub signal: u32,
    /// Why: SI_USER 0, SI_KERNEL 0x80, SEGV_MAPERR 1, CLD_EXITED 1 ...
    pub code: i32,
    /// Three words whose meaning the signal gives: sender's pid and uid, and a status or value;
    /// or the address of a fault.
    pub fields: [u32; 3],
}

impl SigInfo {
    /// As `siginfo_t`.
    pub fn to_bytes(&self) -> [u8; 128] {
        let mut bytes = [0; 128];
        let words = [
            self.signal,
            0,
            self.code as u32,
            self.fields[0],
            self.fields[1],
            self.fields[2],
        ];
        put_words(&mut bytes, 0, &words);
        bytes
    }
}

/// What a frame is made of.
pub struct FrameParts<'a> {
    /// Address of the frame: any, since the program chooses its stack; what it is copied to is checked then.
    pub at: u32,
    /// The program's own way back, if it has one.
    pub restorer: Option<u32>,
    /// What is told.
    pub info: SigInfo,
    /// Registers to come back to, and the selector in `%gs`.
    pub regs: &'a PtRegs,
    /// `%gs`.
    pub gs: u32,
    /// Number of the exception, its error code and CR2, if that raised the signal.
    pub trap: [u32; 3],
    /// Address of the FPU state; 0: none.
    pub fpstate: u32,
    /// Set to be blocked again afterwards.
    pub blocked: SigSet,
    /// Alternate stack: pointer, flags, size.
    pub altstack: [u32; 3],
}

impl FrameParts<'_> {
    /// The frame of a handler without `SA_SIGINFO`.
    pub fn sigframe(&self) -> [u8; SIGFRAME_BYTES] {
        let mut frame = [0; SIGFRAME_BYTES];
        let retcode = self.at.wrapping_add(SIGFRAME_RETCODE as u32);
        put_words(
            &mut frame,
            0,
            &[self.restorer.unwrap_or(retcode), self.info.signal],
        );
        frame[SIGFRAME_SC..SIGFRAME_SC + SIGCONTEXT_BYTES].copy_from_slice(&self.sigcontext());
        put_words(
            &mut frame,
            SIGFRAME_EXTRAMASK,
            &[(self.blocked.0 >> 32) as u32],
        );
        frame[SIGFRAME_RETCODE..].copy_from_slice(&RETCODE);
        frame
    }

    /// The frame of a handler with `SA_SIGINFO`.
    pub fn rt_sigframe(&self) -> [u8; RT_SIGFRAME_BYTES] {
        let mut frame = [0; RT_SIGFRAME_BYTES];
        let retcode = self.at.wrapping_add(RT_SIGFRAME_RETCODE as u32);
        let (info, uc) = (
            self.at.wrapping_add(RT_SIGFRAME_INFO as u32),
            self.at.wrapping_add(RT_SIGFRAME_UC as u32),
        );
        put_words(
            &mut frame,
            0,
            &[self.restorer.unwrap_or(retcode), self.info.signal, info, uc],
        );
        frame[RT_SIGFRAME_INFO..RT_SIGFRAME_UC].copy_from_slice(&self.info.to_bytes());
        put_words(&mut frame, RT_SIGFRAME_STACK, &self.altstack);
        frame[RT_SIGFRAME_SC..RT_SIGFRAME_MASK].copy_from_slice(&self.sigcontext());
        put_words(
            &mut frame,
            RT_SIGFRAME_MASK,
            &[self.blocked.0 as u32, (self.blocked.0 >> 32) as u32],
        );
        frame[RT_SIGFRAME_RETCODE..].copy_from_slice(&RT_RETCODE);
        frame
    }

    fn sigcontext(&self) -> [u8; SIGCONTEXT_BYTES] {
        let r = self.regs;
        let mut bytes = [0; SIGCONTEXT_BYTES];
        put_words(
            &mut bytes,
            0,
            &[
                self.gs,
                r.fs & 0xffff,
                r.es & 0xffff,
                r.ds & 0xffff,
                r.di,
                r.si,
                r.bp,
                r.sp,
                r.bx,
                r.dx,
                r.cx,
                r.ax,
                self.trap[0],
                self.trap[1],
                r.ip,
                r.cs & 0xffff,
                r.flags,
                r.sp,
                r.ss & 0xffff,
                self.fpstate,
                self.blocked.0 as u32,
                self.trap[2],
            ],
        );
        bytes
    }
}

/// What `sigreturn` takes from a sigcontext.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Registers, with everything in place that a program must not choose.
    pub regs: PtRegs,
    /// `%gs`.
    pub gs: u16,
    /// Address of the FPU state; 0: none.
    pub fpstate: u32,
    /// Lower half of the blocked set.
    pub oldmask: u32,
}

/// Flags that a program may set for itself.
const USER_FLAGS: u32 = Eflags::AC.bits()
    | Eflags::OF.bits()
    | Eflags::DF.bits()
    | Eflags::TF.bits()
    | Eflags::SF.bits()
    | Eflags::ZF.bits()
    | Eflags::AF.bits()
    | Eflags::PF.bits()
    | Eflags::CF.bits()
    | Eflags::RF.bits();

/// The registers in a sigcontext, laid over `now`, whose other flags stay.
pub fn restore_sigcontext(bytes: &[u8; SIGCONTEXT_BYTES], now: &PtRegs) -> Restored {
    let (words, _) = bytes.as_chunks::<4>();
    let word = |i: usize| words.get(i).map_or(0, |word| u32::from_le_bytes(*word));
    let selector = |i: usize| word(i) & 0xffff;
    let regs = PtRegs {
        fs: selector(1),
        es: selector(2),
        ds: selector(3),
        di: word(4),
        si: word(5),
        bp: word(6),
        sp: word(7),
        bx: word(8),
        dx: word(9),
        cx: word(10),
        ax: word(11),
        ip: word(14),
        // Ring 3, whatever the frame says.
        cs: selector(15) | 3,
        flags: now.flags & !USER_FLAGS | word(16) & USER_FLAGS,
        ss: selector(18) | 3,
        gs: 0,
        // No system call: nothing may be restarted.
        orig_ax: u32::MAX,
    };
    Restored {
        regs,
        gs: selector(0) as u16,
        fpstate: word(19),
        oldmask: word(20),
    }
}

/// The header of the FPU state for an FXSAVE image: what a handler of old expects.
pub fn fpstate_header(fxsave: &[u8; 512]) -> [u8; FPSTATE_FXSAVE] {
    let (words, _) = fxsave.as_chunks::<4>();
    let word = |at: usize| {
        words
            .get(at / 4)
            .map_or(0, |word| u32::from_le_bytes(*word))
    };
    let half = |at: usize| match at & 2 {
        0 => word(at) & 0xffff,
        _ => word(at) >> 16,
    };
    let mut bytes = [0; FPSTATE_FXSAVE];
    // Two bits a register instead of one: 0 for any number, 3 for none.
    let tags = (0..8_u32)
        .filter(|i| half(4) >> i & 1 == 0)
        .fold(0, |tags, i| tags | 3 << (i << 1));
    let head = [half(0), half(2), tags].map(|word| word | 0xffff_0000);
    put_words(&mut bytes, 0, &head);
    put_words(
        &mut bytes,
        12,
        &[word(8), half(12) | half(6) << 16, word(16), half(20)],
    );
    // Eight registers: 10 bytes each, in the image 16.
    let (registers, _) = fxsave.as_chunks::<16>();
    let (places, _) = bytes[28..108].as_chunks_mut::<10>();
    for (to, from) in places.iter_mut().zip(&registers[2..]) {
        to.copy_from_slice(&from[..10]);
    }
    // Status, then 0: an FXSAVE image follows.
    put_words(&mut bytes, 108, &[half(2)]);
    bytes
}

fn put_words(bytes: &mut [u8], at: usize, words: &[u32]) {
    for (chunk, word) in bytes[at..].chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
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
            ds: 0x7b,
            es: 0x7b,
            fs: 0x33,
            gs: 0,
            orig_ax: 5,
            ip: seed ^ 7,
            cs: 0x73,
            flags: 0x202,
            sp: seed ^ 8,
            ss: 0x7b,
        }
    }

    fn parts<'a>(regs: &'a PtRegs, restorer: Option<u32>) -> FrameParts<'a> {
        FrameParts {
            at: 0xbfff_0000,
            restorer,
            info: SigInfo {
                signal: 11,
                code: 1,
                fields: [0x1234, 0, 0],
            },
            regs,
            gs: 0x33,
            trap: [14, 6, 0x1234],
            fpstate: 0xbfff_1000,
            blocked: SigSet(0x1_0000_0004),
            altstack: [0, 2, 0],
        }
    }

    #[test]
    fn frames_have_linuxs_offsets() {
        let regs = regs(0x1000);
        let frame = parts(&regs, None).sigframe();
        let word =
            |frame: &[u8], at: usize| u32::from_le_bytes(frame[at..at + 4].try_into().unwrap());
        assert_eq!(word(&frame, 0), 0xbfff_0000 + 724);
        assert_eq!(
            (
                word(&frame, 4),
                word(&frame, 8 + 56),
                word(&frame, 8 + 80),
                word(&frame, 720)
            ),
            (11, 0x1007, 4, 1)
        );
        let frame = parts(&regs, Some(77)).rt_sigframe();
        assert_eq!(
            (word(&frame, 0), word(&frame, 8), word(&frame, 12)),
            (77, 0xbfff_0010, 0xbfff_0090)
        );
        assert_eq!(
            (word(&frame, 16), word(&frame, 24), word(&frame, 28)),
            (11, 1, 0x1234)
        );
        assert_eq!((word(&frame, 252), word(&frame, 256)), (4, 1));
    }

    #[test]
    fn a_program_cannot_choose_ring_or_privileged_flags() {
        let evil = PtRegs {
            cs: 0x60,
            ss: 0x68,
            flags: 0xffff_ffff,
            ..regs(1)
        };
        let frame = parts(&evil, None).sigframe();
        let bytes = frame[8..96].try_into().unwrap();
        let restored = restore_sigcontext(bytes, &regs(2)).regs;
        assert_eq!((restored.cs, restored.ss), (0x63, 0x6b));
        let privileged = Eflags::IOPL | Eflags::NT | Eflags::VM | Eflags::IF;
        assert_eq!(restored.flags & privileged.bits(), Eflags::IF.bits());
    }

    proptest! {
        #[test]
        fn what_was_saved_comes_back(seed: u32) {
            let before = regs(seed);
            let frame = parts(&before, None).rt_sigframe();
            let restored = restore_sigcontext(frame[164..252].try_into().unwrap(), &regs(!seed));
            let expected = PtRegs { orig_ax: u32::MAX, ..before };
            prop_assert_eq!(restored, Restored { regs: expected, gs: 0x33, fpstate: 0xbfff_1000, oldmask: 4 });
        }
    }

    #[test]
    fn an_empty_fpu_has_empty_tags() {
        let mut image = [0; 512];
        image[0] = 0x7f;
        image[1] = 0x03;
        let header = fpstate_header(&image);
        assert_eq!(
            &header[..12],
            &[
                0x7f, 3, 0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
            ]
        );
        assert_eq!(&header[108..], &[0; 4]);
    }

    #[test]
    fn each_field_of_the_fpu_has_its_place() {
        let image: [u8; 512] = core::array::from_fn(|at| (at % 251) as u8);
        let header = fpstate_header(&image);
        // cwd, swd, then fip, opcode and fcs, foo, fos.
        assert_eq!((&header[..2], &header[4..6]), (&image[..2], &image[2..4]));
        assert_eq!(
            (&header[12..16], &header[16..18]),
            (&image[8..12], &image[12..14])
        );
        assert_eq!(
            (&header[18..20], &header[20..24]),
            (&image[6..8], &image[16..20])
        );
        assert_eq!(
            (&header[24..26], &header[26..28]),
            (&image[20..22], &[0; 2][..])
        );
        for i in 0..8 {
            let (to, from) = (28 + 10 * i, 32 + 16 * i);
            assert_eq!(&header[to..to + 10], &image[from..from + 10]);
        }
        assert_eq!(&header[108..110], &image[2..4]);
        // Bit 2 of the byte at 4 is the only one: all registers but that are empty.
        assert_eq!(&header[8..10], &[0xcf, 0xff]);
    }
}
