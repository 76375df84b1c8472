/*
 * SQLite's FTS5 as an oracle: the same rows go into a virtual table, and what full text finds, and
 * how it ranks, is compared with what MATCH and bm25() answer.
 *
 * The tokenizer is unicode61 with the same categories. Where the rules differ, the vocabulary here
 * has no words: FTS5 folds character by character (no sharp s, no dotted I, no final sigma) and
 * does not compose. Its bm25() has the same k1 and b and another idf, ln((N - n + 0.5) / (n + 0.5))
 * and 1e-6 where that is not positive; N counts rows without words. So each term is asked for
 * alone, its score is divided by the one idf and multiplied with the other, and the sum of that is
 * what is expected. WEIR_SEED begins with another seed.
 */
#include "text_support.h"

#include "base/random.h"
#include "derived/words.h"

#include <math.h>
#include <sqlite3.h>

#define ROWS 400u
#define STEPS 3000u
#define LOOK_EVERY 8u
#define TERMS 4u
#define TERM_ROOM 64
#define REAL_ROWS 4000u
#define REAL_LOOKS 1000u

struct fixture {
    sqlite3 *database;
    sqlite3_stmt *put, *delete, *match, *scores;
    struct weir_text *text;
    struct base_prng prng;
    double rows;
};

struct term {
    char word[TERM_ROOM];
    bool prefix;
};

static uint64_t draw(struct fixture *fixture, uint64_t below)
{
    return base_prng_below(&fixture->prng, below);
}

static sqlite3_stmt *prepare(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    if (rc != SQLITE_OK) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(database));
    }
    assert_int_equal(rc, SQLITE_OK);
    return statement;
}

static void open_both(struct fixture *fixture, uint64_t seed)
{
    const char *given = getenv("WEIR_SEED");
    *fixture = (struct fixture){0};
    base_prng_seed(&fixture->prng, given != NULL ? strtoull(given, NULL, 0) : seed);
    fixture->text = make_text(NULL);
    assert_int_equal(sqlite3_open(":memory:", &fixture->database), SQLITE_OK);
    int rc = sqlite3_exec(fixture->database,
                          "CREATE VIRTUAL TABLE rows USING fts5(body, tokenize = \"unicode61 "
                          "remove_diacritics 0 categories 'L* Nd M*' tokenchars '_'\")",
                          NULL, NULL, NULL);
    assert_int_equal(rc, SQLITE_OK);
    fixture->put = prepare(fixture->database, "REPLACE INTO rows(rowid, body) VALUES(?, ?)");
    fixture->delete = prepare(fixture->database, "DELETE FROM rows WHERE rowid = ?");
    fixture->match =
        prepare(fixture->database, "SELECT rowid FROM rows WHERE rows MATCH ? ORDER BY rowid");
    fixture->scores =
        prepare(fixture->database, "SELECT rowid, -bm25(rows) FROM rows WHERE rows MATCH ?");
}

static void close_both(struct fixture *fixture)
{
    sqlite3_finalize(fixture->put);
    sqlite3_finalize(fixture->delete);
    sqlite3_finalize(fixture->match);
    sqlite3_finalize(fixture->scores);
    assert_int_equal(sqlite3_close(fixture->database), SQLITE_OK);
    weir_text_free(fixture->text);
}

/* Both get the change; NULL as for change(). */
static void change_both(struct fixture *fixture, uint32_t row, const char *before,
                        const char *after)
{
    char key[16];
    snprintf(key, sizeof key, "%08u", row);
    assert_int_equal(change(fixture->text, 0, key, before, after), 0);
    sqlite3_stmt *statement = after != NULL ? fixture->put : fixture->delete;
    sqlite3_bind_int64(statement, 1, row);
    if (after != NULL) {
        sqlite3_bind_text(statement, 2, after, -1, SQLITE_TRANSIENT);
    }
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_reset(statement);
    fixture->rows += (before == NULL ? 1 : 0) - (after == NULL ? 1 : 0);
}

