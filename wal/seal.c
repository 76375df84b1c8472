/*
 * Seal: a closed group gets its header, and is then what will be found after a crash.
 *
 * Happy path, by the leader: see that no reservation is open in it; walk the records (yielding to
 * writers that are still copying), checksum their headers, add directory entries, zero the padding,
 * write the header last. The first group of a segment takes the segment's header with it, in the
 * same write.
 *
 * On persistent memory the leader also starts the write-back of everything that was stored
 * ordinarily; the fence comes with persist(). Large payloads were fenced by their writer.
 *
 * Invariants: a sealed group's bytes never change; its durable LSN was durable before.
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "wal/commit.h"
#include "wal/segment_header.h"

#include <string.h>

#define YIELDS_BEFORE_SLEEP 64u
#define PUBLISH_NAP_NS INT64_C(50000)
#define PREFETCH_BYTES 1024u

/* Appends that are still being copied do not count: they end by themselves, and wake nobody. */
bool seal_is_ready(const struct wal_group *group)
{
    /* Acquire pairs with the release in commit_published(): the records are announced. */
    return atomic_load_explicit(&group->open_reservations, memory_order_acquire) == 0;
}

/* A writer between reserve and publish copies a payload, so it is running or about to: yield to it,
 * and nap when it is not, on a machine that has more to do than this. */
static uint32_t wait_for_publish(const struct format_record *record)
{
    _Atomic uint32_t nothing = 0; /* that anybody would wake */
    const _Atomic uint32_t *word = (const _Atomic uint32_t *)(const void *)&record->size;
    for (unsigned turn = 0;; turn++) {
        /* Acquire pairs with the release in publish_announce(). */
        uint32_t size = atomic_load_explicit(word, memory_order_acquire);
        if (__builtin_expect(size != 0, 1)) {
            return size;
        }
        if (turn < YIELDS_BEFORE_SLEEP) {
            base_yield();
        } else {
            base_wait(&nothing, 0, PUBLISH_NAP_NS, false);
        }
    }
}

/* Records that may have gone through copy(): the group is then cleaned record by record. */
static bool has_large_records(const struct weir_log *log, const struct wal_group *group)
{
    return log->medium->ops->clean != NULL && group->kind == FORMAT_GROUP_DATA &&
           group->size_bytes > log->medium->info.copy_from_bytes;
}

/* Written back: the header of a large record and its last line; all of a small one. */
static void clean_record(struct weir_log *log, const struct wal_group *group, uint64_t offset,
                         uint32_t size)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    uint64_t at = group->offset + offset;
    uint64_t stride = format_align(size, FORMAT_RECORD_ALIGN);
    uint64_t payload = size - FORMAT_RECORD_HEADER_BYTES;
    if (group->in_place || payload < log->medium->info.copy_from_bytes) {
        ops->clean(group->segment->window, at, stride);
    } else {
        ops->clean(group->segment->window, at, FORMAT_RECORD_HEADER_BYTES);
        ops->clean(group->segment->window, at + stride - FORMAT_RECORD_ALIGN, FORMAT_RECORD_ALIGN);
    }
}

/* Once all are published: neighbours share lines. */
static void clean_records(struct weir_log *log, const struct wal_group *group)
{
    const uint8_t *base = group->segment->window->base + group->offset;
    uint64_t offset = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < group->record_count; i++) {
        uint32_t size = le32_load(&((const struct format_record *)(base + offset))->size);
        clean_record(log, group, offset, size);
        offset += format_align(size, FORMAT_RECORD_ALIGN);
    }
}

/* Starts the write-back of the sealed group: all of it, or what was not fenced by its writer. */
static void clean_group(struct weir_log *log, const struct wal_group *group, uint64_t padded_bytes)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    struct weir_window *window = group->segment->window;
    if (ops->clean == NULL) {
        return;
    }
    if (!has_large_records(log, group)) {
        ops->clean(window, group->offset, padded_bytes);
        return;
    }
    clean_records(log, group);
    ops->clean(window, group->offset, FORMAT_GROUP_HEADER_BYTES);
    if (padded_bytes > group->size_bytes) {
        ops->clean(window, group->offset + group->size_bytes, padded_bytes - group->size_bytes);
    }
}

