/*
 * The scheduler: a baton that one thread holds.
 *
 * Happy path: whoever holds the baton runs. At each place where it may be given away a number is
 * drawn: mostly the thread stays, else the next holder is drawn among those that can run, is
 * posted, and this one sleeps until it gets the baton back.
 *
 * Failure modes: nobody can run and nobody waits for a time: a hang, which aborts with its seed.
 *
 * Invariants: exactly one thread of a run is awake; all state here is touched only by it.
 */
#include "sim/scheduler.h"

#include "base/assert.h"
#include "base/random.h"
#include "base/system.h"
#include "base/thread.h"
#include "sim/image.h"

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_MAX 64u
#define STAY_DEFAULT 12u
#define STEPS_DEFAULT UINT64_C(50000000)
#define START_NS UINT64_C(1700000000000000000)
#define COARSE_NS UINT64_C(1000000)
#define FOR_EVER UINT64_MAX

enum task_state { TASK_FREE = 0, TASK_READY, TASK_WAITS, TASK_JOINS, TASK_DONE };

struct task {
    enum task_state state;
    uintptr_t word; /* the address it waits on */
    const struct task *joins;
    uint64_t deadline_ns;
    bool timed_out;
    sem_t baton;
    pthread_t handle;
    base_thread_main main;
    void *context;
    char name[16];
};

struct scheduler {
    struct sim_schedule *schedule;
    struct base_prng prng;
    const struct base_system *before; /* the table that was installed */
    struct base_system system;
    uint64_t now_ns;
    struct task tasks[TASKS_MAX];
};

static struct scheduler *active; /* set while no other thread of the run exists */
static _Thread_local struct task *self;

static uint64_t draw(struct scheduler *scheduler, uint64_t bound)
{
    return base_prng_below(&scheduler->prng, bound);
}

static void note(struct scheduler *scheduler, uint64_t what)
{
    scheduler->schedule->trace = sim_digest(scheduler->schedule->trace, what);
}

/* ---- who can run ---- */

static void report_hang(const struct scheduler *scheduler, const char *what)
{
    static const char *const states[] = {"free", "ready", "waits", "joins", "done"};
    fprintf(stderr, "scheduler: %s, seed %" PRIu64 ", step %" PRIu64 "\n", what,
            scheduler->schedule->seed, scheduler->schedule->steps);
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        const struct task *task = &scheduler->tasks[i];
        if (task->state != TASK_FREE) {
            fprintf(stderr, "  thread %u %s: %s on %#zx%s\n", i, task->name, states[task->state],
                    (size_t)task->word, task == self ? " (at the baton)" : "");
        }
    }
    abort();
}

static void expire(struct scheduler *scheduler)
{
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        struct task *task = &scheduler->tasks[i];
        if (task->state == TASK_WAITS && task->deadline_ns <= scheduler->now_ns) {
            task->state = TASK_READY;
            task->timed_out = true;
        }
    }
}

static bool can_run(const struct task *task)
{
    return task->state == TASK_READY ||
           (task->state == TASK_JOINS && task->joins->state == TASK_DONE);
}

static unsigned count_ready(const struct scheduler *scheduler)
{
    unsigned count = 0;
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        count += can_run(&scheduler->tasks[i]) ? 1 : 0;
    }
    return count;
}

/* Nobody can run: time passes until the first deadline. */
static void pass_time(struct scheduler *scheduler)
{
    uint64_t first = FOR_EVER;
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        const struct task *task = &scheduler->tasks[i];
        if (task->state == TASK_WAITS && task->deadline_ns < first) {
            first = task->deadline_ns;
        }
    }
    if (first == FOR_EVER) {
        report_hang(scheduler, "all threads wait");
    }
    scheduler->now_ns = first;
    expire(scheduler);
}

static struct task *choose(struct scheduler *scheduler)
{
    unsigned ready = count_ready(scheduler);
    if (ready == 0) {
        pass_time(scheduler);
        ready = count_ready(scheduler);
    }
    uint64_t n = draw(scheduler, ready);
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        if (can_run(&scheduler->tasks[i]) && n-- == 0) {
            note(scheduler, i);
            return &scheduler->tasks[i];
        }
    }
    WEIR_UNREACHABLE();
}

/* ---- the baton ---- */

