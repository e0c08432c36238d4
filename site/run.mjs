// Boots the site's ISO in v86 under node: `node run.mjs SITE CMDLINE [KERNEL]`. The serial line goes to
// standard output, the number of switches in the trace to standard error; ends with 0 for success.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [site, cmdline, kernel] = process.argv.slice(2);
const file = (name) => path.join(site, "machine", name);
const { V86 } = await import(pathToFileURL(file("libv86.js")));
const { Machine, boot, steered } = await import(pathToFileURL(file("machine.js")));
const { Records } = await import(pathToFileURL(file("trace.js")));
const buffer = async (name) => {
    const bytes = await readFile(file(name));
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
};
const config = JSON.parse(await readFile(file("machine.json"), "utf8"));

let switches = 0;
const records = new Records((record) => { switches += record.event === "sched_switch" ? 1 : 0; });
const iso = steered(await buffer("switch_to.iso"), config.slot, boot(kernel ?? config.kernel, cmdline));
const images = {
    iso,
    bios: await buffer("bios.bin"),
    vgabios: await buffer("vgabios.bin"),
    wasm: await buffer("v86.wasm"),
};
new Machine(V86, images, {
    serial: (byte) => process.stdout.write(Uint8Array.of(byte)),
    trace: (byte) => records.push(byte),
    end: (text) => {
        console.error(`ended: ${text}`);
        console.error(`switches: ${switches}`);
        // What was written to a pipe must be out first.
        process.stdout.write("", () => process.exit(text === "success" ? 0 : 1));
    },
});
