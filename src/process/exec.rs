//! `execve`: the running task becomes another program.
//!
//! Everything that can fail is done first, in a new address space, while the old program is
//! untouched. Then comes the point of no return, `flush_old_exec`: the other threads end, and the
//! old address space goes, with TLS, debug registers, FPU state and signal handlers. The task keeps
//! its numbers, its parent, the open files that are not close-on-exec, ignored and blocked signals,
//! and the I/O bitmap.
//!
//! Called by the system call, and by the kernel thread that becomes init.
//!
//! Book: ch. 20, "The exec Functions". Linux: 2.6.38 `fs/exec.c` (`do_execve`, `flush_old_exec`,
//! `exec_mmap`), `fs/binfmt_script.c`.

use core::sync::atomic::Ordering;

use alloc::sync::Arc;

use super::de_thread::de_thread;
use super::exec_file::ExecFile;
use super::exit::mm_release;
use super::initial_stack::*;
use super::load_elf::{Image, arch_setup_additional_pages, load_elf_binary, setup_arg_pages};
use super::posix_timer::exit_posix_timers;
use super::proc::format::USER_HZ;
use super::ptrace::set_not_dumpable;
use super::randomize::{Layout, is_random};
use super::rseq::rseq_execve;
use super::signal::{SigHand, TaskSignals, new_sighand};
use super::sigset::SIGCHLD;
use crate::arch::vdso::{VDSO_KERNEL_VSYSCALL, VDSO_SYSENTER_RETURN};
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::switch::copy_thread::{flush_thread, start_thread};
use crate::arch::x86::switch::mmu_context::switch_mm_irqs_off;
use crate::base::errno::Errno;
use crate::base::insn;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{TIF_LDT, clear_flag};
use crate::fs::elf::{self, ElfError, ElfPlan};
use crate::fs::files_struct::FilesStruct;
use crate::fs::random::get_random_bytes;
use crate::fs::stat::Stat;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::fallible::{try_arc, try_concat};
use crate::mm::frame::may_alloc;
use crate::mm::mm_struct::{MmStruct, mmdrop, mmput};
use crate::sched::hooks::membarrier::membarrier_exec_mmap;
use crate::sched::hooks::perf_event::{perf_event_enable_on_exec, perf_event_exit_task};
use crate::sched::hooks::trace::trace_sched_process_exec;
use crate::sync::IrqGuard;
use crate::task::cred::Cred;
use crate::task::state::{PF_FORKNOEXEC, PF_KTHREAD};
use crate::task::traced::{PT_PTRACE_CAP, is_traced};

/// Longest chain of scripts that interpret scripts.
const MAX_SCRIPTS: usize = 4;
/// Number of bytes of a script's first line that are read.
const BINPRM_BUF_SIZE: usize = 128;
/// Frames that must be free for exec to begin.
const EXEC_PAGES: u32 = 16;

/// Makes the running task execute the program at `path`; on success `regs` hold the registers that
/// the program starts with. `strings` returns argv and envp; it is called only after the file has
/// been opened, as in Linux.
///
/// # Errors
/// Those of a path lookup; EACCES (not a regular file, or not executable); those of `strings`;
/// ENOEXEC and EINVAL (a program that cannot be loaded; the log says why), ELIBBAD (a dynamic linker
/// that cannot be loaded), E2BIG, ENOMEM; those of `de_thread`.
pub fn do_execve(
    path: &[u8],
    strings: impl FnOnce() -> Result<(Strings, Strings), Errno>,
    regs: &mut PtRegs,
) -> Result<(), Errno> {
    let me = current();
    if !may_alloc(EXEC_PAGES) {
        return Err(Errno::ENOMEM);
    }
    let cred = me.cred();
    let files = unshare_files(me)?;
    let file = ExecFile::open(me, path, &cred)?;
    let (argv, envp) = strings()?;
    let (file, argv) = follow_scripts(me, path, file, argv, &cred)?;
    let mut program = read_elf(path, file).map_err(Errno::from)?;
    let mut interp = open_interpreter(me, &program, &cred)?;
    let mut new_cred = new_cred_of(me, &program.file.stat(), &cred);
    let sighand = new_sighand()?;
    let mm = NewMm::alloc()?;
    let layout = layout(me);
    let base = load_elf_binary(mm.get(), &mut program, interp.as_mut(), &layout)?;
    let vdso = arch_setup_additional_pages(mm.get())?;
    let plan = &program.plan;
    let entry = interp.as_ref().map_or(plan.entry, |it| it.plan.entry);
    let auxv = auxv(plan, base, vdso, &new_cred, new_cred.is_set_id());
    let mut random = [0; 16];
    get_random_bytes(&mut random);
    let stack = InitialStack {
        top: layout.stack_top,
        execfn: path,
        argv: &argv,
        envp: &envp,
        platform: b"i686",
        random,
        auxv: &auxv,
    };
    let (sp, contents) = stack.build()?;
    setup_arg_pages(mm.get(), stack.top, plan.exec_stack, sp, &contents)?;
    {
        let args = stack.arg_range();
        let mut map = mm.get().map.lock();
        (map.arg_start, map.arg_end, map.start_stack) = (args.start, args.end, sp);
        map.env_end = stack.env_end();
        (map.code, map.data) = (plan.code(), plan.data());
        map.exe_file = Some(program.file.running.clone());
    }
    drop((contents, argv, envp));

    let old_pid = me.pid();
    flush_old_exec(me, mm, files, sighand)?;
    if new_cred.acts_otherwise_than(&cred) {
        set_not_dumpable(me);
        // Whoever began to trace meanwhile may not trace a program with other rights.
        new_cred = new_cred_of(me, &program.file.stat(), &cred);
    }
    if new_cred.uid.effective != cred.uid.effective || new_cred.gid.effective != cred.gid.effective
    {
        me.pdeath_signal.store(0, Ordering::Relaxed);
        // Whoever counts the old program's events may not watch a program with other rights.
        perf_event_exit_task(me);
    }
    perf_event_enable_on_exec(me);
    me.set_cred(new_cred);
    me.comm
        .set(path.rsplit(|byte| *byte == b'/').next().unwrap_or(path));
    trace_sched_process_exec(path, old_pid);
    me.thread_info()
        .sysenter_return
        .store(vdso.wrapping_add(VDSO_SYSENTER_RETURN), Ordering::Relaxed);
    start_thread(regs, entry, sp);
    Ok(())
}

