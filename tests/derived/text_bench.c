/*
 * bench_text: what full text costs, without a log below.
 *
 * Documents of about 200 bytes are made before the clock starts: words of a vocabulary, drawn by
 * Zipf's law, with a space between them, a comma or a full stop now and then, a capital letter at
 * the beginning. Events for them go to the system one by one, on one thread.
 */
#include "base/random.h"
#include "bench/environment.h"
#include "bench/exit.h"
#include "bench/option.h"
#include "derived/words.h"

#include <weir/text.h>

#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORD_ROOM 24
#define DOCUMENT_BYTES 200
#define KEY_BYTES 12

struct arguments {
    uint64_t documents;
    uint64_t vocabulary;
    bool insert_only;
    bool json;
    bool force;
};

struct document {
    uint32_t offset, size;
};

struct bench {
    struct arguments arguments;
    char (*words)[WORD_ROOM];
    double *weights; /* cumulated */
    char *bytes;
    struct document *documents;
    struct weir_text *text;
    struct base_prng prng;
};

struct results {
    double words_per_document, bytes_per_document;
    double split_ns; /* per token */
    double insert_s, same_s, update_s, remove_s;
    double token_ns;
    double bytes_per_posting;
    double fingerprint_s;
    struct weir_text_status status;
};

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_text: %s\n", what);
    exit(BENCH_EXIT_IO);
}

/* Time of the CPU, of this thread: nothing here waits, and others may run on this machine. */
static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static double seconds_since(uint64_t start)
{
    return (double)(now_ns() - start) / 1e9;
}

/* ---- documents ---- */

static void make_word(struct bench *bench, uint64_t rank)
{
    static const char consonants[] = "bcdfghklmnprstvw";
    static const char vowels[] = "aeiou";
    char *word = bench->words[rank];
    uint32_t size = 0;
    uint64_t rest = rank;
    do { /* frequent words are short, all are different */
        word[size++] = consonants[rest % 16];
        word[size++] = vowels[rest / 16 % 5];
        rest /= 80;
    } while (rest > 0);
    /* 'x' is no consonant of theirs, so that they stay different. */
    static const char *const ends[] = {"", "xn", "xal", "xment"};
    strcpy(word + size, ends[rank % 4]);
}

static void make_vocabulary(struct bench *bench)
{
    double sum = 0;
    for (uint64_t rank = 0; rank < bench->arguments.vocabulary; rank++) {
        make_word(bench, rank);
        sum += 1 / (double)(rank + 1);
        bench->weights[rank] = sum;
    }
}

static const char *draw_word(struct bench *bench)
{
    uint64_t count = bench->arguments.vocabulary;
    double at = (double)base_prng_below(&bench->prng, UINT64_C(1) << 53) / 9007199254740992.0 *
                bench->weights[count - 1];
    uint64_t low = 0;
    uint64_t high = count - 1;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (bench->weights[middle] < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return bench->words[low];
}

static uint32_t make_document(struct bench *bench, char *to)
{
    uint32_t size = 0;
    bool capital = true;
    while (size < DOCUMENT_BYTES - WORD_ROOM / 2) {
        const char *word = draw_word(bench);
        uint32_t length = (uint32_t)strlen(word);
        memcpy(to + size, word, length);
        if (capital) {
            to[size] = (char)(to[size] - 32);
        }
        size += length;
        uint64_t chance = base_prng_below(&bench->prng, 20);
        capital = chance == 0;
        if (chance < 2) {
            to[size++] = chance == 0 ? '.' : ',';
        }
        to[size++] = ' ';
    }
    return size;
}

static void make_documents(struct bench *bench)
{
    uint32_t at = 0;
    for (uint64_t i = 0; i < bench->arguments.documents; i++) {
        uint32_t size = make_document(bench, bench->bytes + at);
        bench->documents[i] = (struct document){.offset = at, .size = size};
        at += size;
    }
}

static struct weir_bytes document_at(const struct bench *bench, uint64_t number)
{
    const struct document *document = &bench->documents[number % bench->arguments.documents];
    return (struct weir_bytes){.data = bench->bytes + document->offset, .size = document->size};
}

/* ---- what is measured ---- */

static void split_all(struct bench *bench, struct results *results)
{
    struct words *words;
    uint8_t word[WORDS_ROOM];
    uint64_t tokens = 0;
    uint64_t bytes = 0;
    if (words_open(NULL, &words) < 0) {
        fail("no memory");
    }
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < bench->arguments.documents; i++) {
        struct weir_bytes text = document_at(bench, i);
        struct words_text rest = {.at = text.data, .end = (const uint8_t *)text.data + text.size};
        while (words_next(words, &rest, word) > 0) {
            tokens++;
        }
        bytes += text.size;
    }
    results->split_ns = seconds_since(start) * 1e9 / (double)tokens;
    results->words_per_document = (double)tokens / (double)bench->arguments.documents;
    results->bytes_per_document = (double)bytes / (double)bench->arguments.documents;
    words_close(words);
}

