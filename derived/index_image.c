/*
 * What a row has in one version: from the extractor to sorted tuples.
 *
 *   emit:    copies a field's text, one behind the other
 *   settle:  sorts the texts by field and bytes, leaves each once
 *   combine: each text of the first field with each of the second and so on: sorted already
 *
 * One field with one value needs none of this: the text is the tuple.
 *
 * More than WEIR_INDEX_VALUES_MAX combinations are none, and count as a value that is too long.
 *
 * Failure: what the extractor returns; -ENOMEM. The image is empty then.
 */
#include "derived/index.h"

#include "derived/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* So many texts are emitted before equal ones are looked for. */
#define SETTLE_MIN (4u * WEIR_INDEX_VALUES_MAX)
#define KEPT_ROOM ((uint32_t)1 << 20) /* a larger image gives its room back */

struct weir_bytes index_image_text(const struct index_image *image, const struct index_text *text)
{
    return (struct weir_bytes){image->bytes + text->at, text->size};
}

struct index_text *index_image_tuples(struct index_image *image)
{
    return image->fields == 1 ? image->texts : image->tuples;
}

void index_image_free(struct index_image *image)
{
    array_free(image->bytes, image->room, 1);
    array_free(image->texts, image->text_capacity, sizeof *image->texts);
    array_free(image->tuples, image->tuple_capacity, sizeof *image->tuples);
    *image = (struct index_image){0};
}

void index_image_clear(struct index_image *image)
{
    if (image->room > KEPT_ROOM) {
        index_image_free(image);
    }
    image->used = 0;
    image->text_count = 0;
    image->tuple_count = 0;
    image->too_long = 0;
    image->no_document = false;
    image->too_many = false;
    image->error = 0;
    image->settle_at = SETTLE_MIN;
}

uint64_t index_image_room(const struct index_image *image)
{
    return image->room + image->text_capacity * sizeof *image->texts +
           image->tuple_capacity * sizeof *image->tuples;
}

/* ---- texts ---- */

static int make_room_for_bytes(struct index_image *image, size_t size)
{
    void *bytes = image->bytes;
    if (size > UINT32_MAX - image->used) {
        return -E2BIG;
    }
    int rc = array_room(&bytes, &image->room, (uint64_t)image->used + size, 1);
    image->bytes = bytes;
    return rc;
}

static int make_room_for_text(struct index_text **texts, uint32_t *capacity, uint32_t wanted)
{
    void *array = *texts;
    int rc = array_room(&array, capacity, wanted, sizeof **texts);
    *texts = array;
    return rc;
}

static int compare_texts(const struct index_image *image, const struct index_text *left,
                         const struct index_text *right)
{
    if (left->field != right->field) {
        return left->field < right->field ? -1 : 1;
    }
    return dictionary_compare(index_image_text(image, left), index_image_text(image, right));
}

static int by_field_and_bytes(const void *left, const void *right, void *image)
{
    return compare_texts(image, left, right);
}

/* Sorts, and leaves each once. */
static void settle(struct index_image *image)
{
    if (image->text_count < 2) {
        return;
    }
    qsort_r(image->texts, image->text_count, sizeof *image->texts, by_field_and_bytes, image);
    uint32_t kept = 1;
    for (uint32_t at = 1; at < image->text_count; at++) {
        if (compare_texts(image, &image->texts[kept - 1], &image->texts[at]) != 0) {
            image->texts[kept++] = image->texts[at];
        }
    }
    image->text_count = kept;
}

static int keep_text(struct index_image *image, uint32_t field, struct weir_bytes text)
{
    if (image->text_count >= image->settle_at) {
        settle(image);
        if (image->fields == 1 && image->text_count > WEIR_INDEX_VALUES_MAX) {
            image->too_many = true;
            return -E2BIG;
        }
        image->settle_at = SETTLE_MIN + 2 * image->text_count;
    }
    int rc = make_room_for_bytes(image, text.size);
    rc = rc < 0 ? rc
                : make_room_for_text(&image->texts, &image->text_capacity, image->text_count + 1);
    if (rc < 0) {
        return rc;
    }
    if (text.size > 0) {
        memcpy(image->bytes + image->used, text.data, text.size);
    }
    image->texts[image->text_count++] =
        (struct index_text){.at = image->used, .size = (uint32_t)text.size, .field = field};
    image->used += (uint32_t)text.size;
    return 0;
}

