/*
 * The secondary index: made, freed, asked for its numbers.
 *
 * Happy path: create, index_apply() for each event, weir_index_find(), free.
 * Failure: -EINVAL for options that make no index; -ENOMEM.
 */
#include "derived/index.h"

#include "base/alloc.h"
#include "derived/array.h"

#include <errno.h>

#define INDEX_VERSION 1u

static const struct weir_system_ops index_ops = {
    .size = sizeof index_ops,
    .kind = "index",
    .version = INDEX_VERSION,
    .apply = index_apply,
    .reset = index_reset,
    .save = index_save,
    .load = index_load,
    .fingerprint = index_fingerprint,
    .entries = index_entries,
};

const struct weir_system_ops *weir_index_ops(void)
{
    return &index_ops;
}

int weir_index_create(const struct weir_index_options *options, struct weir_index **ret_index)
{
    if (options == NULL || ret_index == NULL || options->size != sizeof *options ||
        options->extract == NULL || options->reserved != 0 ||
        options->fields > WEIR_INDEX_FIELDS_MAX) {
        return -EINVAL;
    }
    struct weir_index *index = base_alloc_zero(sizeof *index);
    if (index == NULL) {
        return -ENOMEM;
    }
    index->extract = options->extract;
    index->extract_context = options->extract_context;
    index->fields = options->fields == 0 ? 1 : options->fields;
    dictionary_init(&index->values);
    dictionary_init(&index->rows);
    slab_init(&index->slab);
    *ret_index = index;
    return 0;
}

void index_reset(void *self)
{
    struct weir_index *index = self;
    for (uint32_t value = 0; value < dictionary_end(&index->values); value++) {
        posting_free(&index->slab, &index->postings[value]);
    }
    array_free(index->postings, index->posting_capacity, sizeof *index->postings);
    array_free(index->entries_of_row, index->row_capacity, sizeof *index->entries_of_row);
    index->postings = NULL;
    index->posting_capacity = 0;
    index->entries_of_row = NULL;
    index->row_capacity = 0;
    dictionary_free(&index->values);
    dictionary_free(&index->rows);
    slab_free_all(&index->slab);
    index->entries = 0;
    index->skipped_documents = 0;
    index->skipped_values = 0;
}

void weir_index_free(struct weir_index *index)
{
    if (index == NULL) {
        return;
    }
    index_reset(index);
    index_image_free(&index->before);
    index_image_free(&index->after);
    base_free(index);
}

static uint64_t count_bytes(const struct weir_index *index)
{
    uint64_t bytes = sizeof *index + dictionary_bytes(&index->values) +
                     dictionary_bytes(&index->rows) + index->slab.bytes +
                     index->posting_capacity * sizeof *index->postings +
                     index->row_capacity * sizeof *index->entries_of_row +
                     index_image_room(&index->before) + index_image_room(&index->after);
    for (uint32_t value = 0; value < dictionary_end(&index->values); value++) {
        bytes += posting_bytes(&index->slab, &index->postings[value]);
    }
    return bytes;
}

int weir_index_stat(struct weir_index *index, struct weir_index_status *ret_status)
{
    if (index == NULL || ret_status == NULL || ret_status->size != sizeof *ret_status) {
        return -EINVAL;
    }
    ret_status->rows = dictionary_count(&index->rows);
    ret_status->values = dictionary_count(&index->values);
    ret_status->entries = index->entries;
    ret_status->skipped_documents = index->skipped_documents;
    ret_status->skipped_values = index->skipped_values;
    ret_status->bytes = count_bytes(index);
    return 0;
}
