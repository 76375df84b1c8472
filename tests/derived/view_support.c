#include "tests/derived/view_support.h"

#include "base/text.h"

#include <inttypes.h>

/* ---- opening ---- */

struct weir_materialized_view *make_twin(const struct fixture *fixture)
{
    struct weir_materialized_view *view = NULL;
    assert_int_equal(weir_view_create(&fixture->options, &view), 0);
    return view;
}

void open_view(struct fixture *fixture, uint32_t aggregates)
{
    static const char *const paths[] = {"g", "n"};
    *fixture = (struct fixture){.options = WEIR_VIEW_OPTIONS_INIT};
    assert_int_equal(weir_json_fields_create(paths, COUNT_OF(paths), &fixture->fields), 0);
    fixture->options.aggregates = aggregates;
    fixture->options.extract = weir_json_extract;
    fixture->options.extract_context = fixture->fields;
    fixture->view = make_twin(fixture);
}

void open_view_again(struct fixture *fixture)
{
    weir_view_free(fixture->view);
    fixture->view = make_twin(fixture);
}

void close_view(struct fixture *fixture)
{
    weir_view_free(fixture->view);
    weir_json_fields_free(fixture->fields);
    for (size_t index = 0; index < fixture->count; index++) {
        free(fixture->rows[index].value);
    }
}

/* ---- events ---- */

int apply(struct weir_materialized_view *view, const struct weir_event *event)
{
    return weir_view_ops()->apply(view, event);
}

static size_t find_row(const struct fixture *fixture, weir_table table, const char *key)
{
    size_t index = 0;
    while (index < fixture->count &&
           (fixture->rows[index].table != table || strcmp(fixture->rows[index].key, key) != 0)) {
        index++;
    }
    return index;
}

static void change_row(struct fixture *fixture, size_t index, weir_table table, const char *key,
                       const char *value)
{
    struct row *row = &fixture->rows[index];
    if (index == fixture->count) {
        assert_true(fixture->count < ROWS_MAX && strlen(key) < sizeof row->key);
        *row = (struct row){.table = table};
        snprintf(row->key, sizeof row->key, "%s", key);
        fixture->count++;
    }
    free(row->value);
    row->value = NULL;
    if (value != NULL) {
        row->value = strdup(value);
        assert_non_null(row->value);
    } else {
        *row = fixture->rows[--fixture->count];
    }
}

int try_put_in(struct fixture *fixture, weir_table table, const char *key, const char *value)
{
    size_t index = find_row(fixture, table, key);
    bool there = index < fixture->count;
    if (!there && value == NULL) {
        return 0;
    }
    struct weir_event event = {
        .lsn = fixture->lsn + 1,
        .table = table,
        .operation = value == NULL ? WEIR_REMOVE
                     : there       ? WEIR_UPDATE
                                   : WEIR_INSERT,
        .key = bytes_of(key),
    };
    if (there) {
        event.before = bytes_of(fixture->rows[index].value);
    }
    if (value != NULL) {
        event.after = bytes_of(value);
    }
    int rc = apply(fixture->view, &event);
    if (rc == 0) {
        fixture->lsn++;
        change_row(fixture, index, table, key, value);
    }
    return rc;
}

void put_in(struct fixture *fixture, weir_table table, const char *key, const char *value)
{
    assert_int_equal(try_put_in(fixture, table, key, value), 0);
}

void put(struct fixture *fixture, const char *key, const char *value)
{
    put_in(fixture, 0, key, value);
}

void erase(struct fixture *fixture, const char *key)
{
    put_in(fixture, 0, key, NULL);
}

void apply_rows(const struct fixture *fixture, struct weir_materialized_view *view)
{
    for (size_t index = fixture->count; index > 0; index--) {
        const struct row *row = &fixture->rows[index - 1];
        struct weir_event event = {
            .lsn = index,
            .table = row->table,
            .operation = WEIR_INSERT,
            .state = true,
            .key = bytes_of(row->key),
            .after = bytes_of(row->value),
        };
        assert_int_equal(apply(view, &event), 0);
    }
}

/* ---- what it says ---- */

struct printing {
    char line[8192];
    struct base_text text;
    uint32_t aggregates;
};

static void begin(struct printing *printing)
{
    base_text_init(&printing->text, printing->line, sizeof printing->line);
}

static void print_decimal(struct printing *printing, uint32_t aggregate, const char *name,
                          struct weir_decimal decimal)
{
    char digits[WEIR_DECIMAL_TEXT_MAX];
    weir_decimal_format(decimal, digits);
    if ((printing->aggregates & aggregate) != 0) {
        base_text_append_format(&printing->text, ", %s %s", name, digits);
    } else {
        assert_true(decimal.high == 0 && decimal.low == 0);
    }
}

