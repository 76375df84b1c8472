/*
 * Rounds in turns: each round asks every case of every store once, one after the other, so that
 * what is compared was measured within the same seconds.
 */
#include "bench/kv/plan.h"

#include "base/alloc.h"
#include "bench/workdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int kv_contest_create(struct kv_contest *contest, const char *name, const struct kv_plan *plan)
{
    memset(contest, 0, sizeof *contest);
    contest->plan = plan;
    contest->name = name;
    contest->outcomes = base_alloc_array((size_t)KV_ROUNDS_MAX * KV_CASES_MAX * KV_STORES_MAX,
                                         sizeof *contest->outcomes);
    return contest->outcomes != NULL ? 0 : -ENOMEM;
}

void kv_contest_destroy(struct kv_contest *contest)
{
    base_free(contest->outcomes);
}

struct kv_outcome *kv_contest_at(const struct kv_contest *contest, unsigned round, unsigned index,
                                 unsigned store)
{
    return &contest->outcomes[((size_t)round * KV_CASES_MAX + index) * KV_STORES_MAX + store];
}

struct kv_case *kv_contest_add(struct kv_contest *contest)
{
    if (contest->case_count == KV_CASES_MAX) {
        return NULL;
    }
    struct kv_case *added = &contest->cases[contest->case_count++];
    const struct kv_plan *plan = contest->plan;
    *added = (struct kv_case){.threads = 1, .records = plan->records};
    added->durable = plan->durability != WEIR_NONE;
    return added;
}

/* A store's place: its own directory, and what its crash left when opening changes that. */
struct entrant {
    struct kv_child child;
    char crashed[512]; /* "": nothing is kept */
};

/* Returns 0 or -errno. */
static int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t moved = in < 0 || out < 0 ? -1 : 1;
    while (moved > 0) {
        moved = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
    }
    int rc = moved < 0 ? -errno : 0;
    if (out >= 0) {
        (void)close(out);
    }
    if (in >= 0) {
        (void)close(in);
    }
    return rc;
}

