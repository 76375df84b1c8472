/*
 * Views under random work: the same rows in a plain array, added up anew each time, and in SQLite,
 * grouped by it; and views that came about in other ways are the same views.
 */
#include "tests/derived/view_support.h"

#include "base/random.h"
#include "derived/view_numbers.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <time.h>

#define KEYS 300u
#define TABLES 2u
#define MILLI ((decimal_units)1000000) /* units in a thousandth */

static const char *const groups[] = {"", "a", "ab", "b", "\xc3\xa9", "news", "x y", "z"};

/* What is known of a row, beside the document that the view gets. */
struct fact {
    bool is_there, is_document, is_grouped, has_text, has_number;
    size_t group;
    decimal_units number;
    char text[WEIR_DECIMAL_TEXT_MAX];
};

struct world {
    struct fixture fixture;
    struct base_prng random;
    struct fact facts[TABLES][KEYS];
    decimal_units number_limit; /* of the numbers, in units */
    decimal_units number_step;
};

static void name_key(unsigned key, char name[16])
{
    snprintf(name, 16, "k%u", key);
}

/* ---- random rows ---- */

static void choose_text(struct world *world, struct fact *fact)
{
    uint64_t kind = base_prng_below(&world->random, 10);
    fact->has_text = kind > 0;
    fact->has_number = kind > 1;
    if (kind == 1) {
        snprintf(fact->text, sizeof fact->text, "no number %u",
                 (unsigned)base_prng_below(&world->random, 5));
    }
    if (kind > 1) {
        decimal_units limit = kind < 6 ? 5 * world->number_step : world->number_limit;
        decimal_magnitude bits = (decimal_magnitude)base_prng_next(&world->random) << 64 |
                                 base_prng_next(&world->random);
        fact->number = (decimal_units)(bits >> 1) % limit;
        fact->number -= fact->number % world->number_step;
        fact->number = (bits & 1) != 0 ? -fact->number : fact->number;
        weir_decimal_format(decimal_from_units(fact->number), fact->text);
    }
}

static void choose(struct world *world, struct fact *fact)
{
    *fact = (struct fact){.is_there = base_prng_below(&world->random, 4) > 0};
    if (!fact->is_there) {
        return;
    }
    fact->is_document = base_prng_below(&world->random, 20) > 0;
    if (fact->is_document) {
        fact->is_grouped = base_prng_below(&world->random, 10) > 0;
        fact->group = base_prng_below(&world->random, COUNT_OF(groups));
        choose_text(world, fact);
    }
}

static void write_document(const struct fact *fact, char *text, size_t size)
{
    bool quoted = fact->has_text && (!fact->has_number || fact->text[0] % 2 == 0);
    const char *quote = quoted ? "\"" : "";
    snprintf(text, size, "{%s%s%s%s%s%s%s%s%s}", fact->is_grouped ? "\"g\":\"" : "",
             fact->is_grouped ? groups[fact->group] : "", fact->is_grouped ? "\"" : "",
             fact->is_grouped && fact->has_text ? "," : "", fact->has_text ? "\"n\":" : "", quote,
             fact->text, quote, fact->is_document ? "" : "no document");
}

static void change_one(struct world *world)
{
    unsigned table = (unsigned)base_prng_below(&world->random, TABLES);
    unsigned key = (unsigned)base_prng_below(&world->random, KEYS);
    struct fact *fact = &world->facts[table][key];
    char name[16];
    char document[256];
    choose(world, fact);
    name_key(key, name);
    write_document(fact, document, sizeof document);
    put_in(&world->fixture, table, name, fact->is_there ? document : NULL);
}

static void open_world(struct world *world, uint32_t aggregates, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    open_view(&world->fixture, aggregates);
    base_prng_seed(&world->random, seed);
    world->number_limit = DECIMAL_LIMIT;
    world->number_step = 1;
}

/* ---- a plain array ---- */

