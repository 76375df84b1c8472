/*
 * Images: copy-on-write pages, or one flat range.
 *
 * A power cut makes a new disk, and a test makes a million of them: a clone copies pointers, and a
 * page is copied when somebody writes to one that others hold as well.
 *
 * Memory comes from malloc itself: it stands for a device, which is not to fail where a test lets
 * the allocations of the code above fail.
 *
 * Invariants: bytes of an image beyond its size are zero; a page with more than one reference is
 * never written; a page that is NULL reads as zeros.
 */
#include "sim/image.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#define MAPPED_BYTES ((uint64_t)1 << 20)

static const uint8_t zeros[SIM_PAGE_BYTES];

/* ---- digests ---- */

uint64_t sim_digest(uint64_t digest, uint64_t value)
{
    uint64_t mixed = (digest ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= mixed >> 29;
    mixed *= UINT64_C(0xbf58476d1ce4e5b9);
    return mixed ^ mixed >> 32;
}

uint64_t sim_digest_bytes(uint64_t digest, const void *bytes, size_t size_bytes)
{
    return sim_digest(digest, XXH3_64bits(bytes, size_bytes));
}

/* ---- pages ---- */

static struct sim_page *page_new(const uint8_t *bytes)
{
    struct sim_page *page = malloc(sizeof *page);
    if (page != NULL) {
        atomic_init(&page->references, 1);
        atomic_init(&page->digest, 0);
        memcpy(page->bytes, bytes, SIM_PAGE_BYTES);
    }
    return page;
}

static void page_release(struct sim_page *page)
{
    /* Release and acquire: who frees it sees that all others are done with it. */
    if (page != NULL &&
        atomic_fetch_sub_explicit(&page->references, 1, memory_order_acq_rel) == 1) {
        free(page);
    }
}

static uint64_t page_digest(struct sim_page *page)
{
    uint64_t digest = atomic_load_explicit(&page->digest, memory_order_relaxed);
    if (digest == 0) {
        digest = sim_digest_bytes(1, page->bytes, SIM_PAGE_BYTES) | 1;
        if (memcmp(page->bytes, zeros, SIM_PAGE_BYTES) == 0) {
            digest = 2; /* as if it were not there */
        }
        atomic_store_explicit(&page->digest, digest, memory_order_relaxed);
    }
    return digest;
}

/* The page at this index, for this image alone. NULL: no memory. */
static struct sim_page *own_page(struct sim_image *image, size_t index)
{
    struct sim_page *page = image->pages[index];
    if (page == NULL) {
        page = page_new(zeros);
    } else if (atomic_load_explicit(&page->references, memory_order_acquire) == 1) {
        atomic_store_explicit(&page->digest, 0, memory_order_relaxed);
        return page;
    } else {
        page = page_new(page->bytes);
    }
    if (page != NULL) {
        page_release(image->pages[index]);
        image->pages[index] = page;
    }
    return page;
}

/* ---- flat ranges ---- */

/* Zeroed. Small ones from the heap: a simulation makes and drops them by the million. */
static uint8_t *flat_new(uint64_t capacity)
{
    if (capacity < MAPPED_BYTES) {
        uint8_t *flat = aligned_alloc(SIM_PAGE_BYTES, capacity);
        return flat != NULL ? memset(flat, 0, capacity) : NULL;
    }
    void *flat = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return flat != MAP_FAILED ? flat : NULL;
}

static void flat_free(uint8_t *flat, uint64_t capacity)
{
    if (capacity < MAPPED_BYTES) {
        free(flat);
    } else {
        int rc = munmap(flat, capacity);
        WEIR_ASSERT(rc == 0);
    }
}

/* ---- images ---- */

static size_t page_count(const struct sim_image *image)
{
    return (size_t)(image->capacity_bytes / SIM_PAGE_BYTES);
}

static uint64_t round_up(uint64_t size)
{
    return (size + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES * SIM_PAGE_BYTES;
}

void sim_image_free(struct sim_image *image)
{
    if (image->flat != NULL) {
        flat_free(image->flat, image->capacity_bytes);
    }
    for (size_t i = 0; image->pages != NULL && i < page_count(image); i++) {
        page_release(image->pages[i]);
    }
    free(image->pages);
    *image = (struct sim_image){0};
}

static int grow_flat(struct sim_image *image, uint64_t capacity)
{
    uint8_t *flat = flat_new(capacity);
    if (flat == NULL) {
        return -ENOMEM;
    }
    memcpy(flat, image->flat, image->size_bytes);
    flat_free(image->flat, image->capacity_bytes);
    image->flat = flat;
    image->capacity_bytes = capacity;
    return 0;
}

static int grow_pages(struct sim_image *image, uint64_t capacity)
{
    struct sim_page **pages = calloc(capacity / SIM_PAGE_BYTES, sizeof(struct sim_page *));
    if (pages == NULL) {
        return -ENOMEM;
    }
    if (image->pages != NULL) {
        memcpy(pages, image->pages, page_count(image) * sizeof(struct sim_page *));
    }
    free(image->pages);
    image->pages = pages;
    image->capacity_bytes = capacity;
    return 0;
}

int sim_image_grow(struct sim_image *image, uint64_t size_bytes, bool may_move)
{
    int rc = 0;
    if (size_bytes > image->capacity_bytes) {
        uint64_t capacity = round_up(size_bytes);
        if (image->flat == NULL) {
            rc = grow_pages(image, capacity);
        } else {
            rc = may_move ? grow_flat(image, capacity) : -EBUSY;
        }
    }
    if (rc == 0 && size_bytes > image->size_bytes) {
        image->size_bytes = size_bytes;
    }
    return rc;
}

void sim_image_read(const struct sim_image *image, uint64_t offset, void *buffer, size_t size_bytes)
{
    WEIR_ASSERT(size_bytes <= image->size_bytes && offset <= image->size_bytes - size_bytes);
    uint8_t *to = buffer;
    if (image->flat != NULL) {
        memcpy(to, image->flat + offset, size_bytes);
        return;
    }
    while (size_bytes > 0) {
        size_t within = (size_t)(offset % SIM_PAGE_BYTES);
        size_t size = SIM_PAGE_BYTES - within < size_bytes ? SIM_PAGE_BYTES - within : size_bytes;
        const struct sim_page *page = image->pages[offset / SIM_PAGE_BYTES];
        memcpy(to, (page != NULL ? page->bytes : zeros) + within, size);
        to += size;
        offset += size;
        size_bytes -= size;
    }
}

int sim_image_write(struct sim_image *image, uint64_t offset, const void *data, size_t size_bytes)
{
    WEIR_ASSERT(size_bytes <= image->size_bytes && offset <= image->size_bytes - size_bytes);
    const uint8_t *from = data;
    if (image->flat != NULL) {
        memcpy(image->flat + offset, from, size_bytes);
        return 0;
    }
    while (size_bytes > 0) {
        size_t within = (size_t)(offset % SIM_PAGE_BYTES);
        size_t size = SIM_PAGE_BYTES - within < size_bytes ? SIM_PAGE_BYTES - within : size_bytes;
        struct sim_page *page = own_page(image, (size_t)(offset / SIM_PAGE_BYTES));
        if (page == NULL) {
            return -ENOMEM;
        }
        memcpy(page->bytes + within, from, size);
        from += size;
        offset += size;
        size_bytes -= size;
    }
    return 0;
}

/* From a flat image: its pages, those of zeros left out. */
static int copy_pages(struct sim_image *to, const struct sim_image *from)
{
    for (size_t i = 0; i < page_count(to); i++) {
        const uint8_t *bytes = from->flat + i * SIM_PAGE_BYTES;
        if (memcmp(bytes, zeros, SIM_PAGE_BYTES) != 0) {
            to->pages[i] = page_new(bytes);
            if (to->pages[i] == NULL) {
                return -ENOMEM;
            }
        }
    }
    return 0;
}

int sim_image_clone(struct sim_image *to, const struct sim_image *from)
{
    WEIR_ASSERT(to->size_bytes == 0 && to->capacity_bytes == 0);
    int rc = from->capacity_bytes > 0 ? grow_pages(to, from->capacity_bytes) : 0;
    if (rc == 0 && from->flat != NULL) {
        rc = copy_pages(to, from);
    } else if (rc == 0) {
        for (size_t i = 0; i < page_count(from); i++) {
            to->pages[i] = from->pages[i];
            if (to->pages[i] != NULL) {
                atomic_fetch_add_explicit(&to->pages[i]->references, 1, memory_order_relaxed);
            }
        }
    }
    to->size_bytes = from->size_bytes;
    if (rc < 0) {
        sim_image_free(to);
    }
    return rc;
}

uint8_t *sim_image_flatten(struct sim_image *image)
{
    if (image->flat != NULL || image->capacity_bytes == 0) {
        return image->flat;
    }
    uint8_t *flat = flat_new(image->capacity_bytes);
    if (flat == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < page_count(image); i++) {
        if (image->pages[i] != NULL) {
            memcpy(flat + i * SIM_PAGE_BYTES, image->pages[i]->bytes, SIM_PAGE_BYTES);
            page_release(image->pages[i]);
        }
    }
    free(image->pages);
    image->pages = NULL;
    image->flat = flat;
    return flat;
}

uint64_t sim_image_digest(const struct sim_image *image)
{
    uint64_t digest = sim_digest(3, image->size_bytes);
    for (size_t i = 0; i < page_count(image); i++) {
        uint64_t of_page = 2;
        if (image->flat != NULL) {
            const uint8_t *bytes = image->flat + i * SIM_PAGE_BYTES;
            bool zero = memcmp(bytes, zeros, SIM_PAGE_BYTES) == 0;
            of_page = zero ? 2 : sim_digest_bytes(1, bytes, SIM_PAGE_BYTES) | 1;
        } else if (image->pages[i] != NULL) {
            of_page = page_digest(image->pages[i]);
        }
        digest = sim_digest(digest, of_page);
    }
    return digest;
}
