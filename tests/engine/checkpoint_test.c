/*
 * Checkpoints: what they save, what they are bound to, and that none of it is needed.
 */
#include "store.h"

#include "base/crc32c.h"
#include "base/system.h"
#include "engine/checkpoint.h"
#include "engine/word.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

static struct weir_checkpoint_report make(struct store *store)
{
    struct weir_checkpoint_report report = WEIR_CHECKPOINT_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_engine_checkpoint(store->engine, &report, &why);
    if (rc < 0) {
        print_error("%s\n", why.text);
    }
    assert_int_equal(rc, 0);
    return report;
}

static void se_09_an_open_loads_the_checkpoint_and_replays_the_rest(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    weir_table table;
    assert_int_equal(weir_table_open(store.engine, "other", true, &table), 0);
    fill_store(&store, 0, 8000);
    struct weir_checkpoint_report made = make(&store);
    assert_true(made.keys > 4000 && made.until >= made.lsn);
    put(&store, "behind", "it");
    put(&store, "key1", "newer");
    put_in(&store, table, "key1", "elsewhere");
    settle(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    struct fingerprint then = fingerprint_of(&store, made.lsn);
    for (int round = 0; round < 2; round++) {
        store_reopen(&store);
        struct weir_engine_open_report report = store_report(&store);
        assert_true(report.from_checkpoint);
        assert_int_equal(report.checkpoint_lsn, made.lsn);
        assert_int_equal(report.replayed_records, 3);
        assert_true(report.replay_s > 0 && report.load_s + report.replay_s <= report.total_s);
        expect_fingerprint(&store, 0, &before);
        expect_fingerprint(&store, made.lsn, &then);
        expect(&store, "key1", "newer", 0);
    }
    fill_store(&store, 3000, 6000); /* the index grows out of the image, and changes it */
    struct fingerprint grown = fingerprint_of(&store, 0);
    store_reopen(&store);
    expect_fingerprint(&store, 0, &grown);
    make(&store);
    store_reopen(&store);
    expect_fingerprint(&store, 0, &grown);
    store_close(&store);
}

static void a_caller_that_knows_less_of_the_report_gets_what_it_knows(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    fill_store(&store, 0, 100);
    make(&store);
    store_reopen(&store);
    struct weir_engine_open_report report;
    memset(&report, 0x5a, sizeof report);
    double untouched = report.replay_s;
    report.size = offsetof(struct weir_engine_open_report, replay_s);
    assert_int_equal(weir_engine_report(store.engine, &report), 0);
    assert_int_equal(report.size, offsetof(struct weir_engine_open_report, replay_s));
    assert_true(report.from_checkpoint && report.total_s > 0);
    assert_memory_equal(&report.replay_s, &untouched, sizeof untouched);
    report.size--;
    assert_int_equal(weir_engine_report(store.engine, &report), -EINVAL);
    store_close(&store);
}

static void se_09_a_deleted_or_refused_checkpoint_costs_time_and_no_data(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    fill_store(&store, 0, 3000);
    make(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    store.engine_options.flags = WEIR_ENGINE_NO_CHECKPOINT;
    store_reopen(&store);
    assert_false(store_report(&store).from_checkpoint);
    assert_true(store_report(&store).reason[0] != '\0');
    expect_fingerprint(&store, 0, &before);
    store.engine_options.flags = 0;
    store_stop(&store);
    assert_int_equal(store.keeper->ops->remove(store.keeper, CHECKPOINT_NAME), 0);
    store_start(&store);
    assert_false(store_report(&store).from_checkpoint);
    assert_string_equal(store_report(&store).reason, "");
    expect_fingerprint(&store, 0, &before);
    store_close(&store);
}

static void se_09_damage_anywhere_in_a_checkpoint_is_found_and_said(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    fill_store(&store, 0, 3000);
    make(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    store_stop(&store);
    uint64_t size = 0;
    assert_non_null(sim_memory_bytes(store.keeper, CHECKPOINT_NAME, false, &size));
    for (uint64_t at = 3; at < size; at += size / 40) {
        uint8_t *bytes = sim_memory_bytes(store.keeper, CHECKPOINT_NAME, false, &size);
        bytes[at] ^= 0x40;
        store_start(&store);
        struct weir_engine_open_report report = store_report(&store);
        expect_fingerprint(&store, 0, &before);
        /* Bytes behind the parts that are used are padding. */
        assert_true(report.from_checkpoint == (report.reason[0] == '\0'));
        assert_true(!report.from_checkpoint || at > 4096);
        struct weir_error why = WEIR_ERROR_INIT; /* and a verification says the same */
        int rc = weir_checkpoint_check(store.log, &why);
        assert_int_equal(rc, report.from_checkpoint ? 1 : WEIR_E_STATE);
        assert_true(rc == 1 || strstr(why.text, report.reason) != NULL);
        store_stop(&store);
        bytes = sim_memory_bytes(store.keeper, CHECKPOINT_NAME, false, &size);
        bytes[at] ^= 0x40;
    }
    store_start(&store);
    assert_true(store_report(&store).from_checkpoint);
    store_close(&store);
}

struct failing {
    const char *call;
    int error;
    unsigned countdown; /* calls that succeed before that one */
};

static int fail_call(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    struct failing *failing = context;
    (void)offset;
    (void)size;
    bool meant = strcmp(call, failing->call) == 0 && strcmp(name, CHECKPOINT_NAME) == 0;
    return meant && failing->countdown-- == 0 ? failing->error : 0;
}

static void a_check_of_the_checkpoint_says_what_is_there_and_what_failed(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why = WEIR_ERROR_INIT, small = {.size = 4};
    store_open(&store);
    fill_store(&store, 0, 3000);
    assert_int_equal(weir_checkpoint_check(store.log, &why), 0);
    assert_int_equal(weir_checkpoint_check(NULL, &why), -EINVAL);
    assert_int_equal(weir_checkpoint_check(store.log, &small), -EINVAL);
    make(&store);
    assert_int_equal(weir_checkpoint_check(store.log, &why), 1);
    static const struct {
        const char *call;
        int error, expected;
        unsigned reads; /* head, parts, image */
    } cases[] = {{"open", -EACCES, -EACCES, 1},
                 {"size", -EIO, WEIR_E_STATE, 1},
                 {"read", -EIO, WEIR_E_STATE, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned nth = 0; nth < cases[i].reads; nth++) {
            struct failing failing = {cases[i].call, cases[i].error, nth};
            struct sim_memory_faults faults = {.before = fail_call, .context = &failing};
            sim_memory_faults_set(wal_address_medium(store.log), &faults);
            assert_int_equal(weir_checkpoint_check(store.log, NULL), cases[i].expected);
            sim_memory_faults_set(wal_address_medium(store.log), &(struct sim_memory_faults){0});
        }
    }
    assert_int_equal(weir_checkpoint_check(store.log, &why), 1);
    store_close(&store);
}

/* The bytes of the checkpoint, copied. */
static uint8_t *copy_of(struct store *store, uint64_t *size)
{
    const uint8_t *bytes = sim_memory_bytes(store->keeper, CHECKPOINT_NAME, false, size);
    assert_non_null(bytes);
    uint8_t *copy = base_alloc(*size);
    assert_non_null(copy);
    memcpy(copy, bytes, *size);
    return copy;
}

static void plant(struct store *store, const uint8_t *bytes, uint64_t size)
{
    struct weir_medium *medium = store->keeper;
    struct weir_file *file;
    (void)medium->ops->remove(medium, CHECKPOINT_NAME);
    assert_int_equal(medium->ops->make_directory(medium, "derived"), 0);
    assert_int_equal(medium->ops->make_directory(medium, CHECKPOINT_DIRECTORY), 0);
    assert_int_equal(medium->ops->create(medium, CHECKPOINT_NAME, 0, &file), 0);
    assert_int_equal(medium->ops->write(file, 0, bytes, size), 0);
    medium->ops->close(file);
}

static void a_checkpoint_of_another_log_or_of_another_past_is_not_used(void **state)
{
    (void)state;
    struct store store, other;
    store_open(&store);
    fill_store(&store, 0, 1000);
    make(&store);
    uint64_t size;
    uint8_t *bytes = copy_of(&store, &size);

    store_open(&other);
    put(&other, "mine", "1");
    settle(&other);
    store_stop(&other);
    plant(&other, bytes, size);
    store_start(&other);
    assert_false(store_report(&other).from_checkpoint);
    assert_non_null(strstr(store_report(&other).reason, "another log"));
    expect(&other, "mine", "1", 1);
    expect(&other, "key1", NULL, 0);
    store_close(&other);
    base_free(bytes);
    store_close(&store);
}

static void a_truncated_checkpoint_is_not_used(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    fill_store(&store, 0, 3000);
    make(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    uint64_t size;
    uint8_t *bytes = copy_of(&store, &size);
    static const uint64_t lengths[] = {0, 4096, 8192, 12288};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        store_stop(&store);
        plant(&store, bytes, lengths[i] > 0 ? lengths[i] : 4096);
        if (lengths[i] == 0) {
            sim_memory_bytes(store.keeper, CHECKPOINT_NAME, false, &size)[8] ^= 1;
        }
        store_start(&store);
        assert_false(store_report(&store).from_checkpoint);
        assert_true(store_report(&store).reason[0] != '\0');
        expect_fingerprint(&store, 0, &before);
    }
    base_free(bytes);
    store_close(&store);
}

/* ---- whole, and not what a checkpoint may be ---- */

static struct checkpoint_head *head_of(struct store *store)
{
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(store->keeper, CHECKPOINT_NAME, false, &size);
    assert_non_null(bytes);
    return (struct checkpoint_head *)(void *)bytes;
}

static struct checkpoint_table *tables_of(struct store *store)
{
    return (struct checkpoint_table *)(void *)((uint8_t *)head_of(store) + CHECKPOINT_BLOCK);
}

/* All checksums are right again. */
static void vouch(struct store *store)
{
    struct checkpoint_head *head = head_of(store);
    uint8_t *bytes = (uint8_t *)head, *parts = bytes + CHECKPOINT_BLOCK;
    uint64_t image_bytes = le64_load(&head->image_bytes), pieces = checkpoint_pieces(image_bytes);
    size_t tables = le32_load(&head->table_count) * sizeof(struct checkpoint_table);
    size_t start = offsetof(struct checkpoint_head, version);
    struct le32 *crcs = (struct le32 *)(void *)(parts + tables);
    for (uint64_t i = 0; i < pieces; i++) {
        const uint8_t *image = bytes + le64_load(&head->image_offset);
        le32_store(&crcs[i], checkpoint_piece_crc(image, image_bytes, i));
    }
    le32_store(&head->tables_crc, base_crc32c(0, parts, tables + pieces * sizeof *crcs));
    le32_store(&head->crc, base_crc32c(0, bytes + start, CHECKPOINT_BLOCK - start));
}

/* A number that is no table's, of the table behind the one that is adopted first. */
static void spoil_number(struct store *store)
{
    le32_store(&tables_of(store)[1].number, WEIR_TABLES_MAX + 3);
}

/* A number that another table has. */
static void spoil_order(struct store *store)
{
    tables_of(store)[1].number = tables_of(store)[2].number;
}

static void spoil_image_head(struct store *store)
{
    ((uint8_t *)head_of(store))[le64_load(&head_of(store)->image_offset)] ^= 1;
}

static void spoil_length(struct store *store)
{
    struct checkpoint_head *head = head_of(store);
    le64_store(&head->image_bytes, le64_load(&head->image_bytes) + CHECKPOINT_BLOCK);
}

static void spoil_epoch(struct store *store)
{
    le64_store(&head_of(store)->epoch, le64_load(&head_of(store)->epoch) + 1);
}

static void spoil_chain(struct store *store)
{
    le32_store(&head_of(store)->chain, le32_load(&head_of(store)->chain) ^ 1);
}

static void spoil_end(struct store *store)
{
    le64_store(&head_of(store)->until_lsn, weir_durable_lsn(store->log) + 1000);
}

static void what_is_whole_and_cannot_be_is_refused_and_leaves_nothing_behind(void **state)
{
    (void)state;
    static const struct {
        void (*spoil)(struct store *store);
        const char *reason;
    } cases[] = {
        {spoil_number, "tables are damaged"},   {spoil_order, "tables are damaged"},
        {spoil_image_head, "image is damaged"}, {spoil_length, "length that it says"},
        {spoil_epoch, "other records"},         {spoil_chain, "other records"},
        {spoil_end, "an older copy"},
    };
    struct store store;
    weir_table tables[2];
    store_open(&store);
    store.engine_options.checkpoint_bytes = UINT64_MAX;
    store_reopen(&store);
    assert_int_equal(weir_table_open(store.engine, "one", true, &tables[0]), 0);
    assert_int_equal(weir_table_open(store.engine, "other", true, &tables[1]), 0);
    fill_store(&store, 0, 3000);
    put_in(&store, tables[0], "key", "1");
    put_in(&store, tables[1], "key", "2");
    settle(&store);
    make(&store);
    put(&store, "behind", "it");
    settle(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    uint64_t size;
    uint8_t *kept = copy_of(&store, &size);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plant(&store, kept, size);
        cases[i].spoil(&store);
        vouch(&store);
        for (unsigned threads = 1; threads <= 2; threads++) {
            store.engine_options.threads = threads;
            store_reopen(&store);
            struct weir_engine_open_report report = store_report(&store);
            assert_false(report.from_checkpoint);
            if (strstr(report.reason, cases[i].reason) == NULL) {
                fail_msg("%zu: %s", i, report.reason);
            }
            expect_fingerprint(&store, 0, &before);
        }
    }
    plant(&store, kept, size);
    vouch(&store);
    store_reopen(&store);
    assert_true(store_report(&store).from_checkpoint); /* it was not vouch() that spoiled them */
    base_free(kept);
    store_close(&store);
}

static int try_to_start(struct store *store, struct weir_error *ret_why)
{
    struct weir_log_options options = store->log_options;
    options.medium = WEIR_MEDIUM_CUSTOM;
    *ret_why = (struct weir_error)WEIR_ERROR_INIT;
    assert_int_equal(sim_memory_open(&store->disk, &options.custom_medium), 0);
    assert_int_equal(weir_log_open("memory", &options, &store->log, ret_why), 0);
    int rc = weir_engine_open(store->log, &store->engine_options, &store->engine, ret_why);
    if (rc < 0) {
        assert_int_equal(weir_log_close(store->log), 0);
    }
    return rc;
}

#define TYPE_TO_COME (WEIR_TYPE_RESERVED + 200) /* of the engine's, which carry their LSN */

/* A record of another type whose bytes are those of a change of "a". */
static uint64_t append_foreign(struct store *store)
{
    struct record_head head;
    uint8_t payload[RECORD_HEAD_BYTES_MAX + 1];
    uint64_t address, time_ns;
    record_build(&head, WEIR_INSERT, WEIR_TABLE_DEFAULT, 1, NULL);
    memcpy(payload, head.bytes, head.size);
    payload[head.size] = 'a';
    weir_lsn lsn = append_record(store, TYPE_TO_COME, payload, head.size + 1);
    assert_int_equal(wal_address_find(store->log, lsn, &address, &time_ns), 0);
    return address;
}

/* In the image of the stopped store. */
static void replace_leaf(struct store *store, uint64_t from, uint64_t to)
{
    struct checkpoint_head *head = head_of(store);
    uint64_t *words = (uint64_t *)(void *)((uint8_t *)head + le64_load(&head->image_offset));
    uint64_t spare = store->log_options.segment_bytes * PLACE_SPARE | WORD_NEXT;
    unsigned found = 0;
    for (uint64_t i = 0; i < le64_load(&head->image_bytes) / sizeof *words; i++) {
        if ((words[i] & ~spare) == word_of_address(from)) {
            words[i] = word_of_address(to) | (words[i] & spare);
            found++;
        }
    }
    assert_int_equal(found, 1);
    vouch(store);
}

/* Its checksum is right, its LSN is one of the segment, it reads as a change: only its type tells.
 */
static void a_record_of_another_type_is_no_version_wherever_it_is_fetched_from(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why;
    uint64_t address, time_ns;
    store_open(&store);
    store.engine_options.checkpoint_bytes = UINT64_MAX;
    store_reopen(&store);
    uint64_t foreign = append_foreign(&store);
    weir_lsn first = put(&store, "a", "1");
    fill_store(&store, 0, 20000); /* into newer segments: it has to be fetched */
    assert_int_equal(wal_address_find(store.log, first, &address, &time_ns), 0);
    make(&store);
    weir_lsn lsn = put(&store, "ab", "new"); /* parts from "a" */
    settle(&store);
    store_stop(&store);
    replace_leaf(&store, address, foreign);
    assert_int_equal(try_to_start(&store, &why), WEIR_E_DAMAGED);
    assert_int_equal(why.from_lsn, lsn);
    store.engine_options.flags = WEIR_ENGINE_NO_CHECKPOINT;
    store_start(&store);
    expect(&store, "a", "1", first);
    expect(&store, "ab", "new", lsn);
    store_close(&store);
}

static void a_checkpoint_that_fails_leaves_the_last_one(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    fill_store(&store, 0, 2000);
    struct weir_checkpoint_report made = make(&store);
    put(&store, "more", "1");
    settle(&store);
    store.engine_options.checkpoint_bytes = UINT64_MAX;
    store_stop(&store);
    store.log_options.flags = WEIR_LOG_READ_ONLY;
    store.log_options.segment_bytes = 0;
    store_start(&store);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, &why), WEIR_E_READ_ONLY);
    assert_int_equal(store_report(&store).checkpoint_lsn, made.lsn);
    expect(&store, "more", "1", 0);
    store_close(&store);
}

static void checkpoints_are_made_by_policy_at_maintenance_and_close(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    store.engine_options.checkpoint_bytes = 10000;
    store_reopen(&store);
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    put(&store, "a", "1");
    assert_int_equal(weir_engine_maintain(store.engine, NULL), 0);
    assert_int_equal(weir_engine_stat(store.engine, &status), 0);
    assert_int_equal(status.checkpoint_lsn, 0);
    fill_store(&store, 0, 1000);
    assert_int_equal(weir_engine_maintain(store.engine, NULL), 0);
    assert_int_equal(weir_engine_stat(store.engine, &status), 0);
    assert_int_equal(status.checkpoint_lsn, status.applied);
    assert_int_equal(status.since_checkpoint_bytes, 0);
    fill_store(&store, 0, 1000);
    store_reopen(&store);
    assert_true(store_report(&store).from_checkpoint);
    assert_int_equal(store_report(&store).replayed_records, 0);
    put(&store, "a", "2");
    settle(&store);
    store_reopen(&store);
    assert_int_equal(store_report(&store).replayed_records, 1);
    store_close(&store);
}

/* ---- how the image comes into memory ---- */

struct image_calls {
    _Atomic int mapped, read, failing; /* `failing`: reads of the image fail */
};

static int count_image_calls(void *context, const char *call, const char *name, uint64_t offset,
                             size_t size)
{
    struct image_calls *calls = context;
    (void)size;
    if (strcmp(name, CHECKPOINT_NAME) != 0) {
        return 0;
    }
    calls->mapped += strcmp(call, "map_private") == 0;
    if (strcmp(call, "read") == 0 && offset >= (uint64_t)2 * CHECKPOINT_BLOCK) {
        calls->read++;
        return calls->failing ? -EIO : 0;
    }
    return 0;
}

static void the_image_is_mapped_and_behind_a_long_rest_read(void **state)
{
    (void)state;
    struct store store;
    struct image_calls calls = {0};
    store_open(&store);
    fill_store(&store, 0, 8000);
    make(&store);
    store.disk.faults = (struct sim_memory_faults){count_image_calls, &calls};
    store_reopen(&store);
    assert_true(store_report(&store).from_checkpoint);
    assert_true(calls.mapped == 1 && calls.read == 0);
    put(&store, "key1", "newer"); /* a rest, but a short one */
    settle(&store);
    calls.mapped = 0;
    store_reopen(&store);
    assert_int_equal(store_report(&store).replayed_records, 1);
    assert_true(calls.mapped == 1 && calls.read == 0);
    fill_store(&store, 2500, 2000);
    struct fingerprint before = fingerprint_of(&store, 0);
    for (unsigned threads = 1; threads <= 3; threads++) {
        store.engine_options.threads = threads;
        calls.mapped = 0;
        store_reopen(&store);
        assert_true(store_report(&store).from_checkpoint);
        assert_true(store_report(&store).replayed_records > 1500);
        assert_true(calls.mapped == 0 && calls.read > 0);
        expect_fingerprint(&store, 0, &before);
    }
    calls.failing = 1;
    store_reopen(&store);
    assert_false(store_report(&store).from_checkpoint);
    assert_non_null(strstr(store_report(&store).reason, "image"));
    expect_fingerprint(&store, 0, &before);
    calls.failing = 0;
    store_close(&store);
}

/* ---- who checks it ---- */

static int refuse_thread(void *context, struct base_thread *thread, const char *name,
                         base_thread_main main, void *main_context)
{
    (void)context, (void)thread, (void)name, (void)main, (void)main_context;
    return -EAGAIN;
}

struct scarce_pages {
    unsigned countdown; /* until one is refused; 0: none is */
};

static void *scarce_alloc(void *context, size_t size, unsigned flags)
{
    struct scarce_pages *scarce = context;
    (void)flags;
    if (scarce->countdown > 0 && --scarce->countdown == 0) {
        return NULL;
    }
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages != MAP_FAILED ? pages : NULL;
}

static void scarce_free(void *context, void *memory, size_t size)
{
    (void)context;
    assert_int_equal(munmap(memory, size), 0);
}

/* The index that takes the place of one that was loaded in vain may not be had. */
static void without_memory_for_another_index_a_refused_checkpoint_fails_the_open(void **state)
{
    (void)state;
    struct scarce_pages scarce = {0};
    const struct base_system system = {
        .context = &scarce, .pages_alloc = scarce_alloc, .pages_free = scarce_free};
    struct store store;
    struct weir_error why;
    uint64_t size;
    unsigned failed = 0;
    int rc = -1;
    store_open(&store);
    fill_store(&store, 0, 3000);
    make(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    store_stop(&store);
    sim_memory_bytes(store.keeper, CHECKPOINT_NAME, false, &size)[size - CHECKPOINT_BLOCK - 1] ^= 1;
    for (unsigned nth = 1; rc < 0; nth++) {
        base_system_set(&system);
        struct weir_log_options options = store.log_options;
        options.medium = WEIR_MEDIUM_CUSTOM;
        assert_int_equal(sim_memory_open(&store.disk, &options.custom_medium), 0);
        why = (struct weir_error)WEIR_ERROR_INIT;
        assert_int_equal(weir_log_open("memory", &options, &store.log, &why), 0);
        scarce.countdown = nth;
        rc = weir_engine_open(store.log, &store.engine_options, &store.engine, &why);
        bool refused = scarce.countdown == 0;
        scarce.countdown = 0;
        assert_true(rc == -ENOMEM ? refused : rc == 0);
        failed += rc < 0;
        if (rc == 0) {
            assert_non_null(strstr(store_report(&store).reason, "image is damaged"));
            expect_fingerprint(&store, 0, &before);
            assert_int_equal(weir_engine_close(store.engine), 0);
        }
        assert_int_equal(weir_log_close(store.log), 0);
        base_system_set(NULL);
    }
    assert_true(failed >= 2); /* the first index, and the second */
    store.keeper->ops->destroy(store.keeper);
}

/* Keys whose bytes are spread: the tree takes some large pages. */
static void fill_large_pages(struct store *store)
{
    uint64_t key = 1;
    for (int i = 0; i < 340000; i++) {
        key = key * UINT64_C(6364136223846793005) + 1442695040888963407;
        struct weir_bytes bytes = {&key, sizeof key};
        assert_int_equal(weir_put(store->engine, 0, bytes, bytes, WEIR_NONE, NULL), 0);
    }
    settle(store);
}

static void expect_damage_is_found(struct store *store, uint64_t at)
{
    uint64_t size;
    sim_memory_bytes(store->keeper, CHECKPOINT_NAME, false, &size)[at] ^= 1;
    store_start(store);
    assert_false(store_report(store).from_checkpoint);
    assert_non_null(strstr(store_report(store).reason, "image is damaged"));
    store_stop(store);
    sim_memory_bytes(store->keeper, CHECKPOINT_NAME, false, &size)[at] ^= 1;
}

static void damage_is_found_in_each_threads_share_and_where_there_are_no_threads(void **state)
{
    (void)state;
    static const struct base_system no_threads = {.thread_start = refuse_thread};
    struct store store;
    uint64_t size;
    store_open(&store);
    store.engine_options.checkpoint_bytes = UINT64_MAX;
    fill_large_pages(&store);
    make(&store);
    store_stop(&store);
    assert_non_null(sim_memory_bytes(store.keeper, CHECKPOINT_NAME, false, &size));
    assert_true(size > 3 * CHECKPOINT_LARGE_PAGE); /* the image begins at the second one */
    store.engine_options.threads = 2;
    expect_damage_is_found(&store, CHECKPOINT_LARGE_PAGE + 5000);
    expect_damage_is_found(&store, size - CHECKPOINT_BLOCK - 1);
    base_system_set(&no_threads);
    expect_damage_is_found(&store, size - CHECKPOINT_BLOCK - 1);
    base_system_set(NULL);
    store_start(&store);
    assert_true(store_report(&store).from_checkpoint);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(se_09_an_open_loads_the_checkpoint_and_replays_the_rest),
        cmocka_unit_test(a_caller_that_knows_less_of_the_report_gets_what_it_knows),
        cmocka_unit_test(se_09_a_deleted_or_refused_checkpoint_costs_time_and_no_data),
        cmocka_unit_test(se_09_damage_anywhere_in_a_checkpoint_is_found_and_said),
        cmocka_unit_test(a_check_of_the_checkpoint_says_what_is_there_and_what_failed),
        cmocka_unit_test(a_checkpoint_of_another_log_or_of_another_past_is_not_used),
        cmocka_unit_test(a_truncated_checkpoint_is_not_used),
        cmocka_unit_test(what_is_whole_and_cannot_be_is_refused_and_leaves_nothing_behind),
        cmocka_unit_test(a_record_of_another_type_is_no_version_wherever_it_is_fetched_from),
        cmocka_unit_test(a_checkpoint_that_fails_leaves_the_last_one),
        cmocka_unit_test(checkpoints_are_made_by_policy_at_maintenance_and_close),
        cmocka_unit_test(the_image_is_mapped_and_behind_a_long_rest_read),
        cmocka_unit_test(without_memory_for_another_index_a_refused_checkpoint_fails_the_open),
        cmocka_unit_test(damage_is_found_in_each_threads_share_and_where_there_are_no_threads),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
