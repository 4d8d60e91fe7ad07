/*
 * JSON output: layout, escapes and errors; lists and freeing of what they hold.
 *
 * Layout and escapes were taken from the stock tool: `qemu-img info` of an image with a disabled bitmap (an empty
 * list), `qemu-img check --output=json` of files with such names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <math.h>
#include <string.h>

#include "qapi/json-output.h"
#include "test-qapi-types.h"
#include "test-qapi-visit.h"

/* The JSON of the tree @tree, which is cleared. */
static char *json_of_tree(Tree *tree, bool pretty)
{
    GString *text = g_string_new(NULL);
    g_autoptr(Visitor) v = json_output_visitor_new_string(text, pretty);

    g_assert_true(visit_type_Tree(v, NULL, tree, NULL));
    g_assert_true(visit_complete(v, NULL));
    qapi_clear_Tree(tree);
    return g_string_free(text, FALSE);
}

static void test_pretty_layout(void)
{
    Tree tree = {.name = g_strdup("a"), .twin = g_new0(Tree, 1)};
    Tree *child = qapi_append_Tree(&tree.children);

    child->name = g_strdup("b");
    qapi_append_Tree(&child->children)->name = g_strdup("c");
    tree.twin->name = g_strdup("d");

    g_autofree char *json = json_of_tree(&tree, true);

    g_assert_cmpstr(json, ==,
                    "{\n"
                    "    \"name\": \"a\",\n"
                    "    \"children\": [\n"
                    "        {\n"
                    "            \"name\": \"b\",\n"
                    "            \"children\": [\n"
                    "                {\n"
                    "                    \"name\": \"c\",\n"
                    "                    \"children\": [\n"
                    "                    ]\n"
                    "                }\n"
                    "            ]\n"
                    "        }\n"
                    "    ],\n"
                    "    \"twin\": {\n"
                    "        \"name\": \"d\",\n"
                    "        \"children\": [\n"
                    "        ]\n"
                    "    }\n"
                    "}");
}

static void test_compact_layout(void)
{
    Tree tree = {.name = g_strdup("a")};

    qapi_append_Tree(&tree.children)->name = g_strdup("b");
    qapi_append_Tree(&tree.children)->name = g_strdup("c");

    g_autofree char *json = json_of_tree(&tree, false);

    g_assert_cmpstr(json, ==,
                    "{\"name\": \"a\", \"children\": [{\"name\": \"b\", \"children\": []}, "
                    "{\"name\": \"c\", \"children\": []}]}");
}

static void expect_string(const char *bytes, const char *json)
{
    GString *text = g_string_new(NULL);
    g_autoptr(Visitor) v = json_output_visitor_new_string(text, true);
    char *string = (char *)bytes;

    g_assert_true(visit_type_str(v, NULL, &string, NULL));
    g_assert_true(visit_complete(v, NULL));
    g_assert_cmpstr(text->str, ==, json);
    g_string_free(text, TRUE);
}

static void test_plain_escapes(void)
{
    expect_string("", "\"\"");
    expect_string("/&<>' ~", "\"/&<>' ~\"");
    expect_string("\"\\\b\f\n\r\t", "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    expect_string("\x01\x0b\x1f\x7f", "\"\\u0001\\u000B\\u001F\\u007F\"");
}

static void test_unicode(void)
{
    expect_string("\xc2\x80\xc3\xa9\xe2\x82\xac", "\"\\u0080\\u00E9\\u20AC\"");
    expect_string("\xf0\x9f\x98\x80\xf4\x8f\xbf\xbd", "\"\\uD83D\\uDE00\\uDBFF\\uDFFD\"");
    expect_string("\xc0\x80", "\"\\u0000\"");
}

/* Each malformed sequence as a whole is one replacement character. */
static void test_malformed_utf8(void)
{
    expect_string("a\xff\x01\xc3\xa9\xf0\x9f\x98\x80\xc3(\xed\xa0\x80.qcow2",
                  "\"a\\uFFFD\\u0001\\u00E9\\uD83D\\uDE00\\uFFFD(\\uFFFD.qcow2\"");
    /* Overlong: three bytes, four, two; then two stray continuation bytes. */
    expect_string("\xe0\x80\xaf\xf0\x80\x80\xaf\xc1\xbf\x80\x80x", "\"\\uFFFD\\uFFFD\\uFFFD\\uFFFD\\uFFFDx\"");
    /* Surrogates on their own, and as a pair. */
    expect_string("\xed\xb0\x80\xed\xa0\xbd\xed\xb8\x80", "\"\\uFFFD\\uFFFD\\uFFFD\"");
    /* U+FFFE, U+FFFF, U+FDD0, U+1FFFE, U+10FFFF are no characters; U+110000 does not exist. */
    expect_string("\xef\xbf\xbe\xef\xbf\xbf\xef\xb7\x90\xf0\x9f\xbf\xbe\xf4\x8f\xbf\xbf\xf4\x90\x80\x80",
                  "\"\\uFFFD\\uFFFD\\uFFFD\\uFFFD\\uFFFD\\uFFFD\"");
    /* Five and six bytes, as UTF-8 once had them; then a byte that never occurs. */
    expect_string("\xf8\x88\x80\x80\x80\xfc\x84\x80\x80\x80\x80\xfe", "\"\\uFFFD\\uFFFD\\uFFFD\"");
    /* Cut short: by another character, and by the end. */
    expect_string("\xf0\x9f\x98Z\xe2Z\xf8\x88Z\xf8", "\"\\uFFFDZ\\uFFFDZ\\uFFFDZ\\uFFFD\"");
    expect_string("end\xe2\x82", "\"end\\uFFFD\"");
}

