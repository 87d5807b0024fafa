/* scenario_expect.c - what must have been sent and stored. */
#include "tests/engine/scenario.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct sent *first_untaken(struct peer *peer)
{
    for (size_t i = 0; i < peer->sent_count; i++)
        if (!peer->sent[i].taken)
            return &peer->sent[i];
    return NULL;
}

static struct sent *expect_line(struct scenario *s, const char *name, const char *text)
{
    struct sent *sent = first_untaken(peer_of(s, name));

    STORY_CHECK(sent != NULL, "%s was sent nothing, expected: %s", name, text);
    STORY_CHECK(strcmp(sent->text, text) == 0, "%s was sent: %s, expected: %s", name, sent->text,
                text);
    sent->taken = true;
    return sent;
}

#define FORMATTED(text, format)                       \
    char text[600];                                   \
    va_list arguments;                                \
    va_start(arguments, format);                      \
    vsnprintf(text, sizeof(text), format, arguments); \
    va_end(arguments)

void expect(struct scenario *s, const char *name, const char *format, ...)
{
    FORMATTED(text, format);
    expect_line(s, name, text);
}

void expect_waiting(struct scenario *s, const char *name, const char *format, ...)
{
    struct sent *sent;
    FORMATTED(text, format);
    sent = expect_line(s, name, text);
    STORY_CHECK(sent->waits && !sent->informs, "%s does not wait", text);
}

void expect_prompt(struct scenario *s, const char *name, const char *format, ...)
{
    FORMATTED(text, format);
    STORY_CHECK(!expect_line(s, name, text)->waits, "%s waits", text);
}

void expect_informing(struct scenario *s, const char *name, const char *format, ...)
{
    FORMATTED(text, format);
    STORY_CHECK(expect_line(s, name, text)->informs, "%s waits even for a full store", text);
}

void expect_nothing_else(struct scenario *s)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &s->peers[i];
        struct sent *sent = peer->used ? first_untaken(peer) : NULL;

        STORY_CHECK(sent == NULL, "%s was also sent: %s", peer->name, sent->text);
        peer->sent_count = 0;
    }
}

void ignore(struct scenario *s, const char *name)
{
    struct peer *peer = peer_of(s, name);

    for (size_t i = 0; i < peer->sent_count; i++)
        peer->sent[i].taken = true;
}

bool was_sent(struct scenario *s, const char *name, const char *start)
{
    struct peer *peer = peer_of(s, name);

    for (size_t i = 0; i < peer->sent_count; i++)
        if (strncmp(peer->sent[i].text, start, strlen(start)) == 0)
            return true;
    return false;
}

enum haste haste_of(struct scenario *s, const char *name, const char *start)
{
    struct peer *peer = peer_of(s, name);

    for (size_t i = 0; i < peer->sent_count; i++)
        if (strncmp(peer->sent[i].text, start, strlen(start)) == 0)
            return peer->sent[i].haste;
    ck_abort_msg("%s was not sent %s", name, start);
    return HASTE_NORMAL;
}

bool was_ever_sent(struct scenario *s, const char *name, const char *line)
{
    char wanted[700];

    snprintf(wanted, sizeof(wanted), "%s %s\n", name, line);
    tri_buffer_append(&s->history, "", 1);
    s->history.size--;
    return s->history.data != NULL && strstr((const char *)s->history.data, wanted) != NULL;
}

size_t sent_count(struct scenario *s, const char *name)
{
    struct peer *peer = peer_of(s, name);
    size_t count = 0;

    for (size_t i = 0; i < peer->sent_count; i++)
        count += !peer->sent[i].taken;
    return count;
}

const char *next_line(struct scenario *s, const char *name)
{
    struct sent *sent = first_untaken(peer_of(s, name));

    STORY_CHECK(sent != NULL, "%s was sent nothing", name);
    sent->taken = true;
    return sent->text;
}

void expect_trace(struct scenario *s, const char *part)
{
    tri_buffer_append(&s->trace, "", 1);
    s->trace.size--;
    STORY_CHECK(s->trace.data != NULL && strstr((const char *)s->trace.data, part) != NULL,
                "no trace of %s in:\n%s", part, (const char *)s->trace.data);
}

void expect_row(struct scenario *s, enum store_table table, const char *batch, uint64_t key)
{
    struct store_key row = { table, batch_of(s, batch)->number, key };

    STORY_CHECK(kept_row(s, row) != NULL, "row %d/%s/%d is not in the store", (int)table, batch,
                (int)key);
}

void expect_no_row(struct scenario *s, enum store_table table, const char *batch, uint64_t key)
{
    struct store_key row = { table, batch_of(s, batch)->number, key };

    STORY_CHECK(kept_row(s, row) == NULL, "row %d/%s/%d is in the store", (int)table, batch,
                (int)key);
}
