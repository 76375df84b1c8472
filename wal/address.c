/*
 * Addresses, for the storage engine.
 *
 * Happy path of a read: the caller has pinned the segment; what this handle wrote, or checked as
 * part of a group, is lent at once. Anything else was mapped from a file and perhaps never looked
 * at: then the record proves itself by its payload's checksum, and by the LSN under that checksum,
 * which has to be one of this segment. That is less than checking the group, and costs one record
 * instead of thousands: whoever walks the log, or verifies it, checks groups.
 *
 * Failure modes: no such record there (WEIR_E_DAMAGED, which may also mean that the address is one
 * of another log); an LSN that is gone or not durable yet.
 *
 * Invariants: no size is used before it is known to stay inside the segment, none is believed
 * before the checksum over that many bytes is right; a pin counts as an open cursor, so that the
 * log is not closed under it.
 */
#include "wal/address_read.h"

#include "base/crc32c.h"
#include "wal/callback.h"
#include "wal/cursor.h"
#include "wal/publish.h"

#include <errno.h>
#include <string.h>

/* Of a segment: so much of it is checked record by record before its groups are. */
#define SINGLY_SHARE 64u
#define NEVER_BY_GROUPS UINT32_MAX /* in checked_singly */

/* ---- writing ---- */

int wal_address_append(struct weir_log *log, const struct wal_address_batch *batch,
                       enum weir_durability durability, weir_lsn *ret_first_lsn)
{
    struct publish_batch numbered = {.entries = batch->entries,
                                     .count = batch->count,
                                     .waits_later = batch->waits_later,
                                     .numbered = true,
                                     .stamp = batch->stamp,
                                     .context = batch->context};
    return publish_batch(log, &numbered, durability, ret_first_lsn);
}

uint64_t wal_address_record_bytes(const struct weir_log *log)
{
    return log->limits.record_bytes - FORMAT_RECORD_NUMBER_BYTES;
}

int wal_address_check(const struct weir_log *log)
{
    return log_check(log);
}

bool wal_address_is_inside(const struct weir_log *log)
{
    return callback_is_inside(log);
}

bool wal_address_is_read_only(const struct weir_log *log)
{
    return (log->flags & WEIR_LOG_READ_ONLY) != 0;
}

weir_lsn wal_address_horizon(const struct weir_log *log)
{
    /* Acquire pairs with the release of who has compacted, or learned of it. */
    return atomic_load_explicit(&log->marks.horizon, memory_order_acquire);
}

weir_lsn wal_address_reserved(const struct weir_log *log)
{
    /* Sequentially consistent: a writer announces itself before it reserves, and whoever looks for
     * writers looks at this first. */
    return atomic_load_explicit(&log->marks.reserved, memory_order_seq_cst);
}

/* ---- segments ---- */

_Static_assert(WAL_ADDRESS_COMPACTED == FORMAT_COMPACTED_ORDINAL, "the engine's view of it");

uint64_t wal_address_ordinal(const struct weir_log *log, uint64_t address)
{
    return address >> log->limits.segment_shift;
}

int wal_address_pin(struct weir_log *log, uint64_t ordinal, struct wal_segment **ret_segment,
                    struct weir_error *why)
{
    int rc = segment_pin_ordinal(log, ordinal, ret_segment, why);
    if (rc == 0) {
        atomic_fetch_add_explicit(&log->cursors, 1, memory_order_relaxed);
    }
    return rc;
}

void wal_address_unpin(struct weir_log *log, struct wal_segment *segment)
{
    if (log_check(log) == 0) { /* in a child of fork() the lock may be held for ever */
        segment_unpin(log, segment);
    }
    /* Release pairs with the acquire in weir_log_close(): the pin is gone. */
    atomic_fetch_sub_explicit(&log->cursors, 1, memory_order_release);
}

bool wal_address_is_dropped(struct weir_log *log, const struct wal_segment *segment)
{
    base_lock_acquire(&log->segments.lock);
    bool dropped = segment->dropped;
    base_lock_release(&log->segments.lock);
    return dropped;
}

uint64_t wal_address_segment_bytes(const struct weir_log *log)
{
    return log->limits.segment_bytes;
}

const uint8_t *wal_address_at(const struct weir_log *log, const struct wal_segment *segment,
                              uint64_t address)
{
    return segment->base + (address & (log->limits.segment_bytes - 1));
}

