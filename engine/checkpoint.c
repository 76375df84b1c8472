/*
 * Making a checkpoint, while writers go on.
 *
 * Happy path: note P, what is applied now; walk the index in order, a section at a time, and build
 * a fresh, dense tree in an arena of its own from what is there; note Q, the last LSN that was
 * given out when the walk was over; make everything durable; write the image, then head and tables,
 * sync, and put the file in place of the last one.
 *
 * A key that changes while the walk is on is inside in one version or the other: both lie at or
 * below Q, and the replay from P on brings the newest.
 *
 * Failure modes: no room, no memory, a key that cannot be read, a poisoned log: the file that was
 * begun is removed, the last checkpoint stays. A crash leaves checkpoint.new, which the next one
 * writes over.
 *
 * Invariants: no compaction moves addresses while they are collected (compacting is held);
 * durable >= Q before the file has its name; nodes in motion are never copied.
 */
#include "engine/checkpoint.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "engine/index_build.h"

#include <errno.h>
#include <string.h>

#include <weir/append.h>
#include <weir/inspect.h>

#define WALK_BATCH 256
#define WALK_AHEAD 16
#define WRITE_BYTES ((uint64_t)4 << 20)

const uint8_t checkpoint_magic[8] = {'W', 'E', 'I', 'R', 'C', 'K', 'P', '1'};

uint32_t checkpoint_piece_crc(const uint8_t *image, uint64_t image_bytes, uint64_t index)
{
    uint64_t offset = index * CHECKPOINT_PIECE_BYTES;
    uint64_t left = image_bytes - offset;
    return base_crc32c(0, image + offset,
                       left < CHECKPOINT_PIECE_BYTES ? left : CHECKPOINT_PIECE_BYTES);
}

/* A checkpoint on its way. */
struct making {
    struct weir_engine *engine;
    struct engine_arena arena;
    struct checkpoint_table *tables;
    uint32_t table_count;
    weir_lsn replay_lsn, until_lsn;
    uint64_t keys, image_bytes;
    struct weir_file *file;
    uint8_t *block; /* head, tables and CRCs */
    uint64_t block_bytes;
    uint64_t image_offset; /* at or behind block_bytes */
};

/* ---- building ---- */

static int add_keys(struct making *making, struct index_builder *builder, const uint64_t *addresses,
                    int count, uint64_t *deleted, struct engine_version *ret_last)
{
    struct weir_engine *engine = making->engine;
    for (int i = 0; i < count && i < WALK_AHEAD; i++) {
        place_prefetch(&engine->places, addresses[i]);
    }
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        if (i + WALK_AHEAD < count) {
            place_prefetch(&engine->places, addresses[i + WALK_AHEAD]);
        }
        rc = place_version(&engine->places, addresses[i], ret_last);
        if (rc == 0) {
            const struct index_key key = {ret_last->key.data, (uint32_t)ret_last->key.size};
            rc = index_builder_add(builder, key, addresses[i]);
            *deleted += ret_last->operation == WEIR_REMOVE;
        }
    }
    return rc;
}

/* One batch is one section, so that a long walk holds nothing back. `last` is the key that the next
 * section goes on behind, in memory of the caller. */
static int walk_batch(struct making *making, struct engine_table *table,
                      struct index_builder *builder, struct index_key *last, uint8_t *last_bytes,
                      uint64_t *deleted)
{
    struct weir_engine *engine = making->engine;
    struct index_iterator iterator;
    uint64_t addresses[WALK_BATCH];
    struct engine_version version;
    uint32_t slot = epoch_enter(&engine->epochs);
    index_iterator_init(&iterator, &table->index);
    int rc = index_seek(&iterator, *last, last->size > 0 ? INDEX_GT : INDEX_FIRST);
    int count = rc == 0 ? index_next_batch(&iterator, addresses, WALK_BATCH) : rc;
    rc = count > 0 ? add_keys(making, builder, addresses, count, deleted, &version) : count;
    if (rc == 0 && count > 0) {
        memcpy(last_bytes, version.key.data, version.key.size);
        *last = (struct index_key){last_bytes, (uint32_t)version.key.size};
    }
    epoch_leave(&engine->epochs, slot);
    return rc < 0 ? rc : count;
}

