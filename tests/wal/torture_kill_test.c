/*
 * kill -9: writers in a process of their own on a real directory, killed at a random moment, and
 * readers that tail them from other processes all the time.
 *
 * WEIR_DEEP_ROUNDS sets the number of rounds of each medium, WEIR_SEED the first seed.
 */
#include "tests/wal/torture.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READERS 2u

struct setting {
    const char *name;
    enum weir_medium_kind medium;
    enum weir_io_kind io;
    const char *parent; /* NULL: the test's directory */
    unsigned disk_mib;  /* a disk of its own that soon is full; 0: none */
};

/* What a reader process has seen, in shared memory. */
struct view {
    _Atomic uint64_t seen; /* last LSN that it was shown */
    _Atomic uint32_t ids[TORTURE_RECORDS_MAX];
};

struct tally {
    unsigned rounds, logs, violations, readers_killed, stopped;
    uint64_t acknowledged, shown; /* records: sums over the logs */
};

struct arena {
    const struct setting *setting;
    char directory[256];
    struct referee *referee;
    struct view *views[READERS];
    pid_t readers[READERS];
    struct base_prng prng;
    bool full; /* as many records as the referee can follow */
    struct tally *tally;
};

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

static struct weir_log_options options_of(const struct arena *arena, uint32_t flags)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.medium = arena->setting->medium;
    options.io = arena->setting->io;
    options.flags = flags;
    if (options.medium == WEIR_MEDIUM_PMEM) {
        options.flags |= WEIR_LOG_ALLOW_EMULATED_PMEM;
    }
    options.lock_wait_ns = INT64_C(20000000000);
    return options;
}

/* Not every machine allows io_uring, or has memory for files. */
static void skip_without(const struct setting *setting)
{
    struct weir_medium_info info;
    const char *parent = setting->parent != NULL ? setting->parent : ".";
    int rc = weir_medium_probe(parent, setting->medium, setting->io, &info);
    if (rc < 0 && rc != WEIR_E_EMULATED) {
        print_message("%s: %s\n", setting->name, weir_error_name(rc));
        if (setting->medium != WEIR_MEDIUM_PMEM) {
            skip();
        }
    }
}

/* ---- the writer's process ---- */

static void writer_main(struct arena *arena, uint64_t seed)
{
    struct base_prng prng;
    base_prng_seed(&prng, seed);
    struct weir_log_options options = options_of(arena, WEIR_LOG_CREATE);
    options.witness = (enum weir_witness)base_prng_below(&prng, 3);
    options.idle_ns = 300000;
    if (options.witness == WEIR_WITNESS_IDLE || base_prng_below(&prng, 2) == 0) {
        options.flags |= WEIR_LOG_SERVICE_THREAD;
    }
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    if (weir_log_open(arena->directory, &options, &log, &why) < 0) {
        referee_fail(arena->referee, "a writer is refused: %s", why.text);
        _exit(1);
    }
    atomic_store(&arena->referee->stop, 0);
    struct torture torture = {
        .referee = arena->referee,
        .log = log,
        .seed = base_prng_next(&prng),
        .threads = 1 + (unsigned)base_prng_below(&prng, 8),
        .tailers = (unsigned)base_prng_below(&prng, 2),
        .ops = 100000,
        .payload_max = 12000,
        .truncates = base_prng_below(&prng, 2) == 0 || arena->setting->disk_mib != 0,
        .compacts = base_prng_below(&prng, 2) == 0,
    };
    torture_run(&torture);
    _exit(weir_log_close(log) == 0 ? 0 : 2);
}

/* ---- a reader's process ---- */

