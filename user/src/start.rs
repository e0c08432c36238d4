//! `_start`: the first instruction in ring 3, and the stack that the kernel has set up.
//!
//! It stores the registers before it does anything else, so a program can tell how it was entered.
//! Then it calls `program_main`, and `exit` with its result.
//!
//! Linux: create_elf_tables, start_thread. Stack at entry, upwards from esp:
//! argc, argv.., 0, envp.., 0, (type, value).., AT_NULL.

use core::{
    arch::global_asm,
    cell::UnsafeCell,
    ffi::{CStr, c_char},
    mem::offset_of,
};

/// The registers as they were at the program's first instruction.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EntryState {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
    pub esi: u32,
    pub edi: u32,
    pub ebp: u32,
    pub esp: u32,
    pub eflags: u32,
    pub cs: u32,
    pub ss: u32,
    pub ds: u32,
    pub es: u32,
    pub fs: u32,
    pub gs: u32,
}

struct Saved(UnsafeCell<EntryState>);

// SAFETY: `_start` writes it once, before any other code of the program runs.
unsafe impl Sync for Saved {}

static ENTRY: Saved = Saved(UnsafeCell::new(EntryState {
    eax: 1,
    ebx: 1,
    ecx: 1,
    edx: 1,
    esi: 1,
    edi: 1,
    ebp: 1,
    esp: 0,
    eflags: 0,
    cs: 0,
    ss: 0,
    ds: 0,
    es: 0,
    fs: 1,
    gs: 1,
}));

global_asm!(
    ".pushsection .text.start, \"ax\", @progbits",
    ".globl _start",
    ".type _start, @function",
    "_start:",
    "movl %eax, {entry} + {eax}",
    "movl %ebx, {entry} + {ebx}",
    "movl %ecx, {entry} + {ecx}",
    "movl %edx, {entry} + {edx}",
    "movl %esi, {entry} + {esi}",
    "movl %edi, {entry} + {edi}",
    "movl %ebp, {entry} + {ebp}",
    "movl %esp, {entry} + {esp}",
    "pushfl",
    "popl {entry} + {eflags}",
    "movw %cs, {entry} + {cs}", // 16 bits to memory: the upper half stays 0
    "movw %ss, {entry} + {ss}",
    "movw %ds, {entry} + {ds}",
    "movw %es, {entry} + {es}",
    "movl %fs, %eax",
    "movl %eax, {entry} + {fs}",
    "movl %gs, %eax",
    "movl %eax, {entry} + {gs}",
    "xorl %ebp, %ebp", // the outermost frame
    "andl $-16, %esp",
    "call {rust_start}",
    "ud2",
    ".size _start, . - _start",
    ".popsection",
    entry = sym ENTRY,
    rust_start = sym rust_start,
    eax = const offset_of!(EntryState, eax),
    ebx = const offset_of!(EntryState, ebx),
    ecx = const offset_of!(EntryState, ecx),
    edx = const offset_of!(EntryState, edx),
    esi = const offset_of!(EntryState, esi),
    edi = const offset_of!(EntryState, edi),
    ebp = const offset_of!(EntryState, ebp),
    esp = const offset_of!(EntryState, esp),
    eflags = const offset_of!(EntryState, eflags),
    cs = const offset_of!(EntryState, cs),
    ss = const offset_of!(EntryState, ss),
    ds = const offset_of!(EntryState, ds),
    es = const offset_of!(EntryState, es),
    fs = const offset_of!(EntryState, fs),
    gs = const offset_of!(EntryState, gs),
    options(att_syntax)
);

unsafe extern "C" {
    fn _start();
    safe fn program_main() -> i32;
}

extern "C" fn rust_start() -> ! {
    crate::gates::find_vdso();
    crate::process::exit(program_main())
}

pub fn entry_state() -> EntryState {
    // SAFETY: nothing writes it after `_start`.
    unsafe { *ENTRY.0.get() }
}

/// Returns the address at which the program begins.
pub fn entry_address() -> u32 {
    _start as *const () as u32
}

/// Returns word `index` of the initial stack: 0 is argc.
fn stack_word(index: usize) -> u32 {
    // SAFETY: the kernel's vector ends in AT_NULL, and the callers stop there.
    unsafe { (entry_state().esp as *const u32).add(index).read() }
}

fn string(address: u32) -> &'static CStr {
    // SAFETY: the kernel put NUL-terminated strings above the vectors, for good.
    unsafe { CStr::from_ptr(address as *const c_char) }
}

pub fn argc() -> usize {
    stack_word(0) as usize
}

/// Returns argument `index`; 0 is the program's own path.
pub fn arg_cstr(index: usize) -> Option<&'static CStr> {
    (index < argc()).then(|| string(stack_word(1 + index)))
}

pub fn arg(index: usize) -> Option<&'static str> {
    arg_cstr(index)?.to_str().ok()
}

/// Returns the word after argv, which Linux makes 0.
pub fn argv_terminator() -> u32 {
    stack_word(1 + argc())
}

/// Returns the environment, as `NAME=value`.
pub fn envp() -> impl Iterator<Item = &'static CStr> {
    (argc() + 2..)
        .map(stack_word)
        .take_while(|&p| p != 0)
        .map(string)
}

/// Returns the value of the environment variable `name`.
pub fn env(name: &str) -> Option<&'static str> {
    envp().find_map(|var| var.to_str().ok()?.strip_prefix(name)?.strip_prefix('='))
}

/// Returns the auxiliary vector as (type, value), without AT_NULL.
pub fn auxv() -> impl Iterator<Item = (u32, u32)> {
    let first = argc() + 2 + envp().count() + 1;
    (first..)
        .step_by(2)
        .map(|i| (stack_word(i), stack_word(i + 1)))
        .take_while(|&(kind, _)| kind != at::NULL)
}

/// Returns the value of the first entry of type `kind`.
pub fn getauxval(kind: u32) -> Option<u32> {
    auxv().find(|&(k, _)| k == kind).map(|(_, value)| value)
}

/// The types of the auxiliary vector.
pub mod at {
    pub const NULL: u32 = 0;
    pub const PHDR: u32 = 3;
    pub const PHENT: u32 = 4;
    pub const PHNUM: u32 = 5;
    pub const PAGESZ: u32 = 6;
    pub const ENTRY: u32 = 9;
    pub const UID: u32 = 11;
    pub const EUID: u32 = 12;
    pub const GID: u32 = 13;
    pub const EGID: u32 = 14;
    pub const HWCAP: u32 = 16;
    pub const CLKTCK: u32 = 17;
    pub const SECURE: u32 = 23;
    pub const RANDOM: u32 = 25;
    pub const SYSINFO: u32 = 32;
    pub const SYSINFO_EHDR: u32 = 33;
}
