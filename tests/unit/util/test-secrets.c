/*
 * What grants access to an image is in no message.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "util/secrets.h"

typedef struct Case {
    const char *text;
    const char *shown;
} Case;

static const Case hidden[] = {
    /* as stores sign: AWS (version 4 and 2), Google, Azure, CloudFront */
    {"https://b.example/d.qcow2?X-Amz-Date=1&X-Amz-Signature=abc", "https://b.example/d.qcow2?..."},
    {"https://b.example/d?AWSAccessKeyId=A&Expires=1&Signature=a%2Bb", "https://b.example/d?..."},
    {"https://b.example/d?X-Goog-Signature=12", "https://b.example/d?..."},
    {"https://b.example/d?sv=2&sr=b&sig=12%3D", "https://b.example/d?..."},
    {"https://b.example/d?Policy=x", "https://b.example/d?..."},
    {"http://h/d?access_token=1#part", "http://h/d?..."},
    {"HTTPS://h/d?TOKEN=1", "HTTPS://h/d?..."},
    {"http://h/d?a=1;token=2", "http://h/d?..."},
    {"http://h/d?a?sig=2", "http://h/d?..."},
    /* in messages */
    {"Could not open 'https://h/d?sig=1': no", "Could not open 'https://h/d?...': no"},
    {"https://h/d?sig=1: Lost", "https://h/d?...: Lost"},
    {"'http://h/a?b='&sig=1' and \"http://h/b?sig=2\".", "'http://h/a?...' and \"http://h/b?...\"."},
    {"json:{\"url\":\"https://h/d?sig=1\"}", "json:{\"url\":\"https://h/d?...\"}"},
    /* passwords */
    {"https://me:word@h/d", "https://me:...@h/d"},
    {"https://me:w@rd@h:1/d?sig=1", "https://me:...@h:1/d?..."},
    {"http://me:word@h", "http://me:...@h"},
};

static const char *const shown[] = {
    "",
    "http://",
    "https://h/d?",
    "https://h/d?versionId=3&x",
    "https://h/key.qcow2?a=token",
    "https://me@h/d?a=b",
    "https://h:8080/a@b:c?d=e",
    "nbd+unix:///?socket=/run/key.sock",
    "nbds+unix://alice@/?socket=/s&tls-psk-file=/keys",
    "/images/sig?key=1",
    "Failed to connect to 'h:80': Connection refused",
};

static void test_hidden(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(hidden); i++) {
        g_autofree char *text = secrets_hide(hidden[i].text);

        g_assert_cmpstr(text, ==, hidden[i].shown);
    }
}

static void test_shown(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(shown); i++) {
        g_autofree char *text = secrets_hide(shown[i]);

        g_assert_cmpstr(text, ==, shown[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secrets/hidden", test_hidden);
    g_test_add_func("/secrets/shown", test_shown);
    return g_test_run();
}
