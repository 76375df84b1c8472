/*
 * Segments: finding, pinning and mapping.
 *
 * Happy path of a reader: look the segment up under the table's lock and pin it; if it has no
 * memory, map its file (outside the lock, so that a roll never waits for a disk) and find its
 * directory in the seal group.
 *
 * Failure modes: the file is shorter than a segment (WEIR_E_CUT_SHORT: touching it would raise
 * SIGBUS), its header is not its own (WEIR_E_DAMAGED), its directory is damaged (walked again: it
 * is derived data), it was truncated away meanwhile (WEIR_E_TRUNCATED).
 *
 * Invariants: a pinned segment's base does not move; slots are dense in ordinal; everything from a
 * mapping is checked before it is used.
 */
#include "wal/segment.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "wal/log.h"
#include "wal/reader.h"
#include "wal/segment_header.h"

#include <errno.h>
#include <string.h>

static uint32_t written_count(const struct wal_segments *table)
{
    uint32_t count = table->count;
    while (count > 0 && table->slots[count - 1]->state == SEGMENT_SPARE) {
        count--;
    }
    return count;
}

/* The last written segment whose base LSN is at most lsn; NULL when there is none. */
static struct wal_segment *find_by_lsn(const struct wal_segments *table, weir_lsn lsn)
{
    uint32_t low = 0, high = written_count(table);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->slots[middle]->start.next_lsn <= lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? table->slots[low - 1] : NULL;
}

static struct wal_segment *find_by_ordinal(const struct wal_segments *table, uint64_t ordinal)
{
    if (table->count == 0 || ordinal < table->slots[0]->ordinal) {
        return NULL;
    }
    uint64_t index = ordinal - table->slots[0]->ordinal;
    return index < table->count ? table->slots[index] : NULL;
}

struct wal_segment *segment_lookup(struct weir_log *log, uint64_t ordinal)
{
    WEIR_ASSERT(base_lock_is_held(&log->segments.lock));
    return find_by_ordinal(&log->segments, ordinal);
}

struct wal_segment *segment_new(uint64_t ordinal, enum segment_state state)
{
    struct wal_segment *segment = base_alloc_zero(sizeof *segment);
    if (segment != NULL) {
        segment->ordinal = ordinal;
        segment->state = state;
    }
    return segment;
}

void segment_release_directory(struct wal_segment *segment)
{
    if (segment->directory.capacity > 0) {
        base_pages_free(segment->directory.entries,
                        segment->directory.capacity * sizeof(struct format_directory_entry));
    }
    segment->directory.entries = NULL;
    segment->directory.capacity = 0;
    atomic_store_explicit(&segment->directory.count, 0, memory_order_relaxed);
}

void segment_release_memory(struct weir_log *log, struct wal_segment *segment)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    if (segment->window != NULL) {
        ops->window_close(segment->window);
        log->segments.windows -= segment->frozen ? 0 : 1;
    } else if (segment->mapped) {
        ops->unmap(log->medium, segment->base, log->limits.segment_bytes);
        atomic_fetch_sub_explicit(&log->segments.mapped_bytes, log->limits.segment_bytes,
                                  memory_order_relaxed);
    } else if (segment->copied) {
        base_pages_free((void *)(uintptr_t)segment->base, log->limits.segment_bytes);
    }
    segment->window = NULL;
    segment->base = NULL;
    segment->mapped = false;
    segment->frozen = false;
    segment->copied = false;
    segment_release_directory(segment);
    base_free((void *)(uintptr_t)segment->checked);
    segment->checked = NULL;
    if (segment->file != NULL) {
        ops->close(segment->file);
        segment->file = NULL;
    }
}

void segment_free(struct weir_log *log, struct wal_segment *segment)
{
    WEIR_ASSERT(segment->pins == 0);
    segment_release_memory(log, segment);
    base_free(segment);
}

