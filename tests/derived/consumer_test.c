/*
 * Consumers, as the log knows them: listed, cut loose, dropped. No host takes part: what it leaves
 * beside the log is made by hand.
 */
#include "tests/engine/store.h"

#include "derived/consumer.h"

#include <errno.h>
#include <stdio.h>

static void write_records(struct store *store, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(weir_put(store->engine, 0, text("key"), text("value"), WEIR_EACH, NULL),
                         0);
    }
}

static void open_with(struct store *store, int records)
{
    *store = (struct store){0};
    store_open(store);
    write_records(store, records);
}

/* A consumer that was attached once: state, status and hold. */
static void make_consumer(struct store *store, const char *name, weir_lsn position,
                          const struct consumer_status *status)
{
    struct weir_state_writer *writer;
    assert_int_equal(weir_state_create(store->log, name, CONSUMER_STATE_FILE, &writer), 0);
    assert_int_equal(weir_state_write(writer, "state", 5), 0);
    assert_int_equal(weir_state_commit(writer, "index", 1, position, NULL), 0);
    assert_int_equal(consumer_status_write(store->log, name, status, NULL), 0);
    assert_int_equal(weir_hold_set(store->log, name, position + 1), 0);
}

struct finding {
    const char *name;
    struct weir_consumer found;
    unsigned count;
    char names[200];
};

static int take(void *context, const struct weir_consumer *consumer)
{
    struct finding *finding = context;
    finding->count++;
    strcat(finding->names, consumer->name);
    strcat(finding->names, " ");
    if (finding->name != NULL && strcmp(finding->name, consumer->name) == 0) {
        finding->found = *consumer;
    }
    return 0;
}

static struct weir_consumer find(struct weir_log *log, const char *name)
{
    struct finding finding = {.name = name};
    assert_int_equal(weir_consumer_list(log, take, &finding), 0);
    assert_string_equal(finding.found.name, name);
    return finding.found;
}

static void expect_list(struct weir_log *log, const char *names)
{
    struct finding finding = {0};
    assert_int_equal(weir_consumer_list(log, take, &finding), 0);
    assert_string_equal(finding.names, names);
}

static int note_floor(void *context, const struct weir_hold *hold)
{
    struct weir_hold *wanted = context;
    if (strcmp(hold->name, wanted->name) == 0) {
        wanted->floor = hold->floor;
    }
    return 0;
}

static weir_lsn floor_of(struct weir_log *log, const char *name)
{
    struct weir_hold wanted = {0};
    (void)snprintf(wanted.name, sizeof wanted.name, "%s", name);
    assert_int_equal(weir_hold_list(log, note_floor, &wanted), 0);
    return wanted.floor;
}

static struct weir_log *open_reader(struct store *store)
{
    struct sim_memory_options disk = store->disk;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_log *log;
    disk.read_only = true;
    options.flags = WEIR_LOG_READ_ONLY;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&disk, &options.custom_medium), 0);
    assert_int_equal(weir_log_open("memory", &options, &log, NULL), 0);
    return log;
}

/* ---- listing ---- */

static void cd_08_a_detached_consumer_shows_how_far_it_is_behind_and_that_it_is_detached(
    void **state)
{
    (void)state;
    struct store store;
    struct weir_state_lock *lock;
    struct consumer_status status = {.kind = "index"};
    open_with(&store, 10);
    weir_lsn end = weir_durable_lsn(store.log);
    expect_list(store.log, "");
    make_consumer(&store, "behind", end - 4, &status);
    make_consumer(&store, "ahead", end, &status);
    expect_list(store.log, "ahead behind ");

    struct weir_consumer behind = find(store.log, "behind"), ahead = find(store.log, "ahead");
    assert_string_equal(behind.kind, "index");
    assert_int_equal(behind.position, end - 4);
    assert_int_equal(behind.lag_records, 4);
    assert_true(behind.lag_bytes >= 4 * 30 && behind.lag_bytes <= 20 * 4096);
    assert_false(behind.attached || behind.lost || behind.parked != 0);
    assert_string_equal(behind.reason, "");
    assert_int_equal(ahead.lag_records, 0);
    assert_int_equal(ahead.lag_bytes, 0);

    assert_int_equal(weir_state_lock(store.log, "behind", &lock), 0);
    assert_true(find(store.log, "behind").attached);
    assert_false(find(store.log, "ahead").attached);
    assert_int_equal(find(store.log, "behind").lag_records, 4);
    weir_state_unlock(lock);
    assert_false(find(store.log, "behind").attached);

    write_records(&store, 6);
    behind = find(store.log, "behind");
    assert_int_equal(behind.lag_records, 10);
    assert_int_equal(find(store.log, "ahead").lag_records, 6);
    assert_true(behind.lag_bytes > find(store.log, "ahead").lag_bytes);
    store_close(&store);
}