static void reader_main(struct arena *arena, struct view *view)
{
    struct weir_log_options options = options_of(arena, WEIR_LOG_READ_ONLY);
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_cursor *cursor;
    struct weir_cursor_options from = WEIR_CURSOR_OPTIONS_INIT;
    from.with_void = true;
    from.from = WEIR_FROM_LSN;
    int opened = weir_log_open(arena->directory, &options, &log, &why);
    do {
        from.lsn = opened == 0 ? referee_earliest_whole(log) : 0;
        opened = opened < 0 ? opened : weir_cursor_open(log, &from, &cursor);
    } while (opened == WEIR_E_TRUNCATED || opened == WEIR_E_HORIZON);
    if (opened < 0) {
        referee_fail(arena->referee, "a reader is refused: %s", why.text);
        _exit(1);
    }
    weir_lsn next = weir_cursor_position(cursor);
    struct weir_record record;
    for (;;) {
        int rc = weir_cursor_next(cursor, &record);
        if (rc == 1) {
            if (record.lsn != next) {
                referee_fail(arena->referee, "a reader got %ju, not %ju", (uintmax_t)record.lsn,
                             (uintmax_t)next);
            }
            uint32_t id = torture_id(&record);
            if (id == 0) {
                referee_fail(arena->referee, "a reader got bytes that nobody appended at %ju",
                             (uintmax_t)record.lsn);
            }
            uint32_t before = atomic_exchange(&view->ids[record.lsn % TORTURE_RECORDS_MAX], id);
            if (before != 0 && before != id) {
                referee_fail(arena->referee, "a reader got %x at %ju, where it had been shown %x",
                             id, (uintmax_t)record.lsn, before);
            }
            if (record.lsn > atomic_load(&view->seen)) { /* else it came after one was killed */
                atomic_store(&view->seen, record.lsn);
            }
            next = record.lsn + 1;
        } else if (rc == WEIR_E_TRUNCATED || rc == WEIR_E_HORIZON) {
            rc = weir_cursor_seek(cursor, referee_earliest_whole(log));
            if (rc == 0 && weir_cursor_position(cursor) < next) {
                referee_fail(arena->referee, "a reader is set back from %ju to %ju",
                             (uintmax_t)next, (uintmax_t)weir_cursor_position(cursor));
            }
            next = rc == 0 ? weir_cursor_position(cursor) : next;
        } else if (rc == 0) {
            rc = weir_cursor_wait(cursor, 100000000);
        }
        if (rc < 0 && rc != WEIR_E_TRUNCATED && rc != WEIR_E_HORIZON) {
            struct weir_error detail = WEIR_ERROR_INIT;
            (void)weir_cursor_error(cursor, &detail);
            referee_fail(arena->referee, "a reader at %ju: %s (%s)", (uintmax_t)next,
                         weir_error_name(rc), detail.text);
            _exit(1);
        }
    }
}

static pid_t start_reader(struct arena *arena, unsigned number)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        reader_main(arena, arena->views[number]);
        _exit(0);
    }
    return pid;
}

/* ---- a round ---- */

static void nap_ns(uint64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    (void)nanosleep(&time, NULL);
}

/* Stopped, it still has the log: nobody else may open it. */
static void try_beside_a_stopped_writer(struct arena *arena, pid_t writer)
{
    kill(writer, SIGSTOP);
    struct weir_log_options options = options_of(arena, 0);
    options.lock_wait_ns = 5000000;
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_log_open(arena->directory, &options, &log, &why);
    if (rc != WEIR_E_LOCKED) {
        referee_fail(arena->referee, "beside a stopped writer: %d", rc);
    }
    kill(writer, SIGCONT);
}

static void check_views(struct arena *arena, weir_lsn latest)
{
    struct referee *referee = arena->referee;
    for (unsigned i = 0; i < READERS; i++) {
        struct view *view = arena->views[i];
        weir_lsn seen = atomic_load(&view->seen);
        if (seen > latest) {
            referee_fail(referee, "reader %u was shown %ju, the next writer keeps %ju", i,
                         (uintmax_t)seen, (uintmax_t)latest);
        }
        weir_lsn from = seen > 4000 ? seen - 4000 : 1;
        for (weir_lsn lsn = from; lsn <= seen; lsn++) {
            uint32_t id = atomic_load(&view->ids[lsn]), is = atomic_load(&referee->ids[lsn]);
            if (id != 0 && is != 0 && id != is) {
                referee_fail(referee, "reader %u was shown %x at %ju, which is %x", i, id,
                             (uintmax_t)lsn, is);
            }
        }
        int status;
        if (waitpid(arena->readers[i], &status, WNOHANG) != 0) {
            referee_fail(referee, "reader %u has died: %x", i, (unsigned)status);
        }
    }
}

