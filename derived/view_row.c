/*
 * What a row contributes to a view.
 *
 * 1. The transform changes the row, or drops it.
 * 2. The extractor emits its fields; the first value of field 0 and of field 1 are kept, copied,
 *    for they are lent during the emit only.
 * 3. From them: the group, the number, the text of the list, and what has to be counted as skipped.
 *
 * Failures: those of transform and extractor, -ENOMEM for a text; the view is as it was.
 *
 * Invariant: the answer depends on the bytes of the row alone.
 */
#include "derived/view.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

#define FIRST_TEXT 256u

struct reading {
    struct view_row *row;
    uint32_t aggregates;
    bool has_group, has_text;
};

void view_row_clear(struct view_row *row)
{
    row->is_grouped = false;
    row->is_no_document = false;
    row->has_no_number = false;
    row->has_long_group = false;
    row->has_number = false;
    row->is_listed = false;
    row->number = 0;
}

static int keep_text(struct view_row *row, struct weir_bytes text)
{
    if (text.size > row->text_room_bytes) {
        size_t bytes = text.size + text.size / 2 + FIRST_TEXT;
        uint8_t *room = base_alloc(bytes);
        if (room == NULL) {
            return -ENOMEM;
        }
        base_free(row->text_room);
        row->text_room = room;
        row->text_room_bytes = bytes;
    }
    if (text.size > 0) {
        memcpy(row->text_room, text.data, text.size);
    }
    row->text = (struct weir_bytes){row->text_room, text.size};
    return 0;
}

static void take_group(struct reading *reading, struct weir_bytes text)
{
    struct view_row *row = reading->row;
    reading->has_group = true;
    row->has_long_group = text.size > WEIR_VIEW_GROUP_MAX;
    if (!row->has_long_group && text.size > 0) {
        memcpy(row->group_room, text.data, text.size);
    }
    row->group = (struct weir_bytes){row->group_room, row->has_long_group ? 0 : text.size};
}

static int take_field(void *context, uint32_t field, struct weir_bytes text)
{
    struct reading *reading = context;
    struct view_row *row = reading->row;
    if (field == 0 && !reading->has_group) {
        take_group(reading, text);
    }
    if (field != 1 || reading->has_text) {
        return 0;
    }
    reading->has_text = true;
    if ((reading->aggregates & VIEW_NUMBERS) != 0) {
        row->has_number = decimal_parse(text, &row->number) == 0;
    }
    return (reading->aggregates & WEIR_VIEW_LIST) != 0 ? keep_text(row, text) : 0;
}

/* What only counts in a group. */
static void settle(const struct reading *reading)
{
    struct view_row *row = reading->row;
    row->is_grouped = reading->has_group && !row->has_long_group;
    if (!row->is_grouped) {
        row->has_number = false;
        row->number = 0;
        return;
    }
    row->is_listed = reading->has_text && (reading->aggregates & WEIR_VIEW_LIST) != 0;
    row->has_no_number =
        reading->has_text && !row->has_number && (reading->aggregates & VIEW_NUMBERS) != 0;
}

int view_row_read(struct weir_materialized_view *view, struct view_row *row, struct weir_bytes key,
                  struct weir_bytes value)
{
    const struct weir_view_options *options = &view->options;
    struct reading reading = {.row = row, .aggregates = options->aggregates};
    view_row_clear(row);
    if (options->transform != NULL) {
        int rc = options->transform(options->transform_context, key, value, &key, &value);
        if (rc <= 0) {
            return rc;
        }
    }
    int rc = options->extract(options->extract_context, key, value, take_field, &reading);
    if (rc == 0) {
        settle(&reading);
        return 0;
    }
    view_row_clear(row);
    row->is_no_document = rc == 1;
    return rc > 1 ? -EINVAL : rc < 0 ? rc : 0;
}
