/*
 * Rebuilding: what comes out of the walk, the sort and the build is what replaying record by record
 * gives, for all kinds of keys and threads; and what is reported when the log cannot be replayed.
 */
#include "store.h"

#include "base/random.h"
#include "base/system.h"
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLES 3u
#define KEY_MAX 65000u

#if defined(__SANITIZE_THREAD__)
#define MANY 20000u /* two threads have something to do */
#else
#define MANY 40000u
#endif

/* ---- what an engine holds ---- */

struct contents {
    uint64_t *addresses; /* of all tables, in order */
    size_t count, capacity;
    uint64_t keys[WEIR_TABLES_MAX], deleted[WEIR_TABLES_MAX];
    char names[8][WEIR_TABLE_NAME_MAX + 1];
};

static void list_table(struct engine_table *table, struct contents *contents)
{
    struct index_iterator iterator;
    int rc;
    index_iterator_init(&iterator, &table->index);
    assert_int_equal(index_seek(&iterator, (struct index_key){NULL, 0}, INDEX_FIRST), 0);
    do {
        if (contents->count + 64 > contents->capacity) {
            contents->capacity = contents->capacity * 2 + 1024;
            contents->addresses =
                realloc(contents->addresses, contents->capacity * sizeof(uint64_t));
            assert_non_null(contents->addresses);
        }
        rc = index_next_batch(&iterator, contents->addresses + contents->count, 64);
        assert_true(rc >= 0);
        contents->count += (size_t)rc;
    } while (rc > 0);
}

static void take_contents(struct weir_engine *engine, struct contents *ret_contents)
{
    memset(ret_contents, 0, sizeof *ret_contents);
    uint32_t slot = epoch_enter(&engine->epochs);
    for (weir_table i = 0; i < WEIR_TABLES_MAX; i++) {
        struct engine_table *table = table_of(engine, i);
        const char *what = "";
        if (table == NULL) {
            continue;
        }
        list_table(table, ret_contents);
        ret_contents->keys[i] = index_keys(&table->index);
        ret_contents->deleted[i] = atomic_load(&table->deleted);
        if (i < 8) {
            memcpy(ret_contents->names[i], table->name, sizeof table->name);
        }
        int rc = index_check(&table->index, &what);
        if (rc < 0) {
            print_error("table %u: %s\n", i, what);
        }
        assert_int_equal(rc, 0);
    }
    epoch_leave(&engine->epochs, slot);
}

static void expect_same(const struct contents *found, const struct contents *expected)
{
    assert_int_equal(found->count, expected->count);
    for (size_t i = 0; i < found->count; i++) {
        assert_int_equal(found->addresses[i], expected->addresses[i]);
    }
    assert_memory_equal(found->keys, expected->keys, sizeof found->keys);
    assert_memory_equal(found->deleted, expected->deleted, sizeof found->deleted);
    assert_memory_equal(found->names, expected->names, sizeof found->names);
}

/* Empties the index and fills it again, one record after the other. */
static void replay_one_by_one(struct weir_engine *engine)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    for (weir_table i = 0; i < WEIR_TABLES_MAX; i++) {
        struct engine_table *table = table_of(engine, i);
        if (table != NULL) {
            index_drop(&table->index);
            atomic_store(&table->deleted, 0);
        }
    }
    assert_int_equal(weir_log_stat(engine->log, &stat), 0);
    assert_int_equal(replay_from(engine, stat.earliest, &why), 0);
}

/* Reopens with 1 to 4 threads, which all have to come to what following the log gives. */
static void expect_rebuilt(struct store *store)
{
    struct contents followed, rebuilt;
    settle(store);
    struct fingerprint fingerprint = fingerprint_of(store, 0);
    store_reopen(store);
    store->engine->options.threads = 1;
    replay_one_by_one(store->engine);
    expect_fingerprint(store, 0, &fingerprint);
    take_contents(store->engine, &followed);
    store->engine->options.threads = 3; /* each applies its share of the keys */
    replay_one_by_one(store->engine);
    take_contents(store->engine, &rebuilt);
    expect_same(&rebuilt, &followed);
    free(rebuilt.addresses);
    for (uint32_t threads = 1; threads <= 4; threads++) {
        store->engine_options.threads = threads;
        store_reopen(store);
        take_contents(store->engine, &rebuilt);
        expect_same(&rebuilt, &followed);
        free(rebuilt.addresses);
    }
    expect_fingerprint(store, 0, &fingerprint);
    free(followed.addresses);
}

