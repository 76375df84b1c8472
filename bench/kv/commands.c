/*
 * weir bench put, get, scan-keys, rebuild, reopen, mixed, memory: which cases each consists of, and
 * what their ratios should be (docs/PERFORMANCE.md).
 */
#include "bench/kv/options.h"

#include "base/sync.h"
#include "bench/command.h"
#include "bench/exit.h"

#include <stdio.h>

static struct kv_plan default_plan(void)
{
    return (struct kv_plan){.records = 1000000,
                            .size_min = 100,
                            .size_max = 100,
                            .key_kind = BENCH_KEY_U64,
                            .durability = WEIR_EACH,
                            .seconds = 1.0,
                            .rounds = 3,
                            .store_count = 1,
                            .stores = {&kv_weir}};
}

static void default_list(struct kv_list *list, unsigned count, const uint64_t *values)
{
    if (list->count == 0) {
        list->count = count;
        memcpy(list->values, values, count * sizeof *values);
    }
}

/* 1, and as many as there are CPUs. */
static void default_threads(struct kv_plan *plan)
{
    uint64_t counts[2] = {1, base_cpu_count()};
    default_list(&plan->threads, counts[1] > 1 ? 2 : 1, counts);
}

static const char *order_name(bool ascending)
{
    return ascending ? "ascending" : "random";
}

static const char *plural(unsigned count)
{
    return count == 1 ? "" : "s";
}

/* Reports what was measured, and frees it. */
static int finish(struct kv_contest *contest, int rc)
{
    int code = rc < 0 && contest->done == 0 ? bench_exit_code(rc, false) : kv_report(contest);
    kv_contest_destroy(contest);
    return code;
}

/* ---- put ---- */

static void add_put(struct kv_contest *contest, bool ascending, unsigned writers)
{
    struct kv_case *added = kv_contest_add(contest);
    if (added == NULL) {
        return;
    }
    added->action = KV_PUT;
    added->threads = writers;
    added->ascending = ascending;
    if (added->durable) {
        added->goal_store = "log";
        added->goal = 0.9;
    }
    (void)snprintf(added->title, sizeof added->title, "put, %s, %s keys, %u writer%s",
                   added->durable ? "durable" : "no sync", order_name(ascending), writers,
                   plural(writers));
}

int bench_put_command(int argc, char **argv)
{
    static struct kv_contest contest;
    struct kv_plan plan = default_plan();
    plan.stores[plan.store_count++] = &kv_log;
    int code = kv_options_parse(&plan, "put",
                                "Puts keys into a fresh engine, beside appends of records of the "
                                "same size and other stores, in turns.",
                                argc, argv);
    if (code >= 0) {
        return code;
    }
    bool durable = plan.durability != WEIR_NONE;
    default_list(&plan.writers, durable ? 3 : 1, (const uint64_t[]){1, 8, 64});
    default_list(&plan.orders, durable ? 1 : 2, (const uint64_t[]){0, 1});
    int rc = kv_contest_create(&contest, "put", &plan);
    for (unsigned order = 0; rc == 0 && order < plan.orders.count; order++) {
        for (unsigned index = 0; index < plan.writers.count; index++) {
            add_put(&contest, plan.orders.values[order] == 1, (unsigned)plan.writers.values[index]);
        }
    }
    rc = rc < 0 ? rc : kv_contest_run(&contest, 0, contest.case_count, NULL);
    return finish(&contest, rc);
}

/* ---- get, scan-keys ---- */

static double get_goal(const struct kv_plan *plan)
{
    return plan->key_kind == BENCH_KEY_U64 ? 5.0 : plan->key_kind == BENCH_KEY_URL ? 2.0 : 0.0;
}

static struct kv_case fill_case(const struct kv_plan *plan, bool ascending)
{
    return (struct kv_case){.title = "filling",
                            .action = KV_FILL,
                            .records = plan->records,
                            .ascending = ascending,
                            .threads = 1,
                            .read_mode = true};
}

static void add_read(struct kv_contest *contest, enum kv_action action, bool ascending,
                     unsigned threads, unsigned batch)
{
    struct kv_case *added = kv_contest_add(contest);
    if (added == NULL) {
        return;
    }
    added->action = action;
    added->ascending = ascending;
    added->threads = threads;
    added->goal_store = "lmdb";
    if (action == KV_GET) {
        char at_once[24] = "";
        if (batch > 1) {
            (void)snprintf(at_once, sizeof at_once, ", %u at once", batch);
        }
        added->batch = batch;
        added->goal = get_goal(contest->plan);
        (void)snprintf(added->title, sizeof added->title, "get, %s inserts, %u thread%s%s",
                       order_name(ascending), threads, plural(threads), at_once);
    } else {
        added->goal = ascending ? 1.5 : 0.7;
        (void)snprintf(added->title, sizeof added->title, "scan, %s inserts",
                       order_name(ascending));
    }
}