static int build_table(struct making *making, struct engine_table *table, uint8_t *last_bytes)
{
    struct index_builder builder;
    struct index_key last = {NULL, 0};
    uint64_t root = 0, keys = 0, deleted = 0;
    int rc = index_builder_init(&builder, &making->arena);
    if (rc < 0) {
        return rc;
    }
    do {
        rc = walk_batch(making, table, &builder, &last, last_bytes, &deleted);
    } while (rc > 0);
    if (rc < 0) {
        index_builder_abort(&builder);
        return rc;
    }
    rc = index_builder_finish(&builder, &root, &keys);
    if (rc < 0) {
        return rc;
    }
    struct checkpoint_table *entry = &making->tables[making->table_count++];
    le32_store(&entry->number, table->number);
    le64_store(&entry->root, root);
    le64_store(&entry->keys, keys);
    le64_store(&entry->deleted, deleted);
    le64_store(&entry->created, table->created);
    memcpy(entry->name, table->name, sizeof entry->name);
    making->keys += keys;
    return 0;
}

static int build_all(struct making *making)
{
    struct weir_engine *engine = making->engine;
    making->replay_lsn = stripe_applied(engine);
    uint32_t end = atomic_load_explicit(&engine->tables.end, memory_order_relaxed);
    making->tables = base_alloc_array(end, sizeof *making->tables);
    uint8_t *last_bytes = base_alloc(WEIR_KEY_BYTES_MAX);
    int rc = making->tables == NULL || last_bytes == NULL ? -ENOMEM : 0;
    for (uint32_t i = 0; i < end && rc == 0; i++) {
        struct engine_table *table = table_of(engine, i);
        rc = table != NULL ? build_table(making, table, last_bytes) : 0;
    }
    base_free(last_bytes);
    making->until_lsn = wal_address_reserved(engine->log);
    return rc;
}

/* ---- writing ---- */

static void fill_gaps(struct checkpoint_head *head, const struct engine_gaps *gaps)
{
    le64_store(&head->gap_horizon, atomic_load_explicit(&gaps->horizon, memory_order_relaxed));
    le64_store(&head->gap_lsns, gaps->found.lsns);
    le64_store(&head->gaps, gaps->found.ranges);
    le64_store(&head->gap_from, gaps->found.first);
    le64_store(&head->gap_to, gaps->found.last);
}

static void fill_head(struct making *making, const struct wal_address_identity *identity)
{
    struct checkpoint_head *head = (struct checkpoint_head *)making->block;
    memcpy(head->magic, checkpoint_magic, sizeof head->magic);
    le32_store(&head->version, CHECKPOINT_VERSION);
    head->native = CHECKPOINT_NATIVE;
    memcpy(head->uuid, identity->uuid, sizeof head->uuid);
    le64_store(&head->layout, identity->layout);
    le64_store(&head->epoch, identity->epoch);
    le64_store(&head->replay_lsn, making->replay_lsn);
    le64_store(&head->until_lsn, making->until_lsn);
    le32_store(&head->chain, identity->chain);
    le32_store(&head->table_count, making->table_count);
    le64_store(&head->image_offset, making->image_offset);
    le64_store(&head->image_bytes, making->image_bytes);
    le64_store(&head->keys, making->keys);
    fill_gaps(head, &making->engine->gaps);
    uint8_t *at = making->block + CHECKPOINT_BLOCK;
    size_t tables_bytes = making->table_count * sizeof *making->tables;
    memcpy(at, making->tables, tables_bytes);
    struct le32 *pieces = (struct le32 *)(at + tables_bytes);
    uint64_t count = checkpoint_pieces(making->image_bytes);
    for (uint64_t i = 0; i < count; i++) {
        le32_store(&pieces[i], checkpoint_piece_crc(making->arena.memory, making->image_bytes, i));
    }
    size_t parts_bytes = tables_bytes + (size_t)count * sizeof *pieces;
    le32_store(&head->tables_crc, base_crc32c(0, at, parts_bytes));
    size_t start = offsetof(struct checkpoint_head, version);
    le32_store(&head->crc, base_crc32c(0, making->block + start, CHECKPOINT_BLOCK - start));
}

