//! Locks on files: of fcntl on ranges, and of flock on the whole file.
//!
//! Linux: fcntl(2) "Advisory record locking" and "Open file description locks", flock(2).
//! Red without: the conflict; the split and the merge; the sleep; the circle; the release at close
//! and at the end; the owner of each kind.
#![no_std]
#![no_main]

use rt::{
    Errno, WaitStatus, child,
    clock::{comes_true, sleep_ms},
    eq,
    gates::syscall,
    job::{is_woken, state_of},
    ktap,
    memory::{SharedPage, shared_page},
    ok,
    process::{Child, exit, getpid},
    signals::{SA_RESTART, SIGUSR1, Sigcontext, kill, set_handler, set_handler_with},
};

use core::sync::atomic::Ordering::SeqCst;

const WRITE: u32 = 4;
const OPEN: u32 = 5;
const CLOSE: u32 = 6;
const LSEEK: u32 = 19;
const ALARM: u32 = 27;
const DUP: u32 = 41;
const FLOCK: u32 = 143;
const FCNTL64: u32 = 221;
const O_RDWR: u32 = 2;
const O_WRONLY: u32 = 1;
const O_CREAT: u32 = 0o100;
const GETLK: u32 = 12;
const SETLK: u32 = 13;
const SETLKW: u32 = 14;
const GETLK32: u32 = 5;
const SETLK32: u32 = 6;
const OFD_GETLK: u32 = 36;
const OFD_SETLK: u32 = 37;
const READ_LOCK: u32 = 0;
const WRITE_LOCK: u32 = 1;
const UNLOCK: u32 = 2;
const SIGALRM: u32 = 14;
const SHARED: u32 = 1;
const EXCLUSIVE: u32 = 2;
const AT_ONCE: u32 = 4;
const FREE: u32 = 8;

extern "C" fn nothing(_: u32, _: Sigcontext) {}

fn open(flags: u32) -> u32 {
    let path = c"/tmp/file_locks".as_ptr() as u32;
    syscall(OPEN, [path, flags | O_CREAT, 0o600]).expect("open")
}

fn close(fd: u32) {
    syscall(CLOSE, [fd]).expect("close");
}

/// A `struct flock64`.
fn flock64(kind: u32, start: i64, length: i64) -> [u32; 6] {
    let half = |value: i64| [value as u32, (value >> 32) as u32];
    let ([a, b], [c, d]) = (half(start), half(length));
    [kind, a, b, c, d, 0]
}

fn lock(fd: u32, command: u32, kind: u32, start: i64, length: i64) -> Result<u32, Errno> {
    let range = flock64(kind, start, length);
    syscall(FCNTL64, [fd, command, range.as_ptr() as u32])
}

/// Returns kind, start, length and owner of a lock that prevents one of `kind`.
fn test(fd: u32, kind: u32, start: i64, length: i64) -> Result<Option<[u32; 4]>, Errno> {
    let mut range = flock64(kind, start, length);
    syscall(FCNTL64, [fd, GETLK, range.as_mut_ptr() as u32])?;
    let [kind, start, _, length, _, pid] = range;
    Ok((kind & 0xffff != UNLOCK).then_some([kind & 0xffff, start, length, pid]))
}

/// Returns the bytes of the first 32 that another process cannot lock for writing, as bits.
fn held(fd: u32) -> u32 {
    let page = shared_page();
    let asker = child(|| {
        let is_held = |at: &u32| test(fd, WRITE_LOCK, i64::from(*at), 1) != Ok(None);
        page[0].store((0..32).filter(is_held).map(|at| 1 << at).sum(), SeqCst);
        0
    });
    asker.wait();
    page[0].load(SeqCst)
}

/// Makes a child that does `body`, says so in `page`, and ends when it is killed.
fn holder(page: SharedPage, body: impl FnOnce() -> bool) -> Child {
    let holder = child(|| {
        let _done = body().then(|| page[1].store(1, SeqCst));
        loop {
            sleep_ms(1000);
        }
    });
    let holds = comes_true(|| page[1].swap(0, SeqCst) == 1);
    assert!(holds, "a child gets its lock");
    holder
}

fn end(child: Child) {
    kill(child.pid, 9).expect("kill");
    child.wait();
}

/// Returns a child's answer.
fn answer(body: impl FnOnce() -> Result<u32, Errno>) -> Result<u32, Errno> {
    let asked = child(|| match body() {
        Ok(_) => 0,
        Err(Errno(errno)) => errno,
    });
    let status = asked.wait();
    match (0..200).find(|code| WaitStatus::exited(*code) == status) {
        Some(0) => Ok(0),
        Some(errno) => Err(Errno(errno as i32)),
        None => Err(Errno(-1)),
    }
}

