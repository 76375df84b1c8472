/*
 * Full text under random work, against a model that splits and counts the plain way; and what a
 * state file can say, and what happens without memory.
 */
#include "text_support.h"

#include "base/alloc.h"
#include "base/random.h"

#include <errno.h>
#include <math.h>

#define ROWS 600u
#define STEPS 6000u
#define VALUE_MAX 256

/* ---- the model ---- */

struct model {
    struct base_prng prng;
    char *values[ROWS]; /* NULL: there is none */
};

static void name_row(uint32_t row, weir_table *ret_table, char *ret_key)
{
    *ret_table = row % 3 == 0 ? 5 : 0;
    snprintf(ret_key, 32, "key%u", row * 37 % 1000);
}

static const char *draw_word(struct model *model)
{
    static const char *const words[] = {
        "a",     "the",  "of",    "mail",  "mailer", "mails", "server", "serve", "x1",    "x2",
        "x3",    "x11",  "x12",   "under", "under_", "log",   "logs",   "index", "view",  "text",
        "query", "rank", "score", "heap",  "tree",   "trie",  "byte",   "word",  "words", "wordy",
    };
    uint64_t most = 1 + base_prng_below(&model->prng, COUNT_OF(words));
    return words[base_prng_below(&model->prng, most)];
}

static char *draw_value(struct model *model)
{
    char *value = malloc(VALUE_MAX);
    size_t used = 0;
    uint64_t count = base_prng_below(&model->prng, 30);
    assert_non_null(value);
    value[0] = 0;
    for (uint64_t i = 0; i < count; i++) {
        used += (size_t)snprintf(value + used, VALUE_MAX - used, "%s ", draw_word(model));
    }
    return value;
}

/* How often a term is in a value; with a star at its end, how often a word begins with it. */
static uint32_t count_term(const char *value, const char *term, uint32_t *ret_length)
{
    size_t size = strlen(term);
    bool prefix = size > 0 && term[size - 1] == '*';
    uint32_t count = 0;
    size -= prefix;
    *ret_length = 0;
    while (*value != 0) {
        size_t word = strcspn(value, " ");
        *ret_length += 1;
        count += (prefix ? word >= size : word == size) && memcmp(value, term, size) == 0;
        value += word + 1;
    }
    return count;
}

struct counts {
    double rows, tokens;
    double with[8];
};

static struct counts count_all(const struct model *model, char terms[8][32], unsigned term_count)
{
    struct counts counts = {0};
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t length = 0;
        for (unsigned i = 0; i < term_count && model->values[row] != NULL; i++) {
            counts.with[i] += count_term(model->values[row], terms[i], &length) > 0 ? 1 : 0;
        }
        counts.rows += length > 0 ? 1 : 0;
        counts.tokens += length;
    }
    return counts;
}

static void check_query(struct model *model, struct weir_text *text)
{
    static struct found found;
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    char terms[8][32], joined[300] = "";
    unsigned term_count = 1 + (unsigned)base_prng_below(&model->prng, 4);
    for (unsigned i = 0; i < term_count; i++) {
        bool again = true;
        while (again) {
            bool prefix = base_prng_below(&model->prng, 3) == 0;
            snprintf(terms[i], sizeof terms[i], "%s%s", draw_word(model), prefix ? "*" : "");
            again = false;
            for (unsigned j = 0; j < i; j++) {
                again = again || strcmp(terms[i], terms[j]) == 0;
            }
        }
        strcat(strcat(joined, terms[i]), " ");
    }
    query.any = base_prng_below(&model->prng, 2) == 0;
    query.ranked = base_prng_below(&model->prng, 2) == 0;
    assert_int_equal(find(text, query, joined, &found), 0);
    struct counts counts = count_all(model, terms, term_count);
    uint32_t expected = 0;
    for (uint32_t row = 0; row < ROWS; row++) {
        weir_table table;
        char key[32];
        unsigned hits = 0;
        double score = 0;
        for (unsigned i = 0; i < term_count && model->values[row] != NULL; i++) {
            uint32_t length;
            double f = count_term(model->values[row], terms[i], &length);
            double idf = log(1 + (counts.rows - counts.with[i] + 0.5) / (counts.with[i] + 0.5));
            double average = counts.tokens / counts.rows;
            hits += f > 0;
            score += idf * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * length / average));
        }
        if (query.any ? hits == 0 : hits < term_count) {
            continue;
        }
        name_row(row, &table, key);
        uint32_t at = 0;
        while (at < found.count &&
               (found.rows[at].table != table || strcmp(found.rows[at].key, key) != 0)) {
            at++;
        }
        assert_true(at < found.count);
        assert_true(fabs(found.rows[at].score - (query.ranked ? score : 0)) < 1e-9);
        expected++;
    }
    assert_int_equal(found.count, expected);
    for (uint32_t i = 1; i < found.count; i++) {
        double left = found.rows[i - 1].score, right = found.rows[i].score;
        int tables = (int)found.rows[i - 1].table - (int)found.rows[i].table;
        assert_true(left >= right);
        assert_true(left > right || tables < 0 ||
                    (tables == 0 && strcmp(found.rows[i - 1].key, found.rows[i].key) < 0));
    }
}

