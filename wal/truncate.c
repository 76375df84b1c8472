/*
 * Truncation: dropping all records below an LSN.
 *
 * Happy path: take holds/.lock, so that no hold is created or lowered meanwhile; no hold is below
 * the LSN; CONTROL says what is retained from now on, durably; readers hear of it; then whole
 * segments below become spares or are removed.
 *
 * Failure modes: a hold is below (WEIR_E_HELD, named) or cannot be read (WEIR_E_DAMAGED, named), or
 * CONTROL cannot be opened: nothing has changed. CONTROL cannot be written: the outcome is unknown,
 * so the log is poisoned. Removing files fails: they are leftovers, and the next open removes them.
 *
 * What a crash leaves: before CONTROL is durable, nothing or all of it; behind that, files below
 * its first ordinal, which the next open removes. It needs no room on the disk.
 *
 * Invariants: the first retained segment has a durable header, so a segment is dropped only when
 * durable has reached the one behind it; CONTROL's witness never goes back, is the end of a durable
 * group, and never lies below what is retained.
 */
#include "wal/truncate.h"

#include "base/assert.h"
#include "wal/compact.h"
#include "wal/hold.h"
#include "wal/live.h"
#include "wal/segment_recycle.h"

#include <errno.h>

/* A durable group's end: what CONTROL's witness says. */
struct witness {
    weir_lsn lsn;
    uint64_t address;
    uint32_t chain;
};

/* ---- holds ---- */

static int check_holds(struct weir_log *log, weir_lsn lsn, struct weir_error *why)
{
    struct hold_list list;
    int rc = hold_read_all(log, &list, why);
    if (rc < 0) {
        return rc;
    }
    const struct weir_hold *lowest = NULL;
    for (size_t i = 0; i < list.count; i++) {
        if (lowest == NULL || list.holds[i].floor < lowest->floor) {
            lowest = &list.holds[i];
        }
    }
    if (lowest != NULL && lowest->floor < lsn) {
        rc = log_error(why, WEIR_E_HELD, NULL, UINT64_MAX,
                       "the hold \"%s\" keeps LSN %llu and everything behind it; truncation before "
                       "%llu would pass it",
                       lowest->name, (unsigned long long)lowest->floor, (unsigned long long)lsn);
        rc = log_error_range(why, rc, lowest->floor, lsn - 1);
    }
    hold_list_free(&list);
    return rc;
}

/* ---- the witness ---- */

static void take_later(struct witness *witness, struct witness other)
{
    if (other.address > witness->address) {
        *witness = other;
    }
}

/* Walks this writer's groups in a pinned segment from `offset` to the end of the one with `lsn`. */
static int find_group_end(struct weir_log *log, const struct wal_segment *segment, uint64_t offset,
                          weir_lsn lsn, struct witness *ret_witness)
{
    while (offset + FORMAT_GROUP_HEADER_BYTES <= log->limits.segment_bytes) {
        uint64_t address = log_address(log, segment, offset);
        struct group_header header;
        enum group_fault fault = group_decode(segment->base + offset, address, log->control.seed,
                                              log->uuid_seed, log->limits.segment_bytes, &header);
        if (fault != GROUP_OK) {
            break;
        }
        uint64_t end = format_align(header.size_bytes, log->limits.block_bytes);
        if (header.first_lsn + header.record_count > lsn) {
            *ret_witness = (struct witness){
                .lsn = header.first_lsn + header.record_count - 1,
                .address = address + end,
                .chain = header.crc,
            };
            return 0;
        }
        offset += end;
    }
    return WEIR_E_DAMAGED;
}

/* The end of the group with the last durable record, when this writer wrote it. */
static int witness_of_durable(struct weir_log *log, weir_lsn durable, struct witness *witness,
                              struct weir_error *why)
{
    if (durable <= witness->lsn) {
        return 0;
    }
    struct wal_segment *segment;
    int rc = segment_pin(log, durable, &segment, why);
    if (rc < 0) {
        return rc;
    }
    struct segment_place place;
    uint64_t offset = FORMAT_SEGMENT_HEADER_BYTES;
    if (segment_find(segment, durable, &place)) {
        offset = place.group_offset;
    }
    /* Groups in front of CONTROL's witness are of earlier epochs, with other seeds. */
    uint64_t known = log_address(log, segment, 0);
    if (witness->address > known + offset) {
        offset = witness->address - known;
    }
    struct witness found;
    rc = find_group_end(log, segment, offset, durable, &found);
    if (rc == 0) {
        take_later(witness, found);
    } else {
        char name[FORMAT_NAME_BYTES];
        format_segment_name(segment->ordinal, name);
        rc = log_error(why, rc, name, offset, "%s: the group with LSN %llu cannot be found", name,
                       (unsigned long long)durable);
        rc = log_error_range(why, rc, durable, durable);
    }
    segment_unpin(log, segment);
    return rc;
}

/* ---- what is retained ---- */

static bool may_drop(const struct weir_log *log, const struct wal_segment *segment, weir_lsn lsn,
                     uint64_t durable_address)
{
    uint64_t end = (segment->last + 1) << log->limits.segment_shift;
    return segment->state == SEGMENT_SEALED && segment->last_lsn < lsn && durable_address > end;
}

