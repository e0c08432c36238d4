//! Fuzzers of all code that parses input of a program or a file. The input is random bytes, or
//! valid ones with a few fields changed to limits. No code may panic, in a build that checks every
//! sum.
//!
//! `FUZZ_CASES` is the number of cases of each, 500 if it is not set. `just test` runs the same
//! cases each time; another `PROPTEST_RNG_SEED` gives other cases: `PROPTEST_RNG_SEED=7
//! FUZZ_CASES=1000000 just test logic`.

use proptest::collection::vec;
use proptest::prelude::*;
use zerocopy::FromBytes;

use crate::base::cmdline::{Job, parse};
use crate::base::pt_regs::PtRegs;
use crate::fs::elf;
use crate::fs::initramfs::Archive;
use crate::fs::n_tty::NTty;
use crate::fs::termios::Termios;
use crate::mm::vma::TASK_SIZE;
use crate::process::altstack::{AltStack, StackT};
use crate::process::fpstate::FpState;
use crate::process::initial_stack::{InitialStack, Strings};
use crate::process::sigframe::{Interrupted, Place, Sigcontext, StackChoice};
use crate::process::sigset::SigSet;
use crate::task::io_bitmap::ioperm;
use crate::task::perf_attr::PerfEventAttr;
use crate::task::rseq::RseqCs;
use crate::task::siginfo::SigInfo;
use crate::task::thread_struct::TrapInfo;
use crate::task::user_desc::{TlsArray, UserDesc, do_get_thread_area, do_set_thread_area};

fn config() -> ProptestConfig {
    let cases = std::env::var("FUZZ_CASES").ok();
    let cases = cases.map_or(500, |text| text.parse().expect("FUZZ_CASES is a number"));
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Generates numbers at which sums wrap, and arbitrary ones.
fn number() -> impl Strategy<Value = u32> {
    const EDGES: [u32; 6] = [0, 0x1000, 0x1_0000, 1 << 31, TASK_SIZE, u32::MAX];
    let near = (prop::sample::select(&EDGES[..]), -70_i32..70);
    prop_oneof![
        3 => near.prop_map(|(edge, by)| edge.wrapping_add_signed(by)),
        2 => 0_u32..0x1000,
        1 => any::<u32>(),
    ]
}

/// Generates changes to a file: the place, the value, and the size of 1, 2 or 4 bytes.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u32, usize)>> {
    let size = prop::sample::select(&[1_usize, 2, 4][..]);
    vec((any::<prop::sample::Index>(), number(), size), 0..6)
}

fn changed(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u32, usize)]) -> Vec<u8> {
    for (at, value, size) in changes {
        let at = at.index(bytes.len());
        let (to, from) = (bytes[at..].iter_mut(), value.to_le_bytes());
        to.zip(from).take(*size).for_each(|(to, from)| *to = from);
    }
    bytes
}

