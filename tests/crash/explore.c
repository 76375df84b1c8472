/*
 * Looking at crash images.
 *
 * Happy path of one image: have we seen these bytes with these promises? A reader on a copy; a
 * writer on the image itself, cut again at each of its calls; both must agree.
 *
 * Failure modes: the first failure is kept, with the way that leads to it; everything stops there.
 */
#include "tests/crash/explore.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/system.h"
#include "tests/crash/cut.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAYLOAD_BYTES 55u

/* A writer that is watched while it recovers. */
struct watch {
    struct explorer *explorer;
    struct weir_medium *keeper; /* of the disk that it writes on */
    const struct model *model;
    bool may_be_absent;
    unsigned depth;     /* of the images that are cut here */
    uint64_t looked_at; /* sim_memory_changes() then */
};

/* ---- what was seen ---- */

static bool insert(uint64_t *table, uint64_t capacity, uint64_t key)
{
    uint64_t at = key & (capacity - 1);
    while (table[at] != 0 && table[at] != key) {
        at = (at + 1) & (capacity - 1);
    }
    bool is_new = table[at] == 0;
    table[at] = key;
    return is_new;
}

static void grow_seen(struct explorer *explorer)
{
    uint64_t capacity = explorer->seen_capacity == 0 ? 1u << 16 : 2 * explorer->seen_capacity;
    uint64_t *table = calloc(capacity, sizeof *table);
    WEIR_ASSERT(table != NULL);
    for (uint64_t i = 0; i < explorer->seen_capacity; i++) {
        if (explorer->seen[i] != 0) {
            insert(table, capacity, explorer->seen[i]);
        }
    }
    free(explorer->seen);
    explorer->seen = table;
    explorer->seen_capacity = capacity;
}

bool explorer_is_new(struct explorer *explorer, uint64_t key)
{
    if (2 * explorer->seen_count >= explorer->seen_capacity) {
        grow_seen(explorer);
    }
    bool added = insert(explorer->seen, explorer->seen_capacity, key | 1);
    explorer->seen_count += added ? 1 : 0;
    return added;
}

void explorer_begin(struct explorer *explorer)
{
    explorer->seen = NULL;
    explorer->seen_count = explorer->seen_capacity = 0;
    explorer->failed = false;
}

void explorer_end(struct explorer *explorer)
{
    free(explorer->seen);
    explorer->seen = NULL;
}

void explorer_fail(struct explorer *explorer, const char *format, ...)
{
    if (explorer->failed) {
        return;
    }
    explorer->failed = true;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(explorer->failure, sizeof explorer->failure, format, arguments);
    va_end(arguments);
}

bool explorer_is_late(const struct explorer *explorer)
{
    if (explorer->deadline_ns == 0) {
        return false;
    }
    struct timespec now; /* base's clock is made up here */
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec > explorer->deadline_ns;
}

/* ---- opening ---- */

int explorer_open(struct explorer *explorer, struct weir_medium *keeper, uint32_t flags,
                  const struct sim_memory_faults *faults, struct weir_log **ret_log,
                  struct weir_medium **ret_medium, struct weir_error *why)
{
    struct sim_memory_options shape = explorer->shape;
    struct weir_log_options options = explorer->log;
    shape.disk = sim_memory_disk(keeper);
    shape.read_only = (flags & WEIR_LOG_READ_ONLY) != 0;
    if (faults != NULL) {
        shape.faults = *faults;
    }
    options.flags |= flags;
    options.medium = WEIR_MEDIUM_CUSTOM;
    int rc = sim_memory_open(&shape, &options.custom_medium);
    WEIR_ASSERT(rc == 0);
    if (ret_medium != NULL) {
        *ret_medium = options.custom_medium;
    }
    explorer->counts.recoveries++;
    return weir_log_open("simulated", &options, ret_log, why);
}

static bool has_control(struct weir_medium *medium)
{
    struct weir_file *file;
    if (medium->ops->open(medium, "CONTROL", WEIR_FILE_READ, &file) < 0) {
        return false;
    }
    medium->ops->close(file);
    return true;
}

static struct weir_medium *copy_of(struct weir_medium *medium)
{
    struct weir_medium *copy;
    int rc = sim_memory_copy(medium, &copy);
    WEIR_ASSERT(rc == 0);
    return copy;
}

bool explorer_is_news(struct weir_medium *medium, uint64_t *looked_at)
{
    uint64_t changes = sim_memory_changes(medium) + 1;
    bool is_news_here = changes != *looked_at;
    *looked_at = changes;
    return is_news_here;
}

/* ---- one image ---- */

struct look {
    struct explorer *explorer;
    struct weir_medium *image;
    const struct explorer_moment *moment;
    unsigned depth;
    bool was_read; /* sight is what a reader was shown */
    struct model_sight sight;
};

static void complain(struct look *look, const char *who, const char *text)
{
    look->explorer->counts.false_refusals += strstr(who, "refused") != NULL ? 1 : 0;
    explorer_fail(look->explorer, "cut at %s of %s (depth %u): %s: %s", look->moment->call,
                  look->moment->name, look->depth, who, text);
}

