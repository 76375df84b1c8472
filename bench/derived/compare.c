/*
 * Another system with the same indexes, in the same run: how long its rows take with an index and
 * without, and the difference beside what our own systems took for the same events.
 *
 * Both sides are one thread, without a flush: ours applies events that are in the log already, the
 * other's rows go into one transaction of a store that syncs nothing.
 */
#include "bench/derived/plan.h"

#include "bench/workdir.h"

#include <stdio.h>
#include <string.h>

static const struct derived_peer *registered;

void derived_register_peer(const struct derived_peer *peer)
{
    registered = peer;
}

bool derived_has_peer(void)
{
    return registered != NULL;
}

const struct derived_peer *derived_find_peer(const char *name)
{
    return registered != NULL && strcmp(registered->name, name) == 0 ? registered : NULL;
}

static int measure(struct derived_bench *bench, enum derived_peer_index index, double *ret_seconds)
{
    char text[200] = "";
    struct bench_workdir workdir;
    int rc = bench_workdir_create(&workdir, bench->plan->directory);
    if (rc < 0) {
        return derived_fail(bench, rc, "making a directory", NULL);
    }
    rc = bench->plan->peer->put(workdir.path, &bench->documents, index, ret_seconds, text);
    bench_workdir_remove(&workdir);
    return rc < 0 ? derived_fail(bench, rc, text[0] != '\0' ? text : "the other system", NULL) : 0;
}

/* What applying the same events took us, in the rounds before. */
static double our_seconds(struct derived_bench *bench, const char *name)
{
    for (unsigned i = 0; i < bench->count; i++) {
        struct derived_row *row = &bench->rows[i];
        if (strcmp(row->name, name) == 0 && row->rounds > 0) {
            return (double)bench->documents.count / derived_median(row->values, row->rounds);
        }
    }
    return 0;
}

/* A row of theirs, and ours held against it. */
static void hold_against(struct derived_bench *bench, const char *name, const char *title,
                         const char *unit, double their_s, const char *ours, const char *our_title,
                         double our_s)
{
    double count = (double)bench->documents.count;
    char our_name[40];
    if (!(their_s > 0) || !(our_s > 0)) {
        return; /* lost in the noise, or not measured */
    }
    derived_row_add(derived_row(bench, name, unit, title), count / their_s, NULL, 0);
    (void)snprintf(our_name, sizeof our_name, "%s-to-%.16s", ours, name);
    struct derived_row *row = derived_row(bench, our_name, "events/s", our_title);
    if (row != NULL) {
        row->goal = 5;
        derived_row_add(row, count / our_s, name, their_s / our_s);
    }
}

/* Against rows that are stored with the index, and against the index alone, which is what those
 * take longer than rows without one. */
static void add(struct derived_bench *bench, const char *what, const char *ours, double plain_s,
                double indexed_s)
{
    const char *peer = bench->plan->peer->name;
    char name[40], title[80], our_title[80];
    double our_s = our_seconds(bench, ours);
    (void)snprintf(name, sizeof name, "%s-rows-%s", peer, what);
    (void)snprintf(title, sizeof title, "%s: rows with %s", peer, what);
    (void)snprintf(our_title, sizeof our_title, "  weir's %s, against those rows", what);
    hold_against(bench, name, title, "rows/s", indexed_s, ours, our_title, our_s);
    (void)snprintf(name, sizeof name, "%s-only-%s", peer, what);
    (void)snprintf(title, sizeof title, "%s: the %s alone (with it, less without)", peer, what);
    (void)snprintf(our_title, sizeof our_title, "  weir's %s, against that alone", what);
    hold_against(bench, name, title, "events/s", indexed_s - plain_s, ours, our_title, our_s);
}

int derived_compare(struct derived_bench *bench)
{
    int rc = 0;
    if (bench->plan->peer == NULL) {
        return 0;
    }
    for (unsigned round = 0; round < bench->plan->rounds && rc == 0 && !bench->interrupted;
         round++) {
        double plain_s = 0, index_s = 0, text_s = 0;
        rc = measure(bench, DERIVED_PEER_NONE, &plain_s);
        rc = rc == 0 ? measure(bench, DERIVED_PEER_INDEX, &index_s) : rc;
        rc = rc == 0 ? measure(bench, DERIVED_PEER_TEXT, &text_s) : rc;
        if (rc == 0) {
            add(bench, "index", "events-index-json", plain_s, index_s);
            add(bench, "text", "events-text", plain_s, text_s);
        }
        bench->interrupted = bench->interrupted || bench_interrupted();
    }
    return rc;
}
