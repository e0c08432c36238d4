//! The vDSO's image, read as a dynamic linker, Go's runtime, an unwinder and a debugger read it.

use std::collections::BTreeMap;

use elf::{ElfBytes, abi, endian::LittleEndian};
use object::read::elf::{ElfFile32, FileHeader};
use object::{Object, ObjectSection, ObjectSymbol};

use super::*;

fn image() -> ElfBytes<'static, LittleEndian> {
    ElfBytes::minimal_parse(&VDSO.0).expect("the image is an ELF file")
}

fn object() -> ElfFile32<'static> {
    ElfFile32::parse(&VDSO.0[..]).expect("the image is an ELF file")
}

/// Returns each function that a program can look up: its offset and its bytes.
fn functions() -> BTreeMap<String, (usize, Vec<u8>)> {
    let file = object();
    file.dynamic_symbols()
        .map(|symbol| {
            let (at, size) = (symbol.address() as usize, symbol.size() as usize);
            let name = symbol.name().unwrap().to_owned();
            (name, (at, VDSO.0[at..at + size].to_vec()))
        })
        .collect()
}

#[test]
fn it_is_a_shared_object_of_one_page() {
    let elf = image();
    assert_eq!(
        (elf.ehdr.e_type, elf.ehdr.e_machine),
        (abi::ET_DYN, abi::EM_386)
    );
    let segments: Vec<_> = elf.segments().unwrap().iter().collect();
    let loads: Vec<_> = segments
        .iter()
        .filter(|s| s.p_type == abi::PT_LOAD)
        .collect();
    assert_eq!(loads.len(), 1);
    assert_eq!(
        (loads[0].p_vaddr, loads[0].p_offset, loads[0].p_flags),
        (0, 0, abi::PF_R | abi::PF_X)
    );
    assert!(IMAGE.len() <= VDSO_BYTES && loads[0].p_memsz <= VDSO_BYTES as u64);
    let relocations = object()
        .dynamic_relocations()
        .map_or(0, |relocations| relocations.count());
    assert_eq!(relocations, 0, "nobody relocates it");
}

/// Looks symbols up like a dynamic linker: PT_DYNAMIC, hash, symbol, version.
#[test]
fn each_symbol_is_found_by_its_hash_and_has_its_version() {
    let elf = image();
    let table = elf.dynamic().unwrap().expect("it has PT_DYNAMIC");
    let entry = |tag: i64| {
        let found = table.iter().find(|d| d.d_tag == tag);
        found.unwrap_or_else(|| panic!("no tag {tag:#x}")).d_val() as usize
    };
    let string = |at: usize| {
        let start = entry(abi::DT_STRTAB) + at;
        let text = std::ffi::CStr::from_bytes_until_nul(&VDSO.0[start..]).unwrap();
        text.to_str().unwrap()
    };
    let at = |at: usize| word(&VDSO.0, at);
    assert_eq!(string(entry(abi::DT_SONAME)), "linux-gate.so.1");

    // The versions by number: the base's name is the object's.
    let mut versions = BTreeMap::new();
    let mut def = entry(abi::DT_VERDEF);
    for _ in 0..entry(abi::DT_VERDEFNUM) {
        let name = string(at(def + at(def + 12)));
        versions.insert(half(&VDSO.0, def + 4), (name, at(def + 8)));
        def += at(def + 16);
    }
    assert_eq!(versions[&1].0, "linux-gate.so.1");
    assert_eq!(versions[&2], ("LINUX_2.5", 0x3ae_75f5), "with its hash");

    let hash = entry(abi::DT_HASH);
    let (buckets, count) = (at(hash), at(hash + 4));
    for name in [
        "__kernel_vsyscall",
        "__kernel_sigreturn",
        "__kernel_rt_sigreturn",
    ] {
        let bucket = elf::hash::sysv_hash(name.as_bytes()) as usize % buckets;
        let mut index = at(hash + 8 + 4 * bucket);
        let symbol = loop {
            assert_ne!(index, 0, "{name} is in no chain");
            let symbol = entry(abi::DT_SYMTAB) + entry(abi::DT_SYMENT) * index;
            if string(at(symbol)) == name {
                break symbol;
            }
            index = at(hash + 8 + 4 * (buckets + index));
        };
        assert!(index < count);
        assert_eq!(VDSO.0[symbol + 12], abi::STB_GLOBAL << 4 | abi::STT_FUNC);
        assert_eq!(
            half(&VDSO.0, entry(abi::DT_VERSYM) + 2 * index),
            2,
            "{name}"
        );
    }
    assert_eq!(
        functions()["__kernel_vsyscall"].0 as u32,
        VDSO_KERNEL_VSYSCALL
    );
}

