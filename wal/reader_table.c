/*
 * The table of segments of a reader process.
 *
 * Happy path: every retained segment's header says where it starts and where the one before it
 * ended; the last one is walked (reader_walk.c). Truncation by the writer takes segments out at the
 * front: cursors that stand on one keep its memory and find the new earliest LSN on their next
 * call.
 *
 * Failure modes: a file is gone, or is another segment by now: the writer truncated between CONTROL
 * and here. CONTROL read again tells that from damage.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "wal/inventory.h"
#include "wal/lock.h"
#include "wal/reader.h"
#include "wal/segment_header.h"
#include "wal/segment_recycle.h"

#include <errno.h>
#include <string.h>

#define RETRY_NS ((int64_t)BASE_NS_PER_MS)
#define MISSING_LOOKS 8
#define CONTROL_ATTEMPTS 8

/* ---- headers ---- */

static int read_header(struct weir_log *log, uint64_t ordinal, struct segment_header *ret_header,
                       struct weir_error *why)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    uint8_t blocks[FORMAT_SEGMENT_HEADER_BYTES];
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    struct weir_file *file;
    size_t size = 0;
    int rc = ops->open(log->medium, name, WEIR_FILE_READ, &file);
    if (rc == 0) {
        rc = ops->read(file, 0, blocks, sizeof blocks, &size);
        ops->close(file);
    }
    if (rc < 0) {
        return log_error(why, rc, name, 0, "%s cannot be read: %s", name, weir_error_text(rc));
    }
    rc = size < sizeof blocks
             ? WEIR_E_CUT_SHORT
             : segment_header_decode(blocks, log->control.uuid, ordinal, ret_header);
    if (rc < 0) {
        return log_error(why, rc == WEIR_E_NOT_A_LOG ? WEIR_E_DAMAGED : rc, name, 0,
                         "%s has no valid header", name);
    }
    return 0;
}

static struct group_chain chain_of(const struct segment_header *header)
{
    return (struct group_chain){
        .next_lsn = header->base_lsn,
        .time_ns = header->base_time_ns,
        .epoch = header->epoch,
        .seed = header->seed,
        .crc = header->chain,
    };
}

static void seal(struct wal_segment *segment, const struct segment_header *next)
{
    segment->state = SEGMENT_SEALED;
    segment->seal_offset = (uint32_t)next->previous_seal_offset;
    segment->seal_seed = next->seed;
    segment->last_lsn = next->base_lsn - 1;
    segment->last_time_ns = next->base_time_ns;
}

/* ---- growing ---- */

static struct wal_segment *new_open(struct weir_log *log, uint64_t ordinal,
                                    const struct group_chain *start)
{
    struct wal_segment *segment = segment_new(log, ordinal, SEGMENT_OPEN);
    if (segment == NULL) {
        return NULL;
    }
    segment->start = *start;
    segment->base = base_pages_alloc(log->limits.segment_bytes, 0);
    segment->copied = segment->base != NULL;
    if (segment->base == NULL || segment_directory_alloc(log, segment) < 0) {
        segment_free(log, segment);
        return NULL;
    }
    return segment;
}

int reader_table_add_open(struct weir_log *log, uint64_t ordinal, const struct group_chain *start)
{
    struct wal_segment *segment = new_open(log, ordinal, start);
    if (segment == NULL) {
        return -ENOMEM;
    }
    int rc = segment_table_add(log, segment);
    if (rc < 0) {
        segment_free(log, segment);
        return rc;
    }
    reader_walk_begin(log->reader, segment);
    return 0;
}

/* ---- beside compacted segments ---- */

static int read_inventory(struct weir_log *log, struct inventory *ret_inventory)
{
    int rc = inventory_read(log->medium, log->control.uuid, NULL, NULL, ret_inventory);
    if (rc == 0) {
        rc = inventory_resolve(ret_inventory, &log->control);
        if (rc < 0) {
            inventory_free(ret_inventory);
        }
    }
    return rc;
}

static struct wal_segment *new_compacted(struct weir_log *log, const struct segment_header *header)
{
    struct wal_segment *segment = segment_new(log, header->ordinal, SEGMENT_SEALED);
    if (segment != NULL) {
        segment->first = header->first_ordinal;
        segment->last = header->last_ordinal;
        segment->start = chain_of(header);
        segment->start.epoch = header->end_epoch;
        segment->start.seed = segment->seal_seed = header->end_seed;
        segment->seal_offset = (uint32_t)header->seal_offset;
        segment->last_lsn = header->last_lsn;
        segment->last_time_ns = header->end_time_ns;
    }
    return segment;
}