static int print_group(void *context, const struct weir_view_group *group)
{
    struct printing *printing = context;
    base_text_append_format(&printing->text, "%s%.*s: %" PRIu64 " row%s, %" PRIu64 " number%s",
                            printing->text.length > 0 ? "; " : "", (int)group->group.size,
                            (const char *)group->group.data, group->count,
                            group->count == 1 ? "" : "s", group->numbers,
                            group->numbers == 1 ? "" : "s");
    print_decimal(printing, WEIR_VIEW_SUM, "sum", group->sum);
    print_decimal(printing, WEIR_VIEW_MIN, "min", group->min);
    print_decimal(printing, WEIR_VIEW_MAX, "max", group->max);
    return 0;
}

void expect_groups(struct fixture *fixture, const char *expected)
{
    struct printing printing = {.aggregates = fixture->options.aggregates};
    begin(&printing);
    assert_int_equal(weir_view_each(fixture->view, bytes_of(""), print_group, &printing), 0);
    assert_string_equal(printing.line, expected);
}

static int print_row(void *context, weir_table table, struct weir_bytes key, struct weir_bytes text)
{
    struct printing *printing = context;
    base_text_append(&printing->text, printing->text.length > 0 ? " " : "");
    if (table != 0) {
        base_text_append_format(&printing->text, "%u/", table);
    }
    base_text_append_bytes(&printing->text, key.data, key.size);
    base_text_append(&printing->text, "=");
    base_text_append_bytes(&printing->text, text.data, text.size);
    return 0;
}

void expect_list(struct fixture *fixture, const char *group, const char *expected)
{
    struct printing printing;
    begin(&printing);
    assert_int_equal(weir_view_list(fixture->view, bytes_of(group), print_row, &printing), 0);
    assert_string_equal(printing.line, expected);
}

void expect_skipped(struct fixture *fixture, uint64_t documents, uint64_t numbers, uint64_t groups)
{
    struct weir_view_status status = WEIR_VIEW_STATUS_INIT;
    assert_int_equal(weir_view_stat(fixture->view, &status), 0);
    assert_int_equal(status.skipped_documents, documents);
    assert_int_equal(status.skipped_numbers, numbers);
    assert_int_equal(status.skipped_groups, groups);
}

/* ---- fingerprints, states ---- */

struct fingerprint fingerprint_of(struct weir_materialized_view *view)
{
    struct fingerprint fingerprint;
    weir_view_ops()->fingerprint(view, fingerprint.bytes);
    return fingerprint;
}

bool are_same(struct fingerprint left, struct fingerprint right)
{
    return memcmp(left.bytes, right.bytes, sizeof left.bytes) == 0;
}

struct entries {
    struct fingerprint sum;
    char texts[64][80]; /* the beginnings; a name may have zeros in it */
    size_t sizes[64];
    size_t count;
};

static int add_entry(void *context, const struct weir_system_entry *entry)
{
    struct entries *entries = context;
    unsigned carry = 0;
    for (size_t index = 0; index < sizeof entry->hash; index++) {
        carry += (unsigned)entries->sum.bytes[index] + entry->hash[index];
        entries->sum.bytes[index] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(entry->key.size, 0);
    if (entries->count < COUNT_OF(entries->texts) && entry->text.size <= sizeof *entries->texts) {
        for (size_t index = 0; index < entries->count; index++) {
            assert_false(entries->sizes[index] == entry->text.size &&
                         memcmp(entries->texts[index], entry->text.data, entry->text.size) == 0);
        }
        memcpy(entries->texts[entries->count], entry->text.data, entry->text.size);
        entries->sizes[entries->count] = entry->text.size;
    }
    entries->count++;
    return 0;
}

void check_entries(struct weir_materialized_view *view)
{
    struct entries entries = {.count = 0};
    struct weir_view_status status = WEIR_VIEW_STATUS_INIT;
    assert_int_equal(weir_view_stat(view, &status), 0);
    bool skips = status.skipped_documents + status.skipped_numbers + status.skipped_groups > 0;
    assert_int_equal(weir_view_ops()->entries(view, add_entry, &entries), 0);
    assert_int_equal(entries.count, status.groups + (skips ? 1 : 0));
    assert_true(are_same(entries.sum, fingerprint_of(view)));
}

void save(struct weir_materialized_view *view, struct memory_state *state)
{
    *state = (struct memory_state){0};
    assert_int_equal(weir_view_ops()->save(view, memory_state_writer(state)), 0);
}

int load(struct weir_materialized_view *view, const struct memory_state *state)
{
    struct weir_state_reader *reader = memory_state_reader(state);
    int rc = weir_view_ops()->load(view, reader);
    weir_state_close(reader);
    return rc;
}
