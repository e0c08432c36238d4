// The trace records of the kernel: sixteen words each, as src/trace/record.rs has them.

const RECORD_BYTES = 64;
const EVENTS = [
    "", "start", "lost", "sched_switch", "sched_waking", "sched_wakeup_new", "sched_migrate_task",
    "sched_process_fork", "sched_process_exec", "sched_process_exit", "print",
];

/// Takes the bytes of the stream one by one, and calls `record` with each whole record.
export class Records {
    constructor(record) {
        this.record = record;
        this.bytes = new Uint8Array(RECORD_BYTES);
        this.view = new DataView(this.bytes.buffer);
        this.length = 0;
        this.tscKhz = 0;
        this.bootTsc = 0n;
    }

    push(byte) {
        this.bytes[this.length] = byte;
        this.length += 1;
        if (this.length === RECORD_BYTES) {
            this.length = 0;
            this.decode();
        }
    }

    word(index) {
        return this.view.getUint32(4 * index, true);
    }

    text(word, bytes) {
        const raw = this.bytes.subarray(4 * word, 4 * word + bytes);
        const end = raw.indexOf(0);
        return new TextDecoder().decode(end < 0 ? raw : raw.subarray(0, end));
    }

    decode() {
        const tsc = BigInt(this.word(1)) << 32n | BigInt(this.word(0));
        const event = EVENTS[this.bytes[8]] ?? "unknown";
        if (event === "start") {
            this.tscKhz = this.word(10);
            this.bootTsc = BigInt(this.word(12)) << 32n | BigInt(this.word(11));
            return;
        }
        const record = {
            event,
            ms: this.tscKhz === 0 ? 0 : Number(tsc - this.bootTsc) / this.tscKhz,
            cpu: this.bytes[9],
            pid: this.word(3),
            comm: this.text(4, 16),
        };
        if (event === "sched_switch") {
            record.state = this.word(9);
            record.nextPid = this.word(10);
            record.nextComm = this.text(12, 16);
        } else if (event === "print") {
            record.printed = this.text(9, Math.min(28, this.word(8)));
        } else if (event === "lost") {
            record.count = this.word(8);
        }
        this.record(record);
    }
}
