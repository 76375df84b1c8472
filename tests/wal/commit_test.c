/*
 * Committing: who waits for what, who wakes whom, what a failed flush leaves durable, and who
 * starts a commit that was put off.
 */
#include "support.h"

#include "base/system.h"
#include "wal/commit.h"
#include "wal/reserve.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct call {
    struct weir_log *log;
    pthread_t thread;
    weir_lsn lsn;
    size_t size;
    enum weir_durability durability;
    int rc;
};

static void *append_call(void *context)
{
    struct call *call = context;
    uint8_t *payload = calloc(1, call->size);
    call->rc = try_append(call->log, payload, call->size, call->durability, &call->lsn);
    free(payload);
    return NULL;
}

static void *wait_call(void *context)
{
    struct call *call = context;
    call->rc = weir_wait(call->log, call->lsn, WEIR_WAIT_FOREVER);
    return NULL;
}

static void start(struct call *call, void *(*run)(void *context))
{
    assert_int_equal(pthread_create(&call->thread, NULL, run, call), 0);
}

static int finish(struct call *call)
{
    pthread_join(call->thread, NULL);
    return call->rc;
}

/* ---- wake-ups ---- */

static void a_waiter_that_is_satisfied_while_it_queues_does_not_sleep(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct call waiter = {.log = log, .lsn = append_text(log, "a", WEIR_NONE)};
    assert_true(leader_try(log));
    base_lock_acquire(&log->waiters.lock);
    start(&waiter, wait_call);
    while (atomic_load(&log->waiters.lock.state) != BASE_LOCK_CONTENDED) {
        base_yield(); /* it has seen that nothing is durable, and is about to queue */
    }
    assert_int_equal(commit_round(log, COMMIT_DURABLE, 0), 0);
    assert_int_equal(weir_durable_lsn(log), waiter.lsn);
    base_lock_release(&log->waiters.lock);
    assert_int_equal(finish(&waiter), 0); /* while somebody leads, who may sleep for long */
    leader_leave(log);
    close_log(log);
    disk_free(&disk);
}

static void await_queue(struct weir_log *log, uint32_t count)
{
    while (atomic_load(&log->waiters.count) != count) {
        base_yield();
    }
}

static uint32_t gates_opened(struct weir_log *log)
{
    uint32_t opened = 0;
    for (size_t i = 0; i < sizeof log->waiters.gates / sizeof *log->waiters.gates; i++) {
        opened += atomic_load(&log->waiters.gates[i]);
    }
    return opened;
}

#define WAITERS 40u /* more than a gate has sets */

static void one_call_wakes_all_whom_a_flush_satisfies_and_nobody_else(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    assert_true(leader_try(log));
    struct call satisfied[WAITERS], late[WAITERS];
    weir_lsn lsn = append_text(log, "a", WEIR_NONE);
    for (uint32_t i = 0; i < WAITERS; i++) {
        satisfied[i] = (struct call){.log = log, .lsn = lsn};
        start(&satisfied[i], wait_call);
    }
    await_queue(log, WAITERS);
    assert_int_equal(commit_round(log, COMMIT_DURABLE, 0), 0);
    lsn = append_text(log, "b", WEIR_NONE);
    for (uint32_t i = 0; i < WAITERS; i++) {
        late[i] = (struct call){.log = log, .lsn = lsn};
        start(&late[i], wait_call);
    }
    for (uint32_t i = 0; i < WAITERS; i++) {
        assert_int_equal(finish(&satisfied[i]), 0);
    }
    await_queue(log, WAITERS);
    assert_int_equal(gates_opened(log), 1);
    leader_leave(log); /* the baton goes to one of them, who leads for all */
    for (uint32_t i = 0; i < WAITERS; i++) {
        assert_int_equal(finish(&late[i]), 0);
    }
    assert_int_equal(atomic_load(&log->waiters.count), 0);
    close_log(log);
    disk_free(&disk);
}

/* Somebody else leads: it commits in the yield or in the sleep of the one who waits. */
struct other_leader {
    struct weir_log *log;
    bool when_yielded;
    int yields, sleeps;
};

static void commit_as_leader(struct other_leader *other)
{
    assert_int_equal(commit_round(other->log, COMMIT_DURABLE, 0), 0);
    leader_leave(other->log);
}

