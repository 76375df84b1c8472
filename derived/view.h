/*
 * What the files of the materialized view share.
 *
 *     view_row.c      what a row contributes: transform, extractor, number
 *     view_apply.c    an event: the share of the before-image goes, that of the row comes
 *     view_numbers.c  the numbers of a group in order
 *     view_state.c    to a state file and back
 *     view_fingerprint.c    fingerprint and entries
 *     view.c          create, reset, and what people ask
 */
#ifndef DERIVED_VIEW_H
#define DERIVED_VIEW_H

#include "derived/decimal.h"
#include "derived/dictionary.h"
#include "derived/posting.h"
#include "derived/view_numbers.h"

#include <weir/view.h>

/* What is added up over rows is kept for these. */
#define VIEW_NUMBERS (WEIR_VIEW_SUM | WEIR_VIEW_MIN | WEIR_VIEW_MAX)
#define VIEW_ORDERED (WEIR_VIEW_MIN | WEIR_VIEW_MAX)
#define VIEW_ALL (WEIR_VIEW_COUNT | VIEW_NUMBERS | WEIR_VIEW_LIST)
#define VIEW_ROWS_MAX UINT32_MAX

/* What a row contributes. */
struct view_row {
    bool is_grouped;
    bool is_no_document, has_no_number, has_long_group; /* counted as skipped */
    bool has_number;
    bool is_listed;
    decimal_units number;
    struct weir_bytes group, text; /* in what follows */
    /* ---- kept from row to row ---- */
    uint8_t *group_room; /* WEIR_VIEW_GROUP_MAX */
    uint8_t *text_room;
    size_t text_room_bytes;
};

struct view_group {
    decimal_units sum;
    uint64_t count, numbers;
    weir_lsn lsn;
    struct posting rows;   /* with list: those that are listed */
    uint32_t numbers_root; /* with min or max */
};

/* A listed row's value of field 1. */
struct view_text {
    uint32_t block; /* SLAB_NONE when it is empty */
    uint32_t size;
};

struct weir_materialized_view {
    struct weir_view_options options;
    struct dictionary groups; /* names; its numbers are places in group */
    struct view_group *group;
    uint32_t group_room;
    struct dictionary rows; /* with list: those that are listed; its numbers are places in text */
    struct view_text *text;
    uint32_t text_room;
    struct slab slab; /* numbers, texts, postings */
    uint64_t row_count;
    uint64_t skipped_documents, skipped_numbers, skipped_groups;
    struct view_row before, after; /* of the event that is applied */
};

/* As of a row that is not there. */
void view_row_clear(struct view_row *row);
/* 0; < 0: what transform, extractor or memory said; -EINVAL: the extractor gave more than 1. */
int view_row_read(struct weir_materialized_view *view, struct view_row *row, struct weir_bytes key,
                  struct weir_bytes value);

int view_apply(void *self, const struct weir_event *event);

/* Makes room for a number of the dictionary that is to come: 0; -ENOMEM. */
int view_group_reserve(struct weir_materialized_view *view);
int view_text_reserve(struct weir_materialized_view *view);
/* 0; -ENOMEM. */
int view_text_make(struct weir_materialized_view *view, struct weir_bytes text,
                   struct view_text *ret_text);
void view_text_free(struct weir_materialized_view *view, struct view_text text);
struct weir_bytes view_text_get(const struct weir_materialized_view *view, uint32_t row);

void view_reset(void *self);
int view_save(void *self, struct weir_state_writer *writer);
int view_load(void *self, struct weir_state_reader *reader);
void view_fingerprint(void *self, uint8_t ret_fingerprint[16]);
int view_entries(void *self, weir_system_entry_fn fn, void *context);

#endif
