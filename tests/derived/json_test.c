/* The JSON extractor: what it emits of a document, and that of anything else it emits nothing. */
#include "tests/derived/support.h"

#include "base/alloc.h"
#include "base/random.h"
#include "base/text.h"

#include <weir/extract.h>

#include <errno.h>
#include <jansson.h>

/* ---- what was emitted ---- */

struct emits {
    char line[4096]; /* "0=text 1=text" */
    struct base_text text;
    int count;
    int stop_at; /* the emit that answers with 7; 0: none */
};

static int note(void *context, uint32_t field, struct weir_bytes text)
{
    struct emits *emits = context;
    base_text_append_format(&emits->text, "%s%u=", emits->count > 0 ? " " : "", field);
    base_text_append_bytes(&emits->text, text.data, text.size);
    return ++emits->count == emits->stop_at ? 7 : 0;
}

static void begin(struct emits *emits)
{
    *emits = (struct emits){.count = 0};
    base_text_init(&emits->text, emits->line, sizeof emits->line);
}

/* Paths with a space between them. */
static struct weir_json_fields *prepare(const char *paths)
{
    char copy[512];
    const char *list[WEIR_JSON_FIELDS_MAX];
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", paths);
    for (char *path = strtok(copy, " "); path != NULL; path = strtok(NULL, " ")) {
        list[count++] = path;
    }
    struct weir_json_fields *fields = NULL;
    assert_int_equal(weir_json_fields_create(list, count, &fields), 0);
    return fields;
}

static int extract(struct weir_json_fields *fields, struct weir_bytes document, struct emits *emits)
{
    begin(emits);
    return weir_json_extract(fields, bytes_of("key"), document, note, emits);
}

/* @param expected  NULL: it is no document */
static void expect(const char *paths, const char *document, const char *expected)
{
    struct weir_json_fields *fields = prepare(paths);
    struct emits emits;
    int rc = extract(fields, bytes_of(document), &emits);
    if (rc != (expected == NULL ? 1 : 0) ||
        strcmp(emits.line, expected == NULL ? "" : expected) != 0) {
        fail_msg("%s of %s: %d, %s", paths, document, rc, emits.line);
    }
    weir_json_fields_free(fields);
}

/* ---- tables ---- */

static void strings_give_their_characters_numbers_and_words_their_text(void **state)
{
    (void)state;
    expect("a", "{\"a\":\"x y\"}", "0=x y");
    expect("a", "{\"a\":\"\"}", "0=");
    expect("a", "{\"a\":\"\\u00e9\\n\\\"\\ud83d\\ude00\"}", "0=\xc3\xa9\n\"\xf0\x9f\x98\x80");
    expect("a", "{\"a\":-1.50e+3}", "0=-1.50e+3");
    expect("a", "{\"a\":123456789012345678901234567890}", "0=123456789012345678901234567890");
    expect("a", "{\"a\":true}", "0=true");
    expect("a", "{\"a\": false }", "0=false");
}

static void null_objects_and_what_is_missing_give_nothing(void **state)
{
    (void)state;
    expect("a", "{\"a\":null}", "");
    expect("a", "{\"a\":{}}", "");
    expect("a", "{\"a\":{\"a\":1}}", "");
    expect("a", "{\"a\":[]}", "");
    expect("a", "{\"a\":[null,{},[]]}", "");
    expect("a", "{\"b\":1,\"A\":2,\"aa\":3,\"\":4}", "");
    expect("a.b", "{\"a\":1,\"b\":2}", "");
    expect("a", "1", "");
    expect("a", "\"a\"", "");
    expect("a", "null", "");
    expect("a", "[1,2]", "");
}

static void paths_go_into_objects_and_through_arrays_at_any_level(void **state)
{
    (void)state;
    expect("a.b.c", "{\"a\":{\"x\":{\"c\":0},\"b\":{\"c\":1}},\"b\":{\"c\":2}}", "0=1");
    expect("a", "{\"a\":[1,\"two\",[3,[4]],{\"a\":5},6]}", "0=1 0=two 0=3 0=4 0=6");
    expect("a.b", "{\"a\":[{\"b\":1},[{\"b\":[2,3]}],{\"c\":4},5]}", "0=1 0=2 0=3");
    expect("a", "[{\"a\":1},[{\"a\":2}],3]", "0=1 0=2");
}

