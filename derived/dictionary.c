/*
 * Byte strings, each with a number.
 *
 * A table by open addressing holds 32 bits of the hash and the number; an entry for each number
 * says where its text lies in a slab and how long it is.
 *
 *   find:   slots from that of the hash on, until an empty one; texts are compared where hashes
 * agree add:    the text into the slab, then entry and slot: nothing is changed before all is
 * allocated remove: slots behind move forward into the hole, so no mark is left; the number is kept
 * in a list
 *
 * Failure: -ENOMEM with nothing changed. Memory that is not there for a table twice as large is no
 * failure as long as there is an empty slot in eight.
 *
 * Invariants: a chain of slots from a text's own to where it is has no empty one; a number's entry
 * is free or has exactly one slot. The order: dictionary_order.c.
 */
#include "derived/dictionary.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "derived/dictionary_entry.h"

#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOT_BITS_MIN 4u
#define ENTRIES_MIN 16u
#define HUGE_SIZE ((size_t)2 << 20)
#define NUMBERS_MAX (DICTIONARY_NONE - 1)

struct dictionary_slot {
    uint32_t hash;
    uint32_t number; /* DICTIONARY_NONE: empty */
};

uint64_t dictionary_hash(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

/* What a slot keeps of it. */
static uint32_t short_hash(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

static uint32_t hash_of(const void *data, size_t size)
{
    return short_hash(dictionary_hash(data, size));
}

static uint32_t slot_mask(const struct dictionary *dictionary)
{
    return (uint32_t)((UINT64_C(1) << dictionary->slot_bits) - 1);
}

/* ---- memory: what is large lies in pages, large ones where there are ---- */

static void *alloc_table(size_t size)
{
    return size >= HUGE_SIZE ? base_pages_alloc(size, BASE_PAGES_HUGE) : base_alloc(size);
}

static void free_table(void *table, size_t size)
{
    if (size >= HUGE_SIZE) {
        base_pages_free(table, size);
    } else {
        base_free(table);
    }
}

static size_t slots_size(uint32_t bits)
{
    return bits == 0 ? 0 : sizeof(struct dictionary_slot) << bits;
}

static size_t entries_size(uint32_t capacity)
{
    return capacity * sizeof(struct dictionary_entry);
}

/* ---- slots ---- */

static void put_slot(struct dictionary_slot *slots, uint32_t mask, struct dictionary_slot slot)
{
    uint32_t at = slot.hash & mask;
    while (slots[at].number != DICTIONARY_NONE) {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

static int grow_slots(struct dictionary *dictionary)
{
    uint32_t bits = dictionary->slot_bits == 0 ? SLOT_BITS_MIN : dictionary->slot_bits + 1;
    if (bits > 32) {
        return -ENOMEM;
    }
    struct dictionary_slot *slots = alloc_table(slots_size(bits));
    if (slots == NULL) {
        return -ENOMEM;
    }
    memset(slots, 0xff, slots_size(bits));
    if (dictionary->slot_bits > 0) {
        uint32_t mask = (uint32_t)((UINT64_C(1) << bits) - 1);
        for (uint64_t at = 0; at <= slot_mask(dictionary); at++) {
            if (dictionary->slots[at].number != DICTIONARY_NONE) {
                put_slot(slots, mask, dictionary->slots[at]);
            }
        }
    }
    free_table(dictionary->slots, slots_size(dictionary->slot_bits));
    dictionary->slots = slots;
    dictionary->slot_bits = bits;
    return 0;
}

/* Three quarters are used at most; seven eighths when there is no memory for more. */
static int make_room_in_slots(struct dictionary *dictionary)
{
    uint64_t slots = dictionary->slot_bits == 0 ? 0 : UINT64_C(1) << dictionary->slot_bits;
    if (dictionary->count < slots / 4 * 3) {
        return 0;
    }
    int rc = grow_slots(dictionary);
    return rc < 0 && dictionary->count < slots / 8 * 7 ? 0 : rc;
}

static uint32_t find_slot(const struct dictionary *dictionary, const void *data, size_t size,
                          uint32_t hash)
{
    uint32_t mask = slot_mask(dictionary);
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        const struct dictionary_slot *slot = &dictionary->slots[at];
        if (slot->number == DICTIONARY_NONE) {
            return DICTIONARY_NONE;
        }
        if (slot->hash != hash) {
            continue;
        }
        if (dictionary_is(dictionary, slot->number, data, size)) {
            return at;
        }
    }
}

/* Whoever stands behind the hole and would be found earlier in it moves there. */
static void clear_slot(struct dictionary *dictionary, uint32_t hole)
{
    struct dictionary_slot *slots = dictionary->slots;
    uint32_t mask = slot_mask(dictionary);
    for (uint32_t at = (hole + 1) & mask; slots[at].number != DICTIONARY_NONE;
         at = (at + 1) & mask) {
        uint32_t from_home = (at - slots[at].hash) & mask;
        if (from_home >= ((at - hole) & mask)) {
            slots[hole] = slots[at];
            hole = at;
        }
    }
    slots[hole].number = DICTIONARY_NONE;
}

/* ---- entries ---- */

static int grow_entries(struct dictionary *dictionary)
{
    if (dictionary->capacity == NUMBERS_MAX) {
        return -ENOMEM;
    }
    uint64_t wanted = dictionary->capacity + dictionary->capacity / 2;
    wanted = wanted < ENTRIES_MIN ? ENTRIES_MIN : wanted;
    uint32_t capacity = wanted > NUMBERS_MAX ? NUMBERS_MAX : (uint32_t)wanted;
    struct dictionary_entry *entries = alloc_table(entries_size(capacity));
    if (entries == NULL) {
        return -ENOMEM;
    }
    if (dictionary->end > 0) {
        memcpy(entries, dictionary->entries, entries_size(dictionary->end));
    }
    free_table(dictionary->entries, entries_size(dictionary->capacity));
    dictionary->entries = entries;
    dictionary->capacity = capacity;
    return 0;
}

static int make_room_in_entries(struct dictionary *dictionary)
{
    bool room =
        dictionary->free_number != DICTIONARY_NONE || dictionary->end < dictionary->capacity;
    return room ? 0 : grow_entries(dictionary);
}

static uint32_t take_number(struct dictionary *dictionary)
{
    uint32_t number = dictionary->free_number;
    if (number != DICTIONARY_NONE) {
        dictionary->free_number = dictionary->entries[number].text;
        return number;
    }
    return dictionary->end++;
}

/* ---- the dictionary ---- */

void dictionary_init(struct dictionary *dictionary)
{
    *dictionary = (struct dictionary){.free_number = DICTIONARY_NONE};
    slab_init(&dictionary->texts);
}

void dictionary_free(struct dictionary *dictionary)
{
    free_table(dictionary->slots, slots_size(dictionary->slot_bits));
    free_table(dictionary->entries, entries_size(dictionary->capacity));
    dictionary_order_free(dictionary);
    base_free(dictionary->row);
    slab_free_all(&dictionary->texts);
    dictionary_init(dictionary);
}

static uint32_t find_number(const struct dictionary *dictionary, const void *data, size_t size,
                            uint32_t hash)
{
    if (dictionary->count == 0) {
        return DICTIONARY_NONE;
    }
    uint32_t at = find_slot(dictionary, data, size, hash);
    return at == DICTIONARY_NONE ? DICTIONARY_NONE : dictionary->slots[at].number;
}

uint32_t dictionary_find(const struct dictionary *dictionary, const void *data, size_t size)
{
    return find_number(dictionary, data, size, hash_of(data, size));
}

uint32_t dictionary_find_hashed(const struct dictionary *dictionary, uint64_t hash,
                                const void *data, size_t size)
{
    return find_number(dictionary, data, size, short_hash(hash));
}

void dictionary_prefetch(const struct dictionary *dictionary, uint64_t hash)
{
    if (dictionary->count > 0) {
        __builtin_prefetch(&dictionary->slots[short_hash(hash) & slot_mask(dictionary)]);
    }
}

/* The first slot from that of the hash on that has it: nearly always the one. */
static uint32_t guess_number(const struct dictionary *dictionary, uint32_t hash)
{
    uint32_t mask = slot_mask(dictionary);
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        const struct dictionary_slot *slot = &dictionary->slots[at];
        if (slot->hash == hash || slot->number == DICTIONARY_NONE) {
            return slot->number;
        }
    }
}

uint32_t dictionary_guess(const struct dictionary *dictionary, uint64_t hash)
{
    if (dictionary->count == 0) {
        return DICTIONARY_NONE;
    }
    uint32_t number = guess_number(dictionary, short_hash(hash));
    if (number != DICTIONARY_NONE) {
        __builtin_prefetch(&dictionary->entries[number]);
    }
    return number;
}

void dictionary_prefetch_text(const struct dictionary *dictionary, uint32_t number)
{
    const struct dictionary_entry *entry = &dictionary->entries[number];
    if (entry->size > 0) {
        __builtin_prefetch(slab_at(&dictionary->texts, entry->text));
    }
}

bool dictionary_is(const struct dictionary *dictionary, uint32_t number, const void *data,
                   size_t size)
{
    const struct dictionary_entry *entry = &dictionary->entries[number];
    return entry->size == size &&
           (size == 0 || memcmp(slab_at(&dictionary->texts, entry->text), data, size) == 0);
}

static int add_new(struct dictionary *dictionary, const void *data, size_t size, uint32_t hash,
                   uint32_t *ret_number)
{
    if (size > DICTIONARY_TEXT_MAX) {
        return -E2BIG;
    }
    uint32_t text = 0;
    int rc = make_room_in_slots(dictionary);
    rc = rc < 0 ? rc : make_room_in_entries(dictionary);
    rc = rc < 0 || size == 0 ? rc : slab_alloc(&dictionary->texts, size, &text);
    if (rc < 0) {
        return rc;
    }
    if (size > 0) {
        memcpy(slab_at(&dictionary->texts, text), data, size);
    }
    uint32_t number = take_number(dictionary);
    dictionary->entries[number] =
        (struct dictionary_entry){.text = text, .size = (uint32_t)size & DICTIONARY_SIZE_MASK};
    put_slot(dictionary->slots, slot_mask(dictionary),
             (struct dictionary_slot){.hash = hash, .number = number});
    dictionary->count++;
    dictionary_order_added(dictionary, number);
    *ret_number = number;
    return 1;
}

static int find_or_add(struct dictionary *dictionary, const void *data, size_t size, uint32_t hash,
                       uint32_t *ret_number)
{
    uint32_t number = find_number(dictionary, data, size, hash);
    if (number != DICTIONARY_NONE) {
        *ret_number = number;
        return 0;
    }
    return add_new(dictionary, data, size, hash, ret_number);
}

int dictionary_add(struct dictionary *dictionary, const void *data, size_t size,
                   uint32_t *ret_number)
{
    return find_or_add(dictionary, data, size, hash_of(data, size), ret_number);
}

int dictionary_add_hashed(struct dictionary *dictionary, uint64_t hash, const void *data,
                          size_t size, uint32_t *ret_number)
{
    return find_or_add(dictionary, data, size, short_hash(hash), ret_number);
}

void dictionary_remove(struct dictionary *dictionary, uint32_t number)
{
    WEIR_ASSERT(dictionary_has(dictionary, number));
    struct dictionary_entry *entry = &dictionary->entries[number];
    struct weir_bytes text = dictionary_entry_text(dictionary, number);
    uint32_t at = find_slot(dictionary, text.data, text.size, hash_of(text.data, text.size));
    WEIR_ASSERT(at != DICTIONARY_NONE && dictionary->slots[at].number == number);
    dictionary_order_removing(dictionary, number);
    clear_slot(dictionary, at);
    if (entry->size > 0) {
        slab_free(&dictionary->texts, entry->text, entry->size);
    }
    *entry = (struct dictionary_entry){.text = dictionary->free_number, .is_free = 1};
    dictionary->free_number = number;
    dictionary->count--;
}

struct weir_bytes dictionary_text(const struct dictionary *dictionary, uint32_t number)
{
    WEIR_ASSERT(dictionary_has(dictionary, number));
    return dictionary_entry_text(dictionary, number);
}

bool dictionary_has(const struct dictionary *dictionary, uint32_t number)
{
    return number < dictionary->end && !dictionary->entries[number].is_free;
}

uint32_t dictionary_end(const struct dictionary *dictionary)
{
    return dictionary->end;
}

uint32_t dictionary_count(const struct dictionary *dictionary)
{
    return dictionary->count;
}

uint64_t dictionary_bytes(const struct dictionary *dictionary)
{
    return slots_size(dictionary->slot_bits) + entries_size(dictionary->capacity) +
           dictionary->order.capacity * sizeof *dictionary->order.numbers +
           dictionary->texts.bytes + dictionary->row_size;
}

/* ---- rows ---- */

/* Names up to this size are put together on the stack. */
#define ROW_STACK ((size_t)512)

static size_t name_row(uint8_t *name, weir_table table, struct weir_bytes key)
{
    for (unsigned index = 0; index < 4; index++) {
        name[index] = (uint8_t)(table >> (24 - 8 * index));
    }
    if (key.size > 0) {
        memcpy(name + 4, key.data, key.size);
    }
    return 4 + key.size;
}

static int make_room_for_row(struct dictionary *rows, size_t size)
{
    if (size <= rows->row_size) {
        return 0;
    }
    size_t wanted = size + size / 2;
    uint8_t *grown = base_alloc(wanted);
    if (grown == NULL) {
        return -ENOMEM;
    }
    base_free(rows->row);
    rows->row = grown;
    rows->row_size = wanted;
    return 0;
}

int rows_add(struct dictionary *rows, weir_table table, struct weir_bytes key, uint32_t *ret_number)
{
    uint8_t stack[ROW_STACK];
    if (key.size > ROW_NAME_MAX - 4) {
        return -E2BIG;
    }
    if (4 + key.size <= ROW_STACK) {
        return dictionary_add(rows, stack, name_row(stack, table, key), ret_number);
    }
    int rc = make_room_for_row(rows, 4 + key.size);
    return rc < 0 ? rc
                  : dictionary_add(rows, rows->row, name_row(rows->row, table, key), ret_number);
}

int rows_add_name(struct dictionary *rows, struct weir_bytes name, uint32_t *ret_number)
{
    if (name.size > ROW_NAME_MAX) {
        return -E2BIG;
    }
    int rc = name.size > ROW_STACK ? make_room_for_row(rows, name.size) : 0;
    return rc < 0 ? rc : dictionary_add(rows, name.data, name.size, ret_number);
}

uint32_t rows_find(const struct dictionary *rows, weir_table table, struct weir_bytes key)
{
    uint8_t stack[ROW_STACK];
    if (4 + key.size <= ROW_STACK) {
        return dictionary_find(rows, stack, name_row(stack, table, key));
    }
    if (4 + key.size > rows->row_size) {
        return DICTIONARY_NONE; /* none so long was ever added */
    }
    return dictionary_find(rows, rows->row, name_row(rows->row, table, key));
}

void rows_prefetch(const struct dictionary *rows, weir_table table, struct weir_bytes key)
{
    uint8_t stack[ROW_STACK];
    if (4 + key.size <= ROW_STACK) {
        dictionary_prefetch(rows, dictionary_hash(stack, name_row(stack, table, key)));
    }
}

struct weir_bytes rows_key(const struct dictionary *rows, uint32_t number, weir_table *ret_table)
{
    struct weir_bytes name = dictionary_text(rows, number);
    const uint8_t *bytes = name.data;
    WEIR_ASSERT(name.size >= 4);
    *ret_table = (weir_table)bytes[0] << 24 | (weir_table)bytes[1] << 16 |
                 (weir_table)bytes[2] << 8 | bytes[3];
    return (struct weir_bytes){bytes + 4, name.size - 4};
}