static int add_older(struct weir_log *log, const struct inventory_segment *older,
                     const struct segment_header *next)
{
    bool compacted = older->header.compacted;
    struct wal_segment *segment = compacted ? new_compacted(log, &older->header)
                                            : segment_new(log, older->ordinal, SEGMENT_SEALED);
    if (segment == NULL) {
        return -ENOMEM;
    }
    if (!compacted) {
        segment->start = chain_of(&older->header);
        seal(segment, next);
    }
    int rc = segment_table_add(log, segment);
    if (rc < 0) {
        segment_free(log, segment);
    }
    return rc;
}

static int explain_header(uint64_t place, const struct inventory_segment *segment,
                          struct weir_error *why)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(segment != NULL ? segment->ordinal : place, name);
    return log_error(why, segment == NULL ? -ENOENT : WEIR_E_DAMAGED, name, 0,
                     "%s is missing or has no valid header", name);
}

/* What holds the place `last` may have been compacted by now, since the writer has gone on: then
 * what is behind it is taken for the open one, and the walk goes on there. */
static int extend_from(struct weir_log *log, const struct inventory *inventory, uint64_t first,
                       uint64_t last, struct weir_error *why)
{
    for (uint64_t place = first;;) {
        const struct inventory_segment *segment = inventory_at(inventory, place);
        if (segment == NULL || segment->header_result != 0 || inventory_first(segment) != place) {
            return explain_header(place, segment, why);
        }
        if (place >= last && !segment->header.compacted) {
            struct group_chain start = chain_of(&segment->header);
            return reader_table_add_open(log, segment->ordinal, &start);
        }
        place = inventory_last(segment) + 1;
        const struct inventory_segment *next = inventory_at(inventory, place);
        if (next == NULL || next->header_result != 0) {
            return explain_header(place, next, why);
        }
        int rc = add_older(log, segment, &next->header);
        if (rc < 0) {
            return rc;
        }
    }
}

int reader_table_extend(struct weir_log *log, uint64_t first, uint64_t last, struct weir_error *why)
{
    if (log->control.compact_next > 0) {
        struct inventory inventory;
        int rc = read_inventory(log, &inventory);
        if (rc == 0) {
            rc = extend_from(log, &inventory, first, last, why);
            inventory_free(&inventory);
        }
        return rc;
    }
    struct segment_header header, next;
    int rc = read_header(log, first, &header, why);
    for (uint64_t ordinal = first; rc == 0 && ordinal < last; ordinal++) {
        rc = read_header(log, ordinal + 1, &next, why);
        if (rc < 0) {
            break;
        }
        struct wal_segment *segment = segment_new(log, ordinal, SEGMENT_SEALED);
        if (segment == NULL) {
            return -ENOMEM;
        }
        segment->start = chain_of(&header);
        seal(segment, &next);
        rc = segment_table_add(log, segment);
        if (rc < 0) {
            segment_free(log, segment);
        }
        header = next;
    }
    if (rc < 0) {
        return rc;
    }
    struct group_chain start = chain_of(&header);
    return reader_table_add_open(log, last, &start);
}

/* The open segment gets its end and a successor in one step, so that whoever finds it sealed finds
 * what is behind it. 1; 0: not done, somebody stands on it (only with drop_memory); -ENOMEM. */
static int roll(struct weir_log *log, const struct segment_header *next, bool drop_memory)
{
    struct wal_segment *old = log->reader->segment;
    struct group_chain start = chain_of(next);
    struct wal_segment *segment = new_open(log, old->ordinal + 1, &start);
    if (segment == NULL) {
        return -ENOMEM;
    }
    base_lock_acquire(&log->segments.lock);
    int rc = 0;
    if (!drop_memory || old->pins == 0) {
        rc = segment_table_add_locked(log, segment);
        rc = rc < 0 ? rc : 1;
    }
    if (rc == 1) {
        seal(old, next);
        if (drop_memory) {
            segment_release_memory(log, old);
        } else if (old->file != NULL) {
            log->medium->ops->close(old->file); /* a mapping opens it again, and locks it */
            old->file = NULL;
        }
    }
    base_lock_release(&log->segments.lock);
    if (rc == 1) {
        reader_walk_begin(log->reader, segment);
    } else {
        segment_free(log, segment);
    }
    return rc;
}

int reader_table_roll(struct weir_log *log, uint64_t seal_offset)
{
    const struct group_chain *end = &log->reader->chain;
    struct segment_header next = {
        .base_lsn = end->next_lsn,
        .base_time_ns = end->time_ns,
        .epoch = end->epoch,
        .seed = end->seed,
        .chain = end->crc,
        .previous_seal_offset = seal_offset,
    };
    int rc = roll(log, &next, false);
    return rc < 0 ? rc : 0;
}

static bool is_pinned(struct weir_log *log, const struct wal_segment *segment)
{
    base_lock_acquire(&log->segments.lock);
    bool pinned = segment->pins > 0;
    base_lock_release(&log->segments.lock);
    return pinned;
}