static void several_paths_are_found_in_one_pass_in_order_of_the_document(void **state)
{
    (void)state;
    expect("a b", "{\"b\":1,\"a\":2}", "1=1 0=2");
    expect("a a.b a.c", "{\"a\":{\"c\":1,\"b\":2}}", "2=1 1=2");
    expect("a a.b", "{\"a\":[7,{\"b\":8}]}", "0=7 1=8");
    expect("a x a", "{\"a\":1}", "0=1 2=1");
    expect("p.q p.r s", "{\"s\":\"s\",\"p\":{\"r\":\"r\",\"q\":\"q\"}}", "2=s 1=r 0=q");
}

static void a_name_that_comes_twice_counts_twice(void **state)
{
    (void)state;
    expect("a", "{\"a\":1,\"a\":2}", "0=1 0=2");
    expect("a.b", "{\"a\":{\"b\":1},\"a\":{\"b\":2,\"b\":3}}", "0=1 0=2 0=3");
}

static void names_are_compared_by_what_they_stand_for(void **state)
{
    (void)state;
    expect("a\\.b", "{\"a.b\":1,\"a\":{\"b\":2}}", "0=1");
    expect("a\\\\.b", "{\"a\\\\\":{\"b\":1}}", "0=1");
    expect("\xc3\xa9", "{\"\\u00e9\":1,\"\xc3\xa9\":2,\"\\u00E9x\":3}", "0=1 0=2");
    expect("a/b", "{\"\\u0061\\/\\u0062\":1}", "0=1");
}

static void of_what_is_no_document_nothing_is_emitted_not_even_what_stands_in_front(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{\"a\":1",
        "{\"a\":1}x",
        "{\"a\":1,}",
        "{\"a\":\"1\",\"b\":\"\xff\"}",
        "{\"a\":1,\"b\":\"\\ud800\"}",
        "{\"a\":1,\"\\udc00\":2}",
        "{\"a\":1,\"b\":01}",
        "{\"a\":1,\"b\":nul}",
        "{\"a\":1,\"b\":\"\n\"}",
    };
    for (size_t index = 0; index < COUNT_OF(bad); index++) {
        expect("a", bad[index], NULL);
    }
    char deep[2 * WEIR_JSON_DEPTH_MAX + 16];
    int length = snprintf(deep, sizeof deep, "{\"a\":[1,");
    memset(deep + length, '[', WEIR_JSON_DEPTH_MAX);
    memset(deep + length + WEIR_JSON_DEPTH_MAX, ']', WEIR_JSON_DEPTH_MAX + 1);
    snprintf(deep + length + 2 * WEIR_JSON_DEPTH_MAX + 1, 2, "}");
    expect("a", deep, NULL);
}

static void each_beginning_of_a_document_is_none(void **state)
{
    (void)state;
    static const char document[] = "{\"a\":[1,\"\\u00e9\\ud83d\\ude00\",true],\"b\":{\"a\":-1.5e3},"
                                   "\"text of some length\":\"\xc3\xa9\xe2\x82\xac\"}";
    struct weir_json_fields *fields = prepare("a b.a");
    for (size_t size = 0; size < sizeof document; size++) {
        /* A block of just that size: a sanitizer sees a byte too far. */
        char *copy = malloc(size > 0 ? size : 1);
        assert_non_null(copy);
        memcpy(copy, document, size);
        struct emits emits;
        int rc = extract(fields, (struct weir_bytes){copy, size}, &emits);
        assert_int_equal(rc, size == sizeof document - 1 ? 0 : 1);
        assert_int_equal(emits.count, size == sizeof document - 1 ? 4 : 0);
        free(copy);
        if (size == sizeof document - 1) {
            break; /* what follows is the zero of the literal */
        }
    }
    weir_json_fields_free(fields);
}

static void what_an_emit_answers_is_returned_and_nothing_more_is_emitted(void **state)
{
    (void)state;
    struct weir_json_fields *fields = prepare("a a");
    for (int stop_at = 1; stop_at <= 4; stop_at++) {
        struct emits emits;
        begin(&emits);
        emits.stop_at = stop_at;
        assert_int_equal(
            weir_json_extract(fields, bytes_of(""), bytes_of("{\"a\":[1,2]}"), note, &emits), 7);
        assert_int_equal(emits.count, stop_at);
    }
    weir_json_fields_free(fields);
}

