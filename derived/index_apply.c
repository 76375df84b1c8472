/*
 * One event goes into the index.
 *
 *   read:    the tuples of the before-image and of the after-image, by the extractor
 *   compare: a tuple that both have is not touched
 *   add:     the row, the values and the entries that are new; undone when one of them fails
 *   remove:  the entries that are no more, values without rows, the row without values
 *
 * Failure: what the extractor returns, -ENOMEM. All that can fail comes before anything is
 * removed, so a failed event leaves the state as it was.
 *
 * Invariants: a value is in the dictionary when its posting has a row; a row when a posting has it.
 * An entry of a before-image that is not there is passed over: an index may have begun behind the
 * row's first version, or an event may have been skipped.
 */
#include "derived/index.h"

#include "base/assert.h"
#include "derived/array.h"

#include <errno.h>

int index_make_room(struct weir_index *index)
{
    void *postings = index->postings;
    int rc = array_room(&postings, &index->posting_capacity,
                        (uint64_t)dictionary_end(&index->values) + 1, sizeof *index->postings);
    index->postings = postings;
    if (rc < 0) {
        return rc;
    }
    void *counts = index->entries_of_row;
    rc = array_room(&counts, &index->row_capacity, (uint64_t)dictionary_end(&index->rows) + 1,
                    sizeof *index->entries_of_row);
    index->entries_of_row = counts;
    return rc;
}

/* ---- what differs ---- */

/* Both are sorted. Returns how many of the after-image are alone. */
static uint32_t mark_shared(struct index_image *before, struct index_image *after)
{
    struct index_text *left = index_image_tuples(before);
    struct index_text *right = index_image_tuples(after);
    struct index_text *left_end = left + before->tuple_count;
    struct index_text *right_end = right + after->tuple_count;
    uint32_t alone = after->tuple_count;
    while (left < left_end && right < right_end) {
        int order =
            dictionary_compare(index_image_text(before, left), index_image_text(after, right));
        if (order == 0) {
            left->field = INDEX_SHARED;
            right->field = INDEX_SHARED;
            alone--;
        }
        left += order <= 0;
        right += order >= 0;
    }
    return alone;
}

/* ---- one entry ---- */

static void drop_entry(struct weir_index *index, uint32_t value, uint32_t row)
{
    struct posting *posting = &index->postings[value];
    if (posting_remove(&index->slab, posting, row)) {
        WEIR_ASSERT(index->entries > 0 && index->entries_of_row[row] > 0);
        index->entries--;
        index->entries_of_row[row]--;
    }
    if (posting_is_empty(posting)) {
        dictionary_remove(&index->values, value);
    }
}

static void drop_row_without_entries(struct weir_index *index, uint32_t row)
{
    if (index->entries_of_row[row] == 0) {
        dictionary_remove(&index->rows, row);
    }
}

static int add_entry(struct weir_index *index, struct weir_bytes tuple, uint32_t row,
                     struct index_text *text)
{
    int rc = index_make_room(index);
    rc = rc < 0 ? rc : dictionary_add(&index->values, tuple.data, tuple.size, &text->number);
    if (rc < 0) {
        return rc;
    }
    struct posting *posting = &index->postings[text->number];
    rc = posting_add(&index->slab, posting, row);
    if (rc < 0) {
        if (posting_is_empty(posting)) {
            dictionary_remove(&index->values, text->number);
        }
        return rc;
    }
    if (rc == 1) {
        text->field = INDEX_ADDED;
        index->entries++;
        index->entries_of_row[row]++;
    }
    return 0;
}

/* ---- all of an event ---- */

static void undo(struct weir_index *index, uint32_t row)
{
    struct index_text *tuples = index_image_tuples(&index->after);
    for (uint32_t at = index->after.tuple_count; at-- > 0;) {
        if (tuples[at].field == INDEX_ADDED) {
            drop_entry(index, tuples[at].number, row);
        }
    }
    drop_row_without_entries(index, row);
}

static int add_new(struct weir_index *index, const struct weir_event *event)
{
    uint32_t row;
    int rc = index_make_room(index);
    rc = rc < 0 ? rc : rows_add(&index->rows, event->table, event->key, &row);
    if (rc < 0) {
        return rc;
    }
    struct index_text *tuples = index_image_tuples(&index->after);
    for (uint32_t at = 0; at < index->after.tuple_count; at++) {
        if (tuples[at].field == INDEX_ALONE) {
            rc = add_entry(index, index_image_text(&index->after, &tuples[at]), row, &tuples[at]);
            if (rc < 0) {
                undo(index, row);
                return rc;
            }
        }
    }
    return 0;
}

static void remove_old(struct weir_index *index, const struct weir_event *event)
{
    uint32_t row = rows_find(&index->rows, event->table, event->key);
    if (row == DICTIONARY_NONE) {
        return;
    }
    const struct index_text *tuples = index_image_tuples(&index->before);
    for (uint32_t at = 0; at < index->before.tuple_count; at++) {
        if (tuples[at].field == INDEX_ALONE) {
            struct weir_bytes tuple = index_image_text(&index->before, &tuples[at]);
            uint32_t value = dictionary_find(&index->values, tuple.data, tuple.size);
            if (value != DICTIONARY_NONE) {
                drop_entry(index, value, row);
            }
        }
    }
    drop_row_without_entries(index, row);
}

/* Rows that were counted before this index began are not taken off again. */
static uint64_t recount(uint64_t count, uint64_t before, uint64_t after)
{
    return (count > before ? count - before : 0) + after;
}

static int read_images(struct weir_index *index, const struct weir_event *event)
{
    index_image_clear(&index->before);
    index_image_clear(&index->after);
    index->before.fields = index->fields;
    index->after.fields = index->fields;
    int rc = 0;
    if (event->operation != WEIR_INSERT) {
        rc = index_image_read(&index->before, index, event->key, event->before);
    }
    if (rc == 0 && event->operation != WEIR_REMOVE) {
        rc = index_image_read(&index->after, index, event->key, event->after);
    }
    return rc;
}

/* Where the searches for the first values begin is on its way while the row is looked for. */
static void prefetch_value(const struct weir_index *index, struct index_image *image)
{
    const struct index_text *first = index_image_tuples(image);
    if (image->tuple_count > 0 && first->field == INDEX_ALONE) {
        struct weir_bytes tuple = index_image_text(image, first);
        dictionary_prefetch(&index->values, dictionary_hash(tuple.data, tuple.size));
    }
}

int index_apply(void *self, const struct weir_event *event)
{
    struct weir_index *index = self;
    rows_prefetch(&index->rows, event->table, event->key);
    int rc = read_images(index, event);
    if (rc != 0) {
        return rc;
    }
    uint32_t alone = mark_shared(&index->before, &index->after);
    prefetch_value(index, &index->before);
    prefetch_value(index, &index->after);
    if (alone > 0) {
        rc = add_new(index, event);
        if (rc < 0) {
            return rc;
        }
    }
    if (index->before.tuple_count > index->after.tuple_count - alone) {
        remove_old(index, event);
    }
    index->skipped_documents =
        recount(index->skipped_documents, index->before.no_document, index->after.no_document);
    index->skipped_values =
        recount(index->skipped_values, index->before.too_long, index->after.too_long);
    return 0;
}
