//! Unit and property tests of [`super`], on a program built here byte by byte.

use super::*;
use proptest::prelude::*;

const BASE: u32 = 0x0804_8000;

/// A program header as it appears in a file.
#[derive(Clone, Copy)]
struct Phdr {
    kind: u32,
    offset: u32,
    vaddr: u32,
    filesz: u32,
    memsz: u32,
    flags: u32,
}

const TEXT: Phdr = Phdr {
    kind: abi::PT_LOAD,
    offset: 0,
    vaddr: BASE,
    filesz: 0x180,
    memsz: 0x180,
    flags: 5,
};
const DATA: Phdr = Phdr {
    kind: abi::PT_LOAD,
    offset: 0x180,
    vaddr: BASE + 0x1180,
    filesz: 0x20,
    memsz: 0x1000,
    flags: 6,
};
const TLS: Phdr = Phdr {
    kind: abi::PT_TLS,
    offset: 0x180,
    vaddr: BASE + 0x1180,
    filesz: 4,
    memsz: 8,
    flags: 4,
};
const STACK: Phdr = Phdr {
    kind: abi::PT_GNU_STACK,
    offset: 0,
    vaddr: 0,
    filesz: 0,
    memsz: 0,
    flags: 6,
};

/// Builds a static program of 0x1a0 bytes with these headers, which follow the ELF header.
fn program(phdrs: &[Phdr]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x01\x01\x01");
    file.resize(16, 0);
    file.extend(2u16.to_le_bytes()); // ET_EXEC
    file.extend(3u16.to_le_bytes()); // EM_386
    file.extend(1u32.to_le_bytes());
    file.extend((BASE + 0x100).to_le_bytes()); // entry
    file.extend(52u32.to_le_bytes()); // phoff
    file.extend(0u32.to_le_bytes()); // shoff
    file.extend(0u32.to_le_bytes()); // flags
    for half in [52, 32, phdrs.len() as u16, 40, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for p in phdrs {
        for word in [
            p.kind, p.offset, p.vaddr, p.vaddr, p.filesz, p.memsz, p.flags, 0x1000,
        ] {
            file.extend(word.to_le_bytes());
        }
    }
    assert!(file.len() <= 0x100);
    file.resize(0x1a0, 0xcc);
    file
}

fn parse_with(phdrs: &[Phdr]) -> Result<ElfPlan, ElfError> {
    parse(&program(phdrs))
}

#[test]
fn a_static_program_is_planned() {
    let plan = parse_with(&[TEXT, DATA, TLS, STACK]).unwrap();
    assert_eq!(plan.entry, BASE + 0x100);
    assert_eq!(plan.phdr_vaddr, Some(BASE + 52));
    assert_eq!((plan.phnum, plan.phent), (4, 32));
    assert!(!plan.exec_stack);
    assert_eq!(plan.brk(), BASE + 0x2180);
    let [text, data] = plan.segments[..] else {
        panic!("two segments")
    };
    assert_eq!(text.flags, SegmentFlags::R | SegmentFlags::X);
    assert_eq!(text.pages(), BASE..BASE + 0x1000);
    assert_eq!(data.pages(), BASE + 0x1000..BASE + 0x3000);
    assert_eq!(data.file_range(), 0x180..0x1a0);
}

#[test]
fn the_stack_is_executable_unless_told_otherwise() {
    assert!(parse_with(&[TEXT]).unwrap().exec_stack);
    assert!(
        parse_with(&[TEXT, Phdr { flags: 7, ..STACK }])
            .unwrap()
            .exec_stack
    );
}

#[test]
fn program_headers_outside_every_segment_have_no_address() {
    let plan = parse_with(&[DATA]).unwrap();
    assert_eq!(plan.phdr_vaddr, None);
}

#[test]
fn pure_bss_and_empty_segments() {
    let bss = Phdr {
        offset: 0x7777,
        vaddr: BASE + 0x5123,
        filesz: 0,
        memsz: 16,
        ..DATA
    };
    // An offset past the end is wrong even if no bytes are read.
    let refused = ElfError::OutOfFile {
        index: 1,
        offset: 0x7777,
        filesz: 0,
        len: 0x1a0,
    };
    assert_eq!(parse_with(&[TEXT, bss]), Err(refused));
    let bss = Phdr {
        offset: 0x1a0,
        ..bss
    };
    assert_eq!(parse_with(&[TEXT, bss]).unwrap().segments[1].memsz, 16);
    let nothing = Phdr {
        filesz: 0,
        memsz: 0,
        vaddr: 0,
        ..DATA
    };
    assert_eq!(parse_with(&[nothing]), Err(ElfError::NoSegment));
    assert_eq!(parse_with(&[nothing, TEXT]).unwrap().segments.len(), 1);
}

#[test]
fn user_space_ends_at_3_gib_and_begins_at_64_kib() {
    let at = |vaddr, memsz| {
        parse_with(&[Phdr {
            vaddr,
            memsz,
            filesz: 0,
            ..TEXT
        }])
        .map(|plan| plan.brk())
    };
    assert_eq!(at(0xbfff_f000, 0x1000), Ok(0xc000_0000));
    for (vaddr, memsz) in [
        (0xbfff_f000, 0x1001),
        (0xc000_0000, 1),
        (0xffff_f000, 0x1000),
        (0xffff_f000, 0x2000),
        (BASE, u32::MAX),
        (0, 1),
        (0xf000, 0x2000),
    ] {
        assert_eq!(
            at(vaddr, memsz),
            Err(ElfError::Address {
                index: 0,
                vaddr,
                memsz
            })
        );
    }
}

#[test]
fn each_fault_of_a_segment_carries_its_values() {
    let second = |phdr| parse_with(&[TEXT, phdr]).unwrap_err();
    assert_eq!(
        second(Phdr {
            memsz: 0x1f,
            ..DATA
        }),
        ElfError::FileSize {
            index: 1,
            filesz: 0x20,
            memsz: 0x1f
        }
    );
    assert_eq!(
        second(Phdr {
            filesz: 0x21,
            ..DATA
        }),
        ElfError::OutOfFile {
            index: 1,
            offset: 0x180,
            filesz: 0x21,
            len: 0x1a0
        }
    );
    assert_eq!(
        second(Phdr {
            offset: 0xffff_f180,
            ..DATA
        }),
        ElfError::OutOfFile {
            index: 1,
            offset: 0xffff_f180,
            filesz: 0x20,
            len: 0x1a0
        }
    );
    assert_eq!(
        second(Phdr {
            vaddr: BASE + 0x1181,
            ..DATA
        }),
        ElfError::Misaligned {
            index: 1,
            vaddr: BASE + 0x1181,
            offset: 0x180
        }
    );
    assert_eq!(
        second(Phdr {
            vaddr: BASE + 0x17f,
            offset: 0x17f,
            ..DATA
        }),
        ElfError::Overlap {
            index: 1,
            vaddr: BASE + 0x17f,
            previous_end: BASE + 0x180
        }
    );
    // Segments may share a page or touch.
    assert!(
        parse_with(&[
            TEXT,
            Phdr {
                vaddr: BASE + 0x180,
                ..DATA
            }
        ])
        .is_ok()
    );
    // PT_LOADs must ascend.
    assert!(matches!(
        parse_with(&[DATA, TEXT]),
        Err(ElfError::Overlap { index: 1, .. })
    ));
    assert_eq!(
        second(Phdr {
            kind: abi::PT_INTERP,
            ..DATA
        }),
        ElfError::Interp { index: 1 }
    );
}

#[test]
fn each_fault_of_the_header_carries_its_value() {
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = program(&[TEXT, DATA]);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        parse(&file).unwrap_err()
    };
    assert_eq!(patched(0, b"#!/b"), ElfError::Magic { found: *b"#!/b" });
    assert_eq!(patched(4, &[2]), ElfError::Class { found: 2 });
    assert_eq!(patched(4, &[0]), ElfError::Class { found: 0 });
    assert_eq!(patched(5, &[2]), ElfError::Endian { found: 2 });
    assert_eq!(patched(6, &[7]), ElfError::Version { found: 7 });
    assert_eq!(patched(16, &[4, 0]), ElfError::Type { found: 4 });
    assert_eq!(patched(16, &[1, 0]), ElfError::Type { found: 1 });
    assert_eq!(patched(18, &[62, 0]), ElfError::Machine { found: 62 });
    assert_eq!(
        patched(24, &0xc000_0000u32.to_le_bytes()),
        ElfError::Entry { found: 0xc000_0000 }
    );
    assert_eq!(
        patched(28, &0x1a0u32.to_le_bytes()),
        ElfError::PhTable {
            offset: 0x1a0,
            len: 0x1a0
        }
    );
    assert_eq!(
        patched(28, &[0xff; 4]),
        ElfError::PhTable {
            offset: u32::MAX,
            len: 0x1a0
        }
    );
    assert_eq!(patched(42, &[56, 0]), ElfError::PhEntSize { found: 56 });
    assert_eq!(patched(44, &[0, 0]), ElfError::PhNum { found: 0 });
    assert_eq!(
        patched(44, &[0xff, 0xff]),
        ElfError::PhNum { found: 0xffff }
    );
}

