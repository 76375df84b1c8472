/*
 * Inventory: which segment files a log's directory holds, how long they are, and what their headers
 * say. Reads two blocks of each and changes nothing.
 */
#ifndef WAL_INVENTORY_H
#define WAL_INVENTORY_H

#include "wal/segment_header.h"

#include <weir/medium.h>

struct inventory_segment {
    uint64_t ordinal;
    uint64_t file_bytes;
    /* 0: header is valid; as segment_header_decode(); WEIR_E_CUT_SHORT: the file ends inside it;
     * -EIO: the medium cannot read it. */
    int header_result;
    bool copies_differ; /* valid, and one of its two copies is damaged */
    struct segment_header header;
};

struct inventory {
    struct inventory_segment *segments; /* ascending */
    uint32_t count, capacity;
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

#endif
