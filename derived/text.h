/*
 * Full text inside: what a word has, what a row has, and the words of one row.
 *
 * For each word: the posting of its rows, and for those that have it more often than once a sum of
 * powers of two: slice i is the posting of the rows whose (frequency - 1) has bit i. Most words
 * have no slices, and most rows that are in one are in slice 0 alone.
 *
 * For each row: its length in words, the LSN that wrote it, and a signature: a sum over its words,
 * to see whether a before-image is what the row's words came from.
 */
#ifndef DERIVED_TEXT_H
#define DERIVED_TEXT_H

#include "derived/dictionary.h"
#include "derived/posting.h"
#include "derived/words.h"

#include <weir/text.h>

#define TEXT_KIND "text"
#define TEXT_VERSION 1
#define TEXT_SLICES_MAX 32
/* Of one row: so that frequencies and lengths have room in 32 bits, whatever a row is. */
#define TEXT_ROW_WORDS_MAX (UINT32_C(1) << 30)

/* "table 4294967295: word -> key", and the same for its hash. */
#define TEXT_ENTRY_MAX ((size_t)32 + WEIR_TEXT_WORD_MAX + ROW_NAME_MAX)

/* ---- the words of one row ---- */

struct text_term {
    uint64_t hash;
    uint32_t offset; /* in document.bytes */
    uint32_t size;
    uint32_t frequency;
    uint32_t seen; /* by one who compares two documents */
};

/* All of one row's words, each once, with its frequency. Keeps its memory from row to row. */
struct text_document {
    uint8_t *bytes;
    struct text_term *terms;
    uint64_t *slots; /* open addressing: generation, and index of a term */
    size_t used, room;
    uint32_t count, capacity;
    uint32_t slot_bits;
    uint32_t generation;
    uint32_t length;    /* in words, each time it comes */
    uint32_t signature; /* a sum over the terms */
};

void document_init(struct text_document *document);
void document_free(struct text_document *document);
/* Empties it. 0; -ENOMEM (the first time). */
int document_begin(struct text_document *document);
/* Adds the words of a text, stemmed when words says so: 0; -ENOMEM; -E2BIG. */
int document_add(struct text_document *document, struct words *words, struct weir_bytes text);
/* All is added: makes the signature. */
void document_finish(struct text_document *document);
/* The index of a term with these bytes, or DICTIONARY_NONE. */
uint32_t document_find(const struct text_document *document, uint64_t hash, const uint8_t *data,
                       uint32_t size);
/* What a row with this word so often adds to its signature. */
uint32_t document_sign(uint64_t hash, uint32_t frequency);

/* ---- the state ---- */

struct text_word {
    struct posting rows;
    uint32_t slices; /* a block of the slab: slice_count postings */
    uint32_t slice_count;
};

struct text_row {
    weir_lsn lsn;
    uint32_t length;
    uint32_t signature;
};

/* How often one word is in one row, before and after an event. */
struct text_change {
    uint64_t hash;
    const uint8_t *data; /* the word */
    uint32_t size;
    uint32_t word; /* its number; DICTIONARY_NONE until it has one */
    uint32_t before, after;
};

struct weir_text {
    struct words *words;
    weir_extract_fn extract;
    void *extract_context;
    char stemmer[32];

    struct dictionary names; /* of words */
    struct dictionary rows;
    struct slab slab;          /* of postings and slices */
    struct text_word *word_at; /* by number */
    struct text_row *row_at;   /* by ordinal */
    uint32_t word_room, row_room;
    uint64_t tokens, postings;
    uint64_t skipped_documents;

    /* For one event. */
    struct text_document before, after;
    struct text_change *changes;
    uint32_t change_count, change_room;

    uint8_t *scratch; /* TEXT_ENTRY_MAX: one entry, for its hash or its name */
};

/* Room for a number: 0; -ENOMEM. What is new is zero. */
int text_reserve_word(struct weir_text *text, uint32_t number);
int text_reserve_row(struct weir_text *text, uint32_t ordinal);

/* A frequency as bits: 0 is "in the row", i + 1 is "in slice i". */
uint64_t text_bits(uint32_t frequency);
/* Puts a row into these postings of a word, it is in none of them: 0; -ENOMEM, and nothing has
 * changed. */
int text_set_bits(struct weir_text *text, uint32_t word, uint32_t ordinal, uint64_t bits);
/* Takes it out of them. Never fails. */
void text_clear_bits(struct weir_text *text, uint32_t word, uint32_t ordinal, uint64_t bits);
/* Frees what a word has; its name stays. */
void text_free_word(struct weir_text *text, uint32_t word);
/* A word without rows disappears. */
void text_drop_if_empty(struct weir_text *text, uint32_t word);
/* How often a word is in a row; 0. */
uint32_t text_frequency(const struct weir_text *text, uint32_t word, uint32_t ordinal);
struct posting *text_slices(const struct weir_text *text, const struct text_word *word);

int text_apply(void *self, const struct weir_event *event);
void text_reset(void *self);
int text_save(void *self, struct weir_state_writer *writer);
int text_load(void *self, struct weir_state_reader *reader);
void text_fingerprint(void *self, uint8_t ret_fingerprint[16]);
int text_entries(void *self, weir_system_entry_fn fn, void *context);

/* ---- queries ---- */

/* One term of a query: a word, or all words that begin with it. */
struct text_query_term {
    uint32_t offset, size; /* in text_search.bytes */
    bool prefix;
    uint32_t first, end; /* positions of its words: see search_word() */
    uint64_t rows;       /* of all its words together: at least as many as different ones */
};

struct text_search {
    struct weir_text *text;
    uint32_t *rows; /* what was found: ordinals, ascending */
    uint32_t row_count;
    uint32_t term_count;
    struct text_query_term terms[WEIR_TEXT_TERMS_MAX];
    uint32_t used;
    uint8_t bytes[WEIR_TEXT_TERMS_MAX * WEIR_TEXT_WORD_MAX + WORDS_ROOM];
};

/* NULL: no memory. */
struct text_search *search_create(struct weir_text *text);
void search_free(struct text_search *search);
/* From text to terms, each once: 0; -E2BIG; -ENOMEM. */
int search_parse(struct text_search *search, struct weir_bytes terms);
/* Finds the rows: 0; -ENOMEM. */
int search_rows(struct text_search *search, bool any);
/* The number of the word at a position of a term, from first to below end. */
uint32_t search_word(const struct text_search *search, const struct text_query_term *term,
                     uint32_t position);
/* How many different rows have a word of the term: 0; -ENOMEM. */
int search_count(const struct text_search *search, const struct text_query_term *term,
                 uint64_t *ret_rows);

/* BM25 of each of search->rows, in the same order; the caller frees them: 0; -ENOMEM. */
int rank_rows(const struct text_search *search, double **ret_scores);
/* Calls fn in the order of scores (NULL: there are none), then table and key. limit 0 = all. */
int rank_emit(const struct text_search *search, const double *scores, uint64_t limit,
              weir_text_fn fn, void *context);

#endif
