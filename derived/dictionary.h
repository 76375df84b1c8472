/*
 * A dictionary: byte strings, each with a number.
 *
 *     rc = dictionary_add(&words, data, size, &number);    // 1 added, 0 was there
 *     text = dictionary_text(&words, number);
 *
 * Numbers are dense: the next one is that which was removed last, else dictionary_end(). A text
 * stays where it is until it is removed.
 *
 *     rc = dictionary_order(&words, &count);               // up to date
 *     for (at = dictionary_lower_bound(&words, data, size); at < count; at++)
 *         number = dictionary_ordered(&words, at);         // in order of the bytes
 *
 * Threads: one at a time.
 */
#ifndef DERIVED_DICTIONARY_H
#define DERIVED_DICTIONARY_H

#include "derived/slab.h"

#include <weir/engine.h>

#define DICTIONARY_NONE UINT32_MAX
#define DICTIONARY_TEXT_MAX ((size_t)1 << 30)

struct dictionary_slot;
struct dictionary_entry;

/* Changes that the order takes in one by one; more, and it looks at every number. */
#define DICTIONARY_FEW 64u

struct dictionary_order {
    uint32_t *numbers;
    uint32_t count, capacity;
    uint32_t stale; /* of the count: of texts that were removed */
    uint32_t hole_count, recent_count;
    uint32_t holes[DICTIONARY_FEW];  /* positions of the stale ones, while these are few */
    uint32_t recent[DICTIONARY_FEW]; /* numbers that were added, while these are few */
};

struct dictionary {
    struct dictionary_slot *slots;    /* open addressing: hash and number */
    struct dictionary_entry *entries; /* of each number */
    uint32_t slot_bits;
    uint32_t capacity; /* of entries */
    uint32_t end, count, free_number;
    struct slab texts;
    struct dictionary_order order;
    uint8_t *row; /* where the name of a long row is put together */
    size_t row_size;
};

/* Allocates nothing. */
void dictionary_init(struct dictionary *dictionary);
/* Frees all, and is as after dictionary_init(). */
void dictionary_free(struct dictionary *dictionary);

/* Finds a text, or adds it: 1 (added); 0 (was there); -ENOMEM (nothing changed); -E2BIG (longer
 * than DICTIONARY_TEXT_MAX). An empty text is one as well. */
int dictionary_add(struct dictionary *dictionary, const void *data, size_t size,
                   uint32_t *ret_number);
/* Its number, or DICTIONARY_NONE. */
uint32_t dictionary_find(const struct dictionary *dictionary, const void *data, size_t size);

/* The same for one who has the hash already. To look many up at once, one goes over all of them in
 * steps, so that what the next step needs is on its way: dictionary_prefetch(), dictionary_guess(),
 * dictionary_prefetch_text() where that gave a number, dictionary_find_hashed() where
 * dictionary_is() says that it was the wrong one. */
uint64_t dictionary_hash(const void *data, size_t size);
void dictionary_prefetch(const struct dictionary *dictionary, uint64_t hash);
/* The number that it is if it is there and no other one has 32 bits of its hash; or none. */
uint32_t dictionary_guess(const struct dictionary *dictionary, uint64_t hash);
void dictionary_prefetch_text(const struct dictionary *dictionary, uint32_t number);
/* Is this the text of a number that is there? */
bool dictionary_is(const struct dictionary *dictionary, uint32_t number, const void *data,
                   size_t size);
uint32_t dictionary_find_hashed(const struct dictionary *dictionary, uint64_t hash,
                                const void *data, size_t size);
int dictionary_add_hashed(struct dictionary *dictionary, uint64_t hash, const void *data,
                          size_t size, uint32_t *ret_number);

/* Removes a number that is there. Never fails. */
void dictionary_remove(struct dictionary *dictionary, uint32_t number);

/* A number that is there. Lent until it is removed. */
struct weir_bytes dictionary_text(const struct dictionary *dictionary, uint32_t number);
/* Is this number in use? Any number may be asked for. */
bool dictionary_has(const struct dictionary *dictionary, uint32_t number);

/* All numbers are below; how many are in use; bytes of memory. */
uint32_t dictionary_end(const struct dictionary *dictionary);
uint32_t dictionary_count(const struct dictionary *dictionary);
uint64_t dictionary_bytes(const struct dictionary *dictionary);

/* Makes the order, or brings it up to date: 0; -ENOMEM (it is made the next time). What is new is
 * sorted and merged in. Positions are valid until the next add or remove. */
int dictionary_order(struct dictionary *dictionary, uint32_t *ret_count);
/* The number at a position below the count that dictionary_order() gave. */
uint32_t dictionary_ordered(const struct dictionary *dictionary, uint32_t position);
/* The first position whose text is not less; the count when there is none. After an order. */
uint32_t dictionary_lower_bound(const struct dictionary *dictionary, const void *data, size_t size);
/* The first position behind all texts that begin with the prefix. After an order. */
uint32_t dictionary_prefix_end(const struct dictionary *dictionary, const void *data, size_t size);

/* Sorts numbers by their texts: 0; -ENOMEM (they are as they were). */
int dictionary_sort(const struct dictionary *dictionary, uint32_t *numbers, uint32_t count);

/* As memcmp, a shorter one before a longer one that begins with it. */
int dictionary_compare(struct weir_bytes left, struct weir_bytes right);

/*
 * Rows: a dictionary over (table as 4 bytes big-endian, key), so its order is table, then key.
 */
#define ROW_NAME_MAX (4 + 65535)

/* The same results as dictionary_add() and _find(). */
int rows_add(struct dictionary *rows, weir_table table, struct weir_bytes key,
             uint32_t *ret_number);
/* The same for a name that is put together already, as it was saved. Nothing else adds rows: a long
 * one is only found when there is room to put its name together. */
int rows_add_name(struct dictionary *rows, struct weir_bytes name, uint32_t *ret_number);
uint32_t rows_find(const struct dictionary *rows, weir_table table, struct weir_bytes key);
/* A row will be looked up soon: where its search begins is on its way. */
void rows_prefetch(const struct dictionary *rows, weir_table table, struct weir_bytes key);
/* Lent as dictionary_text(). */
struct weir_bytes rows_key(const struct dictionary *rows, uint32_t number, weir_table *ret_table);

#endif