/// Returns a program with these headers: type, offset, address, sizes in file and memory, flags.
fn program(entry: u32, headers: &[[u32; 6]], bytes: usize) -> Vec<u8> {
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    for word in [entry, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [52, 32, headers.len() as u16, 40, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for [kind, offset, vaddr, filesz, memsz, flags] in headers {
        for word in [kind, offset, vaddr, vaddr, filesz, memsz, flags, &0x1000] {
            file.extend(word.to_le_bytes());
        }
    }
    file.resize(file.len() + bytes, 0x90);
    file
}

fn check_program(file: &[u8]) -> Result<(), TestCaseError> {
    let Ok(plan) = elf::parse(file) else {
        return Ok(());
    };
    prop_assert!(plan.segments.len() <= usize::from(plan.phnum));
    let mut last = 0;
    for segment in &plan.segments {
        prop_assert!(last <= segment.vaddr && segment.end() <= TASK_SIZE);
        prop_assert!(file.get(segment.file_range()).is_some());
        prop_assert!(segment.file_end() <= segment.end());
        let pages = segment.pages();
        prop_assert!(pages.start <= segment.vaddr && segment.end() <= pages.end);
        last = segment.end();
    }
    prop_assert!(plan.code().end <= TASK_SIZE && plan.data().end <= TASK_SIZE);
    Ok(())
}

fn check_archive(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(archive) = Archive::index(bytes) else {
        return Ok(());
    };
    // The entries, and directories that no entry names: at most one for each byte of the names.
    prop_assert!(archive.entries().len() <= bytes.len().max(1));
    for entry in archive.entries() {
        prop_assert!(archive.find(entry.name) == Some(entry));
        prop_assert!(entry.name.ends_with(entry.file_name()));
        let _children = archive.children(entry).count();
    }
    Ok(())
}

fn regs(words: [u32; 17]) -> PtRegs {
    let [
        bx,
        cx,
        dx,
        si,
        di,
        bp,
        ax,
        ds,
        es,
        fs,
        gs,
        orig_ax,
        ip,
        cs,
        flags,
        sp,
        ss,
    ] = words;
    #[rustfmt::skip]
    let regs = PtRegs { bx, cx, dx, si, di, bp, ax, ds, es, fs, gs, orig_ax, ip, cs, flags, sp, ss };
    regs
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn elf_of_random_bytes(bytes in vec(any::<u8>(), 0..300)) {
        check_program(&bytes)?;
    }

    #[test]
    fn elf_with_fields_at_the_edges(
        entry in number(),
        headers in vec([prop_oneof![9 => Just(1_u32), 1 => 0_u32..8].boxed(), number().boxed(),
            number().boxed(), number().boxed(), number().boxed(), (0_u32..8).boxed()], 0..5),
        bytes in 0_usize..9000,
        changes in changes(),
    ) {
        check_program(&program(entry, &headers, bytes))?;
        check_program(&changed(program(entry, &headers, bytes), &changes))?;
        // A valid program, apart from the changes.
        let good = [[1, 0, 0x0804_8000, 0x100, 0x1000, 5], [1, 0x100, 0x0804_9100, 0x80, 0x5000, 6]];
        check_program(&changed(program(0x0804_8080, &good, 0x1000), &changes))?;
    }

    #[test]
    fn cpio_of_random_bytes(bytes in vec(any::<u8>(), 0..300)) {
        check_archive(&bytes)?;
    }

    #[test]
    fn cpio_with_bytes_changed(
        changes in changes(),
        fields in vec((any::<prop::sample::Index>(), number()), 0..3),
    ) {
        let mut bytes = crate::fs::cpio::tests::archive(&crate::fs::cpio::tests::USUAL);
        // Numbers of headers, which are 8 digits each.
        let headers: Vec<usize> = bytes.windows(6).enumerate()
            .filter(|(_, word)| word == b"070701").map(|(at, _)| at).collect();
        for (at, value) in fields {
            let at = at.index(headers.len() * 13);
            let digits = headers[at / 13] + 6 + 8 * (at % 13);
            bytes[digits..digits + 8].copy_from_slice(format!("{value:08x}").as_bytes());
        }
        check_archive(&bytes)?;
        check_archive(&changed(bytes, &changes))?;
    }

    #[test]
    fn command_lines_of_any_words(
        line in "((init|selftest|stress|maxcpus|watchdog|loglevel|fpu|trace|panic|tour|quiet|--|[a-z\"* ]{0,5})(=|=\"|)(on|[0-9]{0,12}|[a-z*?\"]{0,6}|\\PC{0,3}) ?){0,8}",
        name in "[a-z_]{0,12}",
    ) {
        let (cmdline, warnings) = parse(&line);
        prop_assert!(warnings.count() <= line.len());
        prop_assert!(cmdline.max_cpus <= 8 && cmdline.loglevel <= 7);
        if let Job::Selftest(glob) = &cmdline.job {
            let _any = glob.matches(&name);
        }
        prop_assert!(cmdline.init_args.clone().count() <= line.len());
    }

    #[test]
    fn descriptors_of_any_words(words in prop::array::uniform4(prop_oneof![number(), any::<u32>()]), again in any::<bool>()) {
        let mut bytes = [0; 16];
        for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let desc = UserDesc::from_bytes(&bytes);
        let mut tls = TlsArray::default();
        if let Ok(entry) = do_set_thread_area(&mut tls, &desc, again) {
            let read = do_get_thread_area(&tls, entry).unwrap();
            prop_assert_eq!(read.entry_number, entry);
        }
        prop_assert_eq!(do_get_thread_area(&tls, desc.entry_number).is_ok(), (6..9).contains(&desc.entry_number));
        let filled = desc.fill_ldt();
        prop_assert!(filled.is_empty() || filled.dpl() == 3);
    }

    #[test]
    fn signal_frames_at_any_address(
        words in prop::array::uniform17(number()),
        others in prop::array::uniform9(number()),
        blocked in any::<u64>(),
        restorer in prop::option::of(number()),
        (onstack, has_fpu, size) in (any::<bool>(), any::<bool>(), 0_u32..1000),
    ) {
        let regs = regs(words);
        let [frame, fpstate, sp, bytes, legacy, trap_no, error_code, cr2, gs] = others;
        let new = StackT { sp, flags: 0, size: bytes };
        let interrupted = Interrupted {
            regs: &regs,
            gs: gs as u16,
            trap: TrapInfo { trap_no, error_code, cr2 },
            blocked: SigSet(blocked),
            altstack: AltStack::NONE.changed_to(&new, regs.sp).unwrap_or(AltStack::NONE),
        };
        let choice = StackChoice { onstack, legacy };
        if let Some(place) = interrupted.place(choice, has_fpu, size) {
            prop_assert_eq!((place.frame.wrapping_add(4) % 16, place.fpstate % 16), (0, 0));
        }
        let place = Place { frame, fpstate };
        let plain = interrupted.sigframe(place, restorer, 11);
        let rt = interrupted.rt_sigframe(place, restorer, &SigInfo::kernel(11));
        prop_assert_eq!((rt.pinfo, rt.puc), (frame.wrapping_add(16), frame.wrapping_add(144)));
        prop_assert_eq!(plain.pretcode, restorer.unwrap_or(frame.wrapping_add(724)));
        for sc in [plain.sc, rt.uc.mcontext] {
            let expected = PtRegs { orig_ax: u32::MAX, gs: 0, cs: regs.cs & 0xffff | 3,
                ss: regs.ss & 0xffff | 3, fs: regs.fs & 0xffff, ds: regs.ds & 0xffff,
                es: regs.es & 0xffff, ..regs };
            prop_assert_eq!(sc.restore(&regs), expected);
            prop_assert_eq!((sc.gs, sc.fpstate), (gs & 0xffff, fpstate));
            prop_assert_eq!((sc.oldmask, sc.cr2), (blocked as u32, cr2));
        }
    }

    #[test]
    fn contexts_of_any_bytes(bytes in vec(any::<u8>(), 88), now in prop::array::uniform17(any::<u32>())) {
        let now = regs(now);
        let restored = Sigcontext::read_from_bytes(&bytes).unwrap().restore(&now);
        prop_assert_eq!((restored.cs & 3, restored.ss & 3), (3, 3));
        // IF, IOPL, NT, VM, VIF, VIP stay.
        let kept = 0x001a_7200;
        prop_assert_eq!(restored.flags & kept, now.flags & kept);
    }

    #[test]
    fn fpu_states_of_any_bytes(bytes in vec(any::<u8>(), 624), mask in any::<u32>()) {
        let state = FpState::read_from_bytes(&bytes).unwrap();
        let image = state.to_fxsave(mask);
        let allowed = if mask == 0 { 0xffbf } else { mask };
        prop_assert_eq!(image.mxcsr & !allowed, 0);
        let again = FpState::from_fxsave(&image).to_fxsave(mask);
        prop_assert_eq!((again.st_space, again.xmm_space), (image.st_space, image.xmm_space));
    }

    #[test]
    fn attributes_and_sections_of_any_words(
        words in prop::array::uniform32(number()), section in prop::array::uniform8(number()),
        flags in number(), events in number(),
    ) {
        let attr: Vec<u8> = words.iter().take(28).flat_map(|word| word.to_le_bytes()).collect();
        if let Some(Ok(attr)) = attr.first_chunk().map(PerfEventAttr::from_bytes) {
            let _answers = (attr.check_period(), attr.event());
        }
        let bytes: Vec<u8> = section.iter().flat_map(|word| word.to_le_bytes()).collect();
        if let Ok(section) = RseqCs::from_bytes(bytes.as_slice().try_into().unwrap()) {
            let _answer = section.needs_restart(flags, events);
            prop_assert!(!section.contains(section.abort_ip));
            let _address = section.signature_at();
        }
    }

    #[test]
    fn ports_of_any_numbers(calls in vec((number(), number(), any::<bool>(), any::<bool>()), 0..6)) {
        let mut bitmap = None;
        for (from, num, on, capable) in calls {
            let answer = ioperm(&mut bitmap, from, num, on, capable);
            let is_range = num > 0 && u64::from(from) + u64::from(num) <= 65536;
            prop_assert_eq!(answer.is_ok(), is_range && (capable || !on));
        }
    }

    #[test]
    fn stacks_of_any_strings(
        argv in vec(vec(1_u8.., 0..200), 0..40), envp in vec(vec(1_u8.., 0..200), 0..40),
        execfn in vec(1_u8.., 0..4096), top in TASK_SIZE - 8192..=TASK_SIZE,
        auxv in vec((any::<u32>(), any::<u32>()), 0..20),
    ) {
        let (mut args, mut envs) = (Strings::new(), Strings::new());
        argv.iter().try_for_each(|string| args.push(string)).unwrap();
        envp.iter().try_for_each(|string| envs.push(string)).unwrap();
        let stack = InitialStack { top, execfn: &execfn, argv: &args, envp: &envs,
            platform: b"i686", random: [7; 16], auxv: &auxv };
        let (sp, bytes) = stack.build().unwrap();
        prop_assert_eq!(sp as usize + bytes.len(), top as usize);
        prop_assert_eq!(sp % 16, 0);
    }

    #[test]
    fn terminals_with_any_modes(
        modes in vec(any::<u8>(), 36), keys in vec(any::<u8>(), 0..300), sizes in vec(0_usize..80, 0..20),
    ) {
        let mut tty = NTty::new();
        tty.set_termios(Termios::read_from_bytes(&modes).unwrap());
        let mut sizes = sizes.into_iter();
        for key in keys {
            let _signal = tty.receive(key, |_| {});
            if key % 16 == 0 && tty.is_readable() {
                let mut buffer = vec![0; sizes.next().unwrap_or(3)];
                prop_assert!(tty.read(&mut buffer).0 <= buffer.len());
            }
        }
    }
}
