/*
 * Memory: small blocks from malloc, large ones as pages from mmap. Both are counted, so that a test
 * can prove that a path allocates nothing and that nothing leaks; both can be made to fail through
 * base_system.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#define BASE_CACHE_LINE 64

/* All return NULL when there is no memory. A size of 0 gives a block that must be freed. */
void *base_alloc(size_t size);
void *base_alloc_zero(size_t size);

/* count * size bytes of zeros; NULL as well when the product overflows. */
void *base_alloc_array(size_t count, size_t size);

/* @param alignment  a power of two, for example BASE_CACHE_LINE. The content is undefined. */
void *base_alloc_aligned(size_t alignment, size_t size);

/* Accepts what any function above returned, and NULL. */
void base_free(void *memory);

/* Successful allocations since the process started, and blocks not yet freed. */
uint64_t base_alloc_count(void);
uint64_t base_alloc_in_use(void);

#define BASE_PAGES_POPULATE 0x1u /* fault everything in now */
#define BASE_PAGES_HUGE 0x2u     /* aligned to 2 MiB and advised to use huge pages */
#define BASE_PAGES_RESERVE 0x4u  /* address space: not charged for before it is touched */

/*
 * Zeroed private anonymous memory, aligned to a page. @param size is rounded up to whole pages and
 * is greater than 0. NULL when there is none.
 */
void *base_pages_alloc(size_t size, unsigned flags);

/* @param size  as given to base_pages_alloc. NULL is accepted. */
void base_pages_free(void *memory, size_t size);

/* Bytes now held by base_pages_alloc. */
uint64_t base_pages_in_use(void);

/* The page size of this system. */
size_t base_page_size(void);

#endif
