/*
 * A stream of changes, seen from the inside: one struct, and the steps that its files take from
 * each other.
 *
 *   changes_open.c    where it begins
 *   changes.c         next, wait, where it stands, its errors
 *   changes_state.c   the state that it may begin with
 *   changes_stream.c  what the cursor lends, with the versions before
 *   changes_tables.c  which tables and operations; names
 */
#ifndef ENGINE_CHANGES_H
#define ENGINE_CHANGES_H

#include "engine/engine.h"

#include <weir/changes.h>

#define CHANGES_BATCH 256 /* records of the cursor that are taken at a time */

/* Rows are lent from (table, key) on: nothing but that is kept from one call to the next. */
struct changes_state {
    struct weir_snapshot *snapshot; /* while it is being lent: nothing is compacted behind it */
    weir_lsn lsn;                   /* 0: the stream began without one */
    bool lending;
    bool whole;       /* no group ends behind lsn */
    weir_table table; /* whose rows are being lent */
    uint8_t *key;     /* the last one that was lent of it; room for any */
    size_t key_size;  /* 0: none yet */
};

struct weir_changes {
    struct weir_engine *engine;
    struct weir_cursor *cursor; /* stands behind the batch */
    uint32_t operations;        /* WEIR_ON_* */
    uint64_t *tables;           /* a bit for each; NULL: all of them */
    struct weir_read read;      /* from one next() to the next, when something is lent */
    bool reading;
    bool whole; /* at the position */
    weir_lsn position;
    struct changes_state state;
    struct weir_error error;

    /* The batch. */
    struct weir_record records[CHANGES_BATCH];
    int count, next;
    uint64_t bias; /* address of a record = its data + bias */
    /* Of the events that are being made: the record that each came from, read. */
    struct engine_version versions[CHANGES_BATCH];
    int from[CHANGES_BATCH];

    char *names[WEIR_TABLES_MAX]; /* NULL: not learned */
};

/* ---- changes.c ---- */

/* Begins the section in which things are lent; view NULL: the newest. 0; errors as
 * weir_read_begin(). */
int changes_enter(struct weir_changes *changes, const struct weir_read_options *view);
void changes_leave(struct weir_changes *changes);

/* The detail of an error. Return the error. */
int changes_lost(struct weir_changes *changes, weir_lsn to);
int changes_fail_at(struct weir_changes *changes, int rc, weir_lsn lsn, const char *what);

/* ---- changes_state.c ---- */

/* As of lsn or, when that is below the horizon, as of it; 0: as of now. Opens the cursor behind it.
 */
int changes_begin_state(struct weir_changes *changes, weir_lsn lsn);
void changes_end_state(struct weir_changes *changes);
int changes_next_of_state(struct weir_changes *changes, struct weir_event *events, int max);

/* ---- changes_stream.c ---- */

int changes_next_of_stream(struct weir_changes *changes, struct weir_event *events, int max);

/* From an error of the cursor to one of the stream. */
int changes_explain(struct weir_changes *changes, int rc);

/* ---- changes_tables.c ---- */

/* 0; -EINVAL; -ENOMEM. */
int changes_take_filters(struct weir_changes *changes, const struct weir_changes_options *options);
void changes_free_tables(struct weir_changes *changes);

static inline bool changes_has_table(const struct weir_changes *changes, weir_table table)
{
    return changes->tables == NULL ||
           (table < WEIR_TABLES_MAX && (changes->tables[table / 64] >> table % 64 & 1) != 0);
}

static inline bool changes_has_operation(const struct weir_changes *changes,
                                         enum weir_operation operation)
{
    return (changes->operations >> ((unsigned)operation - 1) & 1) != 0;
}

/* 0; -ENOMEM. */
int changes_learn_table(struct weir_changes *changes, weir_table table, const char *name);

#endif