static void take_baton(struct task *task)
{
    while (sem_wait(&task->baton) != 0) {
        WEIR_ASSERT(errno == EINTR);
    }
    task->state = TASK_READY;
}

static void give_baton(struct task *to)
{
    int rc = sem_post(&to->baton);
    WEIR_ASSERT(rc == 0);
}

/* Goes on when somebody has chosen this task; at once where it is chosen itself. */
static void switch_away(struct scheduler *scheduler)
{
    struct task *next = choose(scheduler);
    if (next == self) {
        next->state = TASK_READY;
        return;
    }
    scheduler->schedule->switches++;
    struct task *mine = self;
    give_baton(next);
    take_baton(mine);
}

static void step(struct scheduler *scheduler, uint64_t most_ns)
{
    scheduler->now_ns += 1 + draw(scheduler, most_ns);
    expire(scheduler);
    uint64_t most = scheduler->schedule->steps_max;
    if (++scheduler->schedule->steps > (most != 0 ? most : STEPS_DEFAULT)) {
        report_hang(scheduler, "no end in sight");
    }
}

static void maybe_switch(struct scheduler *scheduler, uint64_t most_ns)
{
    step(scheduler, most_ns);
    uint32_t stay = scheduler->schedule->stay;
    if (draw(scheduler, 16) >= (stay != 0 ? stay : STAY_DEFAULT)) {
        switch_away(scheduler);
    }
}

void sim_scheduler_point(void)
{
    if (active != NULL && self != NULL) {
        maybe_switch(active, 20000);
    }
}

uint64_t sim_thread_bit(void)
{
    static _Atomic uint32_t others;
    static _Thread_local uint32_t number; /* from 1 */
    if (active != NULL && self != NULL) {
        return UINT64_C(1) << (unsigned)(self - active->tasks);
    }
    if (number == 0) {
        number = 1 + atomic_fetch_add_explicit(&others, 1, memory_order_relaxed);
    }
    return UINT64_C(1) << (number % 64);
}

/* ---- the table ---- */

static int hook_wait(void *context, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns,
                     bool shared)
{
    struct scheduler *scheduler = context;
    (void)shared;
    maybe_switch(scheduler, 2000);
    /* Acquire as a futex call would order it, for who relies on it by mistake or not. */
    if (atomic_load_explicit(word, memory_order_acquire) != expected) {
        return 0;
    }
    if (timeout_ns == 0) {
        return -ETIMEDOUT;
    }
    if (draw(scheduler, 64) == 0) {
        return 0; /* for no reason at all */
    }
    self->state = TASK_WAITS;
    self->word = (uintptr_t)word;
    self->timed_out = false;
    self->deadline_ns = timeout_ns < 0 ? FOR_EVER : scheduler->now_ns + (uint64_t)timeout_ns;
    switch_away(scheduler);
    self->word = 0;
    return self->timed_out ? -ETIMEDOUT : 0;
}

static bool waits_on(const struct task *task, uintptr_t word)
{
    return task->state == TASK_WAITS && task->word == word;
}

static void hook_wake(void *context, _Atomic uint32_t *word, int count, bool shared)
{
    struct scheduler *scheduler = context;
    (void)shared;
    unsigned waiting = 0;
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        waiting += waits_on(&scheduler->tasks[i], (uintptr_t)word) ? 1 : 0;
    }
    for (; waiting > 0 && count > 0; count--, waiting--) {
        uint64_t n = draw(scheduler, waiting);
        for (unsigned i = 0; i < TASKS_MAX; i++) {
            struct task *task = &scheduler->tasks[i];
            if (waits_on(task, (uintptr_t)word) && n-- == 0) {
                task->state = TASK_READY;
                note(scheduler, 0x100 + i);
            }
        }
    }
    maybe_switch(scheduler, 2000);
}

static void hook_yield(void *context)
{
    struct scheduler *scheduler = context;
    step(scheduler, 2000);
    switch_away(scheduler);
}

static uint64_t hook_monotonic(void *context)
{
    struct scheduler *scheduler = context;
    maybe_switch(scheduler, 2000);
    return scheduler->now_ns - START_NS;
}

static uint64_t hook_realtime(void *context)
{
    return START_NS + hook_monotonic(context);
}

static uint64_t hook_coarse(void *context)
{
    uint64_t now = hook_monotonic(context);
    return now - now % COARSE_NS;
}