int segment_table_add_locked(struct weir_log *log, struct wal_segment *segment)
{
    struct wal_segments *table = &log->segments;
    WEIR_ASSERT(base_lock_is_held(&table->lock));
    if (table->count == table->capacity) {
        uint32_t capacity = table->capacity == 0 ? 64 : 2 * table->capacity;
        struct wal_segment **slots = base_alloc_array(capacity, sizeof(struct wal_segment *));
        if (slots == NULL) {
            return -ENOMEM;
        }
        if (table->count > 0) {
            memcpy(slots, table->slots, table->count * sizeof(struct wal_segment *));
        }
        base_free(table->slots);
        table->slots = slots;
        table->capacity = capacity;
    }
    WEIR_ASSERT(table->count == 0 ||
                table->slots[table->count - 1]->ordinal + 1 == segment->ordinal);
    table->slots[table->count++] = segment;
    return 0;
}

int segment_table_add(struct weir_log *log, struct wal_segment *segment)
{
    base_lock_acquire(&log->segments.lock);
    int rc = segment_table_add_locked(log, segment);
    base_lock_release(&log->segments.lock);
    return rc;
}

void segment_table_free(struct weir_log *log)
{
    struct wal_segments *table = &log->segments;
    bool forked = log_check(log) < 0; /* cursors of a child give their pins back to nobody */
    for (uint32_t i = 0; i < table->count; i++) {
        table->slots[i]->pins = forked ? 0 : table->slots[i]->pins;
        segment_free(log, table->slots[i]);
    }
    base_free(table->slots);
    *table = (struct wal_segments){0};
}

int segment_directory_alloc(const struct weir_log *log, struct wal_segment *segment)
{
    uint64_t most = log->limits.segment_bytes / FORMAT_RECORD_HEADER_BYTES;
    uint64_t entries = most / FORMAT_DIRECTORY_STRIDE + 1;
    size_t bytes = entries * sizeof(struct format_directory_entry);
    segment->directory.entries = base_pages_alloc(bytes, 0);
    if (segment->directory.entries == NULL) {
        return -ENOMEM;
    }
    segment->directory.capacity = (uint32_t)entries;
    return 0;
}

/* ---- mapping ---- */

_Atomic uint64_t *segment_checked_alloc(const struct weir_log *log)
{
    size_t words = log->limits.segment_bytes / log->limits.block_bytes / 64 + 1;
    return base_alloc_array(words, sizeof(uint64_t));
}

/* Uses the directory in the seal group, if it passes its checks. */
static bool adopt_seal(const struct weir_log *log, struct wal_segment *segment)
{
    struct group_header header;
    uint32_t record;
    const uint8_t *seal = segment->base + segment->seal_offset;
    if (segment->seal_offset < FORMAT_SEGMENT_HEADER_BYTES ||
        segment->seal_offset > log->limits.segment_bytes - FORMAT_GROUP_HEADER_BYTES) {
        return false;
    }
    if (group_decode(seal, log_address(log, segment, segment->seal_offset), segment->seal_seed,
                     log->uuid_seed, log->limits.segment_bytes, &header) != GROUP_OK ||
        header.kind != FORMAT_GROUP_SEAL ||
        group_check_body(seal, &header, log->limits.block_bytes, &record) != GROUP_OK) {
        return false;
    }
    const struct format_seal *body = (const struct format_seal *)(seal + FORMAT_GROUP_HEADER_BYTES);
    uint64_t entries = le32_load(&body->entry_count);
    uint64_t room = header.size_bytes - FORMAT_GROUP_HEADER_BYTES - sizeof *body;
    if (entries * sizeof(struct format_directory_entry) != room) {
        return false;
    }
    /* Never written through: capacity 0 says that the mapping owns it. */
    segment->directory.entries =
        (struct format_directory_entry *)(uintptr_t)(seal + FORMAT_GROUP_HEADER_BYTES +
                                                     sizeof *body);
    atomic_store_explicit(&segment->directory.count, (uint32_t)entries, memory_order_release);
    return true;
}