fn ranges(fd: u32) {
    eq!(held(fd), 0, "nothing is locked");
    eq!(lock(fd, SETLK, WRITE_LOCK, 4, 4), Ok(0), "a write lock");
    eq!(held(fd), 0xf0, "another process cannot have its bytes");
    eq!(test(fd, WRITE_LOCK, 0, 0), Ok(None), "its owner can");
    lock(fd, SETLK, WRITE_LOCK, 10, 2).expect("F_SETLK");
    eq!(held(fd), 0xcf0, "a second one");
    lock(fd, SETLK, WRITE_LOCK, 8, 2).expect("F_SETLK");
    let me = getpid();
    let page = shared_page();
    let asker = child(|| {
        let wanted = Ok(Some([WRITE_LOCK, 4, 8, me]));
        page[0].store(u32::from(test(fd, READ_LOCK, 0, 0) == wanted), SeqCst);
        0
    });
    asker.wait();
    eq!(
        page[0].load(SeqCst),
        1,
        "with the bytes in between it is one lock"
    );
    lock(fd, SETLK, UNLOCK, 6, 2).expect("F_SETLK");
    eq!(held(fd), 0xf30, "bytes can be taken out of the middle");
    lock(fd, SETLK, READ_LOCK, 0, 6).expect("F_SETLK");
    let may = |kind, start, length| answer(|| lock(fd, SETLK, kind, start, length));
    eq!(
        may(READ_LOCK, 0, 6),
        Ok(0),
        "read locks do not exclude each other"
    );
    eq!(
        may(WRITE_LOCK, 0, 1),
        Err(Errno::EAGAIN),
        "but a write lock: EAGAIN"
    );
    eq!(
        may(READ_LOCK, 8, 1),
        Err(Errno::EAGAIN),
        "and a write lock them: EAGAIN"
    );
    eq!(
        may(WRITE_LOCK, 6, 2),
        Ok(0),
        "between two locks there is room"
    );
    eq!(held(fd), 0xf3f, "the locks of a process end with it");
    lock(fd, SETLK, UNLOCK, 0, 0).expect("F_SETLK");
    eq!(held(fd), 0, "a length of 0 reaches to the end of all");
    lock(fd, SETLK, WRITE_LOCK, 10, -4).expect("F_SETLK");
    eq!(held(fd), 0x3c0, "a negative length reaches back");
    syscall(LSEEK, [fd, 12, 0]).expect("lseek");
    let mut here = flock64(WRITE_LOCK, 1, 2);
    here[0] |= 1 << 16;
    syscall(FCNTL64, [fd, SETLK, here.as_ptr() as u32]).expect("F_SETLK");
    eq!(held(fd), 0x63c0, "from the position");
    let mut from_end = flock64(WRITE_LOCK, -1, 1);
    from_end[0] |= 2 << 16;
    syscall(FCNTL64, [fd, SETLK, from_end.as_ptr() as u32]).expect("F_SETLK");
    eq!(held(fd), 0x8063c0, "from the end");
    let narrow = [WRITE_LOCK, 0, 1, 0];
    syscall(FCNTL64, [fd, SETLK32, narrow.as_ptr() as u32]).expect("F_SETLK");
    eq!(held(fd), 0x8063c1, "in the form of 32 bits");
}

fn releases(fd: u32) {
    lock(fd, SETLK, WRITE_LOCK, 0, 1).expect("F_SETLK");
    let forked = answer(|| lock(fd, SETLK, WRITE_LOCK, 0, 1));
    eq!(
        forked,
        Err(Errno::EAGAIN),
        "a child does not inherit a lock"
    );
    let closer = child(|| {
        close(fd);
        0
    });
    closer.wait();
    eq!(held(fd), 1 | held(fd), "nor does its close matter");
    close(open(O_RDWR));
    eq!(
        held(fd),
        0,
        "any close of the file by its owner ends all its locks"
    );
    lock(fd, SETLK, WRITE_LOCK, 0, 1).expect("F_SETLK");
    let copy = syscall(DUP, [fd]).expect("dup");
    close(copy);
    eq!(held(fd), 0, "the close of a copy too");
}

