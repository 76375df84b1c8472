/*
 * The referee of `weir crash`: logs with planted losses, and the exact LSNs that it names.
 *
 * Two writers append in turn, A1 B1 A2 B2 ..., and all of it is promised unless a test says
 * otherwise. What a log would have to do wrong is done by hand: another record is appended where
 * one was promised, a reservation is cancelled, bytes on the medium are flipped.
 */
#include "cli/crash_engine.h"
#include "cli/crash_moment.h"
#include "cli/crash_referee.h"

#include "tests/wal/support.h"

#include <weir/write.h>

#include <errno.h>
#include <string.h>

#define LIMIT 100000u

static const struct crash_sizes sizes = {CRASH_SIZE_MIN, 100};

struct court {
    struct test_disk disk;
    struct weir_log *log;
    struct crash_referee *referee;
    struct crash_verdict verdict;
    uint32_t numbers[2]; /* of the last record of each writer of this round */
};

static struct court open_court(void)
{
    struct court court = {.disk = disk_new()};
    court.log = open_log(&court.disk, NULL);
    assert_int_equal(crash_referee_create(2, 4, &sizes, LIMIT, &court.referee), 0);
    crash_referee_round_begin(court.referee, 0);
    return court;
}

static void close_court(struct court *court)
{
    close_log(court->log);
    disk_free(&court->disk);
    crash_referee_destroy(court->referee);
}

static void next_round(struct court *court, unsigned round)
{
    crash_referee_round_begin(court->referee, round);
    court->numbers[0] = court->numbers[1] = 0;
}

/* The next record of a writer, announced as a writer would. */
static struct crash_origin next_of(struct court *court, unsigned i)
{
    struct crash_origin origin = {crash_referee_writer(court->referee, i), ++court->numbers[i]};
    crash_referee_try(court->referee, i, origin.number);
    return origin;
}

static weir_lsn append(struct court *court, struct crash_origin origin)
{
    uint8_t payload[100];
    weir_lsn lsn = 0;
    size_t size = crash_record_make(origin, &sizes, payload);
    assert_int_equal(try_append(court->log, payload, size, WEIR_EACH, &lsn), 0);
    return lsn;
}

static void promise(struct court *court, weir_lsn lsn, struct crash_origin origin)
{
    (void)crash_referee_acknowledge(court->referee, lsn, origin);
}

/* The writers in turn: appended and promised. */
static void append_promised(struct court *court, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct crash_origin origin = next_of(court, i % 2);
        promise(court, append(court, origin), origin);
    }
}

static int judge(struct court *court)
{
    struct weir_error why = WEIR_ERROR_INIT;
    return crash_referee_judge(court->referee, court->log, NULL, &court->verdict, &why);
}

static void expect_counts(struct court *court, uint64_t recovered, uint64_t lost, uint64_t wrong)
{
    assert_int_equal(judge(court), 0);
    assert_int_equal(court->verdict.recovered, recovered);
    assert_int_equal(court->verdict.lost, lost);
    assert_int_equal(court->verdict.wrong, wrong);
}

static void expect_finding(const struct court *court, unsigned i, enum crash_fault fault,
                           weir_lsn from, weir_lsn to)
{
    assert_true(i < court->verdict.findings);
    assert_string_equal(crash_fault_name(court->verdict.finding[i].fault), crash_fault_name(fault));
    assert_int_equal(court->verdict.finding[i].from_lsn, from);
    assert_int_equal(court->verdict.finding[i].to_lsn, to);
}

/* ---- nothing is wrong ---- */

static void a_log_that_keeps_its_promises_has_no_findings(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 50);
    expect_counts(&court, 50, 0, 0);
    assert_int_equal(court.verdict.findings, 0);
    assert_int_equal(court.verdict.latest, 50);
    assert_int_equal(court.verdict.acknowledged, 50);
    close_court(&court);
}

static void records_that_nobody_was_promised_may_be_there(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    (void)append(&court, next_of(&court, 0));
    (void)append(&court, next_of(&court, 1));
    expect_counts(&court, 6, 0, 0);
    close_court(&court);
}

static void a_record_that_was_tried_and_never_promised_may_be_absent(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    (void)next_of(&court, 0);
    expect_counts(&court, 4, 0, 0);
    next_round(&court, 1);
    append_promised(&court, 4); /* under the LSNs that the absent record would have had */
    expect_counts(&court, 8, 0, 0);
    close_court(&court);
}

