#include "common/log.h"
#include "common/settings.h"

#include <inttypes.h>
#include <string.h>

#define HOUR UINT64_C(3600000)
#define INDENT "\n                              "
#define FLAG_COLUMNS 27
#define HELP_COLUMNS 66

static void size_text(uint64_t bytes, char *text, size_t size)
{
    static const char units[] = " KMGT";
    size_t unit = 0;

    for (; unit + 2 < sizeof(units) && bytes >= 1024 && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    snprintf(text, size, unit == 0 ? "%" PRIu64 : "%" PRIu64 "%c", bytes, units[unit]);
}

static void duration_text(uint64_t ms, char *text, size_t size)
{
    static const struct {
        uint64_t ms;
        const char *name;
    } units[] = { { 24 * HOUR, "d" }, { HOUR, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } };
    size_t i = 0;

    while (ms % units[i].ms != 0)
        i++;
    snprintf(text, size, "%" PRIu64 "%s", ms / units[i].ms, units[i].name);
}

static uint64_t number_at(const void *member)
{
    uint64_t number;

    memcpy(&number, member, sizeof(number));
    return number;
}

static void default_text(const struct tri_setting *setting,
                         const void *defaults,
                         char *text,
                         size_t size)
{
    const void *member = (const char *)defaults + setting->offset;

    text[0] = '\0';
    if (setting->kind == TRI_SETTING_NUMBER)
        snprintf(text, size, "%" PRIu64, number_at(member));
    else if (setting->kind == TRI_SETTING_SIZE)
        size_text(number_at(member), text, size);
    else if (setting->kind == TRI_SETTING_DURATION)
        duration_text(number_at(member), text, size);
    else if (setting->kind == TRI_SETTING_TEXT && *(const char *const *)member != NULL)
        snprintf(text, size, "%s", *(const char *const *)member);
    else if (setting->kind == TRI_SETTING_LEVEL)
        snprintf(text, size, "%s", tri_log_level_name(*(const enum tri_log_level *)member));
}

/* Words of `text` in lines, indented after the first. */
static void print_wrapped(FILE *out, const char *text, const char *value)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        const char *mark = strstr(text, "%s");
        size_t width = word;

        if (mark != NULL && mark < text + word)
            width += strlen(value) - 2;
        if (column > 0 && column + 1 + width > HELP_COLUMNS) {
            fputs(INDENT, out);
            column = 0;
        }
        if (column > 0)
            fputc(' ', out);
        column += width + (column > 0);
        for (size_t i = 0; i < word; i++) {
            if (text + i == mark) {
                fputs(value, out);
                i++;
            } else {
                fputc(text[i], out);
            }
        }
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void tri_settings_print(const struct tri_program *program, const void *defaults, FILE *out)
{
    for (size_t i = 0; i < program->setting_count; i++) {
        const struct tri_setting *setting = &program->settings[i];
        const char *argument = setting->argument != NULL ? setting->argument : "";
        bool apart = argument[0] != '\0' && argument[0] != '[';
        char flag[64];
        char value[64];

        if (setting->group != NULL)
            fprintf(out, "\n%s:\n", setting->group);
        snprintf(flag, sizeof(flag), "--%s%s%s", setting->name, apart ? " " : "", argument);
        default_text(setting, defaults, value, sizeof(value));
        fprintf(out, "  %-28s", flag);
        if (strlen(flag) > FLAG_COLUMNS)
            fputs(INDENT, out);
        print_wrapped(out, setting->help, value);
    }
}
