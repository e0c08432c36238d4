//! Memory: who ends when there is none, and that what is given back is there again.

use super::{Edit, Mutant, Run};

/// In no order.
#[rustfmt::skip]
pub const MEMORY: &[Mutant] = &[
    Mutant {
        name: "nobody_ends_for_memory",
        takes_out: "the end of one process when there is no memory",
        edits: &[
            Edit { file: "src/process/oom_kill.rs", find: "            oom_kill_process(&victim, points);", replace: "            let _ = (victim, points, oom_kill_process);" },
        ],
        red: Run::ring3("out_of_memory", "who eats all memory is killed"),
    },
    Mutant {
        name: "smallest_ends_for_memory",
        takes_out: "that the process with the most memory is chosen",
        edits: &[
            Edit { file: "src/process/oom_kill.rs", find: "points > *most", replace: "points < *most" },
        ],
        red: Run::ring3("out_of_memory", "a bystander lives on"),
    },
    Mutant {
        name: "heap_keeps_empty_frames",
        takes_out: "that the heap gives back frames without objects",
        edits: &[
            Edit { file: "src/mm/slab.rs", find: "        if slab.in_use == 0 {", replace: "        if slab.in_use == 0 && false {" },
        ],
        red: Run::selftest("heap_gives_frames_back"),
    },
    Mutant {
        name: "buddies_do_not_join",
        takes_out: "that free buddies become one block",
        edits: &[
            Edit { file: "src/mm/zone.rs", find: "            if !joins {", replace: "            if !joins || order >= 3 {" },
        ],
        red: Run::selftest("freed_frames_are_one_block_again"),
    },
    Mutant {
        name: "pipe_keeps_its_first_descriptor",
        takes_out: "that pipe closes its first descriptor when there is no second",
        edits: &[
            Edit { file: "src/syscall/descriptors.rs", find: "    if stored.is_err() {\n", replace: "    if stored.is_err() && false {\n" },
        ],
        red: Run::init("/tests/fail_alloc", "tables of descriptors: they work or lack memory").with("fail_alloc=23"),
    },
    Mutant {
        name: "fork_without_memory_keeps_the_address_space",
        takes_out: "that a fork that fails late gives the address space back",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "        // SAFETY: its only user is us.\n        unsafe { mmput(new) };\n", replace: "" },
        ],
        red: Run::init("/tests/fail_alloc", "no memory is left").with("fail_alloc=101"),
    },
    Mutant {
        name: "init_ends_for_memory",
        takes_out: "that init is not chosen",
        edits: &[
            Edit { file: "src/process/oom_kill.rs", find: "pid != INIT_PID && worst", replace: "worst" },
            Edit { file: "src/process/oom_kill.rs", find: "points > *most", replace: "points < *most" },
        ],
        red: Run::ring3("out_of_memory", "who eats all memory is killed"),
    },
    Mutant {
        name: "ending_process_is_not_waited_for",
        takes_out: "that one process ends at a time",
        edits: &[
            Edit { file: "src/process/oom_kill.rs", find: "                false => return Choice::Wait,", replace: "                false => continue,"},
        ],
        red: Run::ring3("out_of_memory", "whoever wants memory waits for the one that is ending"),
    },
    Mutant {
        name: "stacks_keep_their_frames",
        takes_out: "that kernel stacks beyond those kept give their frames back",
        edits: &[
            Edit { file: "src/mm/thread_stack.rs", find: "    if pool.nr_free < KEPT {", replace: "    if pool.nr_free < KEPT || true {" },
        ],
        red: Run::selftest("stacks_beyond_those_kept_give_frames_back"),
    },
    Mutant {
        name: "retired_stack_not_forgotten",
        takes_out: "that every CPU forgets where a stack was, before there is another",
        edits: &[
            Edit { file: "src/mm/thread_stack.rs", find: "    flush_tlb_kernel_pages(&pages.collect::<ArrayVec<u32, { 2 * BATCH }>>());", replace: "    let _ = (flush_tlb_kernel_pages, pages.collect::<ArrayVec<u32, { 2 * BATCH }>>());" },
        ],
        red: Run::on_two_cpus("stacks_beyond_those_kept_give_frames_back"),
    },
    Mutant {
        name: "maps_of_one_part",
        takes_out: "that a long list of areas goes on after its first part",
        edits: &[
            Edit { file: "src/process/proc/task_mm.rs", find: "                next = Some(vma.start);\n", replace: "" },
        ],
        red: Run::ring3("proc_memory", "maps has all of many areas"),
    },
    Mutant {
        name: "misuse_push_that_cannot_fail",
        takes_out: "that an allocation may fail",
        edits: &[
            Edit { file: "src/fs/epoll.rs", find: "        items.try_push(Epitem {", replace: "        items.push(Epitem {" },
        ],
        red: Run::refused("E0599"),
    },
    Mutant {
        name: "misuse_box_that_cannot_fail",
        takes_out: "that a box may find no memory",
        edits: &[
            Edit { file: "src/mm/fallible.rs", find: "    Box::try_new(value).map_err(|AllocError| Errno::ENOMEM)\n", replace: "    Ok(Box::new(value))\n" },
        ],
        red: Run::refused("E0599"),
    },
];