/* Shift: the document after is that of another row. */
static double apply_all(struct bench *bench, enum weir_operation operation, uint64_t shift_before,
                        uint64_t shift_after)
{
    char key[KEY_BYTES + 1];
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < bench->arguments.documents; i++) {
        struct weir_event event = {.lsn = i + 1, .operation = operation};
        (void)snprintf(key, sizeof key, "row:%08u", (unsigned)i);
        event.key = (struct weir_bytes){.data = key, .size = KEY_BYTES};
        if (operation != WEIR_INSERT) {
            event.before = document_at(bench, i + shift_before);
        }
        if (operation != WEIR_REMOVE) {
            event.after = document_at(bench, i + shift_after);
        }
        if (weir_text_ops()->apply(bench->text, &event) < 0) {
            fail("an event failed");
        }
    }
    return seconds_since(start);
}

static int count_row(void *context, weir_table table, struct weir_bytes key, double score)
{
    uint64_t *count = context;
    (void)table;
    (void)key;
    (void)score;
    *count += 1;
    return 0;
}

struct question {
    const char *name;
    const char *terms;
    bool any, ranked;
    uint64_t limit;
    double ns;
    uint64_t rows;
};

static void ask(struct bench *bench, struct question *question)
{
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    query.terms = (struct weir_bytes){.data = question->terms, .size = strlen(question->terms)};
    query.any = question->any;
    query.ranked = question->ranked;
    query.limit = question->limit;
    uint64_t start = now_ns();
    uint64_t turns = 0;
    do {
        question->rows = 0;
        if (weir_text_find(bench->text, &query, count_row, &question->rows) < 0) {
            fail("a query failed");
        }
        turns++;
    } while (seconds_since(start) < 0.2 && turns < 100000);
    question->ns = seconds_since(start) * 1e9 / (double)turns;
}

static void measure(struct bench *bench, struct results *results)
{
    uint8_t fingerprint[16];
    split_all(bench, results);
    results->insert_s = apply_all(bench, WEIR_INSERT, 0, 0);
    results->status.size = sizeof results->status;
    (void)weir_text_stat(bench->text, &results->status);
    results->token_ns = results->insert_s * 1e9 / (double)results->status.tokens;
    results->bytes_per_posting = (double)results->status.bytes / (double)results->status.postings;
    if (bench->arguments.insert_only) {
        return;
    }
    uint64_t start = now_ns();
    weir_text_ops()->fingerprint(bench->text, fingerprint);
    results->fingerprint_s = seconds_since(start);
}

static void measure_changes(struct bench *bench, struct results *results)
{
    results->same_s = apply_all(bench, WEIR_UPDATE, 0, 0);
    results->update_s = apply_all(bench, WEIR_UPDATE, 0, 1);
    results->remove_s = apply_all(bench, WEIR_REMOVE, 1, 0);
}

/* ---- reporting ---- */

static double per_second(const struct bench *bench, double seconds)
{
    return (double)bench->arguments.documents / seconds;
}

static void print_text(const struct bench *bench, const struct results *results,
                       const struct question *questions, size_t count)
{
    (void)printf("times      of the CPU, one thread\ndocuments  %llu of %.0f bytes, %.1f words; "
                 "%llu different words, %llu postings\n",
                 (unsigned long long)bench->arguments.documents, results->bytes_per_document,
                 results->words_per_document, (unsigned long long)results->status.words,
                 (unsigned long long)results->status.postings);
    (void)printf("split      %.1f ns per word\n", results->split_ns);
    (void)printf("insert     %.0f documents/s, %.1f ns per word\n",
                 per_second(bench, results->insert_s), results->token_ns);
    if (count == 0) {
        return;
    }
    (void)printf("update     %.0f documents/s with the same text, %.0f with another one\n",
                 per_second(bench, results->same_s), per_second(bench, results->update_s));
    (void)printf("remove     %.0f documents/s\n", per_second(bench, results->remove_s));
    (void)printf("memory     %.2f bytes per posting, all counted\n", results->bytes_per_posting);
    (void)printf("fingerprint %.2f s\n", results->fingerprint_s);
    for (size_t i = 0; i < count; i++) {
        (void)printf("%-34s %12.0f ns %9llu rows\n", questions[i].name, questions[i].ns,
                     (unsigned long long)questions[i].rows);
    }
}

