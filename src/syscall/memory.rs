//! brk, mmap, munmap, mprotect, madvise.
//!
//! Linux: 2.6.38 `mm/mmap.c`; i386 has both `mmap` with one pointer to its six arguments and
//! `mmap2` with the offset in pages.

use core::sync::atomic::Ordering;

use super::SysResult;
use super::errno::Errno;
use super::read_write::fget;
use crate::arch::x86::current::current;
use crate::arch::x86::uaccess::get_user;
use crate::fs::cpio::FileType;
use crate::fs::file::Object;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::mm_struct::MmStruct;
use crate::mm::mmap::{MapFlags, do_brk, do_dontneed, do_mmap, do_mprotect, do_munmap};
use crate::mm::vma::{Backing, VmFlags};

const PROT_ALL: u32 = 7;
const MADV_DONTNEED: u32 = 4;
const MADV_LAST: u32 = 25;

fn mm() -> Result<&'static MmStruct, Errno> {
    // SAFETY: the running task is a user of its address space until it exits, and no system
    // call keeps the reference beyond its end.
    unsafe { current().mm.load(Ordering::Relaxed).as_ref() }.ok_or(Errno::EFAULT)
}

/// Moves the end of the heap; answers where it is now.
pub fn sys_brk(brk: u32) -> SysResult {
    Ok(do_brk(mm()?, brk))
}

fn prot_flags(prot: u32) -> Result<VmFlags, Errno> {
    if prot & !PROT_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(VmFlags::from_bits_truncate(prot))
}

/// Maps anonymous memory, or a file of the initramfs from page `pages` on.
///
/// # Errors
/// EINVAL, ENOMEM, EPERM, EEXIST, EOVERFLOW (`pages` too high); EBADF, ENODEV (cannot be mapped),
/// EACCES (shared and writable).
pub fn sys_mmap2(
    address: u32,
    length: u32,
    prot: u32,
    flags: u32,
    fd: u32,
    pages: u32,
) -> SysResult {
    let prot = prot_flags(prot)?;
    if pages.checked_add(length.div_ceil(PAGE_SIZE)).is_none() {
        return Err(Errno::EOVERFLOW);
    }
    let flags = MapFlags::from_bits_truncate(flags);
    if flags.contains(MapFlags::ANONYMOUS) {
        return do_mmap(mm()?, address, length, prot, flags, None);
    }
    let data = match &fget(fd)?.object {
        Object::Inode(inode) if inode.file_type() == FileType::Regular => inode.data(),
        Object::Kcov(_, kcov) if pages == 0 && flags.contains(MapFlags::SHARED) => {
            let backing = kcov.mmap(length)?;
            return do_mmap(mm()?, address, length, prot, flags, Some(backing));
        }
        Object::Kcov(..) => return Err(Errno::EINVAL),
        _ => return Err(Errno::ENODEV),
    };
    if flags.contains(MapFlags::SHARED) == flags.contains(MapFlags::PRIVATE) {
        return Err(Errno::EINVAL);
    }
    if flags.contains(MapFlags::SHARED) && prot.contains(VmFlags::WRITE) {
        return Err(Errno::EACCES);
    }
    let offset = pages
        .checked_mul(PAGE_SIZE)
        .filter(|offset| offset.checked_add(length).is_some());
    let offset = offset.ok_or(Errno::EOVERFLOW)?;
    // Nobody can write the file, so a private mapping shows the same as a shared one.
    let flags = (flags - MapFlags::SHARED) | MapFlags::PRIVATE;
    do_mmap(
        mm()?,
        address,
        length,
        prot,
        flags,
        Some(Backing::File { data, offset }),
    )
}

/// As [`sys_mmap2`], by a pointer to six words, the offset in bytes.
pub fn sys_old_mmap(arguments: u32) -> SysResult {
    let a: [u32; 6] = get_user(arguments)?;
    if a[5] & 0xfff != 0 {
        return Err(Errno::EINVAL);
    }
    sys_mmap2(a[0], a[1], a[2], a[3], a[4], a[5] >> 12)
}

/// Unmaps.
pub fn sys_munmap(address: u32, length: u32) -> SysResult {
    do_munmap(mm()?, address, length)?;
    Ok(0)
}

/// Changes what may be done with mapped memory.
pub fn sys_mprotect(address: u32, length: u32, prot: u32) -> SysResult {
    do_mprotect(mm()?, address, length, prot_flags(prot)?)?;
    Ok(0)
}

/// Advice; only MADV_DONTNEED has an effect.
pub fn sys_madvise(address: u32, length: u32, advice: u32) -> SysResult {
    match advice {
        MADV_DONTNEED => do_dontneed(mm()?, address, length)?,
        0..=MADV_LAST => {}
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