static int write_file(struct making *making, const struct weir_medium *medium)
{
    uint64_t image = checkpoint_round(making->image_bytes);
    int rc = medium->ops->write(making->file, 0, making->block, making->block_bytes);
    for (uint64_t at = 0; at < image && rc == 0; at += WRITE_BYTES) {
        uint64_t size = image - at < WRITE_BYTES ? image - at : WRITE_BYTES;
        rc = medium->ops->write(making->file, making->image_offset + at, making->arena.memory + at,
                                size);
    }
    return rc == 0 ? medium->ops->sync(making->file) : rc;
}

static int make_directories(struct weir_medium *medium)
{
    int rc = medium->ops->make_directory(medium, "derived");
    if (rc == 0) {
        rc = medium->ops->sync_directory(medium, "");
    }
    if (rc == 0) {
        rc = medium->ops->make_directory(medium, CHECKPOINT_DIRECTORY);
    }
    return rc == 0 ? medium->ops->sync_directory(medium, "derived") : rc;
}

static int put_in_place(struct weir_medium *medium)
{
    int rc = medium->ops->rename(medium, CHECKPOINT_NEW_NAME, CHECKPOINT_NAME);
    return rc == 0 ? medium->ops->sync_directory(medium, CHECKPOINT_DIRECTORY) : rc;
}

static int write_all(struct making *making)
{
    struct weir_medium *medium = wal_address_medium(making->engine->log);
    struct wal_address_identity identity;
    int rc = weir_commit(making->engine->log);
    if (rc == 0) {
        rc = wal_address_identify(making->engine->log, making->until_lsn, &identity);
    }
    rc = rc == 0 ? make_directories(medium) : rc;
    if (rc < 0) {
        return rc;
    }
    arena_seal(&making->arena, &making->image_bytes);
    uint64_t parts = making->table_count * sizeof *making->tables +
                     checkpoint_pieces(making->image_bytes) * sizeof(struct le32);
    making->block_bytes = CHECKPOINT_BLOCK + checkpoint_round(parts);
    making->image_offset = checkpoint_image_offset(parts, making->image_bytes);
    making->block = base_pages_alloc(making->block_bytes, 0);
    if (making->block == NULL) {
        return -ENOMEM;
    }
    fill_head(making, &identity);
    rc = medium->ops->remove(medium, CHECKPOINT_NEW_NAME); /* of a crash */
    rc = rc == -ENOENT ? 0 : rc;
    rc = rc == 0 ? medium->ops->create(medium, CHECKPOINT_NEW_NAME, 0, &making->file) : rc;
    if (rc < 0) {
        return rc;
    }
    rc = write_file(making, medium);
    medium->ops->close(making->file);
    rc = rc == 0 ? put_in_place(medium) : rc;
    if (rc < 0) {
        (void)medium->ops->remove(medium, CHECKPOINT_NEW_NAME);
    }
    return rc;
}

/* ---- when ---- */

static uint64_t appended_bytes(struct weir_engine *engine)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    return weir_log_stat(engine->log, &stat) == 0 ? stat.append_bytes : 0;
}

uint64_t checkpoint_behind_bytes(struct weir_engine *engine)
{
    return appended_bytes(engine) -
           atomic_load_explicit(&engine->upkeep.checkpoint_bytes, memory_order_relaxed);
}

