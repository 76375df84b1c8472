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

/* The slot that holds a place; count when there is none. */
static uint32_t find_slot(const struct wal_segments *table, uint64_t place)
{
    uint32_t low = 0, high = table->count;
    if (high == 0 || place < table->slots[0]->first) {
        return high;
    }
    if (table->compacted == 0) {
        uint64_t index = place - table->slots[0]->first;
        return index < high ? (uint32_t)index : high;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->slots[middle]->last < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct wal_segment *find_by_place(const struct wal_segments *table, uint64_t place)
{
    uint32_t slot = find_slot(table, place);
    return slot < table->count ? table->slots[slot] : NULL;
}

static struct wal_segment *find_by_ordinal(const struct wal_segments *table, uint64_t ordinal)
{
    if (!format_is_compacted(ordinal)) {
        struct wal_segment *segment = find_by_place(table, ordinal);
        return segment != NULL && segment->ordinal == ordinal ? segment : NULL;
    }
    for (uint32_t i = 0; table->compacted > 0 && i < table->count; i++) {
        if (table->slots[i]->ordinal == ordinal) {
            return table->slots[i];
        }
    }
    return NULL;
}

struct wal_segment *segment_lookup(struct weir_log *log, uint64_t ordinal)
{
    WEIR_ASSERT(base_lock_is_held(&log->segments.lock));
    return find_by_ordinal(&log->segments, ordinal);
}

struct wal_segment *segment_new(const struct weir_log *log, uint64_t ordinal,
                                enum segment_state state)
{
    struct wal_segment *segment = base_alloc_zero(sizeof *segment);
    if (segment != NULL) {
        bool compacted = format_is_compacted(ordinal);
        segment->ordinal = segment->first = segment->last = ordinal;
        segment->block_bytes = compacted ? FORMAT_COMPACTED_BLOCK : log->limits.block_bytes;
        segment->state = state;
        atomic_store_explicit(&segment->checked_end, (uint32_t)log->limits.segment_bytes,
                              memory_order_relaxed);
    }
    return segment;
}

void segment_release_directory(struct wal_segment *segment)
{
    if (segment->directory.capacity > 0) {
        base_pages_free(segment->directory.entries,
                        segment->directory.capacity * sizeof(struct format_directory_entry));
        base_pages_free(segment->directory.lsns, segment->directory.capacity * sizeof(struct le64));
    }
    segment->directory.entries = NULL;
    segment->directory.lsns = NULL;
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
    atomic_store_explicit(&segment->checked_blocks, 0, memory_order_relaxed);
    atomic_store_explicit(&segment->checked_singly, 0, memory_order_relaxed);
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
    WEIR_ASSERT(table->count == 0 || table->slots[table->count - 1]->last + 1 == segment->first);
    table->slots[table->count++] = segment;
    table->compacted += segment_is_compacted(segment) ? 1 : 0;
    return 0;
}

bool segment_table_has_run(const struct weir_log *log, uint64_t first, uint64_t last)
{
    const struct wal_segments *table = &log->segments;
    uint32_t from = find_slot(table, first), to = find_slot(table, last);
    if (from >= table->count || to >= table->count || table->slots[from]->first != first ||
        table->slots[to]->last != last) {
        return false;
    }
    for (uint32_t i = from; i <= to; i++) {
        if (table->slots[i]->state != SEGMENT_SEALED) {
            return false;
        }
    }
    return true;
}

void segment_table_replace(struct weir_log *log, struct wal_segment *compacted)
{
    struct wal_segments *table = &log->segments;
    WEIR_ASSERT(base_lock_is_held(&table->lock));
    WEIR_ASSERT(segment_table_has_run(log, compacted->first, compacted->last));
    uint32_t from = find_slot(table, compacted->first), to = find_slot(table, compacted->last);
    for (uint32_t i = from; i <= to; i++) {
        struct wal_segment *old = table->slots[i];
        table->compacted -= segment_is_compacted(old) ? 1 : 0;
        old->dropped = old->replaced = true;
        if (old->pins == 0) {
            segment_free(log, old);
        }
    }
    table->slots[from] = compacted;
    table->compacted++;
    memmove(&table->slots[from + 1], &table->slots[to + 1],
            (table->count - to - 1) * sizeof(struct wal_segment *));
    table->count -= to - from;
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
    if (segment_is_compacted(segment)) {
        segment->directory.lsns = base_pages_alloc(entries * sizeof(struct le64), 0);
        return segment->directory.lsns == NULL ? -ENOMEM : 0;
    }
    return 0;
}

/* ---- mapping ---- */

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
        group_check_body(seal, &header, segment->block_bytes, &record) != GROUP_OK) {
        return false;
    }
    const struct format_seal *body = (const struct format_seal *)(seal + FORMAT_GROUP_HEADER_BYTES);
    uint64_t entries = le32_load(&body->entry_count);
    uint64_t room = header.size_bytes - FORMAT_GROUP_HEADER_BYTES - sizeof *body;
    bool compacted = segment_is_compacted(segment);
    if (entries * (sizeof(struct format_directory_entry) + (compacted ? sizeof(struct le64) : 0)) !=
        room) {
        return false;
    }
    /* Never written through: capacity 0 says that the mapping owns it. */
    segment->directory.entries =
        (struct format_directory_entry *)(uintptr_t)(seal + FORMAT_GROUP_HEADER_BYTES +
                                                     sizeof *body);
    if (compacted) {
        segment->directory.lsns = (struct le64 *)(void *)(segment->directory.entries + entries);
    }
    atomic_store_explicit(&segment->directory.count, (uint32_t)entries, memory_order_release);
    return true;
}

