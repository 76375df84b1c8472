/*
 * The materialized view: made, emptied, asked.
 *
 * each: the names of the groups are brought into order when somebody asks, and stay so until a
 * group comes or goes. list: the rows of one group are collected and sorted.
 *
 * Failures: -ENOMEM for an order; the view is as it was.
 *
 * Invariants: group[n] belongs to the name with number n, text[n] to the listed row with number n;
 * both have room for every number that their dictionary has given.
 */
#include "derived/view.h"

#include "base/alloc.h"
#include "derived/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- create, reset, free ---- */

static bool are_options_valid(const struct weir_view_options *options)
{
    return options != NULL && options->size == sizeof *options && options->reserved == 0 &&
           options->extract != NULL && (options->aggregates & ~VIEW_ALL) == 0;
}

int weir_view_create(const struct weir_view_options *options,
                     struct weir_materialized_view **ret_view)
{
    if (!are_options_valid(options) || ret_view == NULL) {
        return -EINVAL;
    }
    struct weir_materialized_view *view = base_alloc_zero(sizeof *view);
    if (view == NULL) {
        return -ENOMEM;
    }
    view->options = *options;
    if (view->options.aggregates == 0) {
        view->options.aggregates = WEIR_VIEW_COUNT;
    }
    dictionary_init(&view->groups);
    dictionary_init(&view->rows);
    slab_init(&view->slab);
    view->before.group_room = base_alloc(WEIR_VIEW_GROUP_MAX);
    view->after.group_room = base_alloc(WEIR_VIEW_GROUP_MAX);
    if (view->before.group_room == NULL || view->after.group_room == NULL) {
        weir_view_free(view);
        return -ENOMEM;
    }
    *ret_view = view;
    return 0;
}

/* What CRoaring has lies outside of the slab. */
static void free_postings(struct weir_materialized_view *view)
{
    for (uint32_t number = 0; number < dictionary_end(&view->groups); number++) {
        if (dictionary_has(&view->groups, number)) {
            posting_free(&view->slab, &view->group[number].rows);
        }
    }
}

void view_reset(void *self)
{
    struct weir_materialized_view *view = self;
    free_postings(view);
    slab_free_all(&view->slab);
    dictionary_free(&view->groups);
    dictionary_free(&view->rows);
    array_free(view->group, view->group_room, sizeof *view->group);
    array_free(view->text, view->text_room, sizeof *view->text);
    view->group = NULL;
    view->text = NULL;
    view->group_room = 0;
    view->text_room = 0;
    view->row_count = 0;
    view->skipped_documents = 0;
    view->skipped_numbers = 0;
    view->skipped_groups = 0;
}

void weir_view_free(struct weir_materialized_view *view)
{
    if (view == NULL) {
        return;
    }
    view_reset(view);
    base_free(view->before.group_room);
    base_free(view->before.text_room);
    base_free(view->after.group_room);
    base_free(view->after.text_room);
    base_free(view);
}

const struct weir_system_ops *weir_view_ops(void)
{
    static const struct weir_system_ops ops = {
        .size = sizeof ops,
        .kind = "view",
        .version = 1,
        .apply = view_apply,
        .reset = view_reset,
        .save = view_save,
        .load = view_load,
        .fingerprint = view_fingerprint,
        .entries = view_entries,
    };
    return &ops;
}

/* ---- arrays beside the dictionaries ---- */

int view_group_reserve(struct weir_materialized_view *view)
{
    void *array = view->group;
    int rc = array_room(&array, &view->group_room, (uint64_t)dictionary_end(&view->groups) + 1,
                        sizeof *view->group);
    view->group = array;
    return rc;
}

int view_text_reserve(struct weir_materialized_view *view)
{
    void *array = view->text;
    int rc = array_room(&array, &view->text_room, (uint64_t)dictionary_end(&view->rows) + 1,
                        sizeof *view->text);
    view->text = array;
    return rc;
}

int view_text_make(struct weir_materialized_view *view, struct weir_bytes text,
                   struct view_text *ret_text)
{
    struct view_text made = {SLAB_NONE, (uint32_t)text.size};
    if (text.size > UINT32_MAX) {
        return -ENOMEM;
    }
    if (text.size > 0) {
        int rc = slab_alloc(&view->slab, text.size, &made.block);
        if (rc < 0) {
            return rc;
        }
        memcpy(slab_at(&view->slab, made.block), text.data, text.size);
    }
    *ret_text = made;
    return 0;
}

void view_text_free(struct weir_materialized_view *view, struct view_text text)
{
    if (text.block != SLAB_NONE) {
        slab_free(&view->slab, text.block, text.size);
    }
}

struct weir_bytes view_text_get(const struct weir_materialized_view *view, uint32_t row)
{
    struct view_text text = view->text[row];
    const void *data = text.block == SLAB_NONE ? "" : slab_at(&view->slab, text.block);
    return (struct weir_bytes){data, text.size};
}

/* ---- groups ---- */