void seal_add_entry(struct wal_segment *segment, const struct wal_group *group, uint64_t offset)
{
    uint32_t count = atomic_load_explicit(&segment->directory.count, memory_order_relaxed);
    WEIR_ASSERT(count < segment->directory.capacity);
    struct format_directory_entry *entry = &segment->directory.entries[count];
    le32_store(&entry->record_offset, group->offset + (uint32_t)offset);
    le32_store(&entry->group_offset, group->offset);
    /* Release pairs with the acquire in segment_find(). */
    atomic_store_explicit(&segment->directory.count, count + 1, memory_order_release);
}

static uint32_t seal_records(struct weir_log *log, struct wal_group *group)
{
    uint8_t *base = group->segment->window->base + group->offset;
    struct segment_totals *totals = &log->commit.totals;
    uint64_t offset = FORMAT_GROUP_HEADER_BYTES;
    uint32_t crc = 0;
    for (uint32_t i = 0; i < group->record_count; i++) {
        WEIR_ASSERT(offset + FORMAT_RECORD_HEADER_BYTES <= group->size_bytes);
        const struct format_record *record = (const struct format_record *)(base + offset);
        __builtin_prefetch(base + offset + PREFETCH_BYTES);
        uint32_t size = wait_for_publish(record);
        crc = base_crc32c_16(crc, record);
        if ((totals->records + i) % FORMAT_DIRECTORY_STRIDE == 0) {
            seal_add_entry(group->segment, group, offset);
        }
        totals->payload_bytes += size - FORMAT_RECORD_HEADER_BYTES;
        offset += format_align(size, FORMAT_RECORD_ALIGN);
    }
    WEIR_ASSERT(offset == group->size_bytes);
    totals->records += group->record_count;
    return crc;
}

static void build_epoch(struct weir_log *log, uint8_t *body)
{
    struct format_epoch *epoch = (struct format_epoch *)body;
    memset(epoch, 0, sizeof *epoch);
    le64_store(&epoch->epoch, log->control.epoch);
    le64_store(&epoch->previous_epoch, log->commit.chain.epoch);
    le32_store(&epoch->seed, log->control.seed);
}

static void build_seal(struct weir_log *log, const struct wal_group *group, uint8_t *body)
{
    struct wal_segment *segment = group->segment;
    const struct segment_totals *totals = &log->commit.totals;
    struct format_seal *seal = (struct format_seal *)body;
    uint32_t entries = atomic_load_explicit(&segment->directory.count, memory_order_relaxed);
    uint64_t bytes = format_seal_body_bytes(totals->records);
    WEIR_ASSERT(FORMAT_GROUP_HEADER_BYTES + bytes == group->size_bytes);
    memset(seal, 0, sizeof *seal);
    le64_store(&seal->record_count, totals->records);
    le64_store(&seal->group_count, totals->groups);
    le64_store(&seal->first_lsn, totals->records > 0 ? segment->start.next_lsn : 0);
    le64_store(&seal->last_lsn, totals->records > 0 ? segment->last_lsn : 0);
    le64_store(&seal->first_time_ns, totals->first_time_ns);
    le64_store(&seal->last_time_ns, group->time_ns);
    le64_store(&seal->payload_bytes, totals->payload_bytes);
    le32_store(&seal->entry_count, entries);
    memcpy(body + sizeof *seal, segment->directory.entries,
           entries * sizeof(struct format_directory_entry));
}