/* ---- keys ---- */

struct keys {
    struct base_prng prng;
    uint8_t bytes[KEY_MAX];
    uint32_t size;
    uint64_t next; /* of those that ascend or descend */
};

static void set_number(struct keys *keys, uint64_t number)
{
    for (uint32_t i = 0; i < 8; i++) {
        keys->bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    keys->size = 8;
}

static void make_random(struct keys *keys)
{
    set_number(keys, base_prng_below(&keys->prng, 30000) * UINT64_C(0x9e3779b97f4a7c15));
}

static void make_ascending(struct keys *keys)
{
    set_number(keys, keys->next++);
}

static void make_descending(struct keys *keys)
{
    set_number(keys, UINT64_MAX - keys->next++);
}

/* A few keys get nearly all versions. */
static void make_hot(struct keys *keys)
{
    bool hot = base_prng_below(&keys->prng, 10) != 0;
    uint64_t number = base_prng_below(&keys->prng, hot ? 3 : 20000);
    keys->size = (uint32_t)snprintf((char *)keys->bytes, KEY_MAX, "the-hottest-of-all-keys-%llu",
                                    (unsigned long long)number);
}

/* One key has all versions, and it is longer than a word. */
static void make_one(struct keys *keys)
{
    memcpy(keys->bytes, "one key for everything", 22);
    keys->size = 22;
}

/* Of two letters, so that keys are prefixes of others; and of the bytes 0x00 and 0xff. */
static void make_prefixes(struct keys *keys)
{
    static const char *const letters[] = {"ab", "\xff\xfe", "\x00\xff"};
    const char *pair = letters[base_prng_below(&keys->prng, 3)];
    keys->size = 1 + (uint32_t)base_prng_below(&keys->prng, 14);
    for (uint32_t i = 0; i < keys->size; i++) {
        keys->bytes[i] = (uint8_t)pair[base_prng_below(&keys->prng, 2)];
    }
}

static void make_zeros_and_ones(struct keys *keys)
{
    keys->size = 1 + (uint32_t)base_prng_below(&keys->prng, 300);
    memset(keys->bytes, base_prng_below(&keys->prng, 2) ? 0xff : 0, keys->size);
    if (base_prng_below(&keys->prng, 2) == 0) {
        keys->bytes[keys->size - 1] ^= 1;
    }
}

static void make_urls(struct keys *keys)
{
    keys->size = (uint32_t)snprintf((char *)keys->bytes, KEY_MAX,
                                    "https://www.example.org/shop/%llu/articles/%llu/index%s",
                                    (unsigned long long)base_prng_below(&keys->prng, 20),
                                    (unsigned long long)base_prng_below(&keys->prng, 2000),
                                    base_prng_below(&keys->prng, 2) ? ".html" : "");
}

/* They part in a byte of their own, up to 60000 bytes behind their beginning. */
static void make_long(struct keys *keys)
{
    static const uint32_t sizes[] = {1, 7, 8, 9, 100, 1000, 20000, 60000};
    keys->size = sizes[base_prng_below(&keys->prng, 8)];
    if (base_prng_below(&keys->prng, 20) != 0 && keys->size > 1000) {
        keys->size = 1000;
    }
    memset(keys->bytes, 'l', keys->size);
    keys->bytes[base_prng_below(&keys->prng, keys->size)] = 'm';
}

struct workload {
    const char *name;
    void (*make)(struct keys *keys);
    uint32_t count;
};

static const struct workload workloads[] = {
    {"random", make_random, MANY},
    {"ascending", make_ascending, MANY},
    {"descending", make_descending, MANY},
    {"hot", make_hot, MANY},
    {"one", make_one, MANY},
    {"prefixes", make_prefixes, MANY},
    {"zeros and ones", make_zeros_and_ones, MANY},
    {"urls", make_urls, MANY},
    {"long", make_long, 3000},
};

/* ---- writing ---- */

static void append_others(struct store *store, struct keys *keys)
{
    struct weir_part part = {keys->bytes, 1 + base_prng_below(&keys->prng, 30)};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 0x1234};
    struct weir_reservation reservation;
    if (base_prng_below(&keys->prng, 2) == 0) {
        assert_int_equal(weir_append(store->log, &entry, WEIR_NONE, NULL), 0);
    } else {
        assert_int_equal(weir_reserve(store->log, 1, 10, &reservation), 0);
        assert_int_equal(weir_cancel(store->log, &reservation), 0);
    }
}