static void what_is_acknowledged_behind_the_cut_promises_nothing(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    crash_referee_cut(court.referee);
    promise(&court, 5, next_of(&court, 0));
    expect_counts(&court, 4, 0, 0);
    assert_int_equal(court.verdict.acknowledged, 4);
    close_court(&court);
}

/* ---- losses ---- */

static void records_missing_at_the_end_are_lost(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 10);
    promise(&court, 11, next_of(&court, 0));
    promise(&court, 12, next_of(&court, 1));
    expect_counts(&court, 10, 2, 0);
    assert_int_equal(court.verdict.findings, 1);
    expect_finding(&court, 0, CRASH_MISSING, 11, 12);
    close_court(&court);
}

static void an_empty_log_has_lost_everything(void **state)
{
    (void)state;
    struct court court = open_court();
    for (weir_lsn lsn = 1; lsn <= 6; lsn++) {
        promise(&court, lsn, next_of(&court, lsn % 2));
    }
    expect_counts(&court, 0, 6, 0);
    expect_finding(&court, 0, CRASH_MISSING, 1, 6);
    close_court(&court);
}

static void a_record_whose_lsn_holds_none_is_lost(void **state)
{
    (void)state;
    struct court court = open_court();
    struct weir_reservation reservation;
    append_promised(&court, 4);
    assert_int_equal(weir_reserve(court.log, 0, 20, &reservation), 0);
    promise(&court, reservation.lsn, next_of(&court, 0));
    assert_int_equal(weir_cancel(court.log, &reservation), 0);
    append_promised(&court, 4);
    expect_counts(&court, 9, 1, 0);
    expect_finding(&court, 0, CRASH_DIFFERENT, 5, 5);
    close_court(&court);
}

static void a_changed_record_is_lost(void **state)
{
    (void)state;
    struct court court = open_court();
    uint8_t payload[100];
    weir_lsn lsn;
    append_promised(&court, 6);
    struct crash_origin origin = next_of(&court, 0);
    size_t size = crash_record_make(origin, &sizes, payload);
    payload[size - 1] ^= 1;
    assert_int_equal(try_append(court.log, payload, size, WEIR_EACH, &lsn), 0);
    promise(&court, lsn, origin);
    append_promised(&court, 6);
    expect_counts(&court, 13, 1, 0);
    assert_int_equal(court.verdict.findings, 1);
    expect_finding(&court, 0, CRASH_DIFFERENT, 7, 7);
    close_court(&court);
}

static void two_promised_records_in_each_others_place_are_lost(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    struct crash_origin first = next_of(&court, 0);
    struct crash_origin second = next_of(&court, 0);
    promise(&court, append(&court, second), first);
    promise(&court, append(&court, first), second);
    append_promised(&court, 4);
    expect_counts(&court, 10, 2, 0);
    assert_int_equal(court.verdict.findings, 1);
    expect_finding(&court, 0, CRASH_DIFFERENT, 5, 6);
    close_court(&court);
}

static void an_lsn_that_is_promised_twice_is_a_loss(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    struct crash_origin first = next_of(&court, 0);
    struct crash_origin second = next_of(&court, 1);
    promise(&court, 5, first);
    promise(&court, append(&court, second), second);
    expect_counts(&court, 5, 1, 0);
    expect_finding(&court, 0, CRASH_TWICE, 5, 5);
    close_court(&court);
}

static void a_record_that_was_recovered_once_must_not_vanish_later(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    (void)append(&court, next_of(&court, 0)); /* promised to nobody, and shown */
    expect_counts(&court, 5, 0, 0);

    struct court later = open_court(); /* a log in which it is not */
    crash_referee_destroy(later.referee);
    later.referee = court.referee;
    append_promised(&later, 4);
    next_round(&later, 1);
    assert_int_equal(judge(&later), 0);
    expect_finding(&later, later.verdict.findings - 1, CRASH_MISSING, 5, 5);
    close_log(later.log);
    disk_free(&later.disk);
    close_court(&court);
}

static struct weir_record record_of(weir_lsn lsn, struct crash_origin origin, uint8_t *payload)
{
    return (struct weir_record){
        .lsn = lsn, .data = payload, .size = (uint32_t)crash_record_make(origin, &sizes, payload)};
}