static void describe(const struct weir_materialized_view *view, uint32_t number,
                     struct weir_view_group *ret_group)
{
    const struct view_group *group = &view->group[number];
    uint32_t aggregates = view->options.aggregates;
    struct view_number least = {0, 0};
    struct view_number most = {0, 0};
    if ((aggregates & WEIR_VIEW_MIN) != 0) {
        (void)view_numbers_first(&view->slab, group->numbers_root, &least);
    }
    if ((aggregates & WEIR_VIEW_MAX) != 0) {
        (void)view_numbers_last(&view->slab, group->numbers_root, &most);
    }
    *ret_group = (struct weir_view_group){
        .group = dictionary_text(&view->groups, number),
        .count = group->count,
        .numbers = group->numbers,
        .sum = decimal_from_units((aggregates & WEIR_VIEW_SUM) != 0 ? group->sum : 0),
        .min = decimal_from_units(least.number),
        .max = decimal_from_units(most.number),
        .lsn = group->lsn,
    };
}

int weir_view_get(struct weir_materialized_view *view, struct weir_bytes group,
                  struct weir_view_group *ret_group)
{
    uint32_t number = dictionary_find(&view->groups, group.data, group.size);
    if (number == DICTIONARY_NONE) {
        return 0;
    }
    describe(view, number, ret_group);
    return 1;
}

int weir_view_each(struct weir_materialized_view *view, struct weir_bytes prefix, weir_view_fn fn,
                   void *context)
{
    uint32_t count;
    int rc = dictionary_order(&view->groups, &count);
    if (rc < 0) {
        return rc;
    }
    uint32_t at = dictionary_lower_bound(&view->groups, prefix.data, prefix.size);
    uint32_t end = dictionary_prefix_end(&view->groups, prefix.data, prefix.size);
    for (; rc == 0 && at < end; at++) {
        struct weir_view_group group;
        describe(view, dictionary_ordered(&view->groups, at), &group);
        rc = fn(context, &group);
    }
    return rc;
}

/* ---- the list of a group ---- */

static int compare_rows(const void *left, const void *right, void *context)
{
    const struct dictionary *rows = context;
    const uint32_t *a = left;
    const uint32_t *b = right;
    return dictionary_compare(dictionary_text(rows, *a), dictionary_text(rows, *b));
}

static int list_rows(const struct weir_materialized_view *view, const uint32_t *rows, size_t count,
                     weir_view_list_fn fn, void *context)
{
    int rc = 0;
    for (size_t index = 0; rc == 0 && index < count; index++) {
        weir_table table;
        struct weir_bytes key = rows_key(&view->rows, rows[index], &table);
        rc = fn(context, table, key, view_text_get(view, rows[index]));
    }
    return rc;
}

int weir_view_list(struct weir_materialized_view *view, struct weir_bytes group,
                   weir_view_list_fn fn, void *context)
{
    if ((view->options.aggregates & WEIR_VIEW_LIST) == 0) {
        return -EINVAL;
    }
    uint32_t number = dictionary_find(&view->groups, group.data, group.size);
    if (number == DICTIONARY_NONE) {
        return 0;
    }
    const struct posting *posting = &view->group[number].rows;
    uint32_t *rows = base_alloc(posting_count(&view->slab, posting) * sizeof *rows);
    if (rows == NULL) {
        return -ENOMEM;
    }
    size_t count = 0;
    struct posting_walk walk;
    for (bool more = posting_first(&view->slab, posting, &walk); more; more = posting_next(&walk)) {
        rows[count++] = walk.ordinal;
    }
    qsort_r(rows, count, sizeof *rows, compare_rows, &view->rows);
    int rc = list_rows(view, rows, count, fn, context);
    base_free(rows);
    return rc;
}

/* ---- status ---- */

int weir_view_stat(struct weir_materialized_view *view, struct weir_view_status *ret_status)
{
    if (view == NULL || ret_status == NULL || ret_status->size < sizeof *ret_status) {
        return -EINVAL;
    }
    uint64_t bytes = sizeof *view + 2 * (uint64_t)WEIR_VIEW_GROUP_MAX +
                     view->before.text_room_bytes + view->after.text_room_bytes +
                     dictionary_bytes(&view->groups) + dictionary_bytes(&view->rows) +
                     view->group_room * sizeof *view->group + view->text_room * sizeof *view->text +
                     view->slab.bytes;
    for (uint32_t number = 0; number < dictionary_end(&view->groups); number++) {
        if (dictionary_has(&view->groups, number)) {
            bytes += posting_bytes(&view->slab, &view->group[number].rows);
        }
    }
    *ret_status = (struct weir_view_status){
        .size = ret_status->size,
        .groups = dictionary_count(&view->groups),
        .rows = view->row_count,
        .skipped_documents = view->skipped_documents,
        .skipped_numbers = view->skipped_numbers,
        .skipped_groups = view->skipped_groups,
        .bytes = bytes,
    };
    return 0;
}