static bool checkpoint_is_due(struct weir_engine *engine)
{
    return !engine->read_only &&
           checkpoint_behind_bytes(engine) >= engine->options.checkpoint_bytes;
}

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return (double)(to_ns - from_ns) / (double)BASE_NS_PER_S;
}

/* Under upkeep.lock. */
static int make(struct weir_engine *engine, struct weir_checkpoint_report *report)
{
    struct making making = {.engine = engine};
    uint64_t start_ns = base_clock_monotonic_ns();
    uint64_t bytes = appended_bytes(engine);
    int rc = arena_init(&making.arena, NULL, engine->options.index_bytes, 0);
    if (rc < 0) {
        return rc;
    }
    arena_spare(&making.arena,
                atomic_load_explicit(&engine->arena.spare_shift, memory_order_relaxed));
    rc = build_all(&making);
    uint64_t built_ns = base_clock_monotonic_ns();
    rc = rc == 0 ? write_all(&making) : rc;
    uint64_t end_ns = base_clock_monotonic_ns();
    if (rc == 0) {
        atomic_store_explicit(&engine->upkeep.checkpoint_lsn, making.replay_lsn,
                              memory_order_relaxed);
        atomic_store_explicit(&engine->upkeep.checkpoint_bytes, bytes, memory_order_relaxed);
        report->lsn = making.replay_lsn;
        report->until = making.until_lsn;
        report->keys = making.keys;
        report->bytes = making.image_offset + checkpoint_round(making.image_bytes);
        report->build_s = seconds_between(start_ns, built_ns);
        report->write_s = seconds_between(built_ns, end_ns);
        report->total_s = seconds_between(start_ns, end_ns);
    }
    base_pages_free(making.block, making.block_bytes);
    base_free(making.tables);
    arena_destroy(&making.arena);
    return rc;
}

int checkpoint_make(struct weir_engine *engine, struct weir_checkpoint_report *report)
{
    WEIR_ASSERT(base_lock_is_held(&engine->compacting));
    base_lock_acquire(&engine->upkeep.lock);
    int rc = make(engine, report);
    base_lock_release(&engine->upkeep.lock);
    return rc;
}

static int check(const struct weir_engine *engine)
{
    int rc = engine_check(engine);
    rc = rc == 0 && engine->read_only ? WEIR_E_READ_ONLY : rc;
    return rc == 0 ? atomic_load_explicit(&engine->failed, memory_order_relaxed) : rc;
}

int weir_engine_checkpoint(struct weir_engine *engine, struct weir_checkpoint_report *ret_report,
                           struct weir_error *ret_error)
{
    if (engine == NULL || (ret_report != NULL && ret_report->size < sizeof *ret_report)) {
        return engine_error(ret_error, -EINVAL, "no engine was given");
    }
    struct weir_checkpoint_report report = WEIR_CHECKPOINT_REPORT_INIT;
    int rc = check(engine);
    if (rc == 0) {
        base_lock_acquire(&engine->compacting);
        rc = checkpoint_make(engine, &report);
        base_lock_release(&engine->compacting);
    }
    if (rc < 0) {
        return engine_error(ret_error, rc, "no checkpoint was made: %s", weir_error_text(rc));
    }
    if (ret_report != NULL) {
        report.size = ret_report->size;
        *ret_report = report;
    }
    return 0;
}

int checkpoint_make_if_due(struct weir_engine *engine, struct weir_error *why)
{
    if (!checkpoint_is_due(engine) || check(engine) < 0 || !base_lock_try(&engine->compacting)) {
        return 0;
    }
    struct weir_checkpoint_report report;
    int rc = checkpoint_make(engine, &report);
    base_lock_release(&engine->compacting);
    return rc == 0 ? 0 : engine_error(why, rc, "no checkpoint was made: %s", weir_error_text(rc));
}
