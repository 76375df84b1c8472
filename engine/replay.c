/*
 * Replay: all records from an LSN on to the end of what is durable, applied one by one.
 *
 * Happy path: a cursor lends records, a batch at a time; what applying them will look at is sent
 * for; they are applied (follow.c).
 *
 * Before an engine is open, threads do so side by side, when there are enough records. Each walks
 * all of them and applies the changes of its share of the keys: a key's changes are applied in the
 * order of the log by one thread, and the index has as many writers as it likes. Tables are added
 * by whoever comes to them first. The thread that opens does the first share; a share whose thread
 * cannot be started is done behind it.
 *
 * Failure modes: a record that no engine wrote; damage and gaps, as the cursor says; no memory. The
 * error that is reported is that of the first record in the log that has one: a share goes on until
 * it is there. What was applied stays applied; with one share, going on from there is right.
 *
 * Invariant: all tables have the source of their index back when it ends.
 */
#include "engine/follow.h"

#include "base/thread.h"
#include "wal/address_fetch.h"

#include <errno.h>

#define BATCH 256
/* Records that are looked for together. What lies in memory goes through the caches; what does not
 * is read in a time that does not depend on how much it is. */
#define WINDOW 64u
#define WINDOW_OF_READS WAL_ADDRESS_FETCHES
/* Few reads: one of so many records looks at one that the page cache lacks, or fewer do. */
#define READS_FEW 16u
#define SHARES_MAX 8u
#define SHARE_RECORDS_LEAST 1024u   /* that a thread is started for */
#define INDEX_BYTES_FOR_RECORD 256u /* several times what a key takes */

_Static_assert(WINDOW <= WAL_ADDRESS_FETCHES, "one record is looked at for each");

struct replay;

/* What one thread does. */
struct share {
    struct replay *replay;
    struct weir_engine *engine;
    struct weir_cursor *cursor;
    struct wal_address_fetch *fetch; /* NULL: all records are read where they lie */
    struct base_thread thread;
    uint32_t number;
    uint64_t records, bytes; /* of all shares, as far as it came */
    uint64_t chosen;         /* records that it has applied itself */
    int rc;
    struct weir_error why;
    weir_lsn position; /* behind the last record that is done with */
};

struct replay {
    struct weir_engine *engine;
    struct index_source source; /* of all tables, while records are fetched */
    weir_lsn from;
    uint32_t share_count;
    uint32_t window;
    _Atomic weir_lsn failed; /* the first record with an error, UINT64_MAX: none */
    struct share shares[SHARES_MAX];
};

/* ---- where records are read ---- */

static _Thread_local const struct share *share_of_thread; /* NULL: it has none */

/* The index asks in the thread that puts. */
static int load_key(void *context, uint64_t address, struct index_key *ret_key)
{
    struct replay *replay = context;
    struct engine_version version;
    struct wal_address_fetch *fetch = share_of_thread != NULL ? share_of_thread->fetch : NULL;
    int rc = follow_version_at(replay->engine, fetch, address, &version);
    if (rc == 0) {
        *ret_key = (struct index_key){version.key.data, (uint32_t)version.key.size};
    }
    return rc;
}

static void use_source(struct weir_engine *engine, const struct index_source *source)
{
    uint32_t end = atomic_load_explicit(&engine->tables.end, memory_order_relaxed);
    for (uint32_t i = 0; i < end; i++) {
        struct engine_table *table = table_of(engine, i);
        if (table != NULL) {
            table->index.source = *source;
        }
    }
}

/* While an engine is opened, the few records that are looked at are fetched one by one. */
static void begin_fetching(struct replay *replay)
{
    replay->source = table_of(replay->engine, WEIR_TABLE_DEFAULT)->index.source;
    use_source(replay->engine, &(struct index_source){.load = load_key, .context = replay});
}

