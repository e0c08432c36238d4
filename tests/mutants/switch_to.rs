//! Steps of `switch_to` and `__switch_to`: stacks, flags, TSS, TLS, `%gs`, FPU, debug registers, ports.

use super::{Edit, Mutant, Run};

/// In the order in which a switch takes them.
#[rustfmt::skip]
pub const SWITCH_TO: &[Mutant] = &[
    Mutant {
        name: "eflags_not_saved",
        takes_out: "pushfl and popfl of switch_to",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    pushfl  ", replace: "    pushl $2  " },
            Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    popfl\n", replace: "    addl $4, %esp\n" },
        ],
        red: Run::selftest("iopl_does_not_leak"),
    },
    Mutant {
        name: "sp_not_saved",
        takes_out: "thread.sp of prev",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    movl  %esp, {SP}(%eax)", replace: "    nop" },
        ],
        red: Run::selftest("last_after_a_b_c_a"),
    },
    Mutant {
        name: "ip_not_saved",
        takes_out: "thread.ip of prev",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    movl  $switch_to_1, {IP}(%eax)", replace: "    nop" },
        ],
        red: Run::selftest("new_task_returns_through_ret_from_fork"),
    },
    Mutant {
        name: "label_1_pushed_for_new_tasks",
        takes_out: "the return address from thread.ip",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    pushl {IP}(%edx)", replace: "    pushl $switch_to_1" },
        ],
        red: Run::selftest("new_task_returns_through_ret_from_fork"),
    },
    Mutant {
        name: "last_is_next",
        takes_out: "the third parameter",
        edits: &[
            Edit { file: "src/arch/x86/switch/__switch_to.rs", find: "    unsafe { this_cpu_write!(current_task, next_p as u32) };\n    prev_p", replace: "    unsafe { this_cpu_write!(current_task, next_p as u32) };\n    next_p" },
        ],
        red: Run::selftest("last_after_a_b_c_a"),
    },
    Mutant {
        name: "new_task_keeps_eflags",
        takes_out: "popfl of ret_from_fork",
        edits: &[
            Edit { file: "src/arch/x86/switch/ret_from_fork.rs", find: "    popfl\n", replace: "    addl $4, %esp\n" },
        ],
        red: Run::selftest("new_task_eflags_are_0x202"),
    },
    Mutant {
        name: "current_task_not_written",
        takes_out: "current_task = next",
        edits: &[
            Edit { file: "src/arch/x86/switch/__switch_to.rs", find: "    unsafe { this_cpu_write!(current_task, next_p as u32) };\n", replace: "" },
        ],
        red: Run::selftest("current_by_stack_and_per_cpu_agree"),
    },
    Mutant {
        name: "sp0_not_loaded",
        takes_out: "load_sp0",
        edits: &[
            Edit { file: "src/arch/x86/switch/load_sp0.rs", find: "    unsafe { F::To::load_sp0(next.sp0) };", replace: "    let _ = next;" },
        ],
        red: Run::selftest("sp0_is_own_stack"),
    },
    Mutant {
        name: "sysenter_cs_not_switched",
        takes_out: "SYSENTER_CS of next",
        edits: &[
            Edit { file: "src/arch/x86/switch/load_sp0.rs", find: "        unsafe { set_sysenter_cs(next.sysenter_cs) };", replace: "" },
        ],
        red: Run::selftest("sysenter_cs_cached_in_ss1"),
    },
    Mutant {
        name: "tls_not_loaded",
        takes_out: "load_TLS, first slot",
        edits: &[
            Edit { file: "src/arch/x86/switch/updates.rs", find: "            write_gdt_entry::<6>(&tls[0]);\n", replace: "" },
        ],
        red: Run::selftest("tls_descriptors_follow_task"),
    },
    Mutant {
        name: "tls_slot_7_not_loaded",
        takes_out: "load_TLS, second slot",
        edits: &[
            Edit { file: "src/arch/x86/switch/updates.rs", find: "                write_gdt_entry::<7>(&tls[1]);\n", replace: "" },
        ],
        red: Run::selftest("tls_second_and_third_slot_follow_task"),
    },
    Mutant {
        name: "gs_not_saved",
        takes_out: "lazy_save_gs",
        edits: &[
            Edit { file: "src/arch/x86/switch/__switch_to.rs", find: "    lazy_save_gs(prev);\n", replace: "" },
        ],
        red: Run::selftest("gs_reloaded_when_either_nonzero"),
    },
    Mutant {
        name: "gs_not_loaded",
        takes_out: "lazy_load_gs",
        edits: &[
            Edit { file: "src/arch/x86/switch/__switch_to.rs", find: "        unsafe { lazy_load_gs(next) };\n", replace: "" },
        ],
        red: Run::selftest("gs_same_selector_two_bases"),
    },
    Mutant {
        name: "gs_loaded_if_different",
        takes_out: "the or of the two selectors",
        edits: &[
            Edit { file: "src/arch/x86/switch/__switch_to.rs", find: "    if prev.gs | next.gs != 0 {", replace: "    if prev.gs != next.gs {" },
        ],
        red: Run::selftest("gs_same_selector_two_bases"),
    },
    Mutant {
        name: "gs_fault_not_caught",
        takes_out: "the fall-back of the gs load",
        edits: &[
            Edit { file: "src/arch/x86/switch/lazy_gs.rs", find: "\".long 2b, 4b\"", replace: "\".long 4b, 4b\"" },
        ],
        red: Run::selftest("gs_bad_selector_falls_back_to_0"),
    },
    Mutant {
        name: "fpu_not_saved",
        takes_out: "fxsave in __unlazy_fpu",
        edits: &[
            Edit { file: "src/arch/x86/switch/math_state.rs", find: "        unsafe { insn::fxsave((&raw mut *fpu).cast()) };", replace: "        let _ = fpu;" },
        ],
        red: Run::selftest("fpu_registers_of_two_tasks_do_not_mix"),
    },
    Mutant {
        name: "ts_not_set",
        takes_out: "stts in __unlazy_fpu",
        edits: &[
            Edit { file: "src/arch/x86/switch/math_state.rs", find: "            To::stts();\n", replace: "" },
        ],
        red: Run::selftest("fpu_ts_clear_exactly_with_usedfpu"),
    },
    Mutant {
        name: "fpu_preloaded_one_slice_early",
        takes_out: "the limit of five slices",
        edits: &[
            Edit { file: "src/arch/x86/switch/math_state.rs", find: "FPU_PRELOAD_AFTER: u32 = 5", replace: "FPU_PRELOAD_AFTER: u32 = 4" },
        ],
        red: Run::selftest("fpu_nm_once_per_slice_then_preload"),
    },
    Mutant {
        name: "fpu_counter_kept",
        takes_out: "the reset of fpu_counter",
        edits: &[
            Edit { file: "src/arch/x86/switch/math_state.rs", find: "        set_fpu_counter(prev, 0);", replace: "" },
        ],
        red: Run::selftest("fpu_counter_reset_when_unused"),
    },
    Mutant {
        name: "debug_registers_not_loaded",
        takes_out: "DR0 to DR7 of next",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to_xtra.rs", find: "        load_debug_registers(next);\n    }\n\n    if", replace: "    }\n\n    if" },
        ],
        red: Run::selftest("debugreg_of_two_tasks_do_not_mix"),
    },
    Mutant {
        name: "tsd_not_switched",
        takes_out: "CR4.TSD",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to_xtra.rs", find: "        set_cr4_tsd(next.work.contains(TIF_NOTSC));", replace: "" },
        ],
        red: Run::selftest("tsc_disable_follows_task"),
    },
    Mutant {
        name: "bitmap_copies_next_only",
        takes_out: "max(prev, next) bytes",
        edits: &[
            Edit { file: "src/task/io_bitmap.rs", find: "            let len = copy_len(prev_max, next.io_bitmap_max);", replace: "            let len = next.io_bitmap_max;" },
        ],
        red: Run::selftest("io_bitmap_max_of_prev_and_next_copied"),
    },
    Mutant {
        name: "bitmap_not_filled",
        takes_out: "ones when next has no bitmap",
        edits: &[
            Edit { file: "src/task/io_bitmap.rs", find: "            tss_bitmap[..prev_max].fill(0xff);", replace: "            let _ = &tss_bitmap;" },
        ],
        red: Run::selftest("io_bitmap_all_ones_when_next_has_none"),
    },
    Mutant {
        name: "bitmap_not_switched",
        takes_out: "next's ports in the TSS",
        edits: &[
            Edit { file: "src/arch/x86/switch/io_bitmap.rs", find: "            let bitmap = &mut tss.io_bitmap;\n            let bytes = switch_to_bitmap(bitmap, prev.io_bitmap_max(), next.io_bitmap.as_ref());\n            this_cpu_add!(count.io_bitmap_bytes, bytes as u32);\n", replace: "            let _ = (prev, next);\n" },
        ],
        red: Run::selftest("io_bitmap_follows_task"),
    },
    Mutant {
        name: "bp_not_saved",
        takes_out: "pushl %ebp of switch_to",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    pushl %ebp  ", replace: "    pushl $0  " },
        ],
        red: Run::selftest("sleeping_task_words_are_ebp_and_eflags_if_0"),
    },
    Mutant {
        name: "callee_saved_register_lost",
        takes_out: "ebx of the caller",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    popl  %ebx\n", replace: "    addl $4, %esp\n" },
        ],
        red: Run::selftest("registers_of_the_caller_survive"),
    },
    Mutant {
        name: "tss_limit_one_byte_short",
        takes_out: "the byte of ones inside the TSS limit",
        edits: &[
            Edit { file: "src/arch/x86/gdt.rs", find: "DescStruct::tss(&raw const p.tss as u32, KERNEL_TSS_LIMIT)", replace: "DescStruct::tss(&raw const p.tss as u32, KERNEL_TSS_LIMIT - 1)" },
        ],
        red: Run::selftest("one_tss_per_cpu_ltr_once"),
    },
    Mutant {
        name: "tss_loaded_at_each_switch",
        takes_out: "ltr once",
        edits: &[
            Edit { file: "src/arch/x86/switch/load_sp0.rs", find: "    unsafe { F::To::load_sp0(next.sp0) };", replace: "    unsafe { F::To::load_sp0(next.sp0) };\n    // SAFETY: a mutant.\n    unsafe { crate::base::insn::ltr(crate::hw::desc::TSS_SELECTOR.0) };" },
        ],
        red: Run::selftest("one_tss_per_cpu_ltr_once"),
    },
    Mutant {
        name: "gs_loaded_always",
        takes_out: "no load of %gs when both are 0",
        edits: &[
            Edit { file: "src/arch/x86/switch/__switch_to.rs", find: "    if prev.gs | next.gs != 0 {", replace: "    if true {" },
        ],
        red: Run::selftest("gs_zero_in_both_no_reload"),
    },
    Mutant {
        name: "debug_registers_always_loaded",
        takes_out: "TIF_DEBUG of next",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to_xtra.rs", find: "    if next.work.contains(TIF_DEBUG) {", replace: "    if true {" },
        ],
        red: Run::selftest("debugreg_load_only_next"),
    },
];
