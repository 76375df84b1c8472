/*
 * Inventory: which segment files a log's directory holds, how long they are, and what their headers
 * say. Reads two blocks of each and changes nothing.
 */
#ifndef WAL_INVENTORY_H
#define WAL_INVENTORY_H

#include "wal/control.h"
#include "wal/segment_header.h"

#include <weir/medium.h>

struct inventory_segment {
    uint64_t ordinal;
    uint64_t file_bytes;
    /* 0: header is valid; as segment_header_decode(); WEIR_E_CUT_SHORT: the file ends inside it;
     * -EIO: the medium cannot read it. */
    int header_result;
    bool copies_differ; /* valid, and one of its two copies is damaged */
    bool dead;          /* since inventory_resolve(): replaced, or of a compaction cut short */
    struct segment_header header;
};

struct inventory {
    struct inventory_segment *segments; /* ascending; compacted ones last */
    uint32_t count, capacity;
    /* Since inventory_resolve(): the compacted ones that are alive, in order of place. */
    struct inventory_segment **compacted;
    uint32_t compacted_count;
};

/* Called for every name in the directory that is no segment's. Other than 0 stops. */
typedef int (*inventory_name_fn)(void *context, const char *name);

/* @param uuid  NULL believes each header's own.
 * @param fn    may be NULL
 * Returns 0; -ENOMEM; what fn returned; -errno. */
int inventory_read(struct weir_medium *medium, const uint8_t *uuid, inventory_name_fn fn,
                   void *context, struct inventory *ret_inventory);
void inventory_free(struct inventory *inventory);

/* NULL: there is no file of this ordinal. */
const struct inventory_segment *inventory_find(const struct inventory *inventory, uint64_t ordinal);

/*
 * Places. The log is a sequence of places, numbered as the ordinary segments are. A compacted one
 * takes those of the run that it replaces.
 */

/* Decides which files are dead: compacted segments that CONTROL does not count yet, and whatever
 * lies inside the run of a newer compacted one. -ENOMEM. Without it all are alive, and a log
 * without compacted segments needs no more. */
int inventory_resolve(struct inventory *inventory, const struct control *control);

/* The segment that has this place; NULL: there is none. */
const struct inventory_segment *inventory_at(const struct inventory *inventory, uint64_t place);

/* The places of a segment: its ordinal, or those of its run. Compacted ones have a valid header. */
static inline uint64_t inventory_first(const struct inventory_segment *segment)
{
    return format_is_compacted(segment->ordinal) ? segment->header.first_ordinal : segment->ordinal;
}

static inline uint64_t inventory_last(const struct inventory_segment *segment)
{
    return format_is_compacted(segment->ordinal) ? segment->header.last_ordinal : segment->ordinal;
}

#endif