/* Starts a writer and kills it. */
static void kill_writer(struct arena *arena, uint64_t seed)
{
    struct referee *referee = arena->referee;
    atomic_store(&referee->stop, 1); /* until the log is open */
    (void)fflush(NULL);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        writer_main(arena, seed);
    }
    if (base_prng_below(&arena->prng, 8) != 0) {
        for (int i = 0; i < 10000 && atomic_load(&referee->stop) != 0; i++) {
            nap_ns(1000000);
        }
    }
    nap_ns(base_prng_below(&arena->prng, 40000000));
    if (base_prng_below(&arena->prng, 6) == 0 && atomic_load(&referee->stop) == 0) {
        try_beside_a_stopped_writer(arena, writer);
    }
    if (base_prng_below(&arena->prng, 3) == 0) {
        kill(writer, SIGSTOP); /* its writes in flight go on without it */
        arena->tally->stopped++;
    }
    kill(writer, SIGKILL);
    int status = 0;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    bool ended = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (ended && atomic_load(&referee->stop) != 0) {
        arena->full = true;
    } else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        referee_fail(referee, "the writer ended by itself: %x", (unsigned)status);
    }
}

/* What a reader that comes now is shown; 0: it could not be asked. */
static weir_lsn ask_a_late_reader(struct arena *arena)
{
    struct referee *referee = arena->referee;
    struct referee_facts facts = referee_facts(referee);
    struct weir_log_options options = options_of(arena, WEIR_LOG_READ_ONLY);
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    if (weir_log_open(arena->directory, &options, &log, &why) < 0) {
        referee_fail(referee, "a late reader is refused: %s", why.text);
        return 0;
    }
    weir_lsn shown = referee_judge(referee, log, &facts);
    (void)weir_log_close(log);
    return shown;
}

static void verify(struct arena *arena)
{
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    struct weir_log_options options = options_of(arena, WEIR_LOG_READ_ONLY);
    int rc = weir_verify(arena->directory, &options, NULL, NULL, &report, NULL);
    if (rc < 0 || !report.ok || report.findings != 0) {
        referee_fail(arena->referee, "verify: %d, %ju findings", rc, (uintmax_t)report.findings);
    }
}

/* Another one takes its place, and must be shown the same. */
static void kill_a_reader(struct arena *arena)
{
    unsigned number = (unsigned)base_prng_below(&arena->prng, READERS);
    kill(arena->readers[number], SIGKILL);
    int status;
    assert_int_equal(waitpid(arena->readers[number], &status, 0), arena->readers[number]);
    if (!WIFSIGNALED(status)) {
        referee_fail(arena->referee, "a reader had ended by itself: %x", (unsigned)status);
    }
    arena->readers[number] = start_reader(arena, number);
    arena->tally->readers_killed++;
}

static bool kill_round(struct arena *arena, uint64_t seed)
{
    struct referee *referee = arena->referee;
    if (base_prng_below(&arena->prng, 4) == 0) {
        kill_a_reader(arena);
    }
    kill_writer(arena, seed);
    weir_lsn shown = base_prng_below(&arena->prng, 2) == 0 ? ask_a_late_reader(arena) : 0;
    struct weir_log_options options = options_of(arena, 0);
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    if (weir_log_open(arena->directory, &options, &log, &why) < 0) {
        referee_fail(referee, "the next writer is refused: %s", why.text);
        return false;
    }
    struct referee_facts facts = referee_facts(referee);
    weir_lsn latest = referee_judge(referee, log, &facts);
    if (shown != 0 && shown != latest) {
        referee_fail(referee, "a reader was shown %ju, the writer keeps %ju", (uintmax_t)shown,
                     (uintmax_t)latest);
    }
    referee_next_round(referee, log, latest);
    check_views(arena, latest);
    assert_int_equal(weir_log_close(log), 0);
    if (base_prng_below(&arena->prng, 4) == 0) {
        verify(arena);
    }
    return atomic_load(&referee->failures) == 0;
}

