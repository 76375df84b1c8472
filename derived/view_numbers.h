/*
 * The numbers of a group: a multiset in order, for min and max under deletes.
 *
 *     rc = view_numbers_add(&slab, &root, number);             // a root begins as SLAB_NONE
 *     view_numbers_remove(&slab, &root, number);
 *     for (found = view_numbers_first(&slab, root, &entry); found;
 *          found = view_numbers_above(&slab, root, entry.number, &entry))
 *         use(entry.number, entry.count);                      // ascending
 *
 * 32 bytes for each different number; O(log n) expected for each call.
 */
#ifndef DERIVED_VIEW_NUMBERS_H
#define DERIVED_VIEW_NUMBERS_H

#include "derived/decimal.h"
#include "derived/slab.h"

#include <stdbool.h>

struct view_number {
    decimal_units number;
    uint32_t count; /* how often it is there, > 0 */
};

/* 0; -ENOMEM (nothing changed). */
int view_numbers_add(struct slab *slab, uint32_t *root, decimal_units number);
/* One of them, which is there. Never fails. */
void view_numbers_remove(struct slab *slab, uint32_t *root, decimal_units number);
bool view_numbers_contain(const struct slab *slab, uint32_t root, decimal_units number);

/* False: there is none. */
bool view_numbers_first(const struct slab *slab, uint32_t root, struct view_number *ret_entry);
bool view_numbers_last(const struct slab *slab, uint32_t root, struct view_number *ret_entry);
/* The first that is greater. */
bool view_numbers_above(const struct slab *slab, uint32_t root, decimal_units number,
                        struct view_number *ret_entry);

/* From a state: `count` of a number that is not there yet. 0; -ENOMEM. */
int view_numbers_put(struct slab *slab, uint32_t *root, struct view_number entry);

#endif