static struct weir_view_group add_up(const struct world *world, size_t group)
{
    struct weir_view_group sum = {.count = 0};
    decimal_units total = 0;
    decimal_units least = 0;
    decimal_units most = 0;
    for (unsigned index = 0; index < TABLES * KEYS; index++) {
        const struct fact *fact = &world->facts[index / KEYS][index % KEYS];
        if (!fact->is_grouped || fact->group != group) {
            continue;
        }
        sum.count++;
        if (fact->has_number) {
            least = sum.numbers == 0 || fact->number < least ? fact->number : least;
            most = sum.numbers == 0 || fact->number > most ? fact->number : most;
            total += fact->number;
            sum.numbers++;
        }
    }
    sum.sum = decimal_from_units(total);
    sum.min = decimal_from_units(least);
    sum.max = decimal_from_units(most);
    return sum;
}

static bool are_equal(struct weir_decimal left, struct weir_decimal right)
{
    return left.high == right.high && left.low == right.low;
}

static void check_sums(struct world *world)
{
    uint64_t there = 0;
    for (size_t group = 0; group < COUNT_OF(groups); group++) {
        struct weir_view_group expected = add_up(world, group);
        struct weir_view_group found;
        int rc = weir_view_get(world->fixture.view, bytes_of(groups[group]), &found);
        assert_int_equal(rc, expected.count > 0 ? 1 : 0);
        if (rc == 1) {
            there++;
            assert_int_equal(found.count, expected.count);
            assert_int_equal(found.numbers, expected.numbers);
            assert_true(are_equal(found.sum, expected.sum));
            assert_true(are_equal(found.min, expected.min));
            assert_true(are_equal(found.max, expected.max));
        }
    }
    struct weir_view_status status = WEIR_VIEW_STATUS_INIT;
    assert_int_equal(weir_view_stat(world->fixture.view, &status), 0);
    assert_int_equal(status.groups, there);
}

static void check_skipped(struct world *world)
{
    uint64_t documents = 0;
    uint64_t numbers = 0;
    for (unsigned index = 0; index < TABLES * KEYS; index++) {
        const struct fact *fact = &world->facts[index / KEYS][index % KEYS];
        documents += fact->is_there && !fact->is_document ? 1 : 0;
        numbers += fact->is_grouped && fact->has_text && !fact->has_number ? 1 : 0;
    }
    expect_skipped(&world->fixture, documents, numbers, 0);
}

static void ds_20_random_work_comes_to_what_an_array_of_the_rows_adds_up_to(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, VIEW_EVERYTHING, 1);
    for (int round = 0; round < 20000; round++) {
        change_one(&world);
        if (round % 100 == 0) {
            check_sums(&world);
            check_skipped(&world);
            check_entries(world.fixture.view);
        }
    }
    close_view(&world.fixture);
}

/* ---- other ways to the same view ---- */

static void ds_02_live_rebuilt_and_loaded_views_have_one_fingerprint(void **state)
{
    (void)state;
    static const uint32_t kinds[] = {WEIR_VIEW_COUNT, WEIR_VIEW_SUM,
                                     WEIR_VIEW_MIN | WEIR_VIEW_COUNT, WEIR_VIEW_LIST,
                                     VIEW_EVERYTHING};
    static struct world world;
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
        open_world(&world, kinds[kind], 100 + kind);
        for (int round = 0; round < 3000; round++) {
            change_one(&world);
            if (round % 150 != 0) {
                continue;
            }
            struct fingerprint live = fingerprint_of(world.fixture.view);
            struct weir_materialized_view *twin = make_twin(&world.fixture);
            apply_rows(&world.fixture, twin);
            assert_true(are_same(live, fingerprint_of(twin)));
            weir_view_free(twin);
            struct memory_state saved;
            save(world.fixture.view, &saved);
            twin = make_twin(&world.fixture);
            assert_int_equal(load(twin, &saved), 0);
            assert_true(are_same(live, fingerprint_of(twin)));
            memory_state_free(&saved);
            /* The rest of the work goes on from what was loaded. */
            weir_view_free(world.fixture.view);
            world.fixture.view = twin;
        }
        close_view(&world.fixture);
    }
}

