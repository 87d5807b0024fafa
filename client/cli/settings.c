#include "client/cli/settings.h"

#include "common/config.h"
#include "common/proto/message.h"
#include "common/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000
#define UNSET_MS UINT64_MAX

void settings_init(struct cli *cli)
{
    *cli = (struct cli){
        .connect_timeout_ms = UNSET_MS,
        .crash_limit = 3,
        .model = "auto",
        .process_start = "fork",
        .progress = "auto",
    };
}

void settings_notice(void *context, const char *text)
{
    (void)context;
    cli_error("%s", text);
}

/* Keys of client.conf; a later file overrides an earlier one. The values live on. */
static bool read_file(struct cli *cli, const char *path)
{
    static const char *const known[] = { "broker", "output", "connect_timeout" };
    struct tri_config *config = NULL;
    struct tri_error error;
    enum tri_status status = tri_config_open(path, known, TRI_COUNT_OF(known), &config, &error);
    const char *text = NULL;

    if (status == TRI_NOTFOUND)
        return true;
    if (status != TRI_OK
        || tri_config_duration_ms(config, "connect_timeout", &cli->connect_timeout_ms, &error)
               != TRI_OK) {
        cli_error("%s", error.text);
        return false;
    }
    if (tri_config_string(config, "broker", &text, &error) == TRI_OK && text != NULL)
        cli->broker = strdup(text);
    text = NULL;
    if (tri_config_string(config, "output", &text, &error) == TRI_OK && text != NULL)
        cli->output_word = strdup(text);
    tri_config_close(&config);
    return true;
}

static bool read_files(struct cli *cli)
{
    const char *home = getenv("HOME");
    char path[4096];

    if (!read_file(cli, "/etc/trireme/client.conf"))
        return false;
    if (home == NULL)
        return true;
    snprintf(path, sizeof(path), "%s/.config/trireme/client.conf", home);
    return read_file(cli, path);
}

static bool read_output_word(struct cli *cli)
{
    static const char *const words[] = {
        [CLI_TEXT] = "text", [CLI_JSONL] = "jsonl", [CLI_JSON] = "json", [CLI_QUIET] = "quiet"
    };

    for (size_t i = 0; i < TRI_COUNT_OF(words); i++) {
        if (cli->output_word == NULL || strcmp(cli->output_word, words[i]) == 0) {
            cli->output = (enum cli_output)i;
            return true;
        }
    }
    cli_error("--output %s: it is one of text, jsonl, json, quiet", cli->output_word);
    return false;
}

static bool one_of(
    const char *option, const char *word, const char *a, const char *b, const char *c)
{
    if (strcmp(word, a) == 0 || strcmp(word, b) == 0 || (c != NULL && strcmp(word, c) == 0))
        return true;
    cli_error("--%s %s: it is %s or %s%s%s", option, word, a, b, c != NULL ? " or " : "",
              c != NULL ? c : "");
    return false;
}

bool settings_complete(struct cli *cli)
{
    struct cli flags = *cli;
    struct cli files;
    enum tri_model model;

    settings_init(&files);
    files.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    if (!read_files(&files))
        return false;
    if (flags.broker == NULL) {
        const char *broker = getenv("TRIREME_BROKER");

        cli->broker = broker != NULL && broker[0] != '\0' ? broker : files.broker;
    }
    if (flags.output_word == NULL) {
        const char *word = getenv("TRIREME_OUTPUT");

        cli->output_word = word != NULL && word[0] != '\0' ? word : files.output_word;
    }
    if (flags.connect_timeout_ms == UNSET_MS)
        cli->connect_timeout_ms = files.connect_timeout_ms;
    if (getenv("TRIREME_INSECURE") != NULL && strcmp(getenv("TRIREME_INSECURE"), "network") == 0)
        cli->insecure = true;
    if (tri_model_parse(cli->model, &model) != TRI_OK) {
        cli_error("--model %s: it is one of auto, process, thread, async, serial", cli->model);
        return false;
    }
    if (cli->width > 1000000) {
        cli_error("--width %llu: at most 1000000", (unsigned long long)cli->width);
        return false;
    }
    if (cli->output_bytes_max > TRI_OUTPUT_BYTES_LIMIT) {
        cli_error("--output-max %llu: at most 64M", (unsigned long long)cli->output_bytes_max);
        return false;
    }
    return read_output_word(cli)
           && one_of("process-start", cli->process_start, "fork", "spawn", NULL)
           && one_of("progress", cli->progress, "auto", "always", "never");
}