static void yield_to_leader(void *context)
{
    struct other_leader *other = context;
    if (other->yields++ == 0 && other->when_yielded) {
        commit_as_leader(other);
    }
}

static int sleep_beside_leader(void *context, _Atomic uint32_t *word, uint32_t expected,
                               int64_t timeout_ns, bool shared)
{
    struct other_leader *other = context;
    (void)word, (void)expected, (void)timeout_ns, (void)shared;
    if (other->sleeps++ == 0) {
        commit_as_leader(other);
    }
    return 0;
}

static int restore_system(void **state)
{
    (void)state;
    base_system_set(NULL);
    return 0;
}

static struct other_leader wait_beside_a_leader(uint32_t block_bytes, bool when_yielded)
{
    struct test_disk disk = disk_new();
    disk.options.block_bytes = block_bytes;
    disk.options.window_is_file = block_bytes == 64;
    struct weir_log *log = open_log(&disk, NULL);
    struct other_leader other = {.log = log, .when_yielded = when_yielded};
    struct base_system system = {
        .context = &other, .wait = sleep_beside_leader, .yield = yield_to_leader};
    weir_lsn lsn = append_text(log, "a", WEIR_NONE);
    assert_true(leader_try(log));
    base_system_set(&system);
    assert_int_equal(weir_wait(log, lsn, WEIR_WAIT_FOREVER), 0);
    base_system_set(NULL);
    assert_int_equal(weir_durable_lsn(log), lsn);
    assert_int_equal(atomic_load(&log->waiters.count), 0);
    close_log(log);
    disk_free(&disk);
    return other;
}

static void a_waiter_stays_awake_where_a_commit_costs_less_than_a_switch(void **state)
{
    (void)state;
    struct other_leader other = wait_beside_a_leader(64, true);
    assert_int_equal(other.yields, 1);
    assert_int_equal(other.sleeps, 0);
    other = wait_beside_a_leader(64, false); /* but not for long */
    assert_in_range(other.yields, 2, 1000);
    assert_int_equal(other.sleeps, 1);
    other = wait_beside_a_leader(4096, true); /* a flush takes its time */
    assert_int_equal(other.yields, 0);
    assert_int_equal(other.sleeps, 1);
}

/* What the leader does in the first yield of the one who waits. */
struct other_step {
    struct weir_log *log;
    bool commits, leaves;
    int yields;
};

static void take_step(void *context)
{
    struct other_step *other = context;
    if (other->yields++ == 0) {
        if (other->commits) {
            assert_int_equal(commit_round(other->log, COMMIT_DURABLE, 0), 0);
        }
        if (other->leaves) {
            leader_leave(other->log);
        }
    }
}

/* Returns how often the waiter has yielded. */
static int wait_beside(bool commits, bool leaves, int64_t timeout_ns)
{
    struct test_disk disk = disk_new();
    disk.options.block_bytes = 64;
    disk.options.window_is_file = true;
    struct weir_log *log = open_log(&disk, NULL);
    struct other_step other = {.log = log, .commits = commits, .leaves = leaves};
    struct base_system system = {.context = &other, .yield = take_step};
    weir_lsn lsn = append_text(log, "a", WEIR_NONE);
    uint32_t queued = log->waiters.queued;
    assert_true(leader_try(log));
    base_system_set(&system);
    int rc = weir_wait(log, lsn, timeout_ns);
    base_system_set(NULL);
    assert_int_equal(rc, commits || leaves ? 0 : -ETIMEDOUT);
    assert_int_equal(log->waiters.queued, queued); /* nor did it have to be woken */
    if (!leaves) {
        leader_leave(log);
    }
    close_log(log);
    disk_free(&disk);
    return other.yields;
}

static void a_waiter_that_is_awake_goes_on_with_what_the_leader_leaves_it(void **state)
{
    (void)state;
    assert_int_equal(wait_beside(true, false, WEIR_WAIT_FOREVER),
                     1); /* durable: who leads, leads */
    assert_int_equal(wait_beside(false, true, WEIR_WAIT_FOREVER), 1); /* left to it: it leads */
    assert_int_equal(wait_beside(false, false, 0), 0);                /* wants no more than look */
}

