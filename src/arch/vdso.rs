#![forbid(unsafe_code)]
//! The vDSO: the page through which a program enters the kernel, and returns from its handlers.
//!
//! exec maps it into each process and passes its place by AT_SYSINFO (the address of
//! `__kernel_vsyscall`) and AT_SYSINFO_EHDR (the address of the page). A C library calls
//! `__kernel_vsyscall` in place of `int $0x80`; the kernel chooses the instructions inside. The
//! page is a small ELF shared object, which dynamic linkers, debuggers and Go's runtime can read
//! too.
//!
//! Its code is `vdso/vdso.S`, its layout `vdso/vdso.lds`; `build.rs` assembles and links them. This
//! file includes the result and looks up the offsets that the kernel needs in its symbol table.
//!
//! Book: ch. 10, "Issuing a System Call via the sysenter Instruction". Linux: 2.6.38 `vdso32-setup.c`.

/// Size of the image in bytes: one page.
pub const VDSO_BYTES: usize = 4096;
/// Offset of `__kernel_vsyscall`, which AT_SYSINFO points at.
pub const VDSO_KERNEL_VSYSCALL: u32 = symbol(IMAGE, b"__kernel_vsyscall");
/// Offset at which `sysexit` returns: `thread_info.sysenter_return` is the page plus this.
#[doc(alias = "VDSO32_SYSENTER_RETURN")]
pub const VDSO_SYSENTER_RETURN: u32 = symbol(IMAGE, b"VDSO32_SYSENTER_RETURN");

/// The shared object that `build.rs` makes from `vdso/vdso.S`.
const IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vdso.so"));

/// The image, ready to map.
pub static VDSO: VdsoPage = VdsoPage(page(IMAGE));

/// A page-aligned page for the image.
#[repr(C, align(4096))]
pub struct VdsoPage(pub [u8; VDSO_BYTES]);

/// Returns the image, followed by zeroes up to the end of its page. An image longer than a page
/// does not compile.
const fn page(image: &[u8]) -> [u8; VDSO_BYTES] {
    let mut page = [0; VDSO_BYTES];
    let mut i = 0;
    while i < image.len() {
        page[i] = image[i];
        i += 1;
    }
    page
}

const fn half(image: &[u8], at: usize) -> usize {
    u16::from_le_bytes([image[at], image[at + 1]]) as usize
}

const fn word(image: &[u8], at: usize) -> usize {
    u32::from_le_bytes([image[at], image[at + 1], image[at + 2], image[at + 3]]) as usize
}

/// Returns the value of the symbol `name`, which is its offset in the image. An image without the
/// symbol does not compile.
const fn symbol(image: &[u8], name: &[u8]) -> u32 {
    const SHT_SYMTAB: usize = 2;
    let (sections, section_bytes, count) = (word(image, 32), half(image, 46), half(image, 48));
    let mut i = 0;
    while i < count {
        let section = sections + i * section_bytes;
        if word(image, section + 4) == SHT_SYMTAB {
            let strings = sections + word(image, section + 24) * section_bytes;
            let names = word(image, strings + 16);
            let mut at = word(image, section + 16);
            let end = at + word(image, section + 20);
            while at < end {
                if is_named(image, names + word(image, at), name) {
                    return word(image, at + 4) as u32;
                }
                at += 16;
            }
        }
        i += 1;
    }
    panic!("the vDSO lacks a symbol")
}

/// Returns whether the NUL-terminated string at `at` is `name`.
const fn is_named(image: &[u8], at: usize, name: &[u8]) -> bool {
    let mut i = 0;
    while i < name.len() {
        if image[at + i] != name[i] {
            return false;
        }
        i += 1;
    }
    image[at + i] == 0
}

#[cfg(test)]
#[path = "vdso_tests.rs"]
mod tests;
