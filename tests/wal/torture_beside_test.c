/*
 * Holds, prepare, verify, groups and read-only handles beside writers, in threads of one process:
 * what the thread sanitizer can look at.
 *
 * WEIR_DEEP_ROUNDS sets the number of rounds of each medium, WEIR_SEED the first seed.
 */
#include "process_support.h"
#include "torture.h"

#include "base/thread.h"

#include <errno.h>
#include <stdio.h>

#define ROUNDS 3u

struct look {
    struct base_thread thread;
    const struct process_medium *medium;
    const char *directory;
    struct weir_log *log;
    struct referee *referee;
    _Atomic uint32_t *stop;
    unsigned count;
};

static int on_group(void *context, const struct weir_group *group)
{
    weir_lsn *next = context;
    bool holds_none = group->record_count == 0 && !group->sparse;
    bool follows = holds_none || *next == 0 || group->sparse || group->first_lsn == *next;
    *next = holds_none ? *next : group->last_lsn + 1;
    return follows ? 0 : 1;
}

/* The log is truncated or compacted meanwhile: that is said, and nothing else. */
static bool is_right(int rc)
{
    return rc == 0 || rc == WEIR_E_TRUNCATED || rc == WEIR_E_HORIZON;
}

static void look_at_groups(void *context)
{
    struct look *self = context;
    while (atomic_load(self->stop) == 0) {
        weir_lsn next = 0;
        int rc = weir_log_groups(self->log, on_group, &next);
        if (!is_right(rc)) {
            referee_fail(self->referee, "groups: %d %s", rc, weir_error_name(rc));
        }
        struct weir_stat stat = WEIR_STAT_INIT;
        rc = weir_log_stat(self->log, &stat);
        if (!is_right(rc)) {
            referee_fail(self->referee, "stat: %s", weir_error_name(rc));
        }
        weir_lsn starts[4];
        rc = weir_cursor_split(self->log, 0, 0, 4, starts);
        if (rc < 0 && !is_right(rc)) {
            referee_fail(self->referee, "split: %s", weir_error_name(rc));
        }
        self->count++;
    }
}

static int remember_finding(void *context, const struct weir_finding *finding)
{
    struct weir_finding *last = context;
    if (!finding->note) {
        *last = *finding;
    }
    return 0;
}

static void verify(void *context)
{
    struct look *self = context;
    while (atomic_load(self->stop) == 0) {
        struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
        struct weir_log_options options = process_options(self->medium, 0);
        struct weir_finding last = {.code = "none"};
        struct weir_error why = WEIR_ERROR_INIT;
        int rc = weir_verify(self->directory, &options, remember_finding, &last, &report, &why);
        if (rc < 0 || !report.ok) {
            referee_fail(self->referee, "verify: %s, %ju findings, %s: %s", rc < 0 ? why.text : "0",
                         (uintmax_t)report.findings, last.code, last.text);
        }
        self->count++;
    }
}

static void read_only(void *context)
{
    struct look *self = context;
    while (atomic_load(self->stop) == 0) {
        struct weir_log_options options = process_options(self->medium, WEIR_LOG_READ_ONLY);
        struct weir_error why = WEIR_ERROR_INIT;
        struct weir_log *log = NULL;
        struct weir_cursor *cursor = NULL;
        struct weir_record record;
        if (weir_log_open(self->directory, &options, &log, &why) < 0) {
            referee_fail(self->referee, "a reader is refused: %s", why.text);
            return;
        }
        struct weir_cursor_options view = WEIR_CURSOR_OPTIONS_INIT;
        view.compacted = true;
        int rc = weir_cursor_open(log, &view, &cursor);
        while (rc >= 0 && (rc = weir_cursor_next(cursor, &record)) == 1) {
            if (torture_id(&record) == 0) {
                referee_fail(self->referee, "a reader got other bytes");
            }
        }
        if (!is_right(rc)) {
            referee_fail(self->referee, "a reader: %s", weir_error_name(rc));
        }
        weir_cursor_close(cursor);
        (void)weir_log_close(log);
        self->count++;
    }
}