/* ---- reading ---- */

static bool is_of_segment(const struct wal_segment *segment, weir_lsn lsn)
{
    return lsn >= segment->start.next_lsn &&
           (segment->state != SEGMENT_SEALED || lsn <= segment->last_lsn);
}

/* Checks the group that a record lies in, as a walk does. False: it, or one of the few in front of
 * it that its place is found by, is damaged. */
static bool check_group(struct weir_log *log, struct wal_segment *segment, uint32_t offset)
{
    struct segment_place place;
    struct segment_walk walk;
    struct group_header header;
    if (!segment_find_offset(segment, offset, &place) ||
        walk_start(&walk, log, segment, NULL) < 0) {
        return false;
    }
    /* Groups without records may come before the first one that has some: nobody else comes by. */
    if (place.group_offset == le32_load(&segment->directory.entries[0].group_offset)) {
        while (walk.offset < place.group_offset && walk_look(&walk, &header) == GROUP_OK) {
            walk_pass(&walk, &header);
        }
    }
    walk_jump(&walk, place.group_offset);
    while (walk.offset <= offset && walk_look(&walk, &header) == GROUP_OK) {
        walk_pass(&walk, &header);
    }
    return segment_is_checked(segment, offset);
}

/* A record in memory that nobody has checked. Its own checksum proves it, and that is cheapest for
 * one that is read once. In a segment that is read again and again whole groups are checked: their
 * other records, and this one, are lent without from then on. Damage anywhere in a group must not
 * cost the whole records beside it: then this segment goes on record by record. */
bool wal_address_prove(struct weir_log *log, struct wal_segment *segment, uint64_t offset,
                       const struct weir_record *parsed)
{
    const struct format_record *record = (const struct format_record *)(segment->base + offset);
    uint32_t size =
        (uint32_t)parsed->size + FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES;
    uint32_t singly = atomic_load_explicit(&segment->checked_singly, memory_order_relaxed);
    uint64_t enough = log->limits.segment_bytes / SINGLY_SHARE;
    if (singly != NEVER_BY_GROUPS && singly >= enough) {
        if (check_group(log, segment, (uint32_t)offset)) {
            return true;
        }
        atomic_store_explicit(&segment->checked_singly, NEVER_BY_GROUPS, memory_order_relaxed);
    } else if (singly < enough) { /* a sum that loses some of what others add will do */
        atomic_store_explicit(&segment->checked_singly, singly + size, memory_order_relaxed);
    }
    return base_crc32c(0, record + 1, size - FORMAT_RECORD_HEADER_BYTES) ==
               le32_load(&record->crc) &&
           is_of_segment(segment, parsed->lsn);
}

int wal_address_read(struct weir_log *log, struct wal_segment *segment, uint64_t address,
                     struct weir_record *ret_record)
{
    uint64_t bytes = log->limits.segment_bytes;
    return wal_address_read_at(log, segment, bytes, address & (bytes - 1), ret_record);
}

int wal_address_lend(struct weir_log *log, struct wal_segment *segment, uint64_t address,
                     struct weir_record *ret_record)
{
    uint64_t bytes = log->limits.segment_bytes;
    return wal_address_parse(segment, bytes, address & (bytes - 1), ret_record);
}

int wal_address_near(struct weir_log *log, weir_lsn lsn, uint64_t *ret_address)
{
    struct wal_segment *segment;
    struct segment_place place;
    int rc = segment_pin(log, lsn, &segment, NULL);
    if (rc < 0) {
        return rc;
    }
    bool found = segment_find(segment, lsn, &place);
    if (found) {
        *ret_address = log_address(log, segment, place.record_offset);
    }
    segment_unpin(log, segment);
    return found ? 0 : WEIR_E_DAMAGED;
}

/* Stands at a durable record. Park the cursor afterwards. */
static int locate(struct weir_log *log, weir_lsn lsn, struct weir_cursor *ret_cursor)
{
    if (lsn > log_durable(log)) {
        return -EAGAIN;
    }
    *ret_cursor =
        (struct weir_cursor){.log = log, .compacted = true, .place = {.lsn = lsn, .end_lsn = lsn}};
    int rc;
    do { /* a compaction may get in between */
        cursor_begin_view(ret_cursor);
        rc = cursor_check_retained(ret_cursor, lsn);
        rc = rc < 0 ? rc : cursor_locate(ret_cursor);
    } while (rc == WEIR_E_HORIZON);
    const struct cursor_place *place = &ret_cursor->place;
    if (rc == 0 && (place->lsn != lsn || place->at == place->end)) {
        cursor_park(ret_cursor, lsn);
        return -ENOENT;
    }
    return rc;
}

