/* text.c - texts that are the same everywhere: UTF-8, bytes that are not in JSON and back, numbers. */
#include "base/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void check_json(const char *text, size_t bytes, const char *want)
{
    tl_error err = {0};
    char value[64], *json;
    memcpy(value, text, bytes);
    value[bytes] = 0;
    cJSON *j = cJSON_CreateString(value);
    cr_assert(json = tl__json_text(&err, j, 0));
    cr_assert_str_eq(json, want);
    cr_assert(tl__utf8_valid(json, strlen(json)), "%s", json);
    cJSON *back = tl__json_parse(json, strlen(json));
    cr_assert(cJSON_IsString(back), "%s is not read", json);
    cr_assert_str_eq(back->valuestring, value);
    free(json);
    cJSON_Delete(j);
    cJSON_Delete(back);
}

Test(text, utf8)
{
    static const struct { const char *text; size_t length; } cases[] = {
        {"a", 1}, {"\xc3\xa9", 2}, {"\xed\x95\x9c", 3}, {"\xf0\x9f\x98\x80", 4}, {"\x80", 0}, {"\xe9", 0}, {"\xc3", 0}, {"\xc0\x80", 0}, {"\xe0\x80\x80", 0},
        {"\xed\xa0\x80", 0}, {"\xf4\x90\x80\x80", 0}, {"\xf5\x80\x80\x80", 0}, {"\xff", 0}, {"\xed\x95", 0}, {"\xe9z", 0}, {"\xf0\x9f\x98z", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(tl__utf8_length(cases[i].text, strlen(cases[i].text)), cases[i].length, "case %zu", i);
    cr_expect_eq(tl__utf8_length("\xc3\xa9", 1), 0);
    cr_expect_eq(tl__utf8_length("", 0), 0);
    cr_expect(tl__utf8_valid("caf\xc3\xa9", 5));
    cr_expect_not(tl__utf8_valid("caf\xe9", 4));
}

Test(text, bytes_in_json_and_back)
{
    check_json("plain \"q\" \\ \n", 13, "\"plain \\\"q\\\" \\\\ \\n\"");
    check_json("caf\xe9", 4, "\"caf\\udce9\"");
    check_json("\xb0\xa1 \xed\x95\x9c", 6, "\"\\udcb0\\udca1 \xed\x95\x9c\"");
    check_json("\xf0\x9f\x98\x80\xf0\x9f", 6, "\"\xf0\x9f\x98\x80\\udcf0\\udc9f\"");
    check_json("\\udce9", 6, "\"\\\\udce9\""); /* such a text itself is no byte */
    check_json("\\\xe9", 2, "\"\\\\\\udce9\"");
    for (int byte = 0x80; byte < 0x100; byte++) {
        char text = (char)byte, want[16];
        snprintf(want, sizeof want, "\"\\udc%02x\"", (unsigned)byte);
        check_json(&text, 1, want);
    }
}

Test(text, json_of_others)
{
    static const char pair[] = "[\"\\ud83d\\ude00\", \"\\uDCE9\", 1.5e1]";
    cJSON *j = tl__json_parse(pair, strlen(pair));
    cr_assert(j);
    cr_expect_str_eq(cJSON_GetArrayItem(j, 0)->valuestring, "\xf0\x9f\x98\x80");
    cr_expect_str_eq(cJSON_GetArrayItem(j, 1)->valuestring, "\xe9");
    cr_expect_eq(cJSON_GetArrayItem(j, 2)->valuedouble, 15);
    cJSON_Delete(j);
    static const char *const bad[] = {"", "[1", "\"\\udc7f\"", "\"\\udc8\"", "\"\\ud83d\"", "\"\\ud83d\\udce9\"x", "[1] 2", "\"a\\"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) cr_expect_null(tl__json_parse(bad[i], strlen(bad[i])), "%s was read", bad[i]);
    cr_expect_null(tl__json_parse("1\0" "2", 3));
}

Test(text, json_without_memory)
{
    cJSON *j = cJSON_CreateString("caf\xe9");
    tl_error err = {0};
    tl__inject_failure(1);
    cr_expect_null(tl__json_text(&err, j, 0));
    tl__inject_failure(0);
    cr_expect_eq(err.code, TL_EMEMORY);
    cJSON_Delete(j);
}

/* A locale with a comma that this test made itself; 0 where that cannot be done. */
static int go_german(char *folder)
{
    char command[256];
    if (!mkdtemp(folder)) return 0;
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
    int made = system(command);
    setenv("LOCPATH", folder, 1);
    const char *now = setlocale(LC_ALL, "de_DE.UTF-8");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 && made == 0 && now && localeconv()->decimal_point[0] == ',';
}

Test(text, decimal_comma)
{
    char folder[] = "/tmp/tlua-locale-XXXXXX", text[64], *end;
    if (!go_german(folder)) cr_skip_test("no locale with a decimal comma can be made here");
    snprintf(text, sizeof text, "%g", 0.5);
    cr_assert_str_eq(text, "0,5");
    tl__print(text, sizeof text, "%g", 0.5);
    cr_expect_str_eq(text, "0.5");
    cr_expect_eq(tl__read_number("0.5]", &end), 0.5);
    cr_expect_str_eq(end, "]");
    tl_error err = {0};
    tl__fail(&err, TL_EARG, "%g", 0.5);
    cr_expect_str_eq(err.text, "0.5");
    cJSON *j = tl__json_parse("[0.485, 1e-3]", 13);
    cr_assert(j);
    cr_expect_eq(cJSON_GetArrayItem(j, 0)->valuedouble, 0.485);
    char *json = tl__json_text(&err, j, 0);
    cr_expect_str_eq(json, "[0.485,0.001]");
    free(json);
    cJSON_Delete(j);
    snprintf(text, sizeof text, "%g", 0.5);
    cr_expect_str_eq(text, "0,5", "the program's own locale is gone");
}
