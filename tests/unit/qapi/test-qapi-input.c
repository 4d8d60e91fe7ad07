/*
 * What JSON input refuses, and in which words. Texts are the stock tool's where it has one (`qemu-img check
 * --object '{...}'` shows them).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qapi/json-input.h"
#include "qapi/qapi-types.h"
#include "qapi/qapi-visit.h"
#include "test-qapi-types.h"
#include "test-qapi-visit.h"

/* Defines a function that reads @json as an X and wants the error @message. */
#define DEFINE_REFUSE(X)                                                                                               \
    static void refuse_##X(const char *json, const char *message)                                                      \
    {                                                                                                                  \
        g_autoptr(GError) error = NULL;                                                                                \
        g_autoptr(JsonNode) root = qapi_json_parse(json, &error);                                                      \
        g_autoptr(Visitor) v = json_input_visitor_new(root);                                                           \
        g_autoptr(X) value = g_new0(X, 1);                                                                             \
                                                                                                                       \
        g_assert_no_error(error);                                                                                      \
        g_assert_false(visit_type_##X(v, NULL, value, &error));                                                        \
        g_assert_error(error, QAPI_ERROR, QAPI_ERROR_VALUE);                                                           \
        g_assert_cmpstr(error->message, ==, message);                                                                  \
    }

DEFINE_REFUSE(Point)
DEFINE_REFUSE(Scalars)
DEFINE_REFUSE(Lists)
DEFINE_REFUSE(Optionals)
DEFINE_REFUSE(Shape)
DEFINE_REFUSE(Choice)
DEFINE_REFUSE(Tree)
DEFINE_REFUSE(BlockdevOptions)

static void test_missing(void)
{
    refuse_Point("{\"x\": 1}", "Parameter 'y' is missing");
    refuse_Shape("{}", "Parameter 'kind' is missing");
    refuse_Shape("{\"kind\": \"circle\", \"centre\": {\"x\": 1}, \"radius\": 3}", "Parameter 'centre.y' is missing");
    refuse_BlockdevOptions("{\"driver\": \"qcow2\"}", "Parameter 'file' is missing");
}

static void test_unexpected(void)
{
    refuse_Point("{\"z\": 0, \"x\": 1, \"y\": 2}", "Parameter 'z' is unexpected");
    refuse_Shape("{\"kind\": \"dot\", \"radius\": 3}", "Parameter 'radius' is unexpected");
    refuse_BlockdevOptions("{\"driver\": \"qcow2\", \"file\": {\"filename\": \"a\", \"bogus\": 1}}",
                           "Parameter 'file.bogus' is unexpected");
}

static void test_wrong_types(void)
{
    refuse_Point("[]", "Invalid parameter type for 'value', expected: object");
    refuse_Point("{\"x\": \"1\", \"y\": 2}", "Invalid parameter type for 'x', expected: integer");
    refuse_Point("{\"x\": 1.0, \"y\": 2}", "Invalid parameter type for 'x', expected: integer");
    refuse_Point("{\"x\": null, \"y\": 2}", "Invalid parameter type for 'x', expected: integer");
    refuse_Scalars("{\"str\": 5}", "Invalid parameter type for 'str', expected: string");
    refuse_Scalars("{\"str\": \"\", \"bool\": \"on\"}", "Invalid parameter type for 'bool', expected: boolean");
    refuse_Scalars("{\"str\": \"\", \"bool\": true, \"number\": true}",
                   "Invalid parameter type for 'number', expected: number");
    refuse_Lists("{\"str\": \"a\"}", "Invalid parameter type for 'str', expected: array");
    refuse_Lists("{\"str\": [\"a\", 5]}", "Invalid parameter type for 'str[1]', expected: string");
    refuse_Optionals("{\"colour\": 1}", "Invalid parameter type for 'colour', expected: string");
    refuse_Choice("5", "Invalid parameter type for 'value', expected: Choice");
    refuse_Optionals("{\"choice\": 5}", "Invalid parameter type for 'choice', expected: Choice");
}

static void test_enum_values(void)
{
    refuse_Optionals("{\"colour\": \"pink\"}", "Parameter 'colour' does not accept value 'pink'");
    refuse_Optionals("{\"colour\": \"grey\"}", "Parameter 'colour' does not accept value 'grey'");
    refuse_BlockdevOptions("{\"driver\": \"vmdk\"}", "Parameter 'driver' does not accept value 'vmdk'");
}

static void test_paths_in_lists(void)
{
    refuse_Tree("{\"name\": \"a\", \"children\": [{\"name\": \"b\", \"children\": []}, "
                "{\"name\": \"c\", \"children\": [{\"name\": 5}]}]}",
                "Invalid parameter type for 'children[1].children[0].name', expected: string");
    refuse_Optionals("{\"choice\": [{\"x\": 1, \"y\": 2}, {\"x\": 1}]}", "Parameter 'choice[1].y' is missing");
}

/* Reads @json as an X, which is a @c_type in C, and wants the error @text. */
#define REFUSE_NUMBER(X, c_type, json, text)                                                                           \
    do {                                                                                                               \
        g_autoptr(GError) error = NULL;                                                                                \
        g_autoptr(JsonNode) root = qapi_json_parse(json, &error);                                                      \
        g_autoptr(Visitor) v = json_input_visitor_new(root);                                                           \
        c_type value = 0;                                                                                              \
                                                                                                                       \
        g_assert_no_error(error);                                                                                      \
        g_assert_false(visit_type_##X(v, NULL, &value, &error));                                                       \
        g_assert_cmpstr(error->message, ==, text);                                                                     \
    } while (0)

static void test_out_of_range(void)
{
    REFUSE_NUMBER(int8, int8_t, "128", "Parameter 'value' expects a number from -128 to 127");
    REFUSE_NUMBER(int16, int16_t, "-32769", "Parameter 'value' expects a number from -32768 to 32767");
    REFUSE_NUMBER(uint8, uint8_t, "-1", "Parameter 'value' expects a number from 0 to 255");
    REFUSE_NUMBER(uint32, uint32_t, "4294967296", "Parameter 'value' expects a number from 0 to 4294967295");
    REFUSE_NUMBER(uint64, uint64_t, "-1", "Parameter 'value' expects a number from 0 to 18446744073709551615");
    REFUSE_NUMBER(int64, int64_t, "9223372036854775808", "Invalid parameter type for 'value', expected: integer");
    REFUSE_NUMBER(int64, int64_t, "-9223372036854775809", "Invalid parameter type for 'value', expected: integer");
    REFUSE_NUMBER(uint64, uint64_t, "18446744073709551616", "Invalid parameter type for 'value', expected: integer");
    REFUSE_NUMBER(uint64, uint64_t, "\"5\"", "Invalid parameter type for 'value', expected: integer");
}

static void refuse_text(const char *json, const char *message_start)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(qapi_json_parse(json, &error));
    g_assert_error(error, QAPI_ERROR, QAPI_ERROR_SYNTAX);
    g_assert_true(g_str_has_prefix(error->message, message_start));
}

static void test_malformed_text(void)
{
    refuse_text("", "Expecting a JSON value");
    refuse_text("{", "JSON parse error, the text ends too early at offset 1");
    refuse_text("{\"a\" 1}", "JSON parse error, stray number at offset 6");
    refuse_text("{\"a\": 1 \"b\": 2}", "JSON parse error, stray string at offset 8");
    refuse_text("{\"a\": {\"b\": 1], 2}", "JSON parse error, stray character at offset 13");
    refuse_text("{true: 1}", "JSON parse error, stray keyword at offset 5");
    refuse_text("{{}}", "JSON parse error, stray character at offset 1");
    refuse_text("]", "JSON parse error, stray character at offset 0");
    refuse_text("\"open", "JSON parse error, string without an end at offset 5");
    refuse_text("\"open\\", "JSON parse error, invalid escape sequence at offset 5");
    refuse_text("[1,]", "JSON parse error, stray character at offset 3");
    refuse_text("[1] [2]", "JSON parse error, text after the end at offset 4");
    refuse_text("{}}", "JSON parse error, text after the end at offset 2");
    refuse_text("\"\xff\"", "JSON parse error, invalid UTF-8 at offset 1");
    refuse_text("var a = 1", "JSON parse error, invalid keyword at offset 0");
    refuse_text("[nul]", "JSON parse error, invalid keyword at offset 1");
    refuse_text("/* a */ 1", "JSON parse error, stray character at offset 0");
    refuse_text("\"a\\u0000b\"", "JSON parse error, NUL in a string at offset 2");
    refuse_text("\"\\x\"", "JSON parse error, invalid escape sequence at offset 1");
    refuse_text("\"\\u12g4\"", "JSON parse error, invalid escape sequence at offset 1");
    refuse_text("\"\\ud800\"", "JSON parse error, invalid escape sequence at offset 1");
    refuse_text("\"\\ud800\\ud800\"", "JSON parse error, invalid escape sequence at offset 1");
    refuse_text("\"\\udc00\"", "JSON parse error, invalid escape sequence at offset 1");
}

/* json-glib alone leaks what it had read; a sanitizer sees it. */
static void test_error_behind_values(void)
{
    refuse_text("{\"a\": [\"text\", 1", "JSON parse error, the text ends too early at offset 16");
    refuse_text("0{\"a\": \"text\"}", "JSON parse error, text after the end at offset 1");
}

static void test_escape_sequences(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = qapi_json_parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(json_node_get_string(root), ==, "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80");
}

static void test_malformed_numbers(void)
{
    static const char *const numbers[] = {"010", "0x10", "-", "1.", ".5", "1e", "1e+", "1.2.3", "1a", "+1"};

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        refuse_text(numbers[i], "JSON parse error, ");
    }
}