/* Changes a row at random: what it had is freed. */
static void step(struct model *model, struct weir_text *text)
{
    uint32_t row = (uint32_t)base_prng_below(&model->prng, ROWS);
    bool removes = model->values[row] != NULL && base_prng_below(&model->prng, 3) == 0;
    char *after = removes ? NULL : draw_value(model);
    weir_table table;
    char key[32];
    name_row(row, &table, key);
    assert_int_equal(change(text, table, key, model->values[row], after), 0);
    free(model->values[row]);
    model->values[row] = after;
}

static struct weir_text *rebuild(const struct model *model)
{
    struct weir_text *text = make_text(NULL);
    for (uint32_t row = ROWS; row-- > 0;) {
        weir_table table;
        char key[32];
        name_row(row, &table, key);
        if (model->values[row] != NULL) {
            assert_int_equal(change(text, table, key, NULL, model->values[row]), 0);
        }
    }
    return text;
}

static void empty_model(struct model *model, struct weir_text *text)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        weir_table table;
        char key[32];
        name_row(row, &table, key);
        if (model->values[row] != NULL) {
            assert_int_equal(change(text, table, key, model->values[row], NULL), 0);
        }
        free(model->values[row]);
        model->values[row] = NULL;
    }
}

static void ds_30_random_rows_are_found_as_a_plain_search_finds_them(void **state)
{
    struct model model = {0};
    struct weir_text *text = make_text(NULL);
    (void)state;
    base_prng_seed(&model.prng, 1);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&model, text);
        if (i % 10 == 0) {
            check_query(&model, text);
        }
    }
    empty_model(&model, text);
    struct weir_text_status status = status_of(text);
    assert_int_equal(status.rows + status.words + status.tokens + status.postings, 0);
    weir_text_free(text);
}

static void ds_02_a_state_rebuilt_or_loaded_is_the_state_that_was(void **state)
{
    struct model model = {0};
    struct weir_text *text = make_text(NULL);
    (void)state;
    base_prng_seed(&model.prng, 2);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&model, text);
        if (i % 500 != 499) {
            continue;
        }
        struct weir_text *other = rebuild(&model);
        struct memory_state saved;
        expect_equal(text, other);
        assert_int_equal(save_text(text, &saved), 0);
        assert_int_equal(load_text(other, &saved), 0);
        expect_equal(text, other);
        memory_state_free(&saved);
        weir_text_free(text); /* and go on with the one that was loaded */
        text = other;
        check_query(&model, text);
    }
    empty_model(&model, text);
    weir_text_free(text);
}

/* ---- without memory ---- */

static struct weir_text *make_some(void)
{
    struct weir_text *text = make_text(NULL);
    assert_int_equal(change(text, 0, "a", NULL, "one two two three"), 0);
    for (unsigned i = 0; i < 600; i++) { /* some words in very many rows */
        char key[16];
        snprintf(key, sizeof key, "row%u", i);
        assert_int_equal(change(text, 0, key, NULL, i % 2 == 0 ? "many even even" : "many"), 0);
    }
    return text;
}