static void change(struct store *store, weir_table table, struct keys *keys)
{
    struct weir_bytes key = {keys->bytes, keys->size};
    struct weir_bytes value = {"vvvvvvvvvvvvvvvvvvvv", base_prng_below(&keys->prng, 20)};
    int rc = base_prng_below(&keys->prng, 5) == 0
                 ? weir_delete(store->engine, table, key, WEIR_NONE, NULL)
                 : weir_put(store->engine, table, key, value, WEIR_NONE, NULL);
    assert_true(rc == 0 || rc == -ENOENT);
}

static void write_all(struct store *store, const struct workload *workload, weir_table *tables)
{
    static struct keys keys;
    char name[24];
    uint32_t opened = 0;
    memset(&keys, 0, sizeof keys);
    base_prng_seed(&keys.prng, 7);
    for (uint32_t i = 0; i < workload->count; i++) {
        weir_table table = 0;
        if (tables != NULL && opened < TABLES && i == opened * (workload->count / TABLES)) {
            snprintf(name, sizeof name, "table-%u", opened);
            assert_int_equal(weir_table_open(store->engine, name, true, &tables[opened++]), 0);
        }
        if (tables != NULL && base_prng_below(&keys.prng, 3) != 0) {
            table = tables[base_prng_below(&keys.prng, opened)];
        }
        workload->make(&keys);
        change(store, table, &keys);
        if (base_prng_below(&keys.prng, 20) == 0) {
            append_others(store, &keys);
        }
    }
}

static void open_store(struct store *store)
{
    store_open_with(store, (uint64_t)1 << 20, (uint64_t)64 << 20);
    store->engine_options.flags = WEIR_ENGINE_NO_CHECKPOINT;
    store->engine_options.checkpoint_bytes = UINT64_MAX;
    store_reopen(store);
}

static void run(bool with_tables)
{
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        struct store store;
        weir_table tables[TABLES];
        print_message("%s\n", workloads[i].name);
        open_store(&store);
        write_all(&store, &workloads[i], with_tables ? tables : NULL);
        expect_rebuilt(&store);
        store_close(&store);
    }
}

static void se_02_a_rebuild_gives_what_replaying_record_by_record_gives(void **state)
{
    (void)state;
    run(false);
}

static void se_03_tables_are_rebuilt_each_by_itself(void **state)
{
    (void)state;
    run(true);
}

static void se_03_a_log_that_was_truncated_is_rebuilt_from_what_is_left(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why = WEIR_ERROR_INIT;
    open_store(&store);
    write_all(&store, &workloads[0], NULL);
    settle(&store);
    /* Nobody may do this with keys that he wants to keep. */
    assert_int_equal(store.keeper->ops->remove(store.keeper, "holds/" WEIR_HOLD_ENGINE), 0);
    assert_int_equal(weir_truncate_before(store.log, MANY / 2, &why), 0);
    store.engine_options.threads = 1;
    store_reopen(&store);
    expect_rebuilt(&store);
    store_close(&store);
}

/* Versions lie in another order than their LSNs then, and many LSNs are missing. */
static void se_03_a_compacted_log_is_rebuilt_from_what_is_kept(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    weir_table tables[TABLES];
    open_store(&store);
    write_all(&store, &workloads[0], tables);
    settle(&store);
    int rc = weir_engine_compact(store.engine, NULL, &report, &why);
    if (rc < 0) {
        print_error("%s\n", why.text);
    }
    assert_int_equal(rc, 0);
    expect_rebuilt(&store);
    write_all(&store, &workloads[7], NULL);
    expect_rebuilt(&store);
    store_close(&store);
}

static void se_08_the_hold_of_an_engine_is_there_again_after_a_rebuild(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why = WEIR_ERROR_INIT;
    open_store(&store);
    write_all(&store, &workloads[1], NULL);
    settle(&store);
    assert_int_equal(store.keeper->ops->remove(store.keeper, "holds/" WEIR_HOLD_ENGINE), 0);
    store_reopen(&store);
    assert_int_equal(weir_truncate_before(store.log, MANY / 2, &why), WEIR_E_HELD);
    expect_rebuilt(&store);
    store_close(&store);
}

