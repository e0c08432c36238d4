//! `get_task_mm`: another task's address space, kept while it is inspected; its areas and its size
//! (`maps`, [`Memory`]).
//!
//! A C library reads the bounds of the first thread's stack from `maps` (`pthread_getattr_np`).
//!
//! Linux: 2.6.38 `get_task_mm`, `task_lock`, `show_map_vma`.

use core::ops::Deref;
use core::sync::atomic::Ordering;

use super::format::{Area, put_area_line};
use crate::base::errno::Errno;
use crate::fs::procfs::Part;
use crate::hw::pte::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, Pte, PteFlags};
use crate::mm::fallible::Text;
use crate::mm::frame::zero_page;
use crate::mm::mm_struct::{MmStruct, mmput};
use crate::mm::pgtable::{for_each_used, nr_pgtables};
use crate::mm::vma::{Backing, MemoryMap, VmFlags, Vma};
use crate::process::ptrace::{PtraceMode, ptrace_may_access};
use crate::task::task_struct::TaskStruct;

/// One more user of an address space, for the lifetime of this value.
pub struct TaskMm(*mut MmStruct);

impl Deref for TaskMm {
    type Target = MmStruct;

    fn deref(&self) -> &MmStruct {
        // SAFETY: live by our user.
        unsafe { &*self.0 }
    }
}

impl Drop for TaskMm {
    fn drop(&mut self) {
        // SAFETY: our user, given back once.
        unsafe { mmput(self.0) };
    }
}

/// Returns the address space of `task`; `None` for a kernel thread or a zombie.
pub fn get_task_mm(task: &TaskStruct) -> Option<TaskMm> {
    let _locked = task.alloc_lock.lock();
    let mm = task.mm.load(Ordering::Relaxed);
    // SAFETY: the task gives its user back only after it has changed `mm`, under the lock.
    unsafe { mm.as_ref() }?.counts.get_user();
    Some(TaskMm(mm))
}

/// The memory of a process, in bytes.
pub struct Memory {
    /// All areas, and their peak.
    pub total: u64,
    pub peak: u64,
    /// Stacks, other private writable memory, and code.
    pub stack: u64,
    pub data: u64,
    pub exec: u64,
    /// The program's own code.
    pub text: u64,
    /// Resident pages: the process's own, those of files, shared memory.
    pub anonymous: u64,
    pub file: u64,
    pub shared: u64,
    /// The peak of all resident pages together.
    pub resident_peak: u64,
    pub page_tables: u64,
}

impl Memory {
    /// Returns the present memory of `mm`.
    pub fn of(mm: &MmStruct) -> Self {
        let map = mm.map.lock();
        let bytes = |wanted: &dyn Fn(VmFlags) -> bool| -> u64 {
            let areas = map.areas().iter().filter(|vma| wanted(vma.flags));
            areas.fold(0, |sum: u64, vma| sum.saturating_add(vma.length().into()))
        };
        let is_stack = |flags: VmFlags| flags.contains(VmFlags::GROWSDOWN);
        let is_code = |flags: VmFlags| {
            flags.contains(VmFlags::EXEC) && !flags.contains(VmFlags::WRITE) && !is_stack(flags)
        };
        let is_data = |flags: VmFlags| {
            flags.contains(VmFlags::WRITE) && !flags.contains(VmFlags::SHARED) && !is_stack(flags)
        };
        let pgd = mm.pgd.load(Ordering::Relaxed);
        let bytes_of = |pages: u32| u64::from(pages) << PAGE_SHIFT;
        let (total, peak) = map.size_and_peak();
        let exec = bytes(&is_code);
        let text = map.code.end.saturating_add(!PAGE_MASK) & PAGE_MASK;
        let text = text.saturating_sub(map.code.start & PAGE_MASK).into();
        let mut memory = Self {
            total,
            peak,
            stack: bytes(&is_stack),
            data: bytes(&is_data),
            exec,
            text: exec.min(text),
            anonymous: 0,
            file: 0,
            shared: 0,
            resident_peak: bytes_of(mm.hiwater_rss()),
            page_tables: bytes_of(nr_pgtables(pgd)),
        };
        for vma in map.areas() {
            for_each_used(pgd, vma.start, vma.end, |_, slot| {
                let pte = Pte(slot.load(Ordering::Relaxed));
                let kind = match vma.backing {
                    _ if pte.phys() == zero_page() => return,
                    Backing::Shared { .. } => &mut memory.shared,
                    Backing::Mapped { .. } if vma.flags.contains(VmFlags::SHARED) => {
                        &mut memory.shared
                    }
                    // A written page no longer belongs to the file.
                    Backing::File { .. } | Backing::Mapped { .. }
                        if !pte.flags().contains(PteFlags::DIRTY) =>
                    {
                        &mut memory.file
                    }
                    Backing::Special { .. } => &mut memory.file,
                    Backing::Anonymous | Backing::File { .. } | Backing::Mapped { .. } => {
                        &mut memory.anonymous
                    }
                };
                *kind = kind.saturating_add(PAGE_SIZE.into());
            });
        }
        memory
    }

    /// Returns the size of all resident pages.
    pub fn resident(&self) -> u64 {
        self.anonymous
            .saturating_add(self.file)
            .saturating_add(self.shared)
    }
}

/// Size of a part of `maps`, in bytes, at which no more areas are added to it.
const PART_BYTES: usize = 3840;

/// Returns the areas that end after `from`, a line each, up to about a page of text: however many
/// areas there are, the map is locked for only a few, and no text is large.
///
/// # Errors
/// EACCES for another user's process, ENOMEM.
pub fn maps(task: &TaskStruct, from: u32) -> Result<Part, Errno> {
    if !ptrace_may_access(task, PtraceMode::FsCreds) {
        return Err(Errno::EACCES);
    }
    let (mut out, mut next) = (Text::new(), None);
    if let Some(mm) = get_task_mm(task) {
        let map = mm.map.lock();
        for vma in map.areas_after(from) {
            if out.len() >= PART_BYTES {
                next = Some(vma.start);
                break;
            }
            let can = |flag, letter| {
                if vma.flags.contains(flag) {
                    letter
                } else {
                    '-'
                }
            };
            let shared = vma.flags.contains(VmFlags::SHARED);
            let area = Area {
                range: vma.start..vma.end,
                rights: [
                    can(VmFlags::READ, 'r'),
                    can(VmFlags::WRITE, 'w'),
                    can(VmFlags::EXEC, 'x'),
                    if shared { 's' } else { 'p' },
                ],
                offset: match vma.backing {
                    Backing::File { offset, .. } => offset,
                    Backing::Mapped { first, .. } => first.saturating_mul(PAGE_SIZE),
                    _ => 0,
                },
                name: name(&map, vma),
            };
            put_area_line(&mut out, &area)?;
        }
    }
    Ok(Part {
        bytes: out.into_bytes(),
        next,
    })
}

/// Returns the name of an area's contents, if it is known. The program is the only named file: it
/// lies below the heap.
fn name<'m>(map: &'m MemoryMap, vma: &Vma) -> [&'m [u8]; 2] {
    match vma.backing {
        Backing::Special { .. } => [b"", b"[vdso]"],
        Backing::File { .. } | Backing::Mapped { .. } if vma.start < map.start_brk => {
            let path = map.exe_file.as_ref().map_or(&[][..], |it| it.path());
            [b"/", path]
        }
        Backing::Anonymous if vma.start < map.brk && vma.end > map.start_brk => [b"", b"[heap]"],
        _ if (vma.start..vma.end).contains(&map.start_stack) => [b"", b"[stack]"],
        _ => [b"", b""],
    }
}