/* Asks for the nodes on the way to some keys, and for the records that will have to be read. */
static void fetch_lanes(struct share *share, struct index_lane *lanes, const uint64_t *before,
                        unsigned count)
{
    index_candidates(lanes, count);
    for (unsigned i = 0; i < count; i++) {
        bool is_looked_at = lanes[i].address != 0 && lanes[i].address != before[i];
        if (is_looked_at && share->fetch != NULL) {
            wal_address_fetch_begin(share->fetch, lanes[i].address);
        }
        if (is_looked_at) {
            place_prefetch(&share->engine->places, lanes[i].address);
        }
    }
}

/* ---- a batch ---- */

static bool is_ours(const struct weir_record *record)
{
    return record->type >= WEIR_TYPE_RESERVED && (record->flags & WEIR_RECORD_GAP) == 0;
}

/* A change that is one, and whose key is of this share. */
static bool is_of_share(const struct share *share, const struct engine_version *version)
{
    uint32_t count = share->replay->share_count;
    return count == 1 || stripe_of(version->table, version->key) % count == share->number;
}

/* Which records the share applies: changes of its keys, tables, and what is wrong and will be said
 * to be. Sends for what putting them will look at: a miss that one key would wait for, or a read,
 * is waited for together with those of the others. Goes on to the end of a window, and returns how
 * far that is: of a batch that others share, it is longer. */
static int choose(struct share *share, const struct weir_record *records, int count,
                  bool ret_chosen[BATCH])
{
    struct weir_engine *engine = share->engine;
    struct index_lane lanes[INDEX_LANES];
    uint64_t before[INDEX_LANES];
    unsigned lane = 0, chosen = 0;
    int i = 0;
    for (; i < count && chosen < share->replay->window; i++) {
        struct engine_version version;
        ret_chosen[i] = false;
        if (!is_ours(&records[i])) {
            continue;
        }
        bool is_change =
            records[i].type == WEIR_TYPE_CHANGE &&
            record_read(&records[i], wal_address_of(engine->log, share->cursor, &records[i]),
                        &version) == 0;
        if (is_change && !is_of_share(share, &version)) {
            continue;
        }
        ret_chosen[i] = true;
        chosen++;
        struct engine_table *table = is_change ? table_of(engine, version.table) : NULL;
        if (table == NULL) {
            continue;
        }
        before[lane] = follow_address_before(engine, &version);
        lanes[lane].index = &table->index;
        lanes[lane++].key = (struct index_key){version.key.data, (uint32_t)version.key.size};
        if (lane == INDEX_LANES) {
            fetch_lanes(share, lanes, before, lane);
            lane = 0;
        }
    }
    fetch_lanes(share, lanes, before, lane);
    share->chosen += chosen;
    return i;
}

