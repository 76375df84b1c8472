/*
 * Full text, one behaviour at a time.
 */
#include "text_support.h"

#include "base/alloc.h"

#include <errno.h>
#include <math.h>

static void ds_30_one_term_all_terms_any_term(void **state)
{
    struct weir_text *text = make_text(NULL);
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "The quick brown fox"), 0);
    assert_int_equal(change(text, 0, "b", NULL, "the lazy DOG"), 0);
    assert_int_equal(change(text, 0, "c", NULL, "quick dog; quick!"), 0);
    assert_string_equal(all_of(text, "quick"), "0/a 0/c");
    assert_string_equal(all_of(text, "QUICK"), "0/a 0/c");
    assert_string_equal(all_of(text, "quick dog"), "0/c");
    assert_string_equal(all_of(text, "dog quick"), "0/c");
    assert_string_equal(all_of(text, "dog, the"), "0/b");
    assert_string_equal(all_of(text, "quick dog the"), "");
    assert_string_equal(all_of(text, "quick cat"), "");
    assert_string_equal(any_of(text, "quick cat"), "0/a 0/c");
    assert_string_equal(any_of(text, "fox lazy"), "0/a 0/b");
    assert_string_equal(any_of(text, "fox the quick dog"), "0/a 0/b 0/c");
    assert_string_equal(all_of(text, "qui"), "");
    assert_string_equal(all_of(text, "quickly"), "");
    weir_text_free(text);
}

static void ds_30_terms_are_split_as_texts_are(void **state)
{
    struct weir_text *text = make_text(NULL);
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "a mail-server"), 0);
    assert_int_equal(change(text, 0, "b", NULL, "serve the mail"), 0);
    assert_int_equal(change(text, 0, "c", NULL, "mail_server"), 0);
    assert_string_equal(all_of(text, "mail-server"), "0/a");
    assert_string_equal(all_of(text, "\"server\" (mail)"), "0/a");
    assert_string_equal(all_of(text, "mail_server"), "0/c");
    assert_string_equal(any_of(text, "mail-server"), "0/a 0/b");
    assert_string_equal(all_of(text, "mail\xffserver"), "0/a");
    weir_text_free(text);
}

static void ds_30_without_a_term_there_is_no_row(void **state)
{
    static const char *const none[] = {"", " ", "*", "- *", "\xff", "\xe2\x82"};
    struct weir_text *text = make_text(NULL);
    (void)state;
    assert_string_equal(all_of(text, "anything"), "");
    assert_string_equal(all_of(text, "any*"), "");
    assert_int_equal(change(text, 0, "a", NULL, "a b c"), 0);
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        assert_string_equal(all_of(text, none[i]), "");
        assert_string_equal(any_of(text, none[i]), "");
        assert_string_equal(best_of(text, none[i]), "");
    }
    weir_text_free(text);
}

static void ds_30_a_star_behind_a_word_stands_for_all_that_begin_with_it(void **state)
{
    struct weir_text *text = make_text(NULL);
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "server"), 0);
    assert_int_equal(change(text, 0, "b", NULL, "serve mail"), 0);
    assert_int_equal(change(text, 0, "c", NULL, "ser mail"), 0);
    assert_int_equal(change(text, 0, "d", NULL, "\xc3\xa9t\xc3\xa9 mailing"), 0);
    assert_string_equal(all_of(text, "serv*"), "0/a 0/b");
    assert_string_equal(all_of(text, "SER*"), "0/a 0/b 0/c");
    assert_string_equal(all_of(text, "s*"), "0/a 0/b 0/c");
    assert_string_equal(all_of(text, "server*"), "0/a");
    assert_string_equal(all_of(text, "servers*"), "");
    assert_string_equal(all_of(text, "ser* mail"), "0/b 0/c");
    assert_string_equal(all_of(text, "ser* mai*"), "0/b 0/c");
    assert_string_equal(all_of(text, "ser* mailing*"), "");
    assert_string_equal(any_of(text, "serv* mail*"), "0/a 0/b 0/c 0/d");
    assert_string_equal(all_of(text, "\xc3\x89*"), "0/d");
    assert_string_equal(all_of(text, "serv *"), ""); /* behind a space it is nothing */
    assert_string_equal(all_of(text, "*server"), "0/a");
    assert_string_equal(all_of(text, "ser*mail"), "0/b 0/c");
    weir_text_free(text);
}

