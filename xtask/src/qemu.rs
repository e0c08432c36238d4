//! One virtual machine: started, listened to, and ended.
//!
//! [`Vm`] says what to boot and in what; [`Vm::run`] runs it until the kernel
//! writes to `isa-debug-exit`, the machine resets, or a time limit passes. What
//! the kernel said on COM1 comes back as [`Run`]. A machine that hangs is asked
//! for every CPU's registers through QEMU's monitor before it is killed, and
//! [`Run::explain`] shows them under the end of the log.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use wait_timeout::ChildExt;

use crate::qmp::{Monitor, hung_up};
use crate::run::{End, Exit, Run};
use crate::screen::{self, Screen};
use crate::serial::{LOG_LIMIT_BYTES, Shared, listen};
use crate::toolchain::tool;

/// A CPU that has all the kernel needs: SEP, FXSR, SSE.
pub const DEFAULT_CPU: &str = "pentium3";

/// How long a change of the screen may take.
const SCREEN_PATIENCE: Duration = Duration::from_secs(150);
/// How long a key is held, in milliseconds.
const KEY_MS: u64 = 10;

/// What the machine starts from.
#[derive(Clone, Debug)]
pub enum Medium {
    /// A CD with GRUB.
    Iso(PathBuf),
    /// A kernel that QEMU itself loads, by its Multiboot1 header.
    Kernel(PathBuf),
}

/// A machine to be run.
#[derive(Clone, Debug)]
pub struct Vm {
    /// What it starts from.
    pub medium: Medium,
    /// How many processors.
    pub cpus: u32,
    /// Whether the firmware has ACPI tables, and with them a list of processors.
    pub acpi: bool,
    /// Whether there is a device by which the kernel can end QEMU with a value.
    pub exit_port: bool,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// QEMU's name of the CPU model, with `,+feature` and `,-feature`.
    pub cpu: String,
    /// QEMU's `-icount`, which makes a run repeatable.
    pub icount: Option<String>,
    /// How long the whole run may take.
    pub timeout: Duration,
    /// How long the serial line may be silent: the time limit of a single case.
    pub silence: Duration,
    /// Whether there is a debug console, which takes the kernel's trace.
    pub trace: bool,
    /// Whether QEMU notes each write to a device, and when.
    pub writes: bool,
    /// Whether QEMU's gdb server listens, and the CPUs wait for it.
    pub gdb: bool,
}

impl Vm {
    /// A machine with one CPU, 128 MiB and default time limits.
    pub fn new(medium: Medium) -> Vm {
        Vm {
            medium,
            cpus: 1,
            acpi: true,
            exit_port: true,
            memory_mib: 128,
            cpu: DEFAULT_CPU.to_owned(),
            icount: None,
            timeout: Duration::from_secs(100),
            silence: Duration::from_secs(50),
            trace: false,
            writes: false,
            gdb: false,
        }
    }

    /// Runs the machine to its end, or to a time limit.
    pub fn run(&self) -> Result<Run> {
        self.start()?.wait()
    }