static void ds_20_any_change_that_counts_changes_the_fingerprint(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, VIEW_EVERYTHING, 7);
    uint64_t changes = 0;
    for (int round = 0; round < 3000; round++) {
        unsigned key = (unsigned)base_prng_below(&world.random, KEYS);
        struct fact *fact = &world.facts[0][key];
        struct fact before = *fact;
        struct fingerprint was = fingerprint_of(world.fixture.view);
        char name[16];
        char document[256];
        choose(&world, fact);
        name_key(key, name);
        write_document(fact, document, sizeof document);
        put(&world.fixture, name, fact->is_there ? document : NULL);
        bool counts =
            before.is_grouped || fact->is_grouped ||
            (before.is_there && !before.is_document) != (fact->is_there && !fact->is_document);
        bool equal = before.is_grouped == fact->is_grouped && before.group == fact->group &&
                     before.has_text == fact->has_text && strcmp(before.text, fact->text) == 0;
        if (counts && !(before.is_grouped && equal)) {
            changes++;
            assert_false(are_same(was, fingerprint_of(world.fixture.view)));
        }
    }
    assert_true(changes > 1000);
    close_view(&world.fixture);
}

/* ---- numbers in an unlucky order ---- */

/* A tree that is a list would need 5 * 10^9 steps for each of the three. */
static void ds_20_min_and_max_do_not_care_for_the_order_in_which_numbers_come_and_go(void **state)
{
    (void)state;
    struct slab slab;
    struct view_number entry;
    uint32_t root = SLAB_NONE;
    decimal_units count = 100000;
    slab_init(&slab);
    clock_t start = clock();
    for (decimal_units number = 0; number < count; number++) {
        assert_int_equal(view_numbers_add(&slab, &root, number), 0);
        assert_int_equal(view_numbers_add(&slab, &root, -number), 0);
    }
    for (decimal_units number = 0; number < count; number++) {
        assert_true(view_numbers_first(&slab, root, &entry) && entry.number == number - count + 1);
        view_numbers_remove(&slab, &root, entry.number);
        assert_true(view_numbers_last(&slab, root, &entry) && entry.number == count - 1);
    }
    assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
    slab_free_all(&slab);
}

/* ---- SQLite ---- */

static void run(sqlite3 *database, const char *statement)
{
    char *error = NULL;
    if (sqlite3_exec(database, statement, NULL, NULL, &error) != SQLITE_OK) {
        fail_msg("%s: %s", statement, error);
    }
}

static void store_row(sqlite3 *database, unsigned table, const char *key, const struct fact *fact)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(database,
                                        "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    sqlite3_bind_int64(statement, 1, table);
    sqlite3_bind_text(statement, 2, key, -1, SQLITE_TRANSIENT);
    if (fact->is_grouped) {
        sqlite3_bind_text(statement, 3, groups[fact->group], -1, SQLITE_TRANSIENT);
    }
    if (fact->has_number) {
        sqlite3_bind_int64(statement, 4, (int64_t)(fact->number / MILLI));
    }
    if (fact->has_text) {
        sqlite3_bind_text(statement, 5, fact->text, -1, SQLITE_TRANSIENT);
    }
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
}

/* Steps through what SQLite has, while the view goes through what it has. */
struct comparing {
    sqlite3_stmt *statement;
    int rows;
};

static decimal_units column_units(sqlite3_stmt *statement, int column)
{
    return (decimal_units)sqlite3_column_int64(statement, column) * MILLI;
}

static int compare_group(void *context, const struct weir_view_group *group)
{
    struct comparing *comparing = context;
    sqlite3_stmt *statement = comparing->statement;
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    comparing->rows++;
    assert_int_equal(sqlite3_column_bytes(statement, 0), group->group.size);
    assert_memory_equal(sqlite3_column_blob(statement, 0), group->group.data, group->group.size);
    assert_int_equal(sqlite3_column_int64(statement, 1), group->count);
    assert_int_equal(sqlite3_column_int64(statement, 2), group->numbers);
    assert_true(column_units(statement, 3) == decimal_to_units(group->sum));
    assert_true(column_units(statement, 4) == decimal_to_units(group->min));
    assert_true(column_units(statement, 5) == decimal_to_units(group->max));
    return 0;
}