static void paths_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "\xff"};
    struct weir_json_fields *fields = NULL;
    for (size_t index = 0; index < COUNT_OF(bad); index++) {
        assert_int_equal(weir_json_fields_create(&bad[index], 1, &fields), -EINVAL);
    }
    const char *many[WEIR_JSON_FIELDS_MAX + 1];
    for (size_t index = 0; index < COUNT_OF(many); index++) {
        many[index] = "a";
    }
    assert_int_equal(weir_json_fields_create(many, 0, &fields), -EINVAL);
    assert_int_equal(weir_json_fields_create(many, COUNT_OF(many), &fields), -EINVAL);
    assert_null(fields);
    assert_int_equal(weir_json_fields_create(many, WEIR_JSON_FIELDS_MAX, &fields), 0);
    weir_json_fields_free(fields);
    weir_json_fields_free(NULL);
}

static void plain_text_is_field_0(void **state)
{
    (void)state;
    struct emits emits;
    begin(&emits);
    assert_int_equal(weir_value_extract(NULL, bytes_of("key"), bytes_of("{not"), note, &emits), 0);
    assert_string_equal(emits.line, "0={not");
}

/* ---- memory ---- */

/* 300 values, and one with escapes that is longer than any buffer to begin with. */
static struct weir_bytes make_large(char *room, size_t size)
{
    struct base_text text;
    base_text_init(&text, room, size);
    base_text_append(&text, "{\"a\":[0");
    for (int index = 1; index < 300; index++) {
        base_text_append_format(&text, ",%d", index);
    }
    base_text_append(&text, ",\"\\n");
    for (int index = 0; index < 700; index++) {
        base_text_append(&text, "x");
    }
    base_text_append(&text, "\"]}");
    assert_false(text.truncated);
    return (struct weir_bytes){room, text.length};
}

static int count_values(void *context, uint32_t field, struct weir_bytes text)
{
    (void)field;
    (void)text;
    ++*(int *)context;
    return 0;
}

static void without_memory_nothing_is_emitted_and_the_next_time_all_is(void **state)
{
    (void)state;
    char room[4096];
    struct weir_bytes document = make_large(room, sizeof room);
    uint64_t nth = 0;
    int rc;
    do {
        struct weir_json_fields *fields = prepare("a");
        int count = 0;
        fail_allocation(++nth, false);
        rc = weir_json_extract(fields, bytes_of(""), document, count_values, &count);
        stop_failing();
        assert_true(rc == 0 || rc == -ENOMEM);
        assert_int_equal(count, rc == 0 ? 301 : 0);
        count = 0;
        assert_int_equal(weir_json_extract(fields, bytes_of(""), document, count_values, &count),
                         0);
        assert_int_equal(count, 301);
        weir_json_fields_free(fields);
    } while (rc < 0);
    assert_true(nth > 4);
    const char *path = "a";
    struct weir_json_fields *fields = NULL;
    for (nth = 1; nth <= 2; nth++) {
        fail_allocation(nth, false);
        assert_int_equal(weir_json_fields_create(&path, 1, &fields), -ENOMEM);
        stop_failing();
    }
    assert_null(fields);
}

static void documents_like_those_before_allocate_nothing(void **state)
{
    (void)state;
    char room[4096];
    struct weir_bytes document = make_large(room, sizeof room);
    struct weir_json_fields *fields = prepare("a");
    int count = 0;
    uint64_t in_use = base_alloc_in_use();
    assert_int_equal(weir_json_extract(fields, bytes_of(""), document, count_values, &count), 0);
    uint64_t allocations = base_alloc_count();
    for (int round = 0; round < 100; round++) {
        assert_int_equal(weir_json_extract(fields, bytes_of(""), document, count_values, &count),
                         0);
    }
    assert_true(base_alloc_count() == allocations);
    assert_true(base_alloc_in_use() <= in_use + 2);
    weir_json_fields_free(fields);
}

/* ---- random documents, and another reader ---- */

#define FIELDS 5
static const char *const paths[FIELDS] = {"a", "a.b", "b.a.c", "c", "\xc3\xa9.b"};
static const char *const names[FIELDS][4] = {
    {"a"}, {"a", "b"}, {"b", "a", "c"}, {"c"}, {"\xc3\xa9", "b"}};