#[test]
fn a_note_says_which_linux_it_is_like() {
    let file = object();
    let (endian, data) = (file.endian(), &VDSO.0[..]);
    let mut notes = vec![];
    for header in file.elf_header().program_headers(endian, data).unwrap() {
        use object::read::elf::ProgramHeader;
        if let Some(mut found) = header.notes(endian, data).unwrap() {
            while let Some(note) = found.next().unwrap() {
                let desc = u32::from_le_bytes(note.desc().try_into().unwrap());
                notes.push((note.name().to_vec(), note.n_type(endian), desc));
            }
        }
    }
    assert_eq!(notes, [(b"Linux".to_vec(), 0, 0x02_0626)]);
}

/// The rules that a table gives for one place in the code.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rules {
    /// The caller's esp: a distance above this esp, or the word at that distance if the flag is
    /// set.
    cfa: Option<(bool, i64)>,
    /// The place of each of the caller's registers: a distance from the caller's esp, or from this
    /// esp.
    saved: BTreeMap<u64, (bool, i64)>,
}

struct Reader<'a>(&'a [u8], usize);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        self.1 += 1;
        self.0[self.1 - 1]
    }

    fn number(&mut self, signed: bool) -> i64 {
        let (mut value, mut shift) = (0i64, 0);
        loop {
            let byte = self.byte();
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let negative = signed && byte & 0x40 != 0;
                return if negative {
                    value - (1 << shift)
                } else {
                    value
                };
            }
        }
    }

    /// Reads an expression: esp plus a number, and whether it means the word there.
    fn expression(&mut self) -> (bool, i64) {
        let end = self.number(false) as usize + self.1;
        assert_eq!(self.byte(), 0x74, "DW_OP_breg4");
        let offset = self.number(true);
        let deref = self.1 < end;
        if deref {
            assert_eq!(self.byte(), 0x06, "DW_OP_deref");
        }
        assert_eq!(self.1, end);
        (deref, offset)
    }

    /// Runs the operations up to `end`; calls `step` before each that advances in the code.
    fn run(&mut self, end: usize, start: &Rules, mut step: impl FnMut(&Rules, usize)) -> Rules {
        let mut rules = start.clone();
        while self.1 < end {
            let op = self.byte();
            match (op & 0xc0, op & 0x3f) {
                (0x40, ahead) => step(&rules, ahead.into()),
                (0x80, register) => {
                    let offset = self.number(false) * -4;
                    rules.saved.insert(register.into(), (true, offset));
                }
                (0xc0, register) => {
                    let register = u64::from(register);
                    match start.saved.get(&register) {
                        Some(at_first) => rules.saved.insert(register, *at_first),
                        None => rules.saved.remove(&register),
                    };
                }
                (0, 0x0c) => {
                    assert_eq!(self.number(false), 4, "the frame is told from esp");
                    rules.cfa = Some((false, self.number(false)));
                }
                (0, 0x0e) => rules.cfa = Some((false, self.number(false))),
                (0, 0x0f) => rules.cfa = Some(self.expression()),
                (0, 0x10) => {
                    let register = self.number(false) as u64;
                    let (deref, offset) = self.expression();
                    assert!(!deref);
                    rules.saved.insert(register, (false, offset));
                }
                (0, 0) => {}
                other => panic!("{other:x?}"),
            }
        }
        rules
    }
}

/// Finds the table of the function at `wanted` through the binary-search table, like an unwinder.
/// Returns the offset where the table begins, the rules at each byte, and whether it is a signal's
/// frame.
fn table_of(wanted: usize) -> (usize, Vec<Rules>, bool) {
    let from = |at: usize| at.wrapping_add(word(&VDSO.0, at) as u32 as i32 as usize);
    let segments = image().segments().unwrap();
    let header = segments.iter().find(|s| s.p_type == abi::PT_GNU_EH_FRAME);
    let header = header.expect("PT_GNU_EH_FRAME").p_vaddr as usize;
    assert_eq!(VDSO.0[header..header + 4], [1, 0x1b, 0x03, 0x3b]);
    let entry = |i: usize| {
        let relative = |at: usize| header.wrapping_add(word(&VDSO.0, at) as u32 as i32 as usize);
        (relative(header + 12 + 8 * i), relative(header + 16 + 8 * i))
    };
    let entries: Vec<_> = (0..word(&VDSO.0, header + 8)).map(entry).collect();
    assert!(entries.is_sorted());
    let (start, fde) = *entries.iter().rfind(|(start, _)| *start <= wanted).unwrap();

    let cie = fde + 4 - word(&VDSO.0, fde + 4);
    let mut reader = Reader(&VDSO.0, cie + 9);
    let mut augmentation = vec![];
    while let byte @ 1.. = reader.byte() {
        augmentation.push(byte);
    }
    let of_signal = augmentation == b"zRS";
    assert!(of_signal || augmentation == b"zR");
    assert_eq!((reader.number(false), reader.number(true)), (1, -4));
    assert_eq!(reader.number(false), 8, "the return address is register 8");
    assert_eq!((reader.byte(), reader.byte()), (1, 0x1b));
    let end = cie + 4 + word(&VDSO.0, cie);
    let common = reader.run(end, &Rules::default(), |_, _| {});

    assert_eq!(from(fde + 8), start);
    let length = word(&VDSO.0, fde + 12);
    assert!((start..start + length).contains(&wanted));
    let mut said = vec![];
    let mut reader = Reader(&VDSO.0, fde + 17);
    let end = fde + 4 + word(&VDSO.0, fde);
    let last = reader.run(end, &common, |rules, ahead| {
        said.extend(std::iter::repeat_n(rules.clone(), ahead));
    });
    said.resize(length, last);
    (start, said, of_signal)
}

