/*
 * Nodes: the bytes of a file on their way to being durable.
 *
 * A write changes `current` at once, as the cache of a device or of the system does, and waits in
 * the list. An operation that makes things durable takes its cover when it starts: the writes that
 * were complete by then. When it completes they move to `durable` and leave the list. Power loss
 * takes `durable` and lays over it whatever the policy keeps of the list, in its order.
 *
 * Where a window is the file, stores happen without a call. They are noticed by comparing with what
 * was seen last: each unit that differs becomes a pending write of the whole unit, so that of two
 * versions of a line power loss leaves one or the other, or words of both where it tears.
 *
 * Failure modes: no memory, no room; both leave things as they were.
 *
 * Invariants: a write that is older than one that has become durable, and overlaps it, cannot bring
 * back what was there before; a node lives while something refers to it.
 */
#include "sim/node.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "sim/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

struct sim_node *sim_node_new(struct sim_disk *disk)
{
    struct sim_node *node = calloc(1, sizeof *node);
    if (node != NULL) {
        node->disk = disk;
        node->references = 1;
        node->end = &node->first;
        node->unit_bytes = SIM_SECTOR_BYTES;
    }
    return node;
}

void sim_node_reference(struct sim_node *node)
{
    node->references++;
}

static void release_write(struct sim_write *write)
{
    if (--write->references == 0) {
        free(write);
    }
}

static void forget_pending(struct sim_node *node)
{
    while (node->first != NULL) {
        struct sim_write *write = node->first;
        node->first = write->next;
        write->pending = false;
        release_write(write);
    }
    node->end = &node->first;
}

void sim_node_release(struct sim_node *node)
{
    WEIR_ASSERT(node->references > 0);
    if (--node->references > 0) {
        return;
    }
    WEIR_ASSERT(node->files == NULL && node->pins == 0);
    node->disk->used_bytes -= node->current.size_bytes;
    base_pages_free(node->seen, node->current.capacity_bytes);
    forget_pending(node);
    sim_image_free(&node->current);
    sim_image_free(&node->durable);
    free(node);
}

int sim_node_resize(struct sim_node *node, uint64_t size_bytes)
{
    struct sim_disk *disk = node->disk;
    uint64_t before = node->current.size_bytes;
    if (size_bytes <= before) {
        return 0;
    }
    uint64_t more = size_bytes - before;
    if (disk->capacity_bytes != 0 &&
        (more > disk->capacity_bytes || disk->used_bytes > disk->capacity_bytes - more)) {
        return -ENOSPC;
    }
    bool may_move = node->pins == 0 && node->seen == NULL;
    int rc = sim_image_grow(&node->current, size_bytes, may_move);
    if (rc == 0) {
        disk->used_bytes += more;
    }
    return rc;
}

/* ---- pending writes ---- */

static struct sim_write *new_write(uint64_t offset, const void *bytes, size_t size_bytes)
{
    struct sim_write *write = malloc(sizeof *write + size_bytes);
    if (write != NULL) {
        *write = (struct sim_write){.offset = offset, .size_bytes = size_bytes, .references = 1};
        memcpy(write->bytes, bytes, size_bytes);
    }
    return write;
}

static void add_pending(struct sim_node *node, struct sim_write *write)
{
    node->disk->changes++;
    write->pending = true;
    *node->end = write;
    node->end = &write->next;
}

int sim_node_write(struct sim_node *node, uint64_t offset, const void *data, size_t size_bytes,
                   bool complete, struct sim_write **ret_write)
{
    int rc = sim_node_resize(node, offset + size_bytes);
    struct sim_write *write = rc == 0 ? new_write(offset, data, size_bytes) : NULL;
    if (write == NULL) {
        return rc < 0 ? rc : -ENOMEM;
    }
    rc = sim_image_write(&node->current, offset, data, size_bytes);
    if (rc < 0) {
        free(write);
        return rc;
    }
    if (node->seen != NULL) {
        memcpy(node->seen + offset, data, size_bytes);
    }
    write->complete = complete;
    add_pending(node, write);
    if (ret_write != NULL) {
        *ret_write = write;
    }
    return 0;
}

