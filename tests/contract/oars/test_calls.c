/* What tasks ask of others: files, HTTP, work beside the loop. */
#include "fake_session.h"
#include "oars_cases.h"
#include "web.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ---------------------------------------------------------------------------------- */

static char directory[] = "/tmp/oars-XXXXXX";
static char path[64];

static void make_directory(void)
{
    memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/file", directory);
}

static void remove_directory(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing else was left in it */
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(a_file_is_read_whole)
{
    struct fake fake;
    const char *texts[] = { path, "/nonesuch/file", directory, "/dev/null" };

    make_directory();
    write_file("first\nsecond\n");
    fake_open_items(&fake, "cat", 3, 0, 4);
    fake_lease_texts(&fake, texts, 4);
    fake_finish(&fake);
    fake_expect_text(&fake, 0, "first\nsecond\n");
    fake_expect_ended(&fake, 1, TRI_OUTCOME_FAILED,
                      "cannot read /nonesuch/file: No such file or directory");
    ck_assert_int_eq(fake.accounts[2].fate, FATE_ENDED);
    fake_expect_text(&fake, 3, "");
    fake_close(&fake);
    remove_directory();
}
END_TEST

START_TEST(a_file_is_replaced_as_a_whole)
{
    struct fake fake;
    struct stat about;
    const char *texts[] = { path };
    char content[16] = { 0 };
    FILE *file;

    make_directory();
    write_file("something longer than before");
    ck_assert_int_eq(chmod(path, 0640), 0);
    fake_open_items(&fake, "put", 1, 0, 1);
    fake_lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    file = fopen(path, "r");
    ck_assert_uint_eq(fread(content, 1, sizeof(content), file), 3);
    fclose(file);
    ck_assert_str_eq(content, "new");
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0640);
    fake_close(&fake);
    remove_directory();
}
END_TEST

START_TEST(a_file_in_no_directory_is_not_written)
{
    struct fake fake;
    const char *texts[] = { "/nonesuch/file" };

    fake_open_items(&fake, "put", 1, 0, 1);
    fake_lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    fake_expect_ended(&fake, 0, TRI_OUTCOME_FAILED,
                      "cannot write /nonesuch/file: No such file or directory");
    fake_close(&fake);
}
END_TEST

START_TEST(a_fifo_is_read_to_its_end)
{
    struct fake fake;
    const char *texts[] = { path };
    FILE *file;

    make_directory();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    fake_open_items(&fake, "cat", 1, 0, 1);
    fake_lease_texts(&fake, texts, 1);
    file = fopen(path, "w"); /* returns once the task has it open */
    fputs("through the pipe", file);
    fclose(file);
    fake_finish(&fake);
    fake_expect_text(&fake, 0, "through the pipe");
    fake_close(&fake);
    remove_directory();
}
END_TEST

START_TEST(a_task_that_reads_a_silent_fifo_ends_at_its_timeout)
{
    struct fake fake;
    const char *texts[] = { path };

    make_directory();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    fake_open_items(&fake, "cat", 1, 100, 1);
    fake_lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_TIMEOUT);
    fake_close(&fake);
    remove_directory();
}
END_TEST

/* ---- beside the loop ------------------------------------------------------------------------ */

START_TEST(work_beside_the_loop_comes_back_to_its_task)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "offload", .width = 20 }, 200);
    fake_lease(&fake, 0, 200);
    fake_finish(&fake);
    for (int64_t i = 0; i < 200; i++)
        ck_assert_int_eq(fake_integer(&fake, (uint64_t)i), i + 1000);
    fake_close(&fake);
}
END_TEST

START_TEST(a_descriptor_that_stays_silent_times_out)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "wait.50", .width = 3 }, 3);
    fake_lease(&fake, 0, 3);
    fake_finish(&fake);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_int_eq(fake_integer(&fake, i), TRI_TIMEOUT);
    fake_close(&fake);
}
END_TEST

/* ---- HTTP ----------------------------------------------------------------------------------- */

START_TEST(a_url_is_fetched)
{
    struct fake fake;
    struct web web;
    const char *texts[40];

    setenv("TRIREME_ALLOW_ALL", "1", 1);
    fake_open_items(&fake, "get", 20, 0, 40);
    web_open(&web);
    for (int i = 0; i < 40; i++)
        texts[i] = web_url(&web, i % 4 == 0 ? "/missing" : i % 4 == 1 ? "/to/hello" : "/hello");
    fake_lease_texts(&fake, texts, 40);
    fake_finish(&fake);
    for (uint64_t i = 0; i < 40; i++)
        fake_expect_text(&fake, i, i % 4 == 0 ? "404 nothing here" : "200 hello");
    fake_close(&fake);
    web_close(&web);
}
END_TEST