/* As behind a checkpoint that has become old: the trees are there, and some of the keys. */
static void a_long_rest_is_put_into_the_trees_that_are_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        struct store store;
        struct weir_error why = WEIR_ERROR_INIT;
        weir_table tables[TABLES];
        struct contents expected, found;
        open_store(&store);
        write_all(&store, &workloads[i], tables);
        settle(&store);
        take_contents(store.engine, &expected);
        for (weir_lsn from = 1; from < 20000; from += 15000) {
            store.engine->options.threads = 2;
            store.engine->report.from_checkpoint = true;
            if (from == 1) {
                index_drop(&table_of(store.engine, 0)->index);
                atomic_store(&table_of(store.engine, 0)->deleted, 0);
            }
            assert_int_equal(rebuild_replay(store.engine, from, &why), 0);
            take_contents(store.engine, &found);
            expect_same(&found, &expected);
            free(found.addresses);
        }
        free(expected.addresses);
        store_close(&store);
    }
}

static void the_report_says_what_was_done(void **state)
{
    (void)state;
    struct store store;
    open_store(&store);
    write_all(&store, &workloads[0], NULL);
    settle(&store);
    store.engine_options.threads = 3;
    store_reopen(&store);
    struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_engine_report(store.engine, &report), 0);
    assert_int_equal(weir_log_stat(store.log, &stat), 0);
    assert_int_equal(report.threads, 3);
    assert_int_equal(report.applied, stat.durable);
    assert_true(report.replayed_records > MANY * 3 / 4 && report.replayed_records <= stat.durable);
    assert_true(report.replayed_bytes > 0 && report.replayed_bytes < stat.log_bytes);
    assert_true(report.walk_s > 0 && report.build_s > 0);
    assert_true(report.walk_s + report.sort_s + report.build_s <= report.total_s * 1.01);
    assert_int_equal(report.keys + report.deleted_keys,
                     index_keys(&table_of(store.engine, 0)->index));
    store_close(&store);
}

/* ---- what goes wrong ---- */

struct use {
    uint64_t blocks, pages;
};

static struct use use_now(void)
{
    return (struct use){base_alloc_in_use(), base_pages_in_use()};
}

static int try_open(struct store *store, struct weir_error *ret_why)
{
    *ret_why = (struct weir_error)WEIR_ERROR_INIT;
    return weir_engine_open(store->log, &store->engine_options, &store->engine, ret_why);
}

static void expect_use(const struct use *expected)
{
    struct use now = use_now();
    assert_int_equal(now.blocks, expected->blocks);
    assert_int_equal(now.pages, expected->pages);
}

/* The open fails with this error, whatever the number of threads. */
static void expect_failure(struct store *store, int code, weir_lsn lsn)
{
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        struct weir_error why;
        store->engine_options.threads = threads;
        assert_int_equal(try_open(store, &why), code);
        assert_int_equal(why.code, code);
        if (lsn != 0) {
            assert_int_equal(why.from_lsn, lsn);
        }
    }
}

static weir_lsn append_change(struct store *store, weir_table table)
{
    struct record_head head;
    uint8_t payload[64];
    record_build(&head, WEIR_INSERT, table, 3, NULL);
    memcpy(payload, head.bytes, head.size);
    memcpy(payload + head.size, "key", 3);
    return append_record(store, WEIR_TYPE_CHANGE, payload, head.size + 3);
}

static void close_engine(struct store *store)
{
    assert_int_equal(weir_engine_close(store->engine), 0);
}

static void close_log(struct store *store)
{
    assert_int_equal(weir_log_close(store->log), 0);
    store->keeper->ops->destroy(store->keeper);
}

static void a_table_that_the_log_did_not_name_before_is_refused_with_its_lsn(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        struct store store;
        struct use before = use_now();
        open_store(&store);
        if (later != 0) {
            write_all(&store, &workloads[0], NULL);
        }
        close_engine(&store);
        weir_lsn lsn = append_change(&store, 5);
        /* A name that comes too late, far behind. */
        uint8_t payload[RECORD_TABLE_BYTES_MAX];
        append_change(&store, 6);
        store.engine_options.threads = 1;
        for (int i = 0; i < 20000; i++) {
            struct weir_part part = {"filler", 6};
            struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 1};
            assert_int_equal(weir_append(store.log, &entry, WEIR_NONE, NULL), 0);
        }
        append_record(&store, WEIR_TYPE_TABLE, payload, record_build_table(payload, 5, "late"));
        append_change(&store, 5);
        append_change(&store, WEIR_TABLES_MAX);
        expect_failure(&store, WEIR_E_RECORD, lsn);
        close_log(&store);
        expect_use(&before);
    }
}