static unsigned live(const struct process_medium *medium, const char *directory,
                     struct referee *referee, uint64_t seed)
{
    static void (*const runs[])(void *) = {look_at_groups, verify, read_only};
    struct look looks[3];
    _Atomic uint32_t stop = 0;
    struct weir_log *log = process_open(medium, directory, WEIR_LOG_CREATE);
    for (unsigned i = 0; i < 3; i++) {
        looks[i] = (struct look){.medium = medium,
                                 .directory = directory,
                                 .log = log,
                                 .referee = referee,
                                 .stop = &stop};
        assert_int_equal(base_thread_start(&looks[i].thread, "look", runs[i], &looks[i]), 0);
    }
    struct torture torture = {
        .referee = referee,
        .log = log,
        .seed = seed,
        .threads = 3,
        .tailers = 1,
        .ops = 200,
        .payload_max = 6000,
        .truncates = true,
        .retains = true,
        .compacts = true,
    };
    torture_run(&torture);
    atomic_store(&stop, 1);
    unsigned count = 0;
    for (unsigned i = 0; i < 3; i++) {
        base_thread_join(&looks[i].thread);
        count += looks[i].count;
    }
    close_log(log);
    return count;
}

static void o1_verify_holds_and_readers_beside_writers_disturb_nobody(void **state)
{
    const struct process_medium *medium = *state;
    process_skip_without(medium);
    uint64_t seed = torture_number("WEIR_SEED", 1), rounds = torture_number("WEIR_DEEP_ROUNDS", 0);
    rounds = rounds == 0 ? ROUNDS : rounds;
    char directory[256];
    unsigned looks = 0;
    uint64_t round = 0;
    make_directory(directory, sizeof directory);
    struct referee *referee = referee_new();
    for (; round < rounds && atomic_load(&referee->failures) == 0; round++) {
        looks += live(medium, directory, referee, seed + round);
        struct weir_log *log = process_open(medium, directory, 0);
        struct referee_facts facts = referee_facts(referee);
        referee_next_round(referee, log, referee_judge(referee, log, &facts));
        close_log(log);
    }
    bool good = atomic_load(&referee->failures) == 0;
    if (!good) {
        print_error("%s, seed %ju: %s\n", medium->name, (uintmax_t)(seed + round - 1),
                    referee->failure);
    }
    print_message("layer=beside medium=%s rounds=%ju looks=%u violations=%d seed=%ju\n",
                  medium->name, (uintmax_t)round, looks, !good, (uintmax_t)seed);
    referee_free(referee);
    remove_directory(directory);
    assert_true(good);
}

/* ---- a file that goes while somebody looks ---- */

static const struct weir_medium_ops *ops_below;

static int list_one_too_many(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                             void *context)
{
    int rc = ops_below->list(medium, directory, fn, context);
    bool segments = directory[0] == '\0';
    return rc == 0 && segments ? fn(context, "segment-0000000000000063") : rc;
}

static void a_segment_that_goes_while_the_directory_is_read_is_no_error(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "stays", WEIR_EACH);
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&disk.options, &options.custom_medium), 0);
    ops_below = options.custom_medium->ops;
    struct weir_medium_ops ops = *ops_below;
    ops.list = list_one_too_many;
    options.custom_medium->ops = &ops;
    assert_int_equal(weir_verify("memory", &options, NULL, NULL, &report, NULL), 0);
    assert_true(report.ok);
    assert_int_equal(report.records, 1);
    close_log(log);
    disk_free(&disk);
}

int main(int argc, char **argv)
{
    static char names[8][120];
    struct CMUnitTest tests[8];
    for (unsigned m = 0; m < PROCESS_MEDIA_COUNT; m++) {
        (void)snprintf(names[m], sizeof names[m],
                       "o1_verify_holds_and_readers_beside_writers_disturb_nobody_on_%s",
                       PROCESS_MEDIA[m].name);
        tests[m] =
            (struct CMUnitTest){names[m], o1_verify_holds_and_readers_beside_writers_disturb_nobody,
                                NULL, NULL, (void *)(uintptr_t)&PROCESS_MEDIA[m]};
    }
    tests[PROCESS_MEDIA_COUNT] = (struct CMUnitTest)cmocka_unit_test(
        a_segment_that_goes_while_the_directory_is_read_is_no_error);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return _cmocka_run_group_tests("beside", tests, PROCESS_MEDIA_COUNT + 1, NULL, NULL);
}
