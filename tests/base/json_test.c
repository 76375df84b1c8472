/* The scanner of JSON documents: what is one, what is at a path, and never a byte too far. */
#include "base/json.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/base/support.h"

#include <errno.h>
#include <sys/mman.h>

static struct base_json_paths *prepare(const char *path, unsigned flags)
{
    struct base_json_paths *paths = NULL;
    assert_int_equal(base_json_paths_create(&path, 1, flags, &paths), 0);
    return paths;
}

static int ignore(void *context, const struct base_json_value *value)
{
    (void)context;
    (void)value;
    return 0;
}

/* ---- what is a document ---- */

static int scan(const char *data, size_t size, struct base_json_result *ret_result)
{
    struct base_json_paths *paths = prepare("a", BASE_JSON_ARRAYS);
    int rc = base_json_scan(paths, data, size, ignore, NULL, ret_result);
    base_json_paths_free(paths);
    return rc;
}

/* A block that ends where memory ends: one byte too far is a fault. */
struct edge {
    char *pages;
    size_t size;
};

static struct edge make_edge(void)
{
    struct edge edge = {.size = 16 * base_page_size()};
    edge.pages = mmap(NULL, edge.size + base_page_size(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(edge.pages != MAP_FAILED);
    assert_int_equal(mprotect(edge.pages + edge.size, base_page_size(), PROT_NONE), 0);
    return edge;
}

static const char *copy_to_edge(const struct edge *edge, const char *data, size_t size)
{
    assert_true(size <= edge->size);
    return memcpy(edge->pages + edge->size - size, data, size);
}

static void drop_edge(struct edge *edge)
{
    assert_int_equal(munmap(edge->pages, edge->size + base_page_size()), 0);
}

static const char *const documents[] = {
    "null",
    "true",
    " \t\r\nfalse\n",
    "0",
    "-0",
    "-0.0e-00",
    "10E+5",
    "123456789012345678901234567890.5e99999999999",
    "\"\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uD83D\\ude00\"",
    "\"\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 and some more of plain text\"",
    "[]",
    "[ ]",
    "{}",
    "{ }",
    "[1,\"a\",null,[],{},[[{\"a\":[]}]]]",
    "{\"a\":{\"a\":{\"\":1}},\"a\":2,\"long name that is no path\":[true,false]}",
    "[ 1 , 2 , { \"a\" : 1 , \"b\" : [ ] } ]",
};

static void every_document_of_the_grammar_is_one(void **state)
{
    (void)state;
    for (size_t index = 0; index < COUNT_OF(documents); index++) {
        struct base_json_result result;
        int rc = scan(documents[index], strlen(documents[index]), &result);
        if (rc != 0) {
            fail_msg("%s: %s at %zu", documents[index], result.text, result.offset);
        }
    }
}

/* Space alone may be cut; of a number what is left may be one. */
static bool may_end_at(const char *document, size_t size)
{
    size_t end = strlen(document);
    while (end > 0 && strchr(" \t\r\n", document[end - 1]) != NULL) {
        end--;
    }
    return size >= end || (strchr("-0123456789", document[0]) != NULL && size > 0 &&
                           document[size - 1] >= '0' && document[size - 1] <= '9');
}

static void no_beginning_of_a_document_is_one_and_none_is_read_beyond_its_end(void **state)
{
    (void)state;
    struct edge edge = make_edge();
    for (size_t index = 0; index < COUNT_OF(documents); index++) {
        for (size_t size = 0; size <= strlen(documents[index]); size++) {
            struct base_json_result result;
            int rc = scan(copy_to_edge(&edge, documents[index], size), size, &result);
            if (rc != (may_end_at(documents[index], size) ? 0 : -EBADMSG)) {
                fail_msg("%.*s: %d", (int)size, documents[index], rc);
            }
            assert_true(rc == 0 || result.offset <= size);
        }
    }
    drop_edge(&edge);
}

static void nothing_is_no_document_also_where_there_is_no_memory(void **state)
{
    (void)state;
    struct base_json_result result;
    assert_int_equal(scan(NULL, 0, &result), -EBADMSG);
    assert_string_equal(result.text, "the text is empty");
    assert_int_equal(scan("  \n", 3, &result), -EBADMSG);
}

static void what_is_wrong_is_named_with_the_place_of_the_first_byte_that_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *data, *text;
        size_t offset;
    } cases[] = {
        {"", "the text is empty", 0},
        {"x", "a value was expected", 0},
        {"nul", "a value was expected", 0},
        {"truE", "a value was expected", 0},
        {"+1", "a value was expected", 0},
        {".5", "a value was expected", 0},
        {"-", "a digit was expected", 1},
        {"-x", "a digit was expected", 1},
        {"01", "more follows behind the document", 1},
        {"1.", "a digit was expected behind the point", 2},
        {"1.e5", "a digit was expected behind the point", 2},
        {"1e+", "a digit was expected in the exponent", 3},
        {"1 2", "more follows behind the document", 2},
        {"{\"a\":1}}", "more follows behind the document", 7},
        {"{a:1}", "a name in quotes was expected", 1},
        {"{\"a\":1,}", "a name in quotes was expected", 7},
        {"{,}", "a name in quotes was expected", 1},
        {"{\"a\" 1}", "a colon was expected", 5},
        {"{\"a\":}", "a value was expected", 5},
        {"{\"a\":1 \"b\":2}", "a comma or } was expected", 7},
        {"{\"a\":1]", "a comma or } was expected", 6},
        {"[1 2]", "a comma or ] was expected", 3},
        {"[1,]", "a value was expected", 3},
        {"[1}", "a comma or ] was expected", 2},
        {"[", "a value was expected", 1},
        {"]", "a value was expected", 0},
        {"\"", "the text ends inside a string", 1},
        {"\"abcdefghij", "the text ends inside a string", 11},
        {"\"\\x\"", "there is no such escape in a string", 2},
        {"\"\\", "there is no such escape in a string", 2},
        {"\"\\u12g4\"", "\\u needs four hex digits", 5},
        {"\"\\u12", "\\u needs four hex digits", 5},
        {"\"\\ud800\\u12\"", "\\u needs four hex digits", 11},
        {"\"a\nb\"", "a control character in a string has to be escaped", 2},
        {"\"abcdefg\x1f\"", "a control character in a string has to be escaped", 8},
        {"\"a\xff\"", "it is not UTF-8", 2},
        {"\"\xc3\"", "it is not UTF-8", 1},
        {"\"\xc3\xa9\xed\xa0\x80\"", "it is not UTF-8", 3},
        {"\xef\xbb\xbf{}", "a value was expected", 0},
        {"{\"\x01\":1}", "a control character in a string has to be escaped", 2},
    };
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        struct base_json_result result;
        assert_int_equal(scan(cases[index].data, strlen(cases[index].data), &result), -EBADMSG);
        if (strcmp(result.text, cases[index].text) != 0 || result.offset != cases[index].offset) {
            fail_msg("%s: %s at %zu", cases[index].data, result.text, result.offset);
        }
    }
    struct base_json_result result;
    assert_int_equal(scan("\"a\0b\"", 5, &result), -EBADMSG);
    assert_int_equal(scan("1\0", 2, &result), -EBADMSG);
}