static void cd_08_a_reader_beside_the_writer_sees_the_same_lag(void **state)
{
    (void)state;
    struct store store;
    struct consumer_status status = {.kind = "index"};
    open_with(&store, 10);
    make_consumer(&store, "one", weir_durable_lsn(store.log) - 4, &status);
    struct weir_log *reader = open_reader(&store);
    assert_int_equal(find(reader, "one").lag_records, 4);
    write_records(&store, 3);
    assert_int_equal(find(reader, "one").lag_records, 7);
    assert_true(find(reader, "one").lag_bytes > 0);
    assert_int_equal(weir_log_close(reader), 0);
    store_close(&store);
}

static void cd_04_a_parked_consumer_shows_why_and_where(void **state)
{
    (void)state;
    struct store store;
    struct consumer_status read, status = {.kind = "view",
                                           .parked = -EBADMSG,
                                           .parked_lsn = 7,
                                           .max_lag_bytes = 123456,
                                           .start = 2,
                                           .started_behind = 3,
                                           .reason = "no JSON: line 1"};
    open_with(&store, 10);
    make_consumer(&store, "one", 6, &status);
    assert_int_equal(consumer_status_read(store.log, "one", &read, NULL), 0);
    assert_memory_equal(&read, &status, sizeof read);
    struct weir_consumer one = find(store.log, "one");
    assert_int_equal(one.parked, -EBADMSG);
    assert_int_equal(one.parked_lsn, 7);
    assert_int_equal(one.max_lag_bytes, 123456);
    assert_string_equal(one.reason, "no JSON: line 1");
    assert_string_equal(one.kind, "index"); /* its state knows best */
    status.parked = 0;
    memset(status.reason, 'x', sizeof status.reason); /* too long by one */
    assert_int_equal(consumer_status_write(store.log, "one", &status, NULL), 0);
    one = find(store.log, "one");
    assert_int_equal(one.parked, 0);
    assert_int_equal(strlen(one.reason), sizeof one.reason - 1);
    store_close(&store);
}

static void one_that_has_saved_nothing_is_where_it_began(void **state)
{
    (void)state;
    struct store store;
    struct consumer_status read, status = {.kind = "view", .started_behind = 3};
    open_with(&store, 10);
    assert_int_equal(consumer_status_read(store.log, "one", &read, NULL), -ENOENT);
    assert_int_equal(consumer_status_write(store.log, "one", &status, NULL), 0);
    struct weir_consumer one = find(store.log, "one");
    assert_int_equal(one.position, 3);
    assert_int_equal(one.lag_records, weir_durable_lsn(store.log) - 3);
    assert_string_equal(one.kind, "view");
    store_close(&store);
}

static void flip(struct store *store, const char *path, size_t at)
{
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(store->keeper, path, false, &size);
    assert_non_null(bytes);
    bytes[at] ^= 1;
}

static void one_whose_files_are_damaged_is_listed_with_the_reason_and_its_holds_position(
    void **state)
{
    (void)state;
    struct store store;
    struct consumer_status status = {.kind = "view", .max_lag_bytes = 5};
    open_with(&store, 10);
    make_consumer(&store, "one", 6, &status);
    flip(&store, "derived/one/state", 40);
    struct weir_consumer one = find(store.log, "one");
    assert_int_equal(one.position, 6);
    assert_string_equal(one.kind, "view");
    assert_non_null(strstr(one.reason, "derived/one/state is damaged"));
    flip(&store, "derived/one/state", 40);
    flip(&store, "derived/one/status", 4096 + 30);
    one = find(store.log, "one");
    assert_int_equal(one.position, 6);
    assert_string_equal(one.kind, "index");
    assert_int_equal(one.max_lag_bytes, 0);
    assert_non_null(strstr(one.reason, "derived/one/status is damaged"));
    struct consumer_status read;
    assert_int_equal(consumer_status_read(store.log, "one", &read, NULL), WEIR_E_STATE);
    store_close(&store);
}

static int stop_at_two(void *context, const struct weir_consumer *consumer)
{
    (void)consumer;
    return ++*(int *)context == 2 ? 42 : 0;
}

static const char *refused;

