#![forbid(unsafe_code)]
//! The vDSO: the page through which a program enters the kernel.
//!
//! exec maps it into each process and tells the program where by AT_SYSINFO (the address of
//! `__kernel_vsyscall`) and AT_SYSINFO_EHDR (that of the page). A C library calls the former in
//! place of `int $0x80`; what it does inside is the kernel's business. The page is a small ELF
//! shared object, so that dynamic linkers and debuggers can read it too:
//!
//! ```text
//!   0x000  ELF header, program headers (PT_LOAD, PT_DYNAMIC, PT_GNU_EH_FRAME)
//!   0x0a0  .hash .dynsym .dynstr .dynamic
//!   0x180  .eh_frame_hdr .eh_frame
//!   0x400  .text
//! ```
//!
//! The latter tell how to leave `__kernel_vsyscall` from any of its instructions. A thread that is
//! cancelled while it sleeps in the kernel unwinds its stack from here: without them its clean-up
//! handlers would not run.
//!
//! Book: chapter 10, "Issuing a System Call via the sysenter Instruction".
//! Linux: 2.6.38 `vdso32/sysenter.S`; the restart instruction as in 3.x and later.
//! SDM: volume 2, SYSENTER, SYSEXIT.

/// Bytes of the image: one page.
pub const VDSO_BYTES: usize = 4096;
/// Offset of `__kernel_vsyscall`, which AT_SYSINFO points at.
pub const VDSO_KERNEL_VSYSCALL: u32 = TEXT as u32;
/// Offset at which `sysexit` returns: `thread_info.sysenter_return` is the page plus this.
#[doc(alias = "VDSO32_SYSENTER_RETURN")]
pub const VDSO_SYSENTER_RETURN: u32 = TEXT as u32 + RETURN_IN_TEXT;

/// The image, ready to be mapped.
pub static VDSO: VdsoPage = VdsoPage(build());

/// A page of its own.
#[repr(C, align(4096))]
pub struct VdsoPage(pub [u8; VDSO_BYTES]);

/// `__kernel_vsyscall`. sysexit needs ecx and edx, and the kernel needs esp, so all three are
/// kept on the user's stack; the sixth argument is then at (%ebp). An interrupted call is
/// restarted two bytes before the return, by the `int $0x80` there, with all registers set up.
const CODE: [u8; 13] = [
    0x51, //             push   %ecx
    0x52, //             push   %edx
    0x55, //             push   %ebp
    0x89, 0xe5, //       movl   %esp, %ebp
    0x0f, 0x34, //       sysenter
    0xcd, 0x80, //       int    $0x80
    0x5d, //             pop    %ebp             SYSENTER_RETURN
    0x5a, //             pop    %edx
    0x59, //             pop    %ecx
    0xc3, //             ret
];
const RETURN_IN_TEXT: u32 = 9;

const PHDRS: usize = 52;
const HASH: usize = 0xa0;
const DYNSYM: usize = 0xc0;
const DYNSTR: usize = 0xe0;
const DYNAMIC: usize = 0x140;
const EH_FRAME_HDR: usize = 0x180;
const EH_FRAME: usize = 0x194;
const TEXT: usize = 0x400;

const STRINGS: &[u8] = b"\0__kernel_vsyscall\0linux-gate.so.1\0";
const NAME_VSYSCALL: u32 = 1;
const NAME_SONAME: u32 = 19;
const DYNAMIC_BYTES: u32 = 7 * 8;

/// What all functions have in common, here one: where the caller's registers are at its entry.
const CIE: [u8; 24] = [
    20, 0, 0, 0, 0, 0, 0, 0, // length, and 0: a CIE
    1, b'z', b'R', 0, //        version, augmentation
    1, 0x7c,
    8, //              code in bytes, data in -4 bytes, return address in column 8 (eip)
    1, 0x1b, //                 addresses: from where they stand, four bytes signed
    0x0c, 4, 4, //              def_cfa esp + 4
    0x88, 1, //                 eip at cfa - 4
    0, 0, //                    nop
];
/// From one instruction of [`CODE`] to the next: how far esp is from the frame, and what is saved.
const FDE_CFI: [u8; 31] = [
    0, //                          no augmentation
    0x41, 0x0e, 8, 0x81, 2, //     push %ecx: cfa = esp + 8, ecx at cfa - 8
    0x41, 0x0e, 12, 0x82, 3, //    push %edx
    0x41, 0x0e, 16, 0x85, 4, //    push %ebp
    0x47, 0x0e, 12, 0xc5, //       up to the end of pop %ebp: restored
    0x41, 0x0e, 8, 0xc2, //        pop %edx
    0x41, 0x0e, 4, 0xc1, //        pop %ecx
    0, 0, 0, //                    nop
];
const FDE: usize = EH_FRAME + CIE.len();
const FDE_BYTES: usize = 16 + FDE_CFI.len() + 1;

/// How far `to` is from `from`, as the tables say it.
const fn distance(from: usize, to: usize) -> u32 {
    (to as u32).wrapping_sub(from as u32)
}

