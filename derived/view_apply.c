/*
 * An event changes a view: what the before-image had contributed goes, what the row contributes
 * comes.
 *
 * 1. Both are read.
 * 2. Is the share of the before-image there? What cannot be taken away was never added.
 * 3. What needs memory is made: group, number, listed row. Each can be taken back.
 * 4. From here on nothing fails: counts and sums move, what is no longer needed goes.
 *
 * Failures: those of reading; -ENOMEM; -EOVERFLOW; WEIR_E_STATE in step 2. The view is as it was.
 *
 * Invariants: no count falls below zero, and no group is without rows. What comes is added before
 * what goes is taken, so a group that keeps its only row is never empty between the two.
 */
#include "derived/view.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

struct change {
    struct weir_materialized_view *view;
    const struct weir_event *event;
    const struct view_row *before, *after;
    uint32_t from, to; /* groups; DICTIONARY_NONE */
    uint32_t row;      /* of the list; DICTIONARY_NONE */
    struct view_text text;
    /* What was made, so what has to be taken back. */
    bool made_group, made_number, made_row, made_text, made_listing;
};

static bool wants(const struct change *change, uint32_t aggregates)
{
    return (change->view->options.aggregates & aggregates) != 0;
}

static bool are_equal(struct weir_bytes left, struct weir_bytes right)
{
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static bool is_same_group(const struct change *change)
{
    return change->before->is_grouped && change->after->is_grouped &&
           are_equal(change->before->group, change->after->group);
}

/* Once it is known which groups they are in: what stays need not go and come. */
static bool keeps_number(const struct change *change)
{
    return change->from == change->to && change->before->has_number && change->after->has_number &&
           change->before->number == change->after->number;
}

static bool keeps_text(const struct change *change)
{
    return change->before->is_listed && change->after->is_listed &&
           are_equal(change->before->text, change->after->text);
}

/* ---- is the share of the before-image there? ---- */

static bool has_skipped(const struct change *change)
{
    const struct weir_materialized_view *view = change->view;
    const struct view_row *before = change->before;
    return (!before->is_no_document || view->skipped_documents > 0) &&
           (!before->has_no_number || view->skipped_numbers > 0) &&
           (!before->has_long_group || view->skipped_groups > 0);
}

static bool has_share(const struct change *change, const struct view_group *group)
{
    const struct weir_materialized_view *view = change->view;
    const struct view_row *before = change->before;
    uint64_t numbers = before->has_number ? 1 : 0;
    uint64_t listed = before->is_listed ? 1 : 0;
    if (group->numbers < numbers || group->numbers - numbers > group->count - 1) {
        return false;
    }
    if (before->has_number && wants(change, VIEW_ORDERED) &&
        !view_numbers_contain(&view->slab, group->numbers_root, before->number)) {
        return false;
    }
    if (group->count > 1) {
        return true;
    }
    /* The last row takes everything with it. */
    return group->sum == before->number && posting_count(&view->slab, &group->rows) == listed;
}

/* The row of the list, and whether it is there as the before-image says. */
static bool find_row(struct change *change)
{
    const struct weir_materialized_view *view = change->view;
    change->row = rows_find(&view->rows, change->event->table, change->event->key);
    if (!change->before->is_listed) {
        return change->row == DICTIONARY_NONE;
    }
    return change->row != DICTIONARY_NONE &&
           posting_contains(&view->slab, &view->group[change->from].rows, change->row) &&
           are_equal(view_text_get(view, change->row), change->before->text);
}

static bool find_before(struct change *change)
{
    const struct weir_materialized_view *view = change->view;
    const struct view_row *before = change->before;
    if (before->is_grouped) {
        change->from = dictionary_find(&view->groups, before->group.data, before->group.size);
        if (change->from == DICTIONARY_NONE || !has_share(change, &view->group[change->from])) {
            return false;
        }
    }
    return has_skipped(change) && (!wants(change, WEIR_VIEW_LIST) || find_row(change));
}

/* ---- what needs memory ---- */

static int make_group(struct change *change)
{
    struct weir_materialized_view *view = change->view;
    struct weir_bytes name = change->after->group;
    if (is_same_group(change)) {
        change->to = change->from;
        return 0;
    }
    int rc = view_group_reserve(view);
    if (rc == 0) {
        rc = dictionary_add(&view->groups, name.data, name.size, &change->to);
    }
    if (rc == 1) {
        view->group[change->to] = (struct view_group){.numbers_root = SLAB_NONE};
        change->made_group = true;
    }
    return rc < 0 ? rc : 0;
}

static int make_number(struct change *change)
{
    struct weir_materialized_view *view = change->view;
    uint32_t *root = &view->group[change->to].numbers_root;
    int rc = view_numbers_add(&view->slab, root, change->after->number);
    change->made_number = rc == 0;
    return rc;
}

static int make_listing(struct change *change)
{
    struct weir_materialized_view *view = change->view;
    const struct weir_event *event = change->event;
    int rc = view_text_reserve(view);
    if (rc == 0 && !keeps_text(change)) {
        rc = view_text_make(view, change->after->text, &change->text);
        change->made_text = rc == 0;
    }
    if (rc == 0 && change->row == DICTIONARY_NONE) {
        rc = rows_add(&view->rows, event->table, event->key, &change->row);
        change->made_row = rc == 1;
    }
    if (rc >= 0) {
        rc = posting_add(&view->slab, &view->group[change->to].rows, change->row);
        change->made_listing = rc == 1;
    }
    return rc < 0 ? rc : 0;
}

static void take_back(struct change *change)
{
    struct weir_materialized_view *view = change->view;
    if (change->made_listing) {
        posting_remove(&view->slab, &view->group[change->to].rows, change->row);
    }
    if (change->made_row) {
        dictionary_remove(&view->rows, change->row);
    }
    if (change->made_text) {
        view_text_free(view, change->text);
    }
    if (change->made_number) {
        view_numbers_remove(&view->slab, &view->group[change->to].numbers_root,
                            change->after->number);
    }
    if (change->made_group) {
        dictionary_remove(&view->groups, change->to);
    }
}

static int make_after(struct change *change)
{
    const struct view_row *after = change->after;
    if (!after->is_grouped) {
        return 0;
    }
    if (!change->before->is_grouped && change->view->row_count == VIEW_ROWS_MAX) {
        return -EOVERFLOW;
    }
    int rc = make_group(change);
    if (rc == 0 && after->has_number && wants(change, VIEW_ORDERED) && !keeps_number(change)) {
        rc = make_number(change);
    }
    if (rc == 0 && after->is_listed) {
        rc = make_listing(change);
    }
    return rc;
}

/* ---- what does not fail ---- */

static void touch(struct view_group *group, weir_lsn lsn)
{
    group->lsn = lsn > group->lsn ? lsn : group->lsn; /* rows of a state come in order of key */
}

static void add_share(struct weir_materialized_view *view, const struct change *change)
{
    const struct view_row *after = change->after;
    view->skipped_documents += after->is_no_document ? 1 : 0;
    view->skipped_numbers += after->has_no_number ? 1 : 0;
    view->skipped_groups += after->has_long_group ? 1 : 0;
    if (after->is_grouped) {
        struct view_group *group = &view->group[change->to];
        group->count++;
        group->numbers += after->has_number ? 1 : 0;
        group->sum += after->number;
        touch(group, change->event->lsn);
        view->row_count++;
    }
}

static void remove_group(struct weir_materialized_view *view, uint32_t number)
{
    const struct view_group *group = &view->group[number];
    WEIR_ASSERT(group->numbers == 0 && group->sum == 0 && group->numbers_root == SLAB_NONE &&
                posting_is_empty(&group->rows));
    dictionary_remove(&view->groups, number);
}

static void remove_share(struct weir_materialized_view *view, const struct change *change)
{
    const struct view_row *before = change->before;
    view->skipped_documents -= before->is_no_document ? 1 : 0;
    view->skipped_numbers -= before->has_no_number ? 1 : 0;
    view->skipped_groups -= before->has_long_group ? 1 : 0;
    if (!before->is_grouped) {
        return;
    }
    struct view_group *group = &view->group[change->from];
    group->count--;
    group->numbers -= before->has_number ? 1 : 0;
    group->sum -= before->number;
    touch(group, change->event->lsn);
    view->row_count--;
    if (before->has_number && wants(change, VIEW_ORDERED) && !keeps_number(change)) {
        view_numbers_remove(&view->slab, &group->numbers_root, before->number);
    }
    if (before->is_listed && (change->from != change->to || !change->after->is_listed)) {
        posting_remove(&view->slab, &group->rows, change->row);
    }
    if (group->count == 0) {
        remove_group(view, change->from);
    }
}

/* The row's text, once both groups know what they have. */
static void settle_row(struct weir_materialized_view *view, const struct change *change)
{
    if (keeps_text(change)) {
        return;
    }
    if (change->before->is_listed) {
        view_text_free(view, view->text[change->row]);
        if (!change->after->is_listed) {
            dictionary_remove(&view->rows, change->row);
        }
    }
    if (change->after->is_listed) {
        view->text[change->row] = change->text;
    }
}

/* ---- the whole ---- */

static int read_rows(struct weir_materialized_view *view, const struct weir_event *event)
{
    int rc = 0;
    view_row_clear(&view->before);
    view_row_clear(&view->after);
    if (event->operation != WEIR_INSERT) {
        rc = view_row_read(view, &view->before, event->key, event->before);
    }
    if (rc == 0 && event->operation != WEIR_REMOVE) {
        rc = view_row_read(view, &view->after, event->key, event->after);
    }
    return rc;
}

int view_apply(void *self, const struct weir_event *event)
{
    struct weir_materialized_view *view = self;
    struct change change = {
        .view = view,
        .event = event,
        .before = &view->before,
        .after = &view->after,
        .from = DICTIONARY_NONE,
        .to = DICTIONARY_NONE,
        .row = DICTIONARY_NONE,
    };
    int rc = read_rows(view, event);
    if (rc == 0 && !find_before(&change)) {
        rc = WEIR_E_STATE;
    }
    if (rc == 0) {
        rc = make_after(&change);
        if (rc < 0) {
            take_back(&change);
        }
    }
    if (rc == 0) {
        add_share(view, &change);
        remove_share(view, &change);
        settle_row(view, &change);
    }
    return rc;
}
