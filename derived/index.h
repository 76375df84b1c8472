/*
 * The secondary index, inside.
 *
 *     values   dictionary: the tuple of a row's fields, encoded so that byte order is tuple order
 *     rows     dictionary: (table, key)
 *     postings of each value: the rows that have it
 *     entries_of_row: how many values have it; a row that none has is not in `rows`
 *
 * An entry is a value and a row. Each file is one verb.
 */
#ifndef DERIVED_INDEX_H
#define DERIVED_INDEX_H

#include "derived/dictionary.h"
#include "derived/posting.h"

#include <weir/index.h>

/* A piece of an image's bytes: a field's text, then a tuple. */
struct index_text {
    uint32_t at, size;
    uint32_t field; /* of a tuple: enum index_mark */
    uint32_t number;
};

enum index_mark {
    INDEX_ALONE = 0, /* the other image does not have it */
    INDEX_SHARED = 1,
    INDEX_ADDED = 2, /* the entry was made just now */
};

/* What a row has in one of its versions. */
struct index_image {
    uint8_t *bytes;
    struct index_text *texts;  /* as emitted, then sorted, each once */
    struct index_text *tuples; /* the combinations; of one field unused */
    uint32_t room, used;       /* bytes */
    uint32_t text_capacity, tuple_capacity;
    uint32_t text_count, settle_at;
    uint32_t tuple_count; /* sorted, each once: index_image_tuples() */
    uint32_t fields;
    uint32_t too_long; /* values; too many of them are one */
    bool no_document;
    bool too_many; /* combinations: found while it is read */
    int error;     /* of emitting */
};

struct weir_index {
    weir_extract_fn extract;
    void *extract_context;
    uint32_t fields;
    struct dictionary values;
    struct dictionary rows;
    struct slab slab;         /* what postings need */
    struct posting *postings; /* by value */
    uint32_t posting_capacity;
    uint32_t *entries_of_row; /* by row */
    uint32_t row_capacity;
    uint64_t entries;
    uint64_t skipped_documents, skipped_values;
    struct index_image before, after;
};

/* ---- index_tuple.c ---- */

/* Bytes that a field takes in a tuple, at most. */
#define INDEX_FIELD_ROOM(size) ((size_t)2 * (size) + 2)

/* Bytes of a tuple, at most. */
#define INDEX_TUPLE_MAX (INDEX_FIELD_ROOM(WEIR_INDEX_VALUE_MAX) * WEIR_INDEX_FIELDS_MAX)

/* Appends a field: as it is when it is the last one, else with 0 escaped and an end, so that no
 * field begins with another one. Returns behind it. */
uint8_t *index_tuple_put(uint8_t *to, struct weir_bytes text, bool is_last, bool with_end);

/* Takes a tuple apart: false when it is none of so many fields.
 *
 * @param room  as large as the tuple: what the fields of several lie in */
bool index_tuple_split(struct weir_bytes tuple, uint32_t fields, uint8_t *room,
                       struct weir_bytes *ret_fields);

/* ---- index_image.c ---- */

/* Asks the extractor, and makes the tuples: 0; what the extractor says;
 * -ENOMEM. The image is empty when it fails. */
int index_image_read(struct index_image *image, const struct weir_index *index,
                     struct weir_bytes key, struct weir_bytes value);
void index_image_clear(struct index_image *image);
void index_image_free(struct index_image *image);
uint64_t index_image_room(const struct index_image *image);
struct index_text *index_image_tuples(struct index_image *image);
struct weir_bytes index_image_text(const struct index_image *image, const struct index_text *text);

/* ---- index_apply.c, index.c, index_save.c, index_entries.c ---- */

int index_apply(void *self, const struct weir_event *event);
/* Room for one more value and one more row. */
int index_make_room(struct weir_index *index);
void index_reset(void *self);
int index_save(void *self, struct weir_state_writer *writer);
int index_load(void *self, struct weir_state_reader *reader);
void index_fingerprint(void *self, uint8_t ret_fingerprint[16]);
int index_entries(void *self, weir_system_entry_fn fn, void *context);

/* ---- index_find.c ---- */

typedef int (*index_walk_fn)(void *context, uint32_t value, uint32_t row);

/* Calls fn for each entry, or with `once` for each row, at the first entry in order. */
int index_walk(struct weir_index *index, const struct weir_index_query *query, bool once,
               index_walk_fn fn, void *context);

#endif
