/* Building bounded strings. */
#include "base/text.h"

#include "tests/base/support.h"

static char buffer[256];
static struct base_text text;

static int start_empty(void **state)
{
    (void)state;
    memset(buffer, '#', sizeof buffer);
    base_text_init(&text, buffer, sizeof buffer);
    return 0;
}

static void expect_text(const char *expected)
{
    assert_string_equal(buffer, expected);
    assert_int_equal(text.length, strlen(expected));
    assert_false(text.truncated);
    base_text_init(&text, buffer, sizeof buffer);
}

static void pieces_are_joined(void **state)
{
    (void)state;
    expect_text("");
    base_text_append(&text, "lsn ");
    base_text_append_format(&text, "%d of %s", 7, "many");
    base_text_append_char(&text, ',');
    base_text_append_bytes(&text, " end", 4);
    base_text_append(&text, "");
    expect_text("lsn 7 of many, end");
}

static void what_does_not_fit_is_cut_and_said(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity <= 12; capacity++) {
        memset(buffer, '#', sizeof buffer);
        base_text_init(&text, buffer, capacity);
        base_text_append(&text, "0123");
        base_text_append_format(&text, "%s", "4567");
        base_text_append_hex(&text, "\x89", 1);
        assert_int_equal(text.truncated, capacity < 11);
        assert_int_equal(text.length, capacity < 11 ? capacity - 1 : 10);
        assert_memory_equal(buffer, "0123456789", text.length);
        assert_int_equal(buffer[text.length], '\0');
        assert_int_equal(buffer[capacity], '#');
    }
}

static void nothing_follows_a_cut(void **state)
{
    (void)state;
    base_text_init(&text, buffer, 4);
    base_text_append(&text, "abcdef");
    base_text_append(&text, "x");
    base_text_append_format(&text, "y");
    assert_string_equal(buffer, "abc");
    assert_true(text.truncated);
}

static void hex_is_lower_case(void **state)
{
    (void)state;
    base_text_append_hex(&text, "\x00\x0f\xa5\xff", 4);
    expect_text("000fa5ff");
}

static void base64_holds_the_vectors_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"},
                                             {"\xfb\xff\xfe", "+//+"}};
    for (size_t index = 0; index < COUNT_OF(vectors); index++) {
        base_text_append_base64(&text, vectors[index][0], strlen(vectors[index][0]));
        expect_text(vectors[index][1]);
    }
}

static void times_are_rfc_3339_in_utc_cut_to_milliseconds(void **state)
{
    (void)state;
    const struct {
        uint64_t time_ns;
        const char *text;
    } table[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {UINT64_C(1795448176123999999), "2026-11-23T15:36:16.123Z"},
        {UINT64_C(1582934400000000000), "2020-02-29T00:00:00.000Z"},
        {UINT64_MAX, "2554-07-21T23:34:33.709Z"},
    };
    for (size_t index = 0; index < COUNT_OF(table); index++) {
        base_text_append_time(&text, table[index].time_ns);
        expect_text(table[index].text);
    }
}

static void sizes_and_durations_read_well(void **state)
{
    (void)state;
    const struct {
        uint64_t value;
        const char *size;
        const char *duration;
    } table[] = {
        {0, "0 B", "0 ns"},
        {100, "100 B", "100 ns"},
        {1023, "1023 B", "1.02 us"},
        {1024, "1 KiB", "1.02 us"},
        {1536, "1.5 KiB", "1.53 us"},
        {UINT64_C(64) << 20, "64 MiB", "67.1 ms"},
        {UINT64_C(1250000000), "1.16 GiB", "1.25 s"},
        {UINT64_MAX, "15.99 EiB", "18446744073.7 s"},
    };
    for (size_t index = 0; index < COUNT_OF(table); index++) {
        base_text_append_size(&text, table[index].value);
        expect_text(table[index].size);
        base_text_append_duration(&text, table[index].value);
        expect_text(table[index].duration);
    }
}

