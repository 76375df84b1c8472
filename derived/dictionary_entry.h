/*
 * What a dictionary and its order know of a number.
 */
#ifndef DERIVED_DICTIONARY_ENTRY_H
#define DERIVED_DICTIONARY_ENTRY_H

#include "derived/dictionary.h"

#define DICTIONARY_SIZE_BITS 30
#define DICTIONARY_SIZE_MASK ((1u << DICTIONARY_SIZE_BITS) - 1)

struct dictionary_entry {
    uint32_t text; /* its block; of a free number: the next free one */
    uint32_t size : DICTIONARY_SIZE_BITS;
    uint32_t is_free : 1;
    uint32_t is_ordered : 1; /* it is in the order, at the place of this very text */
};

_Static_assert(sizeof(struct dictionary_entry) == 8, "eight bytes for each number");

static inline struct weir_bytes dictionary_entry_text(const struct dictionary *dictionary,
                                                      uint32_t number)
{
    const struct dictionary_entry *entry = &dictionary->entries[number];
    const void *text = entry->size > 0 ? slab_at(&dictionary->texts, entry->text) : "";
    return (struct weir_bytes){text, entry->size};
}

/* The order hears of a number that was added, and of one whose text is about to go. */
void dictionary_order_added(struct dictionary *dictionary, uint32_t number);
void dictionary_order_removing(struct dictionary *dictionary, uint32_t number);
void dictionary_order_free(struct dictionary *dictionary);

#endif
