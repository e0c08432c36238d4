// The machine: the ISO in v86, with its serial line, its trace and its end. For the page and for node.

/// Port of the debug console: a read returns the port's number, so the kernel knows that it is there.
const DEBUG_CONSOLE = 0xe9;
/// Port of QEMU's isa-debug-exit, by which the kernel ends a run.
const DEBUG_EXIT = 0xf4;

/// What a value written to DEBUG_EXIT means (docs/exit-codes.md).
const ENDS = new Map([
    [0x10, "success"],
    [0x11, "failure"],
    [0x20, "panic"],
    [0x30, "GRUB could not load the kernel"],
]);

/// Returns a copy of the ISO whose slot has these GRUB commands: it boots by them, without a menu.
export function steered(iso, slot, commands) {
    const bytes = new Uint8Array(iso.slice(0));
    const text = new TextEncoder().encode(slot.mark + commands);
    if (text.length > slot.bytes) {
        throw new Error(`the boot commands take ${text.length} bytes of ${slot.bytes}`);
    }
    bytes.fill(0x0a, slot.at, slot.at + slot.bytes);
    bytes.set(text, slot.at);
    return bytes.buffer;
}

/// Returns the GRUB commands that boot `kernel` (a path on the ISO) with this command line.
export function boot(kernel, cmdline) {
    const words = cmdline.match(/"[^"]*"|[^ ]+/g) ?? [];
    const quoted = words.map((word) => `'${word.replaceAll('"', "")}'`).join(" ");
    // GRUB unpacks a compressed kernel while it reads it.
    const unpack = kernel.endsWith(".gz") ? "insmod gzio\n" : "";
    return `${unpack}if multiboot2 ${kernel} ${quoted}; then if module2 /boot/initramfs.cpio; then boot; fi; fi\n`
        + `outl ${DEBUG_EXIT} 0x30\n`;
}

/// A machine that runs.
export class Machine {
    /// Starts it. `images` has the ISO, both BIOS images and v86.wasm, as buffers; `on` has the functions
    /// `serial(byte)`, `trace(byte)` and `end(text)`.
    constructor(V86, images, on) {
        this.emulator = new V86({
            wasm_fn: async (imports) => {
                const { instance } = await WebAssembly.instantiate(images.wasm, imports);
                return instance.exports;
            },
            memory_size: 64 * 1024 * 1024,
            vga_memory_size: 2 * 1024 * 1024,
            bios: { buffer: images.bios },
            vga_bios: { buffer: images.vgabios },
            cdrom: { buffer: images.iso },
            boot_order: 0x123,
            acpi: false,
            autostart: false,
            disable_keyboard: true,
            disable_mouse: true,
            disable_speaker: true,
        });
        this.emulator.add_listener("serial0-output-byte", on.serial);
        this.emulator.add_listener("emulator-ready", () => {
            const io = this.emulator.v86.cpu.io;
            const end = (value) => {
                this.emulator.stop();
                on.end(ENDS.get(value) ?? `exit value ${value}`);
            };
            io.register_read(DEBUG_CONSOLE, this, () => DEBUG_CONSOLE);
            io.register_write(DEBUG_CONSOLE, this, on.trace);
            io.register_write(DEBUG_EXIT, this, end, end, end);
            this.emulator.run();
        });
    }

    /// Types text on the serial line.
    type(text) {
        this.emulator.serial0_send(text);
    }

    /// Ends the machine and frees its memory.
    async destroy() {
        await this.emulator.destroy();
    }
}