static void ds_30_update_and_delete_remove_old_words(void **state)
{
    struct weir_text *text = make_text(NULL);
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "one two two three"), 0);
    assert_int_equal(change(text, 0, "b", NULL, "two four"), 0);
    assert_int_equal(status_of(text).words, 4);
    assert_int_equal(change(text, 0, "a", "one two two three", "two five"), 0);
    assert_string_equal(all_of(text, "one"), "");
    assert_string_equal(all_of(text, "three"), "");
    assert_string_equal(all_of(text, "two"), "0/a 0/b");
    assert_string_equal(all_of(text, "five"), "0/a");
    struct weir_text_status status = status_of(text);
    assert_int_equal(status.rows, 2);
    assert_int_equal(status.words, 3);
    assert_int_equal(status.tokens, 4);
    assert_int_equal(status.postings, 4);
    assert_int_equal(change(text, 0, "a", "two five", NULL), 0);
    assert_string_equal(all_of(text, "two"), "0/b");
    assert_string_equal(any_of(text, "one two three five"), "0/b");
    assert_int_equal(change(text, 0, "b", "two four", ""), 0); /* a row without words */
    struct weir_text *empty = make_text(NULL);
    expect_equal(text, empty);
    assert_int_equal(change(text, 0, "b", "", NULL), 0);
    expect_equal(text, empty);
    weir_text_free(empty);
    weir_text_free(text);
}

static void ds_30_an_update_of_something_else_changes_no_word_and_allocates_nothing(void **state)
{
    struct weir_text *text = make_text(NULL);
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "one two two three"), 0);
    assert_int_equal(change(text, 0, "a", "one two two three", "three, two, one. Two!"), 0);
    uint64_t allocations = base_alloc_count();
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(change(text, 0, "a", "three, two, one. Two!", "one two two three"), 0);
        assert_int_equal(change(text, 0, "a", "one two two three", "three, two, one. Two!"), 0);
    }
    assert_int_equal(base_alloc_count(), allocations);
    assert_int_equal(status_of(text).tokens, 4);
    weir_text_free(text);
}

static void ds_30_results_come_in_order_of_table_then_key(void **state)
{
    struct weir_text *text = make_text(NULL);
    (void)state;
    static const char *const keys[] = {"b", "ab", "a", "abc", "\xff", "aa", "Z"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        assert_int_equal(change(text, 7, keys[i], NULL, "x"), 0);
        assert_int_equal(change(text, 256, keys[i], NULL, "x y"), 0);
    }
    assert_int_equal(change(text, 0, "zz", NULL, "x"), 0);
    const char *sorted = "0/zz 7/Z 7/a 7/aa 7/ab 7/abc 7/b 7/\xff 256/Z 256/a 256/aa 256/ab "
                         "256/abc 256/b 256/\xff";
    assert_string_equal(all_of(text, "x"), sorted);
    /* Found among many that are not, they are sorted and not read off. */
    for (unsigned i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "other%u", i);
        assert_int_equal(change(text, 1, key, NULL, "z"), 0);
    }
    assert_string_equal(all_of(text, "x"), sorted);
    assert_string_equal(all_of(text, "y x"), "256/Z 256/a 256/aa 256/ab 256/abc 256/b 256/\xff");
    weir_text_free(text);
}

static double bm25(double rows, double with, double frequency, double length, double average)
{
    double idf = log(1 + (rows - with + 0.5) / (with + 0.5));
    return idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / average));
}

static void ds_30_ranked_results_have_the_scores_of_bm25_best_first(void **state)
{
    struct weir_text *text = make_text(NULL);
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    static struct found found;
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "cat cat cat dog"), 0);
    assert_int_equal(change(text, 0, "b", NULL, "cat"), 0);
    assert_int_equal(change(text, 0, "c", NULL, "dog dogs bird bird fish"), 0);
    query.ranked = true;
    query.any = true;
    assert_int_equal(find(text, query, "cat dog cat", &found), 0);
    double average = 10.0 / 3;
    double a = bm25(3, 2, 3, 4, average) + bm25(3, 2, 1, 4, average);
    double b = bm25(3, 2, 1, 1, average);
    double c = bm25(3, 2, 1, 5, average);
    assert_int_equal(found.count, 3);
    assert_string_equal(best_of(text, "cat dog cat"), "0/a 0/b 0/c");
    assert_true(fabs(found.rows[0].score - a) < 1e-12);
    assert_true(fabs(found.rows[1].score - b) < 1e-12);
    assert_true(fabs(found.rows[2].score - c) < 1e-12);
    /* A prefix is one term: rows with any of its words, all of them counted. */
    assert_int_equal(find(text, query, "dog*", &found), 0);
    assert_int_equal(found.count, 2);
    assert_true(fabs(found.rows[0].score - bm25(3, 2, 2, 5, average)) < 1e-12);
    assert_true(fabs(found.rows[1].score - bm25(3, 2, 1, 4, average)) < 1e-12);
    query.ranked = false;
    assert_int_equal(find(text, query, "dog", &found), 0);
    assert_true(found.rows[0].score == 0);
    weir_text_free(text);
}