static bool overlap(const struct sim_write *write, uint64_t offset, uint64_t size_bytes,
                    uint64_t *ret_from, uint64_t *ret_to)
{
    uint64_t end = offset + size_bytes, write_end = write->offset + write->size_bytes;
    *ret_from = write->offset > offset ? write->offset : offset;
    *ret_to = write_end < end ? write_end : end;
    return *ret_from < *ret_to;
}

/* Of a durable image the part that lies inside it, zeros behind it. */
static void read_padded(const struct sim_image *image, uint64_t offset, uint8_t *buffer,
                        size_t size_bytes)
{
    uint64_t left = offset < image->size_bytes ? image->size_bytes - offset : 0;
    size_t inside = left < size_bytes ? (size_t)left : size_bytes;
    if (inside > 0) {
        sim_image_read(image, offset, buffer, inside);
    }
    memset(buffer + inside, 0, size_bytes - inside);
}

void sim_node_read(const struct sim_node *node, uint64_t offset, void *buffer, size_t size_bytes)
{
    if (!node->stale) {
        sim_image_read(&node->current, offset, buffer, size_bytes);
        return;
    }
    read_padded(&node->durable, offset, buffer, size_bytes);
    for (const struct sim_write *write = node->first; write != NULL; write = write->next) {
        uint64_t from, to;
        if (overlap(write, offset, size_bytes, &from, &to)) {
            memcpy((uint8_t *)buffer + (from - offset), write->bytes + (from - write->offset),
                   to - from);
        }
    }
}

int sim_node_drop_cache(struct sim_node *node)
{
    if (!node->stale) {
        return 0;
    }
    uint8_t block[SIM_PAGE_BYTES];
    int rc = 0;
    for (uint64_t offset = 0; rc == 0 && offset < node->current.size_bytes;
         offset += sizeof block) {
        uint64_t left = node->current.size_bytes - offset;
        size_t size = left < sizeof block ? (size_t)left : sizeof block;
        sim_node_read(node, offset, block, size);
        rc = sim_image_write(&node->current, offset, block, size);
        if (node->seen != NULL) {
            memcpy(node->seen + offset, block, size);
        }
    }
    node->stale = rc != 0;
    return rc;
}

/* ---- stores ---- */

int sim_node_watch_stores(struct sim_node *node, size_t unit_bytes)
{
    node->unit_bytes = unit_bytes;
    if (node->seen != NULL) {
        return 0;
    }
    static const uint8_t zeros[SIM_PAGE_BYTES];
    uint64_t size = node->current.size_bytes;
    uint8_t *bytes = sim_image_flatten(&node->current);
    uint8_t *seen = bytes != NULL ? base_pages_alloc(node->current.capacity_bytes, 0) : NULL;
    if (seen == NULL) {
        return -ENOMEM;
    }
    for (uint64_t offset = 0; offset < size; offset += SIM_PAGE_BYTES) {
        if (memcmp(bytes + offset, zeros, SIM_PAGE_BYTES) != 0) {
            memcpy(seen + offset, bytes + offset, SIM_PAGE_BYTES);
        }
    }
    node->seen = seen;
    return 0;
}

/* Units that differ, as one write for each run of them. */
static int notice_run(struct sim_node *node, uint64_t from, uint64_t to)
{
    const uint8_t *bytes = node->current.flat + from;
    struct sim_write *write = new_write(from, bytes, to - from);
    if (write == NULL) {
        return -ENOMEM;
    }
    memcpy(node->seen + from, write->bytes, to - from); /* stores may go on: not looked at twice */
    write->complete = true;
    add_pending(node, write);
    return 0;
}

static bool unit_differs(const struct sim_node *node, uint64_t offset)
{
    return memcmp(node->current.flat + offset, node->seen + offset, node->unit_bytes) != 0;
}

