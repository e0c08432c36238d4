/*
 * POSIX threads, which two C libraries make of clone, futex, set_thread_area
 * and signals. Linked once with musl and once with glibc; reports in KTAP.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8

static int cases, failed;

static void report(int good, const char *name)
{
    printf("%sok %d %s\n", good ? "" : "not ", ++cases, name);
    fflush(stdout);
    failed |= !good;
}

static void start(pthread_t *thread, void *(*body)(void *), void *argument)
{
    int error = pthread_create(thread, NULL, body, argument);
    if (error) {
        printf("# pthread_create: %s\n", strerror(error));
        exit(1);
    }
}

/* Starts THREADS threads with 0, 1, 2 ... and waits; returns the sum of their results. */
static intptr_t run_all(void *(*body)(void *))
{
    pthread_t threads[THREADS];
    intptr_t i, sum = 0;

    for (i = 0; i < THREADS; i++)
        start(&threads[i], body, (void *)i);
    for (i = 0; i < THREADS; i++) {
        void *returned;
        pthread_join(threads[i], &returned);
        sum += (intptr_t)returned;
    }
    return sum;
}

static int gettid_(void)
{
    return (int)syscall(SYS_gettid);
}

/* ---- the result of a thread */

static void *square(void *argument)
{
    intptr_t n = (intptr_t)argument;
    if (n % 2)
        pthread_exit((void *)(n * n));
    return (void *)(n * n);
}

/* ---- mutex */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile long counter;