static void ds_30_equal_scores_come_in_order_of_table_then_key(void **state)
{
    struct weir_text *text = make_text(NULL);
    (void)state;
    assert_int_equal(change(text, 2, "a", NULL, "same words"), 0);
    assert_int_equal(change(text, 0, "c", NULL, "words same"), 0);
    assert_int_equal(change(text, 0, "d", NULL, "same"), 0);
    assert_int_equal(change(text, 0, "b", NULL, "same words"), 0);
    assert_string_equal(best_of(text, "same"), "0/d 0/b 0/c 2/a");
    weir_text_free(text);
}

static void ds_30_a_limit_gives_the_first_ones(void **state)
{
    struct weir_text *text = make_text(NULL);
    static struct found full, found;
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        char key[16], value[64];
        snprintf(key, sizeof key, "%u", i * 7919 % 1000);
        snprintf(value, sizeof value, "%s %s %s", i % 3 == 0 ? "one one" : "two", "all",
                 i % 29 == 0 ? "rare" : "pad pad");
        assert_int_equal(change(text, i % 2, key, NULL, value), 0);
    }
    static const char *const terms[] = {"all", "one", "rare", "on* rare", "one two rare"};
    for (size_t i = 0; i < COUNT_OF(terms) * 4; i++) {
        struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
        query.any = i % 2 != 0;
        query.ranked = i / 2 % 2 != 0;
        assert_int_equal(find(text, query, terms[i / 4], &full), 0);
        for (query.limit = 1; query.limit < full.count + 2; query.limit++) {
            assert_int_equal(find(text, query, terms[i / 4], &found), 0);
            assert_int_equal(found.count, query.limit < full.count ? query.limit : full.count);
            assert_memory_equal(found.rows, full.rows, found.count * sizeof found.rows[0]);
        }
    }
    weir_text_free(text);
}

static void ds_30_the_fields_of_a_row_are_one_text_and_words_end_with_a_field(void **state)
{
    struct weir_text *text = make_text(NULL);
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "mail|server mail"), 0);
    assert_string_equal(all_of(text, "mail server"), "0/a");
    assert_string_equal(all_of(text, "mailserver"), "");
    assert_int_equal(status_of(text).tokens, 3);
    assert_int_equal(status_of(text).postings, 2);
    assert_int_equal(change(text, 0, "a", "mail|server mail", "server|mail"), 0);
    assert_int_equal(status_of(text).tokens, 2);
    weir_text_free(text);
}

static void ds_30_rows_that_are_no_documents_are_counted_as_long_as_they_are_there(void **state)
{
    struct weir_text *text = make_text(NULL);
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "!broken"), 0);
    assert_int_equal(change(text, 0, "b", NULL, "whole"), 0);
    assert_int_equal(status_of(text).skipped_documents, 1);
    assert_string_equal(all_of(text, "broken"), "");
    assert_int_equal(change(text, 0, "b", "whole", "!broken too"), 0);
    assert_int_equal(status_of(text).skipped_documents, 2);
    assert_string_equal(all_of(text, "whole"), "");
    assert_int_equal(change(text, 0, "a", "!broken", "mended"), 0);
    assert_int_equal(change(text, 0, "b", "!broken too", NULL), 0);
    assert_int_equal(status_of(text).skipped_documents, 0);
    assert_string_equal(all_of(text, "mended"), "0/a");
    weir_text_free(text);
}