static void each_byte_at_each_place_of_a_string_is_judged_alike(void **state)
{
    (void)state;
    struct edge edge = make_edge();
    for (size_t length = 1; length <= 20; length++) {
        for (size_t place = 0; place < length; place++) {
            for (int byte = 0; byte < 256; byte++) {
                char string[22];
                memset(string, 'x', sizeof string);
                string[0] = '"';
                string[length + 1] = '"';
                string[place + 1] = (char)byte;
                bool plain = byte >= 0x20 && byte < 0x80 && byte != '\\' && byte != '"';
                bool escaped_quote = byte == '\\' && place + 1 == length;
                struct base_json_result result;
                int rc = scan(copy_to_edge(&edge, string, length + 2), length + 2, &result);
                if ((rc == 0) != plain) {
                    fail_msg("length %zu, place %zu, byte %d: %d", length, place, byte, rc);
                }
                assert_true(plain || result.offset >= place + 1 || escaped_quote);
            }
        }
    }
    drop_edge(&edge);
}

/* All first and second bytes beyond ASCII, with what may follow them. */
static void a_string_is_utf_8_exactly_when_its_bytes_are(void **state)
{
    (void)state;
    static const char *const tails[] = {"", "\x80", "\x80\x80", "\xbf\xbf", "x"};
    struct base_json_paths *paths = prepare("a", 0);
    for (unsigned pair = 0; pair < 128 * 128; pair++) {
        for (size_t tail = 0; tail < COUNT_OF(tails); tail++) {
            char string[8];
            int size = snprintf(string, sizeof string, "\"%c%c%s\"", (int)(0x80 | pair >> 7),
                                (int)(0x80 | (pair & 0x7f)), tails[tail]);
            bool valid = base_utf8_is_valid(string, (size_t)size);
            struct base_json_result result;
            int rc = base_json_scan(paths, string, (size_t)size, ignore, NULL, &result);
            assert_int_equal(rc, valid ? 0 : -EBADMSG);
        }
    }
    base_json_paths_free(paths);
}

