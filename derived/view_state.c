/*
 * A view to a state file and back.
 *
 *     aggregates  skipped documents, numbers, groups  count of groups
 *     for each group:
 *         name  rows  numbers  sum (16 bytes, little-endian)  LSN
 *         with min or max: count of different numbers, each: 16 bytes, how often; ascending
 *         with list: count of listed rows, each: table, key, value
 *
 * What is loaded has valid checksums and may lie all the same. It is believed when it is a view
 * that events could have made: names and rows differ from each other, a group has rows, no more
 * numbers than rows, a sum that so many numbers can have, and where the numbers are there exactly
 * their sum.
 *
 * Failures: WEIR_E_STATE, -ENOMEM, those of the file. After a load that failed the view is empty.
 *
 * Invariant: nothing is allocated for a length before it was compared with the bytes that are left.
 */
#include "derived/view.h"

#include "base/le.h"

#include <errno.h>

struct units_bytes {
    struct le64 low, high;
};

/* ---- save ---- */

static void encode_units(struct encoder *encoder, decimal_units units)
{
    struct weir_decimal decimal = decimal_from_units(units);
    struct units_bytes bytes;
    le64_store(&bytes.low, decimal.low);
    le64_store(&bytes.high, (uint64_t)decimal.high);
    encode_raw(encoder, &bytes, sizeof bytes);
}

static void encode_numbers(const struct weir_materialized_view *view, uint32_t root,
                           struct encoder *encoder)
{
    struct view_number entry;
    uint64_t count = 0;
    for (bool more = view_numbers_first(&view->slab, root, &entry); more;
         more = view_numbers_above(&view->slab, root, entry.number, &entry)) {
        count++;
    }
    encode_number(encoder, count);
    for (bool more = view_numbers_first(&view->slab, root, &entry); more;
         more = view_numbers_above(&view->slab, root, entry.number, &entry)) {
        encode_units(encoder, entry.number);
        encode_number(encoder, entry.count);
    }
}

static void encode_rows(const struct weir_materialized_view *view, const struct posting *posting,
                        struct encoder *encoder)
{
    struct posting_walk walk;
    encode_number(encoder, posting_count(&view->slab, posting));
    for (bool more = posting_first(&view->slab, posting, &walk); more; more = posting_next(&walk)) {
        weir_table table;
        struct weir_bytes key = rows_key(&view->rows, walk.ordinal, &table);
        encode_number(encoder, table);
        encode_bytes(encoder, key);
        encode_bytes(encoder, view_text_get(view, walk.ordinal));
    }
}

static void encode_group(const struct weir_materialized_view *view, uint32_t number,
                         struct encoder *encoder)
{
    const struct view_group *group = &view->group[number];
    encode_bytes(encoder, dictionary_text(&view->groups, number));
    encode_number(encoder, group->count);
    encode_number(encoder, group->numbers);
    encode_units(encoder, group->sum);
    encode_number(encoder, group->lsn);
    if ((view->options.aggregates & VIEW_ORDERED) != 0) {
        encode_numbers(view, group->numbers_root, encoder);
    }
    if ((view->options.aggregates & WEIR_VIEW_LIST) != 0) {
        encode_rows(view, &group->rows, encoder);
    }
}

int view_save(void *self, struct weir_state_writer *writer)
{
    const struct weir_materialized_view *view = self;
    struct encoder encoder;
    encoder_init(&encoder, writer);
    encode_number(&encoder, view->options.aggregates);
    encode_number(&encoder, view->skipped_documents);
    encode_number(&encoder, view->skipped_numbers);
    encode_number(&encoder, view->skipped_groups);
    encode_number(&encoder, dictionary_count(&view->groups));
    for (uint32_t number = 0; number < dictionary_end(&view->groups); number++) {
        if (dictionary_has(&view->groups, number)) {
            encode_group(view, number, &encoder);
        }
    }
    return encoder_finish(&encoder);
}

/* ---- load ---- */

static int decode_units(struct decoder *decoder, decimal_units *ret_units)
{
    struct units_bytes bytes;
    int rc = decode_raw(decoder, &bytes, sizeof bytes);
    if (rc == 0) {
        *ret_units = decimal_to_units(
            (struct weir_decimal){(int64_t)le64_load(&bytes.high), le64_load(&bytes.low)});
    }
    return rc;
}

static bool can_be_a_number(decimal_units number)
{
    return number > -DECIMAL_LIMIT && number < DECIMAL_LIMIT;
}

/* Of `numbers` that are each below the limit; below 2^122, so the product is as well. */
static bool can_be_a_sum(decimal_units sum, uint64_t numbers)
{
    decimal_units most = (decimal_units)numbers * (DECIMAL_LIMIT - 1);
    return sum >= -most && sum <= most;
}

/* @param least  what the number has to be greater than, when there was one */
static int decode_one_number(struct decoder *decoder, struct view_number *entry,
                             const decimal_units *least)
{
    uint64_t count;
    int rc = decode_units(decoder, &entry->number);
    if (rc == 0) {
        rc = decode_number(decoder, VIEW_ROWS_MAX, &count);
    }
    if (rc < 0) {
        return rc;
    }
    entry->count = (uint32_t)count;
    bool ascends = least == NULL || entry->number > *least;
    return count > 0 && ascends && can_be_a_number(entry->number) ? 0 : WEIR_E_STATE;
}