#[test]
fn broken_section_headers_do_not_matter() {
    let mut file = program(&[TEXT, DATA]);
    file[32..36].fill(0xff);
    file[46..52].fill(0xff);
    assert!(parse(&file).is_ok());
}

#[test]
fn every_shorter_file_is_refused() {
    let file = program(&[TEXT, DATA]);
    for len in 0..file.len() {
        let error = parse(&file[..len]).unwrap_err();
        assert_eq!(Errno::from(error), Errno::ENOEXEC, "{len}: {error}");
        assert_eq!(
            len < EHDR_SIZE,
            error == ElfError::Truncated { len },
            "{len}: {error}"
        );
    }
}

/// Returns a position-independent program of these headers, which are as they would be at `BASE`.
fn moved_to_zero(phdrs: &[Phdr]) -> Vec<u8> {
    let moved: Vec<Phdr> = phdrs
        .iter()
        .map(|phdr| Phdr {
            vaddr: phdr.vaddr.saturating_sub(BASE),
            ..*phdr
        })
        .collect();
    let mut file = program(&moved);
    file[16] = 3;
    file[24..28].copy_from_slice(&0x100u32.to_le_bytes());
    file
}

#[test]
fn a_position_independent_program_goes_where_it_is_put() {
    let mut plan = parse(&moved_to_zero(&[TEXT, DATA, STACK])).unwrap();
    assert!(plan.is_dyn && plan.interp.is_none());
    assert_eq!((plan.span(), plan.entry), (0..0x3000, 0x100));
    assert_eq!(plan.relocate(BASE), Ok(BASE));
    let fixed = parse(&program(&[TEXT, DATA, STACK])).unwrap();
    assert_eq!(
        plan,
        ElfPlan {
            is_dyn: true,
            ..fixed
        }
    );
    // Once more, to the last place, and not beyond it.
    assert_eq!(plan.relocate(TASK_SIZE - 0x2000), Err(Errno::ENOMEM));
    assert_eq!(plan.relocate(PAGE_MASK), Err(Errno::ENOMEM));
    assert_eq!(
        plan.relocate(TASK_SIZE - 0x3000),
        Ok(TASK_SIZE - 0x3000 - BASE)
    );
    assert_eq!(plan.span().end, TASK_SIZE);
    assert_eq!(plan.relocate(0x1_0000).map(|_| plan.entry), Ok(0x1_0100));
}

