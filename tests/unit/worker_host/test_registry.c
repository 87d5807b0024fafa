#include "tests/unit/unit.h"
#include "worker/registry.h"

static enum tri_status nothing(struct tri_task *task,
                               const struct tri_value *argument,
                               struct tri_result *out)
{
    (void)task;
    (void)argument;
    (void)out;
    return TRI_OK;
}

#define HANDLER(text)                                                                              \
    {                                                                                              \
        .abi = TRI_HANDLER_ABI, .size = sizeof(struct tri_handler), .name = (text), .run = nothing \
    }

static const struct tri_handler handlers[] = { HANDLER("square"), HANDLER("echo"), HANDLER("ech"),
                                               HANDLER("http.get") };

static void add_all(void)
{
    const struct tri_handler *all[4];

    for (size_t i = 0; i < 4; i++)
        all[i] = &handlers[i];
    registry_add_builtin(all, 4);
}

START_TEST(a_handler_is_found_by_its_whole_name)
{
    add_all();
    ck_assert_ptr_eq(registry_find("echo"), &handlers[1]);
    ck_assert_ptr_eq(registry_find("ech"), &handlers[2]);
    ck_assert_ptr_null(registry_find("ec"));
    ck_assert_ptr_null(registry_find("echoo"));
    ck_assert_ptr_null(registry_find(""));
    ck_assert_ptr_eq(registry_find_bytes((struct tri_bytes){ (const uint8_t *)"squares", 6 }),
                     &handlers[0]);
    ck_assert_ptr_null(registry_find_bytes((struct tri_bytes){ NULL, 0 }));
}
END_TEST

START_TEST(handlers_are_listed_by_name)
{
    static const char *const names[] = { "ech", "echo", "http.get", "square" };

    add_all();
    ck_assert_uint_eq(registry_count(), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(registry_at(i)->name, names[i]);
}
END_TEST

START_TEST(a_second_handler_of_a_name_and_malformed_ones_are_refused)
{
    static const struct tri_handler wrong[] = {
        HANDLER("echo"),
        HANDLER("Echo"),
        HANDLER(""),
        { .abi = TRI_HANDLER_ABI + 1,
          .size = sizeof(struct tri_handler),
          .name = "new",
          .run = nothing },
        { .abi = TRI_HANDLER_ABI, .size = 8, .name = "small", .run = nothing },
        { .abi = TRI_HANDLER_ABI, .size = sizeof(struct tri_handler), .name = "hollow" },
    };

    add_all();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        tri_handler_register(&wrong[i]);
    ck_assert_uint_eq(registry_count(), 4);
    ck_assert_ptr_eq(registry_find("echo"), &handlers[1]);
}
END_TEST

START_TEST(an_object_that_cannot_be_loaded_says_why)
{
    struct tri_error error;

    ck_assert_int_eq(registry_load("/nonesuch/handlers.so", &error), TRI_SYSTEM);
    ck_assert_ptr_nonnull(strstr(error.text, "/nonesuch/handlers.so"));
    ck_assert_int_eq(registry_load("handlers.so", &error), TRI_INVALID);
    ck_assert_str_eq(error.text, "handlers.so: say where it is (./handlers.so)");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("registry");

    tcase_add_test(tcase, a_handler_is_found_by_its_whole_name);
    tcase_add_test(tcase, handlers_are_listed_by_name);
    tcase_add_test(tcase, a_second_handler_of_a_name_and_malformed_ones_are_refused);
    tcase_add_test(tcase, an_object_that_cannot_be_loaded_says_why);
    return unit_run("registry", tcase);
}
