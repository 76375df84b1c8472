#include "gap_support.h"

#include "engine/record.h"

struct weir_log_options gap_options_on(struct weir_medium *keeper)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct sim_memory_options disk = {.disk = sim_memory_disk(keeper)};
    options.lock_wait_ns = WEIR_NO_WAIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&disk, &options.custom_medium), 0);
    return options;
}

void gap_move_to(struct store *store, struct weir_medium *keeper)
{
    store->keeper->ops->destroy(store->keeper);
    store->keeper = keeper;
    store->disk.disk = sim_memory_disk(keeper);
}

uint64_t gap_salvage(struct store *store)
{
    struct weir_medium *keeper;
    struct sim_memory_options disk = {0};
    struct weir_salvage_report report = WEIR_SALVAGE_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(sim_memory_open(&disk, &keeper), 0);
    struct weir_log_options from = gap_options_on(store->keeper), to = gap_options_on(keeper);
    if (weir_salvage("memory", &from, "target", &to, NULL, &report, &why) < 0) {
        fail_msg("%s", why.text);
    }
    gap_move_to(store, keeper);
    return report.gap_lsns;
}

int gap_try_to_open(struct store *store, uint32_t flags, struct weir_error *ret_why)
{
    struct weir_log_options options = gap_options_on(store->keeper);
    struct weir_engine_options how = store->engine_options;
    *ret_why = (struct weir_error)WEIR_ERROR_INIT;
    how.flags = flags;
    assert_int_equal(weir_log_open("memory", &options, &store->log, ret_why), 0);
    int rc = weir_engine_open(store->log, &how, &store->engine, ret_why);
    if (rc < 0) {
        assert_int_equal(weir_log_close(store->log), 0);
    }
    return rc;
}

void gap_open_with(struct store *store, uint32_t flags)
{
    struct weir_error why;
    int rc = gap_try_to_open(store, flags, &why);
    if (rc < 0) {
        fail_msg("%d %s", rc, why.text);
    }
}

void gap_expect_refused(struct store *store, weir_lsn from, weir_lsn to)
{
    struct weir_error why;
    assert_int_equal(gap_try_to_open(store, 0, &why), WEIR_E_GAP);
    assert_non_null(strstr(why.text, "were lost before a salvage"));
    assert_int_equal(why.from_lsn, from);
    assert_int_equal(why.to_lsn, to);
}

struct weir_engine_open_report gap_report_of(struct store *store)
{
    struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
    assert_int_equal(weir_engine_report(store->engine, &report), 0);
    return report;
}

int gap_begin_as_of(struct store *store, weir_lsn lsn)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_read read;
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = lsn;
    int rc = weir_read_begin(store->engine, &options, &read);
    if (rc == 0) {
        weir_read_end(&read);
    }
    return rc;
}

void gap_checkpoint(struct store *store)
{
    assert_int_equal(weir_engine_checkpoint(store->engine, NULL, NULL), 0);
}

void gap_make_rotten(struct store *store)
{
    store_open(store);
    store->engine_options.checkpoint_bytes = UINT64_MAX;
    put(store, "a", "a-one!");
    put(store, "b", "b-one!");
    put(store, "a", "a-two!");
    put(store, "b", "b-two!");
    put(store, "a", "a-three!");
    put(store, "c", "c-one!");
    put(store, "d", "d-one!");
    put(store, "b", "b-three!");
    put(store, "e", "e-one!");
    settle(store);
    gap_checkpoint(store);
    store_stop(store);
    rot(store, "a-two!");
    rot(store, "d-one!");
    assert_int_equal(gap_salvage(store), 2);
}

weir_lsn gap_append_update(struct store *store, char key, weir_lsn previous)
{
    struct record_head head;
    uint8_t payload[RECORD_HEAD_BYTES_MAX + 1];
    const struct engine_version before = {.lsn = previous};
    record_build(&head, WEIR_UPDATE, WEIR_TABLE_DEFAULT, 1, &before);
    memcpy(payload, head.bytes, head.size);
    payload[head.size] = (uint8_t)key;
    return append_record(store, WEIR_TYPE_CHANGE, payload, head.size + 1);
}
