/*
 * The index to a state file and back.
 *
 *     fields, rows, values, skipped documents, skipped values      numbers
 *     each row      table and key, as bytes                        numbered from 0 in this order
 *     each value    the tuple as bytes, its rows ascending, as differences
 *
 * Rows get new numbers without gaps, in the order of the old ones, so that postings stay sorted.
 *
 * Failure: -ENOMEM, what the writer or the reader says. A state whose checksums are right may lie
 * all the same: WEIR_E_STATE for another number of fields, a count that cannot be true, a row or a
 * value that comes twice, one that is none, a row out of range, a value without rows, a row
 * without values, bytes left over.
 */
#include "derived/index.h"

#include "base/alloc.h"
#include "derived/array.h"

#include <errno.h>

/* ---- save ---- */

/* New numbers for the rows, and the rows themselves. */
static void save_rows(const struct weir_index *index, uint32_t *numbers, struct encoder *encoder)
{
    uint32_t next = 0;
    for (uint32_t row = 0; row < dictionary_end(&index->rows); row++) {
        if (dictionary_has(&index->rows, row)) {
            numbers[row] = next++;
            encode_bytes(encoder, dictionary_text(&index->rows, row));
        }
    }
}

static void save_values(const struct weir_index *index, const uint32_t *numbers,
                        struct encoder *encoder)
{
    for (uint32_t value = 0; value < dictionary_end(&index->values); value++) {
        if (dictionary_has(&index->values, value)) {
            encode_bytes(encoder, dictionary_text(&index->values, value));
            posting_encode_as(&index->slab, &index->postings[value], numbers, encoder);
        }
    }
}

int index_save(void *self, struct weir_state_writer *writer)
{
    const struct weir_index *index = self;
    uint32_t end = dictionary_end(&index->rows);
    uint32_t *numbers = base_alloc(end * sizeof *numbers);
    struct encoder *encoder = base_alloc(sizeof *encoder);
    int rc = -ENOMEM;
    if (numbers != NULL && encoder != NULL) {
        encoder_init(encoder, writer);
        encode_number(encoder, index->fields);
        encode_number(encoder, dictionary_count(&index->rows));
        encode_number(encoder, dictionary_count(&index->values));
        encode_number(encoder, index->skipped_documents);
        encode_number(encoder, index->skipped_values);
        save_rows(index, numbers, encoder);
        save_values(index, numbers, encoder);
        rc = encoder_finish(encoder);
    }
    base_free(encoder);
    base_free(numbers);
    return rc;
}

/* ---- load ---- */

struct heads {
    uint64_t rows, values;
};

static int load_heads(struct weir_index *index, struct decoder *decoder, struct heads *ret_heads)
{
    uint64_t fields;
    int rc = decode_number(decoder, WEIR_INDEX_FIELDS_MAX, &fields);
    rc = rc < 0 ? rc : decode_number(decoder, DICTIONARY_NONE, &ret_heads->rows);
    rc = rc < 0 ? rc : decode_number(decoder, DICTIONARY_NONE, &ret_heads->values);
    rc = rc < 0 ? rc : decode_number(decoder, UINT64_MAX, &index->skipped_documents);
    rc = rc < 0 ? rc : decode_number(decoder, UINT64_MAX, &index->skipped_values);
    if (rc < 0) {
        return rc;
    }
    bool can_be = fields == index->fields && ret_heads->rows <= decoder_left(decoder) &&
                  ret_heads->values <= decoder_left(decoder);
    return can_be ? 0 : WEIR_E_STATE;
}

static int load_row(struct weir_index *index, struct decoder *decoder)
{
    struct weir_bytes name;
    uint32_t row;
    int rc = decode_bytes(decoder, ROW_NAME_MAX, &name);
    if (rc < 0) {
        return rc;
    }
    if (name.size < 4) {
        return WEIR_E_STATE;
    }
    rc = index_make_room(index);
    rc = rc < 0 ? rc : rows_add_name(&index->rows, name, &row);
    return rc == 0 ? WEIR_E_STATE : rc;
}

/* The limits of fields are those of the texts that it was made from. */
static bool is_tuple(const struct weir_index *index, struct weir_bytes tuple, uint8_t *room)
{
    struct weir_bytes fields[WEIR_INDEX_FIELDS_MAX];
    if (!index_tuple_split(tuple, index->fields, room, fields)) {
        return false;
    }
    for (uint32_t field = 0; field < index->fields; field++) {
        if (fields[field].size > WEIR_INDEX_VALUE_MAX) {
            return false;
        }
    }
    return true;
}

static int load_value(struct weir_index *index, struct decoder *decoder, uint8_t *room)
{
    struct weir_bytes tuple;
    uint32_t value;
    int rc = decode_bytes(decoder, INDEX_TUPLE_MAX, &tuple);
    if (rc < 0) {
        return rc;
    }
    if (!is_tuple(index, tuple, room)) {
        return WEIR_E_STATE;
    }
    rc = index_make_room(index);
    rc = rc < 0 ? rc : dictionary_add(&index->values, tuple.data, tuple.size, &value);
    if (rc <= 0) {
        return rc == 0 ? WEIR_E_STATE : rc;
    }
    struct posting *posting = &index->postings[value];
    rc = posting_decode(&index->slab, posting, dictionary_end(&index->rows), decoder);
    if (rc < 0 || posting_is_empty(posting)) {
        return rc < 0 ? rc : WEIR_E_STATE;
    }
    index->entries += posting_count(&index->slab, posting);
    struct posting_walk walk;
    for (bool more = posting_first(&index->slab, posting, &walk); more;
         more = posting_next(&walk)) {
        index->entries_of_row[walk.ordinal]++;
    }
    return 0;
}

static int load_all(struct weir_index *index, struct decoder *decoder, uint8_t *room)
{
    struct heads heads;
    int rc = load_heads(index, decoder, &heads);
    for (uint64_t row = 0; rc >= 0 && row < heads.rows; row++) {
        rc = load_row(index, decoder);
    }
    for (uint64_t value = 0; rc >= 0 && value < heads.values; value++) {
        rc = load_value(index, decoder, room);
    }
    for (uint32_t row = 0; rc >= 0 && row < dictionary_end(&index->rows); row++) {
        rc = index->entries_of_row[row] == 0 ? WEIR_E_STATE : 0;
    }
    return rc < 0 ? rc : 0;
}

int index_load(void *self, struct weir_state_reader *reader)
{
    struct weir_index *index = self;
    struct decoder *decoder = base_alloc(sizeof *decoder);
    uint8_t *room = base_alloc(INDEX_TUPLE_MAX);
    int rc = -ENOMEM;
    if (decoder != NULL && room != NULL) {
        decoder_init(decoder, reader);
        rc = load_all(index, decoder, room);
        int finished = decoder_finish(decoder);
        rc = rc < 0 ? rc : finished;
    }
    base_free(room);
    base_free(decoder);
    if (rc < 0) {
        index_reset(index);
    }
    return rc;
}
