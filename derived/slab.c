/*
 * Many small blocks in few allocations.
 *
 * A block's name is the number of its page and the number of its first unit of 8 bytes in it. Up to
 * 128 bytes there is a size for each unit, above eight sizes for each doubling.
 *
 *   alloc: the first page of that size with a free block, else a page without blocks, else a new
 * one free:  the block goes to its page's list; a page without blocks can become one of any size
 *   large: an allocation of its own, named by its place in a table and the highest bit
 *
 * Failure: an allocation that is refused changes nothing.
 *
 * Invariants: a page is in the list `open` of its size when it has a free block and a used one, in
 * one of the two lists of pages without blocks when it has no used one, else in none.
 */
#include "derived/slab.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define UNIT 8u
#define PAGE_UNITS ((uint32_t)(SLAB_PAGE_SIZE / UNIT))
#define LARGE_BIT 0x80000000u
#define PAGES_MAX (LARGE_BIT / PAGE_UNITS)
#define NO_UNIT UINT16_MAX
#define FINE_UNITS 16u /* up to here each number of units is a size */
#define STEPS 8u       /* sizes for each doubling above */
#define KEPT_MIN 4u    /* pages without blocks that keep their memory; more when there are many */

struct slab_page {
    uint8_t *memory;
    uint32_t next, previous; /* in one of the lists */
    uint16_t class;
    uint16_t used;       /* blocks */
    uint16_t free_unit;  /* the first of a list of freed blocks, or NO_UNIT */
    uint16_t fresh_unit; /* from here on nothing was ever used */
};

struct slab_large {
    void *memory; /* NULL: not in use, and then: */
    uint32_t next;
};

/* ---- sizes ---- */

static uint32_t class_of(size_t size)
{
    uint32_t units = (uint32_t)((size + UNIT - 1) / UNIT);
    if (units <= FINE_UNITS) {
        return units - 1;
    }
    uint32_t doubling = 31u - (uint32_t)__builtin_clz(units - 1); /* 2^doubling < units */
    uint32_t step = (units - 1 - (1u << doubling)) >> (doubling - 3);
    return FINE_UNITS + (doubling - 4) * STEPS + step;
}

static uint32_t units_of(uint32_t class)
{
    if (class < FINE_UNITS) {
        return class + 1;
    }
    uint32_t doubling = 4 + (class - FINE_UNITS) / STEPS;
    uint32_t step = (class - FINE_UNITS) % STEPS + 1;
    return (1u << doubling) + (step << (doubling - 3));
}

size_t slab_room(size_t size)
{
    return size > SLAB_BLOCK_MAX ? size : (size_t)units_of(class_of(size)) * UNIT;
}

/* ---- lists of pages ---- */

static void link_page(struct slab *slab, uint32_t *head, uint32_t number)
{
    struct slab_page *page = &slab->pages[number];
    page->previous = SLAB_NONE;
    page->next = *head;
    if (*head != SLAB_NONE) {
        slab->pages[*head].previous = number;
    }
    *head = number;
}

static void unlink_page(struct slab *slab, uint32_t *head, uint32_t number)
{
    struct slab_page *page = &slab->pages[number];
    if (page->previous != SLAB_NONE) {
        slab->pages[page->previous].next = page->next;
    } else {
        WEIR_ASSERT(*head == number);
        *head = page->next;
    }
    if (page->next != SLAB_NONE) {
        slab->pages[page->next].previous = page->previous;
    }
}

/* Makes room for one more element in a table. */
static int grow_table(struct slab *slab, void **table, uint32_t count, uint32_t *capacity,
                      size_t size)
{
    if (count < *capacity) {
        return 0;
    }
    uint32_t wanted = *capacity < 8 ? 8 : *capacity + *capacity / 2;
    void *grown = base_alloc(wanted * size);
    if (grown == NULL) {
        return -ENOMEM;
    }
    if (count > 0) {
        memcpy(grown, *table, count * size);
    }
    base_free(*table);
    slab->bytes += (wanted - *capacity) * size;
    *table = grown;
    *capacity = wanted;
    return 0;
}

/* The number of a page that has no memory, in no list. */
static int take_number(struct slab *slab, uint32_t *ret_number)
{
    if (slab->bare_page != SLAB_NONE) {
        *ret_number = slab->bare_page;
        unlink_page(slab, &slab->bare_page, *ret_number);
        return 0;
    }
    void *table = slab->pages;
    if (slab->page_count == PAGES_MAX ||
        grow_table(slab, &table, slab->page_count, &slab->page_capacity, sizeof *slab->pages)) {
        return -ENOMEM;
    }
    slab->pages = table;
    *ret_number = slab->page_count++;
    return 0;
}

/* A page without blocks, in no list. */
static int take_page(struct slab *slab, uint32_t *ret_number)
{
    if (slab->kept_page != SLAB_NONE) {
        *ret_number = slab->kept_page;
        unlink_page(slab, &slab->kept_page, *ret_number);
        slab->kept_count--;
        return 0;
    }
    void *memory = base_alloc(SLAB_PAGE_SIZE);
    if (memory == NULL) {
        return -ENOMEM;
    }
    int rc = take_number(slab, ret_number);
    if (rc < 0) {
        base_free(memory);
        return rc;
    }
    slab->pages[*ret_number].memory = memory;
    slab->bytes += SLAB_PAGE_SIZE;
    return 0;
}