/* Text that fills the buffer many times over arrives whole, in a file as in a string. */
static void test_long_output(void)
{
    enum { COUNT = 50000 };
    g_auto(uint64List) list = {0};
    g_autoptr(GString) expected = g_string_new("[");
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(Visitor) to_string = json_output_visitor_new_string(text, false);
    FILE *file = tmpfile();
    g_autoptr(Visitor) to_file = json_output_visitor_new(file, false);
    g_autofree char *read_back = g_malloc0(2000000);

    for (uint64_t i = 0; i < COUNT; i++) {
        *qapi_append_uint64(&list) = i * i * i * i;
        g_string_append_printf(expected, "%s%" G_GUINT64_FORMAT, i ? ", " : "", i * i * i * i);
    }
    g_string_append_c(expected, ']');
    g_assert_true(visit_type_uint64List(to_string, NULL, &list, NULL));
    g_assert_true(visit_complete(to_string, NULL));
    g_assert_cmpstr(text->str, ==, expected->str);

    g_assert_true(visit_type_uint64List(to_file, NULL, &list, NULL));
    g_assert_true(visit_complete(to_file, NULL));
    rewind(file);
    g_assert_cmpuint(fread(read_back, 1, 2000000, file), ==, expected->len);
    g_assert_cmpstr(read_back, ==, expected->str);
    fclose(file);
}

/* In a page nothing ends the element that it is in, and numbers are those that JavaScript has. */
static void test_html(void)
{
    const uint64_t numbers[] = {UINT64_C(1) << 53, (UINT64_C(1) << 53) + 1, UINT64_MAX};
    FILE *file = tmpfile();
    g_autoptr(Visitor) v = json_output_visitor_new_html(file);
    char *name = (char *)"</script><!--&'";
    int64_t least = INT64_MIN;
    char text[300] = "";
    size_t n = 0;

    visit_start_list(v, NULL, &n, NULL);
    visit_type_str(v, NULL, &name, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        uint64_t number = numbers[i];

        visit_type_uint64(v, NULL, &number, NULL);
    }
    visit_type_int(v, NULL, &least, NULL);
    visit_end_list(v);
    g_assert_true(visit_complete(v, NULL));
    rewind(file);
    g_assert_nonnull(fgets(text, sizeof(text), file));
    g_assert_cmpstr(text, ==,
                    "[\"\\u003C/script\\u003E\\u003C!--\\u0026'\", 9007199254740992, \"9007199254740993\", "
                    "\"18446744073709551615\", \"-9223372036854775808\"]");
    fclose(file);
}

static void expect_number(uint64_t number)
{
    g_autoptr(GString) written = g_string_new(NULL);
    g_autoptr(Visitor) v = json_output_visitor_new_string(written, false);
    g_autofree char *expected = g_strdup_printf("%" G_GUINT64_FORMAT, number);

    g_assert_true(visit_type_uint64(v, NULL, &number, NULL));
    g_assert_true(visit_complete(v, NULL));
    g_assert_cmpstr(written->str, ==, expected);
}

/* Numbers of each length, the first and the last of each among them, and zeros in all places. */
static void test_digits(void)
{
    uint64_t power = 1;

    for (unsigned digits = 1; digits <= 20; digits++, power *= 10) {
        expect_number(power - 1);
        expect_number(power);
        expect_number(power + 1);
        expect_number(power / 1001 * 1000);
    }
    for (unsigned bits = 0; bits < 64; bits++) {
        expect_number((UINT64_C(1) << bits) - 1);
        expect_number(UINT64_C(1) << bits);
    }
    expect_number(UINT64_MAX);
}

/* However deep a value lies, its line begins with four spaces for each level. */
static void test_depth(void)
{
    for (unsigned depth = 0; depth <= 40; depth++) {
        g_autoptr(GString) written = g_string_new(NULL);
        g_autoptr(GString) expected = g_string_new(NULL);
        g_autoptr(Visitor) v = json_output_visitor_new_string(written, true);
        uint64_t values[] = {7, 8};
        size_t n = 1;

        for (unsigned i = 0; i < depth; i++) {
            g_assert_true(visit_start_list(v, NULL, &n, NULL));
            g_string_append_printf(expected, "[\n%*s", 4 * (i + 1), "");
        }
        g_assert_true(visit_type_uint64(v, NULL, &values[0], NULL));
        g_string_append_c(expected, '7');
        if (depth) {
            g_assert_true(visit_type_uint64(v, NULL, &values[1], NULL));
            g_string_append_printf(expected, ",\n%*s8", 4 * depth, "");
        }
        for (unsigned i = depth; i-- > 0;) {
            visit_end_list(v);
            g_string_append_printf(expected, "\n%*s]", 4 * i, "");
        }
        g_assert_true(visit_complete(v, NULL));
        g_assert_cmpstr(written->str, ==, expected->str);
    }
}

