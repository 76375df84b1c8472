/*
 * A log and its engine opened in one: the same as one after the other, and either half may fail
 * while the other is under way.
 */
#include "store.h"

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/sync.h"
#include "base/system.h"
#include "engine/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

/* A checkpoint, and a rest behind it. */
static void store_open_filled(struct store *store)
{
    store_open(store);
    store->engine_options.checkpoint_bytes = UINT64_MAX;
    store_reopen(store);
    fill_store(store, 0, 8000);
    assert_int_equal(weir_engine_checkpoint(store->engine, NULL, NULL), 0);
    fill_store(store, 2500, 300);
}

static int open_both(struct store *store, struct weir_error *why)
{
    struct weir_log_options options = store->log_options;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&store->disk, &options.custom_medium), 0);
    *why = (struct weir_error)WEIR_ERROR_INIT;
    return weir_engine_open_at("memory", &options, &store->engine_options, &store->log,
                               &store->engine, why);
}

static void reopen_both(struct store *store)
{
    struct weir_error why;
    store_stop(store);
    int rc = open_both(store, &why);
    if (rc < 0) {
        print_error("%d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
}

/* ---- what comes of it ---- */

/* Is the checkpoint read before the log is open? */
struct order {
    _Atomic int images, maps;
    _Atomic uint32_t read; /* 1: the image was */
    bool waits;            /* the log's first write, for the image */
};

static int watch(void *context, const char *call, const char *name, uint64_t offset, size_t size)
{
    struct order *order = context;
    (void)size;
    if (strcmp(name, CHECKPOINT_NAME) == 0) {
        order->maps += strcmp(call, "map_private") == 0;
        if (strcmp(call, "read") == 0 && offset >= (uint64_t)2 * CHECKPOINT_BLOCK) {
            order->images++;
            atomic_store(&order->read, 1);
            base_wake(&order->read, 1, false);
        }
    } else if (strcmp(name, "CONTROL") == 0 && strcmp(call, "write") == 0) {
        while (order->waits && atomic_load(&order->read) == 0) {
            base_wait(&order->read, 0, -1, false);
        }
    }
    return 0;
}

static void se_09_a_log_and_its_engine_are_opened_together(void **state)
{
    (void)state;
    struct store store;
    store_open_filled(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct order order = {.waits = threads > 1};
        store.engine_options.threads = threads;
        store.disk.faults = (struct sim_memory_faults){watch, &order};
        reopen_both(&store); /* does not come back where the log is opened first */
        struct weir_engine_open_report report = store_report(&store);
        assert_true(report.from_checkpoint && report.replayed_records > 100);
        assert_string_equal(report.reason, "");
        assert_true(threads == 1 || (order.images > 0 && order.maps == 0));
        expect_fingerprint(&store, 0, &before);
        put(&store, "more", "of it");
        expect(&store, "more", "of it", 0);
        erase(&store, "more");
        settle(&store);
        store.disk.faults = (struct sim_memory_faults){0};
        store_reopen(&store);
        before = fingerprint_of(&store, 0);
        assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
        fill_store(&store, 2500, 300);
        before = fingerprint_of(&store, 0);
    }
    store_close(&store);
}

static uint64_t memory_left(void *context)
{
    return *(const uint64_t *)context;
}

/* A mapping the system can take back, a copy it cannot. */
static void an_image_that_is_most_of_the_memory_that_is_left_is_mapped(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why;
    uint64_t left, size;
    const struct base_system system = {.context = &left, .memory_available = memory_left};
    store_open_filled(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    assert_non_null(sim_memory_bytes(store.keeper, CHECKPOINT_NAME, false, &size));
    store_stop(&store);
    for (unsigned turn = 0; turn < 4; turn++) {
        struct order order = {0};
        bool room = turn % 2 == 0;
        left = room ? 2 * size : size;
        store.engine_options.threads = 1 + turn / 2;
        store.disk.faults = (struct sim_memory_faults){watch, &order};
        base_system_set(&system);
        int rc = open_both(&store, &why);
        base_system_set(NULL);
        assert_int_equal(rc, 0);
        assert_true(store_report(&store).from_checkpoint);
        assert_int_equal(order.maps, room ? 0 : 1);
        assert_true((order.images > 0) == room);
        expect_fingerprint(&store, 0, &before);
        store.disk.faults = (struct sim_memory_faults){0};
        store_stop(&store);
    }
    store_start(&store);
    store_close(&store);
}

static void a_log_that_is_not_there_is_made_and_one_without_a_checkpoint_is_rebuilt(void **state)
{
    (void)state;
    struct store store = {.log_options = WEIR_LOG_OPTIONS_INIT,
                          .engine_options = WEIR_ENGINE_OPTIONS_INIT};
    struct weir_error why;
    assert_int_equal(sim_memory_open(&store.disk, &store.keeper), 0);
    store.disk.disk = sim_memory_disk(store.keeper);
    store.engine_options.threads = 2;
    store.engine_options.index_bytes = STORE_INDEX;
    store.log_options.segment_bytes = STORE_SEGMENT;
    assert_int_equal(open_both(&store, &why), -ENOENT);
    assert_true(why.text[0] != '\0');
    store.log_options.flags = WEIR_LOG_CREATE;
    assert_int_equal(open_both(&store, &why), 0);
    fill_store(&store, 0, 500);
    struct fingerprint before = fingerprint_of(&store, 0);
    reopen_both(&store);
    assert_false(store_report(&store).from_checkpoint);
    assert_string_equal(store_report(&store).reason, "");
    expect_fingerprint(&store, 0, &before);
    store.engine_options.flags = WEIR_ENGINE_NO_CHECKPOINT;
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
    reopen_both(&store);
    assert_false(store_report(&store).from_checkpoint);
    assert_non_null(strstr(store_report(&store).reason, "asked for"));
    store_close(&store);
}

static int refuse_thread(void *context, struct base_thread *thread, const char *name,
                         base_thread_main main, void *main_context)
{
    (void)thread, (void)main, (void)main_context;
    *(unsigned *)context += strcmp(name, "weir-load") == 0;
    return -EAGAIN;
}

static void without_a_thread_and_for_a_reader_one_comes_after_the_other(void **state)
{
    (void)state;
    unsigned asked = 0; /* for threads that load */
    const struct base_system no_threads = {.context = &asked, .thread_start = refuse_thread};
    struct store store;
    struct weir_error why;
    store_open_filled(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    store.engine_options.threads = 2;
    store_stop(&store);
    store.log_options.flags = WEIR_LOG_READ_ONLY;
    store.log_options.segment_bytes = 0;
    assert_int_equal(open_both(&store, &why), 0);
    assert_true(store_report(&store).from_checkpoint);
    expect_fingerprint(&store, 0, &before);
    store_stop(&store);
    store.log_options.flags = 0;
    base_system_set(&no_threads);
    int rc = open_both(&store, &why);
    base_system_set(NULL);
    assert_true(asked > 0);
    if (rc == 0) { /* the log's own thread is not to be had either, in some configurations */
        assert_true(store_report(&store).from_checkpoint);
        expect_fingerprint(&store, 0, &before);
    } else {
        assert_int_equal(rc, -EAGAIN);
        assert_int_equal(open_both(&store, &why), 0);
    }
    store_stop(&store);
    asked = 0;
    store.engine_options.threads = 1; /* it would only take the other half's time */
    base_system_set(&no_threads);
    rc = open_both(&store, &why);
    base_system_set(NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(asked, 0);
    store_close(&store);
}

static void expect_usable(struct store *store, const struct fingerprint *expected)
{
    struct weir_error why;
    assert_null(store->log);
    assert_null(store->engine);
    assert_int_equal(open_both(store, &why), 0); /* nobody has the lock */
    expect_fingerprint(store, 0, expected);
    store_stop(store);
}

/* ---- after a kill: the rest is replayed while recovery looks behind the end ---- */

#define LONG_SEGMENT ((uint64_t)4 << 20) /* read in pieces of 1 MiB */
#define TOO_LONG_NS ((int64_t)10 * 1000000000)

/* What is left when the process dies now takes the place of the store. */
static void kill_store(struct store *store)
{
    struct weir_medium *left;
    settle(store);
    assert_int_equal(sim_memory_copy(store->keeper, &left), 0);
    store_close(store);
    store->keeper = left;
    store->disk.disk = sim_memory_disk(left);
}

/* A checkpoint in the middle of what is killed, all in one segment. */
static void kill_filled(struct store *store, struct fingerprint *ret_before)
{
    store_open_with(store, LONG_SEGMENT, STORE_INDEX);
    store->engine_options.checkpoint_bytes = UINT64_MAX;
    store->engine_options.threads = 2;
    store_reopen(store);
    fill_store(store, 0, 8000);
    assert_int_equal(weir_engine_checkpoint(store->engine, NULL, NULL), 0);
    fill_store(store, 2500, 300);
    put(store, "key1234-more", "beside one that is read, so its segment is pinned");
    settle(store);
    fill_store(store, 2800, 300);
    fill_store(store, 3100, 150);
    *ret_before = fingerprint_of(store, 0);
    kill_store(store);
}

struct beside_recovery {
    const char *newest; /* name of the segment */
    base_thread_main main;
    void *main_context;
    _Atomic uint32_t replayed; /* 1: that thread has come to its end */
    unsigned started, late;
    bool refuses, waits; /* the thread; the search behind the end, for it */
};

static void replay_thread(void *context)
{
    struct beside_recovery *beside = context;
    beside->main(beside->main_context);
    atomic_store(&beside->replayed, 1);
    base_wake(&beside->replayed, 1, false);
}

struct plain_thread {
    base_thread_main main;
    void *context;
};

static void *run_thread(void *context)
{
    struct plain_thread thread = *(struct plain_thread *)context;
    base_free(context);
    thread.main(thread.context);
    return NULL;
}

static int start_thread(void *context, struct base_thread *thread, const char *name,
                        base_thread_main main, void *main_context)
{
    struct beside_recovery *beside = context;
    struct plain_thread *plain = base_alloc(sizeof *plain);
    assert_non_null(plain);
    *plain = (struct plain_thread){main, main_context};
    if (strcmp(name, "weir-replay") == 0) {
        beside->started++;
        beside->main = main;
        beside->main_context = main_context;
        *plain = (struct plain_thread){replay_thread, beside};
        if (beside->refuses) {
            base_free(plain);
            return -EAGAIN;
        }
    }
    return -pthread_create(&thread->handle, NULL, run_thread, plain);
}

static int watch_search(void *context, const char *call, const char *name, uint64_t offset,
                        size_t size)
{
    struct beside_recovery *beside = context;
    (void)size;
    bool behind = strcmp(call, "read") == 0 && strcmp(name, beside->newest) == 0 &&
                  offset >= LONG_SEGMENT / 2; /* the log ends in front of it */
    while (beside->waits && behind && atomic_load(&beside->replayed) == 0) {
        if (base_wait(&beside->replayed, 0, TOO_LONG_NS, false) == -ETIMEDOUT) {
            beside->late++;
            break;
        }
    }
    return 0;
}

static int open_watched(struct store *store, struct beside_recovery *beside, struct weir_error *why)
{
    const struct base_system system = {.context = beside, .thread_start = start_thread};
    beside->newest = "segment-0000000000000001";
    store->disk.faults = (struct sim_memory_faults){watch_search, beside};
    base_system_set(&system);
    int rc = open_both(store, why);
    base_system_set(NULL);
    store->disk.faults = (struct sim_memory_faults){0};
    return rc;
}

static void se_09_the_rest_is_replayed_while_recovery_looks_behind_the_end(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why;
    struct fingerprint before;
    kill_filled(&store, &before);
    for (unsigned turn = 0; turn < 2; turn++) {
        struct beside_recovery beside = {.waits = turn == 0, .refuses = turn == 1};
        assert_int_equal(open_watched(&store, &beside, &why), 0);
        assert_int_equal(beside.started, 1);
        assert_int_equal(beside.late, 0);
        struct weir_engine_open_report report = store_report(&store);
        assert_true(report.from_checkpoint && report.replayed_records > 100);
        assert_true(report.keys > 0);
        expect_fingerprint(&store, 0, &before);
        put(&store, "more", "of it");
        expect(&store, "more", "of it", 0);
        erase(&store, "more");
        assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
        fill_store(&store, 2500, 300);
        before = fingerprint_of(&store, 0);
        kill_store(&store);
    }
    store_start(&store);
    store_stop(&store);
    struct beside_recovery beside = {.waits = true};
    assert_int_equal(open_watched(&store, &beside, &why), 0);
    assert_int_equal(beside.started, 0); /* closed well: there is nothing to look for */
    expect_fingerprint(&store, 0, &before);
    store_close(&store);
}

/* Without a checkpoint the whole log is read: nobody waits for that to be refused. */
static void a_whole_log_is_rebuilt_when_it_is_known_that_it_may_be_opened(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why;
    struct fingerprint before;
    kill_filled(&store, &before);
    assert_int_equal(store.keeper->ops->remove(store.keeper, CHECKPOINT_NAME), 0);
    struct beside_recovery beside = {.waits = true};
    assert_int_equal(open_watched(&store, &beside, &why), 0);
    assert_int_equal(beside.late, 0);
    assert_false(store_report(&store).from_checkpoint);
    expect_fingerprint(&store, 0, &before);
    store_close(&store);
}

/* The last group of the log but one, or one far in front of what the checkpoint holds. */
static uint64_t damage_group(struct store *store, bool early)
{
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(store->keeper, "segment-0000000000000001", false, &size);
    assert_non_null(bytes);
    uint64_t end = size;
    while (end > 0 && bytes[end - 1] == 0) {
        end--;
    }
    uint64_t at = early ? end / 4 : end - 12000;
    while (bytes[at] == 0) {
        at++;
    }
    bytes[at] ^= 1;
    return at;
}

/* Of all that a writer changes when it opens the log. */
static uint32_t crc_of_files(struct store *store)
{
    static const char *const names[] = {"CONTROL", "segment-0000000000000001",
                                        "segment-0000000000000002"};
    uint32_t crc = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint64_t size = 0;
        const uint8_t *bytes = sim_memory_bytes(store->keeper, names[i], false, &size);
        crc = bytes != NULL ? base_crc32c(crc, bytes, size) : crc;
    }
    return crc;
}

static void what_was_replayed_of_a_log_that_is_refused_is_thrown_away(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why;
    struct fingerprint before;
    kill_filled(&store, &before);
    for (unsigned early = 0; early < 2; early++) {
        struct beside_recovery beside = {.waits = true};
        uint64_t at = damage_group(&store, early);
        uint32_t crc = crc_of_files(&store);
        uint64_t size;
        int rc = open_watched(&store, &beside, &why);
        assert_int_equal(rc, WEIR_E_LOST);
        assert_int_equal(why.code, rc);
        assert_int_equal(beside.started, 1);
        assert_int_equal(beside.late, 0);
        assert_true(atomic_load(&beside.replayed) == 1);
        assert_int_equal(crc_of_files(&store), crc);
        assert_true(store.log == NULL && store.engine == NULL);
        sim_memory_bytes(store.keeper, "segment-0000000000000001", false, &size)[at] ^= 1;
    }
    expect_usable(&store, &before);
    store_start(&store);
    store_close(&store);
}

/* ---- a checkpoint that does not fit ---- */

static uint8_t *checkpoint_bytes(struct store *store, uint64_t *ret_size)
{
    uint8_t *bytes = sim_memory_bytes(store->keeper, CHECKPOINT_NAME, false, ret_size);
    assert_non_null(bytes);
    return bytes;
}

static void expect_refused(struct store *store, const struct fingerprint *expected,
                           const char *reason)
{
    struct weir_error why;
    assert_int_equal(open_both(store, &why), 0);
    assert_false(store_report(store).from_checkpoint);
    assert_non_null(strstr(store_report(store).reason, reason));
    expect_fingerprint(store, 0, expected);
    put(store, "more", "of it");
    erase(store, "more");
    store_stop(store);
}

static void what_does_not_fit_is_refused_for_the_same_reasons(void **state)
{
    (void)state;
    struct store store, other;
    uint64_t size, other_size;
    store_open_filled(&store);
    store_open_filled(&other);
    struct fingerprint before = fingerprint_of(&store, 0);
    store.engine_options.threads = 2;
    store_stop(&store);
    uint8_t *bytes = checkpoint_bytes(&store, &size);
    bytes[100] ^= 1;
    expect_refused(&store, &before, "head is damaged");
    checkpoint_bytes(&store, &size)[100] ^= 1;
    checkpoint_bytes(&store, &size)[CHECKPOINT_BLOCK + 9] ^= 1;
    expect_refused(&store, &before, "tables are damaged");
    checkpoint_bytes(&store, &size)[CHECKPOINT_BLOCK + 9] ^= 1;
    checkpoint_bytes(&store, &size)[size - CHECKPOINT_BLOCK - 1] ^= 1;
    expect_refused(&store, &before, "image is damaged");

    /* Of another log, and damaged: which log it belongs to is said first. */
    uint8_t *kept = base_alloc(size);
    assert_non_null(kept);
    memcpy(kept, checkpoint_bytes(&store, &size), size);
    const uint8_t *theirs = checkpoint_bytes(&other, &other_size);
    assert_true(other_size == size);
    memcpy(checkpoint_bytes(&store, &size), theirs, size);
    expect_refused(&store, &before, "another log");
    checkpoint_bytes(&store, &size)[size - CHECKPOINT_BLOCK - 1] ^= 1;
    expect_refused(&store, &before, "another log");
    memcpy(checkpoint_bytes(&store, &size), kept, size);
    checkpoint_bytes(&store, &size)[size - CHECKPOINT_BLOCK - 1] ^= 1;
    base_free(kept);

    struct weir_error why;
    assert_int_equal(open_both(&store, &why), 0);
    assert_true(store_report(&store).from_checkpoint);
    fill_store(&store, 0, 10000); /* some segments, of which little counts */
    fill_store(&store, 0, 10000);
    struct weir_compact_report compacted = WEIR_COMPACT_REPORT_INIT;
    kept = base_alloc(size);
    assert_non_null(kept);
    memcpy(kept, checkpoint_bytes(&store, &size), size);
    uint64_t kept_size = size;
    struct weir_compact_options thorough = WEIR_COMPACT_OPTIONS_INIT;
    thorough.thorough = true;
    assert_int_equal(weir_engine_compact(store.engine, &thorough, &compacted, NULL), 0);
    assert_true(compacted.steps > 0);
    before = fingerprint_of(&store, 0);
    store_stop(&store);
    struct weir_file *file;
    struct weir_medium *medium = store.keeper;
    assert_int_equal(medium->ops->remove(medium, CHECKPOINT_NAME), 0);
    assert_int_equal(medium->ops->create(medium, CHECKPOINT_NAME, 0, &file), 0);
    assert_int_equal(medium->ops->write(file, 0, kept, kept_size), 0);
    medium->ops->close(file);
    base_free(kept);
    expect_refused(&store, &before, "truncated or compacted");
    store_start(&store);
    store_close(&store);
    store_close(&other);
}

/* ---- a medium that does not let go ---- */

/* The read of the checkpoint that has the byte at `at` ends without anybody knowing whether the
 * medium will still write to its buffer; so does each mapping. */
static struct {
    const struct weir_medium_ops *real;
    struct weir_medium_ops ops;
    struct weir_file *_Atomic file; /* the checkpoint, until then */
    uint64_t at, offset;
    uint8_t *buffer; /* of that read, which is the medium's */
    size_t size;
} grip;

static int open_in_grip(struct weir_medium *medium, const char *name, enum weir_open_mode mode,
                        struct weir_file **ret_file)
{
    int rc = grip.real->open(medium, name, mode, ret_file);
    if (rc == 0 && strcmp(name, CHECKPOINT_NAME) == 0) {
        atomic_store(&grip.file, *ret_file);
    }
    return rc;
}

static int keep(uint64_t offset, void *buffer, size_t size)
{
    atomic_store(&grip.file, NULL);
    grip.offset = offset;
    grip.buffer = buffer;
    grip.size = size;
    return -ENOTRECOVERABLE;
}

static int read_in_grip(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                        size_t *ret_size_bytes)
{
    bool kept = offset <= grip.at && grip.at < offset + size_bytes;
    return kept && file == atomic_load(&grip.file)
               ? keep(offset, buffer, size_bytes)
               : grip.real->read(file, offset, buffer, size_bytes, ret_size_bytes);
}

static int map_in_grip(struct weir_file *file, uint64_t offset, void *address, size_t size_bytes)
{
    (void)file;
    return keep(offset, address, size_bytes);
}

static void open_both_in_grip(struct store *store, uint64_t at)
{
    struct weir_log_options options = store->log_options;
    struct weir_error why = WEIR_ERROR_INIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&store->disk, &options.custom_medium), 0);
    memset(&grip, 0, sizeof grip);
    grip.real = options.custom_medium->ops;
    grip.ops = *grip.real;
    grip.ops.open = open_in_grip;
    grip.ops.read = read_in_grip;
    grip.ops.map_private = map_in_grip;
    grip.at = at;
    options.custom_medium->ops = &grip.ops;
    assert_int_equal(weir_engine_open_at("memory", &options, &store->engine_options, &store->log,
                                         &store->engine, &why),
                     0);
    assert_non_null(grip.buffer);
}

/* The image was to be read to an arena: it is still there, and the engine has another one. */
static void expect_arena_kept(const struct store *store)
{
    unsigned char resident[((size_t)8 << 20) / 4096];
    const uint8_t *arena = store->engine->arena.memory;
    assert_in_range(grip.size, 1, sizeof resident * 4096);
    assert_int_equal(mincore(grip.buffer, grip.size, resident), 0); /* -1: not mapped */
    assert_true(grip.buffer + grip.size <= arena || grip.buffer >= arena + STORE_INDEX);
}

static void memory_that_the_medium_may_still_write_to_is_not_given_back(void **state)
{
    (void)state;
    struct store store;
    uint64_t size;
    store_open_filled(&store);
    for (int i = 0; i < 150000; i++) { /* an image for two threads */
        char key[24];
        snprintf(key, sizeof key, "more%d", i);
        put(&store, key, "of it");
    }
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
    struct fingerprint before = fingerprint_of(&store, 0);
    store_stop(&store);
    const struct checkpoint_head *head =
        (const struct checkpoint_head *)checkpoint_bytes(&store, &size);
    const uint64_t image_offset = le64_load(&head->image_offset);
    const struct {
        unsigned threads;
        uint64_t at;
        const char *reason;
    } cases[] = {
        {2, 0, "head is damaged"},
        {2, CHECKPOINT_BLOCK, "tables are damaged"},
        {2, image_offset, "image is damaged"},
        {2, size - 1, "image is damaged"}, /* by the second thread */
        {1, UINT64_MAX, "image cannot be read"},
    };
    assert_true(size - image_offset > CHECKPOINT_LARGE_PAGE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t blocks = base_alloc_in_use(), pages = base_pages_in_use();
        store.engine_options.threads = cases[i].threads;
        open_both_in_grip(&store, cases[i].at);
        assert_false(store_report(&store).from_checkpoint);
        assert_non_null(strstr(store_report(&store).reason, cases[i].reason));
        bool image = grip.offset >= image_offset;
        if (image) {
            expect_arena_kept(&store);
            memset(grip.buffer, 0xa5, grip.size); /* the medium writes at last */
        }
        expect_fingerprint(&store, 0, &before);
        put(&store, "late", "it was");
        expect(&store, "late", "it was", 0);
        erase(&store, "late");
        store_stop(&store);
        assert_int_equal(base_alloc_in_use() - blocks, image ? 0 : 1);
        assert_int_equal(base_pages_in_use() - pages, image ? STORE_INDEX : 0);
        memset(grip.buffer, 0x5a, grip.size);
        if (image) { /* the medium of this test has no hold on it any more */
            base_pages_free(grip.buffer - (grip.offset - image_offset), STORE_INDEX);
        } else {
            base_free(grip.buffer);
        }
    }
    store_start(&store);
    store_close(&store);
}

/* ---- one half fails ---- */

static void when_the_log_cannot_be_opened_nothing_is(void **state)
{
    (void)state;
    struct store store, second;
    struct weir_error why;
    store_open_filled(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    store.engine_options.threads = 2;
    second = store;
    second.log = NULL;
    second.engine = NULL;
    assert_int_equal(open_both(&second, &why), WEIR_E_LOCKED);
    assert_int_equal(why.code, WEIR_E_LOCKED);
    store_stop(&store);

    /* While the checkpoint is on its way. */
    uint64_t size;
    uint8_t *control = sim_memory_bytes(store.keeper, "CONTROL", false, &size);
    assert_non_null(control);
    for (uint64_t i = 0; i < size; i++) {
        control[i] ^= 0x55;
    }
    int rc = open_both(&store, &why);
    assert_true(rc < 0 && why.code == rc && why.text[0] != '\0');
    control = sim_memory_bytes(store.keeper, "CONTROL", false, &size);
    for (uint64_t i = 0; i < size; i++) {
        control[i] ^= 0x55;
    }
    expect_usable(&store, &before);
    store_start(&store);
    store_close(&store);
}

static void when_the_engine_cannot_be_opened_the_log_is_given_back(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why;
    store_open_filled(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    store_stop(&store);
    const struct weir_engine_options kept = store.engine_options;
    for (unsigned threads = 1; threads <= 2; threads++) {
        store.engine_options = kept;
        store.engine_options.threads = threads;
        store.engine_options.index_bytes = (uint64_t)64 << 10;
        assert_int_equal(open_both(&store, &why), WEIR_E_INDEX_FULL);
        assert_int_equal(why.code, WEIR_E_INDEX_FULL);
        store.engine_options.index_bytes = 1;
        assert_int_equal(open_both(&store, &why), -EINVAL);
        assert_int_equal(why.code, -EINVAL);
        assert_non_null(strstr(why.text, "from 64 KiB to 64 GiB")); /* not about the log */
        store.engine_options.index_bytes = ((uint64_t)64 << 30) + 1;
        assert_int_equal(open_both(&store, &why), -EINVAL);
        assert_non_null(strstr(why.text, "from 64 KiB to 64 GiB"));
        store.engine_options.index_bytes = kept.index_bytes;
        store.engine_options.stop_free_bytes = 2; /* above the others, which are not set */
        store.engine_options.warn_free_bytes = 1;
        assert_int_equal(open_both(&store, &why), -EINVAL);
        assert_non_null(strstr(why.text, "not in order"));
        store.engine_options = kept;
        store.engine_options.threads = threads;
        expect_usable(&store, &before);
    }
    store_start(&store);
    store_close(&store);
}

static void there_has_to_be_a_place_for_both(void **state)
{
    (void)state;
    struct store store;
    store_open_filled(&store);
    store_stop(&store);
    for (int none = 0; none < 2; none++) {
        struct weir_error why = WEIR_ERROR_INIT;
        struct weir_log_options options = store.log_options;
        struct weir_log *log = NULL;
        struct weir_engine *engine = NULL;
        options.medium = WEIR_MEDIUM_CUSTOM;
        assert_int_equal(sim_memory_open(&store.disk, &options.custom_medium), 0);
        assert_int_equal(weir_engine_open_at("memory", &options, &store.engine_options,
                                             none == 0 ? NULL : &log, none == 1 ? NULL : &engine,
                                             &why),
                         -EINVAL); /* the medium is given back: asan looks */
        assert_true(log == NULL && engine == NULL);
    }
    store_start(&store);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(se_09_a_log_and_its_engine_are_opened_together),
        cmocka_unit_test(an_image_that_is_most_of_the_memory_that_is_left_is_mapped),
        cmocka_unit_test(a_log_that_is_not_there_is_made_and_one_without_a_checkpoint_is_rebuilt),
        cmocka_unit_test(without_a_thread_and_for_a_reader_one_comes_after_the_other),
        cmocka_unit_test(se_09_the_rest_is_replayed_while_recovery_looks_behind_the_end),
        cmocka_unit_test(a_whole_log_is_rebuilt_when_it_is_known_that_it_may_be_opened),
        cmocka_unit_test(what_was_replayed_of_a_log_that_is_refused_is_thrown_away),
        cmocka_unit_test(what_does_not_fit_is_refused_for_the_same_reasons),
        cmocka_unit_test(memory_that_the_medium_may_still_write_to_is_not_given_back),
        cmocka_unit_test(when_the_log_cannot_be_opened_nothing_is),
        cmocka_unit_test(when_the_engine_cannot_be_opened_the_log_is_given_back),
        cmocka_unit_test(there_has_to_be_a_place_for_both),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
