// The timeline: which task runs on each processor, drawn from the trace records as they come.

const COLOURS = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"];
const LANE = 44;
const TOP = 22;

/// A drawing on a canvas, newest at the right.
export class Timeline {
    constructor(canvas, legend) {
        this.canvas = canvas;
        this.legend = legend;
        this.clear();
    }

    /// Forgets everything, for another run.
    clear() {
        this.switches = 0;
        this.lost = 0;
        this.marks = [];
        this.spans = [];
        this.running = new Map();
        this.colours = new Map();
        this.lastMs = 0;
        this.legend.replaceChildren();
        this.dirty = true;
        this.draw();
    }

    /// Takes a record.
    add(record) {
        this.lastMs = Math.max(this.lastMs, record.ms);
        if (record.event === "sched_switch") {
            this.switches += 1;
            const since = this.running.get(record.cpu) ?? record.ms;
            this.spans.push({ cpu: record.cpu, from: since, to: record.ms, comm: record.comm, pid: record.pid });
            this.running.set(record.cpu, record.ms);
            // A long run is drawn by its end.
            if (this.spans.length > 4000) {
                this.spans.splice(0, 1000);
            }
        } else if (record.event === "lost") {
            this.lost += record.count;
        } else if (record.event === "print") {
            this.marks.push({ text: record.printed, switches: this.switches });
        }
        if (!this.dirty) {
            this.dirty = true;
            requestAnimationFrame(() => this.draw());
        }
    }

    colour(span) {
        if (span.pid === 0) {
            return "transparent";
        }
        const key = `${span.comm}[${span.pid}]`;
        if (!this.colours.has(key)) {
            const colour = COLOURS[this.colours.size % COLOURS.length];
            this.colours.set(key, colour);
            const item = document.createElement("li");
            const box = document.createElement("span");
            box.style.background = colour;
            item.append(box, key);
            this.legend.append(item);
            while (this.legend.childElementCount > 24) {
                this.legend.firstElementChild.remove();
            }
        }
        return this.colours.get(key);
    }

    draw() {
        this.dirty = false;
        const { canvas } = this;
        const scale = window.devicePixelRatio || 1;
        const cpus = Math.max(1, ...this.spans.map((span) => span.cpu + 1));
        const width = canvas.clientWidth;
        const height = TOP + cpus * LANE + 8;
        canvas.width = width * scale;
        canvas.height = height * scale;
        canvas.style.height = `${height}px`;
        const draw = canvas.getContext("2d");
        draw.scale(scale, scale);
        const ink = getComputedStyle(canvas).color;
        const shown = this.spans.slice(-600);
        const from = shown[0]?.from ?? 0;
        const length = Math.max(1, this.lastMs - from);
        const x = (ms) => (ms - from) / length * width;
        draw.font = "11px sans-serif";
        draw.fillStyle = ink;
        for (let step = 0; step <= 4; step += 1) {
            const ms = from + length * step / 4;
            draw.textAlign = ["left", "center", "center", "center", "right"][step];
            draw.fillText(`${ms.toFixed(1)} ms`, x(ms), 12);
        }
        for (const span of shown) {
            draw.fillStyle = this.colour(span);
            const left = x(span.from);
            draw.fillRect(left, TOP + span.cpu * LANE, Math.max(0.5, x(span.to) - left), LANE - 10);
        }
        draw.strokeStyle = ink;
        for (let cpu = 0; cpu < cpus; cpu += 1) {
            draw.strokeRect(0.5, TOP + cpu * LANE + 0.5, width - 1, LANE - 10);
        }
    }
}