static void give_page_back(struct slab *slab, uint32_t number)
{
    if (slab->kept_count < KEPT_MIN + slab->page_count / 16) {
        slab->kept_count++;
        link_page(slab, &slab->kept_page, number);
        return;
    }
    base_free(slab->pages[number].memory);
    slab->pages[number].memory = NULL;
    slab->bytes -= SLAB_PAGE_SIZE;
    link_page(slab, &slab->bare_page, number);
}

/* ---- large blocks ---- */

static int alloc_large(struct slab *slab, size_t size, uint32_t *ret_block)
{
    uint32_t number = slab->large_free;
    if (number == SLAB_NONE) {
        void *table = slab->large;
        if (slab->large_count == LARGE_BIT - 1 ||
            grow_table(slab, &table, slab->large_count, &slab->large_capacity,
                       sizeof(struct slab_large)) < 0) {
            return -ENOMEM;
        }
        slab->large = table;
        number = slab->large_count;
    }
    void *memory = base_alloc(size);
    if (memory == NULL) {
        return -ENOMEM;
    }
    if (number == slab->large_count) {
        slab->large_count++;
    } else {
        slab->large_free = slab->large[number].next;
    }
    slab->large[number] = (struct slab_large){.memory = memory};
    slab->bytes += size;
    *ret_block = number | LARGE_BIT;
    return 0;
}

static void free_large(struct slab *slab, uint32_t number, size_t size)
{
    WEIR_ASSERT(number < slab->large_count && slab->large[number].memory != NULL);
    base_free(slab->large[number].memory);
    slab->large[number] = (struct slab_large){.next = slab->large_free};
    slab->large_free = number;
    slab->bytes -= size;
}

/* ---- blocks ---- */

void slab_init(struct slab *slab)
{
    *slab = (struct slab){.kept_page = SLAB_NONE, .bare_page = SLAB_NONE, .large_free = SLAB_NONE};
    for (uint32_t class = 0; class < SLAB_CLASSES; class ++) {
        slab->open[class] = SLAB_NONE;
    }
}

void slab_free_all(struct slab *slab)
{
    for (uint32_t number = 0; number < slab->page_count; number++) {
        base_free(slab->pages[number].memory);
    }
    for (uint32_t number = 0; number < slab->large_count; number++) {
        base_free(slab->large[number].memory);
    }
    base_free(slab->pages);
    base_free(slab->large);
    slab_init(slab);
}

static bool is_full(const struct slab_page *page)
{
    return page->free_unit == NO_UNIT && page->fresh_unit + units_of(page->class) > PAGE_UNITS;
}

int slab_alloc(struct slab *slab, size_t size, uint32_t *ret_block)
{
    WEIR_ASSERT(size > 0);
    if (size > SLAB_BLOCK_MAX) {
        return alloc_large(slab, size, ret_block);
    }
    uint32_t class = class_of(size);
    uint32_t number = slab->open[class];
    if (number == SLAB_NONE) {
        int rc = take_page(slab, &number);
        if (rc < 0) {
            return rc;
        }
        struct slab_page *page = &slab->pages[number];
        page->class = (uint16_t) class;
        page->used = 0;
        page->free_unit = NO_UNIT;
        page->fresh_unit = 0;
        link_page(slab, &slab->open[class], number);
    }
    struct slab_page *page = &slab->pages[number];
    uint16_t unit = page->free_unit;
    if (unit != NO_UNIT) {
        memcpy(&page->free_unit, page->memory + (size_t)unit * UNIT, sizeof page->free_unit);
    } else {
        unit = page->fresh_unit;
        page->fresh_unit = (uint16_t)(unit + units_of(class));
    }
    page->used++;
    if (is_full(page)) {
        unlink_page(slab, &slab->open[class], number);
    }
    *ret_block = number * PAGE_UNITS + unit;
    return 0;
}

void slab_free(struct slab *slab, uint32_t block, size_t size)
{
    if (size > SLAB_BLOCK_MAX) {
        WEIR_ASSERT((block & LARGE_BIT) != 0);
        free_large(slab, block & ~LARGE_BIT, size);
        return;
    }
    uint32_t number = block / PAGE_UNITS;
    uint16_t unit = (uint16_t)(block % PAGE_UNITS);
    uint32_t class = class_of(size);
    WEIR_ASSERT(number < slab->page_count);
    struct slab_page *page = &slab->pages[number];
    WEIR_ASSERT(page->class == class && page->used > 0 && unit < page->fresh_unit);
    if (is_full(page)) {
        link_page(slab, &slab->open[class], number);
    }
    memcpy(page->memory + (size_t)unit * UNIT, &page->free_unit, sizeof page->free_unit);
    page->free_unit = unit;
    page->used--;
    if (page->used == 0) {
        unlink_page(slab, &slab->open[class], number);
        give_page_back(slab, number);
    }
}

void *slab_at(const struct slab *slab, uint32_t block)
{
    if ((block & LARGE_BIT) != 0) {
        return slab->large[block & ~LARGE_BIT].memory;
    }
    return slab->pages[block / PAGE_UNITS].memory + (size_t)(block % PAGE_UNITS) * UNIT;
}