const fn put_eh_frame(p: &mut [u8; VDSO_BYTES]) {
    // A table to search: addresses from where they stand, a number, and addresses from its start.
    put_bytes(p, EH_FRAME_HDR, &[1, 0x1b, 0x03, 0x3b]);
    put_words(
        p,
        EH_FRAME_HDR + 4,
        &[
            distance(EH_FRAME_HDR + 4, EH_FRAME),
            1,
            distance(EH_FRAME_HDR, TEXT),
            distance(EH_FRAME_HDR, FDE),
        ],
    );
    put_bytes(p, EH_FRAME, &CIE);
    // Length, from here to the CIE, the function and its size; the end is a length of 0.
    put_words(
        p,
        FDE,
        &[
            FDE_BYTES as u32 - 4,
            distance(EH_FRAME, FDE + 4),
            distance(FDE + 8, TEXT),
            CODE.len() as u32,
        ],
    );
    put_bytes(p, FDE + 16, &FDE_CFI);
}

const fn build() -> [u8; VDSO_BYTES] {
    let mut page = [0; VDSO_BYTES];
    let p = &mut page;

    // ELF header: 32-bit, little-endian, System V, ET_DYN, EM_386.
    put_bytes(p, 0, b"\x7fELF\x01\x01\x01");
    put_words(
        p,
        16,
        &[
            3 | 3 << 16,
            1,
            TEXT as u32,
            PHDRS as u32,
            0,
            0,
            52 | 32 << 16,
            3 | 40 << 16,
        ],
    );

    // PT_LOAD, R-X: the whole page. PT_DYNAMIC, R.
    let end = TEXT as u32 + CODE.len() as u32;
    put_words(p, PHDRS, &[1, 0, 0, 0, end, end, 5, 0x1000]);
    let dynamic = DYNAMIC as u32;
    put_words(
        p,
        PHDRS + 32,
        &[
            2,
            dynamic,
            dynamic,
            dynamic,
            DYNAMIC_BYTES,
            DYNAMIC_BYTES,
            4,
            4,
        ],
    );

    // PT_GNU_EH_FRAME, R.
    let (hdr, bytes) = (EH_FRAME_HDR as u32, (EH_FRAME - EH_FRAME_HDR) as u32);
    put_words(
        p,
        PHDRS + 64,
        &[0x6474_e550, hdr, hdr, hdr, bytes, bytes, 4, 4],
    );
    put_eh_frame(p);

    // Hash table: one bucket, two symbols; the bucket holds symbol 1, whose chain ends.
    put_words(p, HASH, &[1, 2, 1, 0, 0]);

    // Symbol 1: global function in section 1, which need not exist in a file without sections.
    let size = CODE.len() as u32;
    put_words(
        p,
        DYNSYM + 16,
        &[
            NAME_VSYSCALL,
            VDSO_KERNEL_VSYSCALL,
            size,
            1 << 4 | 2 | 1 << 16,
        ],
    );
    put_bytes(p, DYNSTR, STRINGS);

    put_words(
        p,
        DYNAMIC,
        &[
            14,
            NAME_SONAME, //           DT_SONAME
            4,
            HASH as u32, //            DT_HASH
            5,
            DYNSTR as u32, //          DT_STRTAB
            6,
            DYNSYM as u32, //          DT_SYMTAB
            10,
            STRINGS.len() as u32, //  DT_STRSZ
            11,
            16, //                    DT_SYMENT
            0,
            0, //                      DT_NULL
        ],
    );
    put_bytes(p, TEXT, &CODE);
    page
}

const fn put_bytes(page: &mut [u8; VDSO_BYTES], at: usize, bytes: &[u8]) {
    let mut i = 0;
    while i < bytes.len() {
        page[at + i] = bytes[i];
        i += 1;
    }
}

const fn put_words(page: &mut [u8; VDSO_BYTES], at: usize, words: &[u32]) {
    let mut i = 0;
    while i < words.len() {
        put_bytes(page, at + 4 * i, &words[i].to_le_bytes());
        i += 1;
    }
}

const _: () = {
    assert!(PHDRS + 3 * 32 <= HASH && HASH + 20 <= DYNSYM && DYNSYM + 32 <= DYNSTR);
    assert!(DYNSTR + STRINGS.len() <= DYNAMIC && DYNAMIC + DYNAMIC_BYTES as usize <= EH_FRAME_HDR);
    assert!(
        EH_FRAME_HDR + 20 <= EH_FRAME && FDE + FDE_BYTES + 4 <= TEXT && FDE_BYTES.is_multiple_of(4)
    );
};

#[cfg(test)]
mod tests {
    use elf::{ElfBytes, abi, endian::LittleEndian};

    use super::*;

