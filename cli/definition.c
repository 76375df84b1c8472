/*
 * Definitions as text, and the text in a state file.
 *
 * 1. To store: a line for each property, written through a state file, which is replaced as a
 * whole.
 * 2. To load: the state file proves its bytes; the lines are taken apart, and every one must be
 *    known: a definition of a later version is refused, never half understood.
 *
 * Failures: no file is -ENOENT; what is no definition is WEIR_E_STATE with a sentence.
 */
#include "cli/definition.h"

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/text.h"

#include <weir/view.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILE_NAME "definition"
#define VERSION 1u
#define TEXT_SIZE_MAX 8192u

static const char *const kinds[] = {"index", "view", "text"};
static const struct {
    const char *name;
    uint32_t aggregate;
} aggregates[] = {
    {"count", WEIR_VIEW_COUNT}, {"sum", WEIR_VIEW_SUM},   {"min", WEIR_VIEW_MIN},
    {"max", WEIR_VIEW_MAX},     {"list", WEIR_VIEW_LIST},
};
#define AGGREGATES (sizeof aggregates / sizeof aggregates[0])

const char *definition_kind_name(enum definition_kind kind)
{
    return kinds[kind];
}

const char *definition_aggregate_name(uint32_t aggregate)
{
    for (size_t i = 0; i < AGGREGATES; i++) {
        if (aggregates[i].aggregate == aggregate) {
            return aggregates[i].name;
        }
    }
    return "";
}

uint32_t definition_aggregate(const char *name)
{
    for (size_t i = 0; i < AGGREGATES; i++) {
        if (strcmp(aggregates[i].name, name) == 0) {
            return aggregates[i].aggregate;
        }
    }
    return 0;
}

uint32_t definition_digest(const struct definition *definition, uint32_t version)
{
    uint32_t digest = base_crc32c(version, definition->table, strlen(definition->table) + 1);
    for (uint32_t i = 0; i < definition->field_count; i++) {
        digest = base_crc32c(digest, definition->fields[i], strlen(definition->fields[i]) + 1);
    }
    digest = base_crc32c(digest, definition->stemmer, strlen(definition->stemmer) + 1);
    return digest ^ definition->aggregates;
}

/* ---- storing ---- */

static void put_line(struct weir_state_writer *writer, const char *property, const char *value)
{
    /* The first error is kept by the writer, and told by commit. */
    (void)weir_state_write(writer, property, strlen(property));
    (void)weir_state_write(writer, " ", 1);
    (void)weir_state_write(writer, value, strlen(value));
    (void)weir_state_write(writer, "\n", 1);
}

int definition_store(struct weir_log *log, const struct definition *definition,
                     struct weir_error *why)
{
    struct weir_state_writer *writer;
    int rc = weir_state_create(log, definition->name, FILE_NAME, &writer);
    if (rc < 0) {
        return rc;
    }
    put_line(writer, "table", definition->table);
    for (uint32_t i = 0; i < definition->field_count; i++) {
        put_line(writer, "field", definition->fields[i]);
    }
    for (size_t i = 0; i < AGGREGATES; i++) {
        if ((definition->aggregates & aggregates[i].aggregate) != 0) {
            put_line(writer, "aggregate", aggregates[i].name);
        }
    }
    if (definition->stemmer[0] != '\0') {
        put_line(writer, "stemmer", definition->stemmer);
    }
    if (definition->max_lag_bytes > 0) {
        char number[24];
        snprintf(number, sizeof number, "%" PRIu64, definition->max_lag_bytes);
        put_line(writer, "max_lag", number);
    }
    return weir_state_commit(writer, kinds[definition->kind], VERSION, WEIR_LSN_NONE, why);
}

/* ---- loading ---- */

static bool copy_text(char *target, size_t size, const char *text)
{
    if (strlen(text) >= size) {
        return false;
    }
    strcpy(target, text);
    return true;
}