/* ---- queries ---- */

static void name_terms(const struct term *terms, unsigned count, bool any, char *ret_ours,
                       char *ret_theirs)
{
    ret_ours[0] = 0;
    ret_theirs[0] = 0;
    for (unsigned i = 0; i < count; i++) {
        strcat(strcat(ret_ours, i > 0 ? ", " : ""), terms[i].word);
        strcat(ret_ours, terms[i].prefix ? "*" : "");
        strcat(strcat(ret_theirs, i > 0 ? (any ? " OR " : " AND ") : ""), "\"");
        strcat(strcat(ret_theirs, terms[i].word), terms[i].prefix ? "\" *" : "\"");
    }
}

/* What each row's score comes to; NAN where a row has none of the terms. */
static void expect_scores(struct fixture *fixture, const struct term *terms, unsigned count,
                          uint32_t row_end, double *ret_scores)
{
    double *found = calloc(row_end, sizeof *found);
    assert_non_null(found);
    for (uint32_t row = 0; row < row_end; row++) {
        ret_scores[row] = 0;
    }
    for (unsigned i = 0; i < count; i++) {
        char ours[TERM_ROOM + 8], theirs[TERM_ROOM + 8];
        double with = 0;
        name_terms(&terms[i], 1, true, ours, theirs);
        memset(found, 0, row_end * sizeof *found);
        sqlite3_bind_text(fixture->scores, 1, theirs, -1, SQLITE_TRANSIENT);
        while (sqlite3_step(fixture->scores) == SQLITE_ROW) {
            found[sqlite3_column_int64(fixture->scores, 0)] =
                sqlite3_column_double(fixture->scores, 1);
            with++;
        }
        sqlite3_reset(fixture->scores);
        double odds = (fixture->rows - with + 0.5) / (with + 0.5);
        double theirs_idf = log(odds) > 0 ? log(odds) : 1e-6;
        for (uint32_t row = 0; row < row_end; row++) {
            ret_scores[row] += found[row] / theirs_idf * log(1 + odds);
        }
    }
    free(found);
}

static void compare(struct fixture *fixture, const struct term *terms, unsigned count,
                    uint32_t row_end)
{
    static struct found found;
    static double scores[REAL_ROWS];
    static bool seen[REAL_ROWS];
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    char ours[TERMS * (TERM_ROOM + 8)], theirs[TERMS * (TERM_ROOM + 16)];
    query.any = draw(fixture, 2) == 0;
    name_terms(terms, count, query.any, ours, theirs);
    assert_int_equal(find(fixture->text, query, ours, &found), 0);
    uint32_t at = 0;
    memset(seen, 0, sizeof seen);
    sqlite3_bind_text(fixture->match, 1, theirs, -1, SQLITE_TRANSIENT);
    while (sqlite3_step(fixture->match) == SQLITE_ROW) {
        uint32_t row = (uint32_t)sqlite3_column_int64(fixture->match, 0);
        if (at == found.count || strtoul(found.rows[at].key, NULL, 10) != row) {
            print_error("%s: row %u\n", theirs, (unsigned)row);
            fail();
        }
        seen[row] = true;
        at++;
    }
    assert_int_equal(sqlite3_reset(fixture->match), SQLITE_OK);
    assert_int_equal(at, found.count);
    query.ranked = true;
    assert_int_equal(find(fixture->text, query, ours, &found), 0);
    assert_int_equal(at, found.count);
    expect_scores(fixture, terms, count, row_end, scores);
    for (uint32_t i = 0; i < found.count; i++) {
        uint32_t row = (uint32_t)strtoul(found.rows[i].key, NULL, 10);
        double error = fabs(found.rows[i].score - scores[row]);
        assert_true(seen[row]);
        seen[row] = false;
        if (error > 1e-9 * scores[row]) {
            print_error("%s: row %u: %.12f, not %.12f\n", theirs, (unsigned)row,
                        found.rows[i].score, scores[row]);
            fail();
        }
        assert_true(i == 0 || found.rows[i - 1].score > found.rows[i].score ||
                    (found.rows[i - 1].score == found.rows[i].score &&
                     strcmp(found.rows[i - 1].key, found.rows[i].key) < 0));
    }
}