    /// Starts the machine and comes back at once.
    pub fn start(&self) -> Result<Running> {
        let dir = tempfile::Builder::new().prefix("switch_to-").tempdir()?;
        let mut command = self.command(dir.path())?;
        let shown = format!("{command:?}").replace('"', "");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let socket = dir.path().join("qmp");
        let log = Arc::new(Shared::default());
        let listener = child.stdout.take().map(|stdout| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || listen(BufReader::new(stdout), &log))
        });
        let complaints = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = stderr.read_to_end(&mut text); // what came before a broken pipe is enough
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        Ok(Running {
            vm: self.clone(),
            child,
            dir,
            log,
            listener,
            complaints,
            monitor: Monitor::connect(&socket),
            shown,
            started: Instant::now(),
        })
    }

    fn command(&self, dir: &Path) -> Result<Command> {
        let mut qemu = tool("qemu-system-i386")?;
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-no-shutdown",
            "-display",
            "none",
            "-vga",
            "std",
        ])
        .args([
            "-machine",
            if self.acpi {
                "pc,accel=tcg"
            } else {
                "pc,accel=tcg,acpi=off"
            },
        ])
        .args(["-cpu", &self.cpu, "-smp", &self.cpus.to_string()])
        .args(["-m", &self.memory_mib.to_string()])
        .args([
            "-chardev",
            "stdio,id=com1,signal=off",
            "-serial",
            "chardev:com1",
        ])
        .arg("-qmp")
        .arg(format!(
            "unix:{},server=on,wait=off",
            dir.join("qmp").display()
        ));
        match &self.medium {
            Medium::Iso(iso) => qemu.arg("-cdrom").arg(iso),
            Medium::Kernel(kernel) => qemu.arg("-kernel").arg(kernel),
        };
        if self.exit_port {
            qemu.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        }
        if let Some(icount) = &self.icount {
            qemu.args(["-icount", icount]);
        }
        if self.trace {
            qemu.args(debug_console(&dir.join("trace")));
        }
        if self.writes {
            qemu.args(["-trace", "memory_region_ops_write"])
                .args(["-msg", "timestamp=on", "-D"])
                .arg(dir.join("writes"));
        }
        if self.gdb {
            let socket = dir.join("gdb");
            qemu.arg("-S")
                .arg("-gdb")
                .arg(format!("unix:{},server=on,wait=off", socket.display()));
        }
        Ok(qemu)
    }
}

/// Arguments of QEMU for a debug console whose bytes go to `file`.
pub fn debug_console(file: &Path) -> [String; 4] {
    [
        "-chardev".to_owned(),
        // A comma in a value is written twice.
        format!(
            "file,id=trace,path={}",
            file.display().to_string().replace(',', ",,")
        ),
        "-device".to_owned(),
        "isa-debugcon,iobase=0xe9,chardev=trace".to_owned(),
    ]
}

/// A machine that runs. It is killed when this is dropped.
pub struct Running {
    vm: Vm,
    child: Child,
    dir: tempfile::TempDir,
    log: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
    complaints: Option<JoinHandle<String>>,
    monitor: Result<Monitor>,
    shown: String,
    started: Instant,
}

impl Running {
    /// The socket of the gdb server, if the machine has one.
    pub fn gdb_socket(&self) -> PathBuf {
        self.dir.path().join("gdb")
    }

    /// Waits for the machine's end, or for a time limit.
    pub fn wait(mut self) -> Result<Run> {
        let end = loop {
            if let Some(status) = self.child.wait_timeout(Duration::from_millis(50))? {
                break self.ended(status)?;
            }
            if self
                .monitor
                .as_ref()
                .is_ok_and(|monitor| monitor.has_shut_down())
            {
                if self.monitor.as_ref().is_ok_and(Monitor::has_powered_off) {
                    break End::PowerOff;
                }
                break End::Reset {
                    registers: self.registers(),
                };
            }
            let (length, last) = {
                let log = self.log.lock();
                (
                    log.text.len(),
                    log.stamps.last().copied().unwrap_or_default(),
                )
            };
            let now = self.started.elapsed();
            let why = if now > self.vm.timeout {
                format!("still running after {} s", self.vm.timeout.as_secs())
            } else if now.saturating_sub(last) > self.vm.silence {
                format!("silent for {} s", self.vm.silence.as_secs())
            } else if length > LOG_LIMIT_BYTES {
                format!("wrote {length} bytes of log")
            } else {
                continue;
            };
            let registers = self.registers();
            break End::Hang { why, registers };
        };
        self.finish(end)
    }

    /// Kills the machine, whose end no longer matters.
    pub fn kill(self) -> Result<Run> {
        self.finish(End::Killed)
    }

    /// Every CPU's registers, or why there are none.
    pub fn registers(&mut self) -> String {
        let registers = match &mut self.monitor {
            Ok(monitor) => monitor.ask("info registers -a"),
            Err(error) => Err(anyhow!("{error:#}")),
        };
        registers.unwrap_or_else(|error| format!("no registers: {error:#}"))
    }