static void records_that_no_engine_wrote_are_refused_with_their_lsn(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        size_t size;
        uint8_t bytes[32];
    } records[] = {
        {WEIR_TYPE_CHANGE, 5, "short"},
        {WEIR_TYPE_CHANGE, 24, {[16] = 9, [18] = WEIR_INSERT}}, /* a key that is not there */
        {WEIR_TYPE_CHANGE, 24, {[16] = 2, [18] = 7}},           /* no such operation */
        {WEIR_TYPE_CHANGE, 24, {[16] = 2, [18] = WEIR_REMOVE}}, /* a delete with a value */
        {WEIR_TYPE_CHANGE, 24, {[16] = 0, [18] = WEIR_INSERT}}, /* no key */
        {WEIR_TYPE_TABLE, 8, {[0] = 1, [4] = '.', [5] = 'x', [6] = 'x', [7] = 'x'}},
        {WEIR_TYPE_TABLE, 8, {[0] = 0, [4] = 'x', [5] = 'x', [6] = 'x', [7] = 'x'}},
        {WEIR_TYPE_ACCEPTANCE, 15, {[0] = 1}},
        {WEIR_TYPE_ACCEPTANCE, 16, {[0] = 1, [11] = 1}}, /* a horizon behind itself */
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        struct store store;
        struct use before = use_now();
        open_store(&store);
        write_all(&store, &workloads[0], NULL);
        close_engine(&store);
        weir_lsn lsn = append_record(&store, records[i].type, records[i].bytes, records[i].size);
        append_change(&store, 5);
        expect_failure(&store, WEIR_E_RECORD, lsn);
        close_log(&store);
        expect_use(&before);
    }
}

static void damage_is_refused_with_its_lsns(void **state)
{
    (void)state;
    struct store store;
    struct weir_error first;
    open_store(&store);
    write_all(&store, &workloads[0], NULL);
    write_all(&store, &workloads[1], NULL); /* opening the log may read its last two itself */
    settle(&store);
    store_stop(&store);
    struct use before = use_now();
    for (uint32_t threads = 1; threads <= 4; threads++) {
        struct weir_log_options options = store.log_options;
        options.medium = WEIR_MEDIUM_CUSTOM;
        assert_int_equal(sim_memory_open(&store.disk, &options.custom_medium), 0);
        if (threads == 1) {
            uint64_t size;
            uint8_t *bytes =
                sim_memory_bytes(options.custom_medium, "segment-0000000000000001", false, &size);
            if (bytes == NULL) {
                print_error("no such segment\n");
            }
            assert_non_null(bytes);
            bytes[500000] ^= 1;
        }
        struct weir_error why = WEIR_ERROR_INIT;
        assert_int_equal(weir_log_open("memory", &options, &store.log, &why), 0);
        store.engine_options.threads = threads;
        assert_int_equal(try_open(&store, &why), WEIR_E_DAMAGED);
        assert_true(why.from_lsn > 1 && why.to_lsn >= why.from_lsn);
        first = threads == 1 ? why : first;
        assert_int_equal(why.from_lsn, first.from_lsn);
        assert_int_equal(why.to_lsn, first.to_lsn);
        assert_string_equal(why.text, first.text);
        assert_int_equal(weir_log_close(store.log), 0);
    }
    expect_use(&before);
    store.keeper->ops->destroy(store.keeper);
}

static int stop(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    uint32_t *calls = context;
    assert_true(done_bytes <= all_bytes && all_bytes > 0);
    return ++*calls == 1;
}

static void progress_can_stop_a_rebuild(void **state)
{
    (void)state;
    struct store store;
    uint32_t calls = 0;
    struct use before = use_now();
    open_store(&store);
    write_all(&store, &workloads[0], NULL);
    settle(&store);
    close_engine(&store);
    store.engine_options.progress = stop;
    store.engine_options.progress_context = &calls;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        struct weir_error why;
        calls = 0;
        store.engine_options.threads = threads;
        assert_int_equal(try_open(&store, &why), -ECANCELED);
        assert_int_equal(why.code, -ECANCELED);
        assert_int_equal(calls, 1);
    }
    close_log(&store);
    expect_use(&before);
}