void segment_directory_add(struct wal_segment *segment, uint64_t *records, uint32_t group_offset,
                           const uint8_t *group, const struct group_header *header)
{
    uint64_t offset = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < header->record_count; i++) {
        if ((*records)++ % FORMAT_DIRECTORY_STRIDE == 0) {
            uint32_t count = atomic_load_explicit(&segment->directory.count, memory_order_relaxed);
            WEIR_ASSERT(count < segment->directory.capacity);
            struct format_directory_entry *entry = &segment->directory.entries[count];
            le32_store(&entry->record_offset, group_offset + (uint32_t)offset);
            le32_store(&entry->group_offset, group_offset);
            atomic_store_explicit(&segment->directory.count, count + 1, memory_order_release);
        }
        const struct format_record *record = (const struct format_record *)(group + offset);
        offset += format_align(le32_load(&record->size), FORMAT_RECORD_ALIGN);
    }
}

/* Walks the groups of a segment whose seal is damaged, as far as they are valid. */
static int rebuild_directory(const struct weir_log *log, struct wal_segment *segment)
{
    int rc = segment_directory_alloc(log, segment);
    if (rc < 0) {
        return rc;
    }
    struct group_chain chain = segment->start;
    uint64_t records = 0;
    uint64_t offset = FORMAT_SEGMENT_HEADER_BYTES;
    while (offset + FORMAT_GROUP_HEADER_BYTES <= log->limits.segment_bytes) {
        struct group_header header;
        uint32_t record;
        const uint8_t *group = segment->base + offset;
        if (group_decode(group, log_address(log, segment, offset), chain.seed, log->uuid_seed,
                         log->limits.segment_bytes, &header) != GROUP_OK ||
            group_check_place(&header, &chain) != GROUP_OK || header.kind == FORMAT_GROUP_SEAL ||
            group_check_body(group, &header, log->limits.block_bytes, &record) != GROUP_OK) {
            break;
        }
        segment_directory_add(segment, &records, (uint32_t)offset, group, &header);
        group_chain_advance(&chain, group, &header);
        offset += format_align(header.size_bytes, log->limits.block_bytes);
    }
    return 0;
}

static int open_sealed_file(struct weir_log *log, struct wal_segment *segment, const char *name,
                            struct weir_error *why)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    int rc = ops->open(log->medium, name, WEIR_FILE_READ, &segment->file);
    if (rc < 0) {
        return log_error(why, rc, name, UINT64_MAX, "%s cannot be opened: %s", name,
                         weir_error_text(rc));
    }
    /* The lock tells a truncating writer not to write into this file again. */
    if (log->reader != NULL) {
        rc = reader_lock_sealed(log, segment->ordinal, segment->file, why);
    }
    uint64_t size = 0;
    if (rc == 0) {
        rc = ops->size(segment->file, &size);
    }
    if (rc == 0 && size < log->limits.segment_bytes) {
        return log_error(why, WEIR_E_CUT_SHORT, name, size,
                         "%s has %llu bytes and was made with %llu", name, (unsigned long long)size,
                         (unsigned long long)log->limits.segment_bytes);
    }
    return rc;
}

static int check_own_header(const struct weir_log *log, struct wal_segment *segment,
                            const char *name, struct weir_error *why)
{
    struct segment_header header;
    int rc = segment_header_decode(segment->base, log->control.uuid, segment->ordinal, &header);
    if (rc < 0 || header.base_lsn != segment->start.next_lsn) {
        return log_error(why, WEIR_E_DAMAGED, name, 0, "%s does not carry its own header", name);
    }
    return 0;
}

static int map_segment(struct weir_log *log, struct wal_segment *segment, struct weir_error *why)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(segment->ordinal, name);
    int rc = segment->file == NULL ? open_sealed_file(log, segment, name, why) : 0;
    if (rc == 0) {
        segment->checked = segment_checked_alloc(log);
        rc = segment->checked == NULL ? -ENOMEM : 0;
    }
    const uint8_t *base = NULL;
    if (rc == 0) {
        rc = log->medium->ops->map(segment->file, log->limits.segment_bytes, &base);
    }
    if (rc < 0) {
        goto out_fail;
    }
    segment->base = base;
    segment->mapped = true;
    atomic_fetch_add_explicit(&log->segments.mapped_bytes, log->limits.segment_bytes,
                              memory_order_relaxed);
    atomic_store_explicit(&segment->trusted_offset, UINT32_MAX, memory_order_release);
    rc = check_own_header(log, segment, name, why);
    if (rc == 0 && !adopt_seal(log, segment)) {
        rc = rebuild_directory(log, segment);
    }
    if (rc == 0) {
        return 0;
    }
