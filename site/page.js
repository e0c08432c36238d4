// The page with the machine: buttons, terminal, timeline, and kernels with a step taken out.

import { FitAddon } from "./addon-fit.js";
import { V86 } from "./libv86.js";
import { Machine, boot, steered } from "./machine.js";
import { Timeline } from "./timeline.js";
import { Records } from "./trace.js";
import { Terminal } from "./xterm.js";

const element = (id) => document.getElementById(id);
const terminal = new Terminal({ convertEol: true, scrollback: 5000, fontSize: 13 });
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(element("terminal"));
fit.fit();
new ResizeObserver(() => fit.fit()).observe(element("terminal"));

const timeline = new Timeline(element("timeline"), element("legend"));
/// The run that is shown: its machine, and the text of its serial line.
let run = null;

async function load() {
    const fetched = async (name) => {
        const answer = await fetch(new URL(name, import.meta.url));
        if (!answer.ok) {
            throw new Error(`${name}: ${answer.status}`);
        }
        return answer;
    };
    const buffer = async (name) => (await fetched(name)).arrayBuffer();
    const [config, iso, bios, vgabios, wasm] = await Promise.all([
        fetched("machine.json").then((answer) => answer.json()),
        buffer("switch_to.iso"), buffer("bios.bin"), buffer("vgabios.bin"), buffer("v86.wasm"),
    ]);
    return { config, iso, bios, vgabios, wasm };
}
const loaded = load();

/// Ends the run that is shown, if there is one, and begins another.
async function start(kernel, cmdline, done) {
    const images = await loaded;
    await run?.machine.destroy();
    terminal.reset();
    timeline.clear();
    element("noticed").textContent = "";
    element("state").textContent = "runs";
    const decoder = new TextDecoder();
    const me = { log: "", end: null };
    const records = new Records((record) => {
        timeline.add(record);
        element("switches").textContent = timeline.switches;
        element("lost").textContent = timeline.lost === 0 ? "" : `, ${timeline.lost} events lost`;
    });
    // Bytes go to the terminal in pieces: each write costs.
    let piece = [];
    const flush = () => {
        const bytes = Uint8Array.from(piece);
        piece = [];
        me.log += decoder.decode(bytes, { stream: true });
        terminal.write(bytes);
    };
    const iso = steered(images.iso, images.config.slot, boot(kernel ?? images.config.kernel, cmdline));
    me.machine = new Machine(V86, { ...images, iso }, {
        serial: (byte) => {
            piece.push(byte);
            if (piece.length === 1) {
                setTimeout(flush, 10);
            }
        },
        trace: (byte) => records.push(byte),
        end: (text) => {
            flush();
            me.end = text;
            element("state").textContent = `ended: ${text}`;
            done?.(me.log, text);
        },
    });
    run = me;
    terminal.focus();
}

terminal.onData((text) => run?.machine.type(text));

const buttons = [...document.querySelectorAll("#jobs button")];
for (const button of buttons) {
    button.addEventListener("click", () => {
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        start(null, `trace=live ${button.dataset.cmdline}`);
    });
}

/// Says whether the test has noticed the missing step.
function judge(broken, log, end) {
    const result = (word) => log.split("\n").some((line) => {
        const match = line.trim().match(/^(not ok|ok) [0-9]+ (.*)$/);
        return match !== null && match[1] === word && match[2] === broken.test;
    });
    const isGreen = result("ok");
    const how = result("not ok") ? "not ok" : end;
    const output = element("noticed");
    output.textContent = isGreen ? `${broken.test}: ok` : `${broken.test}: red (${how})`;
    output.className = isGreen ? "green" : "red";
}

function showDiff(diff) {
    element("diff").replaceChildren(...diff.split("\n").map((line) => {
        const row = document.createElement("span");
        row.textContent = `${line}\n`;
        row.className = /^-(?!--)/.test(line) ? "old" : /^\+(?!\+\+)/.test(line) ? "new" : "";
        return row;
    }));
}

const { config } = await loaded;
const choice = element("broken");
for (const broken of config.broken) {
    choice.add(new Option(`${broken.without} (${broken.name})`, broken.name));
}
const chosen = () => config.broken.find((broken) => broken.name === choice.value);
choice.addEventListener("change", () => showDiff(chosen().diff));
element("run-broken").addEventListener("click", () => {
    const broken = chosen();
    buttons.forEach((button) => button.setAttribute("aria-pressed", "false"));
    start(broken.kernel, broken.cmdline, (log, end) => judge(broken, log, end));
});
if (config.broken.length > 0) {
    showDiff(chosen().diff);
} else {
    element("break-it").hidden = true;
}
element("state").textContent = "ready";
// For whoever looks at the page from a script.
window.machine = { timeline, log: () => run?.log ?? "", end: () => run?.end ?? null };