static int hook_random(void *context, void *data, size_t size)
{
    struct scheduler *scheduler = context;
    base_prng_fill(&scheduler->prng, data, size);
    return 0;
}

/* ---- threads ---- */

static void *run_task(void *argument)
{
    struct scheduler *scheduler = active;
    self = argument;
    take_baton(self);
    self->main(self->context);
    self->state = TASK_DONE;
    give_baton(choose(scheduler));
    return NULL;
}

static int hook_thread_start(void *context, struct base_thread *thread, const char *name,
                             base_thread_main main, void *main_context)
{
    struct scheduler *scheduler = context;
    struct task *task = NULL;
    for (unsigned i = 0; i < TASKS_MAX && task == NULL; i++) {
        task = scheduler->tasks[i].state == TASK_FREE ? &scheduler->tasks[i] : NULL;
    }
    if (task == NULL) {
        return -EAGAIN;
    }
    *task = (struct task){.state = TASK_READY, .main = main, .context = main_context};
    (void)snprintf(task->name, sizeof task->name, "%s", name != NULL ? name : "");
    int rc = sem_init(&task->baton, 0, 0);
    WEIR_ASSERT(rc == 0);
    rc = pthread_create(&task->handle, NULL, run_task, task);
    if (rc != 0) {
        sem_destroy(&task->baton);
        task->state = TASK_FREE;
        return -rc;
    }
    thread->handle = task->handle;
    maybe_switch(scheduler, 2000);
    return 0;
}

static void hook_thread_join(void *context, struct base_thread *thread)
{
    struct scheduler *scheduler = context;
    struct task *task = NULL;
    for (unsigned i = 1; i < TASKS_MAX; i++) {
        struct task *other = &scheduler->tasks[i];
        if (other->state != TASK_FREE && pthread_equal(other->handle, thread->handle) != 0) {
            task = other;
        }
    }
    WEIR_ASSERT(task != NULL);
    if (task->state != TASK_DONE) {
        self->state = TASK_JOINS;
        self->joins = task;
        switch_away(scheduler);
    }
    int rc = pthread_join(task->handle, NULL);
    WEIR_ASSERT(rc == 0);
    sem_destroy(&task->baton);
    *task = (struct task){0};
}

/* ---- a run ---- */

/* Keeps what a test has put behind memory; the rest is ours. */
static void install(struct scheduler *scheduler)
{
    scheduler->before = base_system_current;
    if (scheduler->before != NULL) {
        scheduler->system = *scheduler->before;
    }
    struct base_system *system = &scheduler->system;
    WEIR_ASSERT(system->alloc == NULL || system->context == NULL);
    system->context = scheduler;
    system->realtime = hook_realtime;
    system->monotonic = hook_monotonic;
    system->coarse = hook_coarse;
    system->wait = hook_wait;
    system->wake = hook_wake;
    system->yield = hook_yield;
    system->random = hook_random;
    system->thread_start = hook_thread_start;
    system->thread_join = hook_thread_join;
    system->alone = true;
    active = scheduler;
    base_system_set(system);
}

void sim_scheduler_run(struct sim_schedule *schedule, void (*body)(void *context), void *context)
{
    WEIR_ASSERT(active == NULL);
    struct scheduler *scheduler = calloc(1, sizeof *scheduler);
    WEIR_ASSERT(scheduler != NULL);
    schedule->trace = schedule->steps = schedule->switches = 0;
    scheduler->schedule = schedule;
    scheduler->now_ns = START_NS;
    base_prng_seed(&scheduler->prng, schedule->seed);
    struct task *first = &scheduler->tasks[0];
    *first = (struct task){.state = TASK_READY, .name = "first", .handle = pthread_self()};
    int rc = sem_init(&first->baton, 0, 0);
    WEIR_ASSERT(rc == 0);
    self = first;
    install(scheduler);
    body(context);
    base_system_set(scheduler->before);
    active = NULL;
    self = NULL;
    for (unsigned i = 1; i < TASKS_MAX; i++) {
        WEIR_ASSERT(scheduler->tasks[i].state == TASK_FREE);
    }
    schedule->elapsed_ns = scheduler->now_ns - START_NS;
    sem_destroy(&first->baton);
    free(scheduler);
}
