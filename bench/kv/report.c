/*
 * The table and the JSON of a contest: medians over the rounds, and what Weir is beside each store.
 */
#include "bench/kv/plan.h"

#include "bench/environment.h"
#include "bench/exit.h"
#include "bench/json.h"
#include "bench/kv/columns.h"
#include "bench/workdir.h"

#include <math.h>
#include <stdio.h>

static const char *const kind_names[] = {"", "u64", "user", "url"};
static const char *const durability_names[] = {"each", "group", "none"};

static bool was_measured(const struct kv_contest *contest, unsigned index, unsigned store)
{
    for (unsigned round = 0; round < contest->done; round++) {
        if (kv_contest_at(contest, round, index, store)->measured) {
            return true;
        }
    }
    return false;
}

/* What Weir said about itself the first time. */
static const struct kv_facts *facts_of(const struct kv_contest *contest)
{
    return &kv_contest_at(contest, 0, 0, 0)->facts;
}

static const char *durable_text(const struct kv_facts *facts)
{
    return facts->emulated ? "no (emulated)" : facts->durable ? "yes" : "no (memory)";
}

static double goal_of(const struct kv_contest *contest, unsigned index, unsigned store)
{
    const struct kv_case *shown = &contest->cases[index];
    bool has = shown->goal_store != NULL &&
               strcmp(shown->goal_store, contest->plan->stores[store]->name) == 0;
    return has ? shown->goal : 0.0;
}

/* Weir beside a store; its own row beside one thread's, or beside itself. */
static struct kv_ratio ratio_of(const struct kv_contest *contest, unsigned index, unsigned store)
{
    bool beside_one = store == 0 && contest->cases[index].beside_one;
    const struct kv_beside which = {
        .index = index, .store = 0, .other_index = beside_one ? 0 : index, .other_store = store};
    return kv_ratio(contest, &which);
}

/* ---- JSON ---- */

static void row_json(const struct kv_contest *contest, struct bench_json *json, unsigned index,
                     unsigned store)
{
    const struct kv_case *shown = &contest->cases[index];
    bench_json_begin(json, NULL, '{');
    bench_json_text(json, "case", shown->title);
    bench_json_text(json, "system", contest->plan->stores[store]->name);
    bench_json_count(json, "threads", shown->threads);
    if (shown->action == KV_GET) {
        bench_json_count(json, "batch", shown->batch);
    }
    bench_json_text(json, "order", shown->ascending ? "ascending" : "random");
    bench_json_count(json, "records", shown->records);
    for (const struct kv_column *column = kv_columns(shown->action); column->json != NULL;
         column++) {
        bench_json_number(json, column->json, kv_median(contest, index, store, column->value));
    }
    struct kv_ratio ratio = ratio_of(contest, index, store);
    if (store > 0) {
        bench_json_number(json, "weir_is", ratio.all);
        bench_json_number(json, "weir_is_by_cpu", ratio.by_cpu);
        bench_json_number(json, "weir_is_undisturbed", ratio.undisturbed);
        bench_json_number(json, "goal", goal_of(contest, index, store));
    } else if (shown->beside_one) {
        bench_json_number(json, "beside_one_thread", ratio.all);
        bench_json_number(json, "beside_one_thread_undisturbed", ratio.undisturbed);
        bench_json_number(json, "goal", shown->beside_goal);
    }
    bench_json_count(json, "undisturbed_rounds", ratio.undisturbed_rounds);
    bench_json_end(json, '}');
}

static void print_json(const struct kv_contest *contest,
                       const struct bench_environment *environment)
{
    const struct kv_plan *plan = contest->plan;
    const struct kv_facts *facts = facts_of(contest);
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_json_text(&json, "bench", contest->name);
    for (const struct kv_column *column = kv_columns(contest->cases[0].action);
         column->json != NULL; column++) {
        bench_json_number(&json, column->json, kv_median(contest, 0, 0, column->value));
    }
    bench_json_number(&json, "setup_s", contest->setup_s);
    if (contest->chase.bytes > 0) {
        bench_json_number(&json, "dependent_load_ns", contest->chase.load_ns);
        bench_json_count(&json, "dependent_load_bytes", contest->chase.bytes);
    }
    bench_json_text(&json, "medium", facts->medium);
    bench_json_text(&json, "io", facts->io);
    bench_json_text(&json, "durability", durability_names[plan->durability - WEIR_EACH]);
    bench_json_text(&json, "durable", durable_text(facts));
    bench_json_count(&json, "records", plan->records);
    bench_json_count(&json, "size_min", plan->size_min);
    bench_json_count(&json, "size_max", plan->size_max);
    bench_json_text(&json, "key_kind", kind_names[plan->key_kind]);
    bench_json_count(&json, "rounds", contest->done);
    bench_json_bool(&json, "interrupted", bench_interrupted());
    bench_json_begin(&json, "rows", '[');
    for (unsigned index = 0; index < contest->case_count; index++) {
        for (unsigned store = 0; store < plan->store_count; store++) {
            if (was_measured(contest, index, store)) {
                row_json(contest, &json, index, store);
            }
        }
    }
    bench_json_end(&json, ']');
    bench_environment_json(environment, &json);
    bench_json_close(&json);
}

/* ---- the table ---- */

