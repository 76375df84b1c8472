#include "tests/derived/scene.h"

#include "derived/host.h"

#include <stdio.h>

void scene_open_host(struct scene *scene)
{
    assert_int_equal(weir_host_open(scene->store.engine, NULL, &scene->host), 0);
}

void scene_open(struct scene *scene)
{
    store_open_with(&scene->store, (uint64_t)64 << 10, STORE_INDEX);
    scene_open_host(scene);
}

void scene_close_host(struct scene *scene)
{
    assert_int_equal(weir_host_close(scene->host), 0);
    scene->host = NULL;
}

void scene_close(struct scene *scene)
{
    scene_close_host(scene);
    store_close(&scene->store);
}

void scene_reopen(struct scene *scene)
{
    scene_close_host(scene);
    store_reopen(&scene->store);
    scene_open_host(scene);
}

static uint64_t keep_nothing(void *context, const char *name, uint64_t offset)
{
    (void)context;
    (void)name;
    (void)offset;
    return 0;
}

struct weir_medium *scene_cut(struct scene *scene)
{
    struct weir_medium *image = NULL;
    assert_int_equal(sim_memory_cut(scene->store.keeper, keep_nothing, NULL, &image), 0);
    return image;
}

void scene_go_on_with(struct scene *scene, struct weir_medium *image)
{
    (void)weir_host_close(scene->host);
    store_stop(&scene->store);
    scene->store.keeper->ops->destroy(scene->store.keeper);
    scene->store.keeper = image;
    scene->store.disk.disk = sim_memory_disk(image);
    store_start(&scene->store);
    scene_open_host(scene);
}

void scene_crash(struct scene *scene)
{
    scene_go_on_with(scene, scene_cut(scene));
}

int scene_try_attach(struct scene *scene, const char *name, struct ledger *ledger,
                     enum weir_start start, weir_lsn lsn)
{
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = name;
    system.ops = &ledger_ops;
    system.self = ledger;
    system.start = start;
    system.lsn = lsn;
    return weir_host_attach(scene->host, &system, NULL);
}

void scene_attach(struct scene *scene, const char *name, struct ledger *ledger)
{
    assert_int_equal(scene_try_attach(scene, name, ledger, WEIR_START_BEGINNING, 0), 0);
}

void scene_free(struct scene *scene, struct ledger *ledger)
{
    struct weir_host_status status = WEIR_HOST_STATUS_INIT;
    if (weir_host_stat(scene->host, &status, NULL, 0) > 0) {
        scene_close_host(scene);
        scene_open_host(scene);
    }
    ledger_free(ledger);
}

uint64_t scene_flush(struct scene *scene, const char *name)
{
    struct weir_delivered delivered[64];
    uint64_t events = 0;
    settle(&scene->store);
    int count = weir_host_flush(scene->host, delivered, 64);
    assert_true(count >= 0 && count <= 64);
    for (int i = 0; i < count; i++) {
        if (name == NULL || strcmp(delivered[i].name, name) == 0) {
            events += delivered[i].events;
        }
    }
    return events;
}

weir_lsn scene_churn(struct scene *scene, unsigned count, char mark)
{
    weir_lsn lsn = 0;
    for (unsigned i = 0; i < count; i++) {
        char key[20], value[200];
        (void)snprintf(key, sizeof key, "k%u", i % 50);
        (void)snprintf(value, sizeof value, "%c%0150u", mark, i);
        lsn = put(&scene->store, key, value);
    }
    settle(&scene->store);
    return lsn;
}

void expect_ledger(const struct ledger *ledger, const char *rows)
{
    char found[SCENE_TEXT];
    ledger_tell(ledger, found, sizeof found);
    assert_string_equal(found, rows);
    if (ledger->wrong > 0) {
        print_error("%s\n", ledger->why);
    }
    assert_int_equal(ledger->wrong, 0);
}