static void read_image(struct look *look)
{
    struct explorer *explorer = look->explorer;
    struct weir_medium *copy = copy_of(look->image);
    uint64_t before = sim_memory_digest(copy);
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = explorer_open(explorer, copy, WEIR_LOG_READ_ONLY, NULL, &log, NULL, &why);
    if (rc < 0) {
        complain(look, "a reader is refused", why.text);
    } else {
        look->was_read = true;
        if (!model_judge(look->moment->model, log, &look->sight)) {
            complain(look, "a reader", look->sight.failure);
        }
        rc = weir_log_close(log);
        if (rc < 0) {
            complain(look, "a reader closes", weir_error_name(rc));
        }
    }
    if (sim_memory_digest(copy) != before) {
        complain(look, "a reader", "has changed the log");
    }
    copy->ops->destroy(copy);
}

static int watch_call(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    (void)offset;
    (void)size;
    struct watch *watch = context;
    struct explorer_moment moment = {watch->model, watch->may_be_absent, false, call, name};
    if (!watch->explorer->failed && explorer_is_news(watch->keeper, &watch->looked_at)) {
        explorer_cut(watch->explorer, watch->keeper, &moment, watch->depth);
    }
    return 0;
}

static void append_first(struct look *look, struct weir_log *log, struct watch *watch,
                         const struct model_sight *sight)
{
    struct model after = *look->moment->model;
    uint8_t payload[PAYLOAD_BYTES];
    struct weir_part part;
    struct weir_entry entry;
    weir_lsn lsn = 0;
    struct model_sight again;
    model_settle(&after, sight);
    model_begin(&after, 1, PAYLOAD_BYTES, false, payload, &part, &entry);
    watch->model = &after;
    watch->may_be_absent = false;
    watch->looked_at = 0;
    int rc = weir_append(log, &entry, WEIR_EACH, &lsn);
    if (rc < 0 || lsn != sight->latest + 1) {
        complain(look, "an append", rc < 0 ? weir_error_name(rc) : "got another LSN");
        return;
    }
    model_end(&after, rc, lsn, true);
    if (!model_judge(&after, log, &again)) {
        complain(look, "after an append", again.failure);
    }
    watch->model = NULL; /* dead memory from here on: close is not watched */
}

static void write_image(struct look *look)
{
    struct explorer *explorer = look->explorer;
    struct watch watch = {
        explorer, look->image, look->moment->model, look->moment->may_be_absent, look->depth - 1,
        0};
    struct sim_memory_faults faults = {.before = watch_call, .context = &watch};
    struct weir_log *log = NULL;
    struct weir_medium *medium;
    struct weir_error why = WEIR_ERROR_INIT;
    struct model_sight sight;
    int rc = explorer_open(explorer, look->image, WEIR_LOG_CREATE, look->depth > 0 ? &faults : NULL,
                           &log, &medium, &why);
    if (rc < 0) {
        complain(look, "a writer is refused", why.text);
        return;
    }
    if (!model_judge(look->moment->model, log, &sight)) {
        complain(look, "a writer", sight.failure);
    } else if (look->was_read &&
               (sight.latest != look->sight.latest || sight.earliest != look->sight.earliest ||
                sight.horizon != look->sight.horizon)) {
        complain(look, "a writer", "keeps something else than the reader showed");
    } else {
        append_first(look, log, &watch, &sight);
    }
    sim_memory_faults_set(medium, &(struct sim_memory_faults){0});
    rc = weir_log_close(log);
    if (rc < 0) {
        complain(look, "close", weir_error_name(rc));
    }
}

static void look_at(struct explorer *explorer, struct weir_medium *image,
                    const struct explorer_moment *moment, unsigned depth)
{
    struct look look = {explorer, image, moment, depth, false, {0}};
    if (has_control(image)) {
        read_image(&look);
    } else if (!moment->may_be_absent) {
        complain(&look, "the log", "has lost CONTROL");
    }
    if (!explorer->failed) {
        write_image(&look);
    }
}

/* Two such images with equal bytes differ in what of them is durable: none is left out. */
static void look_at_killed(struct explorer *explorer, struct weir_medium *medium,
                           const struct explorer_moment *moment, unsigned depth)
{
    struct weir_medium *image;
    struct explorer_moment killed = *moment;
    killed.is_first = false;
    int rc = sim_memory_copy(medium, &image);
    WEIR_ASSERT(rc == 0);
    explorer->counts.states++;
    explorer->counts.distinct++;
    look_at(explorer, image, &killed, depth > 0 ? depth : 1);
    image->ops->destroy(image);
}

void explorer_cut(struct explorer *explorer, struct weir_medium *medium,
                  const struct explorer_moment *moment, unsigned depth)
{
    struct cut_plan plan = {.subsets_of = explorer->subsets_of,
                            .random = explorer->random,
                            .seed = explorer->seed + explorer->counts.points++};
    struct weir_medium *image;
    cut_begin(&plan, medium);
    while (!explorer->failed && !explorer_is_late(explorer) && cut_next(&plan, &image)) {
        uint64_t key = sim_memory_digest(image) ^ model_digest(moment->model) * 31 ^ depth;
        explorer->counts.states++;
        if (explorer_is_new(explorer, key)) {
            explorer->counts.distinct++;
            look_at(explorer, image, moment, depth);
        }
        image->ops->destroy(image);
    }
    if (!explorer->failed && moment->is_first) {
        look_at_killed(explorer, medium, moment, depth);
    }
}