fn sleepers(fd: u32) {
    let page = shared_page();
    lock(fd, SETLK, WRITE_LOCK, 0, 4).expect("F_SETLK");
    let waits = || lock(fd, SETLKW, WRITE_LOCK, 1, 1) == Ok(0);
    let woken = is_woken(waits, || _ = lock(fd, SETLK, UNLOCK, 1, 1));
    ok!(woken, "F_SETLKW sleeps until the bytes are free");
    lock(fd, SETLK, WRITE_LOCK, 0, 4).expect("F_SETLK");
    let reads = || lock(fd, SETLKW, READ_LOCK, 1, 1) == Ok(0);
    let woken = is_woken(reads, || _ = lock(fd, SETLK, READ_LOCK, 0, 4));
    ok!(woken, "or until the lock is weak enough");
    lock(fd, SETLK, UNLOCK, 0, 0).expect("F_SETLK");
    let other = holder(page, || lock(fd, SETLK, WRITE_LOCK, 0, 1) == Ok(0));
    let woken = is_woken(
        || lock(fd, SETLKW, WRITE_LOCK, 0, 0) == Ok(0),
        || end(other),
    );
    ok!(woken, "or until its owner ends");
    lock(fd, SETLK, WRITE_LOCK, 0, 1).expect("F_SETLK");
    set_handler(SIGUSR1, nothing).expect("rt_sigaction");
    let ends = |answer| {
        let sleeper = child(|| i32::from(lock(fd, SETLKW, WRITE_LOCK, 0, 1) != answer));
        comes_true(|| state_of(sleeper.pid) == 'S');
        kill(sleeper.pid, SIGUSR1).expect("kill");
        sleep_ms(20);
        let _free = lock(fd, SETLK, UNLOCK, 0, 1);
        if !comes_true(|| state_of(sleeper.pid) == 'Z') {
            kill(sleeper.pid, 9).expect("kill");
        }
        sleeper.wait() == WaitStatus::exited(0)
    };
    ok!(ends(Err(Errno::EINTR)), "a signal ends the wait: EINTR");
    lock(fd, SETLK, WRITE_LOCK, 0, 1).expect("F_SETLK");
    set_handler_with(SIGUSR1, nothing, SA_RESTART).expect("rt_sigaction");
    ok!(ends(Ok(0)), "with SA_RESTART it goes on");
}

fn circle(fd: u32) {
    let page = shared_page();
    lock(fd, SETLK, WRITE_LOCK, 0, 1).expect("F_SETLK");
    let other = child(|| {
        lock(fd, SETLK, WRITE_LOCK, 1, 1).expect("F_SETLK");
        page[1].store(1, SeqCst);
        exit(i32::from(lock(fd, SETLKW, WRITE_LOCK, 0, 1) != Ok(0)))
    });
    let waits = || page[1].load(SeqCst) == 1 && state_of(other.pid) == 'S';
    ok!(
        comes_true(waits),
        "another process has one lock and waits for ours"
    );
    // Without the search, the alarm ends the wait.
    set_handler(SIGALRM, nothing).expect("rt_sigaction");
    syscall(ALARM, [15]).expect("alarm");
    let answer = lock(fd, SETLKW, WRITE_LOCK, 1, 1);
    syscall(ALARM, [0]).expect("alarm");
    eq!(
        answer,
        Err(Errno::EDEADLK),
        "whoever closes the circle gets EDEADLK"
    );
    lock(fd, SETLK, UNLOCK, 0, 1).expect("F_SETLK");
    eq!(other.wait(), WaitStatus::exited(0), "and the other goes on");
}

