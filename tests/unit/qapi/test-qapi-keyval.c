/*
 * Option strings: how they are taken apart, and how their strings become values. Texts are the stock tool's
 * (`qemu-img check --object ...` and `--image-opts ...` show them).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qapi/json-input.h"
#include "qapi/keyval.h"
#include "qapi/qapi-types.h"
#include "qapi/qapi-visit.h"
#include "test-qapi-types.h"
#include "test-qapi-visit.h"

static void expect_tree(const char *options, const char *json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) tree = keyval_parse(options, NULL, &error);

    g_assert_no_error(error);

    g_autofree char *text = json_to_string(tree, FALSE);

    g_assert_cmpstr(text, ==, json);
}

static void refuse(const char *options, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(keyval_parse(options, NULL, &error));
    g_assert_error(error, QAPI_ERROR, QAPI_ERROR_SYNTAX);
    g_assert_cmpstr(error->message, ==, message);
}

static void test_trees(void)
{
    expect_tree("", "{}");
    expect_tree("a=1", "{\"a\":\"1\"}");
    expect_tree("a=1,b=", "{\"a\":\"1\",\"b\":\"\"}");
    expect_tree("driver=qcow2,file.filename=x,a.b.c=d", "{\"driver\":\"qcow2\",\"file\":{\"filename\":\"x\"},"
                                                        "\"a\":{\"b\":{\"c\":\"d\"}}}");
    expect_tree("a=1,a=2", "{\"a\":\"2\"}");
    expect_tree("a=b=c", "{\"a\":\"b=c\"}");
    expect_tree("a=1,", "{\"a\":\"1\"}");
}

static void test_commas(void)
{
    expect_tree("a=x,,y", "{\"a\":\"x,y\"}");
    expect_tree("a=,,,,", "{\"a\":\",,\"}");
    expect_tree("a=x,,,b=y", "{\"a\":\"x,\",\"b\":\"y\"}");
}

static void test_lists(void)
{
    expect_tree("a.0=x,a.1=y", "{\"a\":[\"x\",\"y\"]}");
    expect_tree("a.1.b=y,a.0.b=x", "{\"a\":[{\"b\":\"x\"},{\"b\":\"y\"}]}");
    expect_tree("a.0.0=x", "{\"a\":[[\"x\"]]}");
    refuse("limits.0=1,limits.2=5", "Parameter 'limits.1' missing");
    refuse("limits.0=1,limits.a=5", "Parameters 'limits.*' used inconsistently");
    refuse("a.b.99=5", "Parameter 'a.b.0' missing");
}

static void test_malformed(void)
{
    g_autofree char *long_key = g_strnfill(128, 'a');
    g_autofree char *long_option = g_strconcat(long_key, "=1", NULL);
    g_autofree char *long_message = g_strconcat("Parameter '", long_key, "' is too long", NULL);

    refuse("foo", "Expected '=' after parameter 'foo'");
    refuse("a=1,foo,b=2", "Expected '=' after parameter 'foo'");
    refuse(",a=1", "Invalid parameter ''");
    refuse("=5", "Invalid parameter ''");
    refuse(".x=5", "Invalid parameter '.x'");
    refuse("x.=5", "Invalid parameter 'x.'");
    refuse("x..y=5", "Invalid parameter 'x..y'");
    refuse("1x=5", "Invalid parameter '1x'");
    refuse("0=5", "Invalid parameter '0'");
    refuse("b c=5", "Invalid parameter 'b c'");
    refuse(long_option, long_message);
}

static void test_inconsistent(void)
{
    refuse("limits=5,limits.x=1", "Parameters 'limits.*' used inconsistently");
    refuse("limits.x=1,limits=5", "Parameters 'limits.*' used inconsistently");
    refuse("a.b.c=1,a.b=5", "Parameters 'a.b.*' used inconsistently");
    refuse("a.b=5,a.b.c.d=1", "Parameters 'a.b.*' used inconsistently");
}

static void test_implied_key(void)
{
    g_autoptr(JsonNode) tree = keyval_parse("a,,b,c=d", "name", NULL);
    g_autofree char *text = json_to_string(tree, FALSE);
    g_autoptr(GError) error = NULL;

    g_assert_cmpstr(text, ==, "{\"name\":\"a,b\",\"c\":\"d\"}");
    g_assert_null(keyval_parse("a=1,b", "name", &error));
    g_assert_cmpstr(error->message, ==, "Expected '=' after parameter 'b'");
}

static void expect_expanded(const char *json, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = qapi_json_parse(json, NULL);
    g_autoptr(JsonNode) tree = keyval_expand(root, &error);
    g_autofree char *text = tree ? json_to_string(tree, FALSE) : g_strdup(error->message);

    g_assert_cmpstr(text, ==, expected);
}

static void test_expand(void)
{
    expect_expanded("{\"driver\": \"qcow2\", \"file.filename\": \"x\"}",
                    "{\"driver\":\"qcow2\",\"file\":{\"filename\":\"x\"}}");
    expect_expanded("{\"file.driver\": \"file\", \"file\": {\"filename\": \"x\"}}",
                    "{\"file\":{\"driver\":\"file\",\"filename\":\"x\"}}");
    expect_expanded("{\"backing\": null, \"n\": 5, \"l\": [1], \"o\": {}}",
                    "{\"backing\":null,\"n\":5,\"l\":[1],\"o\":{}}");
    expect_expanded("{\"a.0\": 1, \"a.1\": 2}", "{\"a\":[1,2]}");
    expect_expanded("{\"a\": 1, \"a.b\": 2}", "Parameters 'a.*' used inconsistently");
    expect_expanded("{\"a b\": 1}", "Invalid parameter 'a b'");
    expect_expanded("{}", "{}");
}

/* Reads @options as a BlockdevOptions. */
static BlockdevOptions *read_options(const char *options, GError **errp)
{
    g_autoptr(JsonNode) tree = keyval_parse(options, NULL, errp);
    g_autoptr(Visitor) v = keyval_input_visitor_new(tree);
    g_autoptr(BlockdevOptions) result = g_new0(BlockdevOptions, 1);

    return tree && visit_type_BlockdevOptions(v, NULL, result, errp) ? g_steal_pointer(&result) : NULL;
}