static void print_head(const struct kv_contest *contest,
                       const struct bench_environment *environment)
{
    const struct kv_plan *plan = contest->plan;
    const struct kv_facts *facts = facts_of(contest);
    bench_environment_print(environment);
    (void)printf("medium   %s, io %s\n", facts->medium, facts->io);
    (void)printf("durable  %s; durability %s\n", durable_text(facts),
                 durability_names[plan->durability - WEIR_EACH]);
    (void)printf("load     %llu records, %s keys, values of %zu-%zu B\n",
                 (unsigned long long)plan->records, kind_names[plan->key_kind], plan->size_min,
                 plan->size_max);
    if (contest->chase.bytes > 0) {
        (void)printf(
            "memory   a load that waits for the one before: %.0f ns, over %llu MiB in huge "
            "pages\n",
            contest->chase.load_ns, (unsigned long long)(contest->chase.bytes >> 20));
    }
    if (contest->case_count > 0 && contest->cases[0].action == KV_OPEN) {
        (void)printf("memory   touched before each open, of all stores alike\n");
    }
    (void)printf("rounds   %u, in turns; medians; setup %.1f s\n", contest->done, contest->setup_s);
    for (unsigned store = 0; store < plan->store_count; store++) {
        (void)printf("%-8s %s\n", store == 0 ? "weir" : plan->stores[store]->name,
                     plan->stores[store]->settings);
    }
}

static void print_ratio(const struct kv_ratio *ratio, const char *unit, double goal)
{
    (void)printf("  %6.2f %s", ratio->all, unit);
    if (isfinite(ratio->by_cpu)) {
        (void)printf(" (CPU %.2f)", ratio->by_cpu);
    }
    if (ratio->undisturbed_rounds == 0) {
        (void)printf(", no round undisturbed");
    } else if (ratio->undisturbed_rounds < ratio->rounds) {
        (void)printf(", %.2f undisturbed (%u of %u rounds)", ratio->undisturbed,
                     ratio->undisturbed_rounds, ratio->rounds);
    }
    if (goal > 0.0) {
        (void)printf("  (goal %.2f: %s)", goal, ratio->all >= goal ? "reached" : "MISSED");
    }
}

static void print_row(const struct kv_contest *contest, unsigned index, unsigned store)
{
    const struct kv_case *shown = &contest->cases[index];
    (void)printf("%-44s %-10s", store == 0 ? shown->title : "",
                 contest->plan->stores[store]->title);
    if (!was_measured(contest, index, store)) {
        const struct kv_outcome *outcome = kv_contest_at(contest, 0, index, store);
        (void)printf(" %s\n", outcome->rc < 0 ? outcome->error : "-");
        return;
    }
    for (const struct kv_column *column = kv_columns(shown->action); column->json != NULL;
         column++) {
        if (column->title != NULL) {
            (void)printf(" %*.*f", column->width, column->decimals,
                         column->scale * kv_median(contest, index, store, column->value));
        }
    }
    if (store > 0 || shown->beside_one) {
        struct kv_ratio ratio = ratio_of(contest, index, store);
        print_ratio(&ratio, store > 0 ? "x" : "x one thread",
                    store > 0 ? goal_of(contest, index, store) : shown->beside_goal);
    }
    (void)printf("\n");
}

static void print_titles(enum kv_action action)
{
    (void)printf("\n%-44s %-10s", "", "");
    for (const struct kv_column *column = kv_columns(action); column->json != NULL; column++) {
        if (column->title != NULL) {
            (void)printf(" %*s", column->width, column->title);
        }
    }
    (void)printf("  Weir is\n");
}

static void print_bar(double share)
{
    for (int at = 0; at < (int)(share * 40.0 + 0.5); at++) {
        (void)putchar('#');
    }
    (void)putchar('\n');
}

/* Records against seconds, without and with a checkpoint: cases come in such pairs. */
static void print_plot(const struct kv_contest *contest)
{
    double longest = 1e-9;
    for (unsigned index = 0; index < contest->case_count; index++) {
        double seconds = kv_median(contest, index, 0, kv_open_seconds);
        longest = seconds > longest ? seconds : longest;
    }
    (void)printf("\n%12s %10s %12s   %s\n", "M records", "seconds", "s per M", "time to first get");
    for (int with = 0; with < 2; with++) {
        (void)printf("%s\n", with != 0 ? "with a checkpoint" : "without");
        for (unsigned index = (unsigned)with; index < contest->case_count; index += 2) {
            double millions = (double)contest->cases[index].records / 1e6;
            double seconds = kv_median(contest, index, 0, kv_open_seconds);
            (void)printf("%12.0f %10.4f %12.5f   ", millions, seconds, seconds / millions);
            print_bar(isfinite(seconds) ? seconds / longest : 0.0);
        }
    }
}

int kv_report(const struct kv_contest *contest)
{
    struct bench_environment environment;
    bench_environment_read(&environment, contest->plan->directory);
    if (contest->plan->json) {
        print_json(contest, &environment);
    } else {
        print_head(contest, &environment);
        print_titles(contest->cases[0].action);
        for (unsigned index = 0; index < contest->case_count; index++) {
            for (unsigned store = 0; store < contest->plan->store_count; store++) {
                print_row(contest, index, store);
            }
        }
        if (contest->plan->plot.count > 0) {
            print_plot(contest);
        }
        if (bench_interrupted()) {
            (void)printf("interrupted: this is what was done by then\n");
        }
    }
    if (bench_interrupted()) {
        return BENCH_EXIT_INTERRUPTED;
    }
    return contest->failed ? BENCH_EXIT_IO : BENCH_EXIT_OK;
}