static int notice_page(struct sim_node *node, uint64_t offset, uint64_t end)
{
    size_t unit = node->unit_bytes;
    int rc = 0;
    while (rc == 0 && offset < end) {
        if (!unit_differs(node, offset)) {
            offset += unit;
            continue;
        }
        uint64_t from = offset;
        while (offset < end && unit_differs(node, offset)) {
            offset += unit;
        }
        rc = notice_run(node, from, offset);
    }
    return rc;
}

int sim_node_notice(struct sim_node *node, uint64_t offset, uint64_t size_bytes)
{
    if (node->seen == NULL || size_bytes == 0) {
        return 0;
    }
    size_t unit = node->unit_bytes;
    uint64_t end = (offset + size_bytes + unit - 1) / unit * unit;
    int rc = 0;
    for (uint64_t at = offset / unit * unit; rc == 0 && at < end;) {
        uint64_t page_end = (at / SIM_PAGE_BYTES + 1) * SIM_PAGE_BYTES;
        uint64_t to = page_end < end ? page_end : end;
        if (memcmp(node->current.flat + at, node->seen + at, to - at) != 0) {
            rc = notice_page(node, at, to);
        }
        at = to;
    }
    return rc;
}

int sim_node_notice_all(struct sim_node *node)
{
    return node->seen == NULL ? 0 : sim_node_notice(node, 0, node->current.capacity_bytes);
}

/* ---- covers ---- */

int sim_cover_write(struct sim_cover *cover, struct sim_node *node, struct sim_write *write)
{
    if (cover->count == cover->capacity) {
        size_t capacity = cover->capacity == 0 ? 4 : 2 * cover->capacity;
        struct sim_cover_item *items = calloc(capacity, sizeof *items);
        if (items == NULL) {
            return -ENOMEM;
        }
        if (cover->count > 0) {
            memcpy(items, cover->items, cover->count * sizeof *items);
        }
        free(cover->items);
        cover->items = items;
        cover->capacity = capacity;
    }
    cover->items[cover->count++] = (struct sim_cover_item){node, write};
    sim_node_reference(node);
    write->references++;
    return 0;
}

int sim_cover_complete(struct sim_cover *cover, struct sim_node *node)
{
    int rc = 0;
    for (struct sim_write *write = node->first; rc == 0 && write != NULL; write = write->next) {
        rc = write->complete ? sim_cover_write(cover, node, write) : 0;
    }
    return rc;
}

int sim_cover_cleaned(struct sim_cover *cover, struct sim_node *node, uint64_t thread_bit)
{
    int rc = 0;
    for (struct sim_write *write = node->first; rc == 0 && write != NULL; write = write->next) {
        if ((write->cleaned_by & thread_bit) != 0) {
            rc = sim_cover_write(cover, node, write);
        }
    }
    return rc;
}

/* Cuts a write in two at `offset`, which lies inside it; both stay in their place. */
static int split(struct sim_node *node, struct sim_write *write, uint64_t offset)
{
    size_t front = (size_t)(offset - write->offset);
    struct sim_write *rest = new_write(offset, write->bytes + front, write->size_bytes - front);
    if (rest == NULL) {
        return -ENOMEM;
    }
    rest->cleaned_by = write->cleaned_by;
    rest->complete = write->complete;
    rest->pending = true;
    rest->next = write->next;
    write->next = rest;
    write->size_bytes = front;
    if (node->end == &write->next) {
        node->end = &rest->next;
    }
    return 0;
}

/* Calls that find writes in a range have them end where the range does. */
static int split_at(struct sim_node *node, uint64_t offset)
{
    int rc = 0;
    for (struct sim_write *write = node->first; rc == 0 && write != NULL; write = write->next) {
        /* A write that an operation covers is left whole: what it covers would be less. */
        if (write->references == 1 && write->offset < offset &&
            offset < write->offset + write->size_bytes) {
            rc = split(node, write, offset);
        }
    }
    return rc;
}

static bool is_inside(const struct sim_write *write, uint64_t offset, uint64_t size_bytes)
{
    return write->offset >= offset && write->offset + write->size_bytes <= offset + size_bytes;
}

static int split_ends(struct sim_node *node, uint64_t offset, uint64_t size_bytes)
{
    int rc = split_at(node, offset);
    return rc < 0 ? rc : split_at(node, offset + size_bytes);
}