/// Copies the descriptor table if the task shares it with another process, because what exec closes
/// stays open there. Returns `None` if nobody else uses the table.
fn unshare_files(me: Current) -> Result<Option<Arc<FilesStruct>>, Errno> {
    let files = me.files.lock().clone();
    match files {
        // Two references are the one just taken and the task's own.
        Some(files) if Arc::strong_count(&files) > 2 => Ok(Some(try_arc(files.try_clone()?)?)),
        _ => Ok(None),
    }
}

/// Follows scripts from the file `file` at `path` to the program that runs, and returns that
/// program's file and its arguments.
fn follow_scripts(
    me: Current,
    path: &[u8],
    file: ExecFile,
    argv: Strings,
    cred: &Cred,
) -> Result<(ExecFile, Strings), Errno> {
    let (mut file, mut argv) = (file, argv);
    let mut path = try_concat(&[path])?;
    for _ in 0..=MAX_SCRIPTS {
        let Some((interpreter, argument)) = parse_script(file.head())? else {
            return Ok((file, argv));
        };
        let mut new = Strings::new();
        for string in [interpreter]
            .into_iter()
            .chain(argument)
            .chain([&path[..]])
            .chain(argv.iter().skip(1))
        {
            new.push(string)?;
        }
        (path, argv) = (try_concat(&[interpreter])?, new);
        file = ExecFile::open(me, &path, cred)?;
    }
    Err(Errno::ELOOP)
}

/// Interpreter and argument of a `#!` line.
type Script<'a> = (&'a [u8], Option<&'a [u8]>);

/// Returns the `#!` line, or `None` if the file does not begin with one. ENOEXEC if the line names
/// no interpreter.
fn parse_script(data: &[u8]) -> Result<Option<Script<'_>>, Errno> {
    let Some(rest) = data.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let rest = &rest[..rest.len().min(BINPRM_BUF_SIZE - 2)];
    let line = rest
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let end = line
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t'))
        .unwrap_or(line.len());
    let argument = line[end..].trim_ascii();
    match &line[..end] {
        [] => Err(Errno::ENOEXEC),
        interpreter => Ok(Some((
            interpreter,
            (!argument.is_empty()).then_some(argument),
        ))),
    }
}

/// Plans the mappings of the ELF file at `path`; the log says why that is impossible.
fn read_elf(path: &[u8], file: ExecFile) -> Result<Image, ElfError> {
    match elf::parse_head(file.head(), file.size()) {
        Ok(plan) => Ok(Image { file, plan }),
        Err(error) => {
            log::info!("exec: {}: {error}", path.escape_ascii());
            Err(error)
        }
    }
}

/// Opens the dynamic linker that `program` asks for. ELIBBAD if it cannot be loaded.
fn open_interpreter(me: Current, program: &Image, cred: &Cred) -> Result<Option<Image>, Errno> {
    let Some(range) = program.plan.interp.clone() else {
        return Ok(None);
    };
    let path = program.file.head().get(range).unwrap_or_default();
    let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
    let interp = read_elf(path, ExecFile::open(me, path, cred)?);
    interp.map(Some).map_err(|error| match error {
        ElfError::NoMemory => Errno::ENOMEM,
        _ => Errno::ELIBBAD,
    })
}

/// Returns the places of the parts of the new program.
fn layout(me: Current) -> Layout {
    if !is_random(me.personality.load(Ordering::Relaxed)) {
        return Layout::FIXED;
    }
    let mut bytes = [0; 16];
    get_random_bytes(&mut bytes);
    let mut words = bytes.as_chunks::<4>().0.iter();
    Layout::random([(); 4].map(|()| words.next().map_or(0, |word| u32::from_le_bytes(*word))))
}