static void create(struct arena *arena)
{
    static const uint64_t sizes[] = {SMALL_SEGMENT, SMALL_SEGMENT, SMALL_SEGMENT * 4,
                                     SMALL_SEGMENT * 16};
    struct weir_log_options options = options_of(arena, WEIR_LOG_CREATE);
    options.segment_bytes =
        sizes[base_prng_below(&arena->prng, arena->setting->disk_mib != 0 ? 2 : 4)];
    uint64_t run_ahead = options.segment_bytes >> base_prng_below(&arena->prng, 3);
    options.run_ahead_bytes = run_ahead < 65536 ? 65536 : run_ahead;
    options.group_bytes = 16384;
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_log_open(arena->directory, &options, &log, &why);
    if (rc < 0) {
        print_error("%s: %s\n", arena->setting->name, why.text);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(weir_log_close(log), 0);
}

/* A file system in memory, in a mount namespace of this process; false: not permitted. */
static bool mount_small_disk(const char *directory, unsigned mib)
{
    char options[40];
    (void)snprintf(options, sizeof options, "size=%um", mib);
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", directory, "tmpfs", 0, options) == 0;
}

static void count_up(const struct arena *arena, unsigned rounds, bool good)
{
    struct tally *tally = arena->tally;
    tally->logs++;
    tally->rounds += rounds;
    tally->violations += !good;
    tally->acknowledged += atomic_load(&arena->referee->acknowledged);
    for (unsigned i = 0; i < READERS; i++) {
        tally->shown += atomic_load(&arena->views[i]->seen);
    }
}

/* A log, its readers, and so many killed writers. */
static bool torture_log(const struct setting *setting, uint64_t seed, unsigned rounds,
                        struct tally *tally)
{
    struct arena arena = {.setting = setting, .referee = referee_new(), .tally = tally};
    base_prng_seed(&arena.prng, seed);
    if (setting->parent != NULL) {
        (void)snprintf(arena.directory, sizeof arena.directory, "%s/weir-torture-XXXXXX",
                       setting->parent);
        assert_non_null(mkdtemp(arena.directory));
    } else {
        make_directory(arena.directory, sizeof arena.directory);
    }
    if (setting->disk_mib != 0 && !mount_small_disk(arena.directory, setting->disk_mib)) {
        print_message("%s: no file system can be mounted here\n", setting->name);
        remove_directory(arena.directory);
        skip();
    }
    create(&arena);
    (void)fflush(NULL);
    for (unsigned i = 0; i < READERS; i++) {
        arena.views[i] = share(sizeof *arena.views[i]);
        arena.readers[i] = start_reader(&arena, i);
    }
    bool good = true;
    unsigned round = 0;
    for (; good && !arena.full && round < rounds; round++) {
        alarm(120);
        good = kill_round(&arena, seed * 1000 + round);
    }
    count_up(&arena, round, good);
    for (unsigned i = 0; i < READERS; i++) {
        kill(arena.readers[i], SIGKILL);
        waitpid(arena.readers[i], NULL, 0);
        munmap(arena.views[i], sizeof *arena.views[i]);
    }
    if (!good) {
        print_error("%s, seed %ju, round %u, %s: %s\n", setting->name, (uintmax_t)seed, round - 1,
                    arena.directory, arena.referee->failure);
    } else {
        remove_directory(arena.directory);
    }
    if (setting->disk_mib != 0) {
        (void)umount2(arena.directory, MNT_DETACH);
        (void)rmdir(arena.directory);
    }
    referee_free(arena.referee);
    return good;
}

/* ---- fork() with an open handle, and two openers ---- */

static int open_in_child(const struct arena *arena)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct weir_log_options options = options_of(arena, 0);
        options.lock_wait_ns = WEIR_NO_WAIT;
        struct weir_log *log = NULL;
        struct weir_error why = WEIR_ERROR_INIT;
        int rc = weir_log_open(arena->directory, &options, &log, &why);
        _exit(rc == WEIR_E_LOCKED ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* Of a copy that fork() made: nothing but closing works. Returns the number of what did. */
static int use_forked(struct weir_log *log, struct weir_cursor *cursor)
{
    struct weir_record record;
    struct weir_stat stat = WEIR_STAT_INIT;
    weir_lsn durable;
    int fd;
    struct weir_reservation reservation;
    const int codes[] = {
        try_append(log, "child", 5, WEIR_EACH, NULL),
        weir_reserve(log, 1, 8, &reservation),
        weir_commit(log),
        weir_wait(log, 1, 0),
        weir_process(log, &durable),
        weir_truncate_before(log, 2, NULL),
        weir_hold_set(log, "child", 1),
        weir_log_stat(log, &stat),
        weir_prepare(log, 1),
        weir_eventfd(log, &fd),
        weir_cursor_next(cursor, &record),
        weir_cursor_wait(cursor, 0),
        weir_cursor_seek(cursor, 1),
    };
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i] != WEIR_E_FORKED) {
            return (int)i + 1;
        }
    }
    weir_cursor_close(cursor);
    return weir_log_close(log) < 0 ? 100 : 0;
}