static void refuse_options(const char *options, const char *message)
{
    g_autofree char *whole = g_strconcat("driver=qcow2,file.filename=a,", options, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockdevOptions) value = read_options(whole, &error);

    g_assert_null(value);
    g_assert_cmpstr(error->message, ==, message);
}

static void test_blockdev_options(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockdevOptions) options =
        read_options("driver=qcow2,file.driver=file,file.filename=a,,b,file.locking=off,read-only=yes,"
                     "overlap-check=all,cache-size=1.5M,cache.direct=n,cache-clean-interval=60,"
                     "backing.driver=raw,backing.file=node",
                     &error);

    g_assert_no_error(error);
    g_assert_cmpint(options->driver, ==, BLOCKDEV_DRIVER_QCOW2);

    BlockdevOptionsQcow2 *qcow2 = &options->u.qcow2;

    g_assert_cmpint(qcow2->file.kind, ==, QAPI_KIND_OBJECT);
    g_assert_cmpstr(qcow2->file.u.definition.filename, ==, "a,b");
    g_assert_cmpint(qcow2->file.u.definition.locking, ==, BLOCKDEV_LOCKING_OFF);
    g_assert_true(options->has_read_only && options->read_only);
    g_assert_true(options->cache->has_direct && !options->cache->direct);
    g_assert_false(options->cache->has_no_flush);
    g_assert_cmpint(qcow2->overlap_check->u.mode, ==, QCOW2_OVERLAP_CHECK_MODE_ALL);
    g_assert_cmpuint(qcow2->cache_size, ==, 1536 * 1024);
    g_assert_cmpuint(qcow2->cache_clean_interval, ==, 60);
    g_assert_cmpstr(qcow2->backing->u.definition.u.raw.file.u.reference, ==, "node");
}

static void test_blockdev_options_refused(void)
{
    refuse_options("bogus=1", "Parameter 'bogus' is unexpected");
    refuse_options("file.bogus=1", "Parameter 'file.bogus' is unexpected");
    refuse_options("file.driver=nbd", "Parameter 'file.driver' does not accept value 'nbd'");
    refuse_options("read-only=1", "Parameter 'read-only' expects 'on' or 'off'");
    refuse_options("read-only=ON", "Parameter 'read-only' expects 'on' or 'off'");
    refuse_options("read-only=", "Parameter 'read-only' expects 'on' or 'off'");
    refuse_options("cache-clean-interval=x", "Parameter 'cache-clean-interval' expects a number");
    refuse_options("cache-clean-interval=5k", "Parameter 'cache-clean-interval' expects a number");
    refuse_options("cache-clean-interval=4294967296",
                   "Parameter 'cache-clean-interval' expects a number from 0 to 4294967295");
    refuse_options("cache=5", "Invalid parameter type for 'cache', expected: object");
    refuse_options("overlap-check.0=5", "Invalid parameter type for 'overlap-check', expected: Qcow2OverlapChecks");
}

