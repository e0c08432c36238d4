//! The Interrupt Descriptor Table, which all CPUs share.
//!
//! Every exception and interrupt enters through an interrupt gate, with interrupts off; the
//! handlers turn them on again if they were on before. `int $0x80` has a trap gate, which leaves
//! them on. #BP, #OF and `int $0x80` may be raised by ring 3. #DF switches to a separate hardware
//! task.
//!
//! Book: ch. 4, "Interrupt, Trap, and System Gates", "Initializing the IDT".
//! Linux: 2.6.38 `trap_init`, `native_init_IRQ`.
//! SDM: vol. 3, 6.11 "IDT Descriptors".

use core::sync::atomic::{AtomicU32, Ordering};

use crate::arch::x86::entry::paths::IRQ_ENTRY_BYTES;
use crate::base::insn;
use crate::base::insn::DescPtr;
use crate::hw::desc::{DOUBLEFAULT_TSS_SELECTOR, KERNEL_CS};
use crate::hw::gates::{FIRST_EXTERNAL_VECTOR, Gate, IA32_SYSCALL_VECTOR, IDT_ENTRIES, Vector};

/// The table: one gate for each vector, written by [`load_idt`] and read by the processors. It
/// consists of words, not of `AtomicU64`, since it is filled before CMPXCHG8B is known to exist.
static IDT: [[AtomicU32; 2]; IDT_ENTRIES] =
    [const { [const { AtomicU32::new(0) }; 2] }; IDT_ENTRIES];

/// Fills the table, with the same gates on every CPU, and loads it on this CPU.
pub fn load_idt() {
    for (number, entry) in IDT.iter().enumerate() {
        let gate = gate(number as u8);
        entry[0].store(gate.a, Ordering::Relaxed);
        entry[1].store(gate.b, Ordering::Relaxed);
    }
    let pointer = DescPtr {
        limit: size_of_val(&IDT) as u16 - 1,
        base: IDT.as_ptr() as u32,
    };
    // SAFETY: the table is static, and each gate leads to the entry for its vector's frame.
    unsafe { insn::lidt(&pointer) };
}

fn gate(vector: u8) -> Gate {
    match vector {
        IA32_SYSCALL_VECTOR => Gate::trap(KERNEL_CS, address(system_call), 3),
        FIRST_EXTERNAL_VECTOR.. => {
            let stub = usize::from(vector - FIRST_EXTERNAL_VECTOR) * IRQ_ENTRY_BYTES;
            Gate::interrupt(KERNEL_CS, address(irq_entries_start) + stub as u32, 0)
        }
        _ => exception(vector),
    }
}

fn exception(number: u8) -> Gate {
    let Some(vector) = Vector::from_number(number) else {
        return Gate::interrupt(KERNEL_CS, address(reserved_exception), 0);
    };
    let (entry, dpl): (Entry, u8) = match vector {
        Vector::DE => (divide_error, 0),
        Vector::DB => (debug, 0),
        Vector::NMI => (nmi, 0),
        Vector::BP => (int3, 3),
        Vector::OF => (overflow, 3),
        Vector::BR => (bounds, 0),
        Vector::UD => (invalid_op, 0),
        Vector::NM => (device_not_available, 0),
        Vector::DF => return Gate::task(DOUBLEFAULT_TSS_SELECTOR),
        Vector::CSO => (coprocessor_segment_overrun, 0),
        Vector::TS => (invalid_TSS, 0),
        Vector::NP => (segment_not_present, 0),
        Vector::SS => (stack_segment, 0),
        Vector::GP => (general_protection, 0),
        Vector::PF => (page_fault, 0),
        Vector::MF => (coprocessor_error, 0),
        Vector::AC => (alignment_check, 0),
        Vector::MC => (machine_check, 0),
        Vector::XM => (simd_coprocessor_error, 0),
    };
    Gate::interrupt(KERNEL_CS, address(entry), dpl)
}

type Entry = unsafe extern "C" fn();

fn address(entry: Entry) -> u32 {
    entry as *const () as u32
}

unsafe extern "C" {
    fn system_call();
    fn irq_entries_start();
    fn divide_error();
    fn debug();
    fn nmi();
    fn int3();
    fn overflow();
    fn bounds();
    fn invalid_op();
    fn device_not_available();
    fn coprocessor_segment_overrun();
    fn invalid_TSS();
    fn segment_not_present();
    fn stack_segment();
    fn general_protection();
    fn page_fault();
    fn reserved_exception();
    fn coprocessor_error();
    fn alignment_check();
    fn machine_check();
    fn simd_coprocessor_error();
}