static void wl_14_a_forked_handle_only_closes_and_harms_nobody(void **state)
{
    struct arena arena = {.setting = *state};
    skip_without(arena.setting);
    make_directory(arena.directory, sizeof arena.directory);
    for (unsigned service = 0; service < 2; service++) {
        struct weir_log_options options = options_of(&arena, WEIR_LOG_CREATE);
        options.flags |= service != 0 ? WEIR_LOG_SERVICE_THREAD : 0;
        options.segment_bytes = service == 0 ? SMALL_SEGMENT : 0;
        struct weir_log *log = NULL, *second = NULL;
        struct weir_error why = WEIR_ERROR_INIT;
        assert_int_equal(weir_log_open(arena.directory, &options, &log, &why), 0);
        append_text(log, "before", WEIR_EACH);
        append_text(log, "on its way", WEIR_GROUP);
        struct weir_cursor *cursor;
        assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
        (void)fflush(NULL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(use_forked(log, cursor));
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(open_in_child(&arena), 0); /* the lock is still there */
        options.lock_wait_ns = WEIR_NO_WAIT;
        assert_int_equal(weir_log_open(arena.directory, &options, &second, &why), WEIR_E_LOCKED);
        append_text(log, "after", WEIR_EACH);
        assert_int_equal(count_records(log), 3 * (service + 1));
        weir_cursor_close(cursor);
        close_log(log);
    }
    remove_directory(arena.directory);
}

static const struct setting direct_uring = {"medium=direct io=uring", WEIR_MEDIUM_DIRECT,
                                            WEIR_IO_URING, NULL, 0};
static const struct setting direct_sync = {"medium=direct io=sync", WEIR_MEDIUM_DIRECT,
                                           WEIR_IO_SYNC, NULL, 0};
static const struct setting mapped_uring = {"medium=mapped io=uring", WEIR_MEDIUM_MAPPED,
                                            WEIR_IO_URING, NULL, 0};
static const struct setting mapped_sync = {"medium=mapped io=sync", WEIR_MEDIUM_MAPPED,
                                           WEIR_IO_SYNC, NULL, 0};
static const struct setting pmem = {"medium=pmem io=emulated", WEIR_MEDIUM_PMEM, WEIR_IO_AUTO,
                                    "/dev/shm", 0};
static const struct setting full_direct = {"medium=direct io=uring disk=full", WEIR_MEDIUM_DIRECT,
                                           WEIR_IO_URING, NULL, 3};
static const struct setting full_mapped = {"medium=mapped io=sync disk=full", WEIR_MEDIUM_MAPPED,
                                           WEIR_IO_SYNC, NULL, 3};

static void wl_14_nothing_acknowledged_is_lost_when_writers_are_killed(void **state)
{
    const struct setting *setting = *state;
    skip_without(setting);
    uint64_t first = torture_number("WEIR_SEED", 1);
    uint64_t rounds = torture_number("WEIR_DEEP_ROUNDS", setting->disk_mib != 0 ? 6 : 12);
    struct tally tally = {0};
    for (uint64_t seed = first; rounds > 0; seed++) {
        unsigned now = rounds < 24 ? (unsigned)rounds : 24;
        bool good = torture_log(setting, seed, now, &tally);
        rounds = good ? rounds - now : 0;
    }
    alarm(0);
    print_message("layer=kill %s rounds=%u readers-killed=%u stopped=%u acknowledged=%ju shown=%ju "
                  "violations=%u seed=%ju\n",
                  setting->name, tally.rounds, tally.readers_killed, tally.stopped,
                  (uintmax_t)tally.acknowledged, (uintmax_t)tally.shown, tally.violations,
                  (uintmax_t)first);
    assert_int_equal(tally.violations, 0);
}

int main(int argc, char **argv)
{
#define ON(setting)                                                                                \
    {                                                                                              \
        "wl_14_nothing_acknowledged_is_lost_when_writers_are_killed_on_" #setting,                 \
            wl_14_nothing_acknowledged_is_lost_when_writers_are_killed, NULL, NULL,                \
            (void *)(uintptr_t) & (setting)                                                        \
    }
#define FORK_ON(setting)                                                                           \
    {                                                                                              \
        "wl_14_a_forked_handle_only_closes_and_harms_nobody_on_" #setting,                         \
            wl_14_a_forked_handle_only_closes_and_harms_nobody, NULL, NULL,                        \
            (void *)(uintptr_t) & (setting)                                                        \
    }
    const struct CMUnitTest tests[] = {
        ON(direct_uring), ON(direct_sync),       ON(mapped_uring),     ON(mapped_sync),
        ON(pmem),         FORK_ON(direct_uring), FORK_ON(direct_sync), FORK_ON(mapped_uring),
        ON(full_direct),  ON(full_mapped),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