static void print_json(const struct bench *bench, const struct results *results,
                       const struct bench_environment *environment,
                       const struct question *questions, size_t count)
{
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_json_count(&json, "documents", bench->arguments.documents);
    bench_json_number(&json, "words_per_document", results->words_per_document);
    bench_json_number(&json, "bytes_per_document", results->bytes_per_document);
    bench_json_number(&json, "documents_per_s", per_second(bench, results->insert_s));
    bench_json_number(&json, "ns_per_word", results->token_ns);
    bench_json_number(&json, "split_ns_per_word", results->split_ns);
    bench_json_number(&json, "same_per_s", per_second(bench, results->same_s));
    bench_json_number(&json, "updates_per_s", per_second(bench, results->update_s));
    bench_json_number(&json, "removes_per_s", per_second(bench, results->remove_s));
    bench_json_number(&json, "bytes_per_posting", results->bytes_per_posting);
    bench_json_number(&json, "fingerprint_s", results->fingerprint_s);
    for (size_t i = 0; i < count; i++) {
        bench_json_number(&json, questions[i].name, questions[i].ns);
    }
    bench_environment_json(environment, &json);
    bench_json_close(&json);
}

enum { KEY_DOCUMENTS = 256, KEY_VOCABULARY, KEY_INSERT, KEY_JSON, KEY_FORCE };

static const struct argp_option option_table[] = {
    {"documents", KEY_DOCUMENTS, "N", 0, "How many (default 300000)", 0},
    {"vocabulary", KEY_VOCABULARY, "N", 0, "Different words (default 50000)", 0},
    {"insert-only", KEY_INSERT, NULL, 0, "No queries, no changes", 0},
    {"json", KEY_JSON, NULL, 0, "One line of JSON", 0},
    {"force", KEY_FORCE, NULL, 0, "Measure a debug or sanitizer build all the same", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_DOCUMENTS:
        return option_count(state, "--documents", value, 2, 10000000, &arguments->documents);
    case KEY_VOCABULARY:
        return option_count(state, "--vocabulary", value, 100, 10000000, &arguments->vocabulary);
    case KEY_INSERT:
        arguments->insert_only = true;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_FORCE:
        arguments->force = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void open_bench(struct bench *bench)
{
    struct weir_text_options options = WEIR_TEXT_OPTIONS_INIT;
    options.extract = weir_value_extract;
    bench->words = calloc(bench->arguments.vocabulary, sizeof *bench->words);
    bench->weights = calloc(bench->arguments.vocabulary, sizeof *bench->weights);
    bench->documents = calloc(bench->arguments.documents, sizeof *bench->documents);
    bench->bytes = malloc((bench->arguments.documents + 1) * (DOCUMENT_BYTES + WORD_ROOM));
    if (bench->words == NULL || bench->weights == NULL || bench->documents == NULL ||
        bench->bytes == NULL || weir_text_create(&options, &bench->text) < 0) {
        fail("no memory");
    }
    base_prng_seed(&bench->prng, 1);
    make_vocabulary(bench);
    make_documents(bench);
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Measures full text over events in memory, on one thread.",
    };
    static struct question questions[] = {
        {"rare_word_ns", "lubexal", false, false, 0, 0, 0},
        {"common_word_ten_ns", "ba", false, false, 10, 0, 0},
        {"common_word_all_ns", "ba", false, false, 0, 0, 0},
        {"two_common_ten_ns", "ba caxn", false, false, 10, 0, 0},
        {"common_and_rare_ns", "ba raxn", false, false, 0, 0, 0},
        {"any_of_three_ten_ns", "ba caxn lubexal", true, false, 10, 0, 0},
        {"prefix_of_many_ten_ns", "b*", false, false, 10, 0, 0},
        {"word_and_prefix_ten_ns", "lubexal b*", false, false, 10, 0, 0},
        {"ranked_rare_ten_ns", "lubexal", false, true, 10, 0, 0},
        {"ranked_two_common_ten_ns", "ba caxn", false, true, 10, 0, 0},
        {"ranked_any_ten_ns", "ba caxn lubexal", true, true, 10, 0, 0},
        {"ranked_prefix_ten_ns", "lub*", false, true, 10, 0, 0},
    };
    struct bench bench = {.arguments = {.documents = 300000, .vocabulary = 50000}};
    struct results results = {0};
    (void)argp_parse(&parser, argc, argv, 0, NULL, &bench.arguments);
    if (!bench_build_is_fit(bench.arguments.force)) {
        return BENCH_EXIT_REFUSED;
    }
    struct bench_environment environment;
    bench_environment_read(&environment, ".");
    open_bench(&bench);
    measure(&bench, &results);
    size_t count = sizeof questions / sizeof questions[0];
    count = bench.arguments.insert_only ? 0 : count;
    for (size_t i = 0; i < count; i++) {
        ask(&bench, &questions[i]);
    }
    if (!bench.arguments.insert_only) {
        measure_changes(&bench, &results);
    }
    if (bench.arguments.json) {
        print_json(&bench, &results, &environment, questions, count);
    } else {
        bench_environment_print(&environment);
        print_text(&bench, &results, questions, count);
    }
    weir_text_free(bench.text);
    free(bench.words);
    free(bench.weights);
    free(bench.documents);
    free(bench.bytes);
    return BENCH_EXIT_OK;
}