bool reader_table_skip(struct weir_log *log)
{
    struct wal_reader *reader = log->reader;
    struct segment_header next;
    return !is_pinned(log, reader->segment) &&
           read_header(log, reader->segment->ordinal + 1, &next, NULL) == 0 &&
           next.base_lsn >= reader->chain.next_lsn && next.previous_seal_offset >= reader->offset &&
           roll(log, &next, true) == 1;
}

void reader_table_trim(struct weir_log *log)
{
    struct wal_segments *table = &log->segments;
    base_lock_acquire(&table->lock);
    for (uint32_t i = 0; i < table->count; i++) {
        struct wal_segment *segment = table->slots[i];
        if (segment->state == SEGMENT_SEALED && segment->copied && segment->pins == 0) {
            segment_release_memory(log, segment);
        }
    }
    base_lock_release(&table->lock);
}

/* ---- truncation ---- */

int reader_load_control(struct weir_log *log, struct control *ret_control, struct weir_error *why)
{
    /* Beside a writer that stores it, two updates may overlap one read. */
    int rc = WEIR_E_CONTROL;
    for (int attempt = 0; rc == WEIR_E_CONTROL && attempt < CONTROL_ATTEMPTS; attempt++) {
        if (attempt > 0) {
            lock_sleep(RETRY_NS);
        }
        rc = control_load(log->medium, ret_control, why);
    }
    if (rc == 0 && log->limits.segment_bytes != 0 &&
        memcmp(ret_control->uuid, log->control.uuid, sizeof ret_control->uuid) != 0) {
        return log_error(why, WEIR_E_CONTROL, "CONTROL", 16,
                         "another log has taken the place of the one that was opened");
    }
    return rc;
}

static void drop_below(struct weir_log *log, uint64_t ordinal)
{
    struct wal_reader *reader = log->reader;
    if (reader->segment != NULL && reader->segment->ordinal < ordinal) {
        base_lock_acquire(&log->segments.lock);
        reader->segment->state = SEGMENT_SEALED;
        reader->segment->last_lsn = reader->chain.next_lsn - 1;
        base_lock_release(&log->segments.lock);
        reader->segment = NULL; /* the walk is overtaken */
    }
    bool pinned;
    while (segment_detach_first(log, ordinal, &pinned) != 0) {
    }
}

/* All but the identity and the sizes, which never change and are read without the lock. */
static void take_over(struct weir_log *log, const struct control *control)
{
    struct control *own = &log->control;
    base_lock_acquire(&log->control_lock);
    own->generation = control->generation;
    own->epoch = control->epoch;
    own->seed = control->seed;
    own->layout = control->layout;
    own->first_lsn = control->first_lsn;
    own->first_ordinal = control->first_ordinal;
    own->horizon = control->horizon;
    own->witness_lsn = control->witness_lsn;
    own->witness_address = control->witness_address;
    own->witness_chain = control->witness_chain;
    own->clean = control->clean;
    own->compact_next = control->compact_next;
    own->compact_first = control->compact_first;
    own->compact_last = control->compact_last;
    own->written_ns = control->written_ns;
    base_lock_release(&log->control_lock);
}

/* ---- compaction ---- */

/* The table is built anew: whoever finds a segment gone looks again. */
static void give_up_table(struct weir_log *log)
{
    base_lock_acquire(&log->segments.lock);
    for (uint32_t i = 0; i < log->segments.count; i++) {
        log->segments.slots[i]->replaced = true;
    }
    base_lock_release(&log->segments.lock);
    reader_table_clear(log);
}

/* Puts it in the place of its run. False: the table does not hold that, it is too old. */
static bool place_compacted(struct weir_log *log, const struct segment_header *header)
{
    const struct wal_segment *open = log->reader->segment;
    struct wal_segment *segment = new_compacted(log, header);
    if (segment == NULL) {
        return false;
    }
    base_lock_acquire(&log->segments.lock);
    bool known = segment_lookup(log, header->ordinal) != NULL;
    bool fits = (open == NULL || open->first > header->last_ordinal) &&
                segment_table_has_run(log, header->first_ordinal, header->last_ordinal);
    if (!known && fits) {
        segment_table_replace(log, segment);
    }
    base_lock_release(&log->segments.lock);
    if (known || !fits) {
        segment_free(log, segment);
    }
    return known || fits;
}

static bool place_all(struct weir_log *log, const struct inventory *inventory)
{
    bool placed = true;
    for (uint32_t i = 0; placed && i < inventory->compacted_count; i++) {
        const struct segment_header *header = &inventory->compacted[i]->header;
        if (header->last_ordinal >= log->control.first_ordinal) {
            placed = place_compacted(log, header);
        }
    }
    return placed;
}