out_fail:
    base_lock_acquire(&log->segments.lock); /* stat looks at what is let go of here */
    segment_release_memory(log, segment);
    base_lock_release(&log->segments.lock);
    return rc;
}

/* The caller has pinned it, so nobody takes the memory away again. */
static int make_readable(struct weir_log *log, struct wal_segment *segment, struct weir_error *why)
{
    int rc = 0;
    base_lock_acquire(&log->segments.mapping);
    if (segment->base == NULL) {
        rc = map_segment(log, segment, why);
    }
    base_lock_release(&log->segments.mapping);
    return rc;
}

/* ---- pins ---- */

/* Its file may be gone because it was truncated, after it was found and before it was mapped. */
static int explain_missing(struct weir_log *log, const struct wal_segment *segment, int rc,
                           struct weir_error *why)
{
    base_lock_acquire(&log->segments.lock);
    bool dropped = segment->dropped;
    base_lock_release(&log->segments.lock);
    if (!dropped) {
        return rc;
    }
    weir_lsn earliest = log_earliest(log);
    rc = log_error(why, WEIR_E_TRUNCATED, NULL, UINT64_MAX,
                   "everything below LSN %llu was truncated meanwhile",
                   (unsigned long long)earliest);
    return log_error_range(why, rc, WEIR_LSN_NONE, earliest - 1);
}

static int pin_found(struct weir_log *log, struct wal_segment *segment,
                     struct wal_segment **ret_segment, struct weir_error *why)
{
    int rc = make_readable(log, segment, why);
    if (rc < 0) {
        uint64_t ordinal = segment->ordinal;
        rc = explain_missing(log, segment, rc, why);
        segment_unpin(log, segment);
        return reader_explain_missing(log, ordinal, rc, why);
    }
    *ret_segment = segment;
    return 0;
}

int segment_pin(struct weir_log *log, weir_lsn lsn, struct wal_segment **ret_segment,
                struct weir_error *why)
{
    base_lock_acquire(&log->segments.lock);
    struct wal_segment *segment = find_by_lsn(&log->segments, lsn);
    if (segment != NULL) {
        segment->pins++;
    }
    base_lock_release(&log->segments.lock);
    if (segment == NULL) {
        weir_lsn earliest = log_earliest(log);
        int rc = log_error(why, WEIR_E_TRUNCATED, NULL, UINT64_MAX,
                           "LSN %llu lies below %llu, the earliest one that is retained",
                           (unsigned long long)lsn, (unsigned long long)earliest);
        return log_error_range(why, rc, lsn, earliest - 1);
    }
    return pin_found(log, segment, ret_segment, why);
}

int segment_pin_ordinal(struct weir_log *log, uint64_t ordinal, struct wal_segment **ret_segment,
                        struct weir_error *why)
{
    base_lock_acquire(&log->segments.lock);
    struct wal_segment *segment = find_by_ordinal(&log->segments, ordinal);
    segment = segment != NULL && segment->state == SEGMENT_SPARE ? NULL : segment;
    if (segment != NULL) {
        segment->pins++;
    }
    base_lock_release(&log->segments.lock);
    if (segment == NULL) {
        char name[FORMAT_NAME_BYTES];
        format_segment_name(ordinal, name);
        return log_error(why, WEIR_E_TRUNCATED, name, UINT64_MAX, "the log retains no %s", name);
    }
    return pin_found(log, segment, ret_segment, why);
}