/* Says where the share failed, if no other one did so in front of that. */
static void fail(struct share *share, const struct weir_record *record, int rc)
{
    weir_lsn lsn = record != NULL ? record->lsn : weir_cursor_position(share->cursor);
    weir_lsn first = atomic_load_explicit(&share->replay->failed, memory_order_relaxed);
    share->rc = follow_explain(share->cursor, record, rc, &share->why);
    while (lsn < first &&
           !atomic_compare_exchange_weak_explicit(&share->replay->failed, &first, lsn,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static bool is_behind_a_failure(const struct share *share, weir_lsn lsn)
{
    return lsn > atomic_load_explicit(&share->replay->failed, memory_order_relaxed);
}

static void move_on(struct share *share, weir_lsn lsn)
{
    share->position = lsn + 1;
    if (share->replay->share_count == 1) {
        /* Release pairs with the acquire in stripe_applied(). */
        atomic_store_explicit(&share->engine->follow.replayed, lsn, memory_order_release);
    }
}

/* Each window is a section of its own: a long replay holds nothing back. How many records. */
static int apply_window(struct share *share, const struct weir_record *records, int count)
{
    struct weir_engine *engine = share->engine;
    bool chosen[BATCH];
    uint32_t slot = epoch_enter(&engine->epochs);
    count = choose(share, records, count, chosen);
    for (int i = 0; i < count && share->rc == 0; i++) {
        int rc = 0;
        if (chosen[i]) {
            rc = follow_apply_fetched(engine, share->fetch, &records[i],
                                      wal_address_of(engine->log, share->cursor, &records[i]));
        }
        if (rc < 0) {
            fail(share, &records[i], rc);
        } else {
            move_on(share, records[i].lsn);
        }
        share->records++;
        share->bytes += records[i].size;
    }
    epoch_leave(&engine->epochs, slot);
    if (share->fetch != NULL) {
        wal_address_fetch_clear(share->fetch);
    }
    return count;
}

static void apply_batch(struct share *share, const struct weir_record *records, int count)
{
    for (int done = 0; done < count && share->rc == 0;) {
        done += apply_window(share, records + done, count - done);
    }
}

/* ---- a share ---- */

/* False: the share is done. */
static bool take_batch(struct share *share)
{
    struct weir_record records[BATCH];
    if (share->rc < 0) {
        return false;
    }
    int count = weir_cursor_next_batch(share->cursor, records, BATCH);
    if (count < 0) {
        fail(share, NULL, count);
    } else if (count == 0) {
        move_on(share, weir_cursor_position(share->cursor) - 1); /* passed over ones, too */
    } else if (!is_behind_a_failure(share, records[0].lsn)) {
        apply_batch(share, records, count);
        return share->rc == 0;
    }
    return false;
}

static void walk(void *context)
{
    struct share *share = context;
    share_of_thread = share;
    while (take_batch(share)) {
    }
    share_of_thread = NULL;
}

static int open_share(struct replay *replay, uint32_t number, struct weir_error *why)
{
    struct weir_engine *engine = replay->engine;
    struct share *share = &replay->shares[number];
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_LSN;
    options.lsn = replay->from;
    options.compacted = true;
    *share = (struct share){
        .replay = replay, .engine = engine, .number = number, .why = WEIR_ERROR_INIT};
    int rc = weir_cursor_open(engine->log, &options, &share->cursor);
    if (rc < 0) {
        return engine_error(why, rc, "the log cannot be read from LSN %llu on: %s",
                            (unsigned long long)replay->from, weir_error_text(rc));
    }
    struct wal_address_fetch *beside = number > 0 ? replay->shares[0].fetch : NULL;
    return engine->read_only ? 0 : wal_address_fetch_open(engine->log, beside, &share->fetch);
}

static void close_shares(struct replay *replay)
{
    for (uint32_t i = SHARES_MAX; i-- > 0;) { /* the first one's files are used by all */
        wal_address_fetch_close(replay->shares[i].fetch);
        if (replay->shares[i].cursor != NULL) {
            weir_cursor_close(replay->shares[i].cursor);
        }
    }
}

/* Each thread keeps memory of the index for itself that the others, and one alone, could use. */
static bool is_room_for(const struct weir_engine *engine, uint64_t shares, uint64_t records)
{
    const struct engine_arena *arena = &engine->arena;
    uint64_t left = arena->limit - atomic_load_explicit(&arena->used, memory_order_relaxed);
    return left >= shares * ARENA_REGION_KEEPS_MAX + records * INDEX_BYTES_FOR_RECORD;
}

/* A reader's may be at work already: alone, in the order of the log. */
static uint32_t wanted_shares(const struct replay *replay)
{
    const struct weir_engine *engine = replay->engine;
    weir_lsn durable = weir_durable_lsn(engine->log);
    uint64_t records = durable >= replay->from ? durable - replay->from + 1 : 0;
    uint64_t most = engine->read_only ? 1 : records / SHARE_RECORDS_LEAST;
    most = most < SHARES_MAX ? most : SHARES_MAX;
    most = most < engine->options.threads ? most : engine->options.threads;
    return most > 1 && is_room_for(engine, most, records) ? (uint32_t)most : 1;
}

/* The first records show whether old ones have to be read. If so one thread is enough: it waits for
 * the medium, and several would wait for each other. */
static bool try_some(struct replay *replay)
{
    struct share *first = &replay->shares[0];
    bool goes_on = true;
    share_of_thread = first;
    while (goes_on && first->chosen < BATCH) {
        goes_on = take_batch(first);
    }
    share_of_thread = NULL;
    bool reads = wal_address_fetch_asked(first->fetch) * READS_FEW > first->chosen;
    replay->window = reads ? WINDOW_OF_READS : WINDOW;
    return goes_on && !reads;
}

static void run_shares(struct replay *replay)
{
    uint32_t started = 1;
    while (started < replay->share_count &&
           base_thread_start_beside(&replay->shares[started].thread, "weir-replay", walk,
                                    &replay->shares[started]) == 0) {
        started++;
    }
    walk(&replay->shares[0]);
    for (uint32_t i = started; i < replay->share_count; i++) {
        walk(&replay->shares[i]); /* no thread could be had for it */
    }
    for (uint32_t i = 1; i < started; i++) {
        base_thread_join(&replay->shares[i].thread);
    }
    struct weir_engine_open_report *report = &replay->engine->report;
    report->threads = started > report->threads ? started : report->threads;
}

/* What the first failure in the log is, or how far all shares are. */
static int settle(struct replay *replay, struct weir_error *why)
{
    struct weir_engine *engine = replay->engine;
    const struct share *first = &replay->shares[0];
    for (uint32_t i = 1; i < replay->share_count; i++) {
        const struct share *share = &replay->shares[i];
        if (share->rc < 0 && (first->rc == 0 || share->position < first->position)) {
            first = share;
        }
    }
    engine->report.replayed_records += replay->shares[0].records;
    engine->report.replayed_bytes += replay->shares[0].bytes;
    if (first->rc < 0) {
        if (why != NULL && first->why.code == first->rc) {
            size_t size = why->size;
            *why = first->why;
            why->size = size;
        }
        return first->rc;
    }
    weir_lsn end = UINT64_MAX;
    for (uint32_t i = 0; i < replay->share_count; i++) {
        end = replay->shares[i].position < end ? replay->shares[i].position : end;
    }
    /* Release pairs with the acquire in stripe_applied(). */
    atomic_store_explicit(&engine->follow.replayed, end - 1, memory_order_release);
    return 0;
}

/* What cannot be had for one more is done without. */
static void add_shares(struct replay *replay, uint32_t wanted)
{
    replay->from = replay->shares[0].position;
    while (replay->share_count < wanted && open_share(replay, replay->share_count, NULL) == 0) {
        replay->share_count++;
    }
}

static int run(struct replay *replay, struct weir_error *why)
{
    uint32_t wanted = wanted_shares(replay);
    bool fetches = !replay->engine->read_only;
    int rc = open_share(replay, 0, why);
    replay->share_count = 1;
    replay->window = WINDOW;
    if (rc == 0 && fetches) {
        begin_fetching(replay);
    }
    if (rc == 0 && fetches && try_some(replay)) {
        add_shares(replay, wanted);
    }
    if (rc == 0) {
        run_shares(replay);
        if (fetches) {
            use_source(replay->engine, &replay->source);
        }
        rc = settle(replay, why);
    }
    close_shares(replay);
    return rc;
}

int replay_from(struct weir_engine *engine, weir_lsn from, struct weir_error *why)
{
    struct replay *replay = base_alloc_zero(sizeof *replay);
    if (replay == NULL) {
        return -ENOMEM;
    }
    place_learn(engine); /* a reader's log may have come to be since it was opened */
    replay->engine = engine;
    replay->from = from;
    atomic_store_explicit(&replay->failed, UINT64_MAX, memory_order_relaxed);
    int rc = run(replay, why);
    base_free(replay);
    return rc;
}