static void a_waiter_whose_time_is_up_leaves_the_queue(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    weir_lsn lsn = append_text(log, "a", WEIR_NONE);
    assert_true(leader_try(log)); /* and does nothing */
    assert_int_equal(weir_wait(log, lsn, 2000000), -ETIMEDOUT);
    assert_int_equal(atomic_load(&log->waiters.count), 0);
    leader_leave(log);
    assert_int_equal(weir_wait(log, lsn, WEIR_WAIT_FOREVER), 0);
    close_log(log);
    disk_free(&disk);
}

/* The clock is looked at between a waiter's look at its state and its sleep: then it is called. */
struct late_call {
    struct weir_log *log;
    int looks, sleeps;
    bool calling;
};

static uint64_t look_at_clock(void *context)
{
    struct late_call *late = context;
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    if (!late->calling && atomic_load(&late->log->waiters.count) > 0) {
        late->calling = true;
        late->looks++;
        assert_int_equal(commit_round(late->log, COMMIT_DURABLE, 0), 0);
    }
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int count_sleep(void *context, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns,
                       bool shared)
{
    struct late_call *late = context;
    (void)timeout_ns, (void)shared;
    late->sleeps += atomic_load(word) == expected;
    return 0;
}

static void a_waiter_that_is_called_just_before_it_sleeps_does_not_sleep(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct late_call late = {.log = log};
    struct base_system system = {.context = &late, .monotonic = look_at_clock, .wait = count_sleep};
    weir_lsn lsn = append_text(log, "a", WEIR_NONE);
    assert_true(leader_try(log));
    base_system_set(&system);
    int rc = weir_wait(log, lsn, INT64_C(10000000000));
    base_system_set(NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(late.looks, 1);
    assert_int_equal(late.sleeps, 0); /* it was called: nobody would wake it */
    leader_leave(log);
    close_log(log);
    disk_free(&disk);
}

/* Starts a waiter once, for a record behind those that are being written, and lets it queue. */
struct late_waiter {
    struct call call;
    bool started;
};

static void *append_and_wait(void *context)
{
    struct call *call = context;
    call->lsn = append_text(call->log, "late", WEIR_NONE);
    call->rc = weir_wait(call->log, call->lsn, INT64_C(10000000000));
    return NULL;
}

static int start_late_waiter(void *context, const char *call, const char *name, uint64_t offset,
                             size_t size)
{
    struct late_waiter *late = context;
    (void)name, (void)offset, (void)size;
    if (!late->started && strcmp(call, "persist") == 0) {
        late->started = true;
        start(&late->call, append_and_wait);
        while (atomic_load(&late->call.log->waiters.count) == 0) {
            base_yield();
        }
    }
    return 0;
}

/* It queued behind the look at the queue, and in front of the step down: it has seen that somebody
 * leads. */
static void who_steps_down_looks_at_the_queue_once_more(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    disk.options.asynchronous = true; /* so that a kick is followed at once */
    struct weir_log *log = open_log(&disk, NULL);
    struct late_waiter late = {.call = {.log = log}};
    struct sim_memory_faults faults = {start_late_waiter, &late};
    struct sim_memory_faults none = {0};
    (void)append_text(log, "a", WEIR_NONE);
    assert_true(leader_try(log));
    atomic_store(&log->commit.kicked, 1); /* so that the leader has something to do in between */
    sim_memory_faults_set(log->medium, &faults);
    leader_leave(log);
    assert_true(late.started);
    assert_int_equal(finish(&late.call), 0);
    sim_memory_faults_set(log->medium, &none);
    close_log(log);
    disk_free(&disk);
}

/* Two closed groups, of which the second holds an open reservation, and an open one. */
static struct weir_reservation reserve_behind_a_written_group(struct weir_log *log)
{
    uint8_t payload[40000] = {1};
    struct weir_reservation reservation;
    assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    assert_int_equal(weir_reserve(log, 0, 8, &reservation), 0);
    assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    return reservation;
}

static void *make_room_call(void *context)
{
    struct call *call = context;
    call->rc = commit_make_room(call->log);
    return NULL;
}

static void wl_16_a_holder_waits_for_what_lies_before_while_another_thread_makes_room(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_reservation reservation = reserve_behind_a_written_group(log);
    struct call maker = {.log = log};
    start(&maker, make_room_call);
    while (atomic_load(&log->commit.leading) == 0 && weir_durable_lsn(log) == 0) {
        base_yield();
    }
    assert_int_equal(weir_wait(log, 1, WEIR_WAIT_FOREVER), 0);
    assert_int_equal(weir_cancel(log, &reservation), 0);
    assert_int_equal(finish(&maker), 0);
    close_log(log);
    disk_free(&disk);
}

static void wl_12_poison_wakes_a_leader_that_waits_for_a_reservation(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct test_disk disk = disk_new();
        struct weir_log *log = open_log(&disk, NULL);
        struct weir_reservation reservation = reserve_behind_a_written_group(log);
        struct call waiter = {.log = log, .lsn = reservation.lsn};
        start(&waiter, wait_call);
        while (weir_durable_lsn(log) == 0) {
            base_yield(); /* then it has only the reservation to wait for */
        }
        log_poison(log, -EIO);
        assert_int_equal(finish(&waiter), WEIR_E_POISONED);
        assert_int_equal(weir_cancel(log, &reservation), 0);
        assert_int_equal(weir_log_close(log), WEIR_E_POISONED);
        disk_free(&disk);
    }
}

struct gate {
    const char *call;
    _Atomic uint32_t arrived, open;
};

static int stop_at_gate(void *context, const char *call, const char *name, uint64_t offset,
                        size_t size)
{
    struct gate *gate = context;
    (void)name;
    (void)offset;
    (void)size;
    if (strcmp(call, gate->call) == 0) {
        atomic_store(&gate->arrived, 1);
        while (atomic_load(&gate->open) == 0) {
            base_yield();
        }
    }
    return 0;
}

static void a_leader_waits_for_a_copy_beside_a_published_reservation(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct test_disk disk = disk_new();
        struct gate gate = {.call = "copy"};
        disk.options.block_bytes = 64;
        disk.options.window_is_file = true; /* large payloads go through copy() */
        struct weir_log *log = open_log(&disk, NULL);
        sim_memory_faults_set(log->medium, &(struct sim_memory_faults){stop_at_gate, &gate});
        struct weir_reservation reservation;
        assert_int_equal(weir_reserve(log, 0, 8, &reservation), 0);
        memset(reservation.data, 1, 8);
        assert_int_equal(weir_publish(log, &reservation, WEIR_NONE), 0);
        struct call copying = {.log = log, .size = 20000, .durability = WEIR_NONE};
        start(&copying, append_call);
        while (atomic_load(&gate.arrived) == 0) {
            base_yield();
        }
        uint64_t head = atomic_load(&log->tail.head);
        struct call leading = {.log = log, .size = 1, .durability = WEIR_EACH};
        start(&leading, append_call);
        while (atomic_load(&log->tail.head) == head) {
            base_yield();
        }
        atomic_store(&gate.open, 1);
        assert_int_equal(finish(&copying), 0);
        assert_int_equal(finish(&leading), 0);
        close_log(log);
        disk_free(&disk);
    }
}