static void containers_lie_in_each_other_up_to_a_limit(void **state)
{
    (void)state;
    char document[2 * (BASE_JSON_DEPTH_MAX + 1)];
    struct base_json_result result;
    size_t depth = BASE_JSON_DEPTH_MAX;
    memset(document, '[', depth);
    memset(document + depth, ']', depth);
    assert_int_equal(scan(document, 2 * depth, &result), 0);
    depth++;
    memset(document, '[', depth);
    memset(document + depth, ']', depth);
    assert_int_equal(scan(document, 2 * depth, &result), -EBADMSG);
    assert_string_equal(result.text, "more than 512 arrays and objects lie in each other");
    assert_int_equal(result.offset, BASE_JSON_DEPTH_MAX);
}

static void half_of_a_surrogate_pair_is_told_wherever_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        bool half;
    } cases[] = {
        {"\"\\ud83d\\ude00\"", false},
        {"\"\\uD83D\\uDE00x\"", false},
        {"\"\\ud7ff\\ue000\"", false},
        {"\"\\ud800\"", true},
        {"\"\\udc00\"", true},
        {"\"\\ud800\\ud800\\udc00\"", true},
        {"\"\\udc00\\ud800\"", true},
        {"\"\\ud800x\\udc00\"", true},
        {"\"\\ud800\\n\"", true},
        {"{\"x\":[1,{\"\\udfff\":2}]}", true},
        {"{\"x\":\"\\ud800\",\"a\":1}", true},
        {"\"\\\\ud800\"", false},
    };
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        struct base_json_result result;
        assert_int_equal(scan(cases[index].data, strlen(cases[index].data), &result), 0);
        if (result.half_pair != cases[index].half) {
            fail_msg("%s", cases[index].data);
        }
    }
}

static void a_scan_allocates_nothing(void **state)
{
    (void)state;
    struct base_json_paths *paths = prepare("a.b", BASE_JSON_ARRAYS);
    static const char document[] = "[{\"a\":{\"b\":\"\\u00e9\"}},[[{\"\\u0061\":[{\"b\":1}]}]]]";
    uint64_t allocations = base_alloc_count();
    struct base_json_result result;
    assert_int_equal(base_json_scan(paths, document, sizeof document - 1, ignore, NULL, &result),
                     0);
    assert_true(base_alloc_count() == allocations);
    base_json_paths_free(paths);
}

/* ---- what is at a path ---- */

struct visits {
    char line[1024];
    struct base_text text;
    int stop_at; /* the visit that answers with stop; 0: none */
    int count;
};

/* "ends:kind=data " for each visit. */
static int note(void *context, const struct base_json_value *value)
{
    struct visits *visits = context;
    base_text_append_format(&visits->text, "%s%u:%.*s", visits->count > 0 ? " " : "", value->paths,
                            (int)value->size, value->data);
    return ++visits->count == visits->stop_at ? -ECANCELED : 0;
}

static void expect_visits(const char *path, unsigned flags, const char *document,
                          const char *expected)
{
    struct base_json_paths *paths = prepare(path, flags);
    struct visits visits = {.count = 0};
    struct base_json_result result;
    base_text_init(&visits.text, visits.line, sizeof visits.line);
    assert_int_equal(base_json_scan(paths, document, strlen(document), note, &visits, &result), 0);
    assert_string_equal(visits.line, expected);
    base_json_paths_free(paths);
}