/// Compares the words that `__kernel_vsyscall` has pushed at each instruction with the table.
#[test]
fn the_stack_can_be_unwound_from_each_instruction() {
    let (at, code) = functions()["__kernel_vsyscall"].clone();
    let (start, said, of_signal) = table_of(at);
    assert_eq!((start, said.len(), of_signal), (at, code.len(), false));
    for (place, said) in said.iter().enumerate() {
        // ecx, edx and ebp are pushed by the first three bytes, and popped by three of the last four.
        let kept = |nth: usize| place > nth && place <= 11 - nth;
        let mut expected = Rules {
            cfa: Some((
                false,
                4 + 4 * (0..3).filter(|nth| kept(*nth)).count() as i64,
            )),
            saved: BTreeMap::from([(8, (true, -4))]),
        };
        for (nth, register) in [1, 2, 5].into_iter().enumerate() {
            if kept(nth) {
                expected.saved.insert(register, (true, -8 - 4 * nth as i64));
            }
        }
        assert_eq!(*said, expected, "at byte {place}");
    }
}

/// After a handler's return the table finds the interrupted registers in the sigcontext.
#[test]
fn a_handler_is_unwound_to_what_it_interrupted() {
    // struct sigcontext of i386: offset of each register, by its number in the table.
    let sigcontext = [
        (0, 44),
        (1, 40),
        (2, 36),
        (3, 32),
        (5, 24),
        (6, 20),
        (7, 16),
        (8, 56),
    ];
    // Distance of the sigcontext above esp when the handler has returned, and after each pop.
    for (name, base, pops) in [
        ("__kernel_sigreturn", 4, 1),
        ("__kernel_rt_sigreturn", 12 + 128 + 20, 0),
    ] {
        let (at, code) = functions()[name].clone();
        let (start, said, of_signal) = table_of(at);
        assert!(of_signal, "{name}");
        // An unwinder looks for the caller one byte before the return address.
        assert_eq!((start, said.len()), (at - 1, code.len() + 1), "{name}");
        assert_eq!(table_of(at - 1).0, start);
        for (place, said) in said.iter().enumerate() {
            let base = if place > pops && pops == 1 {
                base - 4
            } else {
                base
            };
            assert_eq!(said.cfa, Some((true, base + 28)), "{name} at {place}");
            let expected = sigcontext.map(|(register, at)| (register, (false, base + at)));
            assert_eq!(said.saved, BTreeMap::from(expected), "{name} at {place}");
        }
    }
}

/// Debuggers and unwinders without tables recognise these two by their bytes.
#[test]
fn the_ways_back_from_a_handler_have_their_bytes() {
    let functions = functions();
    let sigreturn = [0x58, 0xb8, 119, 0, 0, 0, 0xcd, 0x80];
    assert_eq!(functions["__kernel_sigreturn"].1, sigreturn);
    let rt_sigreturn = [0xb8, 173, 0, 0, 0, 0xcd, 0x80];
    assert_eq!(functions["__kernel_rt_sigreturn"].1, rt_sigreturn);
}

#[test]
fn a_restart_falls_on_int_0x80() {
    let at = VDSO_SYSENTER_RETURN as usize;
    assert_eq!(VDSO.0[at - 4..at], [0x0f, 0x34, 0xcd, 0x80]);
    assert_eq!(VDSO.0[at..at + 4], [0x5d, 0x5a, 0x59, 0xc3]);
    let text = object();
    let text = text.section_by_name(".text").unwrap();
    assert!((text.address()..text.address() + text.size()).contains(&(at as u64)));
}