void segment_directory_add(struct wal_segment *segment, uint64_t *records, uint32_t group_offset,
                           const uint8_t *group, const struct group_header *header)
{
    uint64_t offset = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < header->record_count; i++) {
        const struct format_record *record = (const struct format_record *)(group + offset);
        if ((*records)++ % FORMAT_DIRECTORY_STRIDE == 0) {
            uint32_t count = atomic_load_explicit(&segment->directory.count, memory_order_relaxed);
            WEIR_ASSERT(count < segment->directory.capacity);
            struct format_directory_entry *entry = &segment->directory.entries[count];
            le32_store(&entry->record_offset, group_offset + (uint32_t)offset);
            le32_store(&entry->group_offset, group_offset);
            if (segment->directory.lsns != NULL) {
                le64_store(&segment->directory.lsns[count], group_record_lsn(header, i, record));
            }
            atomic_store_explicit(&segment->directory.count, count + 1, memory_order_release);
        }
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
            group_check_body(group, &header, segment->block_bytes, &record) != GROUP_OK) {
            break;
        }
        segment_directory_add(segment, &records, (uint32_t)offset, group, &header);
        group_chain_advance(&chain, group, &header);
        offset += format_align(header.size_bytes, segment->block_bytes);
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
    rc = rc == 0 ? segment_distrust(log, segment) : rc;
    const uint8_t *base = NULL;
    if (rc == 0) {
        rc = log->medium->ops->map(segment->file, log->limits.segment_bytes, &base);
    }
    if (rc < 0) {
        goto out_fail;
    }
    base_lock_acquire(&log->segments.lock); /* whoever has not pinned it looks under this one */
    segment->base = base;
    segment->mapped = true;
    base_lock_release(&log->segments.lock);
    atomic_fetch_add_explicit(&log->segments.mapped_bytes, log->limits.segment_bytes,
                              memory_order_relaxed);
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
int segment_make_readable(struct weir_log *log, struct wal_segment *segment, struct weir_error *why)
{
    int rc = 0;
    base_lock_acquire(&segment->mapping);
    if (segment->base == NULL) {
        rc = map_segment(log, segment, why);
    }
    base_lock_release(&segment->mapping);
    return rc;
}

/* ---- pins ---- */

#define PIN_ATTEMPTS 8
#define PIN_AGAIN (-ESTALE) /* another segment has taken the place of the one that was found */

/* Its file may be gone because it was truncated or replaced, after it was found and before it was
 * mapped. */