static bool take_line(struct definition *definition, const char *property, const char *value)
{
    if (strcmp(property, "table") == 0) {
        return copy_text(definition->table, sizeof definition->table, value);
    }
    if (strcmp(property, "field") == 0) {
        return definition->field_count < DEFINITION_FIELDS_MAX &&
               copy_text(definition->fields[definition->field_count++], DEFINITION_FIELD_SIZE,
                         value);
    }
    if (strcmp(property, "aggregate") == 0) {
        uint32_t aggregate = definition_aggregate(value);
        definition->aggregates |= aggregate;
        return aggregate != 0;
    }
    if (strcmp(property, "max_lag") == 0) {
        return base_parse_u64(value, &definition->max_lag_bytes) == 0;
    }
    return strcmp(property, "stemmer") == 0 &&
           copy_text(definition->stemmer, sizeof definition->stemmer, value);
}

static bool take_text(struct definition *definition, char *text)
{
    for (char *line = text, *next; *line != '\0'; line = next) {
        char *end = strchr(line, '\n');
        char *space = strchr(line, ' ');
        if (end == NULL || space == NULL || space > end) {
            return false;
        }
        *end = *space = '\0';
        next = end + 1;
        if (!take_line(definition, line, space + 1)) {
            return false;
        }
    }
    return definition->field_count > 0;
}

static bool take_kind(struct definition *definition, const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i], name) == 0) {
            definition->kind = (enum definition_kind)i;
            return true;
        }
    }
    return false;
}

static int refuse(const char *name, struct weir_error *why)
{
    why->code = WEIR_E_STATE;
    snprintf(why->text, sizeof why->text,
             "the definition of %s is none that this version understands", name);
    return WEIR_E_STATE;
}

int definition_load(struct weir_log *log, const char *name, struct definition *ret_definition,
                    struct weir_error *why)
{
    struct definition definition = {0};
    struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
    struct weir_state_reader *reader;
    char text[TEXT_SIZE_MAX + 1];
    if (!copy_text(definition.name, sizeof definition.name, name)) {
        return -ENOENT;
    }
    int rc = weir_state_open(log, name, FILE_NAME, &reader, why);
    if (rc < 0) {
        return rc == -EINVAL ? -ENOENT : rc; /* no directory has such a name */
    }
    rc = weir_state_about(reader, &about);
    if (rc == 0 && (about.version != VERSION || about.bytes > TEXT_SIZE_MAX ||
                    !take_kind(&definition, about.kind))) {
        rc = refuse(name, why);
    }
    if (rc == 0) {
        rc = weir_state_read(reader, text, about.bytes);
    }
    if (rc == 0) {
        text[about.bytes] = '\0';
        rc = take_text(&definition, text) ? 0 : refuse(name, why);
    }
    weir_state_close(reader);
    if (rc == 0) {
        *ret_definition = definition;
    }
    return rc;
}

/* ---- all of them ---- */

struct listing {
    struct weir_log *log;
    struct definition *list;
    size_t count, room;
    struct weir_error *why;
};

static int grow(struct listing *listing)
{
    if (listing->count < listing->room) {
        return 0;
    }
    if (listing->room == DEFINITIONS_MAX) {
        return -E2BIG;
    }
    size_t room = listing->room == 0 ? 8 : 2 * listing->room;
    struct definition *list = base_alloc(room * sizeof *list);
    if (list == NULL) {
        return -ENOMEM;
    }
    if (listing->count > 0) {
        memcpy(list, listing->list, listing->count * sizeof *list);
    }
    base_free(listing->list);
    listing->list = list;
    listing->room = room;
    return 0;
}

static int add_name(void *context, const char *name)
{
    struct listing *listing = context;
    int rc = grow(listing);
    if (rc == 0) {
        struct definition *definition = &listing->list[listing->count];
        rc = definition_load(listing->log, name, definition, listing->why);
        if (rc == WEIR_E_STATE || rc == -EISDIR || rc == -EACCES || rc == -ELOOP) {
            *definition = (struct definition){.unreadable = true};
            rc = copy_text(definition->name, sizeof definition->name, name) ? 0 : -ENOENT;
        }
    }
    if (rc == 0) {
        listing->count++;
    }
    return rc == -ENOENT ? 0 : rc; /* a consumer of somebody else's */
}

int definition_list(struct weir_log *log, struct definition **ret_definitions, size_t *ret_count,
                    struct weir_error *why)
{
    struct listing listing = {.log = log, .why = why};
    int rc = weir_state_list(log, add_name, &listing);
    if (rc < 0) {
        base_free(listing.list);
        return rc;
    }
    *ret_definitions = listing.list;
    *ret_count = listing.count;
    return 0;
}