static int emit(void *emit_context, uint32_t field, struct weir_bytes text)
{
    struct index_image *image = emit_context;
    if (field >= image->fields || image->error < 0) {
        return image->error;
    }
    if (text.size > WEIR_INDEX_VALUE_MAX) {
        image->too_long++;
        return 0;
    }
    return image->error = keep_text(image, field, text);
}

/* ---- tuples ---- */

/* Texts of each field: [first[f], first[f + 1]). Returns how many combinations there are, and no
 * more than one too many. */
static uint32_t count_combinations(const struct index_image *image,
                                   uint32_t first[WEIR_INDEX_FIELDS_MAX + 1])
{
    uint32_t at = 0;
    uint32_t count = 1;
    for (uint32_t field = 0; field < image->fields; field++) {
        first[field] = at;
        while (at < image->text_count && image->texts[at].field == field) {
            at++;
        }
        uint32_t texts = at - first[field];
        if (texts == 0) {
            return 0;
        }
        count = texts > WEIR_INDEX_VALUES_MAX || count > WEIR_INDEX_VALUES_MAX
                    ? WEIR_INDEX_VALUES_MAX + 1
                    : count * texts;
    }
    first[image->fields] = at;
    return count > WEIR_INDEX_VALUES_MAX ? WEIR_INDEX_VALUES_MAX + 1 : count;
}

/* The tuple of one choice of texts. */
static int put_tuple(struct index_image *image, const uint32_t *choice)
{
    size_t size = 0;
    for (uint32_t field = 0; field < image->fields; field++) {
        size += INDEX_FIELD_ROOM(image->texts[choice[field]].size);
    }
    int rc = make_room_for_bytes(image, size);
    if (rc < 0) {
        return rc;
    }
    uint8_t *start = image->bytes + image->used;
    uint8_t *to = start;
    for (uint32_t field = 0; field < image->fields; field++) {
        to = index_tuple_put(to, index_image_text(image, &image->texts[choice[field]]),
                             field + 1 == image->fields, true);
    }
    image->tuples[image->tuple_count++] =
        (struct index_text){.at = image->used, .size = (uint32_t)(to - start)};
    image->used += (uint32_t)(to - start);
    return 0;
}

/* The next choice in order: the last field counts fastest. */
static void next_choice(const struct index_image *image, const uint32_t *first, uint32_t *choice)
{
    for (uint32_t field = image->fields; field-- > 0;) {
        if (++choice[field] < first[field + 1]) {
            return;
        }
        choice[field] = first[field];
    }
}

static int combine(struct index_image *image)
{
    uint32_t first[WEIR_INDEX_FIELDS_MAX + 1];
    uint32_t choice[WEIR_INDEX_FIELDS_MAX];
    uint32_t count = count_combinations(image, first);
    if (count > WEIR_INDEX_VALUES_MAX) {
        image->too_many = true;
        return -E2BIG;
    }
    if (image->fields == 1) {
        for (uint32_t at = 0; at < count; at++) {
            image->texts[at].field = INDEX_ALONE;
        }
        image->tuple_count = count;
        return 0;
    }
    int rc = make_room_for_text(&image->tuples, &image->tuple_capacity, count);
    memcpy(choice, first, sizeof choice);
    while (rc == 0 && image->tuple_count < count) {
        rc = put_tuple(image, choice);
        next_choice(image, first, choice);
    }
    return rc;
}

int index_image_read(struct index_image *image, const struct weir_index *index,
                     struct weir_bytes key, struct weir_bytes value)
{
    index_image_clear(image);
    image->fields = index->fields;
    int rc = index->extract(index->extract_context, key, value, emit, image);
    rc = rc >= 0 && image->error < 0 ? image->error : rc;
    if (rc == 1) {
        index_image_clear(image);
        image->no_document = true;
        return 0;
    }
    if (rc == 0) {
        settle(image);
        rc = combine(image);
    }
    if (rc != 0) {
        bool too_many = image->too_many;
        index_image_clear(image);
        image->too_long = too_many ? 1 : 0;
        rc = too_many ? 0 : rc;
    }
    return rc;
}