static int explain_missing(struct weir_log *log, const struct wal_segment *segment, int rc,
                           struct weir_error *why)
{
    base_lock_acquire(&log->segments.lock);
    bool dropped = segment->dropped, replaced = segment->replaced;
    base_lock_release(&log->segments.lock);
    if (!dropped || replaced) {
        return replaced ? PIN_AGAIN : rc;
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
    int rc = segment_make_readable(log, segment, why);
    if (rc < 0) {
        rc = reader_explain_missing(log, segment, rc, why);
        rc = explain_missing(log, segment, rc, why);
        segment_unpin(log, segment);
        return rc;
    }
    *ret_segment = segment;
    return 0;
}

/* A compaction may take the segment that was found out of the table: then there is another. */
static int pin_again(int rc, int attempt, struct weir_error *why)
{
    return rc == PIN_AGAIN && attempt + 1 == PIN_ATTEMPTS
               ? log_error(why, -EAGAIN, NULL, UINT64_MAX,
                           "the log is being compacted faster than it can be read")
               : rc;
}

static int pin_by_lsn(struct weir_log *log, weir_lsn lsn, struct wal_segment **ret_segment,
                      struct weir_error *why)
{
    base_lock_acquire(&log->segments.lock);
    struct wal_segment *segment = find_by_lsn(&log->segments, lsn);
    if (segment != NULL) {
        segment->pins++;
    }
    base_lock_release(&log->segments.lock);
    weir_lsn earliest = log_earliest(log);
    if (segment == NULL && log->reader != NULL && lsn >= earliest) {
        int rc = reader_refresh(log); /* its table is being built anew */
        return rc < 0 ? rc : PIN_AGAIN;
    }
    if (segment == NULL) {
        int rc = log_error(why, WEIR_E_TRUNCATED, NULL, UINT64_MAX,
                           "LSN %llu lies below %llu, the earliest one that is retained",
                           (unsigned long long)lsn, (unsigned long long)earliest);
        return log_error_range(why, rc, lsn, earliest - 1);
    }
    return pin_found(log, segment, ret_segment, why);
}

int segment_pin(struct weir_log *log, weir_lsn lsn, struct wal_segment **ret_segment,
                struct weir_error *why)
{
    int rc = PIN_AGAIN;
    for (int attempt = 0; rc == PIN_AGAIN; attempt++) {
        rc = pin_again(pin_by_lsn(log, lsn, ret_segment, why), attempt, why);
    }
    return rc;
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
    int rc = segment == NULL ? PIN_AGAIN : pin_found(log, segment, ret_segment, why);
    if (rc == PIN_AGAIN) {
        char name[FORMAT_NAME_BYTES];
        format_segment_name(ordinal, name);
        return log_error(why, WEIR_E_TRUNCATED, name, UINT64_MAX, "the log retains no %s", name);
    }
    return rc;
}

static int pin_behind(struct weir_log *log, const struct wal_segment *segment,
                      struct wal_segment **ret_segment, struct weir_error *why)
{
    base_lock_acquire(&log->segments.lock);
    struct wal_segment *next = find_by_place(&log->segments, segment->last + 1);
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
        format_segment_name(segment->last + 1, name);
        return truncated ? log_error(why, WEIR_E_TRUNCATED, name, UINT64_MAX,
                                     "%s is not there any more: it was truncated away, or a "
                                     "compaction has copied what counts of it",
                                     name)
                         : log_error(why, WEIR_E_DAMAGED, name, UINT64_MAX,
                                     "a seal leads to %s, which is not there", name);
    }
    return pin_found(log, next, ret_segment, why);
}