fn files(fd: u32) {
    let page = shared_page();
    let range = flock64(WRITE_LOCK, 0, 4);
    let at = range.as_ptr() as u32;
    eq!(
        syscall(FCNTL64, [fd, OFD_SETLK, at]),
        Ok(0),
        "a lock of an open file"
    );
    let second = open(O_RDWR);
    let answer = syscall(FCNTL64, [second, OFD_SETLK, at]);
    eq!(
        answer,
        Err(Errno::EAGAIN),
        "another opening of it conflicts: EAGAIN"
    );
    eq!(
        lock(fd, SETLK, WRITE_LOCK, 0, 1),
        Err(Errno::EAGAIN),
        "and so do the locks of the process"
    );
    let mut found = range;
    syscall(FCNTL64, [second, OFD_GETLK, found.as_mut_ptr() as u32]).expect("F_OFD_GETLK");
    eq!(
        (found[0], found[5]),
        (WRITE_LOCK, u32::MAX),
        "it is of no process: -1"
    );
    let mut wrong = range;
    wrong[5] = 1;
    let answer = syscall(FCNTL64, [second, OFD_SETLK, wrong.as_ptr() as u32]);
    eq!(
        answer,
        Err(Errno::EINVAL),
        "nor may a process be named: EINVAL"
    );
    close(second);
    let child_too = child(|| syscall(FCNTL64, [fd, OFD_SETLK, at]).is_err().into());
    eq!(
        child_too.wait(),
        WaitStatus::exited(0),
        "a child has it with the file"
    );
    close(fd);
    let fd = open(O_RDWR);
    eq!(held(fd), 0, "the last close ends it");
    let flock = |fd, operation| syscall(FLOCK, [fd, operation]);
    let second = open(O_RDWR);
    eq!(flock(fd, SHARED), Ok(0), "flock, shared");
    eq!(flock(second, SHARED | AT_ONCE), Ok(0), "two share it");
    eq!(
        flock(second, EXCLUSIVE | AT_ONCE),
        Err(Errno::EAGAIN),
        "one alone does not get it: EAGAIN"
    );
    eq!(
        flock(fd, EXCLUSIVE | AT_ONCE),
        Ok(0),
        "the other has lost its share by that"
    );
    eq!(
        lock(fd, SETLK, WRITE_LOCK, 0, 0),
        Ok(0),
        "locks on ranges are another kind"
    );
    let child_too = child(|| flock(fd, EXCLUSIVE | AT_ONCE).is_err().into());
    eq!(
        child_too.wait(),
        WaitStatus::exited(0),
        "a child has it with the file, flock"
    );
    let woken = is_woken(|| flock(second, SHARED) == Ok(0), || _ = flock(fd, FREE));
    ok!(woken, "flock sleeps until it is free");
    flock(second, FREE).expect("flock");
    let other = holder(page, || flock(open(O_RDWR), EXCLUSIVE) == Ok(0));
    eq!(
        flock(fd, SHARED | AT_ONCE),
        Err(Errno::EAGAIN),
        "a process holds it: EAGAIN"
    );
    end(other);
    eq!(
        flock(fd, SHARED | AT_ONCE),
        Ok(0),
        "and it is free when that ends"
    );
    eq!(
        flock(fd, 3),
        Err(Errno::EINVAL),
        "flock, an unknown operation: EINVAL"
    );
    eq!(
        flock(999, SHARED),
        Err(Errno::EBADF),
        "flock, no descriptor: EBADF"
    );
}

fn errors(fd: u32) {
    let reader = open(0);
    let writer = open(O_WRONLY);
    eq!(
        lock(reader, SETLK, WRITE_LOCK, 0, 1),
        Err(Errno::EBADF),
        "a write lock without writing: EBADF"
    );
    eq!(
        lock(writer, SETLK, READ_LOCK, 0, 1),
        Err(Errno::EBADF),
        "a read lock without reading: EBADF"
    );
    eq!(
        lock(fd, SETLK, 3, 0, 1),
        Err(Errno::EINVAL),
        "an unknown kind: EINVAL"
    );
    eq!(
        lock(fd, SETLK, 3 << 16, 0, 1),
        Err(Errno::EINVAL),
        "an unknown beginning: EINVAL"
    );
    eq!(
        lock(fd, SETLK, WRITE_LOCK, -1, 1),
        Err(Errno::EINVAL),
        "before the file: EINVAL"
    );
    eq!(
        lock(fd, SETLK, WRITE_LOCK, 2, -3),
        Err(Errno::EINVAL),
        "back to before the file: EINVAL"
    );
    eq!(
        lock(fd, SETLK, WRITE_LOCK, i64::MAX, 2),
        Err(Errno::EOVERFLOW),
        "beyond all files: EOVERFLOW"
    );
    eq!(
        lock(fd, SETLK, WRITE_LOCK, i64::MAX, 1),
        Ok(0),
        "its last byte can be locked"
    );
    eq!(
        test(fd, UNLOCK, 0, 0),
        Err(Errno::EINVAL),
        "F_GETLK for no lock: EINVAL"
    );
    eq!(
        syscall(FCNTL64, [fd, SETLK, 0]),
        Err(Errno::EFAULT),
        "no structure: EFAULT"
    );
    eq!(
        syscall(FCNTL64, [999, SETLK, 0]),
        Err(Errno::EBADF),
        "no descriptor: EBADF"
    );
    let far = answer(|| {
        let mut narrow = [WRITE_LOCK, 0, 0, 0];
        syscall(FCNTL64, [fd, GETLK32, narrow.as_mut_ptr() as u32])
    });
    eq!(
        far,
        Err(Errno::EOVERFLOW),
        "32 bits cannot tell of the last byte: EOVERFLOW"
    );
}

fn main() -> i32 {
    ktap::plan(59);
    let fd = open(O_RDWR);
    let text = [0u32; 6];
    syscall(WRITE, [fd, text.as_ptr() as u32, 24]).expect("write");
    ranges(fd);
    lock(fd, SETLK, UNLOCK, 0, 0).expect("F_SETLK");
    releases(fd);
    sleepers(fd);
    lock(fd, SETLK, UNLOCK, 0, 0).expect("F_SETLK");
    circle(fd);
    errors(fd);
    lock(fd, SETLK, UNLOCK, 0, 0).expect("F_SETLK");
    files(open(O_RDWR));
    ktap::finish()
}

rt::main!(main);