/* Copies the files of a directory, which holds nothing else. Returns 0 or -errno. */
static int copy_directory(const char *from, const char *to)
{
    DIR *directory = opendir(from);
    int rc = directory == NULL || (mkdir(to, 0700) < 0 && errno != EEXIST) ? -errno : 0;
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(directory)) != NULL) {
        char source[1024];
        char target[1024];
        if (entry->d_name[0] != '.') {
            (void)snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
            (void)snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
            rc = copy_file(source, target);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return rc;
}

/* Files as a crash left them, in the page cache or not. Returns 0 or a negative error. */
static int prepare_opening(struct entrant *entrant, const struct kv_case *question)
{
    struct bench_workdir old;
    int rc = 0;
    if (entrant->crashed[0] != '\0') {
        (void)snprintf(old.path, sizeof old.path, "%s", entrant->child.directory);
        bench_workdir_remove(&old);
        rc = copy_directory(entrant->crashed, entrant->child.directory);
    }
    if (rc == 0) {
        rc = (question->cold ? bench_cool : bench_warm)(entrant->child.directory);
    }
    return rc;
}

static void show(const struct kv_plan *plan, const char *what, const struct kv_ops *ops,
                 const struct kv_outcome *outcome)
{
    if (plan->json || !isatty(STDERR_FILENO)) {
        return;
    }
    (void)fprintf(stderr, "%-44s %-12s", what, ops->title);
    if (outcome->rc < 0) {
        (void)fprintf(stderr, " failed: %s\n", outcome->error);
    } else {
        (void)fprintf(stderr, " %14.0f/s\n", outcome->per_s);
    }
}

static bool can_do(const struct kv_ops *ops, const struct kv_case *question)
{
    return question->action == KV_PUT || ops->reader_open != NULL;
}

static int ask(struct kv_contest *contest, struct entrant *entrant, unsigned index, unsigned round,
               unsigned store)
{
    const struct kv_case *question = &contest->cases[index];
    struct kv_outcome *outcome = kv_contest_at(contest, round, index, store);
    if (!can_do(entrant->child.ops, question)) {
        return 0;
    }
    int rc = question->action == KV_OPEN ? prepare_opening(entrant, question) : 0;
    if (rc < 0) {
        outcome->rc = rc;
        (void)snprintf(outcome->error, sizeof outcome->error, "%s", strerror(-rc));
    } else {
        kv_child_ask(&entrant->child, question, outcome);
    }
    show(contest->plan, question->title, entrant->child.ops, outcome);
    contest->setup_s += outcome->setup_s;
    contest->failed = contest->failed || outcome->rc < 0;
    return store == 0 ? outcome->rc : 0; /* a peer that fails is reported, and the rest goes on */
}

static int fill(struct kv_contest *contest, struct entrant *entrant, const struct kv_case *question)
{
    struct kv_outcome outcome;
    if (!can_do(entrant->child.ops, question)) {
        return 0;
    }
    kv_child_ask(&entrant->child, question, &outcome);
    show(contest->plan, "filling", entrant->child.ops, &outcome);
    contest->setup_s += outcome.setup_s;
    if (outcome.rc == 0 && question->dies && entrant->child.ops->open_consumes) {
        (void)snprintf(entrant->crashed, sizeof entrant->crashed, "%.*s-crashed",
                       (int)sizeof entrant->crashed - 16, entrant->child.directory);
        if (rename(entrant->child.directory, entrant->crashed) < 0) {
            outcome.rc = -errno;
        }
    }
    if (outcome.rc < 0 && outcome.rc != -EINTR) {
        (void)fprintf(stderr, "weir: bench %s: filling %s: %s\n", contest->name,
                      entrant->child.ops->title, outcome.error);
        contest->failed = true;
    }
    return outcome.rc;
}

static int enter(const struct kv_contest *contest, const char *path, unsigned store,
                 struct entrant *entrant)
{
    memset(entrant, 0, sizeof *entrant);
    entrant->child.plan = contest->plan;
    entrant->child.ops = contest->plan->stores[store];
    int length = snprintf(entrant->child.directory, sizeof entrant->child.directory, "%s/%s", path,
                          entrant->child.ops->name);
    if (length < 0 || (size_t)length >= sizeof entrant->child.directory) {
        return -ENAMETOOLONG;
    }
    return mkdir(entrant->child.directory, 0700) < 0 ? -errno : 0;
}

static int run_rounds(struct kv_contest *contest, struct entrant *entrants, unsigned from,
                      unsigned count)
{
    int rc = 0;
    for (unsigned round = 0; rc == 0 && round < contest->plan->rounds; round++) {
        contest->done = round + 1 > contest->done ? round + 1 : contest->done;
        for (unsigned index = from; index < from + count; index++) {
            for (unsigned store = 0; rc == 0 && store < contest->plan->store_count; store++) {
                rc = bench_interrupted() ? -EINTR
                                         : ask(contest, &entrants[store], index, round, store);
            }
        }
    }
    return rc;
}

int kv_contest_run(struct kv_contest *contest, unsigned from, unsigned count,
                   const struct kv_case *filling)
{
    static struct entrant entrants[KV_STORES_MAX];
    struct bench_workdir workdir;
    unsigned entered = 0;
    int rc = bench_workdir_create(&workdir, contest->plan->directory);
    if (rc < 0) {
        (void)fprintf(stderr, "weir: %s: %s\n", contest->plan->directory, strerror(-rc));
        return rc;
    }
    for (; rc == 0 && entered < contest->plan->store_count; entered += rc == 0 ? 1 : 0) {
        rc = enter(contest, workdir.path, entered, &entrants[entered]);
    }
    for (unsigned store = 0; rc == 0 && filling != NULL && store < entered; store++) {
        rc = bench_interrupted() ? -EINTR : fill(contest, &entrants[store], filling);
    }
    rc = rc < 0 ? rc : run_rounds(contest, entrants, from, count);
    for (unsigned store = 0; store < entered; store++) {
        kv_child_end(&entrants[store].child);
    }
    bench_workdir_remove(&workdir);
    return rc == -EINTR ? 0 : rc;
}
