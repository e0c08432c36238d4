//! Tasks that provably alternate.
//!
//! [`alternate`] forks one child per role and passes a turn round them, all SCHED_FIFO on one CPU.
//! A child with the turn checks its property and passes the turn on; then it yields until the turn
//! comes back. Before that every other child must have run, so each round is at least one switch
//! per role, and each check looks at state that has been switched out and in again.
//!
//! Words of the shared page: 0 whose turn it is; 1 turns passed; 2 mask of those that left; from 16
//! on, the round in which a role first broke its property, plus 1; from 64 on, how a thread ended.

use crate::{
    WaitStatus, child,
    memory::{SharedPage, shared_page},
    process::{exit, wait4},
    sched::{fifo_on_one_cpu, sched_yield},
    thread,
    tls::UserDesc,
};
use core::sync::atomic::Ordering::SeqCst;

const TURN: usize = 0;
const PASSED: usize = 1;
const LEFT: usize = 2;
const BROKEN: usize = 16;
const ENDED: usize = 64;

/// Most roles that one relay can have.
pub const MAX_ROLES: usize = 32;

/// Yields without a turn before a child gives up, with this exit status.
const PATIENCE: u32 = 1_000_000;
pub const STALLED: u32 = 103;

/// What one task of a relay does.
#[derive(Clone, Copy)]
pub struct Role<'a> {
    /// Called once, before the first round.
    pub set: &'a dyn Fn(),
    /// Called with the turn, in each round: returns whether the property still holds.
    pub holds: &'a dyn Fn(u32) -> bool,
    /// Called without the turn: yields the CPU.
    pub give_way: &'a dyn Fn(),
}

impl<'a> Role<'a> {
    pub fn new(set: &'a dyn Fn(), holds: &'a dyn Fn(u32) -> bool) -> Self {
        Self {
            set,
            holds,
            give_way: &sched_yield,
        }
    }
}

/// The result of a relay.
pub struct Outcome {
    page: SharedPage,
    statuses: [WaitStatus; MAX_ROLES],
}

impl Outcome {
    /// Returns whether the role's property held in every round and the child ended well.
    pub fn held(&self, role: usize) -> bool {
        let broken = self.page[BROKEN + role].load(SeqCst);
        if broken != 0 {
            crate::println!("# role {role}: broken in round {}", broken - 1);
        } else if self.statuses[role] != WaitStatus::exited(0) {
            crate::println!("# role {role}: {:?}", self.statuses[role]);
        }
        broken == 0 && self.statuses[role] == WaitStatus::exited(0)
    }

    pub fn status(&self, role: usize) -> WaitStatus {
        self.statuses[role]
    }

    /// Returns how often the turn went from one task to another: at least so many switches
    /// happened.
    pub fn passed(&self) -> u32 {
        self.page[PASSED].load(SeqCst)
    }
}

/// Runs the roles for `rounds` rounds each.
pub fn alternate(rounds: u32, roles: &[Role<'_>]) -> Outcome {
    assert!((2..=MAX_ROLES).contains(&roles.len()));
    fifo_on_one_cpu();
    let page = shared_page();
    let mut pids = [0; MAX_ROLES];
    for (me, role) in roles.iter().enumerate() {
        pids[me] = child(|| run(page, me, roles.len(), role, rounds)).pid;
    }
    let mut statuses = [WaitStatus(0); MAX_ROLES];
    for _ in roles {
        let (pid, status) = wait4(-1, 0).expect("wait4");
        let me = pids[..roles.len()].iter().position(|&p| p == pid);
        let me = me.expect("a child of this relay");
        statuses[me] = status;
        leave(page, me, roles.len()); // for one that was killed with the turn
    }
    Outcome { page, statuses }
}

/// As [`alternate`], with threads of the caller: one address space, so only state of the task
/// itself is switched. They end before this returns.
pub fn alternate_threads(rounds: u32, tls: &[UserDesc], roles: &[Role<'_>]) -> Outcome {
    assert!((2..=MAX_ROLES).contains(&roles.len()) && tls.len() == roles.len());
    fifo_on_one_cpu();
    let page = shared_page();
    let jobs: [Option<Job>; MAX_ROLES] = core::array::from_fn(|me| {
        let role = roles.get(me)?;
        Some(Job {
            page,
            me,
            roles: roles.len(),
            role,
            rounds,
        })
    });
    let jobs = &jobs[..roles.len()];
    let threads: [_; MAX_ROLES] = core::array::from_fn(|me| {
        let job = jobs.get(me)?;
        let argument = &raw const *job as u32;
        Some(thread::spawn(run_job, argument, Some(&tls[me])).expect("clone"))
    });
    let mut statuses = [WaitStatus(0); MAX_ROLES];
    for (me, running) in threads.into_iter().flatten().enumerate() {
        assert!(running.join(), "thread {me} does not end");
        statuses[me] = match page[ENDED + me].load(SeqCst) {
            0 => WaitStatus::exited(STALLED),
            status => WaitStatus::exited(status - 1),
        };
    }
    Outcome { page, statuses }
}

struct Job<'a> {
    page: SharedPage,
    me: usize,
    roles: usize,
    role: &'a Role<'a>,
    rounds: u32,
}

extern "C" fn run_job(argument: u32) -> i32 {
    // SAFETY: `alternate_threads` passes a job and keeps it until the thread is gone.
    let job = unsafe { &*(argument as *const Option<Job<'_>>) };
    let Some(job) = job else { return 1 };
    let status = run(job.page, job.me, job.roles, job.role, job.rounds);
    job.page[ENDED + job.me].store(status as u32 + 1, SeqCst);
    status
}

fn run(page: SharedPage, me: usize, roles: usize, role: &Role<'_>, rounds: u32) -> i32 {
    (role.set)();
    for round in 0..rounds {
        take_turn(page, me, role);
        if !(role.holds)(round) {
            page[BROKEN + me].store(round + 1, SeqCst);
            break;
        }
        pass_on(page, me, roles);
    }
    take_turn(page, me, role);
    leave(page, me, roles);
    i32::from(page[BROKEN + me].load(SeqCst) != 0)
}

fn take_turn(page: SharedPage, me: usize, role: &Role<'_>) {
    for _ in 0..PATIENCE {
        if page[TURN].load(SeqCst) == me as u32 {
            return;
        }
        (role.give_way)();
    }
    exit(STALLED as i32)
}

/// Passes the turn to the next role that is still there.
fn pass_on(page: SharedPage, me: usize, roles: usize) {
    let left = page[LEFT].load(SeqCst);
    let next = (1..=roles)
        .map(|i| (me + i) % roles)
        .find(|i| left >> i & 1 == 0);
    if let Some(next) = next.filter(|&next| next != me) {
        page[PASSED].fetch_add(1, SeqCst);
        page[TURN].store(next as u32, SeqCst);
    }
}

fn leave(page: SharedPage, me: usize, roles: usize) {
    page[LEFT].fetch_or(1 << me, SeqCst);
    if page[TURN].load(SeqCst) == me as u32 {
        pass_on(page, me, roles);
    }
}
