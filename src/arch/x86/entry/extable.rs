//! The exception table: instructions that may fault, and the places where the kernel then
//! continues.
//!
//! An entry is two words: the address of an instruction and the address of its fix-up. Assembly
//! puts it into section `__ex_table` right beside the instruction. The trap handlers search the
//! table before they call a fault in the kernel a bug.
//!
//! Book: ch. 10, "Dynamic Address Checking: The Fix-up Code".
//! Linux: 2.6.38 `extable.c`, `fixup_exception`.

use core::arch::asm;

use crate::base::pt_regs::PtRegs;

/// One line of the table.
#[repr(C)]
struct ExceptionTableEntry {
    /// The instruction that may fault.
    insn: u32,
    /// The address at which the kernel continues after a fault.
    fixup: u32,
}

unsafe extern "C" {
    static __start___ex_table: ExceptionTableEntry;
    static __stop___ex_table: ExceptionTableEntry;
}

/// Makes a faulting frame continue at its fix-up; returns false if there is no fix-up.
pub fn fixup_exception(regs: &mut PtRegs) -> bool {
    match search_exception_table(regs.ip) {
        Some(fixup) => {
            regs.ip = fixup;
            true
        }
        None => false,
    }
}

/// Returns the fix-up of the instruction at `ip`. The table is short enough for a linear search.
fn search_exception_table(ip: u32) -> Option<u32> {
    let start = &raw const __start___ex_table;
    let stop = &raw const __stop___ex_table;
    // SAFETY: the linker script puts all entries between the two symbols; nothing writes there.
    let table = unsafe { core::slice::from_raw_parts(start, stop.offset_from_unsigned(start)) };
    table
        .iter()
        .find(|entry| entry.insn == ip)
        .map(|entry| entry.fixup)
}

/// Returns the word at `address`, or `None` if it cannot be read; for reports on stacks that may be
/// broken.
pub fn probe_kernel_read(address: u32) -> Option<u32> {
    let value: u32;
    let failed: u32;
    // SAFETY: after a fault execution continues at 3 with `failed` set; a success only reads.
    unsafe {
        asm!(
            "2: movl ({address}), {value}",
            "3:",
            ".pushsection .entry.text, \"ax\", @progbits",
            "4: movl $1, {failed}",
            "   jmp 3b",
            ".popsection",
            ".pushsection __ex_table, \"a\", @progbits",
            ".balign 4",
            ".long 2b, 4b",
            ".popsection",
            address = in(reg) address,
            value = inout(reg) 0u32 => value,
            failed = inout(reg) 0u32 => failed,
            options(att_syntax, readonly, nostack, preserves_flags),
        );
    }
    (failed == 0).then_some(value)
}
