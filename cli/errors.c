/*
 * Errors: sentence, advice, JSON object, exit code.
 *
 * Opening and using differ in one point: bytes that were not written by Weir make an open refuse
 * (3), while met in the middle of reading they are a failure of what holds them (4).
 */
#include "cli/errors.h"

#include "cli/advice.h"
#include "cli/json.h"
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_SIZE 1024
#define ADVICE_SIZE 2048

/* Conditions of the device, whenever they are met. */
static bool is_device_error(int code)
{
    switch (code) {
    case -EIO:
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
    case -ENXIO:
    case -ENODEV:
    case -EREMOTEIO:
    case WEIR_E_POISONED:
    case WEIR_E_DISK_LOW:
        return true;
    default:
        return false;
    }
}

int cli_exit_code_open(int code)
{
    return is_device_error(code) ? CLI_DEVICE : CLI_REFUSED;
}

int cli_exit_code(int code)
{
    switch (code) {
    case WEIR_E_DAMAGED:
    case WEIR_E_LOST:
    case WEIR_E_HOLE:
    case WEIR_E_CUT_SHORT:
    case WEIR_E_RECORD:
        return CLI_DEVICE;
    default:
        return cli_exit_code_open(code);
    }
}

static void print_prefix(const struct cli *cli)
{
    if (cli->command != NULL) {
        fprintf(stderr, "weir %s: ", cli->command->name);
    } else {
        fprintf(stderr, "weir: ");
    }
}

static void write_detail(struct json *json, const struct weir_error *why)
{
    if (why->from_lsn != 0) {
        json_u64(json, "from_lsn", why->from_lsn);
        json_u64(json, "to_lsn", why->to_lsn);
    }
    if (why->file[0] != '\0') {
        json_text(json, "file", why->file);
    }
    if (why->file[0] != '\0' && why->offset != UINT64_MAX) {
        json_u64(json, "offset", why->offset);
    }
}

/* @param code_name, advice  "" when there is none */
static void report(struct cli *cli, int exit_code, const char *sentence, const char *code_name,
                   const char *advice, const struct weir_error *why)
{
    progress_clear();
    if (cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        json_text(&json, "error", sentence);
        if (code_name[0] != '\0') {
            json_text(&json, "code", code_name);
        }
        json_i64(&json, "exit", exit_code);
        if (advice[0] != '\0') {
            json_text(&json, "advice", advice);
        }
        if (why != NULL) {
            write_detail(&json, why);
        }
        json_end(&json);
        if (output_flush(&cli->out) == 0) {
            return;
        }
    }
    output_flush(&cli->out); /* what came before the error is read before it */
    print_prefix(cli);
    fprintf(stderr, "%s\n", sentence);
    if (advice[0] != '\0') {
        fprintf(stderr, "  %s\n", advice);
    }
}

/* What was tried names the log already. */
static const char *without_path(const struct cli *cli, const char *text)
{
    size_t length = cli->path != NULL ? strlen(cli->path) : 0;
    bool repeated =
        length > 0 && strncmp(text, cli->path, length) == 0 && strncmp(text + length, ": ", 2) == 0;
    return repeated ? text + length + 2 : text;
}

/* Can be pasted into a shell as it is. */
static bool is_plain(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./+=@:,%";
    size_t length = strlen(path);
    return length > 0 && length < 512 && path[0] != '-' && strspn(path, plain) == length;
}

void cli_advice(const struct cli *cli, const char *advice, char *ret_text, size_t size)
{
    bool known = cli->path != NULL && is_plain(cli->path);
    const char *log;
    size_t used = 0;
    ret_text[0] = '\0';
    while (known && used < size && (log = strstr(advice, " LOG")) != NULL) {
        bool word = strchr(" `", log[4]) != NULL;
        used += (size_t)snprintf(ret_text + used, size - used, "%.*s %s", (int)(log - advice),
                                 advice, word ? cli->path : "LOG");
        advice = log + 4;
    }
    if (used < size) {
        (void)snprintf(ret_text + used, size - used, "%s", advice);
    }
}

static int fail(struct cli *cli, int exit_code, int code, const struct weir_error *why,
                const char *tried)
{
    char sentence[SENTENCE_SIZE + sizeof why->text];
    bool detailed = why != NULL && why->text[0] != '\0';
    snprintf(sentence, sizeof sentence, "%s: %s", tried,
             detailed ? without_path(cli, why->text) : weir_error_text(code));
    char advice[ADVICE_SIZE];
    bool advised = !(exit_code == CLI_NO && code == -ENOENT); /* no such key */
    cli_advice(cli, advised ? advice_for(cli, code) : "", advice, sizeof advice);
    report(cli, exit_code, sentence, weir_error_name(code), advice, detailed ? why : NULL);
    return exit_code;
}

int cli_fail(struct cli *cli, int code, const struct weir_error *why, const char *format, ...)
{
    char tried[SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(tried, sizeof tried, format, arguments);
    va_end(arguments);
    return fail(cli, cli_exit_code(code), code, why, tried);
}

int cli_fail_open(struct cli *cli, int code, const struct weir_error *why, const char *format, ...)
{
    char tried[SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(tried, sizeof tried, format, arguments);
    va_end(arguments);
    return fail(cli, cli_exit_code_open(code), code, why, tried);
}

int cli_fail_no(struct cli *cli, int code, const struct weir_error *why, const char *format, ...)
{
    char tried[SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(tried, sizeof tried, format, arguments);
    va_end(arguments);
    return fail(cli, CLI_NO, code, why, tried);
}

int cli_refuse(struct cli *cli, int exit_code, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    report(cli, exit_code, sentence, "", "", NULL);
    return exit_code;
}

int cli_usage_error(struct cli *cli, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    report(cli, CLI_USAGE, sentence, "", "", NULL);
    if (cli->command != NULL) {
        fprintf(stderr, "usage: weir %s %s\n", cli->command->name, cli->command->arguments);
    } else {
        fprintf(stderr, "usage: weir COMMAND [ARGUMENT...]   (weir help lists them)\n");
    }
    return CLI_USAGE;
}

void cli_note(const struct cli *cli, const char *format, ...)
{
    progress_clear();
    print_prefix(cli);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}
