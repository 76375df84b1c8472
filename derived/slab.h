/*
 * A slab: many small blocks in few allocations. A block is named by 32 bits and found in a few
 * instructions.
 *
 * Pages of 16 KiB, each of blocks of one size; sizes are in steps of an eighth at most, so a block
 * is at most 1/8 (or 7 bytes) larger than what was asked for. A page whose blocks are all free can
 * become one of another size. A block above SLAB_BLOCK_MAX is an allocation of its own.
 *
 * Threads: one at a time.
 */
#ifndef DERIVED_SLAB_H
#define DERIVED_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define SLAB_PAGE_SIZE ((size_t)16 << 10)
#define SLAB_BLOCK_MAX ((size_t)2048)
#define SLAB_CLASSES 48

struct slab_page;
struct slab_large;

struct slab {
    struct slab_page *pages; /* what is known of each page */
    uint32_t page_count, page_capacity;
    uint32_t kept_page, bare_page; /* lists of pages without blocks, with their memory, without */
    uint32_t kept_count;
    uint32_t open[SLAB_CLASSES]; /* lists of pages with a free block */
    struct slab_large *large;    /* blocks with an allocation of their own */
    uint32_t large_count, large_capacity, large_free;
    uint64_t bytes; /* of memory, all of it */
};

#define SLAB_NONE UINT32_MAX

void slab_init(struct slab *slab);
/* Frees all blocks, and is as after slab_init(). */
void slab_free_all(struct slab *slab);

/* 0; -ENOMEM (nothing changed; also beyond 16 GiB). @param size > 0. */
int slab_alloc(struct slab *slab, size_t size, uint32_t *ret_block);
/* @param size  as given to slab_alloc. Never fails. */
void slab_free(struct slab *slab, uint32_t block, size_t size);

/* Aligned to 8; valid until the block is freed. */
void *slab_at(const struct slab *slab, uint32_t block);

/* Size that a block has when so much is asked for: to use what is there anyway. */
size_t slab_room(size_t size);

#endif