int segment_pin_next(struct weir_log *log, const struct wal_segment *segment,
                     struct wal_segment **ret_segment, struct weir_error *why)
{
    int rc = PIN_AGAIN;
    for (int attempt = 0; rc == PIN_AGAIN; attempt++) {
        rc = pin_again(pin_behind(log, segment, ret_segment, why), attempt, why);
    }
    return rc;
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

static int pin_by_time(struct weir_log *log, uint64_t time_ns, struct wal_segment **ret_segment,
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

int segment_pin_time(struct weir_log *log, uint64_t time_ns, struct wal_segment **ret_segment,
                     struct weir_error *why)
{
    int rc = PIN_AGAIN;
    for (int attempt = 0; rc == PIN_AGAIN; attempt++) {
        rc = pin_again(pin_by_time(log, time_ns, ret_segment, why), attempt, why);
    }
    return rc;
}

/* ---- what was checked ---- */

static uint32_t blocks_of(const struct wal_segment *segment, uint64_t bytes)
{
    return (uint32_t)((bytes + segment->block_bytes - 1) / segment->block_bytes);
}

int segment_distrust(const struct weir_log *log, struct wal_segment *segment)
{
    size_t words = log->limits.segment_bytes / segment->block_bytes / 64 + 1;
    segment->checked = base_alloc_array(words, sizeof(uint64_t));
    segment->groups_end =
        segment->seal_offset > FORMAT_SEGMENT_HEADER_BYTES ? segment->seal_offset : 0;
    /* Release pairs with the acquire in segment_is_plain(). */
    atomic_store_explicit(&segment->checked_end, 0, memory_order_release);
    return segment->checked != NULL ? 0 : -ENOMEM;
}

/* Every block from the first group to the seal was checked: nobody needs to look at bits any more.
 * The bits are counted so that this is not done for each group, and looked at because the seal's
 * own count too. */
static void trust_all(struct wal_segment *segment)
{
    uint32_t end = blocks_of(segment, segment->groups_end);
    for (uint32_t bit = FORMAT_SEGMENT_HEADER_BYTES / segment->block_bytes; bit < end; bit++) {
        /* Acquire pairs with the release of whoever checked it. */
        uint64_t word = atomic_load_explicit(&segment->checked[bit / 64], memory_order_acquire);
        if ((word >> bit % 64 & 1) == 0) {
            return;
        }
    }
    /* Release pairs with the acquire in segment_is_plain(). */
    atomic_store_explicit(&segment->checked_end, segment->groups_end, memory_order_release);
}

void segment_set_checked(struct wal_segment *segment, uint32_t group_offset, uint32_t group_bytes)
{
    if (segment->checked == NULL) {
        return;
    }
    uint32_t bit = group_offset / segment->block_bytes;
    uint32_t end = blocks_of(segment, (uint64_t)group_offset + group_bytes);
    uint32_t fresh = 0;
    while (bit < end) {
        uint32_t count = 64 - bit % 64 < end - bit ? 64 - bit % 64 : end - bit;
        uint64_t bits = UINT64_MAX >> (64 - count) << bit % 64;
        /* Release pairs with the acquire in segment_is_checked(): what was read to check them comes
         * before anybody lends them unchecked. */
        uint64_t old =
            atomic_fetch_or_explicit(&segment->checked[bit / 64], bits, memory_order_release);
        fresh += (old & bits) == 0 ? count : 0; /* a group is marked as a whole */
        bit += count;
    }
    /* Of two who check the last blocks at once, the one who counts last sees the other's bits. */
    uint32_t blocks =
        fresh + atomic_fetch_add_explicit(&segment->checked_blocks, fresh, memory_order_acq_rel);
    if (fresh > 0 && segment->groups_end != 0 &&
        blocks >= blocks_of(segment, segment->groups_end - FORMAT_SEGMENT_HEADER_BYTES)) {
        trust_all(segment);
    }
}

/* ---- the directory ---- */

weir_lsn segment_entry_lsn(const struct wal_segment *segment, uint32_t index)
{
    return segment->directory.lsns != NULL
               ? le64_load(&segment->directory.lsns[index])
               : segment->start.next_lsn + (weir_lsn)index * FORMAT_DIRECTORY_STRIDE;
}

/* The last entry whose LSN is at most lsn, or the first one. */
static uint32_t find_entry(const struct wal_segment *segment, weir_lsn lsn, uint32_t count)
{
    uint32_t low = 0, high = count;
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;
        if (segment_entry_lsn(segment, middle) <= lsn) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static void describe_entry(const struct wal_segment *segment, uint32_t index,
                           struct segment_place *ret_place)
{
    const struct format_directory_entry *entry = &segment->directory.entries[index];
    ret_place->record_offset = le32_load(&entry->record_offset);
    ret_place->group_offset = le32_load(&entry->group_offset);
    ret_place->lsn = segment_entry_lsn(segment, index);
}

bool segment_find(const struct wal_segment *segment, weir_lsn lsn, struct segment_place *ret_place)
{
    uint32_t count = atomic_load_explicit(&segment->directory.count, memory_order_acquire);
    if (count == 0 || lsn < segment->start.next_lsn) {
        return false;
    }
    uint64_t index = segment_is_compacted(segment)
                         ? find_entry(segment, lsn, count)
                         : (lsn - segment->start.next_lsn) / FORMAT_DIRECTORY_STRIDE;
    if (index >= count) {
        index = count - 1;
    }
    describe_entry(segment, (uint32_t)index, ret_place);
    return true;
}

bool segment_find_offset(const struct wal_segment *segment, uint32_t offset,
                         struct segment_place *ret_place)
{
    uint32_t low = 0;
    uint32_t high = atomic_load_explicit(&segment->directory.count, memory_order_acquire);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (le32_load(&segment->directory.entries[middle].record_offset) <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return false;
    }
    describe_entry(segment, low - 1, ret_place);
    return true;
}