static void ds_30_an_event_that_finds_no_memory_changes_nothing(void **state)
{
    static const struct {
        const char *key, *before, *after;
    } events[] = {
        {"b", NULL, "many four four five five five one"},
        {"a", "one two two three", "two two two two two six even seven"},
        {"row77", "many", "many even even even even"},
        {"row79", "many", "many many many many many many many many many even even even even"},
        {"row78", "many even even", "even even"},
        {"row80", "not what it was", "even eight"},
        {"a", "one two two three", NULL},
    };
    unsigned failed = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        for (uint64_t nth = 1;; nth++) {
            struct weir_text *text = make_some();
            struct weir_text *twin = make_some();
            fail_allocation(nth, true);
            int rc = change(text, 0, events[i].key, events[i].before, events[i].after);
            bool struck = stop_failing() >= nth;
            if (rc < 0) {
                assert_int_equal(rc, -ENOMEM);
                expect_equal(text, twin);
                rc = change(text, 0, events[i].key, events[i].before, events[i].after);
                failed++;
            }
            assert_int_equal(rc, 0);
            assert_int_equal(change(twin, 0, events[i].key, events[i].before, events[i].after), 0);
            expect_equal(text, twin);
            weir_text_free(twin);
            weir_text_free(text);
            if (!struck) {
                break;
            }
        }
    }
    assert_true(failed >= 8);
}

/* A document with more words than any before: all of its own room has to be made. */
static void ds_30_a_long_document_that_finds_no_memory_changes_nothing(void **state)
{
    struct weir_text *twin = make_some();
    static char value[20000];
    size_t used = 0;
    (void)state;
    for (unsigned i = 0; i < 1500; i++) {
        used += (size_t)snprintf(value + used, sizeof value - used, "w%u ", i);
    }
    for (uint64_t nth = 1;; nth++) {
        struct weir_text *text = make_some();
        fail_allocation(nth, true);
        int rc = change(text, 0, "long", NULL, value);
        uint64_t count = stop_failing();
        if (count < nth) {
            assert_int_equal(rc, 0);
            assert_true(nth > 20);
            weir_text_free(text);
            break;
        }
        assert_int_equal(rc, -ENOMEM);
        expect_equal(text, twin);
        assert_int_equal(change(text, 0, "long", NULL, value), 0);
        assert_int_equal(change(text, 0, "long", value, NULL), 0);
        expect_equal(text, twin);
        weir_text_free(text);
    }
    weir_text_free(twin);
}

static void ds_30_a_query_that_finds_no_memory_says_so(void **state)
{
    static const char *const terms[] = {"even many", "ma* even", "e* m*", "o* tw*", "three"};
    static struct found found, expected;
    struct weir_text *text = make_some();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(terms) * 4; i++) {
        struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
        query.any = i % 2 != 0;
        query.ranked = i / 2 % 2 != 0;
        assert_int_equal(find(text, query, terms[i / 4], &expected), 0);
        for (uint64_t nth = 1;; nth++) {
            /* New rows and words, so that the orders are to be made again. */
            assert_int_equal(change(text, 0, "new", NULL, "z1 z2"), 0);
            assert_int_equal(change(text, 0, "new", "z1 z2", NULL), 0);
            fail_allocation(nth, false);
            int rc = find(text, query, terms[i / 4], &found);
            if (stop_failing() < nth) {
                assert_int_equal(rc, 0);
                break;
            }
            if (rc < 0) {
                assert_int_equal(rc, -ENOMEM);
                assert_int_equal(found.count, 0);
            }
        }
        assert_int_equal(found.count, expected.count);
        assert_memory_equal(found.rows, expected.rows, found.count * sizeof found.rows[0]);
    }
    weir_text_free(text);
}

static void ds_02_saving_and_loading_without_memory_fail_and_leave_nothing_behind(void **state)
{
    struct weir_text *text = make_some();
    struct weir_text *other = make_text(NULL);
    struct weir_text *empty = make_text(NULL);
    struct memory_state saved, none;
    (void)state;
    assert_int_equal(save_text(text, &saved), 0);
    uint64_t in_use = base_alloc_in_use();
    for (uint64_t nth = 1;; nth++) {
        fail_allocation(nth, false);
        int rc = load_text(other, &saved);
        if (stop_failing() < nth) {
            assert_int_equal(rc, 0);
            assert_true(nth > 10);
            break;
        }
        if (rc == 0) { /* it could do with less */
            weir_text_ops()->reset(other);
            continue;
        }
        assert_int_equal(rc, -ENOMEM);
        expect_equal(other, empty);
        assert_int_equal(base_alloc_in_use(), in_use);
    }
    expect_equal(text, other);
    fail_allocation(1, false);
    assert_int_equal(save_text(text, &none), -ENOMEM);
    (void)stop_failing();
    none = (struct memory_state){.write_error = -EIO};
    assert_int_equal(weir_text_ops()->save(text, memory_state_writer(&none)), -EIO);
    memory_state_free(&saved);
    weir_text_free(empty);
    weir_text_free(other);
    weir_text_free(text);
}

