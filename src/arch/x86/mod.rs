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
//! - [`head`]: from the 32-bit entry to `start_kernel`
//! - [`epitaph`]: the kernel's last words

#[cfg(target_os = "none")]
pub mod epitaph;
#[cfg(target_os = "none")]
pub mod head;
#[cfg(target_os = "none")]
pub mod insn;
#[cfg(target_os = "none")]
pub mod string;
