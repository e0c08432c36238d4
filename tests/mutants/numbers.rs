//! Numbers at their limits: sums that wrap, counters that are full.

use super::{Edit, Mutant, Run};

/// In no order.
#[rustfmt::skip]
pub const NUMBERS: &[Mutant] = &[
    Mutant {
        name: "walk_of_arguments_overflows",
        takes_out: "the end of the walk through the arguments of execve",
        edits: &[
            Edit { file: "src/syscall/exec.rs", find: "elements(array, 4)", replace: "elements(array, 4).take(0).chain((array..).step_by(4))" },
        ],
        red: Run::ring3("bad_pointers", "execve, arguments: EFAULT at every bad address"),
    },
    Mutant {
        name: "frame_address_overflows",
        takes_out: "the wrapping sum for the address of a signal's frame",
        edits: &[
            Edit { file: "src/process/sigframe.rs", find: "            .wrapping_add(offset_of!(Sigframe, retcode) as u32);", replace: "            .checked_add(offset_of!(Sigframe, retcode) as u32)\n            .unwrap();" },
        ],
        red: Run::ring3("edges", "no stack for the handler, plain, flags 0x0: SIGSEGV"),
    },
    Mutant {
        name: "rt_frame_address_overflows",
        takes_out: "the wrapping sum for the address of a frame with siginfo",
        edits: &[
            Edit { file: "src/process/sigframe.rs", find: "place.frame.wrapping_add(offset as u32)", replace: "place.frame + offset as u32" },
        ],
        red: Run::ring3("edges", "no stack for the handler, SA_SIGINFO, flags 0x4: SIGSEGV"),
    },
    Mutant {
        name: "counters_overflow",
        takes_out: "the wrap of a counter to 0",
        edits: &[
            Edit { file: "src/sync/counter.rs", find: "self.get().wrapping_add(more)", replace: "self.get() + more" },
        ],
        red: Run::selftest("switch_counters_wrap_around"),
    },
    Mutant {
        name: "file_stays_while_its_area_grows",
        takes_out: "the file offset of an area that grows down",
        edits: &[
            Edit { file: "src/mm/vma.rs", find: "            *offset = offset.checked_sub(more).ok_or(Errno::ENOMEM)?;\n", replace: "            let _same = offset;\n" },
        ],
        red: Run::ring3("edges", "nothing is before a file's first page"),
    },
    Mutant {
        name: "directory_position_of_32_bits",
        takes_out: "the upper half of a directory's position",
        edits: &[
            Edit { file: "src/fs/readdir.rs", find: "names.names.from_number(self.position)", replace: "names.names.from_number(self.position as u32 as u64)" },
        ],
        red: Run::ring3("edges", "the root has nothing at 0x1:00000000"),
    },
];
