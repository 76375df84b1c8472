/*
 * Full text driven by events, and what it finds as lines.
 */
#ifndef TESTS_DERIVED_TEXT_SUPPORT_H
#define TESTS_DERIVED_TEXT_SUPPORT_H

#include "support.h"

#include <weir/text.h>

#define FOUND_MAX 8192

struct found {
    uint32_t count;
    struct {
        weir_table table;
        char key[32];
        double score;
    } rows[FOUND_MAX];
};

/* Fields are separated by '|'; a value that begins with '!' is no document, one that begins with
 * '#' makes the extractor fail. */
struct weir_text *make_text(const char *stemmer);

/* 0 or what apply said. NULL for before: an insert; for after: a remove. */
int change(struct weir_text *text, weir_table table, const char *key, const char *before,
           const char *after);

int find(struct weir_text *text, struct weir_text_query query, const char *terms,
         struct found *ret_found);

/* All terms, in order of table and key: "0/a 0/b 2/a". */
const char *all_of(struct weir_text *text, const char *terms);
const char *any_of(struct weir_text *text, const char *terms);
const char *best_of(struct weir_text *text, const char *terms);

struct weir_text_status status_of(struct weir_text *text);
void expect_equal(struct weir_text *left, struct weir_text *right);
int save_text(struct weir_text *text, struct memory_state *ret_state);
int load_text(struct weir_text *text, const struct memory_state *state);

#endif
