/*
 * kill -9 in front of the n-th call of the system, for each n of a log's life: while it is created,
 * appended to, rolled over, truncated, closed, opened again. Then the next writer is killed as
 * well, in front of one of its first calls: in recovery. What is left has all that was
 * acknowledged, and a reader is shown exactly what the next writer keeps.
 *
 * The referee is in memory that the killed process shares. A reader process tails the log all the
 * time: what it was shown is acknowledged.
 *
 * The normal run takes a slice of all n; WEIR_DEEP_ROUNDS takes them all, WEIR_SEED chooses.
 * WEIR_FAULT="at of-the-next" repeats one.
 */
#include "tests/fault/inject.h"
#include "tests/fault/scenario.h"
#include "tests/wal/torture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLICES 9u
#define CALLS_OF_RECOVERY 120u

/* Shared by the test, the writers and the reader. */
struct arena {
    struct scenario scenario;
    _Atomic uint64_t shown;               /* the last LSN that the reader process was shown */
    _Atomic uint64_t numbers[LEDGER_MAX]; /* by LSN: the record it was shown there */
    _Atomic uint32_t stop;
    uint64_t at, next_at;
};

static struct arena *arena;
static unsigned reported;

static void report(const char *text)
{
    if (reported++ < 20) {
        print_error("%s/%s, killed at call %ju, the next one at %ju: %s\n",
                    arena->scenario.medium->name, arena->scenario.medium->io, (uintmax_t)arena->at,
                    (uintmax_t)arena->next_at, text);
    }
}

/* ---- processes ---- */

/* Whether it was killed; else it came to its end. */
static bool run_killed(uint64_t at, void (*run)(struct scenario *scenario))
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct fault_plan plan = {.at = at, .kills = true};
        alarm(60);
        fault_arm(&plan);
        run(&arena->scenario);
        (void)fault_disarm();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) && WEXITSTATUS(status) != 0) {
        ledger_violation(&arena->scenario.ledger, "the writer ended with %d", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
        ledger_violation(&arena->scenario.ledger, "the writer died of signal %d", WTERMSIG(status));
    }
    return WIFSIGNALED(status);
}

static void open_and_close(struct scenario *scenario)
{
    struct weir_log_options options = scenario_options(scenario, WEIR_LOG_CREATE);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    options.lock_wait_ns = INT64_C(10000000000); /* a reader may be judging the end */
    if (weir_log_open(scenario->directory, &options, &log, &why) < 0) {
        ledger_violation(&scenario->ledger, "the next writer is refused: %s", why.text);
        return;
    }
    (void)weir_log_close(log);
}

static void note_shown(const struct weir_record *record)
{
    uint32_t number = 0;
    if ((record->flags & WEIR_RECORD_VOID) == 0) {
        memcpy(&number, record->data, sizeof number);
    }
    atomic_store(&arena->numbers[record->lsn % LEDGER_MAX], number);
    atomic_store(&arena->shown, record->lsn);
}

/* Opens until there is something to open, then tails. A truncation moves it forward. */
static void tail(void)
{
    struct weir_log_options options = scenario_options(&arena->scenario, WEIR_LOG_READ_ONLY);
    struct weir_cursor_options from = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_log *log = NULL;
    struct weir_cursor *cursor = NULL;
    options.lock_wait_ns = INT64_C(10000000000);
    from.with_void = true;
    while (atomic_load(&arena->stop) == 0 && log == NULL) {
        struct weir_error why = WEIR_ERROR_INIT;
        (void)weir_log_open(arena->scenario.directory, &options, &log, &why);
    }
    if (log == NULL || weir_cursor_open(log, &from, &cursor) < 0) {
        _exit(log == NULL ? 0 : 3);
    }
    struct weir_record record;
    weir_lsn last = 0;
    for (;;) {
        bool last_look = atomic_load(&arena->stop) != 0;
        int rc;
        while ((rc = weir_cursor_next(cursor, &record)) == 1) {
            if (last != 0 && record.lsn != last + 1) {
                _exit(4);
            }
            last = record.lsn;
            note_shown(&record);
        }
        if (rc == WEIR_E_TRUNCATED) {
            rc = weir_cursor_seek(cursor, 0);
            last = weir_cursor_position(cursor) - 1;
        } else if (rc == 0 && !last_look) {
            rc = weir_cursor_wait(cursor, 1000000);
            rc = rc == WEIR_E_TRUNCATED ? 0 : rc;
        }
        if (rc < 0) {
            _exit(5);
        }
        if (last_look) {
            break;
        }
    }
    weir_cursor_close(cursor);
    _exit(weir_log_close(log) == 0 ? 0 : 6);
}

static pid_t start_reader(void)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        tail();
    }
    return pid;
}

/* ---- a round ---- */