/* ---- states that lie ---- */

static void ds_02_a_state_that_is_cut_or_longer_is_refused(void **state)
{
    struct weir_text *text = make_some();
    struct weir_text *other = make_text(NULL);
    struct weir_text *empty = make_text(NULL);
    struct memory_state saved;
    (void)state;
    assert_int_equal(save_text(text, &saved), 0);
    size_t size = saved.size;
    for (saved.size = 0; saved.size < size; saved.size++) {
        assert_int_equal(load_text(other, &saved), WEIR_E_STATE);
    }
    expect_equal(other, empty);
    uint8_t more = 0;
    assert_int_equal(weir_state_write(memory_state_writer(&saved), &more, 1), 0);
    assert_int_equal(load_text(other, &saved), WEIR_E_STATE);
    saved.size = size;
    assert_int_equal(load_text(other, &saved), 0);
    expect_equal(other, text);
    memory_state_free(&saved);
    weir_text_free(empty);
    weir_text_free(other);
    weir_text_free(text);
}

static void ds_02_a_state_with_a_changed_byte_is_refused_or_is_a_state(void **state)
{
    struct weir_text *text = make_text(NULL);
    struct weir_text *other = make_text(NULL);
    struct memory_state saved;
    unsigned refused = 0;
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "one two two three"), 0);
    assert_int_equal(change(text, 1, "b", NULL, "two three three three"), 0);
    assert_int_equal(change(text, 1, "gap", NULL, "three"), 0);
    assert_int_equal(change(text, 1, "c", NULL, "one two"), 0);
    assert_int_equal(change(text, 1, "gap", "three", NULL), 0);
    assert_int_equal(save_text(text, &saved), 0);
    for (size_t at = 0; at < saved.size; at++) {
        uint8_t was = saved.data[at];
        for (unsigned value = 0; value < 256; value++) {
            saved.data[at] = (uint8_t)value;
            int rc = load_text(other, &saved);
            assert_true(rc == 0 || rc == WEIR_E_STATE);
            refused += rc < 0;
            if (rc == 0) { /* it is whole: rows can be taken out of it until nothing is left */
                (void)all_of(other, "t* one*");
                (void)best_of(other, "three two");
                assert_int_equal(change(other, 0, "a", "?", "x y"), 0);
                assert_int_equal(change(other, 1, "b", "two three three three", NULL), 0);
                assert_int_equal(change(other, 0, "a", "x y", NULL), 0);
            }
        }
        saved.data[at] = was;
    }
    assert_true(refused > saved.size * 100);
    memory_state_free(&saved);
    weir_text_free(other);
    weir_text_free(text);
}

static void ds_02_a_state_of_another_stemmer_is_refused(void **state)
{
    struct weir_text *plain = make_text(NULL);
    struct weir_text *english = make_text("english");
    struct weir_text *german = make_text("german");
    struct memory_state saved;
    (void)state;
    assert_int_equal(change(english, 0, "a", NULL, "servers"), 0);
    assert_int_equal(save_text(english, &saved), 0);
    assert_int_equal(load_text(plain, &saved), WEIR_E_STATE);
    assert_int_equal(load_text(german, &saved), WEIR_E_STATE);
    assert_int_equal(load_text(english, &saved), 0);
    assert_string_equal(all_of(english, "server"), "0/a");
    memory_state_free(&saved);
    weir_text_free(german);
    weir_text_free(english);
    weir_text_free(plain);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_30_random_rows_are_found_as_a_plain_search_finds_them),
        cmocka_unit_test(ds_02_a_state_rebuilt_or_loaded_is_the_state_that_was),
        cmocka_unit_test(ds_30_an_event_that_finds_no_memory_changes_nothing),
        cmocka_unit_test(ds_30_a_long_document_that_finds_no_memory_changes_nothing),
        cmocka_unit_test(ds_30_a_query_that_finds_no_memory_says_so),
        cmocka_unit_test(ds_02_saving_and_loading_without_memory_fail_and_leave_nothing_behind),
        cmocka_unit_test(ds_02_a_state_that_is_cut_or_longer_is_refused),
        cmocka_unit_test(ds_02_a_state_with_a_changed_byte_is_refused_or_is_a_state),
        cmocka_unit_test(ds_02_a_state_of_another_stemmer_is_refused),
    };
    return RUN_TESTS(tests, argc, argv);
}