static void *count(void *unused)
{
    int i;
    (void)unused;
    for (i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        if (i % 100 == 0)
            sched_yield();
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

/* ---- condition variable: two take turns */

static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn, turns[2];

static void *take_turns(void *argument)
{
    int me = (int)(intptr_t)argument, i;
    for (i = 0; i < 300; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me)
            pthread_cond_wait(&turned, &mutex);
        turns[me]++;
        turn = !me;
        pthread_cond_broadcast(&turned);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

/* ---- barrier: no thread is a phase ahead */

static pthread_barrier_t barrier;
static volatile int phase_of[THREADS];

static void *phases(void *argument)
{
    intptr_t me = (intptr_t)argument, wrong = 0;
    int phase, i;
    for (phase = 1; phase <= 20; phase++) {
        phase_of[me] = phase;
        pthread_barrier_wait(&barrier);
        for (i = 0; i < THREADS; i++)
            wrong += phase_of[i] != phase;
        pthread_barrier_wait(&barrier);
    }
    return (void *)wrong;
}

/* ---- thread-local variables, keys, once */

static __thread int initialised = 41;
static __thread char zeroed[64];
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int made_once, destroyed;

static void destroy(void *value)
{
    __atomic_fetch_add(&destroyed, (int)(intptr_t)value, __ATOMIC_SEQ_CST);
}

static void make_key(void)
{
    made_once++;
    pthread_key_create(&key, destroy);
}

static void *locals(void *argument)
{
    intptr_t me = (intptr_t)argument, wrong = initialised != 41;
    int i;
    pthread_once(&once, make_key);
    pthread_setspecific(key, (void *)(me + 1));
    initialised = (int)me;
    for (i = 0; i < 50; i++) {
        memset(zeroed, (int)me, sizeof zeroed);
        sched_yield();
        wrong += initialised != me || zeroed[63] != (char)me;
        wrong += pthread_getspecific(key) != (void *)(me + 1);
    }
    return (void *)wrong;
}

/* ---- floating point of each is its own */

static void *sums(void *argument)
{
    double n = (double)((intptr_t)argument + 1), sum = 0;
    int i;
    for (i = 0; i < 4000; i++) {
        sum += n / 3;
        if (i % 200 == 0)
            sched_yield();
    }
    return (void *)(intptr_t)(sum < n * 4000 / 3 - 0.01 || sum > n * 4000 / 3 + 0.01);
}

/* ---- semaphores: what goes in comes out */

static sem_t items, room;
static int ring[4];
static unsigned in, out;

static void *produce(void *unused)
{
    int i;
    (void)unused;
    for (i = 1; i <= 500; i++) {
        sem_wait(&room);
        ring[in++ % 4] = i;
        sem_post(&items);
    }
    return NULL;
}

static void *consume(void *unused)
{
    intptr_t sum = 0;
    int i;
    (void)unused;
    for (i = 0; i < 500; i++) {
        sem_wait(&items);
        sum += ring[out++ % 4];
        sem_post(&room);
    }
    return (void *)sum;
}

/* ---- signals */

static volatile int handled_by;
static int pipe_fds[2];

static void note(int signal)
{
    (void)signal;
    handled_by = gettid_();
}

static void *wait_for_signal(void *tid)
{
    *(volatile int *)tid = gettid_();
    while (!handled_by)
        usleep(1000);
    return NULL;
}

static void *read_for_ever(void *unused)
{
    char byte;
    (void)unused;
    return (void *)(intptr_t)read(pipe_fds[0], &byte, 1);
}

/* Without frames to unwind through the system call, glibc cannot find the cleanup handlers. */
static void note_left(void *left)
{
    *(volatile int *)left = 1;
}

static void *read_and_clean_up(void *left)
{
    pthread_cleanup_push(note_left, left);
    read_for_ever(NULL);
    pthread_cleanup_pop(0);
    return NULL;
}

/* ---- a mutex whose owner dies */

static void *die_with_it(void *robust)
{
    pthread_mutex_lock(robust);
    return NULL;
}

static int owner_is_dead(pthread_mutex_t *robust)
{
    int dead = pthread_mutex_lock(robust) == EOWNERDEAD;
    pthread_mutex_consistent(robust);
    return dead && pthread_mutex_unlock(robust) == 0 && pthread_mutex_lock(robust) == 0
        && pthread_mutex_unlock(robust) == 0;
}

static struct timespec soon(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_nsec += 20 * 1000 * 1000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

static void *nothing(void *argument)
{
    return argument;
}

static void *sleep_a_little(void *argument)
{
    usleep(30000);
    return argument;
}

static void *join_it(void *thread)
{
    void *returned;
    pthread_join(*(pthread_t *)thread, &returned);
    return returned;
}

/* After a fork the first writer of a page gets a copy: a sleeper on a word in it must be found. */
static int join_over_a_fork(void)
{
    pthread_t sleeper, joiner;
    void *returned;
    pid_t child;

    start(&sleeper, sleep_a_little, (void *)&counter);
    start(&joiner, join_it, &sleeper);
    usleep(5000);
    child = fork();
    if (child == 0)
        for (;;)
            pause();
    pthread_join(joiner, &returned);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return returned == (void *)&counter;
}

static void synchronisation(void)
{
    pthread_t one, two;
    void *sum;
    int i;

    report(run_all(square) == 140, "join gives what each thread returned");
    run_all(count);
    report(counter == THREADS * 2000L, "a mutex keeps a counter exact");
    start(&one, take_turns, (void *)0);
    start(&two, take_turns, (void *)1);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    report(turns[0] == 300 && turns[1] == 300, "two threads take turns by a condition variable");
    pthread_barrier_init(&barrier, NULL, THREADS);
    report(run_all(phases) == 0, "nobody passes a barrier before all have come");
    sem_init(&items, 0, 0);
    sem_init(&room, 0, 4);
    start(&one, produce, NULL);
    start(&two, consume, NULL);
    pthread_join(one, NULL);
    pthread_join(two, &sum);
    report((intptr_t)sum == 500 * 501 / 2, "what a producer puts into a ring a consumer takes out");
    for (i = 0; i < 200; i++) {
        start(&one, nothing, &i);
        pthread_join(one, &sum);
        if (sum != &i)
            break;
    }
    report(i == 200, "200 threads one after the other");
    report(join_over_a_fork(), "a thread is joined though the process has forked");
}

static void contexts(void)
{
    report(run_all(locals) == 0, "each thread has its own variables");
    report(initialised == 41 && zeroed[0] == 0, "and the first thread too");
    report(made_once == 1, "pthread_once runs once");
    report(destroyed == THREADS * (THREADS + 1) / 2, "each thread's key is destroyed with it");
    report(run_all(sums) == 0, "each thread has its own floating point");
}

static void signals(void)
{
    struct sigaction action = { .sa_handler = note };
    volatile int tid = 0, left = 0;
    pthread_t thread;
    void *result;

    sigaction(SIGUSR1, &action, NULL);
    start(&thread, wait_for_signal, (void *)&tid);
    while (!tid)
        usleep(1000);
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    report(handled_by == tid && tid != getpid(), "pthread_kill reaches that thread");
    if (pipe(pipe_fds))
        exit(1);
    start(&thread, read_for_ever, NULL);
    usleep(5000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    report(result == PTHREAD_CANCELED, "a thread that waits can be cancelled");
    start(&thread, read_and_clean_up, (void *)&left);
    usleep(5000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    report(result == PTHREAD_CANCELED && left, "and cleans up after itself");
}

static void times(void)
{
    struct timespec at = soon(CLOCK_REALTIME);
    int error;

    pthread_mutex_lock(&mutex);
    do
        error = pthread_cond_timedwait(&turned, &mutex, &at);
    while (error == 0);
    pthread_mutex_unlock(&mutex);
    report(error == ETIMEDOUT, "a wait for a condition ends in time");
}

static void owners(void)
{
    struct {
        pthread_mutex_t own, shared;
    } *both = mmap(NULL, sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    pthread_t thread;
    pid_t child;
    int status;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&both->own, &attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&both->shared, &attributes);
    start(&thread, die_with_it, &both->own);
    pthread_join(thread, NULL);
    report(owner_is_dead(&both->own), "a robust mutex of a thread that has ended");

    child = fork();
    if (child == 0) {
        pthread_mutex_lock(&both->shared);
        raise(SIGKILL);
    }
    waitpid(child, &status, 0);
    report(WIFSIGNALED(status) && owner_is_dead(&both->shared),
           "and of a process that was killed");

    child = fork();
    if (child == 0) {
        counter = 0;
        run_all(count);
        _exit(counter == THREADS * 2000L ? 7 : 1);
    }
    waitpid(child, &status, 0);
    report(WIFEXITED(status) && WEXITSTATUS(status) == 7, "a forked process starts threads of its own");
}

int main(void)
{
    printf("KTAP version 1\n1..19\n");
    synchronisation();
    contexts();
    signals();
    times();
    owners();
    return failed;
}