static void ds_30_nothing_is_stemmed_unless_asked(void **state)
{
    struct weir_text *plain = make_text(NULL);
    struct weir_text *english = make_text("english");
    (void)state;
    assert_int_equal(change(plain, 0, "a", NULL, "Running servers"), 0);
    assert_int_equal(change(english, 0, "a", NULL, "Running servers"), 0);
    assert_string_equal(all_of(plain, "run"), "");
    assert_string_equal(all_of(plain, "server"), "");
    assert_string_equal(all_of(english, "run"), "0/a");
    assert_string_equal(all_of(english, "runs SERVER"), "0/a");
    assert_string_equal(all_of(english, "serv*"), "0/a");
    assert_string_equal(all_of(english, "servers*"), ""); /* held against stems as it is */
    assert_int_equal(change(english, 0, "a", "Running servers", "ran"), 0);
    assert_int_equal(status_of(english).words, 1);
    weir_text_free(english);
    weir_text_free(plain);
}

static void ds_30_an_event_that_fails_changes_nothing(void **state)
{
    struct weir_text *text = make_text(NULL);
    struct weir_text *twin = make_text(NULL);
    (void)state;
    assert_int_equal(change(text, 0, "a", NULL, "one two"), 0);
    assert_int_equal(change(twin, 0, "a", NULL, "one two"), 0);
    assert_int_equal(change(text, 0, "b", NULL, "#"), -EBADMSG);
    assert_int_equal(change(text, 0, "a", "one two", "#"), -EBADMSG);
    assert_int_equal(change(text, 0, "a", "#", "three"), -EBADMSG);
    assert_int_equal(change(text, 0, "a", "#", NULL), -EBADMSG);
    expect_equal(text, twin);
    assert_string_equal(all_of(text, "one"), "0/a");
    weir_text_free(twin);
    weir_text_free(text);
}