static void values_are_visited_when_they_end_those_on_the_way_as_well(void **state)
{
    (void)state;
    expect_visits("a.b", 0, "{\"a\":{\"b\":1,\"c\":2}}",
                  "1:1 0:{\"b\":1,\"c\":2} 0:{\"a\":{\"b\":1,\"c\":2}}");
    expect_visits("a", 0, "{\"b\":{\"a\":1}}", "0:{\"b\":{\"a\":1}}");
    expect_visits("a", 0, "7", "0:7");
    expect_visits("a", 0, "{\"a\":[1]}", "1:[1] 0:{\"a\":[1]}");
    expect_visits("a", 0, "[{\"a\":1}]", "0:[{\"a\":1}]");
}

static void an_array_stands_for_its_elements_when_it_is_asked_to(void **state)
{
    (void)state;
    expect_visits("a", BASE_JSON_ARRAYS, "{\"a\":[1,[2]]}",
                  "1:1 1:2 1:[2] 1:[1,[2]] 0:{\"a\":[1,[2]]}");
    expect_visits("a", BASE_JSON_ARRAYS, "[{\"a\":1}]", "1:1 0:{\"a\":1} 0:[{\"a\":1}]");
}

static void what_a_visit_answers_stops_the_scan(void **state)
{
    (void)state;
    static const char document[] = "{\"a\":1,\"a\":2,\"a\":3,}";
    struct base_json_paths *paths = prepare("a", 0);
    struct visits visits = {.stop_at = 2};
    struct base_json_result result;
    base_text_init(&visits.text, visits.line, sizeof visits.line);
    assert_int_equal(base_json_scan(paths, document, sizeof document - 1, note, &visits, &result),
                     -ECANCELED);
    assert_int_equal(visits.count, 2);
    base_json_paths_free(paths);
}

static void the_root_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        enum base_json_kind kind;
        const char *name;
    } cases[] = {
        {"{\"a\":[]}", BASE_JSON_OBJECT, "an object"},
        {"[{}]", BASE_JSON_ARRAY, "an array"},
        {"\"x\"", BASE_JSON_STRING, "a string"},
        {"1", BASE_JSON_NUMBER, "a number"},
        {"true", BASE_JSON_TRUE, "true"},
        {"false", BASE_JSON_FALSE, "false"},
        {"null", BASE_JSON_NULL, "null"},
    };
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        struct base_json_result result;
        assert_int_equal(scan(cases[index].data, strlen(cases[index].data), &result), 0);
        assert_int_equal(result.root, cases[index].kind);
        assert_string_equal(base_json_kind_name(result.root), cases[index].name);
    }
    assert_string_equal(base_json_kind_name(BASE_JSON_ABSENT), "absent");
}

static void a_name_is_the_same_however_it_is_written(void **state)
{
    (void)state;
    expect_visits("a\\.b", 0, "{\"a.b\":1,\"a\":{\"b\":2}}", "1:1 0:{\"a.b\":1,\"a\":{\"b\":2}}");
    expect_visits("a\\\\.b", 0, "{\"a\\\\\":{\"b\":1}}", "1:1 0:{\"b\":1} 0:{\"a\\\\\":{\"b\":1}}");
    expect_visits("a\\b", 0, "{\"a\\\\b\":1}", "1:1 0:{\"a\\\\b\":1}");
    expect_visits("\xc3\xa9\xf0\x9f\x98\x80", 0, "{\"\\u00E9\\ud83d\\uDE00\":1}",
                  "1:1 0:{\"\\u00E9\\ud83d\\uDE00\":1}");
    expect_visits("a", 0, "{\"\\u0061\":1,\"\\u0061b\":2,\"\\u0062\":3,\"\\ud800\":4}",
                  "1:1 0:{\"\\u0061\":1,\"\\u0061b\":2,\"\\u0062\":3,\"\\ud800\":4}");
}

static void long_names_are_told_apart_as_well(void **state)
{
    (void)state;
    for (int length = 60; length < 70; length++) {
        char path[80];
        char document[512];
        char expected[1024];
        snprintf(path, sizeof path, "%0*d", length, 1);
        snprintf(document, sizeof document, "{\"%0*d\":1,\"%0*d\":2,\"%0*d\":3,\"%0*d\":4}",
                 length + 1, 1, length, 1, length, 2, length - 1, 1);
        snprintf(expected, sizeof expected, "1:2 0:%s", document);
        expect_visits(path, 0, document, expected);
    }
}