/* What the reader was shown last is what the log holds there. */
static void check_shown(void)
{
    struct scenario *self = &arena->scenario;
    weir_lsn shown = atomic_load(&arena->shown);
    uint64_t number = atomic_load(&arena->numbers[shown % LEDGER_MAX]);
    if (shown == 0 || number == 0) {
        return;
    }
    const struct ledger_entry *entry = &self->ledger.entries[number % LEDGER_MAX];
    if (entry->outcome == LEDGER_ABSENT || (entry->lsn != 0 && entry->lsn != shown)) {
        ledger_violation(&self->ledger, "a reader was shown record %ju at LSN %ju, which is gone",
                         (uintmax_t)number, (uintmax_t)shown);
    }
}

static void end_reader(pid_t reader)
{
    int status;
    atomic_store(&arena->stop, 1);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    if (status != 0) {
        ledger_violation(&arena->scenario.ledger, "the reader ended with %x", (unsigned)status);
    }
}

struct tally {
    unsigned rounds, kills, violations;
    uint64_t acknowledged, shown, seed;
};

/* Returns whether the writer was killed: its life was long enough. */
static bool run_one(const struct scenario_medium *medium, uint64_t at, uint64_t next_at, bool tails,
                    struct tally *tally)
{
    alarm(60);
    memset(arena, 0, sizeof *arena);
    arena->at = at;
    arena->next_at = next_at;
    arena->scenario.ledger.violated = report;
    scenario_begin(&arena->scenario, medium);
    if (tails) { /* a reader has LOCK for as long as it judges the end */
        arena->scenario.lock_wait_ns = INT64_C(10000000000);
    }
    pid_t reader = tails ? start_reader() : 0;
    bool killed = run_killed(at, scenario_run);
    tally->kills += killed;
    if (killed && next_at != 0) {
        tally->kills += run_killed(next_at, open_and_close);
    }
    if (reader != 0) {
        end_reader(reader); /* it has seen the end that the killed one left */
    }
    ledger_acknowledge(&arena->scenario.ledger, atomic_load(&arena->shown));
    scenario_check(&arena->scenario);
    check_shown();
    tally->rounds++;
    tally->acknowledged += arena->scenario.ledger.acknowledged;
    tally->shown += atomic_load(&arena->shown);
    tally->violations += arena->scenario.ledger.violations > 0;
    scenario_end(&arena->scenario);
    alarm(0);
    return killed;
}

static void o1_killed_in_front_of_any_call_nothing_acknowledged_is_lost(void **state)
{
    const struct scenario_medium *medium = *state;
    const char *refusal = scenario_refusal(medium), *asked = getenv("WEIR_FAULT");
    if (refusal != NULL) {
        print_message("%s/%s: %s\n", medium->name, medium->io, refusal);
        skip();
    }
    struct tally tally = {.seed = torture_number("WEIR_SEED", 1)};
    bool deep = torture_number("WEIR_DEEP_ROUNDS", 0) != 0;
    uint64_t at = 0, next_at = 0;
    reported = 0;
    if (asked != NULL && sscanf(asked, "%ju %ju", &at, &next_at) == 2) {
        (void)run_one(medium, at, next_at, true, &tally);
    } else {
        uint64_t step = deep ? 1 : SLICES;
        bool goes_on = true;
        for (at = 1 + (deep ? 0 : tally.seed % step); goes_on; at += step) {
            uint64_t turn = at / step + tally.seed;
            next_at = turn % 3 == 0 ? 0 : 1 + at * 31 % CALLS_OF_RECOVERY;
            goes_on = run_one(medium, at, next_at, turn % 4 == 0, &tally);
        }
    }
    print_message("layer=kill-at-call medium=%s io=%s rounds=%u kills=%u acknowledged=%ju "
                  "shown=%ju violations=%u seed=%ju\n",
                  medium->name, medium->io, tally.rounds, tally.kills,
                  (uintmax_t)tally.acknowledged, (uintmax_t)tally.shown, tally.violations,
                  (uintmax_t)tally.seed);
    assert_int_equal(tally.violations, 0);
    assert_true(tally.kills > 0);
}

int main(int argc, char **argv)
{
    static char names[8][120];
    struct CMUnitTest tests[8];
    arena = mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) {
        return 1;
    }
    for (unsigned m = 0; m < SCENARIO_MEDIA_COUNT; m++) {
        (void)snprintf(names[m], sizeof names[m], "o1_killed_in_front_of_any_call_on_%s_%s",
                       SCENARIO_MEDIA[m].name, SCENARIO_MEDIA[m].io);
        tests[m] = (struct CMUnitTest){names[m],
                                       o1_killed_in_front_of_any_call_nothing_acknowledged_is_lost,
                                       NULL, NULL, (void *)(uintptr_t)&SCENARIO_MEDIA[m]};
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return _cmocka_run_group_tests("kill", tests, SCENARIO_MEDIA_COUNT, NULL, NULL);
}
