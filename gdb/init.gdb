# What `just gdb` reads first: our commands, and settings that suit a kernel.
# `lx-ps`, `lx-bt`, `switch-step`, `switch-record` and `switch-show`, and the functions
# `$lx_current`, `$lx_per_cpu`, `$lx_thread_info` and `$lx_task_by_pid`: `help` explains each.
set pagination off
set print pretty on
set disassembly-flavor att
# Expressions look the same everywhere, even where a stop is in assembly.
set language rust
set print asm-demangle on
source gdb/switch_to.py