#[test]
fn the_dynamic_linkers_path_ends_with_a_zero() {
    let of = |path: &[u8], filesz: u32| {
        let interp = Phdr {
            kind: abi::PT_INTERP,
            offset: 0x190,
            filesz,
            ..STACK
        };
        let mut file = moved_to_zero(&[TEXT, interp]);
        file[0x190..0x190 + path.len()].copy_from_slice(path);
        parse(&file).map(|plan| plan.interp)
    };
    assert_eq!(of(b"/ld.so\0", 7), Ok(Some(0x190..0x197)));
    let refused = Err(ElfError::Interp { index: 1 });
    for (path, filesz) in [
        (&b"/ld.so"[..], 6),
        (b"\0", 1),
        (b"/ld.so\0", 0),
        (b"/ld.so\0", 17),
    ] {
        assert_eq!(of(path, filesz), refused, "{filesz}");
    }
}

#[test]
fn errnos_are_linuxs() {
    assert_eq!(
        Errno::from(ElfError::Magic { found: [0; 4] }),
        Errno::ENOEXEC
    );
    assert_eq!(
        Errno::from(ElfError::FileSize {
            index: 0,
            filesz: 1,
            memsz: 0
        }),
        Errno::EINVAL
    );
    assert_eq!(Errno::from(ElfError::NoMemory), Errno::ENOMEM);
    assert_eq!(Errno::from(ElfError::Interp { index: 1 }), Errno::ENOEXEC);
}

fn check_plan(plan: &ElfPlan, file: &[u8]) -> Result<(), TestCaseError> {
    prop_assert!(!plan.segments.is_empty() && plan.entry < TASK_SIZE);
    let mut last_end = MMAP_MIN_ADDR;
    for segment in &plan.segments {
        prop_assert!(segment.vaddr >= last_end && segment.memsz > 0);
        prop_assert!(segment.filesz <= segment.memsz);
        prop_assert!(file.get(segment.file_range()).is_some());
        prop_assert!(
            segment.pages().start <= segment.vaddr && segment.pages().end >= segment.end()
        );
        prop_assert!(segment.pages().end <= TASK_SIZE);
        last_end = segment.end();
    }
    prop_assert_eq!(plan.brk(), last_end);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn corrupted_programs_are_judged_without_panic(
        hits in proptest::collection::vec((0usize..0x140, any::<u8>()), 1..8),
        cut in prop_oneof![4 => Just(0x1a0usize), 1 => 0usize..0x1a0],
    ) {
        let mut file = program(&[TEXT, DATA, TLS, STACK]);
        for (at, value) in hits {
            file[at] = value;
        }
        file.truncate(cut);
        match parse(&file) {
            Ok(plan) => check_plan(&plan, &file)?,
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_segment_is_accepted_in_full_or_refused(
        offset in prop_oneof![0u32..0x200, any::<u32>()],
        vaddr in prop_oneof![Just(BASE), Just(0xbfff_f000), any::<u32>()],
        filesz in prop_oneof![0u32..0x200, any::<u32>()],
        memsz in prop_oneof![0u32..0x2000, any::<u32>()],
    ) {
        let file = program(&[Phdr { offset, vaddr, filesz, memsz, ..TEXT }]);
        if let Ok(plan) = parse(&file) {
            check_plan(&plan, &file)?;
        }
    }

    #[test]
    fn noise_is_no_program(bytes: Vec<u8>) {
        prop_assert!(parse(&bytes).is_err());
    }
}