static int decode_numbers(struct weir_materialized_view *view, struct view_group *group,
                          struct decoder *decoder)
{
    uint64_t different;
    uint64_t numbers = 0;
    decimal_units sum = 0;
    struct view_number entry;
    int rc = decode_number(decoder, group->numbers, &different);
    for (uint64_t index = 0; rc == 0 && index < different; index++) {
        decimal_units least = entry.number;
        rc = decode_one_number(decoder, &entry, index > 0 ? &least : NULL);
        if (rc == 0) {
            rc = view_numbers_put(&view->slab, &group->numbers_root, entry);
        }
        if (rc == 0) {
            numbers += entry.count;
            sum += entry.number * entry.count; /* 2^32 times 2^32 at most: checked below */
            rc = numbers <= group->numbers ? 0 : WEIR_E_STATE;
        }
    }
    return rc < 0 ? rc : numbers == group->numbers && sum == group->sum ? 0 : WEIR_E_STATE;
}

static int decode_row(struct weir_materialized_view *view, struct view_group *group,
                      struct decoder *decoder)
{
    uint64_t table;
    uint32_t row;
    struct weir_bytes bytes;
    int rc = decode_number(decoder, UINT32_MAX, &table);
    if (rc == 0) {
        rc = decode_bytes(decoder, WEIR_KEY_BYTES_MAX, &bytes);
    }
    if (rc == 0) {
        rc = view_text_reserve(view);
    }
    if (rc == 0) {
        rc = rows_add(&view->rows, (weir_table)table, bytes, &row);
        rc = rc == 0 ? WEIR_E_STATE : rc; /* it is there already */
    }
    if (rc < 0) {
        return rc;
    }
    view->text[row] = (struct view_text){SLAB_NONE, 0};
    rc = decode_bytes(decoder, UINT32_MAX, &bytes);
    if (rc == 0) {
        rc = view_text_make(view, bytes, &view->text[row]);
    }
    if (rc == 0) {
        rc = posting_add(&view->slab, &group->rows, row);
    }
    return rc < 0 ? rc : 0;
}

static int decode_rows(struct weir_materialized_view *view, struct view_group *group,
                       struct decoder *decoder)
{
    uint64_t count;
    int rc = decode_number(decoder, group->count, &count);
    for (uint64_t index = 0; rc == 0 && index < count; index++) {
        rc = decode_row(view, group, decoder);
    }
    return rc;
}

static int decode_totals(struct weir_materialized_view *view, struct view_group *group,
                         struct decoder *decoder)
{
    bool counts = (view->options.aggregates & VIEW_NUMBERS) != 0;
    int rc = decode_number(decoder, VIEW_ROWS_MAX - view->row_count, &group->count);
    if (rc == 0) {
        rc = decode_number(decoder, counts ? group->count : 0, &group->numbers);
    }
    if (rc == 0) {
        rc = decode_units(decoder, &group->sum);
    }
    if (rc == 0) {
        rc = decode_number(decoder, UINT64_MAX, &group->lsn);
    }
    if (rc == 0 && (group->count == 0 || !can_be_a_sum(group->sum, group->numbers))) {
        rc = WEIR_E_STATE;
    }
    return rc;
}

static int decode_group(struct weir_materialized_view *view, struct decoder *decoder)
{
    struct weir_bytes name;
    uint32_t number;
    int rc = decode_bytes(decoder, WEIR_VIEW_GROUP_MAX, &name);
    if (rc == 0) {
        rc = view_group_reserve(view);
    }
    if (rc == 0) {
        rc = dictionary_add(&view->groups, name.data, name.size, &number);
        rc = rc == 0 ? WEIR_E_STATE : rc; /* it is there already */
    }
    if (rc < 0) {
        return rc;
    }
    struct view_group *group = &view->group[number];
    *group = (struct view_group){.numbers_root = SLAB_NONE};
    rc = decode_totals(view, group, decoder);
    if (rc == 0 && (view->options.aggregates & VIEW_ORDERED) != 0) {
        rc = decode_numbers(view, group, decoder);
    }
    if (rc == 0 && (view->options.aggregates & WEIR_VIEW_LIST) != 0) {
        rc = decode_rows(view, group, decoder);
    }
    view->row_count += rc == 0 ? group->count : 0;
    return rc;
}

static int decode_view(struct weir_materialized_view *view, struct decoder *decoder)
{
    uint64_t aggregates;
    uint64_t count;
    int rc = decode_number(decoder, VIEW_ALL, &aggregates);
    if (rc == 0 && aggregates != view->options.aggregates) {
        rc = WEIR_E_STATE;
    }
    if (rc == 0) {
        rc = decode_number(decoder, UINT64_MAX >> 2, &view->skipped_documents);
    }
    if (rc == 0) {
        rc = decode_number(decoder, UINT64_MAX >> 2, &view->skipped_numbers);
    }
    if (rc == 0) {
        rc = decode_number(decoder, UINT64_MAX >> 2, &view->skipped_groups);
    }
    if (rc == 0) {
        rc = decode_number(decoder, VIEW_ROWS_MAX, &count);
    }
    for (uint64_t index = 0; rc == 0 && index < count; index++) {
        rc = decode_group(view, decoder);
    }
    return rc == 0 && view->skipped_numbers > view->row_count ? WEIR_E_STATE : rc;
}

int view_load(void *self, struct weir_state_reader *reader)
{
    struct weir_materialized_view *view = self;
    struct decoder decoder;
    decoder_init(&decoder, reader);
    int rc = decode_view(view, &decoder);
    if (rc < 0) {
        decoder_free(&decoder);
    } else {
        rc = decoder_finish(&decoder);
    }
    if (rc < 0) {
        view_reset(view);
    }
    return rc;
}
