/*
 * The table of a contest. A ratio is taken within each round, so that a machine that drifts slows
 * both sides of it down; shown is the median of the ratios, and their range.
 */
#include "bench/peers/report.h"

#include <stdlib.h>

struct spread {
    unsigned count;
    double median;
    double least;
    double most;
};

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static struct spread spread_of(double *values, unsigned count)
{
    struct spread spread = {.count = count};
    if (count > 0) {
        qsort(values, count, sizeof *values, ascending);
        spread.least = values[0];
        spread.most = values[count - 1];
        spread.median =
            count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2.0;
    }
    return spread;
}

/* The outcome of a round, or NULL when there is none or it failed. */
static const struct peer_outcome *outcome_of(const struct contest *contest, int contestant,
                                             unsigned round)
{
    size_t index = (size_t)contestant * CONTEST_ROUNDS_MAX + round;
    const struct peer_outcome *outcome = &contest->outcomes[index];
    return contest->have[index] && outcome->rc == 0 ? outcome : NULL;
}

static double measure_of(const struct peer_outcome *outcome, enum contest_measure measure)
{
    switch (measure) {
    case CONTEST_PER_S:
        return outcome->per_s;
    case CONTEST_FIRST_PER_S:
        return outcome->first_per_s;
    case CONTEST_BYTES_PER_S:
        return outcome->bytes_per_s;
    }
    return 0.0;
}

static struct spread rates_of(const struct contest *contest, int contestant,
                              enum contest_measure measure)
{
    double values[CONTEST_ROUNDS_MAX];
    unsigned count = 0;
    for (unsigned round = 0; round < contest->done; round++) {
        const struct peer_outcome *outcome = outcome_of(contest, contestant, round);
        if (outcome != NULL) {
            values[count++] = measure_of(outcome, measure);
        }
    }
    return spread_of(values, count);
}

static struct spread ratios_of(const struct contest *contest, const struct contest_row *row)
{
    int subject = contestant_find(row->subject);
    int against = contestant_find(row->against);
    double values[CONTEST_ROUNDS_MAX];
    unsigned count = 0;
    for (unsigned round = 0; round < contest->done; round++) {
        const struct peer_outcome *left = outcome_of(contest, subject, round);
        const struct peer_outcome *right = outcome_of(contest, against, round);
        if (left != NULL && right != NULL) {
            double divisor = measure_of(right, row->against_measure);
            if (divisor > 0.0) {
                values[count++] = measure_of(left, row->measure) / divisor;
            }
        }
    }
    return spread_of(values, count);
}

static const char *verdict(const struct contest_row *row, const struct spread *ratio)
{
    if (ratio->count == 0) {
        return "not measured";
    }
    if (row->goal <= 0.0) {
        return "";
    }
    return ratio->median >= row->goal ? "reached" : "MISSED";
}

/* 7.1 k, 4.60 M, 2.3 G: rates span six orders of magnitude. */
static const char *rate_text(double rate, char *text, size_t capacity)
{
    if (rate >= 1e9) {
        (void)snprintf(text, capacity, "%.2f G", rate / 1e9);
    } else if (rate >= 1e6) {
        (void)snprintf(text, capacity, "%.2f M", rate / 1e6);
    } else if (rate >= 1e3) {
        (void)snprintf(text, capacity, "%.1f k", rate / 1e3);
    } else {
        (void)snprintf(text, capacity, "%.0f", rate);
    }
    return text;
}

static void print_row(const struct contest *contest, const struct contest_row *row)
{
    struct spread subject = rates_of(contest, contestant_find(row->subject), row->measure);
    struct spread against = rates_of(contest, contestant_find(row->against), row->against_measure);
    struct spread ratio = ratios_of(contest, row);
    char left[32];
    char right[32];
    char range[32];
    char goal[16] = "";
    (void)snprintf(range, sizeof range, "%.2f-%.2f", ratio.least, ratio.most);
    if (row->goal > 0.0) {
        (void)snprintf(goal, sizeof goal, "%.2f", row->goal);
    }
    (void)printf("%-61s %9s %9s %6.2f %12s %5s %-12s %s\n", row->title,
                 rate_text(subject.median, left, sizeof left),
                 rate_text(against.median, right, sizeof right), ratio.median, range, goal,
                 verdict(row, &ratio), row->durability);
}