static int run_reads(struct kv_plan *plan, const char *name, enum kv_action action)
{
    static struct kv_contest contest;
    int rc = kv_contest_create(&contest, name, plan);
    for (unsigned order = 0; rc == 0 && order < plan->orders.count; order++) {
        unsigned from = contest.case_count;
        bool ascending = plan->orders.values[order] == 1;
        for (unsigned index = 0; index < plan->threads.count * plan->batches.count; index++) {
            add_read(&contest, action, ascending,
                     (unsigned)plan->threads.values[index / plan->batches.count],
                     (unsigned)plan->batches.values[index % plan->batches.count]);
        }
        struct kv_case filling = fill_case(plan, ascending);
        filling.gets_all = action == KV_GET && !plan->no_warm_up;
        rc = kv_contest_run(&contest, from, contest.case_count - from, &filling);
    }
    if (rc == 0 && action == KV_GET) {
        /* Beside key and value a record has some 50 bytes, in every store. */
        contest.chase = kv_chase_measure(plan->records * (plan->size_max + 64));
    }
    return finish(&contest, rc);
}

int bench_get_command(int argc, char **argv)
{
    struct kv_plan plan = default_plan();
    int code = kv_options_parse(
        &plan, "get", "Gets random keys, all of them there, files in the page cache.", argc, argv);
    if (code >= 0) {
        return code;
    }
    default_threads(&plan);
    default_list(&plan.batches, 2, (const uint64_t[]){1, 64});
    default_list(&plan.orders, 1, (const uint64_t[]){0});
    return run_reads(&plan, "get", KV_GET);
}

int bench_scan_keys_command(int argc, char **argv)
{
    struct kv_plan plan = default_plan();
    int code = kv_options_parse(&plan, "scan-keys",
                                "Reads all keys and values in order, files in the page cache.",
                                argc, argv);
    if (code >= 0) {
        return code;
    }
    plan.threads = (struct kv_list){1, {1}};
    plan.batches = (struct kv_list){1, {1}};
    default_list(&plan.orders, 2, (const uint64_t[]){1, 0});
    return run_reads(&plan, "scan-keys", KV_SCAN);
}

/* ---- rebuild, reopen ---- */

static void add_open(struct kv_contest *contest, const struct kv_case *shape)
{
    struct kv_case *added = kv_contest_add(contest);
    if (added == NULL) {
        return;
    }
    *added = *shape;
    added->action = KV_OPEN;
    added->dies = true;
    (void)snprintf(added->title, sizeof added->title, "%.3g M records, %s%s, %u thread%s",
                   (double)shape->records / 1e6,
                   shape->no_checkpoint ? "no checkpoint" : "checkpoint",
                   shape->cold ? ", cold" : "", shape->threads, plural(shape->threads));
}

static struct kv_case crash_case(const struct kv_plan *plan, uint64_t records, bool checkpoint)
{
    return (struct kv_case){.title = "filling",
                            .action = KV_FILL,
                            .records = records,
                            .ascending = plan->orders.values[0] == 1,
                            .threads = 1,
                            .update_percent = 20,
                            .delete_percent = 5,
                            .checkpoint = checkpoint,
                            .dies = true};
}

/* What the second thread brings, where the first case has one. */
static void note_one_thread(const struct kv_plan *plan, struct kv_case *shape)
{
    shape->beside_one = plan->threads.values[0] == 1 && shape->threads > 1;
    shape->beside_goal = shape->threads == 2 ? 1.8 : 0.0;
}

/* For each length of log: with and without a checkpoint, at the first number of threads. */
static int run_plot(struct kv_contest *contest)
{
    const struct kv_plan *plan = contest->plan;
    int rc = 0;
    for (unsigned index = 0; rc == 0 && index < plan->plot.count; index++) {
        unsigned from = contest->case_count;
        struct kv_case filling = crash_case(plan, plan->plot.values[index] * 1000000, true);
        struct kv_case shape = {.records = filling.records,
                                .ascending = filling.ascending,
                                .threads = (unsigned)plan->threads.values[0],
                                .no_checkpoint = true};
        add_open(contest, &shape);
        shape.no_checkpoint = false;
        add_open(contest, &shape);
        rc = kv_contest_run(contest, from, contest->case_count - from, &filling);
    }
    return rc;
}

int bench_rebuild_command(int argc, char **argv)
{
    static struct kv_contest contest;
    struct kv_plan plan = default_plan();
    int code = kv_options_parse(&plan, "rebuild",
                                "Opens what a kill -9 has left without a checkpoint: 75 % inserts, "
                                "20 % updates, 5 % deletes; files in the page cache, and memory "
                                "that was touched just before.",
                                argc, argv);
    if (code >= 0) {
        return code;
    }
    default_threads(&plan);
    default_list(&plan.orders, 1, (const uint64_t[]){0});
    int rc = kv_contest_create(&contest, "rebuild", &plan);
    if (rc == 0 && plan.plot.count > 0) {
        rc = run_plot(&contest);
    } else if (rc == 0) {
        struct kv_case filling = crash_case(&plan, plan.records, false);
        for (unsigned index = 0; index < plan.threads.count; index++) {
            struct kv_case shape = {.records = plan.records,
                                    .ascending = filling.ascending,
                                    .threads = (unsigned)plan.threads.values[index],
                                    .no_checkpoint = true,
                                    .goal_store = "rocksdb",
                                    .goal = 8.0};
            note_one_thread(&plan, &shape);
            add_open(&contest, &shape);
        }
        rc = kv_contest_run(&contest, 0, contest.case_count, &filling);
    }
    return finish(&contest, rc);
}

