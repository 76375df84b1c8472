/*
 * Inventory of the segment files: list the directory, sort by ordinal, read each header, several
 * at a time where the medium can do that: a log of many segments opens sooner.
 *
 * Failure modes: a header that is not valid, cannot be read or is cut off is noted with its file,
 * not returned: what it means depends on where the log's end lies.
 */
#include "wal/inventory.h"

#include "base/alloc.h"
#include "wal/scan.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 16u
#define READS_MAX 16u

struct listing {
    struct inventory *inventory;
    inventory_name_fn fn;
    void *context;
};

static int add(struct inventory *inventory, uint64_t ordinal)
{
    if (inventory->count == inventory->capacity) {
        uint32_t capacity = 2 * inventory->capacity + CAPACITY_MIN;
        struct inventory_segment *segments = base_alloc_array(capacity, sizeof *segments);
        if (segments == NULL) {
            return -ENOMEM;
        }
        if (inventory->count > 0) {
            memcpy(segments, inventory->segments, inventory->count * sizeof *segments);
        }
        base_free(inventory->segments);
        inventory->segments = segments;
        inventory->capacity = capacity;
    }
    inventory->segments[inventory->count++] = (struct inventory_segment){.ordinal = ordinal};
    return 0;
}

static int take_name(void *context, const char *name)
{
    struct listing *listing = context;
    uint64_t ordinal;
    if (format_segment_ordinal(name, &ordinal) && ordinal >= FORMAT_FIRST_ORDINAL) {
        return add(listing->inventory, ordinal);
    }
    return listing->fn == NULL ? 0 : listing->fn(listing->context, name);
}

static int by_ordinal(const void *left, const void *right)
{
    uint64_t a = ((const struct inventory_segment *)left)->ordinal;
    uint64_t b = ((const struct inventory_segment *)right)->ordinal;
    return (a > b) - (a < b);
}

#define GONE 0u /* no segment has this ordinal */

/* A header that is being read. */
struct header_read {
    struct weir_file *file; /* NULL: it is gone */
    uint8_t *blocks;        /* FORMAT_SEGMENT_HEADER_BYTES */
    uint64_t ticket;
    bool begun; /* under way */
};

static int finish_read(struct weir_medium *medium, const struct header_read *read, size_t *ret_got)
{
    const struct weir_medium_ops *ops = medium->ops;
    return read->begun
               ? ops->read_end(read->file, read->ticket, ret_got)
               : ops->read(read->file, 0, read->blocks, FORMAT_SEGMENT_HEADER_BYTES, ret_got);
}

/* What the two blocks say; a medium error in one of them leaves the other. */
static int read_blocks(struct weir_medium *medium, const struct header_read *read)
{
    size_t got = 0;
    int rc = finish_read(medium, read, &got);
    if (!scan_is_medium_error(rc)) {
        return rc < 0 ? rc : (got < FORMAT_SEGMENT_HEADER_BYTES ? WEIR_E_CUT_SHORT : 0);
    }
    bool any = false;
    memset(read->blocks, 0, FORMAT_SEGMENT_HEADER_BYTES);
    for (uint64_t offset = 0; offset < FORMAT_SEGMENT_HEADER_BYTES; offset += FORMAT_BLOCK) {
        uint8_t *block = read->blocks + offset;
        any = medium->ops->read(read->file, offset, block, FORMAT_BLOCK, &got) == 0 || any;
    }
    return any ? 0 : -EIO;
}

static int read_header(struct weir_medium *medium, const struct header_read *read,
                       const uint8_t *uuid, struct inventory_segment *segment)
{
    const uint8_t *blocks = read->blocks;
    int rc = read_blocks(medium, read);
    if (rc == 0) {
        rc = segment_header_decode(blocks, uuid, segment->ordinal, &segment->header);
        segment->copies_differ =
            rc == 0 && memcmp(blocks, blocks + FORMAT_BLOCK, FORMAT_BLOCK) != 0;
    }
    segment->header_result = rc;
    return rc < 0 && rc > WEIR_E_NOT_A_LOG && rc != -EIO ? rc : 0;
}

static int begin_read(struct weir_medium *medium, struct inventory_segment *segment,
                      struct header_read *read)
{
    const struct weir_medium_ops *ops = medium->ops;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(segment->ordinal, name);
    int rc = ops->open(medium, name, WEIR_FILE_READ, &read->file);
    if (rc == -ENOENT) { /* a live writer has truncated since the directory was read */
        read->file = NULL;
        segment->ordinal = GONE;
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    rc = ops->size(read->file, &segment->file_bytes);
    if (rc < 0) {
        ops->close(read->file);
        return rc;
    }
    read->begun =
        ops->read_begin != NULL && ops->read_begin(read->file, 0, read->blocks,
                                                   FORMAT_SEGMENT_HEADER_BYTES, &read->ticket) >= 0;
    return 0;
}

/* Up to READS_MAX of them at the same time: each is a wait for the device, and nothing else. */
static int read_some_headers(struct weir_medium *medium, const uint8_t *uuid, uint8_t *memory,
                             struct inventory_segment *segments, uint32_t count)
{
    struct header_read reads[READS_MAX];
    uint32_t begun = 0;
    int rc = 0;
    for (; begun < count && rc == 0; begun += rc == 0) {
        reads[begun].blocks = memory + (size_t)begun * FORMAT_SEGMENT_HEADER_BYTES;
        rc = begin_read(medium, &segments[begun], &reads[begun]);
    }
    for (uint32_t i = 0; i < begun; i++) {
        if (reads[i].file == NULL) {
            continue;
        }
        rc = rc < 0 ? rc : read_header(medium, &reads[i], uuid, &segments[i]);
        medium->ops->close(reads[i].file); /* waits for what nobody ended */
    }
    return rc;
}

static void drop_gone(struct inventory *inventory)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < inventory->count; i++) {
        if (inventory->segments[i].ordinal != GONE) {
            inventory->segments[kept++] = inventory->segments[i];
        }
    }
    inventory->count = kept;
}