/* After an event was skipped, what comes before the next one is not what is here. */
static void ds_30_a_before_image_that_is_not_what_is_here_does_no_harm(void **state)
{
    static const struct {
        const char *here, *before, *after;
    } cases[] = {
        {"one two two", "three", "one four"},
        {"one two two", "one two", "two two one"},
        {"one two two", "one two", NULL},
        {"one two two", NULL, "two five"},
        {NULL, "one two", "two"},
        {NULL, "one two", NULL},
        {"one two two", "two one two x", ""},
        {"one", "!one", "one"},
        {"one two two", "two one two", "six"},
        {"one two two", "", "one two two two"},
        {"one two two", "one six six", "three"}, /* as long */
        {"one two two", "one one two", NULL},
        {"one two two", "two six one", "one two"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct weir_text *text = make_text(NULL);
        struct weir_text *twin = make_text(NULL);
        assert_int_equal(change(text, 0, "other", NULL, "one two three four"), 0);
        assert_int_equal(change(twin, 0, "other", NULL, "one two three four"), 0);
        if (cases[i].here != NULL) {
            assert_int_equal(change(text, 0, "a", NULL, cases[i].here), 0);
        }
        assert_int_equal(change(text, 0, "a", cases[i].before, cases[i].after), 0);
        if (cases[i].after != NULL) {
            assert_int_equal(change(twin, 0, "a", NULL, cases[i].after), 0);
        }
        expect_equal(text, twin);
        weir_text_free(twin);
        weir_text_free(text);
    }
}

static void ds_30_a_word_may_come_very_often(void **state)
{
    struct weir_text *text = make_text(NULL);
    struct weir_text *twin = make_text(NULL);
    static char many[70000 * 2 + 1], fewer[40000 * 2 + 1];
    struct memory_state saved;
    (void)state;
    for (size_t i = 0; i < sizeof many - 1; i++) {
        many[i] = i % 2 == 0 ? 'x' : ' ';
    }
    memcpy(fewer, many, sizeof fewer - 1);
    assert_int_equal(change(text, 0, "a", NULL, many), 0);
    assert_int_equal(change(text, 0, "b", NULL, "x y"), 0);
    assert_int_equal(status_of(text).tokens, 70002);
    assert_int_equal(status_of(text).postings, 3);
    assert_int_equal(save_text(text, &saved), 0);
    assert_int_equal(load_text(twin, &saved), 0);
    expect_equal(text, twin);
    assert_int_equal(change(twin, 0, "a", many, fewer), 0);
    assert_int_equal(status_of(twin).tokens, 40002);
    assert_int_equal(change(twin, 0, "a", fewer, "x"), 0);
    assert_int_equal(change(text, 0, "a", many, "x"), 0);
    expect_equal(text, twin);
    memory_state_free(&saved);
    weir_text_free(twin);
    weir_text_free(text);
}

struct entries {
    uint32_t count;
    uint64_t low, high;
    char texts[16][64];
};

static int add_entry(void *context, const struct weir_system_entry *entry)
{
    struct entries *entries = context;
    uint64_t low, high;
    assert_true(entries->count < 16);
    snprintf(entries->texts[entries->count++], 64, "%.*s", (int)entry->text.size,
             (const char *)entry->text.data);
    memcpy(&low, entry->hash, 8);
    memcpy(&high, entry->hash + 8, 8);
    entries->low += low;
    entries->high += high + (entries->low < low ? 1 : 0);
    assert_true(entry->lsn > 0);
    return entries->count == 16 ? 9 : 0;
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* Longer than what is put together on the stack, and nothing was added since the load. */
static void ds_30_a_row_with_a_long_key_is_removed_from_what_was_loaded(void **state)
{
    struct weir_text *text = make_text(NULL);
    struct weir_text *loaded = make_text(NULL);
    struct memory_state saved;
    char key[601];
    (void)state;
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    assert_int_equal(change(text, 0, key, NULL, "apple"), 0);
    assert_int_equal(save_text(text, &saved), 0);
    assert_int_equal(load_text(loaded, &saved), 0);
    assert_int_equal(change(loaded, 0, key, "apple", NULL), 0);
    assert_int_equal(status_of(loaded).rows, 0);
    assert_string_equal(all_of(loaded, "apple"), "");
    memory_state_free(&saved);
    weir_text_free(loaded);
    weir_text_free(text);
}

static void ds_02_entries_have_different_names_and_add_up_to_the_fingerprint(void **state)
{
    static const char *const expected[] = {"news -> a", "news -> apple", "other -> a",
                                           "table 3: news -> apple", "table 3: table -> apple"};
    struct weir_text *text = make_text(NULL);
    struct entries entries = {0};
    uint64_t sum[2];
    (void)state;
    assert_int_equal(change(text, 0, "apple", NULL, "news"), 0);
    assert_int_equal(change(text, 3, "apple", NULL, "news table news"), 0);
    assert_int_equal(change(text, 0, "a", NULL, "other news"), 0);
    assert_int_equal(weir_text_ops()->entries(text, add_entry, &entries), 0);
    assert_int_equal(entries.count, COUNT_OF(expected));
    qsort(entries.texts, entries.count, sizeof entries.texts[0], compare_texts);
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_string_equal(entries.texts[i], expected[i]);
    }
    uint8_t print[16];
    weir_text_ops()->fingerprint(text, print);
    memcpy(sum, print, sizeof sum);
    assert_true(sum[0] == entries.low && sum[1] == entries.high);
    for (unsigned i = 0; i < 20; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(change(text, 0, key, NULL, "x"), 0);
    }
    entries.count = 0;
    assert_int_equal(weir_text_ops()->entries(text, add_entry, &entries), 9);
    weir_text_free(text);
}

static int stop_at_two(void *context, weir_table table, struct weir_bytes key, double score)
{
    unsigned *count = context;
    (void)table;
    (void)key;
    (void)score;
    return ++*count == 2 ? -EINTR : 0;
}

static void ds_30_what_stops_a_query_is_returned(void **state)
{
    struct weir_text *text = make_text(NULL);
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(change(text, 0, key, NULL, "x"), 0);
    }
    query.terms = bytes_of("x");
    for (unsigned i = 0; i < 2; i++) {
        unsigned count = 0;
        query.ranked = i == 1;
        assert_int_equal(weir_text_find(text, &query, stop_at_two, &count), -EINTR);
        assert_int_equal(count, 2);
    }
    weir_text_free(text);
}