static int refuse_one(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    (void)context;
    (void)call;
    (void)offset;
    (void)size;
    return strcmp(name, refused) == 0 ? -EACCES : 0;
}

static void one_whose_files_may_not_be_read_does_not_hide_the_others(void **state)
{
    (void)state;
    static const char *const files[] = {"derived/one/state", "derived/one/status",
                                        "derived/one/lock", "derived/one/lost"};
    struct consumer_status status = {.kind = "index"};
    struct weir_state_lock *lock;
    struct store store;
    open_with(&store, 10);
    make_consumer(&store, "one", 4, &status);
    make_consumer(&store, "two", 7, &status);
    assert_int_equal(weir_state_lock(store.log, "one", &lock), 0);
    weir_state_unlock(lock);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        store_stop(&store);
        refused = files[i];
        store.disk.faults.before = refuse_one;
        store_start(&store);
        expect_list(store.log, "one two ");
        struct weir_consumer one = find(store.log, "one");
        assert_int_equal(one.position, 4);
        assert_non_null(strstr(one.reason, "cannot be read"));
        assert_int_equal(find(store.log, "two").position, 7);
        assert_string_equal(find(store.log, "two").reason, "");
        assert_int_equal(weir_consumer_cut(store.log, NULL, NULL), 0);
    }
    store_close(&store);
}

static void a_list_stops_where_it_is_told_to(void **state)
{
    (void)state;
    struct store store;
    struct consumer_status status = {.kind = "index"};
    int seen = 0;
    open_with(&store, 3);
    make_consumer(&store, "a", 1, &status);
    make_consumer(&store, "b", 1, &status);
    make_consumer(&store, "c", 1, &status);
    assert_int_equal(weir_consumer_list(store.log, stop_at_two, &seen), 42);
    assert_int_equal(seen, 2);
    assert_int_equal(weir_consumer_list(store.log, NULL, NULL), -EINVAL);
    assert_int_equal(weir_consumer_list(NULL, stop_at_two, &seen), -EINVAL);
    store_close(&store);
}

/* ---- cutting loose ---- */

static void cd_10_one_that_is_further_behind_than_it_may_be_loses_its_hold_and_is_told_so(
    void **state)
{
    (void)state;
    struct store store;
    struct weir_state_lock *lock;
    open_with(&store, 100);
    weir_lsn end = weir_durable_lsn(store.log);
    struct consumer_status never = {.kind = "index"};
    struct consumer_status close = {.kind = "index", .max_lag_bytes = 20000};
    struct consumer_status far = {.kind = "index", .max_lag_bytes = 100000000};
    make_consumer(&store, "never", 1, &never);
    make_consumer(&store, "far", 1, &far);
    make_consumer(&store, "near", end, &close);
    make_consumer(&store, "slow", 1, &close);
    make_consumer(&store, "attached", 1, &close);
    assert_int_equal(weir_state_lock(store.log, "attached", &lock), 0);

    struct finding cut = {.name = "slow"};
    assert_int_equal(weir_consumer_cut(store.log, take, &cut), 0);
    assert_string_equal(cut.names, "attached slow ");
    assert_true(cut.found.lost && cut.found.lag_bytes > 20000);
    assert_int_equal(floor_of(store.log, "slow"), 0);
    assert_int_equal(floor_of(store.log, "attached"), 0);
    assert_int_equal(floor_of(store.log, "never"), 2);
    assert_int_equal(floor_of(store.log, "far"), 2);
    assert_int_equal(floor_of(store.log, "near"), end + 1);
    assert_true(find(store.log, "slow").lost && find(store.log, "attached").lost);
    assert_false(find(store.log, "never").lost || find(store.log, "near").lost);
    assert_int_equal(find(store.log, "slow").position, 1);

    struct finding again = {0};
    assert_int_equal(weir_consumer_cut(store.log, take, &again), 0);
    assert_string_equal(again.names, "");
    assert_int_equal(weir_consumer_cut(store.log, NULL, NULL), 0);
    assert_int_equal(weir_consumer_cut(NULL, NULL, NULL), -EINVAL);
    weir_state_unlock(lock);
    store_close(&store);
}

