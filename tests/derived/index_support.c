/*
 * An index under test, and a plain list of its rows beside it.
 */
#include "tests/derived/index_support.h"

#include <errno.h>

/* ---- the extractor ---- */

static int emit_value(uint32_t field, struct weir_bytes text, weir_emit_fn emit, void *emit_context)
{
    const char *bytes = text.data;
    if (text.size == 1 && bytes[0] == '~') {
        return 0;
    }
    if (text.size > 1 && bytes[0] == '*') {
        size_t size = strtoul(bytes + 1, NULL, 10);
        char *longer = malloc(size);
        assert_non_null(longer);
        memset(longer, 'x', size);
        int rc = emit(emit_context, field, (struct weir_bytes){longer, size});
        free(longer);
        return rc;
    }
    return emit(emit_context, field, text);
}

int extract_fields(void *context, struct weir_bytes key, struct weir_bytes value, weir_emit_fn emit,
                   void *emit_context)
{
    (void)context;
    (void)key;
    const char *at = value.data;
    const char *end = at + value.size;
    uint32_t field = 0;
    if (value.size == 1 && *at == '!') {
        return 1;
    }
    if (value.size > 0 && *at == '?') {
        return EXTRACT_FAILS;
    }
    for (;;) {
        const char *stop = at;
        while (stop < end && *stop != ';' && *stop != ',') {
            stop++;
        }
        int rc =
            emit_value(field, (struct weir_bytes){at, (size_t)(stop - at)}, emit, emit_context);
        if (rc != 0 || stop == end) {
            return rc;
        }
        field += *stop == ';';
        at = stop + 1;
    }
}

/* ---- events ---- */

struct weir_index *make_index(uint32_t fields)
{
    struct weir_index_options options = WEIR_INDEX_OPTIONS_INIT;
    struct weir_index *index;
    options.fields = fields;
    options.extract = extract_fields;
    assert_int_equal(weir_index_create(&options, &index), 0);
    return index;
}

void set_up_index(struct index_fixture *fixture, uint32_t fields)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->index = make_index(fields);
    fixture->ops = weir_index_ops();
    fixture->fields = fields;
}

void tear_down_index(struct index_fixture *fixture)
{
    weir_index_free(fixture->index);
    fixture->index = NULL;
}

static struct row *row_of(struct index_fixture *fixture, weir_table table, struct weir_bytes key)
{
    for (uint32_t at = 0; at < fixture->row_count; at++) {
        struct row *row = &fixture->rows[at];
        if (row->table == table && row->key_size == key.size &&
            memcmp(row->key, key.data, key.size) == 0) {
            return row;
        }
    }
    assert_true(fixture->row_count < ROWS_MAX);
    struct row *row = &fixture->rows[fixture->row_count++];
    assert_true(key.size <= sizeof row->key);
    *row = (struct row){.table = table, .key_size = key.size};
    memcpy(row->key, key.data, key.size);
    return row;
}

/* The images are copies of exactly their size: who reads beyond is found by the sanitizer, and who
 * keeps a pointer as well. */
static int apply(struct index_fixture *fixture, enum weir_operation operation,
                 const struct row *row, struct weir_bytes after)
{
    size_t before_size = operation == WEIR_INSERT ? 0 : row->value_size;
    uint8_t *room = malloc(row->key_size + before_size + after.size + 1);
    assert_non_null(room);
    uint8_t *before = room + row->key_size;
    memcpy(room, row->key, row->key_size);
    memcpy(before, row->value, before_size);
    if (after.size > 0) {
        memcpy(before + before_size, after.data, after.size);
    }
    struct weir_event event = {.lsn = fixture->lsn + 1,
                               .table = row->table,
                               .operation = operation,
                               .key = {room, row->key_size},
                               .before = {before, before_size},
                               .after = {before + before_size, after.size}};
    int rc = fixture->ops->apply(fixture->index, &event);
    memset(room, 0xdd, row->key_size + before_size + after.size);
    free(room);
    return rc;
}