static void lsns_that_are_skipped_are_named_and_what_was_promised_there_is_lost(void **state)
{
    (void)state;
    struct court court = open_court();
    uint8_t payload[100];
    struct crash_origin origins[9];
    for (weir_lsn lsn = 1; lsn <= 8; lsn++) {
        origins[lsn] = next_of(&court, (unsigned)lsn % 2);
        if (lsn != 5) {
            promise(&court, lsn, origins[lsn]);
        }
    }
    crash_referee_judge_begin(court.referee, &court.verdict);
    for (weir_lsn lsn = 1; lsn <= 8; lsn++) {
        if (lsn < 4 || lsn > 6) {
            struct weir_record record = record_of(lsn, origins[lsn], payload);
            crash_referee_see(court.referee, &record, &court.verdict);
        }
    }
    crash_referee_judge_end(court.referee, &court.verdict);
    assert_int_equal(court.verdict.lost, 2);
    expect_finding(&court, 0, CRASH_GAP, 4, 6);
    expect_finding(&court, 1, CRASH_MISSING, 4, 4);
    expect_finding(&court, 2, CRASH_MISSING, 6, 6);
    close_court(&court);
}

/* Flips a bit of a record's payload in a file of the log. */
struct damage {
    struct weir_medium *medium;
    const uint8_t *payload;
    size_t size;
    unsigned found;
};

static int flip(void *context, const char *name)
{
    struct damage *damage = context;
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(damage->medium, name, false, &size);
    uint8_t *at = bytes != NULL ? memmem(bytes, (size_t)size, damage->payload, damage->size) : NULL;
    if (at != NULL) {
        at[damage->size - 1] ^= 4;
        damage->found++;
    }
    return 0;
}

static void damage_in_front_of_what_opening_reads_is_a_loss_of_exactly_that_record(void **state)
{
    (void)state;
    struct court court = open_court();
    uint8_t payload[100];
    append_promised(&court, 300); /* a block each: more than four segments */
    close_log(court.log);
    struct crash_origin origin = {crash_referee_writer(court.referee, 0), 5}; /* LSN 9 */
    struct damage damage = {court.disk.keeper, payload, crash_record_make(origin, &sizes, payload),
                            0};
    assert_int_equal(court.disk.keeper->ops->list(court.disk.keeper, "", flip, &damage), 0);
    assert_int_equal(damage.found, 1);
    court.log = open_log(&court.disk, NULL);
    assert_int_equal(judge(&court), 0);
    assert_int_equal(court.verdict.lost, 1);
    assert_int_equal(court.verdict.recovered, 299);
    expect_finding(&court, 0, CRASH_GAP, 9, 9);
    expect_finding(&court, 1, CRASH_MISSING, 9, 9);
    close_court(&court);
}

/* ---- what should not be there ---- */

static void bytes_that_no_writer_appended_are_foreign(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    (void)append_text(court.log, "none of the writers appends this", WEIR_EACH);
    append_promised(&court, 4);
    expect_counts(&court, 9, 0, 1);
    assert_int_equal(court.verdict.findings, 1);
    expect_finding(&court, 0, CRASH_FOREIGN, 5, 5);
    close_court(&court);
}

static void a_record_that_its_writer_has_not_come_to_is_foreign(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    (void)append(&court, (struct crash_origin){crash_referee_writer(court.referee, 0), 3});
    (void)append(&court, (struct crash_origin){crash_referee_writer(court.referee, 1) + 1, 1});
    (void)append(&court, (struct crash_origin){0, 1});
    expect_counts(&court, 7, 0, 3);
    expect_finding(&court, 0, CRASH_FOREIGN, 5, 7);
    close_court(&court);
}

static void records_of_one_writer_in_another_order_are_found(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    struct crash_origin first = next_of(&court, 0);
    struct crash_origin second = next_of(&court, 0);
    (void)append(&court, second);
    (void)append(&court, first);
    expect_counts(&court, 6, 0, 2);
    expect_finding(&court, 0, CRASH_ORDER, 5, 6);
    close_court(&court);
}

static void a_record_that_is_left_out_of_a_writers_order_is_found(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    (void)next_of(&court, 1);
    (void)append(&court, next_of(&court, 1));
    expect_counts(&court, 5, 0, 1);
    expect_finding(&court, 0, CRASH_ORDER, 5, 5);
    close_court(&court);
}

static void a_record_that_comes_twice_is_found(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    (void)append(&court, (struct crash_origin){crash_referee_writer(court.referee, 1), 2});
    expect_counts(&court, 5, 0, 1);
    expect_finding(&court, 0, CRASH_ORDER, 5, 5);
    close_court(&court);
}