static void one_that_was_cut_and_is_held_again_is_lost_no_more(void **state)
{
    (void)state;
    struct store store;
    struct consumer_status status = {.kind = "index", .max_lag_bytes = 1};
    open_with(&store, 100);
    make_consumer(&store, "one", 1, &status);
    assert_int_equal(consumer_is_lost(store.log, "one"), 0);
    assert_int_equal(weir_consumer_cut(store.log, NULL, NULL), 0);
    assert_int_equal(consumer_is_lost(store.log, "one"), 1);
    flip(&store, "derived/one/lost", 100); /* that it is there says it */
    assert_int_equal(consumer_is_lost(store.log, "one"), 1);
    assert_int_equal(weir_hold_set(store.log, "one", 2), 0);
    assert_int_equal(consumer_found(store.log, "one"), 0);
    assert_int_equal(consumer_is_lost(store.log, "one"), 0);
    assert_false(find(store.log, "one").lost);
    store_close(&store);
}

static int fail_hold(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    (void)context;
    (void)offset;
    (void)size;
    return strcmp(call, "remove") == 0 && strcmp(name, "holds/one") == 0 ? -EIO : 0;
}

static void a_cut_that_failed_halfway_is_made_again(void **state)
{
    (void)state;
    struct store store;
    struct consumer_status status = {.kind = "index", .max_lag_bytes = 1};
    open_with(&store, 100);
    make_consumer(&store, "one", 1, &status);
    store_stop(&store);
    store.disk.faults.before = fail_hold;
    store_start(&store);
    assert_int_equal(weir_consumer_cut(store.log, NULL, NULL), -EIO);
    assert_int_equal(floor_of(store.log, "one"), 2);
    store_stop(&store);
    store.disk.faults.before = NULL;
    store_start(&store);
    struct finding cut = {0};
    assert_int_equal(weir_consumer_cut(store.log, take, &cut), 0);
    assert_string_equal(cut.names, "one ");
    assert_int_equal(floor_of(store.log, "one"), 0);
    store_close(&store);
}

/* ---- dropping ---- */

static void cd_07_one_that_is_dropped_goes_with_all_it_had_unless_somebody_drives_it(void **state)
{
    (void)state;
    struct store store;
    struct weir_state_lock *lock;
    struct consumer_status status = {.kind = "index", .max_lag_bytes = 1};
    open_with(&store, 100);
    make_consumer(&store, "one", 1, &status);
    make_consumer(&store, "two", 1, &status);
    assert_int_equal(weir_hold_set(store.log, "mine", 1), 0);
    assert_int_equal(weir_consumer_drop(store.log, "none"), -ENOENT);
    assert_int_equal(weir_consumer_drop(store.log, "mine"), -ENOENT); /* a hold is no consumer */
    assert_int_equal(floor_of(store.log, "mine"), 1);
    assert_int_equal(weir_consumer_drop(store.log, "engine"), -ENOENT);
    assert_int_equal(weir_consumer_drop(store.log, NULL), -EINVAL);
    assert_int_equal(weir_state_lock(store.log, "one", &lock), 0);
    assert_int_equal(weir_consumer_drop(store.log, "one"), WEIR_E_ATTACHED);
    assert_int_equal(floor_of(store.log, "one"), 2);
    weir_state_unlock(lock);
    assert_int_equal(weir_consumer_drop(store.log, "one"), 0);
    assert_int_equal(floor_of(store.log, "one"), 0);
    expect_list(store.log, "two ");
    assert_int_equal(weir_consumer_drop(store.log, "one"), -ENOENT);
    assert_int_equal(weir_consumer_cut(store.log, NULL, NULL), 0);
    assert_int_equal(weir_consumer_drop(store.log, "two"), 0); /* without a hold, too */
    expect_list(store.log, "");
    store_reopen(&store);
    expect_list(store.log, "");
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            cd_08_a_detached_consumer_shows_how_far_it_is_behind_and_that_it_is_detached),
        cmocka_unit_test(cd_08_a_reader_beside_the_writer_sees_the_same_lag),
        cmocka_unit_test(cd_04_a_parked_consumer_shows_why_and_where),
        cmocka_unit_test(one_that_has_saved_nothing_is_where_it_began),
        cmocka_unit_test(
            one_whose_files_are_damaged_is_listed_with_the_reason_and_its_holds_position),
        cmocka_unit_test(one_whose_files_may_not_be_read_does_not_hide_the_others),
        cmocka_unit_test(a_list_stops_where_it_is_told_to),
        cmocka_unit_test(
            cd_10_one_that_is_further_behind_than_it_may_be_loses_its_hold_and_is_told_so),
        cmocka_unit_test(one_that_was_cut_and_is_held_again_is_lost_no_more),
        cmocka_unit_test(a_cut_that_failed_halfway_is_made_again),
        cmocka_unit_test(cd_07_one_that_is_dropped_goes_with_all_it_had_unless_somebody_drives_it),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