int put_bytes(struct index_fixture *fixture, weir_table table, struct weir_bytes key,
              struct weir_bytes value)
{
    struct row *row = row_of(fixture, table, key);
    int rc = apply(fixture, row->present ? WEIR_UPDATE : WEIR_INSERT, row, value);
    if (rc == 0) {
        assert_true(value.size <= sizeof row->value);
        memcpy(row->value, value.data, value.size);
        row->value_size = value.size;
        row->present = true;
        fixture->lsn++;
    }
    return rc;
}

int remove_bytes(struct index_fixture *fixture, weir_table table, struct weir_bytes key)
{
    struct row *row = row_of(fixture, table, key);
    assert_true(row->present);
    int rc = apply(fixture, WEIR_REMOVE, row, (struct weir_bytes){NULL, 0});
    if (rc == 0) {
        row->present = false;
        fixture->lsn++;
    }
    return rc;
}

void put(struct index_fixture *fixture, const char *key, const char *value)
{
    assert_int_equal(put_bytes(fixture, 0, bytes_of(key), bytes_of(value)), 0);
}

void delete (struct index_fixture *fixture, const char *key)
{
    assert_int_equal(remove_bytes(fixture, 0, bytes_of(key)), 0);
}

/* ---- what is found ---- */

static void append(struct found *found, const void *data, size_t size)
{
    assert_true(found->size + size < sizeof found->text);
    if (size > 0) {
        memcpy(found->text + found->size, data, size);
    }
    found->size += size;
    found->text[found->size] = 0;
}

static void append_entry(struct found *found, uint32_t fields, const struct weir_bytes *values,
                         weir_table table, struct weir_bytes key)
{
    append(found, " ", found->size > 0);
    for (uint32_t field = 0; field < fields; field++) {
        append(found, "|", field > 0);
        append(found, values[field].data, values[field].size);
    }
    append(found, ":", 1);
    if (table != 0) {
        char number[16];
        append(found, number,
               (size_t)snprintf(number, sizeof number, "%lu/", (unsigned long)table));
    }
    append(found, key.data, key.size);
    found->count++;
}

static uint32_t fields_found;

int collect(void *context, const struct weir_bytes *values, weir_table table, struct weir_bytes key)
{
    append_entry(context, fields_found, values, table, key);
    return 0;
}

const char *find(struct index_fixture *fixture, const struct weir_index_query *query)
{
    static struct found found;
    found.size = 0;
    found.count = 0;
    found.text[0] = 0;
    fields_found = fixture->fields;
    assert_int_equal(weir_index_find(fixture->index, query, collect, &found), 0);
    return found.text;
}

const char *find_equal(struct index_fixture *fixture, const char *value)
{
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    struct weir_bytes bytes = bytes_of(value);
    query.values = &bytes;
    query.count = 1;
    return find(fixture, &query);
}

const char *find_prefix(struct index_fixture *fixture, const char *value)
{
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    struct weir_bytes bytes = bytes_of(value);
    query.values = &bytes;
    query.count = 1;
    query.prefix = true;
    return find(fixture, &query);
}

const char *find_range(struct index_fixture *fixture, const char *from, const char *to)
{
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    query.ranged = true;
    query.from = bytes_of(from);
    query.bounded = to != NULL;
    query.to = bytes_of(to != NULL ? to : "");
    return find(fixture, &query);
}

const char *find_all(struct index_fixture *fixture)
{
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    return find(fixture, &query);
}

/* ---- what should be found ---- */

#define FIELDS_MAX 3u
#define LISTED_MAX 4096u

/* A value of a field, or with all fields an entry: by the list alone. */
struct listed {
    struct weir_bytes fields[FIELDS_MAX];
    const struct row *row;
};

struct listing {
    struct weir_bytes values[FIELDS_MAX][16];
    uint32_t counts[FIELDS_MAX];
};