    fn image() -> ElfBytes<'static, LittleEndian> {
        ElfBytes::minimal_parse(&VDSO.0).expect("the image is an ELF file")
    }

    #[test]
    fn it_is_a_shared_object_of_one_page() {
        let elf = image();
        assert_eq!(
            (elf.ehdr.e_type, elf.ehdr.e_machine),
            (abi::ET_DYN, abi::EM_386)
        );
        assert_eq!((elf.ehdr.e_phentsize, elf.ehdr.e_ehsize), (32, 52));
        let load = elf
            .segments()
            .unwrap()
            .iter()
            .find(|s| s.p_type == abi::PT_LOAD)
            .unwrap();
        assert_eq!((load.p_vaddr, load.p_flags), (0, abi::PF_R | abi::PF_X));
        assert!(load.p_memsz <= VDSO_BYTES as u64);
    }

    /// As a dynamic linker does it: PT_DYNAMIC, then by hash to the symbol.
    #[test]
    fn the_symbol_is_found_by_its_hash() {
        let elf = image();
        let table = elf.dynamic().unwrap().expect("it has PT_DYNAMIC");
        let entry = |tag: i64| table.iter().find(|d| d.d_tag == tag).unwrap().d_val() as usize;
        let word = |at: usize| u32::from_le_bytes(VDSO.0[at..at + 4].try_into().unwrap());
        let string = |at: usize| {
            let start = entry(abi::DT_STRTAB) + at;
            std::ffi::CStr::from_bytes_until_nul(&VDSO.0[start..])
                .unwrap()
                .to_str()
                .unwrap()
        };
        assert_eq!(string(entry(abi::DT_SONAME)), "linux-gate.so.1");
        let hash = entry(abi::DT_HASH);
        let (buckets, first) = (word(hash), word(hash + 8) as usize);
        assert_eq!((buckets, first), (1, 1));
        let symbol = entry(abi::DT_SYMTAB) + entry(abi::DT_SYMENT) * first;
        assert_eq!(string(word(symbol) as usize), "__kernel_vsyscall");
        assert_eq!(word(symbol + 4), VDSO_KERNEL_VSYSCALL);
        assert_eq!(VDSO.0[symbol + 12], abi::STB_GLOBAL << 4 | abi::STT_FUNC);
    }

    /// Reads the tables as an unwinder does, and holds them against what each instruction does.
    #[test]
    fn the_stack_can_be_unwound_from_each_instruction() {
        let word = |at: usize| u32::from_le_bytes(VDSO.0[at..at + 4].try_into().unwrap()) as usize;
        let from = |at: usize| at.wrapping_add(word(at) as u32 as i32 as usize);
        let segments = image().segments().unwrap();
        let header = segments.iter().find(|s| s.p_type == abi::PT_GNU_EH_FRAME);
        let header = header.expect("PT_GNU_EH_FRAME").p_vaddr as usize;
        let cie = from(header + 4);
        let fde = header.wrapping_add(word(header + 16) as u32 as i32 as usize);
        assert_eq!((word(header + 8), word(cie + 4)), (1, 0));
        assert_eq!(header + word(header + 12), TEXT);
        assert_eq!(cie + 4 + word(cie), fde, "the FDE follows the CIE");
        assert_eq!(fde + 4 - word(fde + 4), cie);
        assert_eq!((from(fde + 8), word(fde + 12)), (TEXT, CODE.len()));
        let end = fde + 4 + word(fde);
        assert_eq!(word(end), 0, "and is the last");

        // What the table says holds from the start of each instruction: esp's distance, and where
        // ecx, edx and ebp are.
        let (mut at, mut place, mut depth) = (fde + 17, 0, 4);
        let mut saved = [None; 9];
        let mut said = vec![];
        while at < end {
            let (op, low) = (VDSO.0[at] & 0xc0, usize::from(VDSO.0[at] & 0x3f));
            match (op, low) {
                (0x40, ahead) => (0..ahead).for_each(|_| {
                    said.push((depth, saved[1], saved[2], saved[5]));
                    place += 1;
                }),
                (0x80, register) => {
                    at += 1;
                    saved[register] = Some(4 * usize::from(VDSO.0[at]));
                }
                (0xc0, register) => saved[register] = None,
                (0, 0x0e) => {
                    at += 1;
                    depth = usize::from(VDSO.0[at]);
                }
                (0, 0) => {}
                other => panic!("{other:x?}"),
            }
            at += 1;
        }
        said.resize(CODE.len(), (depth, saved[1], saved[2], saved[5]));
        for (start, (said, code)) in said.iter().zip(CODE).enumerate() {
            let kept = |register: usize| {
                let pushed = start > register && start <= 11 - register;
                pushed.then_some(4 * (register + 2))
            };
            let kept = [0, 1, 2].map(kept);
            let depth = 4 + 4 * kept.iter().flatten().count();
            assert_eq!(
                *said,
                (depth, kept[0], kept[1], kept[2]),
                "{start}: {code:x}"
            );
        }
        assert!(place < CODE.len());
    }

    #[test]
    fn a_restart_falls_on_int_0x80() {
        let at = VDSO_SYSENTER_RETURN as usize;
        assert_eq!(VDSO.0[at - 4..at], [0x0f, 0x34, 0xcd, 0x80]);
        assert_eq!(VDSO.0[at..at + 4], [0x5d, 0x5a, 0x59, 0xc3]);
    }
}