int segment_pin_next(struct weir_log *log, const struct wal_segment *segment,
                     struct wal_segment **ret_segment, struct weir_error *why)
{
    base_lock_acquire(&log->segments.lock);
    struct wal_segment *next = find_by_ordinal(&log->segments, segment->ordinal + 1);
    bool truncated = next == NULL && segment->dropped;
    if (next != NULL && next->state == SEGMENT_SPARE) {
        next = NULL;
    }
    if (next != NULL) {
        next->pins++;
    }
    base_lock_release(&log->segments.lock);
    if (next == NULL) {
        char name[FORMAT_NAME_BYTES];
        format_segment_name(segment->ordinal + 1, name);
        return truncated ? log_error(why, WEIR_E_TRUNCATED, name, UINT64_MAX,
                                     "%s was truncated away", name)
                         : log_error(why, WEIR_E_DAMAGED, name, UINT64_MAX,
                                     "a seal leads to %s, which is not there", name);
    }
    return pin_found(log, next, ret_segment, why);
}

void segment_pin_again(struct weir_log *log, struct wal_segment *segment)
{
    base_lock_acquire(&log->segments.lock);
    WEIR_ASSERT(segment->pins > 0);
    segment->pins++;
    base_lock_release(&log->segments.lock);
}

void segment_unpin(struct weir_log *log, struct wal_segment *segment)
{
    base_lock_acquire(&log->segments.lock);
    WEIR_ASSERT(segment->pins > 0);
    bool last = --segment->pins == 0 && segment->dropped;
    if (last) {
        segment_free(log, segment);
    }
    base_lock_release(&log->segments.lock);
}

int segment_pin_time(struct weir_log *log, uint64_t time_ns, struct wal_segment **ret_segment,
                     struct weir_error *why)
{
    base_lock_acquire(&log->segments.lock);
    struct wal_segments *table = &log->segments;
    uint32_t low = 0, high = written_count(table);
    WEIR_ASSERT(high > 0);
    while (low + 1 < high) { /* the last but one whose successor starts at or behind time_ns */
        uint32_t middle = low + (high - low) / 2;
        if (table->slots[middle]->start.time_ns < time_ns) {
            low = middle;
        } else {
            high = middle;
        }
    }
    struct wal_segment *segment = table->slots[low];
    segment->pins++;
    base_lock_release(&log->segments.lock);
    return pin_found(log, segment, ret_segment, why);
}

/* ---- what was checked ---- */

bool segment_is_checked(const struct weir_log *log, const struct wal_segment *segment,
                        uint32_t group_offset)
{
    if (group_offset >= atomic_load_explicit(&segment->trusted_offset, memory_order_acquire)) {
        return true;
    }
    if (segment->checked == NULL) {
        return false;
    }
    uint32_t bit = group_offset / log->limits.block_bytes;
    uint64_t word = atomic_load_explicit(&segment->checked[bit / 64], memory_order_relaxed);
    return (word >> (bit % 64) & 1) != 0;
}

void segment_set_checked(const struct weir_log *log, struct wal_segment *segment,
                         uint32_t group_offset)
{
    if (segment->checked != NULL) {
        uint32_t bit = group_offset / log->limits.block_bytes;
        atomic_fetch_or_explicit(&segment->checked[bit / 64], UINT64_C(1) << (bit % 64),
                                 memory_order_relaxed);
    }
}

bool segment_find(const struct wal_segment *segment, weir_lsn lsn, struct segment_place *ret_place)
{
    uint32_t count = atomic_load_explicit(&segment->directory.count, memory_order_acquire);
    if (count == 0 || lsn < segment->start.next_lsn) {
        return false;
    }
    uint64_t index = (lsn - segment->start.next_lsn) / FORMAT_DIRECTORY_STRIDE;
    if (index >= count) {
        index = count - 1;
    }
    const struct format_directory_entry *entry = &segment->directory.entries[index];
    ret_place->record_offset = le32_load(&entry->record_offset);
    ret_place->group_offset = le32_load(&entry->group_offset);
    ret_place->lsn = segment->start.next_lsn + index * FORMAT_DIRECTORY_STRIDE;
    return true;
}
