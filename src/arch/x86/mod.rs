//! How the machine does it. The only room with assembly.
//!
//! What every `// SAFETY:` line here may rely on: the code runs in ring 0, on
//! %cs and %ss/%ds/%es with base 0 and limit 4 GiB, so that linear and logical
//! addresses are the same; %fs is this CPU's per-CPU area once
//! `setup_per_cpu_areas` has run; the CPU has the features that
//! `boot_info::REQUIRED_FEATURES` lists, because `head` checked them.
//!
//! In reading order:
//! - [`insn`]: each privileged instruction, once, wrapped
//! - [`string`]: `memcpy` and its like
//! - [`probe`]: calls with chosen flags and registers, for the self-tests
//! - [`head`]: from the 32-bit entry to `start_kernel`
//! - [`percpu`]: the per-CPU area behind `%fs`
//! - [`current`]: the running task, found in two ways
//! - [`switch_to`]: the book's sequence
//! - [`__switch_to`]: its second half, step by step
//! - [`kind`]: which of them a switch takes; [`updates`]: how they get to the machine
//! - [`math_state`]: lazy FPU
//! - [`paravirt`]: the back end that applies a switch in one go
//! - [`load_sp0`]: the stack of entries from ring 3
//! - [`lazy_gs`]: the user's `%gs`; [`canary`]: where it is the kernel's
//! - [`load_tls`]: TLS descriptors
//! - [`switch_to_xtra`]: debug registers, TSC, I/O bitmap; [`io_bitmap`]: three ways to do it
//! - [`copy_thread`]: the context of a new task, and its end
//! - [`ret_from_fork`]: where a new task comes out of its first switch
//! - [`mmu_context`]: `switch_mm` and lazy TLB; [`bitops`]: its masks
//! - [`tlb_flush`]: forgetting translations
//! - [`gdt`]: the descriptor table of each CPU
//! - [`ldt`]: the LDT of an address space
//! - [`uaccess`]: user memory, checked; [`usercopy`]: the instructions that may fault there
//! - [`entry`]: system calls, exceptions, interrupts, and the ways out
//! - [`notify_resume`]: what is due before ring 3
//! - [`vdso`]: the page through which a program enters by `sysenter`
//! - [`idt`]: the gates
//! - [`traps`]: exceptions become signals, or the end
//! - [`page_fault`]: the exception #PF
//! - [`doublefault`]: the exception #DF, on a stack of its own
//! - [`extable`]: instructions that may fault
//! - [`irq`]: device interrupts
//! - [`acpi`]: the firmware's table of processors
//! - [`lapic`], [`ioapic`]: the interrupt controllers
//! - [`nmi_watchdog`]: an NMI when the boot CPU's tick does not come
//! - [`smp`]: starting other CPUs and calling them; [`trampoline`]: where they begin
//! - [`kcov`]: edge coverage
//! - [`backtrace`]: who called whom
//! - [`epitaph`]: the end of the kernel

#[cfg(target_os = "none")]
pub mod __switch_to;
#[cfg(target_os = "none")]
pub mod acpi;
#[cfg(target_os = "none")]
pub mod backtrace;
#[cfg(target_os = "none")]
pub mod bitops;
#[cfg(target_os = "none")]
pub mod canary;
#[cfg(target_os = "none")]
pub mod copy_thread;
#[cfg(target_os = "none")]
pub mod current;
#[cfg(target_os = "none")]
pub mod doublefault;
#[cfg(target_os = "none")]
pub mod entry;
#[cfg(target_os = "none")]
pub mod epitaph;
#[cfg(target_os = "none")]
pub mod extable;
#[cfg(target_os = "none")]
pub mod gdt;
#[cfg(target_os = "none")]
pub mod head;
#[cfg(target_os = "none")]
pub mod idt;
#[cfg(target_os = "none")]
pub mod insn;
#[cfg(target_os = "none")]
pub mod io_bitmap;
#[cfg(target_os = "none")]
pub mod ioapic;
#[cfg(target_os = "none")]
pub mod irq;
#[cfg(target_os = "none")]
pub mod kcov;
#[cfg(target_os = "none")]
pub mod kind;
#[cfg(target_os = "none")]
pub mod lapic;
#[cfg(target_os = "none")]
pub mod lazy_gs;
#[cfg(target_os = "none")]
pub mod ldt;
#[cfg(target_os = "none")]
pub mod load_sp0;
#[cfg(target_os = "none")]
pub mod load_tls;
#[cfg(target_os = "none")]
pub mod math_state;
#[cfg(target_os = "none")]
pub mod mmu_context;
#[cfg(target_os = "none")]
pub mod nmi_watchdog;
#[cfg(target_os = "none")]
pub mod notify_resume;
#[cfg(target_os = "none")]
pub mod page_fault;
#[cfg(target_os = "none")]
pub mod paravirt;
#[cfg(target_os = "none")]
pub mod percpu;
#[cfg(target_os = "none")]
pub mod probe;
#[cfg(target_os = "none")]
pub mod ret_from_fork;
#[cfg(target_os = "none")]
pub mod smp;
#[cfg(target_os = "none")]
pub mod string;
#[cfg(target_os = "none")]
pub mod switch_to;
#[cfg(target_os = "none")]
pub mod switch_to_xtra;
#[cfg(target_os = "none")]
pub mod tlb_flush;
#[cfg(target_os = "none")]
pub mod trampoline;
#[cfg(target_os = "none")]
pub mod traps;
#[cfg(target_os = "none")]
pub mod uaccess;
#[cfg(target_os = "none")]
pub mod updates;
#[cfg(target_os = "none")]
pub mod usercopy;
pub mod vdso;
