//! From the loader to `start_kernel`, on the first processor and on the others.
//!
//! In reading order:
//! - [`head`]: from the 32-bit entry to `start_kernel`
//! - [`acpi`]: the firmware's table of processors
//! - [`trampoline`]: the first code of the other processors

pub mod acpi;
pub mod head;
pub mod trampoline;
