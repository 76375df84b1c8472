/*
 * An index under test: rows are put and deleted in a plain list, which gives the events their
 * before-images; there is no engine.
 *
 * A row's value is its document: fields separated by ';', the values of one by ','. "~" is a field
 * that is missing, "*N" a value of N times 'x'. "!" is no document; a row that begins with '?'
 * makes the extractor fail.
 */
#ifndef TESTS_DERIVED_INDEX_SUPPORT_H
#define TESTS_DERIVED_INDEX_SUPPORT_H

#include "tests/derived/support.h"

#include <weir/index.h>

#define ROWS_MAX 400u

struct row {
    weir_table table;
    uint8_t key[32], value[200];
    size_t key_size, value_size;
    bool present;
};

struct index_fixture {
    struct weir_index *index;
    const struct weir_system_ops *ops;
    uint32_t fields;
    struct row rows[ROWS_MAX];
    uint32_t row_count;
    weir_lsn lsn;
};

#define EXTRACT_FAILS (-EIO)

int extract_fields(void *context, struct weir_bytes key, struct weir_bytes value, weir_emit_fn emit,
                   void *emit_context);

struct weir_index *make_index(uint32_t fields);
void set_up_index(struct index_fixture *fixture, uint32_t fields);
void tear_down_index(struct index_fixture *fixture);

/* A change of a row, with what the list has as its before-image: what apply answers. When it is
 * not 0, the list stays as it was. */
int put_bytes(struct index_fixture *fixture, weir_table table, struct weir_bytes key,
              struct weir_bytes value);
int remove_bytes(struct index_fixture *fixture, weir_table table, struct weir_bytes key);
/* In the default table; must succeed. */
void put(struct index_fixture *fixture, const char *key, const char *value);
void delete (struct index_fixture *fixture, const char *key);

/* What was found, as "value:key value:key": fields separated by '|', a table other than the
 * default one in front of the key as "3/". */
struct found {
    char text[1 << 16];
    size_t size;
    uint64_t count;
};

int collect(void *context, const struct weir_bytes *values, weir_table table,
            struct weir_bytes key);
const char *find(struct index_fixture *fixture, const struct weir_index_query *query);
const char *find_equal(struct index_fixture *fixture, const char *value);
const char *find_prefix(struct index_fixture *fixture, const char *value);
const char *find_range(struct index_fixture *fixture, const char *from, const char *to);
const char *find_all(struct index_fixture *fixture);

/* What the list says that it is, by looking at every row. */
const char *expected_all(const struct index_fixture *fixture);

struct weir_index_status status_of(struct weir_index *index);
/* Rows, values and entries. */
void expect_counts(struct index_fixture *fixture, uint64_t rows, uint64_t values, uint64_t entries);
void fingerprint_of(struct weir_index *index, uint8_t ret_fingerprint[16]);

#endif