START_TEST(a_redirect_to_what_is_not_allowed_fails)
{
    struct fake fake;
    struct web web;
    const char *texts[2];

    unsetenv("TRIREME_ALLOW_ALL");
    setenv("TRIREME_ALLOW_HTTP", "example.invalid", 1);
    fake_open_items(&fake, "get", 2, 0, 2);
    web_open(&web);
    texts[0] = web_url(&web, "/to/hello");
    texts[1] = web_url(&web, "/to/to/to/to/to/to/to/to/to/to/to/hello");
    fake_lease_texts(&fake, texts, 2);
    fake_finish(&fake);
    ck_assert_int_eq(fake.accounts[0].fate, FATE_ENDED);
    ck_assert_ptr_nonnull(strstr(fake.accounts[0].error, "redirected: "));
    fake_close(&fake);
    web_close(&web);
}
END_TEST

START_TEST(a_redirect_without_end_fails)
{
    struct fake fake;
    struct web web;
    const char *texts[1];

    setenv("TRIREME_ALLOW_ALL", "1", 1);
    fake_open_items(&fake, "get", 2, 0, 1);
    web_open(&web);
    texts[0] = web_url(&web, "/to/to/to/to/to/to/to/to/to/to/to/to/hello");
    fake_lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    ck_assert_ptr_nonnull(strstr(fake.accounts[0].error, "redirected more than 10 times"));
    fake_close(&fake);
    web_close(&web);
}
END_TEST

START_TEST(a_server_that_is_not_there_fails_the_task)
{
    struct fake fake;
    const char *texts[] = { "http://127.0.0.1:1/", "gopher://127.0.0.1/", "" };

    fake_open_items(&fake, "get", 2, 0, 3);
    fake_lease_texts(&fake, texts, 3);
    fake_finish(&fake);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_uint_eq(fake.accounts[i].outcome, TRI_OUTCOME_FAILED);
    fake_close(&fake);
}
END_TEST

START_TEST(a_response_over_the_cap_is_too_large)
{
    struct fake fake;
    struct web web;
    const char *texts[1];

    fake_open_items(&fake, "get", 1, 0, 1);
    web_open(&web);
    texts[0] = web_url(&web, "/large");
    fake_lease_texts(&fake, texts, 1);
    fake_finish(&fake);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_TOO_LARGE);
    fake_close(&fake);
    web_close(&web);
}
END_TEST

START_TEST(a_server_that_says_nothing_does_not_outlast_the_timeout)
{
    struct fake fake;
    struct web web;
    const char *texts[3];

    fake_open_items(&fake, "get", 3, 1500, 3);
    web_open(&web);
    texts[0] = web_url(&web, "/silence");
    texts[1] = web_url(&web, "/hello");
    texts[2] = web_url(&web, "/silence");
    fake_lease_texts(&fake, texts, 3);
    fake_finish(&fake);
    ck_assert_uint_eq(fake.accounts[0].outcome, TRI_OUTCOME_TIMEOUT);
    fake_expect_text(&fake, 1, "200 hello");
    ck_assert_uint_eq(fake.accounts[2].outcome, TRI_OUTCOME_TIMEOUT);
    ck_assert(!fake.wants_replacing);
    fake_close(&fake);
    web_close(&web);
}
END_TEST

TCase *calls_case(void)
{
    TCase *tcase = tcase_create("calls");

    tcase_add_test(tcase, a_file_is_read_whole);
    tcase_add_test(tcase, a_file_is_replaced_as_a_whole);
    tcase_add_test(tcase, a_file_in_no_directory_is_not_written);
    tcase_add_test(tcase, a_fifo_is_read_to_its_end);
    tcase_add_test(tcase, a_task_that_reads_a_silent_fifo_ends_at_its_timeout);
    tcase_add_test(tcase, work_beside_the_loop_comes_back_to_its_task);
    tcase_add_test(tcase, a_descriptor_that_stays_silent_times_out);
    tcase_add_test(tcase, a_url_is_fetched);
    tcase_add_test(tcase, a_redirect_to_what_is_not_allowed_fails);
    tcase_add_test(tcase, a_redirect_without_end_fails);
    tcase_add_test(tcase, a_server_that_is_not_there_fails_the_task);
    tcase_add_test(tcase, a_response_over_the_cap_is_too_large);
    tcase_add_test(tcase, a_server_that_says_nothing_does_not_outlast_the_timeout);
    return tcase;
}