static void ds_30_more_terms_than_there_may_be_are_refused(void **state)
{
    struct weir_text *text = make_text(NULL);
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    static char terms[WEIR_TEXT_TERMS_MAX * 300];
    static struct found found;
    size_t used = 0;
    (void)state;
    query.any = true;
    for (unsigned i = 0; i < WEIR_TEXT_TERMS_MAX; i++) {
        memset(terms + used, 'a' + (int)(i % 26), WEIR_TEXT_WORD_MAX);
        used += WEIR_TEXT_WORD_MAX - 2;
        used += (size_t)snprintf(terms + used, 8, "%02u ", i);
    }
    assert_int_equal(change(text, 0, "a", NULL, terms), 0);
    assert_int_equal(find(text, query, terms, &found), 0);
    assert_int_equal(found.count, 1);
    snprintf(terms + used, 8, "x");
    assert_int_equal(find(text, query, terms, &found), -E2BIG);
    memcpy(terms + used, terms, WEIR_TEXT_WORD_MAX); /* the same once more is none */
    terms[used + WEIR_TEXT_WORD_MAX] = 0;
    assert_int_equal(find(text, query, terms, &found), 0);
    weir_text_free(text);
}

static void ds_30_options_and_queries_that_do_not_fit_are_refused(void **state)
{
    struct weir_text_options options = WEIR_TEXT_OPTIONS_INIT;
    struct weir_text *text = NULL;
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    struct weir_text_status status = WEIR_TEXT_STATUS_INIT;
    unsigned count = 0;
    (void)state;
    assert_int_equal(weir_text_create(&options, &text), -EINVAL);
    options.extract = weir_value_extract;
    options.stemmer = "klingon";
    assert_int_equal(weir_text_create(&options, &text), -EINVAL);
    options.stemmer = "a language with a name that is longer than any";
    assert_int_equal(weir_text_create(&options, &text), -EINVAL);
    options.stemmer = NULL;
    options.size--;
    assert_int_equal(weir_text_create(&options, &text), -EINVAL);
    assert_int_equal(weir_text_create(NULL, &text), -EINVAL);
    assert_null(text);
    text = make_text(NULL);
    assert_int_equal(weir_text_find(text, NULL, stop_at_two, &count), -EINVAL);
    assert_int_equal(weir_text_find(text, &query, NULL, &count), -EINVAL);
    assert_int_equal(weir_text_find(NULL, &query, stop_at_two, &count), -EINVAL);
    query.reserved[5] = 1;
    assert_int_equal(weir_text_find(text, &query, stop_at_two, &count), -EINVAL);
    query.reserved[5] = 0;
    query.size++;
    assert_int_equal(weir_text_find(text, &query, stop_at_two, &count), -EINVAL);
    status.size = 8;
    assert_int_equal(weir_text_stat(text, &status), -EINVAL);
    assert_int_equal(weir_text_stat(NULL, &status), -EINVAL);
    weir_text_free(text);
    weir_text_free(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_30_one_term_all_terms_any_term),
        cmocka_unit_test(ds_30_terms_are_split_as_texts_are),
        cmocka_unit_test(ds_30_without_a_term_there_is_no_row),
        cmocka_unit_test(ds_30_a_star_behind_a_word_stands_for_all_that_begin_with_it),
        cmocka_unit_test(ds_30_update_and_delete_remove_old_words),
        cmocka_unit_test(ds_30_an_update_of_something_else_changes_no_word_and_allocates_nothing),
        cmocka_unit_test(ds_30_results_come_in_order_of_table_then_key),
        cmocka_unit_test(ds_30_ranked_results_have_the_scores_of_bm25_best_first),
        cmocka_unit_test(ds_30_equal_scores_come_in_order_of_table_then_key),
        cmocka_unit_test(ds_30_a_limit_gives_the_first_ones),
        cmocka_unit_test(ds_30_the_fields_of_a_row_are_one_text_and_words_end_with_a_field),
        cmocka_unit_test(ds_30_rows_that_are_no_documents_are_counted_as_long_as_they_are_there),
        cmocka_unit_test(ds_30_nothing_is_stemmed_unless_asked),
        cmocka_unit_test(ds_30_an_event_that_fails_changes_nothing),
        cmocka_unit_test(ds_30_a_before_image_that_is_not_what_is_here_does_no_harm),
        cmocka_unit_test(ds_30_a_word_may_come_very_often),
        cmocka_unit_test(ds_30_a_row_with_a_long_key_is_removed_from_what_was_loaded),
        cmocka_unit_test(ds_02_entries_have_different_names_and_add_up_to_the_fingerprint),
        cmocka_unit_test(ds_30_what_stops_a_query_is_returned),
        cmocka_unit_test(ds_30_more_terms_than_there_may_be_are_refused),
        cmocka_unit_test(ds_30_options_and_queries_that_do_not_fit_are_refused),
    };
    return RUN_TESTS(tests, argc, argv);
}
