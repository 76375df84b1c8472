/*
 * weir consumers: who was ever attached to a log, where each is, and how far it is behind.
 *
 *     weir consumers LOG                 one row for each
 *     weir consumers LOG --drop NAME     hold, state, definition and name go
 *     weir consumers LOG --cut           lets go of those that are further behind than they may be
 *
 * The log is opened read-only: what belongs to consumers are files of their own, and may change
 * beside a writer.
 *
 * Failures: one that somebody drives is not dropped; a name that is not there is refused.
 */
#include "cli/consumers.h"

#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/options.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct consumers_options {
    struct cli_common common;
    const char *drop;
    bool cut;
};

static const struct cli_option consumers_options[] = {
    {"drop", CLI_TEXT, 0, "NAME", "remove a consumer: its hold, state, definition and name",
     offsetof(struct consumers_options, drop)},
    {"cut", CLI_FLAG, 0, NULL, "drop the holds of those that are further behind than they may be",
     offsetof(struct consumers_options, cut)},
    {0},
};

/* ---- one of them ---- */

const char *consumer_state(const struct weir_consumer *consumer)
{
    return consumer->lost          ? "cut loose"
           : consumer->parked != 0 ? "parked"
           : consumer->attached    ? "attached"
                                   : "detached";
}

void consumer_to_json(struct json *json, const struct weir_consumer *consumer)
{
    json_text(json, "name", consumer->name);
    json_text(json, "kind", consumer->kind);
    json_text(json, "state", consumer_state(consumer));
    json_u64(json, "position", consumer->position);
    json_u64(json, "lag_records", consumer->lag_records);
    json_u64(json, "lag_bytes", consumer->lag_bytes);
    json_bool(json, "attached", consumer->attached);
    json_bool(json, "lost", consumer->lost);
    json_bool(json, "parked", consumer->parked != 0);
    if (consumer->parked != 0) {
        json_u64(json, "parked_lsn", consumer->parked_lsn);
        json_i64(json, "parked_code", consumer->parked);
    }
    json_u64(json, "max_lag_bytes", consumer->max_lag_bytes);
    json_text(json, "reason", consumer->reason);
}

static void print_row(struct output *out, const struct weir_consumer *consumer)
{
    char size[48];
    struct base_text text;
    base_text_init(&text, size, sizeof size);
    base_text_append_size(&text, consumer->lag_bytes);
    output_format(out, "%-24s %-10s %-10s %12" PRIu64 " %12" PRIu64 " %12s", consumer->name,
                  consumer->kind[0] != '\0' ? consumer->kind : "-", consumer_state(consumer),
                  consumer->position, consumer->lag_records, text.data);
    if (consumer->parked != 0) {
        output_format(out, "  at LSN %" PRIu64 ":", consumer->parked_lsn);
    }
    if (consumer->reason[0] != '\0') {
        output_text(out, consumer->parked != 0 ? " " : "  ");
        output_escaped(out, consumer->reason, strnlen(consumer->reason, sizeof consumer->reason));
    }
    output_char(out, '\n');
}

static void print_header(struct output *out)
{
    output_format(out, "%-24s %-10s %-10s %12s %12s %12s  %s\n", "name", "kind", "state",
                  "position", "lag", "lag bytes", "reason");
}

static int print(void *context, const struct weir_consumer *consumer)
{
    struct cli *cli = context;
    if (cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        consumer_to_json(&json, consumer);
        json_end(&json);
    } else {
        print_row(&cli->out, consumer);
    }
    return 0;
}

/* ---- what is asked for ---- */

static int list(struct cli *cli, struct weir_log *log)
{
    if (!cli->json) {
        print_header(&cli->out);
    }
    int rc = weir_consumer_list(log, print, cli);
    return rc < 0 ? cli_fail(cli, rc, NULL, "cannot list the consumers of %s", cli->path) : CLI_OK;
}

static int drop(struct cli *cli, struct weir_log *log, const char *name)
{
    int rc = weir_consumer_drop(log, name);
    if (rc == -ENOENT || rc == -EINVAL) {
        return cli_refuse(cli, CLI_REFUSED,
                          "%s has no consumer '%s': `weir consumers %s` lists those that are there",
                          cli->path, name, cli->path);
    }
    if (rc < 0) {
        return cli_fail(cli, rc, NULL, "cannot drop %s", name);
    }
    if (cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        json_text(&json, "name", name);
        json_bool(&json, "dropped", true);
        json_end(&json);
    }
    return CLI_OK;
}

static int take(void *context, const struct weir_consumer *consumer)
{
    struct cut_list *list = context;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : 2 * list->capacity;
        struct weir_consumer *grown = realloc(list->consumers, capacity * sizeof *grown);
        if (grown == NULL) {
            return -ENOMEM;
        }
        list->consumers = grown;
        list->capacity = capacity;
    }
    list->consumers[list->count++] = *consumer;
    return 0;
}

int cut_list_make(struct weir_log *log, struct cut_list *ret_list)
{
    *ret_list = (struct cut_list){0};
    return weir_consumer_cut(log, take, ret_list);
}

void cut_list_free(struct cut_list *list)
{
    free(list->consumers);
    *list = (struct cut_list){0};
}

static int cut(struct cli *cli, struct weir_log *log)
{
    struct cut_list list;
    int rc = cut_list_make(log, &list);
    if (list.count > 0 && !cli->json) {
        print_header(&cli->out);
    }
    for (size_t i = 0; i < list.count; i++) {
        (void)print(cli, &list.consumers[i]);
    }
    cut_list_free(&list);
    return rc < 0 ? cli_fail(cli, rc, NULL, "cannot let go of consumers of %s", cli->path) : CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct consumers_options *options = opaque;
    if (options->drop != NULL && options->cut) {
        return cli_usage_error(cli, "--drop and --cut do not go together");
    }
    struct weir_log *log;
    int exit_code = cli_open(cli, &options->common, WEIR_LOG_READ_ONLY, &log);
    if (exit_code >= 0) {
        return exit_code;
    }
    exit_code = options->drop != NULL ? drop(cli, log, options->drop)
                : options->cut        ? cut(cli, log)
                                      : list(cli, log);
    return cli_close(cli, log, exit_code);
}

const struct cli_command consumers_command = {
    .name = "consumers",
    .arguments = "LOG [--drop NAME | --cut]",
    .summary = "Lists who was attached to the log, where each is, how far behind",
    .details = "A consumer's hold keeps what it has not seen yet. One that may be cut loose loses "
               "it when it\n"
               "is further behind than its limit: here with --cut, and before each compaction. "
               "Works beside a\n"
               "writer.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct consumers_options),
    .options = {consumers_options, cli_open_options, cli_output_options},
    .run = run,
};