/// Returns the credentials of the new program: set-user-ID and set-group-ID bits take effect, unless
/// a tracer without root's rights watches.
///
/// Linux: 2.6.38 `LSM_UNSAFE_PTRACE`.
fn new_cred_of(me: Current, inode: &Stat, old: &Cred) -> Cred {
    let mut new = *old;
    let raises = old.capable() || !is_traced(&me) || me.ptrace.has(PT_PTRACE_CAP);
    if inode.mode & 0o4000 != 0 && raises {
        new.uid.effective = inode.uid;
    }
    if inode.mode & 0o2010 == 0o2010 && raises {
        new.gid.effective = inode.gid;
    }
    for ids in [&mut new.uid, &mut new.gid] {
        (ids.saved, ids.fs) = (ids.effective, ids.effective);
    }
    new
}

fn auxv(plan: &ElfPlan, base: u32, vdso: u32, cred: &Cred, secure: bool) -> [(u32, u32); 16] {
    [
        (AT_SYSINFO, vdso.wrapping_add(VDSO_KERNEL_VSYSCALL)),
        (AT_SYSINFO_EHDR, vdso),
        (AT_HWCAP, insn::cpuid(1, 0).edx),
        (AT_PAGESZ, PAGE_SIZE),
        (AT_CLKTCK, USER_HZ as u32),
        (AT_PHDR, plan.phdr_vaddr.unwrap_or(0)),
        (AT_PHENT, u32::from(plan.phent)),
        (AT_PHNUM, u32::from(plan.phnum)),
        (AT_BASE, base),
        (AT_FLAGS, 0),
        (AT_ENTRY, plan.entry),
        (AT_UID, cred.uid.real),
        (AT_EUID, cred.uid.effective),
        (AT_GID, cred.gid.real),
        (AT_EGID, cred.gid.effective),
        (AT_SECURE, u32::from(secure)),
    ]
}

/// Passes the point of no return: once this is the only thread, there is no old program to return
/// an error to. Everything needed was allocated before: `files` and `sighand` belong to the new
/// program.
fn flush_old_exec(
    me: Current,
    mm: NewMm,
    files: Option<Arc<FilesStruct>>,
    sighand: Arc<SigHand>,
) -> Result<(), Errno> {
    de_thread(me)?;
    // Must come before `mm_release` lets a parent in vfork go on, since it may then wait for us.
    me.exit_signal.store(SIGCHLD, Ordering::Relaxed);
    me.signal.exec_id.count_exec();
    mm_release(me);
    // SAFETY: nothing of the old address space is borrowed any more.
    unsafe { exec_mmap(me, mm) };
    clear_flag(me.thread_info(), TIF_LDT);
    flush_thread(me);
    rseq_execve(me);
    exit_posix_timers(&me.signal);
    me.signal.flush_signal_handlers(sighand);
    me.signals.lock().altstack = TaskSignals::none().altstack;
    if let Some(own) = files {
        // A separate statement: dropping files may wake sleepers, which must not happen under the
        // lock.
        let shared = me.files.lock().replace(own);
        drop(shared);
    }
    let files = me.files.lock().clone();
    files.iter().for_each(|files| files.exec());
    me.flags.remove(PF_FORKNOEXEC | PF_KTHREAD);
    Ok(())
}

/// Switches to the new address space; the old one loses its user, or its borrower.
///
/// # Safety
/// 1. `me` has not lent out its address space ([`Current::mm_struct`]).
unsafe fn exec_mmap(me: Current, new: NewMm) {
    let new = new.into_raw();
    let old_mm = me.mm.load(Ordering::Relaxed);
    let old_active = me.active_mm.load(Ordering::Relaxed);
    {
        let _locked = me.alloc_lock.lock();
        let _no_irq = IrqGuard::new();
        // SAFETY: live by the user that belongs to this task from now on.
        membarrier_exec_mmap(unsafe { &*new });
        me.mm.store(new, Ordering::Relaxed);
        me.active_mm.store(new, Ordering::Relaxed);
        // SAFETY: interrupts are off, and `old_active` is what this CPU has loaded. Both are live:
        // `old_active` by this task's user or count, given back only below; `new` by the user that
        // belongs to this task from now on.
        unsafe { switch_mm_irqs_off(&*old_active, &*new) };
    }
    // SAFETY: this is what the task held of the old address space, given back once; CR3 has moved,
    // and by 1 nothing refers to it.
    unsafe {
        match old_mm.is_null() {
            true => mmdrop(old_active),
            false => mmput(old_mm),
        }
    }
}

/// An address space under construction, freed when dropped.
struct NewMm(*mut MmStruct);

impl NewMm {
    fn alloc() -> Result<Self, Errno> {
        MmStruct::alloc().map(Self).ok_or(Errno::ENOMEM)
    }

    fn get(&self) -> &MmStruct {
        // SAFETY: live by the one user, which is ours.
        unsafe { &*self.0 }
    }

    fn into_raw(self) -> *mut MmStruct {
        let mm = self.0;
        core::mem::forget(self);
        mm
    }
}

impl Drop for NewMm {
    fn drop(&mut self) {
        // SAFETY: its one user is ours; no CPU ever had it in CR3.
        unsafe { mmput(self.0) };
    }
}