static void a_record_that_a_recovery_had_dropped_must_not_return(void **state)
{
    (void)state;
    struct court court = open_court();
    append_promised(&court, 4);
    struct crash_origin dropped = next_of(&court, 0);
    expect_counts(&court, 4, 0, 0);
    next_round(&court, 1);
    append_promised(&court, 2);
    (void)append(&court, dropped);
    expect_counts(&court, 7, 0, 1);
    expect_finding(&court, 0, CRASH_RETURNED, 7, 7);
    close_court(&court);
}

/* ---- bounds ---- */

static void a_full_table_says_so_and_follows_no_more(void **state)
{
    (void)state;
    struct crash_referee *referee;
    struct crash_verdict verdict;
    assert_int_equal(crash_referee_create(1, 1, &sizes, 8, &referee), 0);
    crash_referee_round_begin(referee, 0);
    crash_referee_try(referee, 0, 9);
    for (uint32_t i = 1; i <= 9; i++) {
        assert_int_equal(crash_referee_is_full(referee), i > 8);
        (void)crash_referee_acknowledge(referee, i, (struct crash_origin){1, i});
    }
    assert_int_equal(crash_referee_acknowledged(referee), 8);
    crash_referee_judge_begin(referee, &verdict);
    for (uint32_t i = 1; i <= 9; i++) {
        uint8_t payload[100];
        struct weir_record record = record_of(i, (struct crash_origin){1, i}, payload);
        crash_referee_see(referee, &record, &verdict);
    }
    crash_referee_judge_end(referee, &verdict);
    assert_int_equal(verdict.lost + verdict.wrong, 0);
    crash_referee_destroy(referee);
}

static void more_findings_than_are_listed_are_still_counted(void **state)
{
    (void)state;
    struct court court = open_court();
    for (unsigned i = 0; i < 3 * CRASH_FINDINGS_MAX; i++) {
        (void)append_text(court.log, "foreign", WEIR_EACH);
        append_promised(&court, 2);
    }
    expect_counts(&court, 9 * CRASH_FINDINGS_MAX, 0, 3 * CRASH_FINDINGS_MAX);
    assert_int_equal(court.verdict.findings, CRASH_FINDINGS_MAX);
    close_court(&court);
}

static bool at_once(void)
{
    return true;
}

static void a_judgement_can_be_given_up(void **state)
{
    (void)state;
    struct court court = open_court();
    struct weir_error why = WEIR_ERROR_INIT;
    uint8_t payload[100];
    for (unsigned i = 0; i < 5000; i++) {
        size_t size = crash_record_make(next_of(&court, 0), &sizes, payload);
        assert_int_equal(try_append(court.log, payload, size, WEIR_GROUP, NULL), 0);
    }
    assert_int_equal(weir_commit(court.log), 0);
    assert_int_equal(crash_referee_judge(court.referee, court.log, at_once, &court.verdict, &why),
                     -EINTR);
    expect_counts(&court, 5000, 0, 0);
    close_court(&court);
}

/* ---- moments ---- */

/* ---- the engine ---- */

static weir_lsn put_under(struct court *court, struct crash_origin key, struct crash_origin value)
{
    struct weir_engine_options options = crash_engine_options(0);
    struct weir_engine *engine;
    uint8_t payload[100];
    uint8_t name[CRASH_KEY_BYTES];
    weir_lsn lsn = 0;
    size_t size = crash_record_make(value, &sizes, payload);
    crash_engine_key(key, name);
    assert_int_equal(weir_engine_open(court->log, &options, &engine, NULL), 0);
    assert_int_equal(weir_put(engine, WEIR_TABLE_DEFAULT, (struct weir_bytes){name, sizeof name},
                              (struct weir_bytes){payload, size}, WEIR_EACH, &lsn),
                     0);
    assert_int_equal(weir_engine_close(engine), 0);
    return lsn;
}

static void put_next(struct court *court, unsigned i)
{
    struct crash_origin origin = next_of(court, i);
    promise(court, put_under(court, origin, origin), origin);
}

static struct crash_engine judge_engine(struct court *court)
{
    struct crash_engine engine;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(crash_referee_judge(court->referee, court->log, NULL, &court->verdict, &why),
                     0);
    assert_int_equal(
        crash_engine_judge(court->referee, court->log, NULL, &court->verdict, &engine, &why), 0);
    return engine;
}

static void an_engine_that_shows_every_put_has_no_findings(void **state)
{
    (void)state;
    struct court court = open_court();
    for (unsigned i = 0; i < 20; i++) {
        put_next(&court, i % 2);
    }
    struct crash_engine engine = judge_engine(&court);
    assert_int_equal(court.verdict.lost + court.verdict.wrong, 0);
    assert_int_equal(engine.versions, 20);
    assert_true(engine.same);
    assert_false(engine.opened.from_checkpoint);
    close_court(&court);
}

