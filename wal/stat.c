/*
 * The numbers of a log, and the report of how it was opened.
 *
 * Everything is read while writers go on: watermarks from the smallest to the largest, so that
 * durable <= reserved holds in what is returned; each lock only for the fields under it.
 */
#include "base/clock.h"
#include "wal/address.h"
#include "wal/reservation.h"
#include "wal/walk.h"

#include <errno.h>
#include <string.h>

static uint64_t relaxed(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void read_counters(const struct weir_log *log, struct weir_stat *stat)
{
    stat->appends = relaxed(&log->counters.appends);
    stat->append_bytes = relaxed(&log->counters.append_bytes);
    stat->groups = relaxed(&log->counters.groups);
    stat->writes = relaxed(&log->counters.writes);
    stat->flushes = relaxed(&log->counters.flushes);
    stat->device_bytes = relaxed(&log->counters.device_bytes);
}

static void read_limits(struct weir_log *log, struct weir_stat *stat)
{
    stat->segment_bytes = log->limits.segment_bytes;
    stat->run_ahead_bytes = log->limits.run_ahead_bytes;
    stat->group_bytes = log->limits.group_bytes;
    stat->record_bytes = log->limits.record_bytes;
    stat->block_bytes = log->limits.block_bytes;
    base_lock_acquire(&log->control_lock);
    stat->epoch = log->control.epoch;
    stat->layout = log->control.layout;
    base_lock_release(&log->control_lock);
}

static void read_marks(const struct weir_log *log, struct weir_stat *stat)
{
    weir_lsn earliest = log_earliest(log);
    stat->durable = log_durable(log);
    stat->reserved = atomic_load_explicit(&log->marks.reserved, memory_order_acquire);
    stat->horizon = atomic_load_explicit(&log->marks.horizon, memory_order_acquire);
    if (earliest <= stat->durable) {
        stat->earliest = earliest;
        stat->latest = stat->durable;
    }
    uint64_t durable = atomic_load_explicit(&log->marks.durable_address, memory_order_acquire);
    uint64_t end = atomic_load_explicit(&log->tail.reserved_address, memory_order_acquire);
    stat->run_ahead_used = end > durable ? end - durable : 0;
}

static void read_table(struct weir_log *log, struct weir_stat *stat)
{
    struct wal_segments *table = &log->segments;
    uint64_t durable = atomic_load_explicit(&log->marks.durable_address, memory_order_acquire);
    uint64_t freed = 0; /* by compaction */
    uint64_t directory_bytes = log->limits.segment_bytes / FORMAT_RECORD_HEADER_BYTES /
                               FORMAT_DIRECTORY_STRIDE * sizeof(struct format_directory_entry);
    stat->heap_bytes = sizeof *log;
    base_lock_acquire(&table->lock);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct wal_segment *segment = table->slots[i];
        stat->spare_segments += segment->state == SEGMENT_SPARE ? 1 : 0;
        stat->segments += segment->state == SEGMENT_SPARE ? 0 : 1;
        stat->compacted_segments += segment_is_compacted(segment) ? 1 : 0;
        freed += (segment->last - segment->first) << log->limits.segment_shift;
        bool has_memory = (segment->window != NULL && !segment->frozen) || segment->copied;
        stat->window_bytes += has_memory ? log->limits.segment_bytes : 0;
        /* A segment with memory of its own has a directory of its own, with room for the most. */
        stat->heap_bytes += sizeof *segment + (has_memory ? directory_bytes : 0);
    }
    stat->heap_bytes += table->capacity * sizeof(struct wal_segment *);
    uint64_t start =
        table->count > 0 ? table->slots[0]->first << log->limits.segment_shift : durable;
    base_lock_release(&table->lock);
    stat->log_bytes = durable > start + freed ? durable - start - freed : 0;
    stat->mapped_bytes = relaxed(&table->mapped_bytes);
}

static void read_reservations(struct weir_log *log, struct weir_stat *stat)
{
    uint64_t now_ns = base_clock_monotonic_ns(), since_ns;
    stat->open_reservations = atomic_load_explicit(&log->reservations.open, memory_order_acquire);
    if (reservation_oldest(log, &stat->oldest_reservation, &since_ns)) {
        stat->oldest_reservation_age_ns = now_ns > since_ns ? now_ns - since_ns : 0;
    }
}

