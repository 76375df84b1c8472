/*
 * Helper verbs for tests of the view: a table in memory whose changes are given to a view as events
 * with before-images, and what the view says, in a line.
 *
 *     struct fixture fixture;
 *     open_view(&fixture, WEIR_VIEW_COUNT | WEIR_VIEW_SUM);
 *     put(&fixture, "apple", "{\"g\":\"fruit\",\"n\":1.5}");
 *     expect_groups(&fixture, "fruit: 1 row, 1 number, sum 1.5");
 *     close_view(&fixture);
 */
#ifndef TESTS_DERIVED_VIEW_SUPPORT_H
#define TESTS_DERIVED_VIEW_SUPPORT_H

#include "tests/derived/support.h"

#include <weir/view.h>

#define VIEW_EVERYTHING                                                                            \
    (WEIR_VIEW_COUNT | WEIR_VIEW_SUM | WEIR_VIEW_MIN | WEIR_VIEW_MAX | WEIR_VIEW_LIST)

struct row {
    weir_table table;
    char key[64];
    char *value;
};

#define ROWS_MAX 4096

struct fixture {
    struct weir_view_options options;
    struct weir_json_fields *fields; /* g, n */
    struct weir_materialized_view *view;
    weir_lsn lsn; /* of the last event */
    struct row rows[ROWS_MAX];
    size_t count;
};

void open_view(struct fixture *fixture, uint32_t aggregates);
/* With a transform, another extractor: as fixture->options are now. */
void open_view_again(struct fixture *fixture);
/* Another view of the same kind, empty. */
struct weir_materialized_view *make_twin(const struct fixture *fixture);
void close_view(struct fixture *fixture);

/* What apply returns. The table in memory changes when it is 0. NULL: erase. */
int try_put_in(struct fixture *fixture, weir_table table, const char *key, const char *value);
/* Assert success. */
void put(struct fixture *fixture, const char *key, const char *value);
void put_in(struct fixture *fixture, weir_table table, const char *key, const char *value);
void erase(struct fixture *fixture, const char *key);

int apply(struct weir_materialized_view *view, const struct weir_event *event);
/* All rows of the table in memory, as the state that a stream begins with, in any order. */
void apply_rows(const struct fixture *fixture, struct weir_materialized_view *view);

/* "a: 2 rows, 1 number, sum 3, min 3, max 3; b: ..." in the order of weir_view_each(). */
void expect_groups(struct fixture *fixture, const char *expected);
/* "key=value key=value" of a group; a row that is not in table 0 is "table/key=value". */
void expect_list(struct fixture *fixture, const char *group, const char *expected);
/* Skipped now: documents, numbers, groups. */
void expect_skipped(struct fixture *fixture, uint64_t documents, uint64_t numbers, uint64_t groups);

struct fingerprint {
    uint8_t bytes[16];
};

struct fingerprint fingerprint_of(struct weir_materialized_view *view);
bool are_same(struct fingerprint left, struct fingerprint right);
/* The fingerprint is the sum of the entries, whose texts are unique; and there is one for each
 * group. */
void check_entries(struct weir_materialized_view *view);

void save(struct weir_materialized_view *view, struct memory_state *state);
int load(struct weir_materialized_view *view, const struct memory_state *state);

#endif