static void a_record_of_the_log_that_the_engine_does_not_show_is_lost(void **state)
{
    (void)state;
    struct court court = open_court();
    put_next(&court, 0);
    struct crash_origin origin = next_of(&court, 1);
    promise(&court, append(&court, origin), origin); /* no put: the engine passes it over */
    (void)judge_engine(&court);
    assert_int_equal(court.verdict.lost, 1);
    assert_int_equal(court.verdict.finding[0].fault, CRASH_STATE);
    assert_int_equal(court.verdict.finding[0].to_lsn, 2);
    close_court(&court);
}

static void a_put_under_the_key_of_another_is_lost(void **state)
{
    (void)state;
    struct court court = open_court();
    put_next(&court, 0);
    struct crash_origin origin = next_of(&court, 1);
    struct crash_origin other = {origin.writer, origin.number + 1};
    promise(&court, put_under(&court, other, origin), origin);
    (void)judge_engine(&court);
    assert_true(court.verdict.lost > 0);
    assert_int_equal(court.verdict.finding[0].fault, CRASH_DIFFERENT);
    close_court(&court);
}

static void the_same_seed_draws_the_same_moments(void **state)
{
    (void)state;
    bool differs = false;
    for (unsigned round = 0; round < 100; round++) {
        struct crash_moment one = crash_moment_draw(7, round, 1000);
        struct crash_moment again = crash_moment_draw(7, round, 1000);
        struct crash_moment other = crash_moment_draw(8, round, 1000);
        assert_int_equal(one.acknowledged, again.acknowledged);
        assert_int_equal(one.time_ns, again.time_ns);
        assert_int_equal(one.roll, again.roll);
        assert_int_equal(one.delay_ns, again.delay_ns);
        assert_int_equal(one.calls, again.calls);
        assert_true(one.acknowledged > 500 && one.acknowledged <= 1000);
        differs = differs || one.acknowledged != other.acknowledged;
    }
    assert_true(differs);
    assert_int_equal(crash_moment_draw(7, 0, 1).acknowledged, 1);
    assert_int_equal(crash_moment_draw(7, 0, 0).acknowledged, 0);
    assert_true(crash_moment_draw(7, 0, 0).time_ns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_that_keeps_its_promises_has_no_findings),
        cmocka_unit_test(records_that_nobody_was_promised_may_be_there),
        cmocka_unit_test(a_record_that_was_tried_and_never_promised_may_be_absent),
        cmocka_unit_test(what_is_acknowledged_behind_the_cut_promises_nothing),
        cmocka_unit_test(records_missing_at_the_end_are_lost),
        cmocka_unit_test(an_empty_log_has_lost_everything),
        cmocka_unit_test(a_record_whose_lsn_holds_none_is_lost),
        cmocka_unit_test(a_changed_record_is_lost),
        cmocka_unit_test(two_promised_records_in_each_others_place_are_lost),
        cmocka_unit_test(an_lsn_that_is_promised_twice_is_a_loss),
        cmocka_unit_test(a_record_that_was_recovered_once_must_not_vanish_later),
        cmocka_unit_test(lsns_that_are_skipped_are_named_and_what_was_promised_there_is_lost),
        cmocka_unit_test(damage_in_front_of_what_opening_reads_is_a_loss_of_exactly_that_record),
        cmocka_unit_test(bytes_that_no_writer_appended_are_foreign),
        cmocka_unit_test(a_record_that_its_writer_has_not_come_to_is_foreign),
        cmocka_unit_test(records_of_one_writer_in_another_order_are_found),
        cmocka_unit_test(a_record_that_is_left_out_of_a_writers_order_is_found),
        cmocka_unit_test(a_record_that_comes_twice_is_found),
        cmocka_unit_test(a_record_that_a_recovery_had_dropped_must_not_return),
        cmocka_unit_test(a_full_table_says_so_and_follows_no_more),
        cmocka_unit_test(more_findings_than_are_listed_are_still_counted),
        cmocka_unit_test(a_judgement_can_be_given_up),
        cmocka_unit_test(an_engine_that_shows_every_put_has_no_findings),
        cmocka_unit_test(a_record_of_the_log_that_the_engine_does_not_show_is_lost),
        cmocka_unit_test(a_put_under_the_key_of_another_is_lost),
        cmocka_unit_test(the_same_seed_draws_the_same_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