int sim_cover_range(struct sim_cover *cover, struct sim_node *node, uint64_t offset,
                    uint64_t size_bytes)
{
    int rc = split_ends(node, offset, size_bytes);
    for (struct sim_write *write = node->first; rc == 0 && write != NULL; write = write->next) {
        if (is_inside(write, offset, size_bytes)) {
            rc = sim_cover_write(cover, node, write);
        }
    }
    return rc;
}

int sim_node_clean(struct sim_node *node, uint64_t offset, uint64_t size_bytes, uint64_t thread_bit)
{
    int rc = sim_node_notice(node, offset, size_bytes);
    rc = rc < 0 ? rc : split_ends(node, offset, size_bytes);
    for (struct sim_write *write = node->first; rc == 0 && write != NULL; write = write->next) {
        if (is_inside(write, offset, size_bytes)) {
            write->cleaned_by |= thread_bit;
        }
    }
    return rc;
}

/* What is durable now lies over the older writes that wait. */
static void patch_older(struct sim_node *node, const struct sim_write *durable)
{
    for (struct sim_write *older = node->first; older != NULL && older != durable;
         older = older->next) {
        uint64_t from, to;
        if (overlap(older, durable->offset, durable->size_bytes, &from, &to)) {
            memcpy(older->bytes + (from - older->offset), durable->bytes + (from - durable->offset),
                   to - from);
        }
    }
}

static void sweep(struct sim_node *node)
{
    struct sim_write **place = &node->first;
    while (*place != NULL) {
        struct sim_write *write = *place;
        if (write->pending) {
            place = &write->next;
        } else {
            *place = write->next;
            release_write(write);
        }
    }
    node->end = place;
}

/* Takes the settled writes out of the lists, and lets go of everything. */
static void settle(struct sim_cover *cover)
{
    for (size_t i = 0; i < cover->count; i++) {
        struct sim_node *node = cover->items[i].node;
        if (i == 0 || node != cover->items[i - 1].node) {
            sweep(node);
        }
    }
    sim_cover_free(cover);
}

int sim_cover_apply(struct sim_cover *cover)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < cover->count; i++) {
        struct sim_node *node = cover->items[i].node;
        struct sim_write *write = cover->items[i].write;
        if (!write->pending) {
            continue; /* another operation was faster */
        }
        rc = sim_image_grow(&node->durable, write->offset + write->size_bytes, true);
        rc = rc < 0
                 ? rc
                 : sim_image_write(&node->durable, write->offset, write->bytes, write->size_bytes);
        if (rc == 0) {
            node->disk->changes++;
            patch_older(node, write);
            write->pending = false;
        }
    }
    settle(cover);
    return rc;
}

/* The current image without what was lost; a mapping goes on showing it. */
static int forget_lost(struct sim_node *node)
{
    node->stale = true;
    return node->seen == NULL && node->pins == 0 ? sim_node_drop_cache(node) : 0;
}

int sim_cover_fail(struct sim_cover *cover, bool kept)
{
    int rc = 0;
    for (size_t i = 0; i < cover->count; i++) {
        struct sim_write *write = cover->items[i].write;
        cover->items[i].node->disk->changes++;
        write->complete = true;
        write->pending = write->pending && kept;
    }
    for (size_t i = 0; !kept && rc == 0 && i < cover->count; i++) {
        struct sim_node *node = cover->items[i].node;
        if (i == 0 || node != cover->items[i - 1].node) {
            sweep(node);
            rc = forget_lost(node);
        }
    }
    sim_cover_free(cover);
    return rc;
}

void sim_cover_free(struct sim_cover *cover)
{
    for (size_t i = 0; i < cover->count; i++) {
        release_write(cover->items[i].write);
        sim_node_release(cover->items[i].node);
    }
    free(cover->items);
    *cover = (struct sim_cover){0};
}