/* json-glib alone uses up the stack on such text. */
static void test_depth(void)
{
    GString *deep = g_string_new(NULL);

    for (int i = 0; i < 1000000; i++) {
        g_string_append(deep, "[");
    }
    refuse_text(deep->str, "JSON parse error, nested too deep at offset 64");
    g_string_free(deep, TRUE);
}

static void test_single_quotes(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = qapi_json_parse("{'x': 1, 'y': 2}", &error);
    g_autoptr(Visitor) v = json_input_visitor_new(root);
    Point point = {0};

    g_assert_true(visit_type_Point(v, NULL, &point, &error));
    g_assert_cmpint(point.y, ==, 2);
}

static void test_last_of_duplicate_keys(void)
{
    g_autoptr(JsonNode) root = qapi_json_parse("{\"x\": 1, \"y\": 2, \"x\": 3}", NULL);
    g_autoptr(Visitor) v = json_input_visitor_new(root);
    Point point = {0};

    g_assert_true(visit_type_Point(v, NULL, &point, NULL));
    g_assert_cmpint(point.x, ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/input/missing", test_missing);
    g_test_add_func("/qapi/input/unexpected", test_unexpected);
    g_test_add_func("/qapi/input/wrong-types", test_wrong_types);
    g_test_add_func("/qapi/input/enum-values", test_enum_values);
    g_test_add_func("/qapi/input/paths-in-lists", test_paths_in_lists);
    g_test_add_func("/qapi/input/out-of-range", test_out_of_range);
    g_test_add_func("/qapi/input/malformed-text", test_malformed_text);
    g_test_add_func("/qapi/input/error-behind-values", test_error_behind_values);
    g_test_add_func("/qapi/input/escape-sequences", test_escape_sequences);
    g_test_add_func("/qapi/input/malformed-numbers", test_malformed_numbers);
    g_test_add_func("/qapi/input/depth", test_depth);
    g_test_add_func("/qapi/input/single-quotes", test_single_quotes);
    g_test_add_func("/qapi/input/last-of-duplicate-keys", test_last_of_duplicate_keys);
    return g_test_run();
}