static int note(void *context, uint32_t field, struct weir_bytes text)
{
    struct listing *listing = context;
    if (field < FIELDS_MAX && text.size <= WEIR_INDEX_VALUE_MAX) {
        assert_true(listing->counts[field] < 16);
        listing->values[field][listing->counts[field]++] = text;
    }
    return 0;
}

static int compare_bytes(struct weir_bytes left, struct weir_bytes right)
{
    size_t size = left.size < right.size ? left.size : right.size;
    int order = size > 0 ? memcmp(left.data, right.data, size) : 0;
    return order != 0 ? order : (left.size > right.size) - (left.size < right.size);
}

static int compare_listed(const void *left_context, const void *right_context)
{
    const struct listed *left = left_context;
    const struct listed *right = right_context;
    int order = 0;
    for (uint32_t field = 0; order == 0 && field < FIELDS_MAX; field++) {
        order = compare_bytes(left->fields[field], right->fields[field]);
    }
    if (order == 0 && left->row->table != right->row->table) {
        order = left->row->table < right->row->table ? -1 : 1;
    }
    return order != 0 ? order
                      : compare_bytes((struct weir_bytes){left->row->key, left->row->key_size},
                                      (struct weir_bytes){right->row->key, right->row->key_size});
}

/* Each choice of values, equal ones too. */
static uint32_t list_row(const struct index_fixture *fixture, const struct row *row,
                         struct listed *listed)
{
    struct listing listing = {.counts = {0}};
    struct weir_bytes key = {row->key, row->key_size};
    struct weir_bytes value = {row->value, row->value_size};
    if (extract_fields(NULL, key, value, note, &listing) != 0) {
        return 0;
    }
    for (uint32_t field = fixture->fields; field < FIELDS_MAX; field++) {
        listing.counts[field] = 1;
        listing.values[field][0] = (struct weir_bytes){"", 0};
    }
    uint32_t count = 0;
    for (uint32_t a = 0; a < listing.counts[0]; a++) {
        for (uint32_t b = 0; b < listing.counts[1]; b++) {
            for (uint32_t c = 0; c < listing.counts[2]; c++) {
                listed[count++] = (struct listed){
                    .fields = {listing.values[0][a], listing.values[1][b], listing.values[2][c]},
                    .row = row};
            }
        }
    }
    return count;
}

const char *expected_all(const struct index_fixture *fixture)
{
    static struct found expected;
    static struct listed listed[LISTED_MAX];
    uint32_t count = 0;
    for (uint32_t at = 0; at < fixture->row_count; at++) {
        if (fixture->rows[at].present) {
            assert_true(count + 64 < LISTED_MAX);
            count += list_row(fixture, &fixture->rows[at], listed + count);
        }
    }
    qsort(listed, count, sizeof *listed, compare_listed);
    expected.size = 0;
    expected.text[0] = 0;
    for (uint32_t at = 0; at < count; at++) {
        if (at == 0 || compare_listed(&listed[at - 1], &listed[at]) != 0) {
            append_entry(&expected, fixture->fields, listed[at].fields, listed[at].row->table,
                         (struct weir_bytes){listed[at].row->key, listed[at].row->key_size});
        }
    }
    return expected.text;
}

/* ---- numbers ---- */

struct weir_index_status status_of(struct weir_index *index)
{
    struct weir_index_status status = WEIR_INDEX_STATUS_INIT;
    assert_int_equal(weir_index_stat(index, &status), 0);
    return status;
}

void expect_counts(struct index_fixture *fixture, uint64_t rows, uint64_t values, uint64_t entries)
{
    struct weir_index_status status = status_of(fixture->index);
    assert_int_equal(status.rows, rows);
    assert_int_equal(status.values, values);
    assert_int_equal(status.entries, entries);
}

void fingerprint_of(struct weir_index *index, uint8_t ret_fingerprint[16])
{
    weir_index_ops()->fingerprint(index, ret_fingerprint);
}