static int compare_row(void *context, weir_table table, struct weir_bytes key,
                       struct weir_bytes text)
{
    struct comparing *comparing = context;
    sqlite3_stmt *statement = comparing->statement;
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    comparing->rows++;
    assert_int_equal(sqlite3_column_int64(statement, 0), table);
    assert_int_equal(sqlite3_column_bytes(statement, 1), key.size);
    assert_memory_equal(sqlite3_column_blob(statement, 1), key.data, key.size);
    assert_int_equal(sqlite3_column_bytes(statement, 2), text.size);
    assert_memory_equal(sqlite3_column_blob(statement, 2), text.data, text.size);
    return 0;
}

static void compare_lists(struct world *world, sqlite3 *database)
{
    for (size_t group = 0; group < COUNT_OF(groups); group++) {
        struct comparing comparing = {.rows = 0};
        assert_int_equal(
            sqlite3_prepare_v2(database,
                               "SELECT tbl, key, text FROM rows WHERE grp = ? AND text IS NOT NULL "
                               "ORDER BY tbl, key",
                               -1, &comparing.statement, NULL),
            SQLITE_OK);
        sqlite3_bind_text(comparing.statement, 1, groups[group], -1, SQLITE_TRANSIENT);
        assert_int_equal(
            weir_view_list(world->fixture.view, bytes_of(groups[group]), compare_row, &comparing),
            0);
        assert_int_equal(sqlite3_step(comparing.statement), SQLITE_DONE);
        sqlite3_finalize(comparing.statement);
    }
}

static int compare_groups(struct world *world, sqlite3 *database)
{
    struct comparing comparing = {.rows = 0};
    assert_int_equal(
        sqlite3_prepare_v2(database,
                           "SELECT grp, count(*), count(milli), coalesce(sum(milli), 0), "
                           "coalesce(min(milli), 0), coalesce(max(milli), 0) FROM rows "
                           "WHERE grp IS NOT NULL GROUP BY grp ORDER BY grp",
                           -1, &comparing.statement, NULL),
        SQLITE_OK);
    assert_int_equal(weir_view_each(world->fixture.view, bytes_of(""), compare_group, &comparing),
                     0);
    assert_int_equal(sqlite3_step(comparing.statement), SQLITE_DONE);
    sqlite3_finalize(comparing.statement);
    return comparing.rows;
}

static void copy_to_sqlite(struct world *world, sqlite3 *database)
{
    run(database, "BEGIN; DELETE FROM rows");
    for (unsigned index = 0; index < TABLES * KEYS; index++) {
        const struct fact *fact = &world->facts[index / KEYS][index % KEYS];
        char name[16];
        name_key(index % KEYS, name);
        if (fact->is_there) {
            store_row(database, index / KEYS, name, fact);
        }
    }
    run(database, "COMMIT");
}

static void ds_20_groups_and_lists_are_those_of_sqlite(void **state)
{
    (void)state;
    static struct world world;
    sqlite3 *database = NULL;
    int compared = 0;
    assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
    run(database, "CREATE TABLE rows (tbl, key TEXT, grp TEXT, milli INTEGER, text TEXT, "
                  "PRIMARY KEY (tbl, key))");
    open_world(&world, VIEW_EVERYTHING, 2);
    world.number_limit = 1000000000 * MILLI;
    world.number_step = MILLI;
    for (int round = 0; round < 20000; round++) {
        change_one(&world);
        if (round % 500 == 499) {
            copy_to_sqlite(&world, database);
            compared += compare_groups(&world, database);
            compare_lists(&world, database);
        }
    }
    assert_int_equal(compared, 40 * COUNT_OF(groups));
    close_view(&world.fixture);
    sqlite3_close(database);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_20_random_work_comes_to_what_an_array_of_the_rows_adds_up_to),
        cmocka_unit_test(ds_02_live_rebuilt_and_loaded_views_have_one_fingerprint),
        cmocka_unit_test(ds_20_any_change_that_counts_changes_the_fingerprint),
        cmocka_unit_test(ds_20_min_and_max_do_not_care_for_the_order_in_which_numbers_come_and_go),
        cmocka_unit_test(ds_20_groups_and_lists_are_those_of_sqlite),
    };
    return RUN_TESTS(tests, argc, argv);
}