static void print_contestant(const struct contest *contest, int index)
{
    struct spread rate = rates_of(contest, index, CONTEST_PER_S);
    struct spread first = rates_of(contest, index, CONTEST_FIRST_PER_S);
    char median[32];
    char least[32];
    char most[32];
    char extra[64] = "";
    const struct peer_outcome *last = NULL;
    const char *failure = "";
    for (unsigned round = 0; round < contest->done; round++) {
        size_t at = (size_t)index * CONTEST_ROUNDS_MAX + round;
        if (contest->have[at] && contest->outcomes[at].rc == 0) {
            last = &contest->outcomes[at];
        } else if (contest->have[at]) {
            failure = contest->outcomes[at].failure;
        }
    }
    if (first.median > 0.0) {
        char text[32];
        (void)snprintf(extra, sizeof extra, "  first pass %s",
                       rate_text(first.median, text, sizeof text));
    } else if (last != NULL && last->p50_us > 0.0) {
        (void)snprintf(extra, sizeof extra, "  p50 %.0f us, p99 %.0f us", last->p50_us,
                       last->p99_us);
    }
    (void)printf(
        "  %-20s %9s  (%s to %s)%s%s%s\n", contestants[index].id,
        rate_text(rate.median, median, sizeof median), rate_text(rate.least, least, sizeof least),
        rate_text(rate.most, most, sizeof most), extra, failure[0] != '\0' ? "  " : "", failure);
}

void contest_print(const struct contest *contest, const struct bench_environment *environment)
{
    bench_environment_print(environment);
    (void)printf(
        "rounds   %u of %u, %g s each, one system after the other; per second, medians\n\n",
        contest->done, contest->rounds, contest->seconds);
    (void)printf("%-61s %9s %9s %6s %12s %5s %-12s %s\n", "", "left", "right", "ratio", "range",
                 "goal", "", "durable");
    for (unsigned index = 0; index < contest_row_count; index++) {
        if ((contest_rows[index].group & contest->groups) != 0) {
            print_row(contest, &contest_rows[index]);
        }
    }
    (void)printf("\n");
    for (unsigned index = 0; index < contestant_count; index++) {
        if (contest->chosen[index]) {
            print_contestant(contest, (int)index);
        }
    }
    (void)printf("\n");
    for (const struct peer_ops *const *at = peer_list; *at != NULL; at++) {
        (void)printf("%s: %s\n", (*at)->title, (*at)->settings);
    }
}

static void row_json(const struct contest *contest, const struct contest_row *row,
                     struct bench_json *json)
{
    struct spread subject = rates_of(contest, contestant_find(row->subject), row->measure);
    struct spread against = rates_of(contest, contestant_find(row->against), row->against_measure);
    struct spread ratio = ratios_of(contest, row);
    bench_json_begin(json, NULL, '{');
    bench_json_text(json, "row", row->title);
    bench_json_text(json, "left", row->subject);
    bench_json_text(json, "right", row->against);
    bench_json_number(json, "left_per_s", subject.median);
    bench_json_number(json, "right_per_s", against.median);
    bench_json_number(json, "ratio", ratio.median);
    bench_json_number(json, "ratio_min", ratio.least);
    bench_json_number(json, "ratio_max", ratio.most);
    bench_json_number(json, "goal", row->goal);
    bench_json_count(json, "rounds", ratio.count);
    bench_json_bool(json, "reached", ratio.count > 0 && ratio.median >= row->goal);
    bench_json_text(json, "durable", row->durability);
    bench_json_end(json, '}');
}

static void contestant_json(const struct contest *contest, int index, struct bench_json *json)
{
    struct spread rate = rates_of(contest, index, CONTEST_PER_S);
    struct spread first = rates_of(contest, index, CONTEST_FIRST_PER_S);
    struct spread bytes = rates_of(contest, index, CONTEST_BYTES_PER_S);
    bench_json_begin(json, NULL, '{');
    bench_json_text(json, "id", contestants[index].id);
    bench_json_number(json, "per_s", rate.median);
    bench_json_number(json, "per_s_min", rate.least);
    bench_json_number(json, "per_s_max", rate.most);
    bench_json_number(json, "first_per_s", first.median);
    bench_json_number(json, "bytes_per_s", bytes.median);
    bench_json_count(json, "rounds", rate.count);
    bench_json_end(json, '}');
}

void contest_json(const struct contest *contest, const struct bench_environment *environment)
{
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_environment_json(environment, &json);
    bench_json_count(&json, "rounds", contest->done);
    bench_json_number(&json, "seconds", contest->seconds);
    bench_json_begin(&json, "rows", '[');
    for (unsigned index = 0; index < contest_row_count; index++) {
        if ((contest_rows[index].group & contest->groups) != 0) {
            row_json(contest, &contest_rows[index], &json);
        }
    }
    bench_json_end(&json, ']');
    bench_json_begin(&json, "contestants", '[');
    for (unsigned index = 0; index < contestant_count; index++) {
        if (contest->chosen[index]) {
            contestant_json(contest, (int)index, &json);
        }
    }
    bench_json_end(&json, ']');
    bench_json_close(&json);
}