int wal_address_find(struct weir_log *log, weir_lsn lsn, uint64_t *ret_address,
                     uint64_t *ret_time_ns)
{
    struct weir_cursor cursor;
    int rc = locate(log, lsn, &cursor);
    if (rc < 0) {
        return rc;
    }
    const struct cursor_place *place = &cursor.place;
    uint64_t offset = (uint64_t)(place->at - place->walk.segment->base);
    *ret_address = log_address(log, place->walk.segment, offset);
    *ret_time_ns = place->time_ns;
    cursor_park(&cursor, lsn);
    return 0;
}

bool wal_address_at_group_end(const struct weir_cursor *cursor)
{
    return cursor->place.at >= cursor->place.end;
}

bool wal_address_ends_group(struct weir_log *log, weir_lsn lsn)
{
    weir_lsn durable = log_durable(log);
    if (lsn == WEIR_LSN_NONE || lsn == durable) {
        return true; /* durable moves from group to group */
    }
    if (lsn > durable) {
        return false; /* a group across it may be to come */
    }
    struct weir_cursor cursor;
    if (locate(log, lsn, &cursor) < 0) {
        return false;
    }
    bool ends = cursor.place.end_lsn == lsn + 1;
    cursor_park(&cursor, lsn);
    return ends;
}

int wal_address_identify(struct weir_log *log, weir_lsn lsn,
                         struct wal_address_identity *ret_identity)
{
    struct wal_address_identity identity = {0};
    if (lsn != WEIR_LSN_NONE) {
        struct weir_cursor cursor;
        int rc = locate(log, lsn, &cursor);
        if (rc < 0) {
            return rc;
        }
        /* The cursor's walk has passed the group. */
        identity.epoch = (uint32_t)cursor.place.walk.chain.epoch;
        identity.chain = cursor.place.walk.chain.crc;
        identity.compacted = segment_is_compacted(cursor.place.walk.segment);
        cursor_park(&cursor, lsn);
    }
    base_lock_acquire(&log->control_lock);
    memcpy(identity.uuid, log->control.uuid, sizeof identity.uuid);
    identity.layout = log->control.layout;
    base_lock_release(&log->control_lock);
    *ret_identity = identity;
    return 0;
}

struct weir_medium *wal_address_medium(struct weir_log *log)
{
    return log->medium;
}

int wal_address_room(struct weir_log *log, uint64_t *ret_bytes)
{
    struct wal_segments *table = &log->segments;
    uint64_t free_bytes, spares = 0;
    int rc = weir_log_free_bytes(log, &free_bytes);
    if (rc < 0) {
        return rc;
    }
    base_lock_acquire(&table->lock);
    while (spares < table->count &&
           table->slots[table->count - 1 - spares]->state == SEGMENT_SPARE) {
        spares++;
    }
    base_lock_release(&table->lock);
    uint64_t made = spares << log->limits.segment_shift;
    *ret_bytes = free_bytes < UINT64_MAX - made ? free_bytes + made : UINT64_MAX;
    return 0;
}

uint64_t wal_address_of(const struct weir_log *log, const struct weir_cursor *cursor,
                        const struct weir_record *record)
{
    const struct wal_segment *segment = cursor->place.walk.segment;
    const uint8_t *header =
        (const uint8_t *)record->data - FORMAT_RECORD_NUMBER_BYTES - FORMAT_RECORD_HEADER_BYTES;
    WEIR_ASSERT(cursor->lent && header > segment->base);
    return log_address(log, segment, (uint64_t)(header - segment->base));
}

uint64_t wal_address_bias(const struct weir_log *log, const struct weir_cursor *cursor)
{
    const struct wal_segment *segment = cursor->place.walk.segment;
    WEIR_ASSERT(cursor->lent);
    return log_address(log, segment, 0) - FORMAT_RECORD_NUMBER_BYTES - FORMAT_RECORD_HEADER_BYTES -
           (uint64_t)(uintptr_t)segment->base;
}