/* The body of a group without records; returns its CRC. */
static uint32_t seal_internal(struct weir_log *log, struct wal_group *group)
{
    uint8_t *body = group->segment->window->base + group->offset + FORMAT_GROUP_HEADER_BYTES;
    size_t bytes = group->size_bytes - FORMAT_GROUP_HEADER_BYTES;
    if (group->kind == FORMAT_GROUP_EPOCH) {
        build_epoch(log, body);
    } else if (group->kind == FORMAT_GROUP_SEAL) {
        build_seal(log, group, body);
    }
    return base_crc32c(0, body, bytes);
}

/* The first group of a segment brings the segment's header. */
static void write_segment_header(struct weir_log *log, struct wal_segment *segment)
{
    const struct group_chain *chain = &log->commit.chain;
    struct segment_header header = {
        .ordinal = segment->ordinal,
        .base_lsn = chain->next_lsn,
        .base_time_ns = chain->time_ns,
        .epoch = chain->epoch,
        .seed = chain->seed,
        .chain = chain->crc,
        .previous_seal_offset = log->commit.last_seal_offset,
        .durable_lsn = log->commit.flushed_lsn,
        .block_bytes = log->limits.block_bytes,
    };
    memcpy(header.uuid, log->control.uuid, FORMAT_UUID_BYTES);
    segment_header_encode(segment->window->base, &header, log->uuid_seed);
    if (log->medium->ops->clean != NULL) {
        log->medium->ops->clean(segment->window, 0, FORMAT_SEGMENT_HEADER_BYTES);
    }
    base_lock_acquire(&log->segments.lock);
    WEIR_ASSERT(segment->start.next_lsn == chain->next_lsn);
    segment->start = *chain;
    base_lock_release(&log->segments.lock);
    log->commit.totals = (struct segment_totals){0};
}

void seal_header(struct weir_log *log, struct wal_group *group, uint8_t *bytes, uint32_t body_crc)
{
    struct group_chain *chain = &log->commit.chain;
    struct group_header header = {
        .address = log_address(log, group->segment, group->offset),
        .first_lsn = group->first_lsn,
        .time_ns = group->time_ns,
        .durable_lsn = log->commit.flushed_lsn,
        .chain = chain->crc,
        .body_crc = body_crc,
        .record_count = group->record_count,
        .size_bytes = group->size_bytes,
        .kind = group->kind,
    };
    bool is_epoch = group->kind == FORMAT_GROUP_EPOCH;
    header.epoch = (uint32_t)(is_epoch ? log->control.epoch : chain->epoch);
    group->durable_lsn = header.durable_lsn;
    group_encode(bytes, &header, is_epoch ? log->uuid_seed : chain->seed);
    WEIR_ASSERT(group_check_place(&header, chain) == GROUP_OK);
    group_chain_advance(chain, bytes, &header);
}

uint32_t seal_group(struct weir_log *log, struct wal_group *group)
{
    struct wal_segment *segment = group->segment;
    uint32_t from = group->offset;
    if (group->offset == FORMAT_SEGMENT_HEADER_BYTES) {
        write_segment_header(log, segment);
        from = 0;
    }
    bool data = group->kind == FORMAT_GROUP_DATA;
    uint32_t body_crc = data ? seal_records(log, group) : seal_internal(log, group);
    struct segment_totals *totals = &log->commit.totals;
    totals->groups++;
    if (data && totals->first_time_ns == 0) {
        totals->first_time_ns = group->time_ns;
    }
    uint8_t *bytes = segment->window->base + group->offset;
    uint64_t end = format_align(group->size_bytes, log->limits.block_bytes);
    memset(bytes + group->size_bytes, 0, end - group->size_bytes);
    seal_header(log, group, bytes, body_crc);
    clean_group(log, group, end);
    if (group->kind == FORMAT_GROUP_SEAL) {
        log->commit.last_seal_offset = group->offset;
        base_lock_acquire(&log->segments.lock);
        segment->seal_seed = log->commit.chain.seed;
        base_lock_release(&log->segments.lock);
    }
    return from;
}
