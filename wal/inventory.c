/*
 * Inventory of the segment files: list the directory, sort by ordinal, read each header.
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

/* What the two blocks say; a medium error in one of them leaves the other. */
static int read_blocks(struct weir_medium *medium, struct weir_file *file, uint8_t *blocks)
{
    size_t got = 0;
    int rc = medium->ops->read(file, 0, blocks, FORMAT_SEGMENT_HEADER_BYTES, &got);
    if (!scan_is_medium_error(rc)) {
        return rc < 0 ? rc : (got < FORMAT_SEGMENT_HEADER_BYTES ? WEIR_E_CUT_SHORT : 0);
    }
    bool any = false;
    memset(blocks, 0, FORMAT_SEGMENT_HEADER_BYTES);
    for (uint64_t offset = 0; offset < FORMAT_SEGMENT_HEADER_BYTES; offset += FORMAT_BLOCK) {
        any = medium->ops->read(file, offset, blocks + offset, FORMAT_BLOCK, &got) == 0 || any;
    }
    return any ? 0 : -EIO;
}

static int read_header(struct weir_medium *medium, struct weir_file *file, const uint8_t *uuid,
                       struct inventory_segment *segment)
{
    uint8_t blocks[FORMAT_SEGMENT_HEADER_BYTES];
    int rc = medium->ops->size(file, &segment->file_bytes);
    if (rc < 0) {
        return rc;
    }
    rc = read_blocks(medium, file, blocks);
    if (rc == 0) {
        rc = segment_header_decode(blocks, uuid, segment->ordinal, &segment->header);
        segment->copies_differ =
            rc == 0 && memcmp(blocks, blocks + FORMAT_BLOCK, FORMAT_BLOCK) != 0;
    }
    segment->header_result = rc;
    return rc < 0 && rc > WEIR_E_NOT_A_LOG && rc != -EIO ? rc : 0;
}

static int read_headers(struct weir_medium *medium, const uint8_t *uuid,
                        struct inventory *inventory)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < inventory->count; i++) {
        struct inventory_segment *segment = &inventory->segments[i];
        char name[FORMAT_NAME_BYTES];
        format_segment_name(segment->ordinal, name);
        struct weir_file *file;
        int rc = medium->ops->open(medium, name, WEIR_FILE_READ, &file);
        if (rc == -ENOENT) {
            continue; /* a live writer has truncated since the directory was read */
        }
        if (rc < 0) {
            return rc;
        }
        rc = read_header(medium, file, uuid, segment);
        medium->ops->close(file);
        if (rc < 0) {
            return rc;
        }
        inventory->segments[kept++] = *segment;
    }
    inventory->count = kept;
    return 0;
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