static bool is_among(const struct term *terms, unsigned count, const struct term *term)
{
    for (unsigned i = 0; i < count; i++) {
        if (terms[i].prefix == term->prefix && strcmp(terms[i].word, term->word) == 0) {
            return true;
        }
    }
    return false;
}

/* Cuts a word behind a character. */
static void make_prefix(struct fixture *fixture, struct term *term)
{
    size_t size = 1 + draw(fixture, strlen(term->word));
    while (((uint8_t)term->word[size] & 0xc0) == 0x80) {
        size++;
    }
    term->word[size] = 0;
    term->prefix = true;
}

/* ---- random rows ---- */

static const char *const vocabulary[] = {"the",
                                         "of",
                                         "mail",
                                         "Mail",
                                         "mailer",
                                         "MAILS",
                                         "server",
                                         "serve",
                                         "log",
                                         "Logs",
                                         "log_file",
                                         "_x",
                                         "x1",
                                         "x2",
                                         "x12",
                                         "2024",
                                         "caf\xc3\xa9",
                                         "CAF\xc3\x89",
                                         "\xc3\xa9t\xc3\xa9",
                                         "\xd0\xbc\xd0\xbe\xd1\x81\xd1\x82",
                                         "\xd0\x9c\xd0\x9e\xd0\xa1\xd0\xa2",
                                         "\xce\xb1\xce\xb2\xce\xb3",
                                         "\xce\x91\xce\x92",
                                         "\xe6\x97\xa5\xe6\x9c\xac",
                                         "\xe6\x97\xa5",
                                         "\xd7\xa9\xd7\x9c",
                                         "\xd9\xa3\xd9\xa4",
                                         "index",
                                         "view",
                                         "text"};

static const char *draw_word(struct fixture *fixture)
{
    return vocabulary[draw(fixture, 1 + draw(fixture, COUNT_OF(vocabulary)))];
}

static char *draw_row(struct fixture *fixture)
{
    static const char *const between[] = {" ",   ", ", "-", ". ",          "'",
                                          "\t(", ") ", "/", "\xe2\x80\x94"};
    char *row = malloc(1024);
    size_t used = 0;
    uint64_t count = 1 + draw(fixture, 25);
    assert_non_null(row);
    for (uint64_t i = 0; i < count; i++) {
        used += (size_t)snprintf(row + used, 1024 - used, "%s%s", draw_word(fixture),
                                 between[draw(fixture, COUNT_OF(between))]);
    }
    return row;
}

static void look(struct fixture *fixture)
{
    struct term terms[TERMS];
    unsigned count = 0;
    unsigned wanted = 1 + (unsigned)draw(fixture, TERMS);
    while (count < wanted) {
        struct term term = {.prefix = false};
        snprintf(term.word, sizeof term.word, "%s", draw_word(fixture));
        if (draw(fixture, 3) == 0) {
            make_prefix(fixture, &term);
        }
        /* FTS5 counts a term that is there twice, in another case, twice. */
        bool upper = (term.word[0] >= 'A' && term.word[0] <= 'Z') || term.word[0] == '\xd0' ||
                     term.word[0] == '\xce';
        if (!upper && !is_among(terms, count, &term)) {
            terms[count++] = term;
        } else if (upper && count == 0) {
            terms[count++] = term;
            wanted = 1;
        }
    }
    compare(fixture, terms, count, ROWS);
}