/* ---- flushes ---- */

struct failing_flush {
    const char *name; /* of the file whose flush fails */
    bool flushing;
    int hits;
};

static int fail_flush_of(void *context, const char *call, const char *name, uint64_t offset,
                         size_t size)
{
    struct failing_flush *failing = context;
    (void)offset;
    (void)size;
    failing->flushing = failing->flushing || strcmp(call, "flush_file") == 0;
    if (failing->flushing && strcmp(call, "complete") == 0 && strcmp(name, failing->name) == 0) {
        failing->hits++;
        return -EIO;
    }
    return 0;
}

/* Two files hold what was only written. */
static struct weir_log *open_with_written_groups_in_two_files(struct test_disk *disk)
{
    struct weir_log *log = open_log(disk, NULL);
    uint8_t payload[15000] = {1};
    struct weir_stat stat = WEIR_STAT_INIT;
    for (int i = 0; i < 13; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    }
    assert_int_equal(weir_commit(log), 0);
    do {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
        weir_log_stat(log, &stat);
    } while (stat.segments < 2);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    }
    return log;
}

static void wl_12_a_failed_flush_of_one_file_is_not_made_good_by_another_files(void **state)
{
    (void)state;
    for (int reversed = 0; reversed < 2; reversed++) {
        struct test_disk disk = disk_new();
        disk.options.asynchronous = true;
        disk.options.reversed = reversed != 0;
        struct weir_log *log = open_with_written_groups_in_two_files(&disk);
        struct failing_flush failing = {.name = reversed != 0 ? "segment-0000000000000002"
                                                              : "segment-0000000000000001"};
        sim_memory_faults_set(log->medium, &(struct sim_memory_faults){fail_flush_of, &failing});
        weir_lsn before = weir_durable_lsn(log);
        assert_int_equal(weir_commit(log), WEIR_E_POISONED);
        assert_int_equal(failing.hits, 1);
        weir_lsn base = reversed != 0 ? log->tail.segment->start.next_lsn - 1 : before;
        assert_true(weir_durable_lsn(log) <= base);
        sim_memory_faults_set(log->medium, &(struct sim_memory_faults){0});
        assert_int_equal(weir_log_close(log), WEIR_E_POISONED);
        disk_free(&disk);
    }
}