static void test_full_disk(void)
{
    FILE *full = fopen("/dev/full", "w");
    char *name = (char *)"a";
    g_autoptr(GError) error = NULL;

    if (!full) {
        g_test_skip("/dev/full is not there");
        return;
    }

    g_autoptr(Visitor) v = json_output_visitor_new(full, true);

    g_assert_true(visit_type_str(v, NULL, &name, NULL));
    g_assert_false(visit_complete(v, &error));
    g_assert_error(error, QAPI_ERROR, QAPI_ERROR_OUTPUT);
    g_assert_cmpstr(error->message, ==, "Could not write JSON: No space left on device");
    fclose(full);
}

static void test_number_without_json(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(Visitor) v = json_output_visitor_new_string(text, true);
    double infinite = INFINITY;
    g_autoptr(GError) error = NULL;

    g_assert_true(visit_type_number(v, NULL, &infinite, NULL));
    g_assert_false(visit_complete(v, &error));
    g_assert_error(error, QAPI_ERROR, QAPI_ERROR_OUTPUT);
}

static void test_append_keeps_items(void)
{
    g_auto(PointList) list = {0};

    for (int i = 0; i < 1000; i++) {
        Point *point = qapi_append_Point(&list);

        g_assert_cmpint(point->x, ==, 0);
        point->x = i;
    }
    g_assert_cmpuint(list.len, ==, 1000);
    for (int i = 0; i < 1000; i++) {
        g_assert_cmpint(list.items[i].x, ==, i);
    }
}

static void test_append_without_memory(void)
{
    PointList overflow = {NULL, SIZE_MAX / 2, SIZE_MAX / 2};
    PointList too_many = {NULL, SIZE_MAX, SIZE_MAX};

    g_assert_null(qapi_append_Point(&overflow));
    g_assert_cmpuint(overflow.len, ==, SIZE_MAX / 2);
    g_assert_null(qapi_append_Point(&too_many));
    g_assert_cmpuint(too_many.capacity, ==, SIZE_MAX);
}

/* A cleared value is all zero, and can be cleared again. Leaks are the sanitizer's to find. */
static void test_clear(void)
{
    Optionals zero = {0};
    Optionals value = {.str = g_strdup("s"), .point = g_new0(Point, 1), .choice = g_new0(Choice, 1)};

    value.choice->kind = QAPI_KIND_STRING;
    value.choice->u.text = g_strdup("t");
    value.has_points = true;
    qapi_append_Point(&value.points);
    value.shape = g_new0(Shape, 1);
    value.shape->kind = SHAPE_SQUARE;
    value.shape->u.square.label = g_strdup("l");
    qapi_clear_Optionals(&value);
    g_assert_cmpmem(&value, sizeof(value), &zero, sizeof(zero));
    qapi_clear_Optionals(&value);
    qapi_free_Optionals(NULL);
}

static void test_enum_names(void)
{
    g_assert_cmpstr(Colour_str(COLOUR_DARK_GREEN), ==, "dark-green");
    g_assert_cmpint(qapi_enum_parse(&Colour_lookup, "blue"), ==, COLOUR_BLUE);
    g_assert_cmpint(qapi_enum_parse(&Colour_lookup, "grey"), ==, -1);
    g_assert_cmpint(COLOUR__MAX, ==, 3);
    g_assert_cmpint(SHAPE_DOT, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/output/pretty-layout", test_pretty_layout);
    g_test_add_func("/qapi/output/compact-layout", test_compact_layout);
    g_test_add_func("/qapi/output/plain-escapes", test_plain_escapes);
    g_test_add_func("/qapi/output/unicode", test_unicode);
    g_test_add_func("/qapi/output/malformed-utf8", test_malformed_utf8);
    g_test_add_func("/qapi/output/long-output", test_long_output);
    g_test_add_func("/qapi/output/html", test_html);
    g_test_add_func("/qapi/output/digits", test_digits);
    g_test_add_func("/qapi/output/depth", test_depth);
    g_test_add_func("/qapi/output/full-disk", test_full_disk);
    g_test_add_func("/qapi/output/number-without-json", test_number_without_json);
    g_test_add_func("/qapi/lists/append-keeps-items", test_append_keeps_items);
    g_test_add_func("/qapi/lists/append-without-memory", test_append_without_memory);
    g_test_add_func("/qapi/types/clear", test_clear);
    g_test_add_func("/qapi/types/enum-names", test_enum_names);
    return g_test_run();
}