static void expect_size(const char *text, uint64_t size)
{
    g_autofree char *options = g_strconcat("driver=qcow2,file.filename=a,cache-size=", text, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockdevOptions) value = read_options(options, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(value->u.qcow2.cache_size, ==, size);
}

static void test_sizes(void)
{
    static const char *const malformed[] = {"", "-1", "1X", "1.5", "1e6", "1G0", "1KiB", "k", "0x", "1.k", "0x10k"};

    expect_size("0", 0);
    expect_size("512", 512);
    expect_size("65536b", 65536);
    expect_size("1k", 1024);
    expect_size("1M", 1048576);
    expect_size("0.5G", 536870912);
    expect_size("2t", UINT64_C(2) << 40);
    expect_size("1P", UINT64_C(1) << 50);
    expect_size("15E", UINT64_C(15) << 60);
    expect_size("0x100000", 1048576);
    expect_size("1.0", 1);
    expect_size("18446744073709551615", UINT64_MAX);
    refuse_options("cache-size=16E", "Value '16E' is out of range for parameter 'cache-size'");
    refuse_options("cache-size=18446744073709551616",
                   "Value '18446744073709551616' is out of range for parameter 'cache-size'");
    for (size_t i = 0; i < G_N_ELEMENTS(malformed); i++) {
        g_autofree char *option = g_strconcat("cache-size=", malformed[i], NULL);

        refuse_options(option, "Parameter 'cache-size' expects a non-negative number below 2^64");
    }
}

/* In an option string, an alternate takes its one branch that is no object or list from text. */
static void test_alternates(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) tree = keyval_parse("switch=on,amount=2k,paint=blue", NULL, NULL);
    g_autoptr(Visitor) v = keyval_input_visitor_new(tree);
    g_auto(Words) words = {0};

    visit_type_Words(v, NULL, &words, &error);
    g_assert_no_error(error);
    g_assert_true(words.switch_.u.flag);
    g_assert_cmpuint(words.amount.u.bytes, ==, 2048);
    g_assert_cmpint(words.paint.u.colour, ==, COLOUR_BLUE);
}

/* Strings of an option string and values of JSON may stand side by side, as in `json:` file names. */
static void test_mixed(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = qapi_json_parse("{'driver': 'qcow2', 'file.filename': 'x', 'read-only': 'on', "
                                               "'cache-size': 4096, 'lazy-refcounts': true, 'backing': null}",
                                               &error);
    g_autoptr(JsonNode) tree = keyval_expand(root, &error);
    g_autoptr(Visitor) v = keyval_input_visitor_new(tree);
    g_auto(BlockdevOptions) options = {0};

    visit_type_BlockdevOptions(v, NULL, &options, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(options.u.qcow2.cache_size, ==, 4096);
    g_assert_true(options.read_only && options.u.qcow2.lazy_refcounts);
    g_assert_cmpint(options.u.qcow2.backing->kind, ==, QAPI_KIND_NULL);
}

static void test_paths_in_lists(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) tree = keyval_parse("name=a,children.0.name=b", NULL, NULL);
    g_autoptr(Visitor) v = keyval_input_visitor_new(tree);
    g_auto(Tree) value = {0};

    g_assert_false(visit_type_Tree(v, NULL, &value, &error));
    g_assert_cmpstr(error->message, ==, "Parameter 'children.0.children' is missing");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/keyval/trees", test_trees);
    g_test_add_func("/qapi/keyval/commas", test_commas);
    g_test_add_func("/qapi/keyval/lists", test_lists);
    g_test_add_func("/qapi/keyval/malformed", test_malformed);
    g_test_add_func("/qapi/keyval/inconsistent", test_inconsistent);
    g_test_add_func("/qapi/keyval/implied-key", test_implied_key);
    g_test_add_func("/qapi/keyval/expand", test_expand);
    g_test_add_func("/qapi/keyval/blockdev-options", test_blockdev_options);
    g_test_add_func("/qapi/keyval/blockdev-options-refused", test_blockdev_options_refused);
    g_test_add_func("/qapi/keyval/sizes", test_sizes);
    g_test_add_func("/qapi/keyval/alternates", test_alternates);
    g_test_add_func("/qapi/keyval/mixed", test_mixed);
    g_test_add_func("/qapi/keyval/paths-in-lists", test_paths_in_lists);
    return g_test_run();
}