static const char *pick(struct base_prng *random, const char *const *list, size_t count)
{
    return list[base_prng_below(random, count)];
}

static void write_value(struct base_prng *random, struct base_text *text, int depth);

static void write_space(struct base_prng *random, struct base_text *text)
{
    static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t ", "\r\n"};
    base_text_append(text, pick(random, spaces, COUNT_OF(spaces)));
}

static void write_members(struct base_prng *random, struct base_text *text, int depth)
{
    static const char *const written[] = {"\"a\"",       "\"b\"",        "\"c\"",  "\"\\u0061\"",
                                          "\"\\u00e9\"", "\"\xc3\xa9\"", "\"ab\"", "\"\""};
    uint64_t count = base_prng_below(random, 5);
    base_text_append(text, "{");
    for (uint64_t index = 0; index < count; index++) {
        base_text_append(text, index > 0 ? "," : "");
        write_space(random, text);
        base_text_append(text, pick(random, written, COUNT_OF(written)));
        write_space(random, text);
        base_text_append(text, ":");
        write_value(random, text, depth - 1);
    }
    write_space(random, text);
    base_text_append(text, "}");
}

static void write_elements(struct base_prng *random, struct base_text *text, int depth)
{
    uint64_t count = base_prng_below(random, 4);
    base_text_append(text, "[");
    for (uint64_t index = 0; index < count; index++) {
        base_text_append(text, index > 0 ? "," : "");
        write_value(random, text, depth - 1);
    }
    write_space(random, text);
    base_text_append(text, "]");
}

static void write_value(struct base_prng *random, struct base_text *text, int depth)
{
    static const char *const plain[] = {"1",
                                        "-0.5",
                                        "2e3",
                                        "true",
                                        "false",
                                        "null",
                                        "\"\"",
                                        "\"x\"",
                                        "\"\\ud83d\\ude00\"",
                                        "\"\\n\xe2\x82\xac\\\\\"",
                                        "\"longer than a word\""};
    uint64_t kind = base_prng_below(random, depth > 0 ? 10 : 4);
    write_space(random, text);
    if (kind < 4) {
        base_text_append(text, pick(random, plain, COUNT_OF(plain)));
    } else if (kind < 8) {
        write_members(random, text, depth);
    } else {
        write_elements(random, text, depth);
    }
    write_space(random, text);
}

static void damage(struct base_prng *random, struct base_text *text)
{
    static const char bytes[] = "{}[]\",:\\ u0d8159eE+-.tfn\x01\x80\xc3\xff";
    uint64_t changes = base_prng_below(random, 3);
    for (uint64_t index = 0; index < changes && text->length > 0; index++) {
        text->data[base_prng_below(random, text->length)] =
            bytes[base_prng_below(random, sizeof bytes - 1)];
    }
}

/* jansson keeps the value of a number, not its text: what looks like one is compared as one. */
static int note_as_double(void *context, uint32_t field, struct weir_bytes text)
{
    char number[64];
    const char *first = text.data;
    if (text.size > 0 && text.size < sizeof number &&
        (first[0] == '-' || (first[0] >= '0' && first[0] <= '9'))) {
        memcpy(number, first, text.size);
        number[text.size] = '\0';
        snprintf(number, sizeof number, "%g", strtod(number, NULL));
        text = bytes_of(number);
    }
    return note(context, field, text);
}

/* What jansson's tree has for a set of paths, each with its next name. */
struct oracle {
    struct emits *emits;
    size_t at[FIELDS]; /* names that are behind us */
    bool on[FIELDS];
};

static void note_plain(struct oracle *oracle, json_t *value)
{
    char number[64] = "";
    struct weir_bytes text = {number, 0};
    if (json_is_string(value)) {
        text = (struct weir_bytes){json_string_value(value), json_string_length(value)};
    } else if (json_is_boolean(value)) {
        text = bytes_of(json_is_true(value) ? "true" : "false");
    } else if (json_is_number(value)) {
        snprintf(number, sizeof number, "%g", json_number_value(value));
        text = bytes_of(number);
    } else {
        return;
    }
    for (uint32_t field = 0; field < FIELDS; field++) {
        if (oracle->on[field] && names[field][oracle->at[field]] == NULL) {
            note_as_double(oracle->emits, field, text);
        }
    }
}