static void utf8_is_judged_strictly(void **state)
{
    (void)state;
    const struct {
        const char *bytes;
        size_t size;
        bool valid;
    } table[] = {
        {"", 0, true},
        {"plain ascii, more than eight bytes", 34, true},
        {"\0", 1, true},
        {"\x7f", 1, true},
        {"\xc2\x80", 2, true},
        {"\xdf\xbf", 2, true},
        {"\xe0\xa0\x80", 3, true},
        {"\xed\x9f\xbf", 3, true},
        {"\xee\x80\x80", 3, true},
        {"\xef\xbf\xbf", 3, true},
        {"\xf0\x90\x80\x80", 4, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"1234567\xc3\xa9z", 10, true},
        {"\x80", 1, false},             /* a stray continuation */
        {"\xbf", 1, false},             /* a stray continuation */
        {"\xc0\x80", 2, false},         /* overlong */
        {"\xc1\xbf", 2, false},         /* overlong */
        {"\xe0\x9f\xbf", 3, false},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
        {"\xed\xa0\x80", 3, false},     /* a surrogate */
        {"\xed\xbf\xbf", 3, false},     /* a surrogate */
        {"\xf4\x90\x80\x80", 4, false}, /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", 4, false}, /* beyond U+10FFFF */
        {"\xff", 1, false},             /* no lead byte */
        {"\xc2", 1, false},             /* cut short */
        {"\xe2\x82", 2, false},         /* cut short */
        {"\xf0\x9f\x98", 3, false},     /* cut short */
        {"\xc2\x41", 2, false},         /* no continuation */
        {"\xe2\x82\x41", 3, false},     /* no continuation */
        {"12345678\xff", 9, false},     /* behind a word of ascii */
        {"1234567\xff", 8, false},      /* in the last byte of a word */
    };
    for (size_t index = 0; index < COUNT_OF(table); index++) {
        assert_int_equal(base_utf8_is_valid(table[index].bytes, table[index].size),
                         table[index].valid);
    }
}

static void a_mistyped_word_finds_the_name_that_was_meant(void **state)
{
    (void)state;
    static const char *const names[] = {"put", "get", "append", "scan", "scan-keys", "stat"};
    static const struct {
        const char *word, *meant; /* NULL: none of them */
    } table[] = {
        {"appnd", "append"},
        {"apend", "append"},
        {"sacn", "scan"},
        {"stats", "stat"},
        {"gte", "get"},
        {"put", "put"},
        {"scankey", "scan-keys"},
        {"join", NULL},
        {"ls", NULL},
        {"", NULL},
        {"got", "get"},
        {"appendappendappendappendappendappend", NULL},
    };
    for (size_t index = 0; index < COUNT_OF(table); index++) {
        const char *found = NULL;
        for (size_t name = 0; name < COUNT_OF(names); name++) {
            found = base_text_nearer(table[index].word, found, names[name]);
        }
        if (table[index].meant == NULL) {
            assert_null(found);
        } else {
            assert_non_null(found);
            assert_string_equal(found, table[index].meant);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(pieces_are_joined, start_empty),
        cmocka_unit_test_setup(what_does_not_fit_is_cut_and_said, start_empty),
        cmocka_unit_test_setup(nothing_follows_a_cut, start_empty),
        cmocka_unit_test_setup(hex_is_lower_case, start_empty),
        cmocka_unit_test_setup(base64_holds_the_vectors_of_rfc_4648, start_empty),
        cmocka_unit_test_setup(times_are_rfc_3339_in_utc_cut_to_milliseconds, start_empty),
        cmocka_unit_test_setup(sizes_and_durations_read_well, start_empty),
        cmocka_unit_test_setup(utf8_is_judged_strictly, start_empty),
        cmocka_unit_test(a_mistyped_word_finds_the_name_that_was_meant),
    };
    return RUN_TESTS(tests, argc, argv);
}