/* The time of a durable record is its group's. */
static int read_time(struct weir_log *log, weir_lsn lsn, uint64_t *ret_time_ns)
{
    struct wal_segment *segment;
    int rc = segment_pin(log, lsn, &segment, NULL);
    if (rc < 0) {
        return rc;
    }
    struct segment_walk walk;
    struct segment_place place;
    struct group_header header = {0};
    rc = walk_start(&walk, log, segment, NULL);
    if (rc == 0 && segment_find(segment, lsn, &place)) {
        walk_jump(&walk, place.group_offset);
    }
    while (rc == 0 && group_next_lsn(&header) <= lsn) {
        if (walk_at_seal(&walk) && segment_is_compacted(segment)) {
            header.time_ns = segment->last_time_ns; /* the record was dropped: not before this */
            break;
        }
        if (walk_at_seal(&walk) || walk_look(&walk, &header) != GROUP_OK) {
            rc = WEIR_E_DAMAGED;
        } else {
            walk_pass(&walk, &header);
        }
    }
    segment_unpin(log, segment);
    if (rc == 0) {
        *ret_time_ns = header.time_ns;
    }
    return rc;
}

/* Damage, or a truncation since the watermarks were read, leaves a time at 0. */
static int read_times(struct weir_log *log, struct weir_stat *stat)
{
    if (stat->latest == WEIR_LSN_NONE) {
        return 0;
    }
    int rc = read_time(log, stat->earliest, &stat->earliest_time_ns);
    if (rc == 0 || rc == WEIR_E_DAMAGED || rc == WEIR_E_TRUNCATED) {
        rc = read_time(log, stat->latest, &stat->latest_time_ns);
    }
    return rc == WEIR_E_DAMAGED || rc == WEIR_E_TRUNCATED ? 0 : rc;
}

/* A caller's struct may be older (shorter) or newer (longer): what both know is filled in. */
static int hand_over(void *target, const void *source, size_t known)
{
    size_t size;
    memcpy(&size, target, sizeof size);
    if (size < sizeof size) {
        return -EINVAL;
    }
    size_t filled = size < known ? size : known;
    memcpy(target, source, filled);
    memcpy(target, &size, sizeof size);
    return 0;
}

static int catch_up(struct weir_log *log)
{
    int rc = log_check(log);
    return rc == 0 && log->reader != NULL ? reader_refresh(log) : rc;
}

int wal_address_extent(struct weir_log *log, struct wal_address_extent *ret_extent)
{
    struct weir_stat stat = {.size = sizeof stat};
    int rc = catch_up(log);
    if (rc == 0) {
        read_marks(log, &stat);
        read_limits(log, &stat);
        *ret_extent = (struct wal_address_extent){
            .earliest = stat.earliest, .horizon = stat.horizon, .layout = stat.layout};
    }
    return rc;
}

int weir_log_stat(struct weir_log *log, struct weir_stat *ret_stat)
{
    if (log == NULL || ret_stat == NULL || ret_stat->size < sizeof ret_stat->size) {
        return -EINVAL;
    }
    int rc = catch_up(log);
    if (rc < 0) {
        return rc;
    }
    struct weir_stat stat = {.size = sizeof stat};
    read_marks(log, &stat);
    read_limits(log, &stat);
    read_counters(log, &stat);
    read_table(log, &stat);
    read_reservations(log, &stat);
    stat.poisoned = atomic_load_explicit(&log->poison, memory_order_acquire);
    rc = read_times(log, &stat);
    return rc < 0 ? rc : hand_over(ret_stat, &stat, sizeof stat);
}

int weir_log_free_bytes(struct weir_log *log, uint64_t *ret_free_bytes)
{
    if (log == NULL || ret_free_bytes == NULL) {
        return -EINVAL;
    }
    int rc = log_check(log);
    if (rc == 0 && log->medium->ops->space == NULL) {
        rc = -EOPNOTSUPP;
    }
    return rc < 0 ? rc : log->medium->ops->space(log->medium, ret_free_bytes);
}

int weir_log_report(const struct weir_log *log, struct weir_open_report *ret_report)
{
    if (log == NULL || ret_report == NULL) {
        return -EINVAL;
    }
    return hand_over(ret_report, &log->report, sizeof log->report);
}