static void an_arena_that_is_too_small_is_full_and_says_so(void **state)
{
    (void)state;
    struct store store;
    struct use before = use_now();
    open_store(&store);
    write_all(&store, &workloads[0], NULL);
    close_engine(&store);
    store.engine_options.index_bytes = ARENA_LIMIT_MIN * 2;
    settle(&store);
    expect_failure(&store, WEIR_E_INDEX_FULL, 0);
    close_log(&store);
    expect_use(&before);
}

/* ---- the system says no ---- */

static struct {
    uint64_t countdown; /* allocations until one fails */
    uint32_t threads;   /* asked for */
} refusals;

static bool refuses(void)
{
    return refusals.countdown > 0 && --refusals.countdown == 0;
}

static void *refuse_alloc(void *context, size_t alignment, size_t size)
{
    (void)context;
    void *memory = NULL;
    if (refuses() ||
        posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, size) !=
            0) {
        return NULL;
    }
    return memory;
}

static void give_back(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static int refuse_thread(void *context, struct base_thread *thread, const char *name,
                         base_thread_main main, void *main_context)
{
    (void)context, (void)thread, (void)name, (void)main, (void)main_context;
    refusals.threads++;
    return -EAGAIN;
}

static void join_none(void *context, struct base_thread *thread)
{
    (void)context, (void)thread;
    fail();
}

static void one_thread_starts_none_and_where_none_can_be_had_one_does_all_the_work(void **state)
{
    (void)state;
    static const struct base_system no_threads = {.thread_start = refuse_thread,
                                                  .thread_join = join_none};
    struct store store;
    open_store(&store);
    write_all(&store, &workloads[0], NULL);
    settle(&store);
    struct fingerprint fingerprint = fingerprint_of(&store, 0);
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        struct weir_error why;
        struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
        close_engine(&store);
        store.engine_options.threads = threads;
        refusals.threads = 0;
        base_system_set(&no_threads);
        assert_int_equal(try_open(&store, &why), 0);
        base_system_set(NULL);
        assert_true((refusals.threads > 0) == (threads > 1));
        expect_fingerprint(&store, 0, &fingerprint);
        assert_int_equal(weir_engine_report(store.engine, &report), 0);
        assert_int_equal(report.threads, 1);
    }
    store_close(&store);
}

static void without_memory_the_open_fails_and_gives_everything_back(void **state)
{
    (void)state;
    static const struct base_system scarce = {.alloc = refuse_alloc, .free = give_back};
    struct store store;
    weir_table tables[TABLES];
    const struct workload workload = {"few", make_hot, 20000};
    struct use before = use_now();
    open_store(&store);
    write_all(&store, &workload, tables);
    settle(&store);
    close_engine(&store);
    store.engine_options.threads = 1;
    int rc = -ENOMEM;
    for (uint64_t nth = 1; rc != 0; nth++) {
        struct weir_error why;
        refusals.countdown = nth;
        base_system_set(&scarce);
        rc = try_open(&store, &why);
        bool refused = refusals.countdown == 0;
        refusals.countdown = 0;
        base_system_set(NULL);
        assert_true(rc == 0 || rc == -ENOMEM);
        assert_true(rc == 0 || refused);
    }
    store_close(&store);
    expect_use(&before);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(se_02_a_rebuild_gives_what_replaying_record_by_record_gives),
        cmocka_unit_test(se_03_tables_are_rebuilt_each_by_itself),
        cmocka_unit_test(se_03_a_log_that_was_truncated_is_rebuilt_from_what_is_left),
        cmocka_unit_test(se_03_a_compacted_log_is_rebuilt_from_what_is_kept),
        cmocka_unit_test(se_08_the_hold_of_an_engine_is_there_again_after_a_rebuild),
        cmocka_unit_test(a_long_rest_is_put_into_the_trees_that_are_there),
        cmocka_unit_test(the_report_says_what_was_done),
        cmocka_unit_test(a_table_that_the_log_did_not_name_before_is_refused_with_its_lsn),
        cmocka_unit_test(records_that_no_engine_wrote_are_refused_with_their_lsn),
        cmocka_unit_test(damage_is_refused_with_its_lsns),
        cmocka_unit_test(progress_can_stop_a_rebuild),
        cmocka_unit_test(an_arena_that_is_too_small_is_full_and_says_so),
        cmocka_unit_test(one_thread_starts_none_and_where_none_can_be_had_one_does_all_the_work),
        cmocka_unit_test(without_memory_the_open_fails_and_gives_everything_back),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