static void a_path_has_1_to_16_names_of_which_none_is_empty(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", ".", "a.", ".a", "a..b", "\xff", "a.\xc3", "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17"};
    struct base_json_paths *paths = NULL;
    for (size_t index = 0; index < COUNT_OF(bad); index++) {
        assert_int_equal(base_json_paths_create(&bad[index], 1, 0, &paths), -EINVAL);
    }
    assert_null(paths);
    const char *many[BASE_JSON_PATHS_MAX + 1];
    for (size_t index = 0; index < COUNT_OF(many); index++) {
        many[index] = "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16";
    }
    assert_int_equal(base_json_paths_create(many, 0, 0, &paths), -EINVAL);
    assert_int_equal(base_json_paths_create(many, BASE_JSON_PATHS_MAX + 1, 0, &paths), -EINVAL);
    assert_int_equal(base_json_paths_create(many, BASE_JSON_PATHS_MAX, 0, &paths), 0);
    base_json_paths_free(paths);
    base_json_paths_free(NULL);
}

/* ---- strings ---- */

static void a_string_stands_for_its_characters(void **state)
{
    (void)state;
    static const struct {
        const char *data, *text;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"a\\u0041z", "aAz"},
        {"\\u007f\\u0080\\u07ff\\u0800\\uffff", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
        {"\\ud800\\udc00\\uDBFF\\uDFFF", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\xc3\xa9\\n\xe2\x82\xac", "\xc3\xa9\n\xe2\x82\xac"},
    };
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        char target[64];
        const char *data = cases[index].data;
        size_t expected = strlen(cases[index].text);
        assert_int_equal(base_json_unescape(data, strlen(data), target), expected);
        assert_memory_equal(target, cases[index].text, expected);
        assert_true(base_json_equals(data, strlen(data), cases[index].text, expected));
        assert_false(base_json_equals(data, strlen(data), cases[index].text, expected + 1));
        assert_false(expected > 0 &&
                     base_json_equals(data, strlen(data), cases[index].text, expected - 1));
    }
    char target[64];
    assert_int_equal(base_json_unescape("a\\u0000b", 8, target), 3);
    assert_memory_equal(target, "a\0b", 3);
    assert_int_equal(base_json_unescape("x\\ud800", 7, target), -EBADMSG);
    assert_int_equal(base_json_unescape("\\udc00\\ud800", 12, target), -EBADMSG);
    assert_false(base_json_equals("\\ud800", 6, "\xed\xa0\x80", 3));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_document_of_the_grammar_is_one),
        cmocka_unit_test(no_beginning_of_a_document_is_one_and_none_is_read_beyond_its_end),
        cmocka_unit_test(nothing_is_no_document_also_where_there_is_no_memory),
        cmocka_unit_test(what_is_wrong_is_named_with_the_place_of_the_first_byte_that_does_not_fit),
        cmocka_unit_test(each_byte_at_each_place_of_a_string_is_judged_alike),
        cmocka_unit_test(a_string_is_utf_8_exactly_when_its_bytes_are),
        cmocka_unit_test(containers_lie_in_each_other_up_to_a_limit),
        cmocka_unit_test(half_of_a_surrogate_pair_is_told_wherever_it_is),
        cmocka_unit_test(a_scan_allocates_nothing),
        cmocka_unit_test(values_are_visited_when_they_end_those_on_the_way_as_well),
        cmocka_unit_test(an_array_stands_for_its_elements_when_it_is_asked_to),
        cmocka_unit_test(what_a_visit_answers_stops_the_scan),
        cmocka_unit_test(the_root_is_named),
        cmocka_unit_test(a_name_is_the_same_however_it_is_written),
        cmocka_unit_test(long_names_are_told_apart_as_well),
        cmocka_unit_test(a_path_has_1_to_16_names_of_which_none_is_empty),
        cmocka_unit_test(a_string_stands_for_its_characters),
    };
    return RUN_TESTS(tests, argc, argv);
}
