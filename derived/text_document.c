/*
 * The words of one row, each once, with how often it comes.
 *
 * Happy path: words_next() writes a word behind those that are there; when its hash and bytes are
 * in the table already, one is added to its frequency and the next word is written over it. The
 * table has at least twice as many slots as terms and belongs to a generation, so that emptying it
 * costs nothing. Memory is kept from row to row: in the long run nothing is allocated.
 *
 * Failure modes: memory that cannot be had (-ENOMEM), or a row with more words than can be counted
 * (-E2BIG); the document is to be begun anew then.
 *
 * Invariants: terms are in the order of their first coming; length is the sum of the frequencies.
 */
#include "derived/text.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define FIRST_BYTES 4096
#define FIRST_TERMS 256
#define FIRST_SLOT_BITS 9

void document_init(struct text_document *document)
{
    *document = (struct text_document){0};
}

void document_free(struct text_document *document)
{
    base_free(document->bytes);
    base_free(document->terms);
    base_free(document->slots);
    *document = (struct text_document){0};
}

int document_begin(struct text_document *document)
{
    document->used = 0;
    document->count = 0;
    document->length = 0;
    document->signature = 0;
    document->generation++;
    if (document->slots == NULL) {
        document->slots = base_alloc_array((size_t)1 << FIRST_SLOT_BITS, sizeof *document->slots);
        document->slot_bits = FIRST_SLOT_BITS;
        document->generation = 1;
        return document->slots != NULL ? 0 : -ENOMEM;
    }
    if (document->generation == 0) {
        memset(document->slots, 0, sizeof *document->slots << document->slot_bits);
        document->generation = 1;
    }
    return 0;
}

uint32_t document_sign(uint64_t hash, uint32_t frequency)
{
    uint64_t value = (hash ^ frequency) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(value >> 32);
}

static int grow_bytes(struct text_document *document)
{
    size_t room = document->room > 0 ? 2 * document->room : FIRST_BYTES;
    uint8_t *bytes = base_alloc(room);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    if (document->used > 0) {
        memcpy(bytes, document->bytes, document->used);
    }
    base_free(document->bytes);
    document->bytes = bytes;
    document->room = room;
    return 0;
}

static uint64_t slot_of(const struct text_document *document, uint32_t index)
{
    return (uint64_t)document->generation << 32 | index;
}

static size_t place_of(const struct text_document *document, uint64_t hash)
{
    return (size_t)(hash & (((uint64_t)1 << document->slot_bits) - 1));
}

/* Twice the slots: makes them first, so that a failure leaves all as it was. */
static int grow_slots(struct text_document *document)
{
    uint32_t bits = document->slot_bits + 1;
    uint64_t *slots = base_alloc_array((size_t)1 << bits, sizeof *slots);
    if (slots == NULL) {
        return -ENOMEM;
    }
    base_free(document->slots);
    document->slots = slots;
    document->slot_bits = bits;
    size_t mask = ((size_t)1 << bits) - 1;
    for (uint32_t index = 0; index < document->count; index++) {
        size_t place = place_of(document, document->terms[index].hash);
        while (slots[place] != 0) {
            place = (place + 1) & mask;
        }
        slots[place] = slot_of(document, index);
    }
    return 0;
}

static int grow_terms(struct text_document *document)
{
    uint32_t capacity = document->capacity > 0 ? 2 * document->capacity : FIRST_TERMS;
    struct text_term *terms = base_alloc_array(capacity, sizeof *terms);
    if (terms == NULL) {
        return -ENOMEM;
    }
    if (document->count > 0) {
        memcpy(terms, document->terms, document->count * sizeof *terms);
    }
    base_free(document->terms);
    document->terms = terms;
    document->capacity = capacity;
    return 0;
}

/* The place of a term, or the free one where it belongs. */
static size_t find_place(const struct text_document *document, uint64_t hash, const uint8_t *data,
                         uint32_t size)
{
    size_t mask = ((size_t)1 << document->slot_bits) - 1;
    size_t place = place_of(document, hash);
    while (document->slots[place] >> 32 == document->generation) {
        const struct text_term *term = &document->terms[(uint32_t)document->slots[place]];
        if (term->hash == hash && term->size == size &&
            memcmp(document->bytes + term->offset, data, size) == 0) {
            return place;
        }
        place = (place + 1) & mask;
    }
    return place;
}

uint32_t document_find(const struct text_document *document, uint64_t hash, const uint8_t *data,
                       uint32_t size)
{
    size_t place = find_place(document, hash, data, size);
    return document->slots[place] >> 32 == document->generation ? (uint32_t)document->slots[place]
                                                                : DICTIONARY_NONE;
}

/* Counts the word that lies behind the used bytes. */
static int count_word(struct text_document *document, uint32_t size)
{
    const uint8_t *data = document->bytes + document->used;
    uint64_t hash = dictionary_hash(data, size);
    size_t place = find_place(document, hash, data, size);
    if (document->slots[place] >> 32 == document->generation) {
        document->terms[(uint32_t)document->slots[place]].frequency++;
        document->length++;
        return 0;
    }
    if (document->count == document->capacity && grow_terms(document) < 0) {
        return -ENOMEM;
    }
    if (2 * (document->count + 1) > (uint32_t)1 << document->slot_bits) {
        if (grow_slots(document) < 0) {
            return -ENOMEM;
        }
        place = find_place(document, hash, data, size);
    }
    document->slots[place] = slot_of(document, document->count);
    document->terms[document->count++] = (struct text_term){
        .hash = hash, .offset = (uint32_t)document->used, .size = size, .frequency = 1};
    document->used += size;
    document->length++;
    return 0;
}

void document_finish(struct text_document *document)
{
    for (uint32_t index = 0; index < document->count; index++) {
        const struct text_term *term = &document->terms[index];
        document->signature += document_sign(term->hash, term->frequency);
    }
}

int document_add(struct text_document *document, struct words *words, struct weir_bytes text)
{
    if (text.size == 0) {
        return 0;
    }
    bool stem = words_has_stemmer(words);
    struct words_text rest = {.at = text.data, .end = (const uint8_t *)text.data + text.size};
    for (;;) {
        if (document->room - document->used < WORDS_ROOM && grow_bytes(document) < 0) {
            return -ENOMEM;
        }
        uint8_t *word = document->bytes + document->used;
        uint32_t size = words_next(words, &rest, word);
        if (size == 0) {
            return 0;
        }
        if (stem) {
            int stemmed = words_stem(words, word, size);
            if (stemmed < 0) {
                return stemmed;
            }
            size = (uint32_t)stemmed;
        }
        if (document->length == TEXT_ROW_WORDS_MAX || document->used > UINT32_MAX - WORDS_ROOM) {
            return -E2BIG;
        }
        int rc = count_word(document, size);
        if (rc < 0) {
            return rc;
        }
    }
}