static void written_groups_in_two_files_become_durable_with_a_queue_of_one(void **state)
{
    (void)state;
    for (int asynchronous = 0; asynchronous < 2; asynchronous++) {
        struct test_disk disk = disk_new();
        disk.options.asynchronous = asynchronous != 0;
        disk.options.queue_depth = 1;
        struct weir_log *log = open_with_written_groups_in_two_files(&disk);
        struct weir_stat stat = WEIR_STAT_INIT;
        weir_log_stat(log, &stat);
        assert_int_equal(weir_commit(log), 0);
        assert_int_equal(weir_durable_lsn(log), stat.reserved);
        close_log(log);
        disk_free(&disk);
    }
}

/* ---- how many writes at once ---- */

static uint32_t writes_of_a_round(struct test_disk *disk, enum commit_mode mode)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_CREATE;
    options.segment_bytes = 1 << 20; /* W is then enough for all of them */
    options.group_bytes = 16 << 10;
    struct weir_log *log = open_log(disk, &options);
    uint8_t payload[7000] = {1};
    uint64_t first = atomic_load(&log->tail.head);
    assert_true(leader_try(log)); /* so that nobody submits or reaps meanwhile */
    while (atomic_load(&log->tail.head) < first + 12) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    }
    assert_int_equal(commit_round(log, mode, 0), 0);
    uint32_t writes = log->commit.writes_in_flight;
    leader_leave(log);
    close_log(log);
    return writes;
}

static void a_stream_keeps_more_writes_in_flight_than_a_commit(void **state)
{
    (void)state;
    static const struct {
        uint32_t depth;
        enum commit_mode mode;
        uint32_t writes;
    } cases[] = {
        {16, COMMIT_BACKGROUND, 8}, {16, COMMIT_DURABLE, 4},   {6, COMMIT_BACKGROUND, 6},
        {6, COMMIT_DURABLE, 4},     {1, COMMIT_BACKGROUND, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct test_disk disk = disk_new();
        disk.options.asynchronous = true;
        disk.options.queue_depth = cases[i].depth;
        assert_int_equal(writes_of_a_round(&disk, cases[i].mode), cases[i].writes);
        disk_free(&disk);
    }
}

/* ---- commits that are put off ---- */

static bool is_readable(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, 0) == 1;
}

/* What an event loop does until it would sleep. */
static weir_lsn run_loop(struct weir_log *log, int fd)
{
    weir_lsn durable = weir_durable_lsn(log);
    for (int turn = 0; is_readable(fd); turn++) {
        assert_true(turn < 1000);
        assert_int_equal(weir_process(log, &durable), 0);
    }
    return durable;
}