static int read_headers(struct weir_medium *medium, const uint8_t *uuid,
                        struct inventory *inventory)
{
    uint32_t at_once = inventory->count < READS_MAX ? inventory->count : READS_MAX;
    const size_t size = (size_t)at_once * FORMAT_SEGMENT_HEADER_BYTES;
    if (inventory->count == 0) {
        return 0;
    }
    uint8_t *memory = base_pages_alloc(size, 0);
    int rc = memory == NULL ? -ENOMEM : 0;
    for (uint32_t i = 0; i < inventory->count && rc == 0; i += at_once) {
        uint32_t left = inventory->count - i;
        rc = read_some_headers(medium, uuid, memory, &inventory->segments[i],
                               left < at_once ? left : at_once);
    }
    base_pages_free(memory, size);
    drop_gone(inventory);
    return rc;
}

int inventory_read(struct weir_medium *medium, const uint8_t *uuid, inventory_name_fn fn,
                   void *context, struct inventory *ret_inventory)
{
    struct inventory inventory = {0};
    struct listing listing = {.inventory = &inventory, .fn = fn, .context = context};
    int rc = medium->ops->list(medium, "", take_name, &listing);
    if (rc == 0) {
        if (inventory.count > 0) {
            qsort(inventory.segments, inventory.count, sizeof *inventory.segments, by_ordinal);
        }
        rc = read_headers(medium, uuid, &inventory);
    }
    if (rc != 0) {
        inventory_free(&inventory);
        return rc;
    }
    *ret_inventory = inventory;
    return 0;
}

void inventory_free(struct inventory *inventory)
{
    base_free(inventory->compacted);
    base_free(inventory->segments);
    *inventory = (struct inventory){0};
}

const struct inventory_segment *inventory_find(const struct inventory *inventory, uint64_t ordinal)
{
    struct inventory_segment key = {.ordinal = ordinal};
    if (inventory->count == 0) {
        return NULL;
    }
    return bsearch(&key, inventory->segments, inventory->count, sizeof key, by_ordinal);
}

/* ---- places ---- */

static bool is_inside(const struct inventory_segment *segment,
                      const struct inventory_segment *compacted)
{
    return inventory_first(segment) >= inventory_first(compacted) &&
           inventory_last(segment) <= inventory_last(compacted);
}

/* Where among the compacted ones that are alive a run that begins at `place` belongs. */
static uint32_t find_run(const struct inventory *inventory, uint64_t place)
{
    uint32_t low = 0, high = inventory->compacted_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (inventory_last(inventory->compacted[middle]) < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* From the newest to the oldest: one that is met later is dead inside of one that was met before.
 * Runs that overlap in any other way were not written by Weir. */
static void take_compacted(struct inventory *inventory, struct inventory_segment *segment)
{
    uint32_t at = find_run(inventory, inventory_first(segment));
    struct inventory_segment **runs = inventory->compacted;
    uint32_t count = inventory->compacted_count;
    if (at < count && inventory_first(runs[at]) <= inventory_last(segment)) {
        segment->dead = true;
        return;
    }
    memmove(&runs[at + 1], &runs[at], (count - at) * sizeof(struct inventory_segment *));
    runs[at] = segment;
    inventory->compacted_count++;
}

int inventory_resolve(struct inventory *inventory, const struct control *control)
{
    uint32_t first = inventory->count; /* of the compacted ones */
    while (first > 0 && format_is_compacted(inventory->segments[first - 1].ordinal)) {
        first--;
    }
    if (first == inventory->count) {
        return 0;
    }
    inventory->compacted =
        base_alloc_array(inventory->count - first, sizeof(struct inventory_segment *));
    if (inventory->compacted == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = inventory->count; i > first; i--) {
        struct inventory_segment *segment = &inventory->segments[i - 1];
        segment->dead = segment->header_result != 0 ||
                        segment->ordinal - FORMAT_COMPACTED_ORDINAL >= control->compact_next;
        if (!segment->dead) {
            take_compacted(inventory, segment);
        }
    }
    for (uint32_t i = 0; i < first; i++) {
        struct inventory_segment *segment = &inventory->segments[i];
        uint32_t at = find_run(inventory, segment->ordinal);
        segment->dead =
            at < inventory->compacted_count && is_inside(segment, inventory->compacted[at]);
    }
    return 0;
}

const struct inventory_segment *inventory_at(const struct inventory *inventory, uint64_t place)
{
    uint32_t at = find_run(inventory, place);
    if (at < inventory->compacted_count && inventory_first(inventory->compacted[at]) <= place) {
        return inventory->compacted[at];
    }
    return inventory_find(inventory, place);
}
