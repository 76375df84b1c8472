/*
 * SIGSTOP: a stopped writer still has the log. Nobody else may write, readers go on, and when it is
 * continued so does it; when it is killed instead, the next one keeps all that was acknowledged.
 */
#include "process_support.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define RECORDS 10u
#define LOCK_WAIT_NS INT64_C(30000000)

struct place {
    const struct process_medium *medium;
    char directory[256];
};

/* 'a' appends RECORDS durably; 'g' as many that are on their way. */
static int write_on_order(void *context, struct process *self)
{
    struct place *place = context;
    struct weir_log *log = process_open(place->medium, place->directory, WEIR_LOG_CREATE);
    weir_lsn lsn = 0;
    for (;;) {
        char order = process_next_order(self);
        if (order == '\0') {
            return weir_log_close(log) == 0 ? 0 : 1;
        }
        for (unsigned i = 0; i < RECORDS; i++) {
            static const uint8_t payload[9000];
            bool last = i + 1 == RECORDS;
            lsn = 0;
            if (try_append(log, payload, sizeof payload,
                           order == 'a' && last ? WEIR_EACH : WEIR_GROUP, &lsn) < 0) {
                return 2;
            }
        }
        process_answer(self, lsn);
    }
}

static void stop(const struct process *writer)
{
    int status = 0;
    assert_int_equal(kill(writer->pid, SIGSTOP), 0);
    assert_int_equal(waitpid(writer->pid, &status, WUNTRACED), writer->pid);
    assert_true(WIFSTOPPED(status));
}

static void expect_refusal(const struct place *place, pid_t holder)
{
    struct weir_log_options options = process_options(place->medium, 0);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    char name[64];
    (void)snprintf(name, sizeof name, "process %d on", (int)holder);
    options.lock_wait_ns = LOCK_WAIT_NS;
    uint64_t start_ns = base_clock_monotonic_ns();
    assert_int_equal(weir_log_open(place->directory, &options, &log, &why), WEIR_E_LOCKED);
    assert_true(base_clock_monotonic_ns() - start_ns >= (uint64_t)LOCK_WAIT_NS);
    assert_non_null(strstr(why.text, name));
}

static void wl_14_a_stopped_writer_keeps_the_log_and_readers_go_on(void **state)
{
    struct place place = {.medium = *state};
    process_skip_without(place.medium);
    make_directory(place.directory, sizeof place.directory);
    close_log(process_open(place.medium, place.directory, WEIR_LOG_CREATE));
    struct process writer = process_start(write_on_order, &place);
    process_tell(&writer, 'a');
    assert_int_equal(process_hear(&writer), RECORDS);
    struct weir_log *reader = process_open(place.medium, place.directory, WEIR_LOG_READ_ONLY);
    struct weir_cursor *cursor;
    assert_int_equal(weir_cursor_open(reader, NULL, &cursor), 0);

    stop(&writer);
    expect_refusal(&place, writer.pid);
    process_read_to(cursor, RECORDS);
    struct weir_log *late = process_open(place.medium, place.directory, WEIR_LOG_READ_ONLY);
    assert_int_equal(count_records(late), RECORDS);
    close_log(late);
    process_tell(&writer, 'a'); /* it cannot hear that yet */
    assert_int_equal(weir_cursor_wait(cursor, 1000000), 0);

    assert_int_equal(kill(writer.pid, SIGCONT), 0);
    assert_int_equal(process_hear(&writer), 2 * RECORDS);
    process_read_to(cursor, 2 * RECORDS);

    /* Stopped and killed, with writes on their way. */
    process_tell(&writer, 'g');
    stop(&writer);
    assert_int_equal(kill(writer.pid, SIGKILL), 0);
    struct weir_log *next = process_open(place.medium, place.directory, 0);
    weir_lsn kept = weir_durable_lsn(next);
    assert_in_range(kept, 2 * RECORDS, 3 * RECORDS);
    append_text(next, "goes on", WEIR_EACH);
    process_read_to(cursor, kept + 1);
    close_log(next);
    weir_cursor_close(cursor);
    close_log(reader);
    assert_true(WIFSIGNALED(process_end(&writer)));
    remove_directory(place.directory);
}

int main(int argc, char **argv)
{
    static char names[8][160];
    struct CMUnitTest tests[8];
    for (unsigned m = 0; m < PROCESS_MEDIA_COUNT; m++) {
        (void)snprintf(names[m], sizeof names[m],
                       "wl_14_a_stopped_writer_keeps_the_log_and_readers_go_on_on_%s",
                       PROCESS_MEDIA[m].name);
        tests[m] =
            (struct CMUnitTest){names[m], wl_14_a_stopped_writer_keeps_the_log_and_readers_go_on,
                                NULL, NULL, (void *)(uintptr_t)&PROCESS_MEDIA[m]};
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return _cmocka_run_group_tests("stop", tests, PROCESS_MEDIA_COUNT, NULL, NULL);
}