struct weir_system_status scene_status(struct scene *scene, const char *name)
{
    struct weir_host_status status = WEIR_HOST_STATUS_INIT;
    static struct weir_system_status systems[64];
    int count = weir_host_stat(scene->host, &status, systems, 64);
    assert_true(count >= 0 && count <= 64);
    for (int i = 0; i < count; i++) {
        if (strcmp(systems[i].name, name) == 0) {
            return systems[i];
        }
    }
    fail_msg("no system %s", name);
    return systems[0];
}

struct sought {
    const char *name;
    weir_lsn floor;
};

static int look_for(void *context, const struct weir_hold *hold)
{
    struct sought *sought = context;
    if (strcmp(hold->name, sought->name) == 0) {
        sought->floor = hold->floor;
    }
    return 0;
}

weir_lsn scene_hold(struct scene *scene, const char *name)
{
    struct sought sought = {name, 0};
    assert_int_equal(weir_hold_list(scene->store.log, look_for, &sought), 0);
    return sought.floor;
}

weir_lsn scene_compact(struct scene *scene)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    options.thorough = true;
    int rc = weir_engine_compact(scene->store.engine, &options, &report, &why);
    if (rc < 0) {
        print_error("compact: %s\n", why.text);
    }
    assert_int_equal(rc, 0);
    return report.horizon;
}

/* ---- against the engine ---- */

struct match {
    struct weir_read read;
    const struct ledger *ledger;
    size_t rows;
    char *why;
    size_t size;
};

static bool is_row(const struct ledger_row *held, const struct weir_row *row)
{
    return held != NULL && held->lsn == row->lsn && held->value_size == row->value.size &&
           (row->value.size == 0 ||
            memcmp(held->bytes + held->key_size, row->value.data, row->value.size) == 0);
}

static int match_table(void *context, const struct weir_table_info *table)
{
    struct match *match = context;
    struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
    struct weir_scan *scan;
    struct weir_row row;
    options.table = table->table;
    int rc = weir_scan_open(&match->read, &options, &scan);
    if (rc < 0) {
        (void)snprintf(match->why, match->size, "scan: %s", weir_error_name(rc));
        return rc;
    }
    while ((rc = weir_scan_next(scan, &row)) == 1) {
        match->rows++;
        if (!is_row(ledger_find(match->ledger, table->table, row.key), &row)) {
            (void)snprintf(match->why, match->size, "%.*s of LSN %ju differs", (int)row.key.size,
                           (const char *)row.key.data, (uintmax_t)row.lsn);
            rc = -1;
            break;
        }
    }
    weir_scan_close(scan);
    return rc;
}

bool scene_matches(struct weir_engine *engine, const struct ledger *ledger, weir_lsn lsn,
                   char *ret_why, size_t size)
{
    struct match match = {.ledger = ledger, .why = ret_why, .size = size};
    int rc = host_view_as_of(engine, lsn, &match.read);
    if (rc < 0) {
        (void)snprintf(ret_why, size, "view as of %ju: %s", (uintmax_t)lsn, weir_error_name(rc));
        return false;
    }
    rc = weir_table_list(engine, match_table, &match);
    weir_read_end(&match.read);
    if (rc == 0 && match.rows != ledger->count) {
        (void)snprintf(ret_why, size, "%zu rows, the engine has %zu", ledger->count, match.rows);
        rc = -1;
    }
    if (rc == 0 && ledger->wrong > 0) {
        (void)snprintf(ret_why, size, "%s", ledger->why);
        rc = -1;
    }
    return rc == 0;
}

void expect_verified(struct scene *scene, const char *name)
{
    struct ledger fresh = {0};
    struct weir_host_verify_report report = WEIR_HOST_VERIFY_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_host_verify(scene->host, name, &fresh, NULL, NULL, &report, &why);
    if (rc < 0) {
        print_error("verify: %s\n", why.text);
    }
    assert_int_equal(rc, 0);
    assert_true(report.equal);
    assert_int_equal(fresh.wrong, 0);
    ledger_free(&fresh);
}
