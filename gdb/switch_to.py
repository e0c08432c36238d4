"""gdb commands for the kernel: `source gdb/switch_to.py`.

It has commands and functions of Linux's own scripts, under the same names (`lx-ps`,
`$lx_current()`, `$lx_per_cpu()`, `$lx_thread_info()`), and two for the switch:
`switch-step` shows one switch instruction by instruction, `switch-record` writes the
same as one JSON object a line. They need the symbols of the kernel and a stopped
machine, which `just debug` and `just gdb` provide.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lx  # noqa: E402,F401
import printers  # noqa: E402,F401
import switch  # noqa: E402,F401
import scene  # noqa: E402,F401