int sim_node_sync(struct sim_node *node)
{
    struct sim_cover cover = {0};
    int rc = sim_node_notice_all(node);
    if (rc == 0 && node->durable.size_bytes < node->current.size_bytes) {
        node->disk->changes++;
        rc = sim_image_grow(&node->durable, node->current.size_bytes, true);
    }
    rc = rc < 0 ? rc : sim_cover_complete(&cover, node);
    if (rc < 0) {
        sim_cover_free(&cover);
        return rc;
    }
    return sim_cover_apply(&cover);
}

/* ---- power loss ---- */

/* Lays the words of a mask over what is there; false when that changes nothing. */
static bool merge_words(uint8_t *there, const uint8_t *bytes, size_t size_bytes, uint64_t mask)
{
    bool changed = false;
    for (size_t at = 0; at < size_bytes; at += SIM_WORD_BYTES, mask >>= 1) {
        size_t word = size_bytes - at < SIM_WORD_BYTES ? size_bytes - at : SIM_WORD_BYTES;
        if ((mask & 1) != 0 && memcmp(there + at, bytes + at, word) != 0) {
            memcpy(there + at, bytes + at, word);
            changed = true;
        }
    }
    return changed;
}

/* The part of one unit that the write holds, and the policy's word on it. */
static int survive_unit(const struct sim_write *write, uint64_t offset, size_t size_bytes,
                        struct sim_node *fresh, const struct sim_survivor *survivor)
{
    uint8_t there[SIM_SECTOR_BYTES];
    const uint8_t *bytes = write->bytes + (offset - write->offset);
    sim_image_read(&fresh->durable, offset, there, size_bytes);
    if (memcmp(there, bytes, size_bytes) == 0) {
        return 0;
    }
    uint64_t mask = survivor->choose(survivor->context, offset);
    if (mask == 0 || !merge_words(there, bytes, size_bytes, mask)) {
        return 0;
    }
    return sim_image_write(&fresh->durable, offset, there, size_bytes);
}

static int survive_write(const struct sim_write *write, size_t unit_bytes, struct sim_node *fresh,
                         const struct sim_survivor *survivor)
{
    uint64_t file_end = fresh->durable.size_bytes;
    uint64_t end = write->offset + write->size_bytes;
    int rc = 0;
    for (uint64_t offset = write->offset; rc == 0 && offset < end;) {
        uint64_t unit_end = (offset / unit_bytes + 1) * unit_bytes;
        uint64_t to = unit_end < end ? unit_end : end;
        if (to > file_end) {
            break; /* the file has not grown */
        }
        rc = survive_unit(write, offset, (size_t)(to - offset), fresh, survivor);
        offset = to;
    }
    return rc;
}

int sim_node_survive(struct sim_node *node, struct sim_node *fresh, uint64_t size_bytes,
                     const struct sim_survivor *survivor)
{
    int rc = sim_image_clone(&fresh->durable, &node->durable);
    rc = rc < 0 ? rc : sim_image_grow(&fresh->durable, size_bytes, true);
    for (const struct sim_write *write = node->first; rc == 0 && write != NULL;
         write = write->next) {
        rc = survive_write(write, node->unit_bytes, fresh, survivor);
    }
    rc = rc < 0 ? rc : sim_image_clone(&fresh->current, &fresh->durable);
    if (rc == 0) {
        fresh->disk->used_bytes += fresh->current.size_bytes;
    }
    return rc;
}

/* ---- death of a process ---- */

int sim_node_copy(const struct sim_node *node, struct sim_node *fresh)
{
    int rc = sim_image_clone(&fresh->durable, &node->durable);
    rc = rc < 0 ? rc : sim_image_clone(&fresh->current, &node->current);
    if (rc < 0) {
        return rc;
    }
    fresh->disk->used_bytes += fresh->current.size_bytes;
    fresh->unit_bytes = node->unit_bytes;
    fresh->stale = node->stale;
    for (const struct sim_write *write = node->first; write != NULL; write = write->next) {
        struct sim_write *copy = new_write(write->offset, write->bytes, write->size_bytes);
        if (copy == NULL) {
            return -ENOMEM;
        }
        copy->complete = true;
        add_pending(fresh, copy);
    }
    return 0;
}
