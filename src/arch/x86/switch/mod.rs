//! The process switch: the subject of this project.
//!
//! In reading order, which is the order of the book:
//! - [`switch_to`]: the book's sequence, `pushfl` to `popfl`
//! - [`__switch_to`]: its second half, step by step
//! - [`forms`]: three forms of it, with and without the rarer steps; [`updates`]: the way they reach the
//!   machine
//! - the steps:
//!   - [`math_state`]: lazy FPU
//!   - [`load_sp0`]: the stack of entries from ring 3
//!   - [`lazy_gs`]: the user's `%gs`; [`canary`]: kernels that use `%gs` themselves
//!   - [`load_tls`]: TLS descriptors
//!   - [`switch_to_xtra`]: debug registers, TSC, I/O bitmap; [`io_bitmap`]: three ways to do it
//! - [`copy_thread`]: the context of a new task, and its end
//! - [`ret_from_fork`]: the first code of a new task after its first switch
//! - [`mmu_context`]: `switch_mm` and lazy TLB; [`ldt`]: the LDT of an address space
//! - [`paravirt`]: the back end that applies a switch in one go
//!
//! The code around the switch is in `sched`, from `context_switch` to `finish_task_switch`.

pub mod __switch_to;
pub mod canary;
pub mod copy_thread;
pub mod forms;
pub mod io_bitmap;
pub mod lazy_gs;
pub mod ldt;
pub mod load_sp0;
pub mod load_tls;
pub mod math_state;
pub mod mmu_context;
pub mod paravirt;
pub mod ret_from_fork;
pub mod switch_to;
pub mod switch_to_xtra;
pub mod updates;