static weir_lsn last_compacted(const struct inventory *inventory, uint64_t seen)
{
    weir_lsn last = WEIR_LSN_NONE;
    for (uint32_t i = 0; i < inventory->compacted_count; i++) {
        const struct segment_header *header = &inventory->compacted[i]->header;
        bool is_new = header->ordinal - FORMAT_COMPACTED_ORDINAL >= seen;
        last = is_new && header->last_lsn > last ? header->last_lsn : last;
    }
    return last;
}

/* The writer has compacted since CONTROL was last taken over. */
static void adopt_compaction(struct weir_log *log, uint64_t seen)
{
    struct wal_marks *marks = &log->marks;
    struct inventory inventory = {0};
    bool read = read_inventory(log, &inventory) == 0;
    weir_lsn last = read ? last_compacted(&inventory, seen) : log->control.horizon;
    if (last > atomic_load_explicit(&marks->compacted, memory_order_relaxed)) {
        atomic_store_explicit(&marks->compacted, last, memory_order_relaxed);
    }
    /* Before segments go. Release pairs with the acquire of cursors. */
    atomic_store_explicit(&marks->compactions, log->control.compact_next, memory_order_release);
    if (log->segments.count > 0 && (!read || !place_all(log, &inventory))) {
        give_up_table(log);
    }
    inventory_free(&inventory);
}

void reader_table_adopt(struct weir_log *log, const struct control *control)
{
    uint64_t seen = log->control.compact_next;
    take_over(log, control);
    atomic_store_explicit(&log->marks.horizon, control->horizon, memory_order_release);
    /* Before the segments go: a cursor that misses one finds out why. Release pairs with the
     * acquire in log_earliest(). */
    atomic_store_explicit(&log->marks.earliest, control->first_lsn, memory_order_release);
    drop_below(log, control->first_ordinal);
    if (control->compact_next != seen ||
        control->compact_next !=
            atomic_load_explicit(&log->marks.compactions, memory_order_relaxed)) {
        adopt_compaction(log, seen);
    }
}

void reader_table_clear(struct weir_log *log)
{
    drop_below(log, UINT64_MAX);
}

static bool is_still_there(struct weir_log *log, const struct wal_segment *segment)
{
    base_lock_acquire(&log->segments.lock);
    bool there = !segment->dropped && !segment->replaced;
    base_lock_release(&log->segments.lock);
    return there;
}

/* The writer goes on while its directory is read: what CONTROL had named may be gone as well by
 * then, but CONTROL says so as soon as it is. */
int reader_explain_missing(struct weir_log *log, const struct wal_segment *segment, int rc,
                           struct weir_error *why)
{
    struct control control = {0};
    if (log->reader == NULL) {
        return rc;
    }
    for (int look = 0; look < MISSING_LOOKS && is_still_there(log, segment); look++) {
        if (reader_load_control(log, &control, NULL) < 0) {
            return rc;
        }
        base_lock_acquire(&log->reader->lock);
        if (control.first_lsn > log_earliest(log) ||
            control.compact_next > log->control.compact_next) {
            reader_table_adopt(log, &control);
        }
        base_lock_release(&log->reader->lock);
    }
    if (control.first_ordinal <= segment->last) {
        return rc;
    }
    rc = log_error(why, WEIR_E_TRUNCATED, NULL, UINT64_MAX,
                   "everything below LSN %llu was truncated meanwhile",
                   (unsigned long long)control.first_lsn);
    return log_error_range(why, rc, WEIR_LSN_NONE, control.first_lsn - 1);
}

/* Is a segment's file on its way to another use? */
static bool is_let_go(struct weir_log *log, uint64_t ordinal, const struct control *control)
{
    return control->first_ordinal > ordinal ||
           control->compact_next !=
               atomic_load_explicit(&log->marks.compactions, memory_order_acquire);
}

int reader_lock_sealed(struct weir_log *log, uint64_t ordinal, struct weir_file *file,
                       struct weir_error *why)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    uint64_t start_ns = base_clock_monotonic_ns();
    for (;;) {
        int rc = log->medium->ops->lock(file, WEIR_LOCK_SHARED);
        if (rc != -EAGAIN) {
            return rc;
        }
        struct control control;
        rc = reader_load_control(log, &control, NULL);
        if (rc == 0 && is_let_go(log, ordinal, &control)) {
            return log_error(why, WEIR_E_TRUNCATED, name, UINT64_MAX,
                             "%s is being recycled: its records were truncated or compacted", name);
        }
        int64_t waited = (int64_t)(base_clock_monotonic_ns() - start_ns);
        if (log->lock_wait_ns >= 0 && waited > log->lock_wait_ns) {
            return log_error(why, WEIR_E_LOCKED, name, UINT64_MAX,
                             "%s is sealed and somebody still writes it", name);
        }
        lock_sleep(RETRY_NS);
    }
}