/* The first segment that stays, and the witness that its start is. */
static uint64_t first_retained(struct weir_log *log, weir_lsn lsn, struct witness *witness)
{
    struct wal_segments *table = &log->segments;
    uint64_t durable_address =
        atomic_load_explicit(&log->marks.durable_address, memory_order_acquire);
    base_lock_acquire(&table->lock);
    uint32_t index = 0;
    while (index < table->count && may_drop(log, table->slots[index], lsn, durable_address)) {
        index++;
    }
    WEIR_ASSERT(index < table->count);
    const struct wal_segment *first = table->slots[index];
    uint64_t ordinal = first->first;
    if (index > 0 && !segment_is_compacted(first)) { /* the witness is behind those already */
        take_later(witness, (struct witness){
                                .lsn = first->start.next_lsn - 1,
                                .address = log_address(log, first, FORMAT_SEGMENT_HEADER_BYTES),
                                .chain = first->start.crc,
                            });
    }
    base_lock_release(&table->lock);
    return ordinal;
}

/* The caller holds control_lock. */
static int retain_from(struct weir_log *log, weir_lsn lsn, uint64_t *ret_ordinal,
                       struct weir_error *why)
{
    struct control *control = &log->control;
    weir_lsn durable = log_durable(log);
    struct witness witness = {
        .lsn = control->witness_lsn,
        .address = control->witness_address,
        .chain = control->witness_chain,
    };
    lsn = lsn > control->first_lsn ? lsn : control->first_lsn;
    int rc = witness_of_durable(log, durable, &witness, why);
    if (rc < 0) {
        return rc;
    }
    uint64_t ordinal = first_retained(log, lsn, &witness);
    *ret_ordinal = ordinal;
    if (lsn == control->first_lsn && ordinal == control->first_ordinal) {
        return 0;
    }
    struct control next = *control;
    next.first_lsn = lsn;
    next.first_ordinal = ordinal;
    next.layout++;
    next.witness_lsn = witness.lsn;
    next.witness_address = witness.address;
    next.witness_chain = witness.chain;
    WEIR_ASSERT(next.witness_lsn + 1 >= next.first_lsn);
    WEIR_ASSERT(next.witness_address >> log->limits.segment_shift >= next.first_ordinal);
    rc = control_store(log->medium, &next);
    if (rc < 0) {
        if (next.generation != control->generation) {
            log_poison(log, rc);
        }
        return log_error(why, rc, "CONTROL", UINT64_MAX, "CONTROL cannot be written: %s",
                         weir_error_text(rc));
    }
    /* Field by field: the identity is read without the lock. */
    control->generation = next.generation;
    control->written_ns = next.written_ns;
    control->first_lsn = next.first_lsn;
    control->first_ordinal = next.first_ordinal;
    control->layout = next.layout;
    control->witness_lsn = next.witness_lsn;
    control->witness_address = next.witness_address;
    control->witness_chain = next.witness_chain;
    /* Release pairs with the acquire in log_earliest(). */
    atomic_store_explicit(&log->marks.earliest, lsn, memory_order_release);
    live_publish_layout(log);
    return 0;
}

static int check_call(struct weir_log *log, weir_lsn lsn, struct weir_error *why)
{
    if (log == NULL || (why != NULL && why->size < sizeof *why)) {
        return -EINVAL;
    }
    int rc = log_check(log);
    if (rc == 0 && (log->flags & WEIR_LOG_READ_ONLY) != 0) {
        rc = WEIR_E_READ_ONLY;
    } else if (rc == 0 && log_is_poisoned(log)) {
        rc = WEIR_E_POISONED;
    }
    if (rc < 0) {
        return log_error(why, rc, NULL, UINT64_MAX, "%s", weir_error_text(rc));
    }
    weir_lsn durable = log_durable(log);
    if (lsn > durable + 1) {
        return log_error(why, -EINVAL, NULL, UINT64_MAX,
                         "%llu lies beyond the LSN behind the last durable record, %llu",
                         (unsigned long long)lsn, (unsigned long long)durable + 1);
    }
    return 0;
}

int weir_truncate_before(struct weir_log *log, weir_lsn lsn, struct weir_error *ret_error)
{
    int rc = check_call(log, lsn, ret_error);
    if (rc < 0) {
        return rc;
    }
    struct weir_file *lock;
    rc = hold_lock(log, &lock, ret_error);
    if (rc < 0) {
        return rc;
    }
    uint64_t ordinal = 0;
    rc = check_holds(log, lsn, ret_error);
    if (rc == 0) {
        base_lock_acquire(&log->control_lock);
        rc = retain_from(log, lsn, &ordinal, ret_error);
        base_lock_release(&log->control_lock);
    }
    hold_unlock(log, lock);
    if (rc == 0) {
        segment_drop_below(log, ordinal);
    }
    return rc;
}

/* ---- opening ---- */

void truncate_remove_half_made(struct weir_log *log, const uint64_t *ordinals, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (format_is_compacted(ordinals[i])) {
            compact_dispose(log, ordinals[i], false);
        } else if (ordinals[i] >= log->control.first_ordinal) {
            char name[FORMAT_NAME_BYTES];
            format_segment_name(ordinals[i], name);
            (void)log->medium->ops->remove(log->medium, name);
        }
    }
}

void truncate_remove_leftovers(struct weir_log *log, const uint64_t *ordinals, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ordinals[i] < log->control.first_ordinal) { /* no compacted one is */
            segment_dispose(log, ordinals[i], false);
        }
    }
}