    /// What the text screen shows now.
    pub fn screen(&mut self) -> Result<Screen> {
        let file = self.dir.path().join("screen");
        let (address, bytes) = screen::MEMORY;
        self.ask(&format!(
            "pmemsave {address:#x} {bytes} \"{}\"",
            file.display()
        ))?;
        Screen::of_memory(&std::fs::read(file)?)
    }

    /// Waits until `wanted` is true of the screen, and gives the screen as it was then.
    ///
    /// # Errors
    /// It was not true in time: what the screen shows.
    pub fn screen_where(&mut self, what: &str, wanted: impl Fn(&Screen) -> bool) -> Result<Screen> {
        let begun = Instant::now();
        loop {
            let screen = self.screen()?;
            if wanted(&screen) {
                return Ok(screen);
            }
            ensure!(
                begun.elapsed() < SCREEN_PATIENCE,
                "the screen never shows {what}, but:\n{}",
                screen.text()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until a row of the screen has this text.
    ///
    /// # Errors
    /// As [`Self::screen_where`].
    pub fn screen_has(&mut self, text: &str) -> Result<Screen> {
        self.screen_where(&format!("{text:?}"), |screen| screen.text().contains(text))
    }

    /// Types `text` on the machine's keyboard.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        screen::keys(text)?
            .iter()
            .try_for_each(|key| self.press(key))
    }

    /// Presses keys together, by QEMU's names: `ctrl-c`.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        match self.ask(&format!("sendkey {keys} {KEY_MS}")) {
            // The guest may end the machine at the key, before QEMU has answered.
            Err(error) if hung_up(&error) => return Ok(()),
            other => other?,
        }
        // A keyboard has a small buffer: a person types no faster.
        std::thread::sleep(Duration::from_millis(3 * KEY_MS));
        Ok(())
    }

    /// A picture of the screen, as QEMU draws it.
    pub fn screendump(&mut self) -> Result<Vec<u8>> {
        let file = self.dir.path().join("picture.ppm");
        self.ask(&format!("screendump \"{}\"", file.display()))?;
        Ok(std::fs::read(file)?)
    }

    fn ask(&mut self, question: &str) -> Result<()> {
        let monitor = match &mut self.monitor {
            Ok(monitor) => monitor,
            Err(error) => bail!("{error:#}"),
        };
        let said = monitor.ask(question)?;
        ensure!(said.trim().is_empty(), "{question}: {}", said.trim());
        Ok(())
    }

    /// Waits until the log has `needle`, or for the limit; tells whether it has.
    pub fn log_has(&self, needle: &str, limit: Duration) -> bool {
        let log = self.log.lock();
        let (log, _) = self
            .log
            .changed
            .wait_timeout_while(log, limit, |log| !log.text.contains(needle))
            .unwrap_or_else(PoisonError::into_inner);
        log.text.contains(needle)
    }

    fn ended(&mut self, status: std::process::ExitStatus) -> Result<End> {
        match status.code() {
            Some(code) => match Exit::from_status(code) {
                Some(exit) => Ok(End::Exit(exit)),
                None => {
                    let text = self.complaints();
                    bail!(
                        "QEMU ended with status {code}, which the kernel does not use\n{}\n{text}",
                        self.shown
                    )
                }
            },
            None => bail!("QEMU was killed: {status}"),
        }
    }

    fn finish(mut self, end: End) -> Result<Run> {
        self.stop();
        if let Some(listener) = self.listener.take() {
            listener
                .join()
                .map_err(|_| anyhow!("the reader of the serial line panicked"))?;
        }
        let complaints = self.complaints();
        let log = self.log.lock();
        Ok(Run {
            log: log.text.clone(),
            stamps: log.stamps.clone(),
            end,
            took: self.started.elapsed(),
            command: self.shown.clone(),
            complaints,
            // There are none in a machine that was not asked for them.
            trace: std::fs::read(self.dir.path().join("trace")).unwrap_or_default(),
            writes: std::fs::read_to_string(self.dir.path().join("writes")).unwrap_or_default(),
        })
    }

    fn complaints(&mut self) -> String {
        self.stop();
        self.complaints
            .take()
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    }

    fn stop(&mut self) {
        // Both fail only for a child that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
