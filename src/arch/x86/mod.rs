//! The machine: the processor, its tables, its interrupt controllers.
//!
//! Every `// SAFETY:` line here may rely on the following: the code runs in ring 0, on %cs and
//! %ss/%ds/%es with base 0 and limit 4 GiB, so that linear and logical addresses are the same; %fs
//! is this CPU's per-CPU area once `setup_per_cpu_areas` has run; the CPU has the features that
//! `boot_info::REQUIRED_FEATURES` lists, because `head` checked them.
//!
//! In reading order:
//! - [`switch`]: the process switch
//! - [`entry`]: system calls, exceptions, and the ways out
//! - [`irq`]: interrupts, the controllers, other processors
//! - [`boot`]: from the loader to `start_kernel`
//!
//! Shared by these:
//! - [`current`]: the running task, found in two ways
//! - [`gdt`]: the descriptor table of each CPU
//! - [`tlb_flush`]: forgetting translations
//! - [`string`]: `memcpy` and its like
//! - [`probe`]: calls with chosen flags and registers, for the self-tests
//! - [`breakpoints`]: whether the processor compares addresses with the debug registers
//! - [`kcov`]: edge coverage
//! - [`backtrace`]: the chain of callers
//! - [`epitaph`]: the end of the kernel
//! - [`reboot`]: the end of the machine

pub mod backtrace;
pub mod boot;
pub mod breakpoints;
pub mod current;
pub mod entry;
pub mod epitaph;
pub mod gdt;
pub mod irq;
pub mod kcov;
pub mod probe;
pub mod reboot;
pub mod string;
pub mod switch;
pub mod tlb_flush;