int bench_reopen_command(int argc, char **argv)
{
    static struct kv_contest contest;
    struct kv_plan plan = default_plan();
    int code = kv_options_parse(&plan, "reopen",
                                "Opens what a kill -9 has left with a checkpoint, and gets a key: "
                                "files in the page cache, and dropped from it as after a "
                                "restart; memory that was touched just before. With two threads "
                                "the checkpoint is read while the log is opened.",
                                argc, argv);
    if (code >= 0) {
        return code;
    }
    default_list(&plan.threads, 2, (const uint64_t[]){1, 2});
    default_list(&plan.orders, 1, (const uint64_t[]){0});
    int rc = kv_contest_create(&contest, "reopen", &plan);
    struct kv_case filling = crash_case(&plan, plan.records, true);
    filling.update_percent = 0;
    filling.delete_percent = 0;
    for (unsigned index = 0; rc == 0 && index < 2 * plan.threads.count; index++) {
        struct kv_case shape = {.records = plan.records,
                                .ascending = filling.ascending,
                                .threads = (unsigned)plan.threads.values[index / 2],
                                .cold = index % 2 != 0};
        add_open(&contest, &shape);
    }
    rc = rc < 0 ? rc : kv_contest_run(&contest, 0, contest.case_count, &filling);
    return finish(&contest, rc);
}

/* ---- mixed, memory ---- */

static void add_mixed(struct kv_contest *contest, unsigned read_percent, unsigned threads)
{
    struct kv_case *added = kv_contest_add(contest);
    if (added == NULL) {
        return;
    }
    added->action = KV_MIXED;
    added->threads = threads;
    added->read_percent = read_percent;
    (void)snprintf(added->title, sizeof added->title, "%u %% gets, %u %% %s puts, %u thread%s",
                   read_percent, 100 - read_percent, added->durable ? "durable" : "no-sync",
                   threads, plural(threads));
}

int bench_mixed_command(int argc, char **argv)
{
    static struct kv_contest contest;
    struct kv_plan plan = default_plan();
    int code = kv_options_parse(&plan, "mixed",
                                "Gets and puts of random keys that are there, each timed by "
                                "itself.",
                                argc, argv);
    if (code >= 0) {
        return code;
    }
    default_list(&plan.threads, 1, (const uint64_t[]){4});
    default_list(&plan.ratios, 2, (const uint64_t[]){95, 50});
    default_list(&plan.orders, 1, (const uint64_t[]){0});
    int rc = kv_contest_create(&contest, "mixed", &plan);
    for (unsigned ratio = 0; rc == 0 && ratio < plan.ratios.count; ratio++) {
        for (unsigned index = 0; index < plan.threads.count; index++) {
            add_mixed(&contest, (unsigned)plan.ratios.values[ratio],
                      (unsigned)plan.threads.values[index]);
        }
    }
    struct kv_case filling = fill_case(&plan, plan.orders.values[0] == 1);
    filling.read_percent = 1;
    filling.read_mode = false;
    filling.durable = plan.durability != WEIR_NONE;
    rc = rc < 0 ? rc : kv_contest_run(&contest, 0, contest.case_count, &filling);
    return finish(&contest, rc);
}

int bench_memory_command(int argc, char **argv)
{
    static struct kv_contest contest;
    struct kv_plan plan = default_plan();
    plan.rounds = 1;
    int code = kv_options_parse(&plan, "memory",
                                "What the process of a store takes once it is filled and every "
                                "key was read: anonymous memory, and bytes of the index.",
                                argc, argv);
    if (code >= 0) {
        return code;
    }
    default_list(&plan.orders, 1, (const uint64_t[]){0});
    int rc = kv_contest_create(&contest, "memory", &plan);
    struct kv_case filling = fill_case(&plan, plan.orders.values[0] == 1);
    filling.gets_all = !plan.no_warm_up;
    struct kv_case *added = rc == 0 ? kv_contest_add(&contest) : NULL;
    if (added != NULL) {
        added->action = KV_MEMORY;
        added->ascending = filling.ascending;
        added->goal_store = "rocksdb";
        added->goal = 1 / 0.3;
        (void)snprintf(added->title, sizeof added->title, "memory, %s keys",
                       order_name(added->ascending));
    }
    rc = rc < 0 ? rc : kv_contest_run(&contest, 0, contest.case_count, &filling);
    return finish(&contest, rc);
}