static void ds_30_random_rows_are_found_and_ranked_as_fts5_does(void **state)
{
    struct fixture fixture;
    char *values[ROWS] = {NULL};
    (void)state;
    open_both(&fixture, 1);
    for (unsigned i = 0; i < STEPS; i++) {
        uint32_t row = (uint32_t)draw(&fixture, ROWS);
        bool removes = values[row] != NULL && draw(&fixture, 3) == 0;
        char *after = removes ? NULL : draw_row(&fixture);
        change_both(&fixture, row, values[row], after);
        free(values[row]);
        values[row] = after;
        if (i % LOOK_EVERY == 0) {
            look(&fixture);
        }
    }
    for (uint32_t row = 0; row < ROWS; row++) {
        free(values[row]);
    }
    close_both(&fixture);
}

/* ---- real rows ---- */

static uint32_t read_descriptions(char **ret_rows)
{
    FILE *pipe = popen("dpkg-query -W -f='${Package} ${Description}\\n' 2>/dev/null", "r");
    char line[8192];
    uint32_t count = 0;
    if (pipe == NULL) {
        return 0;
    }
    while (count < REAL_ROWS && fgets(line, sizeof line, pipe) != NULL) {
        if (line[0] != ' ' || count == 0) { /* lines of a description go on with a space */
            ret_rows[count++] = strdup(line);
            assert_non_null(ret_rows[count - 1]);
            continue;
        }
        size_t size = strlen(ret_rows[count - 1]);
        char *longer = realloc(ret_rows[count - 1], size + strlen(line) + 1);
        assert_non_null(longer);
        strcpy(longer + size, line);
        ret_rows[count - 1] = longer;
    }
    (void)pclose(pipe);
    return count;
}

/* A word of a row, as the row has it folded. */
static bool take_word(struct fixture *fixture, struct words *words, const char *row,
                      struct term *ret_term)
{
    const uint8_t *data = (const uint8_t *)row;
    size_t size = strlen(row);
    struct words_text rest = {data + draw(fixture, size), data + size};
    uint8_t word[WORDS_ROOM];
    uint32_t word_size = words_next(words, &rest, word);
    if (word_size == 0 || word_size >= TERM_ROOM) {
        return false;
    }
    memcpy(ret_term->word, word, word_size);
    ret_term->word[word_size] = 0;
    ret_term->prefix = false;
    if (draw(fixture, 4) == 0) {
        make_prefix(fixture, ret_term);
    }
    return true;
}

static void ds_30_descriptions_of_packages_are_found_and_ranked_as_fts5_does(void **state)
{
    static char *rows[REAL_ROWS];
    struct fixture fixture;
    struct words *words;
    (void)state;
    uint32_t count = read_descriptions(rows);
    if (count == 0) {
        skip();
    }
    assert_int_equal(words_open(NULL, &words), 0);
    open_both(&fixture, 2);
    assert_int_equal(sqlite3_exec(fixture.database, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    for (uint32_t row = 0; row < count; row++) {
        change_both(&fixture, row, NULL, rows[row]);
    }
    for (unsigned i = 0; i < REAL_LOOKS; i++) {
        struct term terms[TERMS];
        unsigned term_count = 0;
        unsigned wanted = 1 + (unsigned)draw(&fixture, TERMS);
        while (term_count < wanted) {
            struct term term;
            const char *row = rows[draw(&fixture, count)];
            if (take_word(&fixture, words, row, &term) && !is_among(terms, term_count, &term)) {
                terms[term_count++] = term;
            }
        }
        compare(&fixture, terms, term_count, count);
    }
    for (uint32_t row = 0; row < count; row++) {
        free(rows[row]);
    }
    close_both(&fixture);
    words_close(words);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_30_random_rows_are_found_and_ranked_as_fts5_does),
        cmocka_unit_test(ds_30_descriptions_of_packages_are_found_and_ranked_as_fts5_does),
    };
    return RUN_TESTS(tests, argc, argv);
}