static void walk(struct oracle *oracle, json_t *value)
{
    if (json_is_array(value)) {
        for (size_t index = 0; index < json_array_size(value); index++) {
            walk(oracle, json_array_get(value, index));
        }
    } else if (json_is_object(value)) {
        const char *name;
        json_t *member;
        json_object_foreach(value, name, member)
        {
            struct oracle inner = *oracle;
            for (size_t field = 0; field < FIELDS; field++) {
                const char *next = names[field][oracle->at[field]];
                inner.on[field] = oracle->on[field] && next != NULL && strcmp(next, name) == 0;
                inner.at[field]++;
                inner.at[field] = inner.on[field] ? inner.at[field] : 0;
            }
            walk(&inner, member);
        }
    } else {
        note_plain(oracle, value);
    }
}

#define LOOSE (JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL)

/* 0: no document, 1: a document, 2: a document that jansson keeps all of; -1: it cannot tell. */
static int ask_oracle(struct weir_bytes document, struct emits *emits)
{
    json_error_t error;
    begin(emits);
    json_t *root = json_loadb(document.data, document.size, LOOSE, &error);
    if (root == NULL) {
        return json_error_code(&error) == json_error_numeric_overflow ? -1 : 0;
    }
    json_decref(root);
    root = json_loadb(document.data, document.size, LOOSE | JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return 1;
    }
    struct oracle oracle = {.emits = emits};
    for (size_t field = 0; field < FIELDS; field++) {
        oracle.on[field] = true;
    }
    walk(&oracle, root);
    json_decref(root);
    return 2;
}

/* jansson takes a NUL in a name for none: those are not compared. */
static bool has_nul_escape(struct weir_bytes document)
{
    return memmem(document.data, document.size, "\\u0000", 6) != NULL;
}

static void random_documents_are_read_as_jansson_reads_them(void **state)
{
    (void)state;
    struct base_prng random;
    struct weir_json_fields *fields = NULL;
    uint64_t seen[3] = {0};
    base_prng_seed(&random, 17);
    assert_int_equal(weir_json_fields_create(paths, FIELDS, &fields), 0);
    for (int round = 0; round < 300000; round++) {
        char room[2048];
        struct base_text text;
        struct emits expected;
        struct emits emits;
        base_text_init(&text, room, sizeof room);
        write_value(&random, &text, 4);
        damage(&random, &text);
        struct weir_bytes document = {room, text.length};
        int kind = has_nul_escape(document) ? -1 : ask_oracle(document, &expected);
        begin(&emits);
        int rc = weir_json_extract(fields, bytes_of(""), document, note_as_double, &emits);
        if (kind >= 0) {
            seen[kind]++;
        }
        bool differs = (kind >= 0 && rc != (kind == 0 ? 1 : 0)) ||
                       (kind == 2 && strcmp(expected.line, emits.line) != 0) ||
                       (rc == 1 && emits.count > 0);
        if (differs) {
            fail_msg("round %d: %s: %d, %d: %s, not %s", round, room, kind, rc, emits.line,
                     expected.line);
        }
    }
    assert_true(seen[0] > 10000 && seen[1] > 1000 && seen[2] > 10000);
    weir_json_fields_free(fields);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_give_their_characters_numbers_and_words_their_text),
        cmocka_unit_test(null_objects_and_what_is_missing_give_nothing),
        cmocka_unit_test(paths_go_into_objects_and_through_arrays_at_any_level),
        cmocka_unit_test(several_paths_are_found_in_one_pass_in_order_of_the_document),
        cmocka_unit_test(a_name_that_comes_twice_counts_twice),
        cmocka_unit_test(names_are_compared_by_what_they_stand_for),
        cmocka_unit_test(of_what_is_no_document_nothing_is_emitted_not_even_what_stands_in_front),
        cmocka_unit_test(each_beginning_of_a_document_is_none),
        cmocka_unit_test(what_an_emit_answers_is_returned_and_nothing_more_is_emitted),
        cmocka_unit_test(paths_that_are_none_are_refused),
        cmocka_unit_test(plain_text_is_field_0),
        cmocka_unit_test(without_memory_nothing_is_emitted_and_the_next_time_all_is),
        cmocka_unit_test(documents_like_those_before_allocate_nothing),
        cmocka_unit_test(random_documents_are_read_as_jansson_reads_them),
    };
    return RUN_TESTS(tests, argc, argv);
}
