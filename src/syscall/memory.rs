//! brk, mmap, munmap, mprotect, madvise, msync.
//!
//! Linux: 2.6.38 `mm/mmap.c`. i386 has both `mmap`, with a pointer to six arguments, and `mmap2`,
//! with the offset in pages.

use super::SysResult;
use super::read_write::fget;
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::get_user;
use crate::base::errno::Errno;
use crate::fs::file::{O_ACCMODE, O_WRONLY, Object};
use crate::fs::rootfs::Inode;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::mm_struct::MmStruct;
use crate::mm::mmap::{Advice, MapFlags, do_brk, do_madvise, do_mmap, do_mprotect, do_munmap};
use crate::mm::vma::{Backing, VmFlags};

/// `prot`: memory for atomic operations, as all memory is here.
const PROT_SEM: u32 = 8;
const MADV_DONTNEED: u32 = 4;
const MADV_DONTFORK: u32 = 10;
const MADV_DOFORK: u32 = 11;
const MADV_WIPEONFORK: u32 = 18;
const MADV_KEEPONFORK: u32 = 19;

/// Returns the caller's address space. EFAULT for a kernel thread, which has no address space.
fn mm(me: &Current) -> Result<&MmStruct, Errno> {
    me.mm_struct().ok_or(Errno::EFAULT)
}

/// Moves the end of the heap and returns it; if that fails, returns the old end.
pub fn sys_brk(brk: u32) -> SysResult {
    Ok(do_brk(mm(&current())?, brk))
}

/// Maps anonymous memory, or a file from page `pages` on. Unknown bits of `prot`
/// are ignored, as in Linux.
///
/// # Errors
/// EBADF; EINVAL, ENOMEM, EPERM, EEXIST; EOVERFLOW (`pages` too high); ENODEV (cannot be mapped),
/// EACCES (not readable; shared and writable, and the file is not open for both).
pub fn sys_mmap2(
    address: u32,
    length: u32,
    prot: u32,
    flags: u32,
    fd: u32,
    pages: u32,
) -> SysResult {
    let prot = VmFlags::from_bits_truncate(prot) & VmFlags::PROT;
    let flags = MapFlags::from_bits_truncate(flags);
    let file = match flags.contains(MapFlags::ANONYMOUS) {
        true => None,
        false => Some(fget(fd)?),
    };
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    if pages.checked_add(length.div_ceil(PAGE_SIZE)).is_none() {
        return Err(Errno::EOVERFLOW);
    }
    let Some(file) = file else {
        return do_mmap(mm(&current())?, address, length, prot, flags, None);
    };
    let contents = match &file.object {
        Object::Inode(Inode::File(node)) => node.pages().ok_or(Errno::ENODEV)?,
        Object::Kcov(_, kcov) if pages == 0 && flags.contains(MapFlags::SHARED) => {
            let backing = kcov.mmap(length)?;
            return do_mmap(mm(&current())?, address, length, prot, flags, Some(backing));
        }
        Object::Kcov(..) => return Err(Errno::EINVAL),
        _ => return Err(Errno::ENODEV),
    };
    let shared = flags.contains(MapFlags::SHARED);
    if shared == flags.contains(MapFlags::PRIVATE) {
        return Err(Errno::EINVAL);
    }
    let access = file.flags() & O_ACCMODE;
    let may_write = access == O_ACCMODE - 1;
    if access == O_WRONLY || shared && prot.contains(VmFlags::WRITE) && !may_write {
        return Err(Errno::EACCES);
    }
    let offset = pages
        .checked_mul(PAGE_SIZE)
        .filter(|offset| offset.checked_add(length).is_some());
    let backing = match (contents.pristine(), offset) {
        // Nobody has written the file: the process's own copies of its bytes do.
        (Some(data), Some(offset)) if !shared => Backing::File { data, offset },
        _ => Backing::Mapped {
            object: contents.clone(),
            first: pages,
        },
    };
    let prot = match shared && !may_write {
        true => prot | VmFlags::NEVER_WRITE,
        false => prot,
    };
    let mapped = do_mmap(mm(&current())?, address, length, prot, flags, Some(backing));
    if let Object::Inode(Inode::File(node)) = &file.object {
        node.accessed();
    }
    mapped
}

/// Checks the arguments of msync: no data ever waits to be written.
///
/// # Errors
/// EINVAL (unaligned address, wrong flags), ENOMEM (not mapped).
pub fn sys_msync(address: u32, length: u32, flags: u32) -> SysResult {
    const MS_ASYNC: u32 = 1;
    const MS_INVALIDATE: u32 = 2;
    const MS_SYNC: u32 = 4;
    let unknown = flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0;
    let both = flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC;
    if unknown || both || !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let length = length.checked_next_multiple_of(PAGE_SIZE);
    let end = length.and_then(|length| address.checked_add(length));
    let end = end.ok_or(Errno::ENOMEM)?;
    let is_covered = mm(&current())?.map.lock().is_covered(address, end);
    match end == address || is_covered {
        true => Ok(0),
        false => Err(Errno::ENOMEM),
    }
}

/// Maps memory as [`sys_mmap2`] does, by a pointer to six words, with the offset in bytes.
pub fn sys_old_mmap(arguments: u32) -> SysResult {
    let a: [u32; 6] = get_user(arguments)?;
    if a[5] & 0xfff != 0 {
        return Err(Errno::EINVAL);
    }
    sys_mmap2(a[0], a[1], a[2], a[3], a[4], a[5] >> 12)
}

/// Unmaps `length` bytes from `address` on.
pub fn sys_munmap(address: u32, length: u32) -> SysResult {
    do_munmap(mm(&current())?, address, length)?;
    Ok(0)
}

/// Changes the protection of mapped memory, up to the first page where that is not possible.
///
/// # Errors
/// EINVAL, ENOMEM, EACCES.
pub fn sys_mprotect(address: u32, length: u32, prot: u32) -> SysResult {
    let flags = match prot & !(VmFlags::PROT.bits() | PROT_SEM) {
        0 => Some(VmFlags::from_bits_truncate(prot) & VmFlags::PROT),
        _ => None,
    };
    do_mprotect(mm(&current())?, address, length, flags)?;
    Ok(0)
}

/// Takes advice about memory. Advice that only affects speed is accepted; advice that would have to
/// be followed, but is not implemented, is refused.
///
/// # Errors
/// EINVAL for unknown or unsupported advice; those of [`do_madvise`].
pub fn sys_madvise(address: u32, length: u32, advice: u32) -> SysResult {
    let set = |flag| Advice::Flags(flag, flag);
    let clear = |flag| Advice::Flags(VmFlags::empty(), flag);
    let advice = match advice {
        // MADV_NORMAL, RANDOM, SEQUENTIAL, WILLNEED; DONTDUMP, DODUMP: nothing is ever dumped.
        0..=3 | 16 | 17 => Advice::Nothing,
        MADV_DONTNEED => Advice::DontNeed,
        MADV_DONTFORK => set(VmFlags::DONTCOPY),
        MADV_DOFORK => clear(VmFlags::DONTCOPY),
        MADV_WIPEONFORK => set(VmFlags::WIPEONFORK),
        MADV_KEEPONFORK => clear(VmFlags::WIPEONFORK),
        _ => return Err(Errno::EINVAL),
    };
    do_madvise(mm(&current())?, address, length, advice)?;
    Ok(0)
}
