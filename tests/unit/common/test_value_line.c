/* Lines of input as values of a declared type. */
#include "common/value.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct tri_bytes bytes_of(const char *text)
{
    return (struct tri_bytes){ (const uint8_t *)text, strlen(text) };
}

START_TEST(lines_become_what_the_handler_declares)
{
    struct tri_value value;

    ck_assert_int_eq(tri_value_from_line(bytes_of("007"), TRI_ANY, &value, NULL), TRI_OK);
    ck_assert(value.type == TRI_STRING && value.bytes.size == 3);
    ck_assert_int_eq(tri_value_from_line(bytes_of("007"), TRI_INT, &value, NULL), TRI_OK);
    ck_assert(value.type == TRI_INT && value.integer == 7);
    ck_assert_int_eq(tri_value_from_line(bytes_of("-9223372036854775808"), TRI_INT, &value, NULL),
                     TRI_OK);
    ck_assert(value.integer == INT64_MIN);
    ck_assert_int_eq(tri_value_from_line(bytes_of("1.5e3"), TRI_FLOAT, &value, NULL), TRI_OK);
    ck_assert(value.type == TRI_FLOAT && value.number == 1500);
    ck_assert_int_eq(tri_value_from_line(bytes_of("3"), TRI_FLOAT, &value, NULL), TRI_OK);
    ck_assert(value.type == TRI_FLOAT && value.number == 3);
    ck_assert_int_eq(tri_value_from_line(bytes_of("false"), TRI_BOOL, &value, NULL), TRI_OK);
    ck_assert(value.type == TRI_BOOL && !value.boolean);
    ck_assert_int_eq(tri_value_from_line(bytes_of(""), TRI_NIL, &value, NULL), TRI_OK);
    ck_assert_int_eq(tri_value_from_line(bytes_of(""), TRI_ANY, &value, NULL), TRI_OK);
    ck_assert(value.type == TRI_STRING && value.bytes.size == 0);
}
END_TEST

START_TEST(lines_of_the_wrong_type_are_refused_by_name)
{
    static const struct {
        const char *line;
        enum tri_type want;
        const char *reason;
    } cases[] = {
        { "abc", TRI_INT, "\"abc\" is not an integer" },
        { "", TRI_INT, "\"\" is not an integer" },
        { "1 ", TRI_INT, "\"1 \" is not an integer" },
        { "1_0", TRI_INT, "\"1_0\" is not an integer" },
        { "1\r", TRI_INT, "\"1\\r\" is not an integer" },
        { "1.0", TRI_INT, "\"1.0\" is not an integer" },
        { "9223372036854775808", TRI_INT, "\"9223372036854775808\" does not fit 64 bits" },
        { "1e999", TRI_FLOAT, "\"1e999\" is beyond the largest number" },
        { "nan", TRI_FLOAT, "\"nan\" is not a number" },
        { "0x10", TRI_FLOAT, "\"0x10\" is not a number" },
        { ".", TRI_FLOAT, "\".\" is not a number" },
        { "1e", TRI_FLOAT, "\"1e\" is not a number" },
        { "yes", TRI_BOOL, "\"yes\" is neither true nor false" },
        { "x", TRI_NIL, "\"x\" is not empty, and no argument is wanted" },
        { "[1]", TRI_COMPOUND, "an array or map is read from JSON only (--from-json)" },
    };
    struct tri_value value;
    struct tri_error error;

    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        ck_assert_int_eq(
            tri_value_from_line(bytes_of(cases[i].line), cases[i].want, &value, &error),
            TRI_INVALID);
        ck_assert_str_eq(error.text, cases[i].reason);
    }
}
END_TEST

START_TEST(an_integer_is_accepted_where_a_number_is_declared)
{
    struct tri_value integer = tri_value_int(3);
    struct tri_value text = tri_value_string("3", 1);
    struct tri_error error;

    ck_assert(tri_value_accepts(TRI_FLOAT, &integer) && tri_value_accepts(TRI_ANY, &text));
    ck_assert(!tri_value_accepts(TRI_INT, &text));
    ck_assert_int_eq(tri_value_check(TRI_INT, &text, &error), TRI_INVALID);
    ck_assert_str_eq(error.text, "the argument is a string, wanted an integer");
    tri_value_coerce(TRI_FLOAT, &integer);
    ck_assert(integer.type == TRI_FLOAT && integer.number == 3);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("value_line");

    tcase_add_test(tcase, lines_become_what_the_handler_declares);
    tcase_add_test(tcase, lines_of_the_wrong_type_are_refused_by_name);
    tcase_add_test(tcase, an_integer_is_accepted_where_a_number_is_declared);
    return unit_run("value_line", tcase);
}
