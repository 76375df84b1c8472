/*
 * A posting: a set of ordinals in 8 bytes and what they need. One ordinal lies in the 8 bytes; up
 * to POSTING_FEW_MAX lie sorted in a block of a slab; more are a CRoaring bitmap.
 *
 *     struct posting posting = {0};                          // empty
 *     rc = posting_add(&slab, &posting, ordinal);            // 1 added, 0 was there
 *     for (bool more = posting_first(&slab, &posting, &walk); more; more = posting_next(&walk))
 *         use(walk.ordinal);                                 // ascending
 *
 * The slab is the caller's, one for all of its postings.
 *
 * Memory: what CRoaring allocates comes from malloc and is not counted by base/alloc.h; it is in
 * posting_bytes(). CRoaring 0.2.66 does not survive a malloc that fails: it writes through the
 * NULL. So before it is asked for what can allocate, room for as much as it can need is allocated
 * through base/alloc.h and freed again; when that fails, so does the call, with nothing changed. A
 * removal cannot fail: it may ask malloc for 8 KiB, when a container has become sparse.
 *
 * Threads: one at a time.
 */
#ifndef DERIVED_POSTING_H
#define DERIVED_POSTING_H

#include "derived/encode.h"
#include "derived/slab.h"

#include <roaring/roaring.h>
#include <stdbool.h>
#include <stdint.h>

#define POSTING_FEW_MAX 256u

struct posting {
    uint64_t word; /* 0 = empty */
};

struct posting_walk {
    uint32_t ordinal;
    /* ---- private ---- */
    uint32_t left; /* of the few, behind this one; UINT32_MAX: of a bitmap */
    const uint32_t *few;
    roaring_uint32_iterator_t iterator;
};

/* Where an ordinal behind all others would come: on its way before posting_add() is called, in two
 * steps with other work between them. */
void posting_prefetch(const struct slab *slab, const struct posting *posting);
void posting_prefetch_more(const struct slab *slab, const struct posting *posting);
/* 1 (added); 0 (was there); -ENOMEM (nothing changed). */
int posting_add(struct slab *slab, struct posting *posting, uint32_t ordinal);
/* True: it was there. Never fails. */
bool posting_remove(struct slab *slab, struct posting *posting, uint32_t ordinal);
bool posting_contains(const struct slab *slab, const struct posting *posting, uint32_t ordinal);
uint64_t posting_count(const struct slab *slab, const struct posting *posting);
bool posting_is_empty(const struct posting *posting);

/* False: there is none (any more). The posting must not change in between. */
bool posting_first(const struct slab *slab, const struct posting *posting,
                   struct posting_walk *ret_walk);
bool posting_next(struct posting_walk *walk);

/* bitmap |= posting; bitmap &= posting. 0; -ENOMEM (the bitmap is as it was). */
int posting_or_into(const struct slab *slab, const struct posting *posting,
                    roaring_bitmap_t *bitmap);
int posting_and_into(const struct slab *slab, const struct posting *posting,
                     roaring_bitmap_t *bitmap);

/* An empty bitmap, or NULL; give it back with roaring_bitmap_free(). */
roaring_bitmap_t *posting_bitmap_create(void);

/* Ascending, as differences. */
void posting_encode(const struct slab *slab, const struct posting *posting,
                    struct encoder *encoder);
/* Each ordinal as `numbers` has it: other numbers in the same order. */
void posting_encode_as(const struct slab *slab, const struct posting *posting,
                       const uint32_t *numbers, struct encoder *encoder);
/* Into an empty posting: 0; WEIR_E_STATE (not ascending, an ordinal is not below `end`, fewer bytes
 * than it says); -ENOMEM. The posting is empty when it fails. */
int posting_decode(struct slab *slab, struct posting *posting, uint32_t end,
                   struct decoder *decoder);

/* Frees what it has; it is empty then. */
void posting_free(struct slab *slab, struct posting *posting);

/* Bytes of memory beside the 8 and beside the slab: those of CRoaring. */
uint64_t posting_bytes(const struct slab *slab, const struct posting *posting);

#endif