static void an_event_loop_never_sleeps_on_records_that_nobody_commits(void **state)
{
    (void)state;
    for (int asynchronous = 0; asynchronous < 2; asynchronous++) {
        struct test_disk disk = disk_new();
        disk.options.asynchronous = asynchronous != 0;
        struct weir_log *log = open_log(&disk, NULL);
        int fd;
        append_text(log, "before there was a descriptor", WEIR_GROUP);
        assert_int_equal(weir_eventfd(log, &fd), 0);
        assert_int_equal(run_loop(log, fd), 1);
        for (int i = 0; i < 64; i++) { /* a burst, and then fewer than became durable with it */
            append_text(log, "burst", WEIR_GROUP);
        }
        assert_int_equal(run_loop(log, fd), 65);
        for (weir_lsn lsn = 66; lsn < 80; lsn++) {
            assert_int_equal(append_text(log, "alone", WEIR_GROUP), lsn);
            assert_int_equal(run_loop(log, fd), lsn);
        }
        struct weir_reservation reservation;
        assert_int_equal(weir_reserve(log, 0, 8, &reservation), 0);
        append_text(log, "behind a reservation", WEIR_GROUP);
        assert_int_equal(run_loop(log, fd), 79);
        assert_int_equal(weir_cancel(log, &reservation), 0);
        assert_int_equal(run_loop(log, fd), 81);
        close_log(log);
        disk_free(&disk);
    }
}

static void an_event_loop_hears_of_poison(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    int fd;
    assert_int_equal(weir_eventfd(log, &fd), 0);
    assert_int_equal(run_loop(log, fd), 0);
    log_poison(log, -EIO);
    assert_true(is_readable(fd));
    assert_int_equal(weir_process(log, NULL), WEIR_E_POISONED);
    assert_int_equal(weir_log_close(log), WEIR_E_POISONED);
    disk_free(&disk);
}

/* As the next append does when it finds the open group older than a millisecond. */
static void let_the_open_group_age(struct weir_log *log)
{
    base_lock_acquire(&log->tail.lock);
    if (log->tail.group_open) {
        reserve_close_group(log);
    }
    base_lock_release(&log->tail.lock);
}

static void wl_03_group_appends_that_come_slowly_commit_those_before_them(void **state)
{
    (void)state;
    for (int asynchronous = 0; asynchronous < 2; asynchronous++) {
        struct test_disk disk = disk_new();
        disk.options.asynchronous = asynchronous != 0;
        struct weir_log *log = open_log(&disk, NULL);
        for (int i = 0; i < 100; i++) {
            append_text(log, "burst", WEIR_NONE);
        }
        weir_lsn last = append_text(log, "burst", WEIR_EACH);
        for (int i = 0; i < 20; i++) {
            let_the_open_group_age(log);
            weir_lsn lsn = append_text(log, "now and then", WEIR_GROUP);
            assert_true(weir_durable_lsn(log) + 2 >= last); /* what was submitted completes later */
            last = lsn;
        }
        close_log(log);
        disk_free(&disk);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_waiter_that_is_satisfied_while_it_queues_does_not_sleep),
        cmocka_unit_test(one_call_wakes_all_whom_a_flush_satisfies_and_nobody_else),
        cmocka_unit_test_teardown(a_waiter_stays_awake_where_a_commit_costs_less_than_a_switch,
                                  restore_system),
        cmocka_unit_test_teardown(a_waiter_that_is_awake_goes_on_with_what_the_leader_leaves_it,
                                  restore_system),
        cmocka_unit_test_teardown(a_waiter_that_is_called_just_before_it_sleeps_does_not_sleep,
                                  restore_system),
        cmocka_unit_test(a_waiter_whose_time_is_up_leaves_the_queue),
        cmocka_unit_test(who_steps_down_looks_at_the_queue_once_more),
        cmocka_unit_test(wl_16_a_holder_waits_for_what_lies_before_while_another_thread_makes_room),
        cmocka_unit_test(wl_12_poison_wakes_a_leader_that_waits_for_a_reservation),
        cmocka_unit_test(a_leader_waits_for_a_copy_beside_a_published_reservation),
        cmocka_unit_test(wl_12_a_failed_flush_of_one_file_is_not_made_good_by_another_files),
        cmocka_unit_test(written_groups_in_two_files_become_durable_with_a_queue_of_one),
        cmocka_unit_test(a_stream_keeps_more_writes_in_flight_than_a_commit),
        cmocka_unit_test(an_event_loop_never_sleeps_on_records_that_nobody_commits),
        cmocka_unit_test(an_event_loop_hears_of_poison),
        cmocka_unit_test(wl_03_group_appends_that_come_slowly_commit_those_before_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
