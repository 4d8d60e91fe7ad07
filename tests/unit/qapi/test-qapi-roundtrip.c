/*
 * Values of every type, from JSON into C and back: the text that comes out is the text that went in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi/json-input.h"
#include "qapi/json-output.h"
#include "qapi/qapi-types.h"
#include "qapi/qapi-visit.h"
#include "test-qapi-types.h"
#include "test-qapi-visit.h"

/* Defines a function that reads @json as an X, writes it again and wants the same text. */
#define DEFINE_ROUND_TRIP(X)                                                                                           \
    static void round_trip_##X(const char *json)                                                                       \
    {                                                                                                                  \
        g_autoptr(GError) error = NULL;                                                                                \
        g_autoptr(JsonNode) root = qapi_json_parse(json, &error);                                                      \
        g_autoptr(Visitor) in = json_input_visitor_new(root);                                                          \
        g_autoptr(GString) text = g_string_new(NULL);                                                                  \
        g_autoptr(Visitor) out = json_output_visitor_new_string(text, false);                                          \
        g_autoptr(X) value = g_new0(X, 1);                                                                             \
                                                                                                                       \
        g_assert_no_error(error);                                                                                      \
        visit_type_##X(in, NULL, value, &error);                                                                       \
        g_assert_no_error(error);                                                                                      \
        g_assert_true(visit_complete(in, &error));                                                                     \
        g_assert_true(visit_type_##X(out, NULL, value, &error));                                                       \
        g_assert_true(visit_complete(out, &error));                                                                    \
        g_assert_cmpstr(text->str, ==, json);                                                                          \
    }

DEFINE_ROUND_TRIP(Empty)
DEFINE_ROUND_TRIP(Scalars)
DEFINE_ROUND_TRIP(Lists)
DEFINE_ROUND_TRIP(Optionals)
DEFINE_ROUND_TRIP(Solid)
DEFINE_ROUND_TRIP(Shape)
DEFINE_ROUND_TRIP(Choice)
DEFINE_ROUND_TRIP(Switch)
DEFINE_ROUND_TRIP(Amount)
DEFINE_ROUND_TRIP(Paint)
DEFINE_ROUND_TRIP(Tree)
DEFINE_ROUND_TRIP(Conditional)
DEFINE_ROUND_TRIP(Present)
DEFINE_ROUND_TRIP(ImageCheck)
DEFINE_ROUND_TRIP(BlockdevOptions)

static void test_structs(void)
{
    round_trip_Empty("{}");
    round_trip_Solid("{\"x\": 1, \"y\": 2, \"z\": 3}");
    round_trip_Solid("{\"x\": 1, \"y\": 2, \"z\": 3, \"name\": \"\"}");
    round_trip_Conditional("{\"always\": 1, \"on\": 2}");
    round_trip_Present("{\"default\": 1, \"long\": 2}");
}

static void test_scalars_at_their_limits(void)
{
    round_trip_Scalars("{\"str\": \"\", \"bool\": false, \"number\": -1.5, \"int\": -9223372036854775808, "
                       "\"size\": 0, \"int8\": -128, \"int16\": -32768, \"int32\": -2147483648, "
                       "\"int64\": -9223372036854775808, \"uint8\": 0, \"uint16\": 0, \"uint32\": 0, "
                       "\"uint64\": 0, \"colour\": \"red\"}");
    round_trip_Scalars("{\"str\": \"a\\\"\\\\b\", \"bool\": true, \"number\": 1e+300, "
                       "\"int\": 9223372036854775807, \"size\": 18446744073709551615, \"int8\": 127, "
                       "\"int16\": 32767, \"int32\": 2147483647, \"int64\": 9223372036854775807, "
                       "\"uint8\": 255, \"uint16\": 65535, \"uint32\": 4294967295, "
                       "\"uint64\": 18446744073709551615, \"colour\": \"blue\"}");
}

static void test_lists(void)
{
    round_trip_Lists("{\"str\": [], \"bool\": [], \"number\": [], \"int\": [], \"size\": [], \"int8\": [], "
                     "\"int16\": [], \"int32\": [], \"int64\": [], \"uint8\": [], \"uint16\": [], "
                     "\"uint32\": [], \"uint64\": [], \"colour\": [], \"point\": [], \"shape\": [], "
                     "\"choice\": []}");
    round_trip_Lists("{\"str\": [\"a\", \"\"], \"bool\": [true, false], \"number\": [0.5], \"int\": [-1, 0], "
                     "\"size\": [9223372036854775808], \"int8\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], "
                     "\"int16\": [-1], \"int32\": [-2], \"int64\": [-3], \"uint8\": [1], \"uint16\": [2], "
                     "\"uint32\": [3], \"uint64\": [4], \"colour\": [\"dark-green\", \"red\"], "
                     "\"point\": [{\"x\": 1, \"y\": 2}, {\"x\": 3, \"y\": 4}], "
                     "\"shape\": [{\"kind\": \"dot\"}, {\"kind\": \"square\", \"label\": \"l\"}], "
                     "\"choice\": [null, \"t\", [{\"x\": 1, \"y\": 2}], {\"x\": 1, \"y\": 2}]}");
}

static void test_optional_members(void)
{
    round_trip_Optionals("{}");
    round_trip_Optionals("{\"solids\": []}");
    round_trip_Optionals(
        "{\"solids\": [{\"x\": 1, \"y\": 2, \"z\": 3, \"name\": \"\"}, {\"x\": 4, \"y\": 5, \"z\": 6}]}");
    round_trip_Optionals("{\"str\": \"\", \"int\": 0, \"colour\": \"red\", \"point\": {\"x\": 0, \"y\": 0}, "
                         "\"points\": [], \"shape\": {\"kind\": \"dot\"}, \"choice\": null}");
}

static void test_unions(void)
{
    round_trip_Shape("{\"kind\": \"dot\", \"tag\": \"t\"}");
    round_trip_Shape("{\"kind\": \"circle\", \"centre\": {\"x\": 1, \"y\": 2}, \"radius\": 3}");
    round_trip_Shape("{\"kind\": \"square\", \"corner\": {\"x\": 1, \"y\": 2}, \"label\": \"l\"}");
}

static void test_alternates(void)
{
    round_trip_Choice("\"text\"");
    round_trip_Choice("{\"x\": 1, \"y\": 2}");
    round_trip_Choice("[{\"x\": 1, \"y\": 2}]");
    round_trip_Choice("null");
    round_trip_Switch("true");
    round_trip_Switch("{\"x\": 1, \"y\": 2}");
    round_trip_Amount("512");
    round_trip_Paint("\"dark-green\"");
}

static void test_recursion(void)
{
    round_trip_Tree("{\"name\": \"root\", \"children\": [{\"name\": \"a\", \"children\": []}, {\"name\": \"b\", "
                    "\"children\": [], \"twin\": {\"name\": \"c\", \"children\": []}}]}");
}

static void test_image_check(void)
{
    round_trip_ImageCheck("{\"filename\": \"a\", \"format\": \"qcow2\", \"check-errors\": 0}");
    round_trip_ImageCheck(
        "{\"filename\": \"a\", \"format\": \"qcow2\", \"check-errors\": 0, \"image-end-offset\": 1, "
        "\"corruptions\": 2, \"leaks\": 3, \"corruptions-fixed\": 4, \"leaks-fixed\": 5, "
        "\"total-clusters\": 6, \"allocated-clusters\": 7, \"fragmented-clusters\": 8, "
        "\"compressed-clusters\": 9, \"viscera\": {"
        "\"qcow2-header\": {\"version\": 3, \"location\": {\"offset\": 0, \"size\": 65536}}, "
        "\"refcount-table\": {\"location\": {\"offset\": 65536, \"size\": 65536}, "
        "\"refcount-blocks\": [{\"offset\": 131072, \"size\": 65536}]}, "
        "\"active-l1\": {\"l2-list\": [{\"offset\": 262144, \"size\": 65536}], "
        "\"location\": {\"offset\": 196608, \"size\": 8}, \"name\": \"L1 active table\"}, "
        "\"crypt-header\": {\"location\": {\"offset\": 327680, \"size\": 2068480}}, "
        "\"bitmaps\": {\"nb-bitmaps\": 1, \"bitmap-dir\": {\"dir-entries\": [{\"bitmap-table\": "
        "{\"table-entries\": [{\"type\": \"all-zeros\"}, {\"type\": \"all-ones\"}, {\"type\": \"serialized\", "
        "\"cluster\": {\"offset\": 72057594037862400, \"size\": 65536}}], "
        "\"location\": {\"offset\": 1, \"size\": 24}}, \"bitmap-name\": \"b\"}], "
        "\"location\": {\"offset\": 2, \"size\": 32}}}, "
        "\"snapshot-table\": {\"location\": {\"offset\": 3, \"size\": 4}, \"l1-list\": [{\"l2-list\": [], "
        "\"location\": {\"offset\": 5, \"size\": 6}, \"name\": \"s\"}]}}}");
}

static void test_blockdev_options(void)
{
    round_trip_BlockdevOptions("{\"driver\": \"qcow2\", \"file\": {\"filename\": \"a\"}}");
    round_trip_BlockdevOptions("{\"driver\": \"qcow2\", \"file\": {\"driver\": \"raw\", "
                               "\"file\": {\"filename\": \"a\"}, \"offset\": 512, \"size\": 1024}}");
    round_trip_BlockdevOptions(
        "{\"node-name\": \"n\", \"read-only\": true, \"cache\": {\"direct\": true}, \"driver\": \"qcow2\", "
        "\"file\": {\"driver\": \"host_device\", \"filename\": \"a\", \"locking\": \"off\"}, "
        "\"backing\": null, \"overlap-check\": {\"template\": \"all\", \"main-header\": false}, "
        "\"cache-size\": 1048576}");
    round_trip_BlockdevOptions(
        "{\"driver\": \"qcow2\", \"file\": \"node\", \"backing\": {\"driver\": \"qcow2\", \"file\": "
        "{\"filename\": \"b\"}, \"backing\": {\"driver\": \"raw\", \"file\": \"n\", \"size\": 5}}, "
        "\"overlap-check\": \"none\"}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/roundtrip/structs", test_structs);
    g_test_add_func("/qapi/roundtrip/scalars-at-their-limits", test_scalars_at_their_limits);
    g_test_add_func("/qapi/roundtrip/lists", test_lists);
    g_test_add_func("/qapi/roundtrip/optional-members", test_optional_members);
    g_test_add_func("/qapi/roundtrip/unions", test_unions);
    g_test_add_func("/qapi/roundtrip/alternates", test_alternates);
    g_test_add_func("/qapi/roundtrip/recursion", test_recursion);
    g_test_add_func("/qapi/roundtrip/image-check", test_image_check);
    g_test_add_func("/qapi/roundtrip/blockdev-options", test_blockdev_options);
    return g_test_run();
}
