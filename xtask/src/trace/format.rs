//! The events of `trace.dat`: their fields, as the text that its readers parse.
//!
//! Linux: 5.4 `include/trace/events/sched.h`; Documentation/trace/events.rst, "Event formats".

use super::ftrace::STATES;

/// An event's fields behind the common ones, each with C type, name, bytes, whether signed.
pub struct Format {
    id: u16,
    /// The event's name.
    pub name: &'static str,
    fields: &'static [(&'static str, &'static str, usize, bool)],
    print: &'static str,
}

const COMMON: [(&str, &str, usize, bool); 4] = [
    ("unsigned short", "common_type", 2, false),
    ("unsigned char", "common_flags", 1, false),
    ("unsigned char", "common_preempt_count", 1, false),
    ("int", "common_pid", 4, true),
];

/// Numbers of the events.
pub const SWITCH: u16 = 1;
pub const WAKING: u16 = 2;
pub const WAKEUP_NEW: u16 = 3;
pub const MIGRATE: u16 = 4;
pub const FORK: u16 = 5;
pub const EXEC: u16 = 6;
pub const EXIT: u16 = 7;
pub const PRINT: u16 = 8;

const WOKEN: &[(&str, &str, usize, bool)] = &[
    ("char", "comm[16]", 16, false),
    ("pid_t", "pid", 4, true),
    ("int", "prio", 4, true),
    ("int", "target_cpu", 4, true),
];
const PRINT_WOKEN: &str = "\"comm=%s pid=%d prio=%d target_cpu=%03d\", REC->comm, REC->pid, \
    REC->prio, REC->target_cpu";

/// Every event.
pub const FORMATS: [Format; 8] = [
    Format {
        id: SWITCH,
        name: "sched_switch",
        fields: &[
            ("char", "prev_comm[16]", 16, false),
            ("pid_t", "prev_pid", 4, true),
            ("int", "prev_prio", 4, true),
            ("long", "prev_state", 4, true),
            ("char", "next_comm[16]", 16, false),
            ("pid_t", "next_pid", 4, true),
            ("int", "next_prio", 4, true),
        ],
        print: "\"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s next_pid=%d \
            next_prio=%d\", REC->prev_comm, REC->prev_pid, REC->prev_prio, (REC->prev_state & 0xff) \
            ? __print_flags(REC->prev_state & 0xff, \"|\", STATES) : \"R\", \
            REC->prev_state & 0x100 ? \"+\" : \"\", REC->next_comm, REC->next_pid, REC->next_prio",
    },
    Format {
        id: WAKING,
        name: "sched_waking",
        fields: WOKEN,
        print: PRINT_WOKEN,
    },
    Format {
        id: WAKEUP_NEW,
        name: "sched_wakeup_new",
        fields: WOKEN,
        print: PRINT_WOKEN,
    },
    Format {
        id: MIGRATE,
        name: "sched_migrate_task",
        fields: &[
            ("char", "comm[16]", 16, false),
            ("pid_t", "pid", 4, true),
            ("int", "prio", 4, true),
            ("int", "orig_cpu", 4, true),
            ("int", "dest_cpu", 4, true),
        ],
        print: "\"comm=%s pid=%d prio=%d orig_cpu=%d dest_cpu=%d\", REC->comm, REC->pid, REC->prio, \
            REC->orig_cpu, REC->dest_cpu",
    },
    Format {
        id: FORK,
        name: "sched_process_fork",
        fields: &[
            ("char", "parent_comm[16]", 16, false),
            ("pid_t", "parent_pid", 4, true),
            ("char", "child_comm[16]", 16, false),
            ("pid_t", "child_pid", 4, true),
        ],
        print: "\"comm=%s pid=%d child_comm=%s child_pid=%d\", REC->parent_comm, REC->parent_pid, \
            REC->child_comm, REC->child_pid",
    },
    Format {
        id: EXEC,
        name: "sched_process_exec",
        fields: &[
            ("__data_loc char[]", "filename", 4, false),
            ("pid_t", "pid", 4, true),
            ("pid_t", "old_pid", 4, true),
        ],
        print: "\"filename=%s pid=%d old_pid=%d\", __get_str(filename), REC->pid, REC->old_pid",
    },
    Format {
        id: EXIT,
        name: "sched_process_exit",
        fields: &[
            ("char", "comm[16]", 16, false),
            ("pid_t", "pid", 4, true),
            ("int", "prio", 4, true),
        ],
        print: "\"comm=%s pid=%d prio=%d\", REC->comm, REC->pid, REC->prio",
    },
    Format {
        id: PRINT,
        name: "print",
        fields: &[
            ("unsigned long", "ip", 4, false),
            ("char", "buf[]", 0, false),
        ],
        print: "\"%ps: %s\", (void *)REC->ip, REC->buf",
    },
];

impl Format {
    /// As `trace.dat` has it.
    pub fn text(&self) -> String {
        let mut text = format!("name: {}\nID: {}\nformat:\n", self.name, self.id);
        let mut offset = 0;
        for (n, (kind, name, size, signed)) in COMMON.iter().chain(self.fields).enumerate() {
            if n == COMMON.len() {
                text.push('\n');
            }
            let signed = u8::from(*signed);
            text += &format!(
                "\tfield:{kind} {name};\toffset:{offset};\tsize:{size};\tsigned:{signed};\n"
            );
            offset += size;
        }
        let states: Vec<String> = STATES
            .iter()
            .map(|(bit, letter)| format!("{{ {bit:#06x}, \"{letter}\" }}"))
            .collect();
        text + "\nprint fmt: " + &self.print.replace("STATES", &states.join(", ")) + "\n"
    }
}
